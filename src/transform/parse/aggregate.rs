//! A call's arguments, and what only an aggregate's call has behind them: `*`, DISTINCT, ORDER BY, FILTER.

use super::ast::{Aggregation, Name, Node, NodeKind};
use super::lex::Token;
use super::{ParseError, Parser};
use crate::diagnostic::Span;

impl Parser<'_> {
    /// `(…) [FILTER (WHERE …)]` behind a function's name.
    pub(super) fn arguments(&mut self, start: Span, schema: Option<Name>, name: Name) -> Result<Node, ParseError> {
        let mut aggregation = Aggregation::default();
        let args = self.args(&mut aggregation)?;
        if self.is_word(0, "within") && self.is_word(1, "group") {
            return self.unsupported(
                self.span(),
                "ordered-set aggregates are",
                "publish the values, as array_agg(value ORDER BY value)",
            );
        }
        if self.eat_word("filter") {
            self.expect_mark('(')?;
            self.expect_word("where")?;
            aggregation.filter = Some(Box::new(self.expr()?));
            self.expect_mark(')')?;
        }
        if self.is_word(0, "over") {
            return self.unsupported(
                self.span(),
                "window functions are",
                "a row of the topic comes from one row of the root table; a correlated subquery may count or rank",
            );
        }
        let aggregation = (aggregation != Aggregation::default()).then(|| Box::new(aggregation));
        Ok(Node { kind: NodeKind::Call { schema, name, args, aggregation }, span: self.since(start) })
    }

    fn args(&mut self, aggregation: &mut Aggregation) -> Result<Vec<Node>, ParseError> {
        self.expect_mark('(')?;
        let mut args = Vec::new();
        if self.eat_mark(')') {
            return Ok(args);
        }
        if matches!(self.token(), Token::Operator(symbol) if symbol == "*") && self.is_mark(1, ')') {
            self.next();
            self.next();
            aggregation.star = true;
            return Ok(args);
        }
        aggregation.distinct = self.eat_word("distinct");
        // ALL is what is so without it.
        if !aggregation.distinct {
            self.eat_word("all");
        }
        loop {
            if self.is_word(0, "variadic") {
                return self.unsupported(self.span(), "VARIADIC is", "write the arguments one by one");
            }
            if let Some("select" | "with") = self.word_at(0) {
                return self.unexpected("put parentheses of its own around the subquery");
            }
            args.push(self.expr()?);
            if self.is_mark(0, ':') || matches!(self.token(), Token::Operator(symbol) if symbol == "=>") {
                return self.unsupported(self.span(), "named arguments are", "write the arguments in their order");
            }
            if !self.eat_mark(',') {
                break;
            }
        }
        aggregation.order_by = self.order_by()?;
        self.expect_mark(')')?;
        Ok(args)
    }
}
