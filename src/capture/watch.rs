//! The watch over what the stream does not tell: fingerprints of publication and tables, and what differs.
//!
//! Taken after every change that we make ourselves, kept with state and progress, compared at every connect and every
//! few seconds. A difference that we did not make is a gap: rows may have changed without having been sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod compare;

pub use compare::{Consequence, Finding, compare};

use super::Connection;
use super::ask::{Line, Question, ReadError, question};
use crate::catalogue::{Oid, QualifiedName};

const WATCH: Question = question!("watch");

/// Its form as JSON is kept on disk and in Kafka; `version` rises when the meaning of a field changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    pub version: u32,
    /// None: it does not exist.
    pub publication: Option<PublicationPrint>,
    pub tables: Vec<TablePrint>,
}

pub const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationPrint {
    pub oid: Oid,
    /// Insert, update, delete and truncate are all sent.
    pub whole: bool,
    /// Insert is: all that events need.
    #[serde(default = "sent")]
    pub insert: bool,
    pub via_root: bool,
    pub all_tables: bool,
}

/// A print from before there was the field is of a publication that sends everything.
fn sent() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePrint {
    pub schema: String,
    pub name: String,
    /// None: no such table.
    pub found: Option<FoundTable>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTable {
    pub oid: Oid,
    /// `pg_class.relkind`.
    pub kind: char,
    /// `pg_class.relreplident`, and the index behind it.
    pub identity: char,
    pub identity_index: Option<Vec<Oid>>,
    /// `pg_publication_rel.oid`, where the publication names the table.
    pub member: Option<Oid>,
    /// It is sent, whether by name or with a schema or all tables.
    pub published: bool,
    pub list: Option<Vec<String>>,
    pub filter: Option<String>,
    /// Leaf partitions by oid: (schema, name, replica identity).
    pub leaves: BTreeMap<Oid, (String, String, String)>,
    /// Used columns: (attnum, type oid, typmod).
    pub columns: BTreeMap<String, (i16, Oid, i32)>,
    /// Labels of used enums by the label's oid: (type, label).
    pub labels: BTreeMap<Oid, (String, String)>,
}

/// The fingerprints of the tables, each with its used columns, in the order given.
pub fn read(
    conn: &mut Connection,
    publication: &str,
    tables: &[(QualifiedName, Vec<String>)],
) -> Result<Fingerprints, ReadError> {
    let asked: Vec<_> = tables.iter().map(|(t, columns)| (&t.schema, &t.name, columns)).collect();
    let asked = serde_json::json!(asked).to_string();
    let answer = WATCH.ask(conn, &[("publication", publication), ("tables", &asked)])?;
    let mut prints = Fingerprints { version: VERSION, publication: None, tables: Vec::new() };
    for line in answer.lines() {
        prints.publication = line.optional("publication")?.map(|_| publication_print(line)).transpose()?;
        prints.tables.push(TablePrint {
            schema: line.owned("schema")?,
            name: line.owned("name")?,
            found: line.optional("oid")?.map(|_| found(line)).transpose()?,
        });
    }
    Ok(prints)
}

fn publication_print(line: Line<'_>) -> Result<PublicationPrint, ReadError> {
    Ok(PublicationPrint {
        oid: line.number("publication")?,
        whole: line.bool("whole")?,
        insert: line.bool("insert")?,
        via_root: line.bool("via_root")?,
        all_tables: line.bool("all_tables")?,
    })
}

fn found(line: Line<'_>) -> Result<FoundTable, ReadError> {
    let leaves: Option<Vec<(Oid, String, String, String)>> = line.json("leaves")?;
    let columns: Option<Vec<(String, i16, Oid, i32)>> = line.json("columns")?;
    let labels: Option<Vec<(Oid, String, String)>> = line.json("labels")?;
    Ok(FoundTable {
        oid: line.number("oid")?,
        kind: line.letter("kind")?.into(),
        identity: line.letter("identity")?.into(),
        identity_index: line.json("identity_index")?,
        member: line.optional("member")?.map(|_| line.number("member")).transpose()?,
        published: line.bool("published")?,
        list: line.json("list")?,
        filter: line.optional("filter")?.map(str::to_owned),
        leaves: leaves.unwrap_or_default().into_iter().map(|(oid, s, n, i)| (oid, (s, n, i))).collect(),
        columns: columns.unwrap_or_default().into_iter().map(|(name, a, t, m)| (name, (a, t, m))).collect(),
        labels: labels.unwrap_or_default().into_iter().map(|(oid, t, l)| (oid, (t, l))).collect(),
    })
}
