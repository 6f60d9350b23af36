//! Subqueries as values: `(SELECT …)`, EXISTS, IN, ANY and ALL, `ARRAY(SELECT …)`.
//!
//! PostgreSQL's grammar takes any number of parentheses around a SELECT, and takes `IN ((SELECT …))` for a subquery, not
//! for a list of one: [`Parser::select_ahead`] decides as it does.

use super::ast::{Node, NodeKind, Select};
use super::lex::Token;
use super::select::Place;
use super::{ParseError, Parser};
use crate::diagnostic::Span;

/// What begins a `select_no_parens`.
const SELECT: [&str; 4] = ["select", "with", "values", "table"];

/// A subquery's share of the depth that an expression may have: it takes the stack of about as many levels.
const SUBQUERY_DEPTH: u32 = 4;

impl Parser<'_> {
    /// How many parentheses stand around a SELECT here, and nothing else in them.
    pub(super) fn select_ahead(&self) -> Option<usize> {
        let around = (0..).take_while(|n| self.is_mark(*n, '(')).count();
        if around == 0 || !SELECT.iter().any(|word| self.is_word(around, word)) {
            return None;
        }
        let (mut open, mut n) = (1, around);
        while open > 0 {
            match self.ahead(n) {
                Token::Mark('(') => open += 1,
                Token::Mark(')') => open -= 1,
                // The error is found where the SELECT is read.
                Token::End => return Some(around),
                _ => {}
            }
            n += 1;
        }
        let closed = (0..around - 1).take_while(|more| self.is_mark(n + more, ')')).count();
        // `((SELECT 1) + 1)` begins with an expression in parentheses.
        if closed == around - 1 { Some(around) } else { None }
    }

    pub(super) fn parenthesised_select(&mut self, place: Place) -> Result<Select, ParseError> {
        let Some(around) = self.select_ahead() else {
            self.expect_mark('(')?;
            return self.unexpected("SELECT is expected here");
        };
        self.deeper(SUBQUERY_DEPTH)?;
        for _ in 0..around {
            self.expect_mark('(')?;
        }
        let select = self.select(place)?;
        for _ in 0..around {
            self.expect_mark(')')?;
        }
        self.depth -= SUBQUERY_DEPTH;
        Ok(select)
    }

    /// `(SELECT …)` as a value.
    pub(super) fn scalar_subquery(&mut self) -> Result<NodeKind, ParseError> {
        let select = self.parenthesised_select(Place::Subquery)?;
        if let Some("union" | "intersect" | "except") = self.word_at(0) {
            return self.unsupported(
                self.span(),
                "set operations are",
                "write one subquery for each, or OR between their conditions",
            );
        }
        Ok(NodeKind::Subquery(Box::new(select)))
    }

    pub(super) fn exists(&mut self) -> Result<NodeKind, ParseError> {
        self.next();
        Ok(NodeKind::Exists(Box::new(self.parenthesised_select(Place::Exists)?)))
    }

    /// What stands behind `expr [NOT] IN`.
    pub(super) fn in_list_or_select(&mut self, expr: Box<Node>, negated: bool) -> Result<NodeKind, ParseError> {
        if self.select_ahead().is_some() {
            let select = Box::new(self.parenthesised_select(Place::Subquery)?);
            return Ok(NodeKind::InSelect { expr, select, negated });
        }
        self.expect_mark('(')?;
        let mut list = vec![self.expr()?];
        while self.eat_mark(',') {
            list.push(self.expr()?);
        }
        self.expect_mark(')')?;
        Ok(NodeKind::In { expr, list, negated })
    }

    /// Whether ANY, SOME or ALL stands here, as behind an operator.
    pub(super) fn any_all_ahead(&self) -> bool {
        matches!(self.word_at(0), Some("any" | "some" | "all")) && self.is_mark(1, '(')
    }

    /// `ANY (array)`, `ALL (SELECT …)`, behind `left symbol`.
    pub(super) fn any_all(&mut self, left: Node, symbol: String, at: Span) -> Result<NodeKind, ParseError> {
        let all = self.is_word(0, "all");
        self.next();
        let expr = Box::new(left);
        if self.select_ahead().is_some() {
            let negated = match (symbol.as_str(), all) {
                ("=", false) => false,
                ("<>", true) => true,
                _ => {
                    let what = format!("{symbol} {} (SELECT …) is", if all { "ALL" } else { "ANY" });
                    return self.unsupported(
                        self.since(at),
                        &what,
                        "write [NOT] EXISTS (SELECT … WHERE …) with the comparison in the WHERE",
                    );
                }
            };
            let select = Box::new(self.parenthesised_select(Place::Subquery)?);
            return Ok(NodeKind::InSelect { expr, select, negated });
        }
        self.expect_mark('(')?;
        let array = Box::new(self.expr()?);
        self.expect_mark(')')?;
        Ok(NodeKind::AnyAll { expr, symbol, all, array })
    }
}
