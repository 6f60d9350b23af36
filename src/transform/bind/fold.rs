//! Constants are computed once, as PostgreSQL's planner does (`eval_const_expressions`).
//!
//! It matters for errors, not only for speed: `1/0` anywhere but in a branch that a constant has ruled out fails for
//! every row there, so it is a finding here; and a strict function of a constant NULL is NULL without a look at the rest.

use super::coerce::constant;
use super::{Binder, Bound, codes};
use crate::catalogue::ColumnType;
use crate::datum::Value;
use crate::transform::eval::Scope;
use crate::transform::function::constant::objection;
use crate::transform::function::{Context, EvalError, Function, Kind, Volatility};
use crate::transform::plan::{Expr, ExprKind};

impl Binder<'_> {
    pub(super) fn fold(&self, expr: Expr) -> Bound<Expr> {
        let at = expr.span;
        fold(expr).map_err(|(e, span)| {
            let span = span.unwrap_or(at);
            if e.sqlstate == "0A000" {
                // What is refused for good says what to write instead.
                let (message, help) =
                    e.message.split_once("; ").unwrap_or((&e.message, "write the answer as a constant"));
                return self.error(codes::NOT_EXACT, span, message).help(help);
            }
            self.error(codes::CONSTANT, span, format!("this constant fails always: {}", e.message))
                .help("PostgreSQL refuses the query with the same error")
        })
    }
}

type Failed = (EvalError, Option<crate::diagnostic::Span>);

/// Computes an expression that has no columns and no settings in it.
pub(super) fn evaluate(expr: &Expr) -> Result<Value<'static>, EvalError> {
    let context = Context::default();
    let scope = Scope::of_rows(&context, &[]);
    expr.eval(&scope).map(Value::into_owned)
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Constant(_))
}

fn value(expr: &Expr) -> Option<&Value<'static>> {
    match &expr.kind {
        ExprKind::Constant(value) => Some(value),
        _ => None,
    }
}

fn truth(expr: &Expr) -> Option<Option<bool>> {
    match &expr.kind {
        ExprKind::Constant(Value::Bool(b)) => Some(Some(*b)),
        ExprKind::Constant(Value::Null) => Some(None),
        _ => None,
    }
}

/// The case tables of the server are not at hand here.
fn needs_server(f: &Function) -> bool {
    matches!((f.kind, f.name), (Kind::Function, "upper" | "lower" | "initcap"))
        || f.kind == Kind::Operator && f.name.ends_with('*') && f.name.contains('~')
}

fn done(expr: Expr) -> Result<Expr, Failed> {
    match evaluate(&expr) {
        Ok(value) => Ok(constant(value, expr.ty, expr.span)),
        Err(e) => Err((e, Some(expr.span))),
    }
}

fn boxed(expr: Expr) -> Result<Box<Expr>, Failed> {
    Ok(Box::new(fold(expr)?))
}

fn all(args: Vec<Expr>) -> Result<Vec<Expr>, Failed> {
    args.into_iter().map(fold).collect()
}

