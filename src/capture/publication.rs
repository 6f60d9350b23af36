//! The publication: what the server says of it, and the statements of a plan run.
//!
//! A change of a publication counts per change from its place in the WAL on, also inside transactions that began
//! before it. A load that follows one therefore waits until every older transaction has ended.

use std::time::{Duration, Instant};

mod plan;

use super::ask::{Line, Question, ReadError, oid_array, question};
use super::catalogue::name;
use super::{Connection, Error};
use crate::catalogue::{Catalogue, Oid, QualifiedName};
pub use plan::{Columns, Mode, Plan, changes, plan};

const PUBLICATION: Question = question!("publication");
const MEMBERS: Question = question!("publication_members");
const EFFECT: Question = question!("publication_effect");
const RELATIONS: Question = question!("publication_relations");
const BLOCKERS: Question = question!("blockers");

/// Between two looks at who is still running.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A table that a transform reads, and the columns it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTable {
    pub oid: Oid,
    pub name: QualifiedName,
    pub columns: Vec<String>,
    pub row_security: bool,
    /// Only its INSERTs are read.
    pub inserts_only: bool,
}

/// What the server says, for the planner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub version_num: u32,
    /// Our role has CREATE on the database.
    pub can_create: bool,
    pub publication: Option<Publication>,
    pub relations: Vec<Relation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    pub oid: Oid,
    pub all_tables: bool,
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
    pub truncate: bool,
    pub via_root: bool,
    /// Our role is its owner, or a member of that role.
    pub owned: bool,
    pub members: Vec<Member>,
    pub published: Vec<Published>,
}

/// A table that the publication names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub oid: Oid,
    pub name: QualifiedName,
    /// Its column list.
    pub columns: Option<Vec<String>>,
    pub filtered: bool,
}

/// A relation that the publication sends, for whatever reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub oid: Oid,
    pub name: QualifiedName,
    /// The partitioned tables that it belongs to.
    pub above: Vec<Oid>,
    /// The columns sent; None before PostgreSQL 15, where it is all of them.
    pub columns: Option<Vec<String>>,
    pub filtered: bool,
}

/// A wanted table, or a leaf partition of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub oid: Oid,
    /// The wanted table: itself, or the partitioned table of this leaf.
    pub root: Oid,
    pub name: QualifiedName,
    /// `pg_class.relkind`.
    pub kind: u8,
    /// Neither temporary nor unlogged.
    pub permanent: bool,
    pub identity: Identity,
    pub owned: bool,
}

/// By what an UPDATE or DELETE names its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Columns(Vec<String>),
    Full,
    Nothing,
}

impl Facts {
    pub fn read(conn: &mut Connection, name: &str, wanted: &[WantedTable]) -> Result<Facts, ReadError> {
        let tables = oid_array(wanted.iter().map(|w| w.oid));
        let by_name = [("name", name)];
        let answer = PUBLICATION.ask(conn, &by_name)?;
        let missing = ReadError::Answer { query: answer.query, column: "version_num", value: None };
        let head = answer.lines().next().ok_or(missing)?;
        let mut facts = Facts {
            version_num: head.number("version_num")?,
            can_create: head.bool("can_create")?,
            publication: head.optional("oid")?.map(|_| options(head)).transpose()?,
            relations: Vec::new(),
        };
        if let Some(publication) = &mut facts.publication {
            for line in MEMBERS.ask(conn, &by_name)?.lines() {
                publication.members.push(member(line)?);
            }
            for line in EFFECT.ask(conn, &by_name)?.lines() {
                publication.published.push(published(line)?);
            }
        }
        for line in RELATIONS.ask(conn, &[("tables", &tables)])?.lines() {
            facts.relations.push(relation(line)?);
        }
        Ok(facts)
    }

    /// The relations whose rows the stream sends for a wanted table.
    pub fn sent_for(&self, table: Oid) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(move |r| r.root == table && r.kind == b'r')
    }
}

/// The wanted tables of a plan: (table, used columns). A table that the catalogue does not know is left out: that is
/// the binder's finding.
pub fn wanted_tables<'a>(
    catalogue: &Catalogue,
    used: impl IntoIterator<Item = (&'a QualifiedName, Vec<String>)>,
) -> Vec<WantedTable> {
    let mut wanted: Vec<WantedTable> = Vec::new();
    for (name, columns) in used {
        let Some(table) = catalogue.table(Some(&name.schema), &name.name) else { continue };
        match wanted.iter_mut().find(|w| w.oid == table.oid) {
            Some(w) => w.columns.extend(columns),
            None => wanted.push(WantedTable {
                oid: table.oid,
                name: table.name.clone(),
                columns,
                row_security: table.row_security,
                inserts_only: false,
            }),
        }
    }
    for w in &mut wanted {
        w.columns.sort_unstable();
        w.columns.dedup();
    }
    wanted
}

