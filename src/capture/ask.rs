//! Questions to the server's catalogue: the files of `sql/catalogue`, and their answers read with checks.
//!
//! A parameter stands in the file as psql writes it, `:'name'`, so that psql runs the same file. Only the simple
//! protocol is used: parameters become literals.

use super::rows::{ResultRow, Rows};
use super::{Connection, Error};
use crate::catalogue::{Oid, quote_literal};

/// What can go wrong while the catalogue is read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the catalogue query {query} failed")]
    Query {
        query: &'static str,
        #[source]
        source: Box<Error>,
    },
    #[error("the catalogue query {query} answered {value:?} in column {column}")]
    Answer { query: &'static str, column: &'static str, value: Option<String> },
    #[error("the catalogue query {query} answered without type {oid}")]
    MissingType { query: &'static str, oid: Oid },
    #[error("type {name} is made of itself")]
    RecursiveType { name: String },
}

impl ReadError {
    /// True when the same question, later, may be answered without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            ReadError::Query { source, .. } => source.is_transient(),
            // A table dropped between two of our queries leaves an answer with holes; the next reading has none.
            ReadError::MissingType { .. } => true,
            ReadError::Answer { .. } | ReadError::RecursiveType { .. } => false,
        }
    }
}

/// One file of `sql/catalogue`.
pub(super) struct Question {
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! question {
    ($name:literal) => {
        crate::capture::ask::Question {
            name: $name,
            sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/catalogue/", $name, ".sql")),
        }
    };
}
pub(super) use question;

pub(super) struct Answer {
    pub query: &'static str,
    rows: Rows,
}

/// One row of an answer; values are found by column name.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    query: &'static str,
    row: ResultRow<'a>,
}

impl Question {
    pub fn ask(&self, conn: &mut Connection, parameters: &[(&str, &str)]) -> Result<Answer, ReadError> {
        let mut sql = self.sql.to_owned();
        for (name, value) in parameters {
            sql = sql.replace(&format!(":'{name}'"), &quote_literal(value));
        }
        let rows = conn.query(&sql).map_err(|e| ReadError::Query { query: self.name, source: Box::new(e) })?;
        Ok(Answer { query: self.name, rows })
    }
}

impl Answer {
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.rows.iter().map(|row| Line { query: self.query, row })
    }
}

impl<'a> Line<'a> {
    pub fn optional(&self, column: &'static str) -> Result<Option<&'a str>, ReadError> {
        self.row.get(column).map_err(|_| self.wrong(column))
    }

    pub fn text(&self, column: &'static str) -> Result<&'a str, ReadError> {
        self.optional(column)?.ok_or_else(|| self.wrong(column))
    }

    pub fn owned(&self, column: &'static str) -> Result<String, ReadError> {
        self.text(column).map(str::to_owned)
    }

    pub fn number<T: std::str::FromStr>(&self, column: &'static str) -> Result<T, ReadError> {
        self.text(column)?.parse().map_err(|_| self.wrong(column))
    }

    pub fn bool(&self, column: &'static str) -> Result<bool, ReadError> {
        match self.text(column)? {
            "t" => Ok(true),
            "f" => Ok(false),
            _ => Err(self.wrong(column)),
        }
    }

    /// A `"char"` column: one letter.
    pub fn letter(&self, column: &'static str) -> Result<u8, ReadError> {
        self.text(column)?.bytes().next().ok_or_else(|| self.wrong(column))
    }

    /// A JSON column; SQL NULL reads as JSON null.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, ReadError> {
        serde_json::from_str(self.optional(column)?.unwrap_or("null")).map_err(|_| self.wrong(column))
    }

    pub fn wrong(&self, column: &'static str) -> ReadError {
        let value = self.row.get(column).ok().flatten().map(str::to_owned);
        ReadError::Answer { query: self.query, column, value }
    }
}

/// An array literal of oids: `{1,2}`.
pub(super) fn oid_array(oids: impl IntoIterator<Item = Oid>) -> String {
    let oids: Vec<String> = oids.into_iter().map(|o| o.to_string()).collect();
    format!("{{{}}}", oids.join(","))
}
