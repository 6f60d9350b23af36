//! What a subquery answers.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::aggregate::of_rows;
use super::eval::{Scope, holds, malformed};
use super::function::{EvalError, Function};
use super::plan::{AggregateCall, Answer, Expr, Order, Subquery};
use crate::catalogue::{ColumnType, Type};
use crate::datum::Value;

impl Subquery {
    pub(super) fn eval(&self, scope: &Scope<'_>) -> Result<Value<'static>, EvalError> {
        match &self.answer {
            Answer::Exists => {
                let mut found = false;
                let _ = self.block.each(scope, &mut |_| {
                    found = true;
                    Ok(ControlFlow::Break(()))
                })?;
                Ok(Value::Bool(found))
            }
            Answer::In { expr, item, equal, negated } => {
                let truth = self.is_in(expr, item, equal, scope)?;
                Ok(truth.map_or(Value::Null, |t| Value::Bool(t != *negated)))
            }
            Answer::Scalar { item, order, first: true } => {
                let rows = sorted(&self.block, order, scope, |scope| Ok(item.eval(scope)?.into_owned()))?;
                Ok(rows.into_iter().next().unwrap_or(Value::Null))
            }
            Answer::Scalar { item, .. } => {
                let mut answer = None;
                let _ = self.block.each(scope, &mut |scope| {
                    if answer.is_some() {
                        return Err(two_rows());
                    }
                    answer = Some(item.eval(scope)?.into_owned());
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(answer.unwrap_or(Value::Null))
            }
            Answer::Array { item, order, distinct, limit } => {
                let mut rows = sorted(&self.block, order, scope, |scope| Ok(item.eval(scope)?.into_owned()))?;
                if let Some(equal) = distinct {
                    rows = unique(rows, |a, b| same(equal, &item.ty, a, b, scope))?;
                }
                rows.truncate(limit.map_or(usize::MAX, |l| l as usize));
                of_rows(&item.ty, &rows)
            }
            Answer::Aggregates { calls, item } => {
                let mut answers = Vec::with_capacity(calls.len());
                for call in calls {
                    answers.push(self.aggregate(call, scope)?);
                }
                item.eval(&Scope { aggregates: &answers, ..*scope }).map(Value::into_owned)
            }
        }
    }

    fn is_in(
        &self,
        expr: &Expr,
        item: &Expr,
        equal: &'static Function,
        scope: &Scope<'_>,
    ) -> Result<Option<bool>, EvalError> {
        let value = expr.eval(scope)?.into_owned();
        let mut answer = Some(false);
        let _ = self.block.each(scope, &mut |inner| {
            let other = item.eval(inner)?;
            if matches!(value, Value::Null) || matches!(other, Value::Null) {
                answer = None;
            } else if holds(equal, [&expr.ty, &item.ty], [value.clone(), other.into_owned()], inner)? {
                answer = Some(true);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(answer)
    }

    fn aggregate(&self, call: &AggregateCall, scope: &Scope<'_>) -> Result<Value<'static>, EvalError> {
        let start = call.aggregate.start.map_err(|_| malformed("a refused aggregate is in the plan"))?;
        let mut accumulator = start(&call.arg_types, &call.returns);
        let passes = |scope: &Scope<'_>| -> Result<bool, EvalError> {
            match &call.filter {
                Some(filter) => Ok(filter.truth(scope)? == Some(true)),
                None => Ok(true),
            }
        };
        let strict = |args: &[Value<'_>]| call.aggregate.strict && args.iter().any(|a| matches!(a, Value::Null));
        if call.order.is_empty() && call.distinct.is_none() {
            let mut args = Vec::with_capacity(call.args.len());
            let _ = self.block.each(scope, &mut |scope| {
                if passes(scope)? {
                    args.clear();
                    for arg in &call.args {
                        args.push(arg.eval(scope)?.into_owned());
                    }
                    if !strict(&args) {
                        accumulator.add(&args)?;
                    }
                }
                Ok(ControlFlow::Continue(()))
            })?;
            return accumulator.finish();
        }
        let mut rows = sorted(&self.block, &call.order, scope, |scope| {
            if !passes(scope)? {
                return Ok(None);
            }
            let args =
                call.args.iter().map(|a| Ok(a.eval(scope)?.into_owned())).collect::<Result<Vec<_>, EvalError>>()?;
            Ok((!strict(&args)).then_some(args))
        })?;
        rows.retain(Option::is_some);
        let mut rows: Vec<Vec<Value<'static>>> = rows.into_iter().flatten().collect();
        if let (Some(equal), Some(first)) = (call.distinct, call.args.first()) {
            rows = unique(rows, |a, b| same(equal, &first.ty, &a[0], &b[0], scope))?;
        }
        for row in &rows {
            accumulator.add(row)?;
        }
        accumulator.finish()
    }
}

/// What a subquery raises that may have one row.
pub(crate) fn two_rows() -> EvalError {
    EvalError { sqlstate: "21000", message: "more than one row returned by a subquery used as an expression".into() }
}

/// What `of` gives for each row of the block, in the order asked for; what the order leaves open stays as it came.
pub(crate) fn sorted<T>(
    block: &super::plan::Block,
    order: &[Order],
    scope: &Scope<'_>,
    mut of: impl FnMut(&Scope<'_>) -> Result<T, EvalError>,
) -> Result<Vec<T>, EvalError> {
    let mut rows: Vec<(Vec<Value<'static>>, T)> = Vec::new();
    let _ = block.each(scope, &mut |scope| {
        let keys = order.iter().map(|o| Ok(o.expr.eval(scope)?.into_owned())).collect::<Result<_, EvalError>>()?;
        rows.push((keys, of(scope)?));
        Ok(ControlFlow::Continue(()))
    })?;
    if !order.is_empty() {
        let mut failed = None;
        rows.sort_by(|(a, _), (b, _)| {
            compare(order, a, b, scope).unwrap_or_else(|e| {
                failed.get_or_insert(e);
                Ordering::Equal
            })
        });
        if let Some(e) = failed {
            return Err(e);
        }
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Two rows by the values that they have for the order's expressions.
pub(crate) fn compare(
    order: &[Order],
    a: &[Value<'_>],
    b: &[Value<'_>],
    scope: &Scope<'_>,
) -> Result<Ordering, EvalError> {
    for ((o, a), b) in order.iter().zip(a).zip(b) {
        let nulls = if o.nulls_first { Ordering::Less } else { Ordering::Greater };
        let ordering = match (a, b) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => nulls,
            (_, Value::Null) => nulls.reverse(),
            _ => {
                let less = |x: &Value<'_>, y: &Value<'_>| {
                    holds(o.less, [&o.expr.ty, &o.expr.ty], [x.clone(), y.clone()], scope)
                };
                let ordering = match (less(a, b)?, less(b, a)?) {
                    (true, _) => Ordering::Less,
                    (_, true) => Ordering::Greater,
                    _ => Ordering::Equal,
                };
                if o.descending { ordering.reverse() } else { ordering }
            }
        };
        if ordering != Ordering::Equal {
            return Ok(ordering);
        }
    }
    Ok(Ordering::Equal)
}

fn same(
    equal: &'static Function,
    ty: &ColumnType,
    a: &Value<'_>,
    b: &Value<'_>,
    scope: &Scope<'_>,
) -> Result<bool, EvalError> {
    match (a, b) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        _ => holds(equal, [ty, ty], [a.clone(), b.clone()], scope),
    }
}

/// Rows that are equal stand side by side: DISTINCT sorts by its argument.
fn unique<T>(rows: Vec<T>, same: impl Fn(&T, &T) -> Result<bool, EvalError>) -> Result<Vec<T>, EvalError> {
    let mut kept: Vec<T> = Vec::new();
    for row in rows {
        match kept.last() {
            Some(last) if same(last, &row)? => {}
            _ => kept.push(row),
        }
    }
    Ok(kept)
}

/// `ARRAY[…]`
pub(super) fn array<'a>(items: &'a [Expr], scope: &Scope<'a>) -> Result<Value<'a>, EvalError> {
    let values = items.iter().map(|i| i.eval(scope)).collect::<Result<Vec<_>, _>>()?;
    let Some(item) = items.first() else { return Err(malformed("an ARRAY of nothing")) };
    // Arrays that are all empty are one empty array here.
    if matches!(item.ty.ty, Type::Array(_)) && values.iter().all(|v| matches!(v, Value::Array(text) if text == "{}")) {
        return Ok(Value::Array("{}".into()));
    }
    of_rows(&item.ty, &values)
}
