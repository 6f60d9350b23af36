//! ARRAY, ROW and subscripts.

use super::ast::{Node, NodeKind};
use super::select::Place;
use super::{ParseError, Parser};
use crate::diagnostic::Span;

impl Parser<'_> {
    /// `ARRAY(SELECT …)` or `ARRAY[…]`
    pub(super) fn array(&mut self) -> Result<NodeKind, ParseError> {
        self.next();
        if self.is_mark(0, '(') {
            return Ok(NodeKind::ArraySelect(Box::new(self.parenthesised_select(Place::Subquery)?)));
        }
        self.array_elements()
    }

    /// `[a, b]` or `[[a], [b]]`, as behind ARRAY.
    fn array_elements(&mut self) -> Result<NodeKind, ParseError> {
        self.deeper(1)?;
        self.expect_mark('[')?;
        let mut elements = Vec::new();
        if !self.eat_mark(']') {
            // An inner array has no ARRAY before it, or all of them have.
            let nested = self.is_mark(0, '[');
            loop {
                let start = self.span();
                let element = if nested {
                    let kind = self.array_elements()?;
                    Node { kind, span: self.since(start) }
                } else {
                    self.expr()?
                };
                elements.push(element);
                if !self.eat_mark(',') {
                    break;
                }
            }
            self.expect_mark(']')?;
        }
        self.depth -= 1;
        Ok(NodeKind::Array(elements))
    }

    /// `ROW(a, b)`
    pub(super) fn explicit_row(&mut self) -> Result<NodeKind, ParseError> {
        self.next();
        self.expect_mark('(')?;
        let mut fields = Vec::new();
        if !self.eat_mark(')') {
            fields.push(self.expr()?);
            while self.eat_mark(',') {
                fields.push(self.expr()?);
            }
            self.expect_mark(')')?;
        }
        Ok(NodeKind::Row(fields))
    }

    /// The rest of `(first, b, …)`.
    pub(super) fn implicit_row(&mut self, first: Node) -> Result<NodeKind, ParseError> {
        let mut fields = vec![first];
        while self.eat_mark(',') {
            fields.push(self.expr()?);
        }
        self.expect_mark(')')?;
        Ok(NodeKind::Row(fields))
    }

    /// `[1]` and more of them behind a column or a parenthesis, where alone the grammar takes them.
    pub(super) fn subscripts(&mut self, start: Span, mut node: Node) -> Result<Node, ParseError> {
        if self.is_mark(0, '[') && matches!(node.kind, NodeKind::Subscript { .. }) {
            return self.unsupported(
                self.span(),
                "a subscript of a subscript in parentheses is",
                "write the subscripts one behind the other: value[1][2]",
            );
        }
        loop {
            if self.is_mark(0, '.') {
                return self.unsupported(
                    self.span(),
                    "taking a field of a composite value is",
                    "publish the whole value",
                );
            }
            if !self.is_mark(0, '[') {
                return Ok(node);
            }
            let at = self.next().span;
            if self.is_mark(0, ':') {
                return self.slice(at);
            }
            let index = Box::new(self.expr()?);
            if self.is_mark(0, ':') {
                return self.slice(at);
            }
            self.expect_mark(']')?;
            node = Node { kind: NodeKind::Subscript { expr: Box::new(node), index }, span: self.since(start) };
        }
    }

    fn slice<T>(&self, at: Span) -> Result<T, ParseError> {
        let span = Span { start: at.start, end: self.span().end };
        self.unsupported(span, "array slices are", "publish the whole array, or take its elements one by one")
    }
}
