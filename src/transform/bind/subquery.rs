//! Subqueries as expressions, and as shapes of an output.

use std::rc::Rc;

use super::expression::logic;
use super::query::{BoundSelect, array_of};
use super::{Binder, Bound, codes};
use crate::diagnostic::Span;
use crate::transform::parse::ast::{Node, NodeKind, Select};
use crate::transform::plan::{Answer, Expr, ExprKind, Shape, Subquery};

impl Binder<'_> {
    pub(super) fn exists(&self, select: &Select, span: Span) -> Bound<Expr> {
        let bound = self.select(select, None)?;
        if !bound.calls.is_empty() {
            return Err(self
                .error(codes::AGGREGATE, span, "an aggregate has a row for no rows, too: this EXISTS is always true")
                .help("leave the aggregate out, or compare its value"));
        }
        let answer = if bound.limit == Some(0) { None } else { Some(Answer::Exists) };
        let Some(answer) = answer else {
            return Err(self.error(codes::UNSUPPORTED, span, "LIMIT 0 leaves no row").help("leave LIMIT out"));
        };
        let subquery = Subquery { block: bound.block.clone(), answer };
        Ok(logic(ExprKind::Subquery(Box::new(subquery)), span))
    }

    /// The one output of a subquery.
    fn item<'s>(&self, bound: &'s BoundSelect, select: &Select) -> Bound<&'s Shape> {
        match bound.items.as_slice() {
            [item] => Ok(item),
            items => {
                let message = format!("a subquery must return one column here, this one has {}", items.len());
                Err(self
                    .error(codes::TYPE_MISMATCH, select.span, message)
                    .help("jsonb_build_object('name', column, …) makes one value of several"))
            }
        }
    }

    /// `(SELECT …)` as a value.
    pub(super) fn scalar(&self, select: &Select, span: Span) -> Bound<Expr> {
        let bound = self.select(select, None)?;
        let item = self.item(&bound, select)?.expr().clone();
        self.one_row(&bound, select)?;
        let (ty, may_be_null) = (item.ty.clone(), item.nullable);
        let nullable = bound.calls.is_empty() || may_be_null;
        let answer = if bound.calls.is_empty() {
            Answer::Scalar { item, order: bound.order.clone(), first: bound.limit == Some(1) }
        } else {
            Answer::Aggregates { calls: bound.calls.clone(), item }
        };
        let kind = ExprKind::Subquery(Box::new(Subquery { block: bound.block.clone(), answer }));
        Ok(Expr { kind, ty, nullable, span })
    }

    /// A LIMIT that is no 1 changes nothing that PostgreSQL would not refuse; DISTINCT would.
    fn one_row(&self, bound: &BoundSelect, select: &Select) -> Bound<()> {
        if bound.distinct.is_some() {
            return Err(self
                .error(codes::UNSUPPORTED, select.span, "DISTINCT in a subquery that gives one value is not supported")
                .help("write max(…) or min(…) where all values are the same"));
        }
        match bound.limit {
            None | Some(1) => Ok(()),
            Some(_) => Err(self
                .error(codes::UNSUPPORTED, select.span, "LIMIT in a subquery that gives one value is 1 or nothing")
                .help("write LIMIT 1")),
        }
    }

    /// `condition`: NULL and false mean the same where this stands.
    pub(super) fn in_select(
        &self,
        node: &Node,
        select: &Select,
        negated: bool,
        condition: bool,
        span: Span,
    ) -> Bound<Expr> {
        let left = self.expression(node)?;
        let left = self.settle(left)?;
        // Found by IN's own equality, rows that would make the answer NULL are not seen: that is exact where neither side is
        // NULL, or where NULL is as good as false. Elsewhere it is the last resort.
        let with_link = if condition {
            self.select(select, Some(&left))?
        } else {
            match self.select(select, None) {
                Err(finding) if finding.code == codes::NOT_CORRELATED => self.select(select, Some(&left))?,
                bound => bound?,
            }
        };
        let item = self.item(&with_link, select)?.expr().clone();
        if !with_link.calls.is_empty() || with_link.limit.is_some() {
            return Err(self
                .error(codes::UNSUPPORTED, select.span, "aggregates and LIMIT are not supported in IN (SELECT …)")
                .help("compare with = (SELECT …)"));
        }
        let (expr, item, equal) = self.equality(left, item, span)?;
        let (expr, item) = (self.fold(expr)?, self.fold(item)?);
        let nullable = expr.nullable || item.nullable;
        let by_equality = self.linked_by_in(&with_link, &expr, &item);
        if by_equality && nullable && !condition {
            let which = if expr.nullable { "the left side" } else { "the subquery's column" };
            let message = format!("this IN is found by its own equality, and {which} can be NULL");
            return Err(self.error(codes::NOT_CORRELATED, span, message).help(
                "correlate the subquery by another equality, exclude NULL with IS NOT NULL, or write EXISTS (SELECT … WHERE column = …)",
            ));
        }
        let answer = Answer::In { expr, item, equal, negated };
        let kind = ExprKind::Subquery(Box::new(Subquery { block: with_link.block.clone(), answer }));
        Ok(Expr { nullable: nullable && !by_equality, ..logic(kind, span) })
    }

    /// Whether a step of the subquery goes by the equality of IN itself.
    fn linked_by_in(&self, bound: &BoundSelect, expr: &Expr, item: &Expr) -> bool {
        let of = |e: &Expr| {
            let mut columns = Vec::new();
            e.columns(&mut |s, c| columns.push((s, c)));
            columns
        };
        let (left, right) = (of(expr), of(item));
        bound.block.steps.iter().any(|s| {
            s.link
                .columns
                .iter()
                .any(|c| left.contains(&(s.link.parent, c.parent)) && right.contains(&(s.source, c.own)))
        })
    }

    /// `ARRAY(SELECT …)`
    pub(super) fn array_select(&self, select: &Select, span: Span) -> Bound<Expr> {
        let bound = self.select(select, None)?;
        let item = self.item(&bound, select)?.expr().clone();
        let item = self.settle(item)?;
        let ty = array_of(&item.ty);
        let block = bound.block.clone();
        let answer = if bound.calls.is_empty() {
            let order = bound.order.clone();
            let limit = bound.limit.filter(|l| *l != u64::MAX);
            if let (Some(_), [o]) = (bound.distinct, order.as_slice()) {
                self.distinct_by(o, &item)?;
            } else if bound.distinct.is_some() {
                return Err(self
                    .error(codes::UNSUPPORTED, span, "DISTINCT without ORDER BY has no order of its own")
                    .help("add ORDER BY with the output itself"));
            }
            if order.is_empty() && !bound.single {
                self.unordered(&bound, select);
            }
            Answer::Array { item, order, distinct: bound.distinct, limit }
        } else if matches!(item.ty.ty, crate::catalogue::Type::Array(_)) {
            return Err(self
                .error(codes::UNSUPPORTED, span, "an array of the one array that an aggregate gives is not supported")
                .help("write (SELECT array_agg(…) …) alone"));
        } else {
            // One row: an array of one element.
            let array = Expr { kind: ExprKind::Array(vec![item]), ty: ty.clone(), nullable: false, span };
            Answer::Aggregates { calls: bound.calls.clone(), item: array }
        };
        let kind = ExprKind::Subquery(Box::new(Subquery { block, answer }));
        Ok(Expr { kind, ty, nullable: false, span })
    }

    fn distinct_by(&self, order: &crate::transform::plan::Order, item: &Expr) -> Bound<()> {
        if super::query::alike(&order.expr, item) {
            return Ok(());
        }
        Err(self
            .error(
                codes::UNSUPPORTED,
                order.expr.span,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            )
            .help("order by the output itself"))
    }

    fn unordered(&self, bound: &Rc<BoundSelect>, select: &Select) {
        let _ = bound;
        let place = (select.span.start, select.span.end);
        let mut told = self.unordered.borrow_mut();
        if told.contains(&place) {
            return;
        }
        told.push(place);
        let finding = self
            .warning(codes::ORDER_NOT_TOTAL, select.span, "this array has no ORDER BY")
            .help("add one that ends with a unique column; until then elements stand in the order of their keys, and PostgreSQL may answer otherwise");
        self.warnings.borrow_mut().push(finding);
    }

    /// The shape of an output that is a subquery whose item is a record or a list.
    pub(super) fn subquery_shape(&self, node: &Node, expr: &Expr) -> Bound<Option<Shape>> {
        let (select, list) = match &node.kind {
            NodeKind::ArraySelect(select) => (select, true),
            NodeKind::Subquery(select) => (select, false),
            _ => return Ok(None),
        };
        let bound = self.select(select, None)?;
        let [item] = bound.items.as_slice() else { return Ok(None) };
        if !bound.calls.is_empty() || bound.distinct.is_some() || bound.limit.is_some() {
            return Ok(None);
        }
        let (block, item) = (bound.block.clone(), Box::new(item.clone()));
        Ok(match (list, &*item) {
            (true, _) => Some(Shape::List { block, order: bound.order.clone(), item, array: expr.clone() }),
            (false, Shape::Record { .. } | Shape::One { .. } | Shape::Case { .. }) => {
                Some(Shape::One { block, item, json: expr.clone() })
            }
            _ => None,
        })
    }
}