/// Runs a plan's statements in one transaction. Gives whether there was anything to do.
pub fn apply(conn: &mut Connection, plan: &Plan) -> Result<bool, Error> {
    if plan.statements().is_empty() {
        return Ok(false);
    }
    // One message of several statements is one transaction.
    conn.execute(&plan.statements().join(";\n"))?;
    Ok(true)
}

/// A transaction that others wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    pub pid: Option<u32>,
    /// The name of a prepared transaction, which no process holds.
    pub prepared: Option<String>,
    pub role: Option<String>,
    pub state: Option<String>,
    /// Its last statement, shortened, if our role may see it. May hold values: not for logs.
    pub query: Option<String>,
    pub running_seconds: Option<i64>,
}

/// Waits until every transaction that is older than this call has ended. `on_blockers` gets those that have not, at
/// each look; true is the answer when all have ended, false after `limit`.
pub fn wait_for_older_transactions(
    conn: &mut Connection,
    limit: Duration,
    on_blockers: &mut dyn FnMut(&[Blocker]),
) -> Result<bool, ReadError> {
    let next = Question { name: "next transaction id", sql: "SELECT pg_snapshot_xmax(pg_current_snapshot()) AS xid" };
    let answer = next.ask(conn, &[])?;
    let missing = ReadError::Answer { query: answer.query, column: "xid", value: None };
    let xid = answer.lines().next().ok_or(missing)?.owned("xid")?;
    let until = Instant::now() + limit;
    loop {
        let blockers: Vec<Blocker> =
            BLOCKERS.ask(conn, &[("xid", &xid)])?.lines().map(blocker).collect::<Result<_, _>>()?;
        if blockers.is_empty() {
            return Ok(true);
        }
        on_blockers(&blockers);
        if Instant::now() >= until {
            return Ok(false);
        }
        // The end of a transaction can only be asked for, and nobody unparks this thread.
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

fn options(line: Line<'_>) -> Result<Publication, ReadError> {
    Ok(Publication {
        oid: line.number("oid")?,
        all_tables: line.bool("all_tables")?,
        insert: line.bool("insert")?,
        update: line.bool("update")?,
        delete: line.bool("delete")?,
        truncate: line.bool("truncate")?,
        via_root: line.bool("via_root")?,
        owned: line.bool("owned")?,
        members: Vec::new(),
        published: Vec::new(),
    })
}

fn member(line: Line<'_>) -> Result<Member, ReadError> {
    Ok(Member {
        oid: line.number("oid")?,
        name: name(line)?,
        columns: line.json("columns")?,
        filtered: line.bool("filtered")?,
    })
}

fn published(line: Line<'_>) -> Result<Published, ReadError> {
    Ok(Published {
        oid: line.number("oid")?,
        name: name(line)?,
        above: line.json::<Option<Vec<Oid>>>("above")?.unwrap_or_default(),
        columns: line.json("columns")?,
        filtered: line.bool("filtered")?,
    })
}

fn relation(line: Line<'_>) -> Result<Relation, ReadError> {
    let identity = match (line.letter("identity")?, line.json::<Option<Vec<String>>>("identity_columns")?) {
        (b'f', _) => Identity::Full,
        (_, Some(columns)) => Identity::Columns(columns),
        (_, None) => Identity::Nothing,
    };
    Ok(Relation {
        oid: line.number("oid")?,
        root: line.number("root")?,
        name: name(line)?,
        kind: line.letter("kind")?,
        permanent: line.letter("persistence")? == b'p',
        identity,
        owned: line.bool("owned")?,
    })
}

fn blocker(line: Line<'_>) -> Result<Blocker, ReadError> {
    let owned = |column| line.optional(column).map(|v| v.map(str::to_owned));
    Ok(Blocker {
        pid: line.optional("pid")?.map(|_| line.number("pid")).transpose()?,
        prepared: owned("gid")?,
        role: owned("role")?,
        state: owned("state")?,
        query: owned("query")?,
        running_seconds: line.optional("seconds")?.map(|_| line.number("seconds")).transpose()?,
    })
}
