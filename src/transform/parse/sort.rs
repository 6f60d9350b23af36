//! ORDER BY, GROUP BY and LIMIT.
//!
//! A bare constant in a SELECT's ORDER BY or GROUP BY is the place of an output, and a bare name in its ORDER BY is an
//! output's before it is a column's: both become that output's expression, equal in every byte. A name in GROUP BY is a
//! column's before it is an output's, which the binder decides. Within an aggregate's call neither is so.

use super::ast::{Item, Node, NodeKind, OrderBy};
use super::lex::Token;
use super::{ParseError, Parser};
use crate::transform::codes;

impl Parser<'_> {
    /// `ORDER BY …`, or nothing.
    pub(super) fn order_by(&mut self) -> Result<Vec<OrderBy>, ParseError> {
        let mut out = Vec::new();
        if !self.is_word(0, "order") {
            return Ok(out);
        }
        self.next();
        self.expect_word("by")?;
        loop {
            let expr = self.expr()?;
            if self.is_word(0, "using") {
                return self.unsupported(self.span(), "ORDER BY … USING is", "write ASC or DESC");
            }
            let descending = self.eat_word("desc");
            if !descending {
                self.eat_word("asc");
            }
            let mut nulls_first = None;
            if self.eat_word("nulls") {
                nulls_first = Some(self.is_word(0, "first"));
                if !self.eat_word("first") {
                    self.expect_word("last")?;
                }
            }
            out.push(OrderBy { expr, descending, nulls_first });
            if !self.eat_mark(',') {
                return Ok(out);
            }
        }
    }

    pub(super) fn order_by_of_select(&mut self, items: &[Item]) -> Result<Vec<OrderBy>, ParseError> {
        let mut order = self.order_by()?;
        for o in &mut order {
            if let Some(item) = place(items, &o.expr, "ORDER BY")? {
                o.expr = item.expr.clone();
            } else if let NodeKind::Column(names) = &o.expr.kind
                && let [name] = names.as_slice()
            {
                let mut named = items.iter().filter(|i| i.name() == Some(&name.text)).map(|i| &i.expr);
                let Some(first) = named.next() else { continue };
                // Two equal columns differ in their spans alone; their text is the same.
                if named.any(|other| other.to_string() != first.to_string()) {
                    let message = format!("ORDER BY \"{}\" is ambiguous", name.text);
                    return Err(ParseError::new(codes::SYNTAX, o.expr.span, message)
                        .help("two outputs have this name: give them different ones"));
                }
                o.expr = first.clone();
            }
        }
        Ok(order)
    }

    /// `GROUP BY …`, or nothing.
    pub(super) fn group_by(&mut self, items: &[Item]) -> Result<Vec<Node>, ParseError> {
        let mut out = Vec::new();
        if !self.is_word(0, "group") {
            return Ok(out);
        }
        self.next();
        self.expect_word("by")?;
        self.eat_word("all");
        if self.is_word(0, "distinct") {
            return self.unsupported(self.span(), "GROUP BY DISTINCT is", "leave DISTINCT out");
        }
        loop {
            let sets = match self.word_at(0) {
                Some("rollup" | "cube") => self.is_mark(1, '('),
                Some("grouping") => self.is_word(1, "sets"),
                _ => self.is_mark(0, '(') && self.is_mark(1, ')'),
            };
            if sets {
                return self.unsupported(self.span(), "grouping sets are", "write one subquery for each grouping");
            }
            let expr = self.expr()?;
            if let NodeKind::Row(_) = expr.kind {
                return self.unsupported(expr.span, "a row in GROUP BY is", "write its expressions one by one");
            }
            out.push(place(items, &expr, "GROUP BY")?.map_or(expr, |item| item.expr.clone()));
            if !self.eat_mark(',') {
                return Ok(out);
            }
        }
    }

    /// `LIMIT n`, `FETCH FIRST n ROWS ONLY`, or nothing.
    pub(super) fn limit(&mut self) -> Result<Option<Node>, ParseError> {
        if self.eat_word("limit") {
            if self.eat_word("all") {
                return Ok(None);
            }
            let limit = self.expr()?;
            if limit.kind == NodeKind::Null {
                return Ok(None);
            }
            return self.count(limit, "LIMIT").map(Some);
        }
        if !self.eat_word("fetch") {
            return Ok(None);
        }
        if !self.eat_word("first") && !self.eat_word("next") {
            return self.unexpected("FETCH is followed by FIRST");
        }
        let start = self.span();
        let limit = if let Some("row" | "rows") = self.word_at(0) {
            Node { kind: NodeKind::Number("1".to_owned()), span: start }
        } else {
            let limit = self.fetched()?;
            self.count(limit, "FETCH")?
        };
        if !self.eat_word("rows") {
            self.expect_word("row")?;
        }
        if self.is_word(0, "with") {
            return self.unsupported(self.span(), "WITH TIES is", "write ONLY, and an ORDER BY that leaves no ties");
        }
        self.expect_word("only")?;
        Ok(Some(limit))
    }

    fn fetched(&mut self) -> Result<Node, ParseError> {
        let start = self.span();
        match self.token().clone() {
            Token::Number(digits) => {
                self.next();
                Ok(Node { kind: NodeKind::Number(digits), span: start })
            }
            _ => self.unsupported(start, "FETCH of anything but a number is", "write FETCH FIRST 1 ROW ONLY"),
        }
    }

    fn count(&self, limit: Node, clause: &str) -> Result<Node, ParseError> {
        match &limit.kind {
            NodeKind::Number(digits) if digits.parse::<i64>().is_ok_and(|n| n >= 0) => Ok(limit),
            _ => {
                let what = format!("{clause} of anything but a whole number is");
                self.unsupported(limit.span, &what, "write LIMIT 1")
            }
        }
    }
}

/// The output that a bare constant stands for.
fn place<'i>(items: &'i [Item], expr: &Node, clause: &str) -> Result<Option<&'i Item>, ParseError> {
    let message = match &expr.kind {
        NodeKind::Number(digits) => match digits.parse::<i32>() {
            Ok(n) => match usize::try_from(n).ok().and_then(|n| items.get(n.checked_sub(1)?)) {
                Some(item) => return Ok(Some(item)),
                None => format!("{clause} position {n} is not in select list"),
            },
            Err(_) => format!("non-integer constant in {clause}"),
        },
        NodeKind::Text(_) | NodeKind::Bool(_) | NodeKind::Null => format!("non-integer constant in {clause}"),
        _ => return Ok(None),
    };
    Err(ParseError::new(codes::SYNTAX, expr.span, message).help("name the column or write the expression"))
}
