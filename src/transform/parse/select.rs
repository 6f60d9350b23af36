//! The statement: one SELECT over one table. Every clause that PostgreSQL would take and we do not is refused by name.

use super::ast::{FromItem, Item, Name, Relation, Select, TableRef};
use super::expression::{star, subquery};
use super::lex::Token;
use super::{ParseError, Parser, keyword};
use crate::diagnostic::Span;
use crate::transform::codes;

const ONE_ROW: &str = "a row of the topic comes from one row of the root table";

impl Parser<'_> {
    pub(super) fn statement(mut self) -> Result<Select, ParseError> {
        while self.eat_mark(';') {}
        if *self.token() == Token::End {
            return Err(ParseError::new(codes::ONE_SELECT, self.span(), "there is no SELECT in this file")
                .help("write one SELECT behind the header"));
        }
        match self.word_at(0) {
            Some("select") => {}
            Some("with") => {
                return self.unsupported(self.span(), "WITH is", "write the expressions into the SELECT itself");
            }
            _ => {
                return Err(ParseError::new(codes::ONE_SELECT, self.span(), "a transform is one SELECT")
                    .help("write SELECT … FROM table [WHERE …]"));
            }
        }
        let select = self.select()?;
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

    fn select(&mut self) -> Result<Select, ParseError> {
        let start = self.span();
        self.next();
        if let Some("distinct") = self.word_at(0) {
            return self.unsupported(self.span(), "DISTINCT is", ONE_ROW);
        }
        self.eat_word("all");
        if self.is_word(0, "from") || *self.token() == Token::End {
            return self.unexpected("name the outputs between SELECT and FROM");
        }
        let mut items = vec![self.item()?];
        while self.eat_mark(',') {
            items.push(self.item()?);
        }
        self.refused_clause()?;
        if !self.eat_word("from") {
            return match self.token() {
                Token::End | Token::Mark(';') => {
                    Err(ParseError::new(codes::ONE_SELECT, self.span(), "this SELECT has no FROM")
                        .help("name the root table: one record for each of its rows"))
                }
                _ => self.unexpected("FROM, or a comma and the next output"),
            };
        }
        let from = self.from_item()?;
        self.no_join()?;
        let filter = if self.eat_word("where") { Some(self.expr()?) } else { None };
        self.refused_clause()?;
        Ok(Select {
            with: Vec::new(),
            distinct: false,
            items,
            from,
            joins: Vec::new(),
            filter,
            group_by: Vec::new(),
            having: None,
            order_by: Vec::new(),
            limit: None,
            span: self.since(start),
        })
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

    fn from_item(&mut self) -> Result<FromItem, ParseError> {
        let start = self.span();
        if self.is_mark(0, '(') {
            return Err(subquery(start));
        }
        match self.word_at(0) {
            Some("lateral") => return Err(subquery(start)),
            Some("only") => return self.unsupported(start, "ONLY is", "name the table itself"),
            _ => {}
        }
        let mut names = self.qualified_name()?;
        if self.is_mark(0, '(') {
            return self.unsupported(self.since(start), "functions in FROM are", "name a table");
        }
        if let Token::Operator(symbol) = self.token()
            && symbol == "*"
        {
            return self.unsupported(self.span(), "table * is", "name the table itself");
        }
        let (Some(name), schema) = (names.pop(), names.pop()) else {
            return self.unexpected("a table is expected here");
        };
        if !names.is_empty() {
            return self.unsupported(self.since(start), "a table name of three parts is", "write schema.table");
        }
        let span = self.since(start);
        let at = self.span();
        let alias: Option<Name> = if self.eat_word("as") {
            Some(self.alias(at)?)
        } else {
            match self.token() {
                Token::Word { name, quoted } if *quoted || keyword::may_be_column(name) && name != "tablesample" => {
                    Some(self.alias(at)?)
                }
                _ => None,
            }
        };
        if alias.is_some() && self.is_mark(0, '(') {
            return self.unsupported(self.span(), "renaming columns in FROM is", "write AS behind the output");
        }
        Ok(FromItem { relation: Relation::Table(TableRef { schema, name, span }), alias, lateral: false, span })
    }

    fn alias(&mut self, at: Span) -> Result<Name, ParseError> {
        match self.token() {
            Token::Word { name, quoted } if *quoted || keyword::may_be_column(name) => self.any_name(at),
            _ => self.unexpected("an alias is expected here"),
        }
    }

    fn no_join(&self) -> Result<(), ParseError> {
        let span = self.span();
        let join = matches!(self.word_at(0), Some("join" | "inner" | "left" | "right" | "full" | "cross" | "natural"));
        match self.word_at(0) {
            Some("right" | "full" | "cross" | "natural") => self.unsupported(
                span,
                "RIGHT, FULL, CROSS and NATURAL joins are",
                "the root table stands first; joins come with the next version, as JOIN and LEFT JOIN with ON",
            ),
            Some("tablesample") => self.unsupported(span, "TABLESAMPLE is", "write a WHERE"),
            _ if join || self.is_mark(0, ',') => {
                Err(ParseError::new(codes::JOIN, span, "joins are not supported in this version")
                    .help("select from one table; joins and correlated subqueries come with the next version"))
            }
            _ => Ok(()),
        }
    }

    /// Clauses behind the outputs or the WHERE that PostgreSQL knows.
    fn refused_clause(&self) -> Result<(), ParseError> {
        let (what, help) = match self.word_at(0) {
            Some("group") => ("GROUP BY is", ONE_ROW),
            Some("having") => ("HAVING is", ONE_ROW),
            Some("window") => ("WINDOW is", ONE_ROW),
            Some("order") => ("ORDER BY is", "a topic has the order of the commits; leave ORDER BY out"),
            Some("limit") => ("LIMIT is", "every row that passes WHERE is in the topic; write a WHERE"),
            Some("offset") => ("OFFSET is", "every row that passes WHERE is in the topic; write a WHERE"),
            Some("fetch") => ("FETCH is", "every row that passes WHERE is in the topic; write a WHERE"),
            Some("for") => ("FOR UPDATE and FOR SHARE are", "a transform locks nothing; leave it out"),
            Some("union" | "intersect" | "except") => ("set operations are", "write one transform for each SELECT"),
            Some("into") => ("INTO is", "a transform writes to its topic alone; leave it out"),
            _ => return Ok(()),
        };
        self.unsupported(self.span(), what, help)
    }
}
