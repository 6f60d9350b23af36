//! Comparisons of rows, column by column, and arrays of elements.

use super::expression::logic;
use super::query::array_of;
use super::{Binder, Bound, codes};
use crate::catalogue::{ColumnType, Type};
use crate::diagnostic::Span;
use crate::transform::parse::ast::{Node, NodeKind};
use crate::transform::plan::{Expr, ExprKind};

impl Binder<'_> {
    /// `(a, b) = (c, d)` and its relatives; None: no comparison of rows.
    pub(super) fn row_comparison(&self, symbol: &str, left: &Node, right: &Node, span: Span) -> Bound<Option<Expr>> {
        let (NodeKind::Row(left), NodeKind::Row(right)) = (&left.kind, &right.kind) else { return Ok(None) };
        if left.len() != right.len() {
            let message = format!("unequal number of entries in row expressions: {} and {}", left.len(), right.len());
            return Err(self.error(codes::TYPE_MISMATCH, span, message).help("write as many on each side"));
        }
        let pair = |symbol: &str, i: usize| {
            let args = vec![self.expression(&left[i])?, self.expression(&right[i])?];
            self.operator(symbol, span, args, span)
        };
        let all = 0..left.len();
        let expr = match symbol {
            "=" => logic(ExprKind::And(all.map(|i| pair("=", i)).collect::<Bound<_>>()?), span),
            "<>" => logic(ExprKind::Or(all.map(|i| pair("<>", i)).collect::<Bound<_>>()?), span),
            "<" | "<=" | ">" | ">=" => {
                // The first pair that differs decides.
                let strict = &symbol[..1];
                let mut last = None;
                for i in all.rev() {
                    last = Some(match last {
                        None => pair(symbol, i)?,
                        Some(rest) => {
                            let behind = logic(ExprKind::And(vec![pair("=", i)?, rest]), span);
                            logic(ExprKind::Or(vec![pair(strict, i)?, behind]), span)
                        }
                    });
                }
                match last {
                    Some(last) => last,
                    None => return Err(self.no_row(span)),
                }
            }
            _ => {
                let message = format!("rows are not compared with {symbol}");
                return Err(self.error(codes::UNSUPPORTED, span, message).help("write =, <>, <, <=, > or >="));
            }
        };
        Ok(Some(expr))
    }

    /// `(a, b) IN ((1, 2), (3, 4))`
    pub(super) fn row_in(&self, left: &Node, list: &[Node], negated: bool, span: Span) -> Bound<Expr> {
        let mut any = Vec::new();
        for item in list {
            any.push(self.row_comparison("=", left, item, span)?.ok_or_else(|| self.no_row(item.span))?);
        }
        let any = logic(ExprKind::Or(any), span);
        Ok(if negated { logic(ExprKind::Not(Box::new(any)), span) } else { any })
    }

    pub(super) fn no_row(&self, span: Span) -> crate::diagnostic::Diagnostic {
        self.error(codes::UNSUPPORTED, span, "a row of values is supported in comparisons of rows only")
            .help("jsonb_build_object('name', value, …) makes one value of several")
    }

    /// `ARRAY[…]`
    pub(super) fn array(&self, items: &[Node], span: Span) -> Bound<Expr> {
        let items = items.iter().map(|i| self.expression(i)).collect::<Bound<Vec<_>>>()?;
        if items.is_empty() {
            let message = "cannot determine type of empty array";
            return Err(self.error(codes::TYPE_MISMATCH, span, message).help("write '{}'::integer[], say"));
        }
        let (items, mut ty) = self.common(items, "ARRAY", span)?;
        if matches!(ty.ty, Type::Array(_)) && items.iter().any(|i| i.nullable) {
            return Err(self
                .error(codes::NOT_EXACT, span, "an array of arrays that can be NULL is not supported")
                .help("write COALESCE around the elements"));
        }
        let collation = ty.collation.take();
        let array = ColumnType { collation, ..array_of(&ty) };
        Ok(Expr { kind: ExprKind::Array(items), ty: array, nullable: false, span })
    }
}
