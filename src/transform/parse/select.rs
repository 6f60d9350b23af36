//! The SELECT, of the statement and of its subqueries: its clauses, in the grammar's order. What PostgreSQL would take
//! and we do not is refused by name.

use super::ast::{Cte, Item, Select};
use super::expression::star;
use super::lex::Token;
use super::{ParseError, Parser, keyword};
use crate::transform::codes;

const ONE_ROW: &str = "a row of the topic comes from one row of the root table";
const ALL_ROWS: &str = "every row that passes WHERE is in the topic; write a WHERE";

/// Where a SELECT stands decides which clauses it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Outermost,
    Subquery,
    /// Its outputs are not looked at: `SELECT *` and `SELECT` alone will do.
    Exists,
}

impl Parser<'_> {
    pub(super) fn statement(mut self) -> Result<Select, ParseError> {
        while self.eat_mark(';') {}
        if *self.token() == Token::End {
            return Err(ParseError::new(codes::ONE_SELECT, self.span(), "there is no SELECT in this file")
                .help("write one SELECT behind the header"));
        }
        if !matches!(self.word_at(0), Some("select" | "with")) {
            return Err(ParseError::new(codes::ONE_SELECT, self.span(), "a transform is one SELECT")
                .help("write SELECT … FROM table [WHERE …]"));
        }
        let select = self.select(Place::Outermost)?;
        if self.eat_mark(';') {
            while self.eat_mark(';') {}
            if *self.token() != Token::End {
                return Err(ParseError::new(codes::ONE_SELECT, self.span(), "a second statement in one transform")
                    .help("keep one SELECT per file"));
            }
        }
        self.end()?;
        Ok(select)
    }

    /// `[WITH …] SELECT …` up to what cannot belong to it.
    pub(super) fn select(&mut self, place: Place) -> Result<Select, ParseError> {
        let start = self.span();
        let with = self.with()?;
        match self.word_at(0) {
            Some("select") => self.next(),
            Some("insert" | "update" | "delete" | "merge") => {
                return self.unsupported(self.span(), "changing data is", "a transform only reads: write a SELECT");
            }
            Some("values" | "table") => {
                return self.unsupported(self.span(), "VALUES and TABLE are", "write SELECT … FROM table");
            }
            _ => return self.unexpected("SELECT is expected here"),
        };
        let mut distinct = self.distinct(place)?;
        let items = self.items(place)?;
        // Outputs that are not looked at cannot tell rows apart; any row is as good as its equals.
        distinct &= !items.is_empty();
        self.refused_clause(place)?;
        if !self.eat_word("from") {
            return self.no_from(place);
        }
        let from = self.relation()?;
        let joins = self.joins()?;
        let filter = if self.eat_word("where") { Some(self.expr()?) } else { None };
        let group_by = self.group_by(&items)?;
        let having = if self.eat_word("having") { Some(self.expr()?) } else { None };
        self.refused_clause(place)?;
        let order_by = self.order_by_of_select(&items)?;
        self.refused_clause(place)?;
        let limit = self.limit()?;
        self.refused_clause(place)?;
        let span = self.since(start);
        Ok(Select { with, distinct, items, from, joins, filter, group_by, having, order_by, limit, span })
    }

    /// `WITH name AS (SELECT …), …`
    fn with(&mut self) -> Result<Vec<Cte>, ParseError> {
        let mut with: Vec<Cte> = Vec::new();
        if !self.eat_word("with") {
            return Ok(with);
        }
        // A word that may be a name: `WITH recursive AS (…)` has no recursion.
        if self.is_word(0, "recursive") && !self.is_word(1, "as") {
            return self.unsupported(
                self.span(),
                "WITH RECURSIVE is",
                "store the path in a column, or join as often as there are levels",
            );
        }
        loop {
            let at = self.span();
            let name = self.alias(at)?;
            if with.iter().any(|c| c.name.text == name.text) {
                let message = format!("WITH query name \"{}\" specified more than once", name.text);
                return Err(ParseError::new(codes::SYNTAX, at, message).help("give each its own name"));
            }
            if self.is_mark(0, '(') {
                return self.unsupported(self.span(), "renaming columns in WITH is", "write AS behind the outputs");
            }
            self.expect_word("as")?;
            if self.is_word(0, "not") {
                self.next();
                self.expect_word("materialized")?;
            } else {
                self.eat_word("materialized");
            }
            if self.is_mark(0, '(')
                && let Some("insert" | "update" | "delete" | "merge") = self.word_at(1)
            {
                return self.unsupported(
                    self.lexed(1).span,
                    "changing data in WITH is",
                    "a transform only reads: write a SELECT",
                );
            }
            let select = self.parenthesised_select(Place::Subquery)?;
            with.push(Cte { name, select });
            if !self.eat_mark(',') {
                return Ok(with);
            }
        }
    }

    fn distinct(&mut self, place: Place) -> Result<bool, ParseError> {
        let at = self.span();
        if !self.eat_word("distinct") {
            self.eat_word("all");
            return Ok(false);
        }
        if place == Place::Outermost {
            return self.unsupported(at, "DISTINCT is", ONE_ROW);
        }
        if self.is_word(0, "on") {
            return self.unsupported(
                self.since(at),
                "DISTINCT ON is",
                "write a correlated subquery with ORDER BY and LIMIT 1",
            );
        }
        Ok(true)
    }

    /// None where only the existence of a row counts and nothing, or `*`, is written.
    fn items(&mut self, place: Place) -> Result<Vec<Item>, ParseError> {
        if place == Place::Exists {
            if matches!(self.word_at(0), Some("from")) {
                return Ok(Vec::new());
            }
            if matches!(self.token(), Token::Operator(symbol) if symbol == "*") {
                self.next();
                if self.is_mark(0, ',') {
                    return self.unexpected("* stands alone: EXISTS looks at no output");
                }
                return Ok(Vec::new());
            }
        }
        if self.is_word(0, "from") || *self.token() == Token::End || self.is_mark(0, ')') {
            return self.unexpected("name the outputs between SELECT and FROM");
        }
        let mut items = vec![self.item()?];
        while self.eat_mark(',') {
            items.push(self.item()?);
        }
        Ok(items)
    }

    fn item(&mut self) -> Result<Item, ParseError> {
        if let Token::Operator(symbol) = self.token()
            && symbol == "*"
        {
            return Err(star(self.span()));
        }
        let expr = self.expr()?;
        let at = self.span();
        let alias = if self.eat_word("as") {
            Some(self.any_name(at)?)
        } else {
            match self.token() {
                Token::Word { name, quoted } if *quoted || keyword::may_be_bare_label(name) => Some(self.any_name(at)?),
                _ => None,
            }
        };
        Ok(Item { expr, alias })
    }

    fn no_from<T>(&self, place: Place) -> Result<T, ParseError> {
        match (place, self.token()) {
            (Place::Outermost, Token::End | Token::Mark(';')) => {
                Err(ParseError::new(codes::ONE_SELECT, self.span(), "this SELECT has no FROM")
                    .help("name the root table: one record for each of its rows"))
            }
            (Place::Subquery | Place::Exists, Token::Mark(')')) => {
                self.unsupported(self.span(), "a subquery without FROM is", "write the expression itself")
            }
            (_, Token::Word { name, quoted: false }) if matches!(name.as_str(), "where" | "group" | "having") => {
                self.unsupported(self.span(), "a SELECT without FROM is", "name a table behind FROM")
            }
            _ => self.unexpected("FROM, or a comma and the next output"),
        }
    }

    /// Clauses behind the outputs or the WHERE that PostgreSQL knows.
    fn refused_clause(&self, place: Place) -> Result<(), ParseError> {
        let outermost = place == Place::Outermost;
        let (what, help) = match self.word_at(0) {
            Some("window") => ("WINDOW is", ONE_ROW),
            Some("order") if outermost => ("ORDER BY is", "a topic has the order of the commits; leave ORDER BY out"),
            Some("limit") if outermost => ("LIMIT is", ALL_ROWS),
            Some("offset") if outermost => ("OFFSET is", ALL_ROWS),
            Some("fetch") if outermost => ("FETCH is", ALL_ROWS),
            Some("offset") => ("OFFSET is", "write a WHERE that leaves the first rows out"),
            Some("for") => ("FOR UPDATE and FOR SHARE are", "a transform locks nothing; leave it out"),
            Some("union" | "intersect" | "except") if outermost => {
                ("set operations are", "write one transform for each SELECT")
            }
            Some("union" | "intersect" | "except") => {
                ("set operations are", "write one subquery for each, or OR between their conditions")
            }
            Some("into") => ("INTO is", "a transform writes to its topic alone; leave it out"),
            _ => return Ok(()),
        };
        self.unsupported(self.span(), what, help)
    }
}
