//! Reads tables and types from the server's catalogue.
//!
//! A handful of queries for all wanted tables together, never one per table. Source of truth: the system catalogues of
//! PostgreSQL 14–18, asked by the files of `sql/catalogue`.

use std::collections::HashMap;

mod case_map;
mod foreign_keys;
mod types;

use super::Connection;
pub use super::ask::ReadError;
use super::ask::{Line, Question, oid_array, question};
use crate::catalogue::{
    Catalogue, Check, CollationProvider, Column, Index, Leaf, Oid, QualifiedName, ReplicaIdentity, Server, Table,
    TableKind,
};
pub use case_map::case_map;
pub use foreign_keys::{ForeignKey, foreign_keys};
use types::{Types, collation};

const SERVER: Question = question!("server");
const TABLES: Question = question!("tables");
const COLUMNS: Question = question!("columns");
const INDEXES: Question = question!("indexes");
const CHECKS: Question = question!("checks");
const LEAVES: Question = question!("leaves");
const USER_FUNCTIONS: Question = question!("user_functions");

/// A table as a transform names it: with a schema or, by the search path, without.
pub type Wanted = (Option<String>, String);

/// The wanted tables that exist, in the order asked, each once. A table that does not exist is simply not there.
pub fn read(conn: &mut Connection, wanted: &[Wanted], search_path: &[String]) -> Result<Catalogue, ReadError> {
    let path = serde_json::json!(search_path).to_string();
    let mut catalogue = Catalogue { server: server(conn)?, search_path: search_path.to_vec(), ..Catalogue::default() };

    let wanted = serde_json::json!(wanted).to_string();
    for line in TABLES.ask(conn, &[("wanted", &wanted), ("search_path", &path)])?.lines() {
        let table = table(line)?;
        // One table can be wanted with and without its schema.
        if catalogue.tables.iter().all(|t| t.oid != table.oid) {
            catalogue.tables.push(table);
        }
    }
    let oids = oid_array(catalogue.tables.iter().map(|t| t.oid));
    let oids = [("tables", oids.as_str())];
    let mut types = Types::read(conn, &oids)?;
    let places: HashMap<Oid, usize> = catalogue.tables.iter().enumerate().map(|(i, t)| (t.oid, i)).collect();

    for line in COLUMNS.ask(conn, &oids)?.lines() {
        let column = column(line, &mut types)?;
        owner(&mut catalogue, &places, line)?.columns.push(column);
    }
    for line in INDEXES.ask(conn, &oids)?.lines() {
        let index = index(line)?;
        owner(&mut catalogue, &places, line)?.indexes.push(index);
    }
    for line in CHECKS.ask(conn, &oids)?.lines() {
        let check = Check { name: line.owned("name")?, definition: line.owned("definition")? };
        owner(&mut catalogue, &places, line)?.checks.push(check);
    }
    for line in LEAVES.ask(conn, &oids)?.lines() {
        let leaf = Leaf { oid: line.number("oid")?, name: name(line)?, replica_identity: replica_identity(line)? };
        owner(&mut catalogue, &places, line)?.leaves.push(leaf);
    }
    for line in USER_FUNCTIONS.ask(conn, &[("search_path", &path)])?.lines() {
        catalogue.user_functions.push(name(line)?);
    }
    Ok(catalogue)
}

/// What decides which operations on text are exact.
pub fn server(conn: &mut Connection) -> Result<Server, ReadError> {
    let answer = SERVER.ask(conn, &[])?;
    let line =
        answer.lines().next().ok_or(ReadError::Answer { query: SERVER.name, column: "version_num", value: None })?;
    Ok(Server {
        version_num: line.number("version_num")?,
        encoding: line.owned("encoding")?,
        collate: line.owned("collate")?,
        ctype: line.owned("ctype")?,
        provider: match line.letter("provider")? {
            b'c' => CollationProvider::Libc,
            b'i' => CollationProvider::Icu,
            b'b' => CollationProvider::Builtin,
            _ => return Err(line.wrong("provider")),
        },
    })
}

fn table(line: Line<'_>) -> Result<Table, ReadError> {
    Ok(Table {
        oid: line.number("oid")?,
        name: name(line)?,
        kind: match line.letter("kind")? {
            b'r' => TableKind::Ordinary,
            b'p' => TableKind::Partitioned,
            b'v' => TableKind::View,
            b'm' => TableKind::MaterializedView,
            b'f' => TableKind::Foreign,
            _ => return Err(line.wrong("kind")),
        },
        columns: Vec::new(),
        indexes: Vec::new(),
        checks: Vec::new(),
        replica_identity: replica_identity(line)?,
        row_security: line.bool("row_security")?,
        comment: line.optional("comment")?.map(str::to_owned),
        leaves: Vec::new(),
    })
}

fn column(line: Line<'_>, types: &mut Types) -> Result<Column, ReadError> {
    let resolved = types.resolve(line.number("type_oid")?, line.number("typmod")?)?;
    let mut ty = resolved.ty;
    ty.collation = collation(line.optional("collation")?, line.optional("collation_schema")?);
    Ok(Column {
        name: line.owned("name")?,
        attnum: line.number("attnum")?,
        ty,
        not_null: line.bool("not_null")? || resolved.not_null,
        generated: line.bool("generated")?,
        comment: line.optional("comment")?.map(str::to_owned),
    })
}

fn index(line: Line<'_>) -> Result<Index, ReadError> {
    Ok(Index {
        name: line.owned("name")?,
        columns: line.json("columns")?,
        primary: line.bool("primary")?,
        unique: line.bool("unique")?,
        immediate: line.bool("immediate")?,
        valid: line.bool("valid")?,
        partial: line.bool("partial")?,
    })
}

/// PostgreSQL takes an index identity whose index is gone for none.
pub(super) fn replica_identity(line: Line<'_>) -> Result<ReplicaIdentity, ReadError> {
    Ok(match (line.letter("identity")?, line.optional("identity_index")?) {
        (b'd', _) => ReplicaIdentity::Default,
        (b'f', _) => ReplicaIdentity::Full,
        (b'i', Some(index)) => ReplicaIdentity::Index(index.to_owned()),
        (b'n', _) | (b'i', None) => ReplicaIdentity::Nothing,
        _ => return Err(line.wrong("identity")),
    })
}

pub(super) fn name(line: Line<'_>) -> Result<QualifiedName, ReadError> {
    Ok(QualifiedName { schema: line.owned("schema")?, name: line.owned("name")? })
}

fn owner<'c>(
    catalogue: &'c mut Catalogue,
    places: &HashMap<Oid, usize>,
    line: Line<'_>,
) -> Result<&'c mut Table, ReadError> {
    let place = places.get(&line.number("table_oid")?).copied();
    place.and_then(|i| catalogue.tables.get_mut(i)).ok_or_else(|| line.wrong("table_oid"))
}
