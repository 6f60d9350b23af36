//! Expressions over rows: a walk over the tree, values borrowed from the row wherever they can be.
//!
//! AND, OR, CASE, COALESCE and IN stop at the first answer, from left to right, as PostgreSQL's executor does. (Its planner
//! may put cheaper conditions of a WHERE first; a condition that guards another from failing belongs into a CASE, here
//! as there.)

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::function::{Call, Context, EvalError, Function};
use super::plan::{Expr, ExprKind};
use super::{array, subquery};
use crate::catalogue::ColumnType;
use crate::datum::{self, Value};
use crate::row::Row;

/// What an evaluation sees.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub context: &'a Context,
    /// A row for each source of the plan; empty where the source belongs to a block that is not being walked.
    pub rows: &'a [Row<'a>],
    /// Where the rows of other sources come from.
    pub lookup: &'a dyn Lookup,
    /// The answers that `ExprKind::Aggregate` stands for.
    pub aggregates: &'a [Value<'a>],
}

/// Rows by a link: what the engine gives, over its state.
pub trait Lookup {
    /// Calls `each` with every row of the plan's `source` whose link columns have this key (`transform::link`), always in
    /// the same order, until it breaks.
    fn rows(&self, source: u16, key: &[u8], each: &mut EachRow<'_>) -> Result<(), EvalError>;
}

pub type EachRow<'e> = dyn FnMut(Row<'_>) -> Result<ControlFlow<()>, EvalError> + 'e;

/// For plans over one table.
pub struct NoLookup;

impl Lookup for NoLookup {
    fn rows(&self, _: u16, _: &[u8], _: &mut EachRow<'_>) -> Result<(), EvalError> {
        Err(malformed("a plan over one table asks for another"))
    }
}

impl<'a> Scope<'a> {
    /// Over rows that are there, without a look-up.
    pub fn of_rows(context: &'a Context, rows: &'a [Row<'a>]) -> Scope<'a> {
        Scope { context, rows, lookup: &NoLookup, aggregates: &[] }
    }
}

/// Arguments up to here need no allocation; only variadic functions have more.
const INLINE: usize = 4;

impl Expr {
    pub fn eval<'a>(&'a self, scope: &Scope<'a>) -> Result<Value<'a>, EvalError> {
        Ok(match &self.kind {
            ExprKind::Column { source, column } => {
                let cell = scope.rows.get(usize::from(*source)).and_then(|r| r.get(usize::from(*column)));
                match cell {
                    Some(Some(text)) => datum::read(&self.ty, text).map_err(|e| malformed(&e.to_string()))?,
                    Some(None) => Value::Null,
                    None => return Err(malformed("the row has fewer columns than the plan")),
                }
            }
            ExprKind::Constant(value) => borrowed(value),
            ExprKind::Subquery(subquery) => subquery.eval(scope)?,
            ExprKind::Aggregate(place) => match scope.aggregates.get(usize::from(*place)) {
                Some(value) => value.clone(),
                None => return Err(malformed("an aggregate outside its subquery")),
            },
            ExprKind::Array(items) => subquery::array(items, scope)?,
            ExprKind::Relabel(inner) => inner.eval(scope)?,
            ExprKind::Call { function, args, arg_types } => {
                let context = CallOf { function, arg_types, returns: &self.ty, scope };
                if args.len() <= INLINE {
                    let mut values = [Value::Null, Value::Null, Value::Null, Value::Null];
                    context.call(args, &mut values[..args.len()])?
                } else {
                    let mut values = vec![Value::Null; args.len()];
                    context.call(args, &mut values)?
                }
            }
            ExprKind::Not(inner) => truth_value(inner.truth(scope)?.map(|b| !b)),
            ExprKind::And(args) => truth_value(junction(args, false, scope)?),
            ExprKind::Or(args) => truth_value(junction(args, true, scope)?),
            ExprKind::IsNull { expr, negated } => Value::Bool(matches!(expr.eval(scope)?, Value::Null) != *negated),
            ExprKind::IsBool { expr, value, negated } => Value::Bool((expr.truth(scope)? == *value) != *negated),
            ExprKind::IsDistinct { left, right, equal, negated } => {
                let (l, r) = (left.eval(scope)?, right.eval(scope)?);
                let distinct = match (&l, &r) {
                    (Value::Null, Value::Null) => false,
                    (Value::Null, _) | (_, Value::Null) => true,
                    _ => !holds(equal, [&left.ty, &right.ty], [l, r], scope)?,
                };
                Value::Bool(distinct != *negated)
            }
            ExprKind::In { expr, list, negated } => truth_value(in_list(expr, list, scope)?.map(|b| b != *negated)),
            ExprKind::AnyAll { expr, array, operator, all } => {
                truth_value(array::any_all(expr, array, operator, *all, scope)?)
            }
            ExprKind::ArrayCast { array, cast } => array::cast(array, cast, &self.ty, scope)?,
            ExprKind::Subscript { array, indexes } => array::subscript(array, indexes, scope)?,
            ExprKind::Case { branches, otherwise } => {
                for (when, then) in branches {
                    if when.truth(scope)? == Some(true) {
                        return then.eval(scope);
                    }
                }
                match otherwise {
                    Some(otherwise) => otherwise.eval(scope)?,
                    None => Value::Null,
                }
            }
            ExprKind::Coalesce(args) => {
                for arg in args {
                    match arg.eval(scope)? {
                        Value::Null => {}
                        value => return Ok(value),
                    }
                }
                Value::Null
            }
            ExprKind::NullIf { left, right, equal } => {
                let (l, r) = (left.eval(scope)?, right.eval(scope)?);
                let null = matches!((&l, &r), (Value::Null, _) | (_, Value::Null));
                if !null && holds(equal, [&left.ty, &right.ty], [l.clone(), r], scope)? { Value::Null } else { l }
            }
            ExprKind::Extreme { args, wins } => {
                let mut best = Value::Null;
                for arg in args {
                    let value = arg.eval(scope)?;
                    let better = match (&best, &value) {
                        (_, Value::Null) => false,
                        (Value::Null, _) => true,
                        _ => holds(wins, [&arg.ty, &self.ty], [value.clone(), best.clone()], scope)?,
                    };
                    if better {
                        best = value;
                    }
                }
                best
            }
        })
    }

    /// A boolean expression in three values; `None` is NULL.
    pub fn truth(&self, scope: &Scope<'_>) -> Result<Option<bool>, EvalError> {
        // The same shortcut as in `eval`, without the lifetime of the answer.
        let value = match &self.kind {
            ExprKind::And(args) => return junction(args, false, scope),
            ExprKind::Or(args) => return junction(args, true, scope),
            ExprKind::Not(inner) => return Ok(inner.truth(scope)?.map(|b| !b)),
            _ => self.eval(scope)?,
        };
        match value {
            Value::Bool(b) => Ok(Some(b)),
            Value::Null => Ok(None),
            _ => Err(malformed("a condition is not boolean")),
        }
    }
}

struct CallOf<'c, 'a> {
    function: &'static Function,
    arg_types: &'c [ColumnType],
    returns: &'c ColumnType,
    scope: &'c Scope<'a>,
}

impl<'a> CallOf<'_, 'a> {
    fn call(&self, args: &'a [Expr], values: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
        for (arg, value) in args.iter().zip(values.iter_mut()) {
            *value = arg.eval(self.scope)?;
        }
        if self.function.strict && values.iter().any(|v| matches!(v, Value::Null)) {
            return Ok(Value::Null);
        }
        invoke(self.function, self.arg_types, self.returns, values, self.scope)
    }
}

pub(super) fn invoke<'a>(
    function: &'static Function,
    arg_types: &[ColumnType],
    returns: &ColumnType,
    values: &mut [Value<'a>],
    scope: &Scope<'_>,
) -> Result<Value<'a>, EvalError> {
    let Ok(eval) = function.eval else { return Err(malformed("a refused function is in the plan")) };
    eval(&Call { context: scope.context, typmod: returns.typmod, arg_types, returns }, values)
}

