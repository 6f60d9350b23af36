//! The one place where this room asks the evaluator.

use crate::datum::Value;
use crate::transform::function::EvalError;
use crate::transform::{Expr, ExprKind, Scope};

pub(crate) fn evaluate<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Value<'a>, EvalError> {
    expr.eval(scope)
}

/// The column whose text an expression passes on as it is: the column itself, or it under another type's name.
pub(crate) fn plain_column(expr: &Expr) -> Option<(u16, u16)> {
    match &expr.kind {
        ExprKind::Column { source, column } => Some((*source, *column)),
        ExprKind::Relabel(inner) => plain_column(inner),
        _ => None,
    }
}