fn fold(expr: Expr) -> Result<Expr, Failed> {
    let Expr { kind, ty, nullable, span } = expr;
    let with = |kind: ExprKind| Expr { kind, ty: ty.clone(), nullable, span };
    Ok(match kind {
        // What is inside a subquery was folded when it was bound.
        ExprKind::Column { .. } | ExprKind::Constant(_) | ExprKind::Subquery(_) | ExprKind::Aggregate(_) => with(kind),
        ExprKind::Array(items) => simple(with(ExprKind::Array(all(items)?)))?,
        ExprKind::Relabel(inner) => {
            let inner = fold(*inner)?;
            if is_constant(&inner) {
                Expr { ty: ty.clone(), ..inner }
            } else {
                with(ExprKind::Relabel(Box::new(inner)))
            }
        }
        ExprKind::Call { function, args, arg_types } => {
            let args = all(args)?;
            let null = |a: &Expr| matches!(a.kind, ExprKind::Constant(Value::Null));
            let pure = function.volatility == Volatility::Immutable;
            if function.strict && args.iter().any(null) {
                return Ok(constant(Value::Null, ty, span));
            }
            objection(function, &args.iter().map(value).collect::<Vec<_>>()).map_err(|e| (e, Some(span)))?;
            let constants = args.iter().all(is_constant);
            let call = with(ExprKind::Call { function, args, arg_types });
            if constants && pure && !needs_server(function) { done(call)? } else { call }
        }
        ExprKind::And(args) => junction(args, false, with)?,
        ExprKind::Or(args) => junction(args, true, with)?,
        ExprKind::Not(inner) => simple(with(ExprKind::Not(boxed(*inner)?)))?,
        ExprKind::IsNull { expr, negated } => simple(with(ExprKind::IsNull { expr: boxed(*expr)?, negated }))?,
        ExprKind::IsBool { expr, value, negated } => {
            simple(with(ExprKind::IsBool { expr: boxed(*expr)?, value, negated }))?
        }
        ExprKind::IsDistinct { left, right, equal, negated } => {
            simple(with(ExprKind::IsDistinct { left: boxed(*left)?, right: boxed(*right)?, equal, negated }))?
        }
        ExprKind::NullIf { left, right, equal } => {
            simple(with(ExprKind::NullIf { left: boxed(*left)?, right: boxed(*right)?, equal }))?
        }
        ExprKind::In { expr, list, negated } => {
            let list = list.into_iter().map(|(e, f)| Ok((fold(e)?, f))).collect::<Result<_, Failed>>()?;
            simple(with(ExprKind::In { expr: boxed(*expr)?, list, negated }))?
        }
        ExprKind::Extreme { args, wins } => simple(with(ExprKind::Extreme { args: all(args)?, wins }))?,
        ExprKind::AnyAll { expr, array, operator, all } => {
            let (expr, array) = (boxed(*expr)?, boxed(*array)?);
            let pure = operator.volatility == Volatility::Immutable && !needs_server(operator);
            let constants = is_constant(&expr) && is_constant(&array) && pure;
            let any_all = with(ExprKind::AnyAll { expr, array, operator, all });
            if constants { done(any_all)? } else { any_all }
        }
        ExprKind::ArrayCast { array, cast } => {
            let array = boxed(*array)?;
            let constants = is_constant(&array) && cast.volatility == Volatility::Immutable;
            let array_cast = with(ExprKind::ArrayCast { array, cast });
            if constants { done(array_cast)? } else { array_cast }
        }
        ExprKind::Subscript { array, indexes } => {
            let (array, indexes) = (boxed(*array)?, all(indexes)?);
            let constants = is_constant(&array) && indexes.iter().all(is_constant);
            let subscript = with(ExprKind::Subscript { array, indexes });
            if constants { done(subscript)? } else { subscript }
        }
        ExprKind::Coalesce(args) => {
            let mut kept = Vec::new();
            for arg in args {
                let arg = fold(arg)?;
                match &arg.kind {
                    ExprKind::Constant(Value::Null) => continue,
                    ExprKind::Constant(_) => {
                        kept.push(arg);
                        break;
                    }
                    _ => kept.push(arg),
                }
            }
            let nullable = kept.iter().all(|a| a.nullable);
            match kept.len() {
                0 => constant(Value::Null, ty, span),
                1 if is_constant(&kept[0]) => Expr { ty, ..kept.remove(0) },
                _ => Expr { kind: ExprKind::Coalesce(kept), ty, nullable, span },
            }
        }
        ExprKind::Case { branches, otherwise } => {
            let mut kept = Vec::new();
            let mut last = None;
            for (when, then) in branches {
                let when = fold(when)?;
                match truth(&when) {
                    Some(Some(true)) => {
                        last = Some(fold(then)?);
                        break;
                    }
                    Some(_) => continue,
                    None => kept.push((when, fold(then)?)),
                }
            }
            let otherwise = match (last, otherwise) {
                (Some(last), _) => Some(Box::new(last)),
                (None, Some(otherwise)) => Some(boxed(*otherwise)?),
                (None, None) => None,
            };
            match otherwise {
                Some(otherwise) if kept.is_empty() => under(*otherwise, ty),
                otherwise => {
                    let nullable =
                        kept.iter().any(|(_, t)| t.nullable) || otherwise.as_ref().is_none_or(|o| o.nullable);
                    Expr { kind: ExprKind::Case { branches: kept, otherwise }, ty, nullable, span }
                }
            }
        }
    })
}

/// The expression as a value of the type. A cast to varchar(4) stays one, also where the CASE around it had no modifier.
fn under(expr: Expr, ty: ColumnType) -> Expr {
    if is_constant(&expr) || expr.ty == ty {
        return Expr { ty, ..expr };
    }
    let (nullable, span) = (expr.nullable, expr.span);
    Expr { kind: ExprKind::Relabel(Box::new(expr)), ty, nullable, span }
}

fn simple(expr: Expr) -> Result<Expr, Failed> {
    let constant = match &expr.kind {
        ExprKind::Not(e) => is_constant(e),
        ExprKind::IsNull { expr, .. } | ExprKind::IsBool { expr, .. } => is_constant(expr),
        ExprKind::IsDistinct { left, right, .. } | ExprKind::NullIf { left, right, .. } => {
            is_constant(left) && is_constant(right)
        }
        ExprKind::In { expr, list, .. } => is_constant(expr) && list.iter().all(|(e, _)| is_constant(e)),
        ExprKind::Extreme { args, .. } | ExprKind::Array(args) => args.iter().all(is_constant),
        _ => false,
    };
    if constant { done(expr) } else { Ok(expr) }
}

/// What stands behind a constant that decides is not looked at.
fn junction(args: Vec<Expr>, decides: bool, with: impl Fn(ExprKind) -> Expr) -> Result<Expr, Failed> {
    let mut kept = Vec::new();
    for arg in args {
        let arg = fold(arg)?;
        match truth(&arg) {
            Some(Some(b)) if b == decides => return Ok(Expr { nullable: false, ..arg }),
            Some(Some(_)) => continue,
            _ => kept.push(arg),
        }
    }
    let nullable = kept.iter().any(|a| a.nullable);
    let kind = match kept.len() {
        0 => ExprKind::Constant(Value::Bool(!decides)),
        1 => return Ok(kept.remove(0)),
        _ if decides => ExprKind::Or(kept),
        _ => ExprKind::And(kept),
    };
    Ok(Expr { nullable, ..with(kind) })
}
