//! The one place where this room asks the evaluator.

use crate::datum::Value;
use crate::row::Row;
use crate::transform::function::{Context, EvalError};
use crate::transform::{Expr, ExprKind, Scope};

pub(crate) fn evaluate<'a>(expr: &'a Expr, context: &'a Context, rows: &'a [Row<'a>]) -> Result<Value<'a>, EvalError> {
    expr.eval(&Scope { context, rows })
}

pub(crate) fn is_true(filter: &Expr, context: &Context, rows: &[Row<'_>]) -> Result<bool, EvalError> {
    Ok(filter.truth(&Scope { context, rows })? == Some(true))
}

/// The column whose text an expression passes on as it is: the column itself, or it under another type's name.
pub(crate) fn plain_column(expr: &Expr) -> Option<(u16, u16)> {
    match &expr.kind {
        ExprKind::Column { source, column } => Some((*source, *column)),
        ExprKind::Relabel(inner) => plain_column(inner),
        _ => None,
    }
}
