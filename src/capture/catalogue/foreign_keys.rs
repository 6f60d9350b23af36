//! Foreign keys: which tables hang on a table. Nothing depends on them but drafts.

use super::super::Connection;
use super::super::ask::{Question, ReadError, oid_array, question};
use super::name;
use crate::catalogue::{Oid, QualifiedName};

const FOREIGN_KEYS: Question = question!("foreign_keys");

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that refers.
    pub child: QualifiedName,
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub parent: Oid,
    /// Its columns, in the order of `columns`.
    pub referenced: Vec<String>,
}

/// Those that refer to `parent`, by the name of the referring table.
pub fn foreign_keys(conn: &mut Connection, parent: Oid) -> Result<Vec<ForeignKey>, ReadError> {
    let tables = oid_array(std::iter::once(parent));
    let mut out = Vec::new();
    for line in FOREIGN_KEYS.ask(conn, &[("tables", &tables)])?.lines() {
        out.push(ForeignKey {
            child: name(line)?,
            columns: line.json("columns")?,
            parent: line.number("table_oid")?,
            referenced: line.json("referenced")?,
        });
    }
    Ok(out)
}
