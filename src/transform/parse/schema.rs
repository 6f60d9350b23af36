//! `schema.sql`: the snapshot of tables and types, written by `pgspine schema pull`, read into a catalogue.
//!
//! Plain statements in the form of `pg_dump`: CREATE SCHEMA, TYPE (ENUM, RANGE, composite), DOMAIN, TABLE (columns, NOT
//! NULL, PRIMARY KEY, UNIQUE, CHECK, partitions), INDEX, VIEW, EXTENSION, COLLATION, FUNCTION, ALTER TABLE … REPLICA
//! IDENTITY and ADD CONSTRAINT, COMMENT ON: all that `capture::schema_sql` writes. Its first line says what decides about text: `-- pgspine server=15.18 collate=C.UTF-8 provider=libc`. Anything else is a finding, nothing is
//! passed over.

mod table;
mod types;

use std::sync::Arc;

use super::lex::Token;
use super::{ParseError, Parser};
use crate::catalogue::{Catalogue, CollationProvider, ColumnType, CompositeType, EnumType, QualifiedName, Server};
use crate::diagnostic::Span;
use crate::transform::codes;

/// Reads a whole `schema.sql`.
pub fn read(text: &str) -> Result<Catalogue, ParseError> {
    let server = head(text)?;
    let mut reader = Reader {
        parser: Parser::new(text, 0)?,
        catalogue: Catalogue { server, search_path: vec!["public".into()], ..Catalogue::default() },
        enums: Vec::new(),
        composites: Vec::new(),
        domains: Vec::new(),
    };
    while *reader.parser.token() != Token::End {
        if !reader.parser.eat_mark(';') {
            reader.statement()?;
        }
    }
    Ok(reader.catalogue)
}

fn head(text: &str) -> Result<Server, ParseError> {
    let first = text.lines().next().unwrap_or("");
    let span = Span { start: 0, end: first.len() as u32 };
    let wrong = |message: &str| {
        Err(ParseError::new(codes::SCHEMA_SQL, span, message).help(
            "the first line is -- pgspine server=15.18 collate=C.UTF-8 provider=libc; `pgspine schema pull` writes it",
        ))
    };
    let Some(words) = first.strip_prefix("-- pgspine ") else { return wrong("schema.sql has no head line") };
    let mut server = Server::default();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("server", version)) => {
                let mut parts = version.split('.').map(str::parse::<u32>);
                match (parts.next(), parts.next()) {
                    (Some(Ok(major)), Some(Ok(minor))) => server.version_num = major * 10_000 + minor,
                    (Some(Ok(major)), None) => server.version_num = major * 10_000,
                    _ => return wrong("server is no version"),
                }
            }
            Some(("collate", collate)) => server.collate = collate.to_owned(),
            Some(("ctype", ctype)) => server.ctype = ctype.to_owned(),
            Some(("encoding", encoding)) => server.encoding = encoding.to_owned(),
            Some(("provider", "libc")) => server.provider = CollationProvider::Libc,
            Some(("provider", "icu")) => server.provider = CollationProvider::Icu,
            Some(("provider", "builtin")) => server.provider = CollationProvider::Builtin,
            _ => return wrong(&format!("the head line has {word}")),
        }
    }
    Ok(server)
}

struct Reader<'a> {
    parser: Parser<'a>,
    catalogue: Catalogue,
    enums: Vec<Arc<EnumType>>,
    composites: Vec<Arc<CompositeType>>,
    domains: Vec<(QualifiedName, ColumnType)>,
}

type Read<T> = Result<T, ParseError>;

impl Reader<'_> {
    fn statement(&mut self) -> Read<()> {
        let start = self.parser.span();
        let word = |n: usize| self.parser.word_at(n).unwrap_or("").to_owned();
        match (word(0).as_str(), word(1).as_str()) {
            ("create", "schema") => {
                self.skip(2);
                self.parser.qualified_name().map(drop)?;
            }
            // Known by their names, where columns use them.
            ("create", "extension" | "collation") => self.skip_rest(),
            ("create", "type") => self.create_type()?,
            ("create", "domain") => self.create_domain()?,
            ("create", "table") => self.create_table()?,
            ("create", "unique" | "index") => self.create_index()?,
            ("create", "view" | "materialized") => self.create_view()?,
            ("create", "function") => {
                self.skip(2);
                let name = self.name()?;
                self.catalogue.user_functions.push(name);
                self.skip_rest();
            }
            ("alter", "table") => self.alter_table()?,
            ("comment", "on") => self.comment()?,
            ("set", "search_path") => {
                self.skip(2);
                if !matches!(self.parser.next().token, Token::Operator(_)) {
                    return self.unread(start);
                }
                self.catalogue.search_path = self.names(None)?;
            }
            _ => return self.unread(start),
        }
        if self.parser.eat_mark(';') || *self.parser.token() == Token::End {
            return Ok(());
        }
        self.unread(self.parser.span())
    }

    fn unread<T>(&self, span: Span) -> Read<T> {
        Err(ParseError::new(codes::SCHEMA_SQL, span, "schema.sql: this is not read here")
            .help("let `pgspine schema pull` write the file"))
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.parser.next();
        }
    }

    fn name(&mut self) -> Read<QualifiedName> {
        let mut names = self.parser.qualified_name()?;
        let name = names.pop().map(|n| n.text).unwrap_or_default();
        Ok(QualifiedName::new(names.pop().map_or_else(|| "public".to_owned(), |n| n.text), name))
    }

    /// `a, b` or, between marks, `(a, b)`.
    fn names(&mut self, open: Option<char>) -> Read<Vec<String>> {
        if let Some(open) = open {
            self.parser.expect_mark(open)?;
        }
        let mut out = Vec::new();
        loop {
            let at = self.parser.span();
            out.push(self.parser.any_name(at)?.text);
            if !self.parser.eat_mark(',') {
                break;
            }
        }
        if open.is_some() {
            self.parser.expect_mark(')')?;
        }
        Ok(out)
    }

    fn text(&mut self) -> Read<String> {
        match self.parser.next().token {
            Token::Text(text) => Ok(text),
            _ => self.unread(self.parser.span()),
        }
    }

    fn skip_rest(&mut self) {
        while !self.parser.is_mark(0, ';') && *self.parser.token() != Token::End {
            self.parser.next();
        }
    }
}

#[cfg(test)]
mod tests;
