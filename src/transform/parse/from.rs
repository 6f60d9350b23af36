//! FROM: tables, derived tables, and their joins. A join is inner or LEFT, with ON; every other form is refused with the
//! join to write instead.

use super::ast::{FromItem, Join, Name, Relation, TableRef};
use super::lex::Token;
use super::select::Place;
use super::{ParseError, Parser, keyword};
use crate::diagnostic::Span;
use crate::transform::codes;

impl Parser<'_> {
    /// `table [[AS] alias]`, `[LATERAL] (SELECT …) [AS] alias`
    pub(super) fn relation(&mut self) -> Result<FromItem, ParseError> {
        let start = self.span();
        let lateral = self.eat_word("lateral");
        if self.is_mark(0, '(') {
            return self.derived_table(start, lateral);
        }
        if self.is_word(0, "only") {
            return self.unsupported(self.span(), "ONLY is", "name the table itself");
        }
        if self.is_word(0, "rows") && self.is_word(1, "from") && self.is_mark(2, '(') {
            return self.unsupported(self.span(), "functions in FROM are", "name a table");
        }
        let mut names = self.qualified_name()?;
        if self.is_mark(0, '(') || lateral {
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
        let alias = self.relation_alias()?;
        if self.is_word(0, "tablesample") {
            return self.unsupported(self.span(), "TABLESAMPLE is", "write a WHERE");
        }
        Ok(FromItem { relation: Relation::Table(TableRef { schema, name, span }), alias, lateral: false, span })
    }

    fn derived_table(&mut self, start: Span, lateral: bool) -> Result<FromItem, ParseError> {
        if self.select_ahead().is_none() {
            return self.refused_join(self.span(), "joins in parentheses are", "write the joins one behind the other");
        }
        let select = self.parenthesised_select(Place::Subquery)?;
        let span = self.since(start);
        let alias = self.relation_alias()?;
        if alias.is_none() {
            return self.unexpected("a subquery in FROM must have an alias: (SELECT …) AS name");
        }
        Ok(FromItem { relation: Relation::Select(Box::new(select)), alias, lateral, span })
    }

    fn relation_alias(&mut self) -> Result<Option<Name>, ParseError> {
        let at = self.span();
        let alias = if self.eat_word("as") {
            Some(self.alias(at)?)
        } else {
            match self.token() {
                Token::Word { name, quoted } if *quoted || keyword::may_be_column(name) => Some(self.alias(at)?),
                _ => None,
            }
        };
        if alias.is_some() && self.is_mark(0, '(') {
            return self.unsupported(self.span(), "renaming columns in FROM is", "write AS behind the output");
        }
        Ok(alias)
    }

    /// What names a table, a derived table or a CTE.
    pub(super) fn alias(&mut self, at: Span) -> Result<Name, ParseError> {
        match self.token() {
            Token::Word { name, quoted } if *quoted || keyword::may_be_column(name) => self.any_name(at),
            _ => self.unexpected("an alias is expected here"),
        }
    }

    /// Everything in FROM behind its first item.
    pub(super) fn joins(&mut self) -> Result<Vec<Join>, ParseError> {
        let mut joins = Vec::new();
        loop {
            let start = self.span();
            let left = match self.word_at(0) {
                Some("join") => false,
                Some("inner") => {
                    self.next();
                    false
                }
                Some("left") => {
                    self.next();
                    self.eat_word("outer");
                    true
                }
                _ if self.is_mark(0, ',') => {
                    return self.refused_join(
                        start,
                        "a comma between tables is",
                        "write JOIN … ON, with the equality from the WHERE",
                    );
                }
                Some("right") => {
                    return self.refused_join(
                        start,
                        "RIGHT JOIN is",
                        "name the tables in the other order, with LEFT JOIN: the root table stands first",
                    );
                }
                Some("full") => {
                    return self.refused_join(
                        start,
                        "FULL JOIN is",
                        "write LEFT JOIN: the root table stands first, and a record comes from one of its rows",
                    );
                }
                Some("cross") => {
                    return self.refused_join(start, "CROSS JOIN is", "write JOIN … ON a.column = b.column");
                }
                Some("natural") => {
                    return self.refused_join(
                        start,
                        "NATURAL JOIN is",
                        "write JOIN … ON a.column = b.column: a new column would change a natural join",
                    );
                }
                _ => return Ok(joins),
            };
            self.expect_word("join")?;
            let item = self.relation()?;
            if self.is_word(0, "using") {
                let column = match (self.ahead(1), self.ahead(2)) {
                    (Token::Mark('('), Token::Word { name, .. }) => name.clone(),
                    _ => "key".to_owned(),
                };
                let help = format!("write ON a.{column} = b.{column}");
                return self.refused_join(self.span(), "USING is", &help);
            }
            if let Some("join" | "inner" | "left" | "right" | "full" | "cross" | "natural") = self.word_at(0) {
                return self.refused_join(
                    self.span(),
                    "a join within a join is",
                    "write each ON right behind its table",
                );
            }
            if !self.eat_word("on") {
                return self.unexpected("ON and the condition of the join are expected here");
            }
            let on = self.expr()?;
            joins.push(Join { left, item, on, span: self.since(start) });
        }
    }

    fn refused_join<T>(&self, span: Span, what: &str, help: &str) -> Result<T, ParseError> {
        Err(ParseError::new(codes::JOIN, span, format!("{what} not supported in a transform")).help(help))
    }
}
