//! Walks over everything that a plan holds: expressions, those of its subqueries too, and the columns of its links.

use super::plan::{AggregateCall, Answer, Block, Expr, ExprKind, Link, Order, Plan, Shape, Subquery};

/// What a walk meets.
pub trait Visitor {
    /// Each expression, before the ones inside it.
    fn expr(&mut self, _: &Expr) {}
    /// Each step's source and its link.
    fn link(&mut self, _source: u16, _: &Link) {}
}

/// The same with leave to change.
pub trait VisitorMut {
    fn expr(&mut self, _: &mut Expr) {}
    fn link(&mut self, _source: u16, _: &mut Link) {}
}

macro_rules! walks {
    ($visitor:ident, $visit:ident, $iter:ident $(, $mut:tt)?) => {
        impl Plan {
            pub fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                self.block.$visit(v);
                self.outputs.$iter().for_each(|o| o.shape.$visit(v));
            }
        }

        impl Block {
            pub fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                for step in self.steps.$iter() {
                    v.link(step.source, &$($mut)? step.link);
                    step.on.$iter().for_each(|e| e.$visit(v));
                }
                self.filter.$iter().for_each(|e| e.$visit(v));
            }
        }

        impl Shape {
            pub fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                match self {
                    Shape::Scalar(e) => e.$visit(v),
                    Shape::Record { fields, json } => {
                        fields.$iter().for_each(|f| f.shape.$visit(v));
                        json.$visit(v);
                    }
                    Shape::List { block, order, item, array } => {
                        block.$visit(v);
                        order.$iter().for_each(|o| o.$visit(v));
                        item.$visit(v);
                        array.$visit(v);
                    }
                    Shape::One { block, item, json } => {
                        block.$visit(v);
                        item.$visit(v);
                        json.$visit(v);
                    }
                    Shape::Case { when, item, json } => {
                        when.$visit(v);
                        item.$visit(v);
                        json.$visit(v);
                    }
                }
            }
        }

        impl Order {
            fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                self.expr.$visit(v);
            }
        }

        impl AggregateCall {
            fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                self.args.$iter().for_each(|e| e.$visit(v));
                self.order.$iter().for_each(|o| o.$visit(v));
                self.filter.$iter().for_each(|e| e.$visit(v));
            }
        }

        impl Subquery {
            fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                self.block.$visit(v);
                match &$($mut)? self.answer {
                    Answer::Exists => {}
                    Answer::In { expr, item, .. } => {
                        expr.$visit(v);
                        item.$visit(v);
                    }
                    Answer::Scalar { item, order, .. } | Answer::Array { item, order, .. } => {
                        item.$visit(v);
                        order.$iter().for_each(|o| o.$visit(v));
                    }
                    Answer::Aggregates { calls, item } => {
                        calls.$iter().for_each(|c| c.$visit(v));
                        item.$visit(v);
                    }
                }
            }
        }

        impl Expr {
            pub fn $visit(&$($mut)? self, v: &mut dyn $visitor) {
                v.expr(self);
                match &$($mut)? self.kind {
                    ExprKind::Column { .. } | ExprKind::Constant(_) | ExprKind::Aggregate(_) => {}
                    ExprKind::Subquery(s) => s.$visit(v),
                    ExprKind::Call { args, .. }
                    | ExprKind::Coalesce(args)
                    | ExprKind::Extreme { args, .. }
                    | ExprKind::And(args)
                    | ExprKind::Or(args)
                    | ExprKind::Array(args) => args.$iter().for_each(|e| e.$visit(v)),
                    ExprKind::Relabel(e) | ExprKind::Not(e) => e.$visit(v),
                    ExprKind::IsNull { expr, .. } | ExprKind::IsBool { expr, .. } => expr.$visit(v),
                    ExprKind::IsDistinct { left, right, .. } | ExprKind::NullIf { left, right, .. } => {
                        left.$visit(v);
                        right.$visit(v);
                    }
                    ExprKind::AnyAll { expr, array, .. } => {
                        expr.$visit(v);
                        array.$visit(v);
                    }
                    ExprKind::ArrayCast { array, .. } => array.$visit(v),
                    ExprKind::Subscript { array, indexes } => {
                        array.$visit(v);
                        indexes.$iter().for_each(|e| e.$visit(v));
                    }
                    ExprKind::In { expr, list, .. } => {
                        expr.$visit(v);
                        list.$iter().for_each(|(e, _)| e.$visit(v));
                    }
                    ExprKind::Case { branches, otherwise } => {
                        for (when, then) in branches.$iter() {
                            when.$visit(v);
                            then.$visit(v);
                        }
                        otherwise.$iter().for_each(|e| e.$visit(v));
                    }
                }
            }
        }
    };
}

walks!(Visitor, visit, iter);
walks!(VisitorMut, visit_mut, iter_mut, mut);

/// The columns that an expression reads, as (source, column).
impl Expr {
    pub fn columns(&self, each: &mut dyn FnMut(u16, u16)) {
        self.visit(&mut Columns(each));
    }
}

/// Calls with every column, of links too.
pub struct Columns<'e>(pub &'e mut dyn FnMut(u16, u16));

impl Visitor for Columns<'_> {
    fn expr(&mut self, e: &Expr) {
        if let ExprKind::Column { source, column } = e.kind {
            (self.0)(source, column);
        }
    }
    fn link(&mut self, source: u16, link: &Link) {
        for c in &link.columns {
            (self.0)(source, c.own);
            (self.0)(link.parent, c.parent);
        }
    }
}

/// Numbers columns anew.
pub struct Renumber<'e>(pub &'e dyn Fn(u16, u16) -> u16);

impl VisitorMut for Renumber<'_> {
    fn expr(&mut self, e: &mut Expr) {
        if let ExprKind::Column { source, column } = &mut e.kind {
            *column = (self.0)(*source, *column);
        }
    }
    fn link(&mut self, source: u16, link: &mut Link) {
        for c in &mut link.columns {
            c.own = (self.0)(source, c.own);
            c.parent = (self.0)(link.parent, c.parent);
        }
    }
}