/// A comparison of two values that are not NULL.
pub(super) fn holds(
    function: &'static Function,
    types: [&ColumnType; 2],
    values: [Value<'_>; 2],
    scope: &Scope<'_>,
) -> Result<bool, EvalError> {
    let arg_types = types.map(Clone::clone);
    let mut values = values;
    let returns = ColumnType::plain(crate::catalogue::Type::Bool);
    Ok(matches!(invoke(function, &arg_types, &returns, &mut values, scope)?, Value::Bool(true)))
}

fn junction(args: &[Expr], decides: bool, scope: &Scope<'_>) -> Result<Option<bool>, EvalError> {
    let mut null = false;
    for arg in args {
        match arg.truth(scope)? {
            Some(b) if b == decides => return Ok(Some(decides)),
            Some(_) => {}
            None => null = true,
        }
    }
    Ok(if null { None } else { Some(!decides) })
}

fn in_list(expr: &Expr, list: &[(Expr, &'static Function)], scope: &Scope<'_>) -> Result<Option<bool>, EvalError> {
    let value = expr.eval(scope)?;
    let mut null = false;
    for (item, equal) in list {
        match (&value, item.eval(scope)?) {
            (Value::Null, _) | (_, Value::Null) => null = true,
            (value, other) => {
                if holds(equal, [&expr.ty, &item.ty], [value.clone(), other], scope)? {
                    return Ok(Some(true));
                }
            }
        }
    }
    Ok(if null { None } else { Some(false) })
}

fn truth_value<'a>(truth: Option<bool>) -> Value<'a> {
    truth.map_or(Value::Null, Value::Bool)
}

/// A constant without a copy of its bytes.
fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Text(t) => Value::Text(Cow::Borrowed(t)),
        Value::Bytea(b) => Value::Bytea(Cow::Borrowed(b)),
        Value::Json(t) => Value::Json(Cow::Borrowed(t)),
        Value::Jsonb(t) => Value::Jsonb(Cow::Borrowed(t)),
        Value::Array(t) => Value::Array(Cow::Borrowed(t)),
        other => other.clone(),
    }
}

/// The row and the plan do not fit: never the row's fault.
pub(super) fn malformed(what: &str) -> EvalError {
    EvalError { sqlstate: "XX000", message: what.to_owned() }
}
