//! CASE at the place of an output: a record, or NULL. It is what people write for the record of a LEFT JOIN:
//! `CASE WHEN c.id IS NOT NULL THEN jsonb_build_object('id', c.id, 'name', c.name) END`.
//!
//! Within the record, what the condition says about NULL holds: a row that was found has its NOT NULL columns.

use std::collections::BTreeSet;

use super::expression::logic;
use super::{Binder, Bound, nullable};
use crate::transform::parse::ast::{Node, NodeKind};
use crate::transform::plan::{Expr, ExprKind, Shape};

impl Binder<'_> {
    /// The condition and the record, if there is one branch with a record, and NULL otherwise (or the reverse).
    pub(super) fn record_or_null(&self, node: &Node) -> Bound<Option<(Expr, Shape)>> {
        let NodeKind::Case { operand: None, branches, otherwise } = &node.kind else { return Ok(None) };
        let [(when, then)] = branches.as_slice() else { return Ok(None) };
        let is_null = |node: &Node| matches!(node.kind, NodeKind::Null);
        let (record, negated) = match otherwise {
            Some(otherwise) if is_null(then) => (&**otherwise, true),
            Some(otherwise) if !is_null(otherwise) => return Ok(None),
            _ => (then, false),
        };
        let test = self.expression(when)?;
        let test = self.boolean(test, "CASE/WHEN")?;
        let mut test = self.fold(test)?;
        if negated {
            test = not_true(test);
        }
        // What fails here may stand behind a condition that is never true: the whole expression decides.
        let Ok(item) = self.assuming(&test, || self.shape(record)) else { return Ok(None) };
        Ok(matches!(item, Shape::Record { .. } | Shape::One { .. } | Shape::Case { .. }).then_some((test, item)))
    }

    /// Binds where the condition is true.
    fn assuming<T>(&self, condition: &Expr, bind: impl FnOnce() -> T) -> T {
        let mut columns = BTreeSet::new();
        nullable::implied(condition, &mut columns);
        let before: Vec<(bool, BTreeSet<u16>)> =
            self.sources.borrow().iter().map(|s| (s.left, s.not_null.clone())).collect();
        for (source, column) in columns {
            let source = &mut self.sources.borrow_mut()[usize::from(source)];
            source.not_null.insert(column);
            // A row of NULLs would not have this column.
            source.left = false;
        }
        let bound = bind();
        for (source, (left, not_null)) in self.sources.borrow_mut().iter_mut().zip(before) {
            (source.left, source.not_null) = (left, not_null);
        }
        bound
    }
}

/// True where the condition is false or NULL.
fn not_true(condition: Expr) -> Expr {
    let span = condition.span;
    let kind = match condition.kind {
        ExprKind::IsNull { expr, negated } => ExprKind::IsNull { expr, negated: !negated },
        _ => ExprKind::IsBool { expr: Box::new(condition), value: Some(true), negated: true },
    };
    logic(kind, span)
}
