//! What a filter says about NULL: the columns that no row has as NULL when the filter is true for it.

use std::collections::BTreeSet;

use crate::transform::plan::{Expr, ExprKind};

/// Adds the columns (source and place in its table) that are not NULL wherever `filter` is true.
pub(super) fn implied(filter: &Expr, out: &mut BTreeSet<(u16, u16)>) {
    match &filter.kind {
        ExprKind::And(args) => args.iter().for_each(|a| implied(a, out)),
        ExprKind::Or(args) => {
            let mut each = args.iter().map(|a| {
                let mut of = BTreeSet::new();
                implied(a, &mut of);
                of
            });
            if let Some(first) = each.next() {
                out.extend(each.fold(first, |all, of| &all & &of));
            }
        }
        ExprKind::IsNull { expr, negated: true } => strict(expr, out),
        ExprKind::IsBool { expr, value: Some(_), negated: false } => strict(expr, out),
        ExprKind::IsBool { expr, value: None, negated: true } => strict(expr, out),
        ExprKind::In { expr, .. } => strict(expr, out),
        // True, so the array has an element; of an empty one ANY is false for NULL too.
        ExprKind::AnyAll { expr, array, operator, all: false } if operator.strict => {
            strict(expr, out);
            strict(array, out);
        }
        _ => strict(filter, out),
    }
}

/// The columns whose NULL makes the expression NULL.
fn strict(expr: &Expr, out: &mut BTreeSet<(u16, u16)>) {
    match &expr.kind {
        ExprKind::Column { source, column } => drop(out.insert((*source, *column))),
        ExprKind::Call { function, args, .. } if function.strict => args.iter().for_each(|a| strict(a, out)),
        ExprKind::Relabel(inner) | ExprKind::Not(inner) => strict(inner, out),
        ExprKind::In { expr, .. } => strict(expr, out),
        ExprKind::AnyAll { array, .. } | ExprKind::ArrayCast { array, .. } => strict(array, out),
        ExprKind::Subscript { array, indexes } => {
            strict(array, out);
            indexes.iter().for_each(|i| strict(i, out));
        }
        _ => {}
    }
}
