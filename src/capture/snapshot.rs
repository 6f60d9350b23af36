//! Loads: the rows of some tables as of one position of the stream, and nothing lost between the two.
//!
//! Steps (the order is the rule): ACCESS SHARE on every table, so that none can be rewritten or truncated any more;
//! the publication; the end of every older transaction; a temporary slot, whose exported snapshot and consistent point
//! belong together; the same locks in the reader under that snapshot; then COPY. A table rewritten between the snapshot
//! and its COPY would read as empty.

use std::time::Duration;

pub mod copy_text;

use copy_text::{CopyText, CopyTextError};

use super::ask::ReadError;
use super::connection::CopyError;
use super::options::Options;
use super::publication::{Blocker, wait_for_older_transactions};
use super::{Connection, Error, Mode, connect, slot};
use crate::catalogue::{Oid, QualifiedName, always_quote_ident};
use crate::lsn::Lsn;
use crate::row::Row;

/// A table to load, and the columns in the order in which rows are handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadTable {
    pub oid: Oid,
    pub name: QualifiedName,
    pub columns: Vec<String>,
    /// Read through the root; any other table is read without its inheritance children, as the stream sends it.
    pub partitioned: bool,
}

/// How long the steps may take that wait for others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the lock on one table. While we wait for it, others queue behind us.
    pub lock: Duration,
    /// For transactions older than the publication's change.
    pub older_transactions: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { lock: Duration::from_secs(30), older_transactions: Duration::from_secs(3600) }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the connection for the load failed while {doing}")]
    Connection {
        doing: &'static str,
        #[source]
        source: Box<Error>,
    },
    #[error("{table} could not be locked or read")]
    Table {
        table: QualifiedName,
        #[source]
        source: Box<Error>,
    },
    #[error("the catalogue could not be read")]
    Catalogue(#[from] ReadError),
    #[error("the publication could not be altered")]
    Publication(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("transactions older than the publication's change still run after {waited:?}")]
    OlderTransactions { waited: Duration },
    #[error("a row of {table} is not what COPY writes")]
    Row {
        table: QualifiedName,
        #[source]
        source: CopyTextError,
    },
}

impl LoadError {
    /// True when a new load, later, may go well without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            LoadError::Connection { source, .. } | LoadError::Table { source, .. } => source.is_transient(),
            LoadError::Catalogue(e) => e.is_transient(),
            LoadError::OlderTransactions { .. } => true,
            LoadError::Publication(_) | LoadError::Row { .. } => false,
        }
    }
}

/// A load that has its position and holds its locks. Dropping it ends its transaction and closes its connection.
pub struct Loader {
    reader: Connection,
    consistent_point: Lsn,
    tables: Vec<LoadTable>,
    text: CopyText,
}

impl Loader {
    /// Steps 1 to 4. `publish` alters the publication on a connection of its own, with the tables already locked;
    /// `on_blockers` is told who is waited for.
    pub fn begin<P>(
        options: &Options,
        mut tables: Vec<LoadTable>,
        limits: Limits,
        publish: impl FnOnce(&mut Connection) -> Result<(), P>,
        on_blockers: &mut dyn FnMut(&[Blocker]),
    ) -> Result<Loader, LoadError>
    where
        P: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Everybody who locks several tables in one order waits, and never deadlocks.
        tables.sort_by(|a, b| a.name.cmp(&b.name));

        let mut locks = open(options, Mode::Sql, "connecting")?;
        run(&mut locks, "locking", "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")?;
        run(&mut locks, "locking", &format!("SET LOCAL lock_timeout = {}", limits.lock.as_millis()))?;
        lock_all(&mut locks, &tables)?;

        let mut publisher = open(options, Mode::Sql, "connecting")?;
        publish(&mut publisher).map_err(|e| LoadError::Publication(e.into()))?;
        if !wait_for_older_transactions(&mut publisher, limits.older_transactions, on_blockers)? {
            return Err(LoadError::OlderTransactions { waited: limits.older_transactions });
        }
        drop(publisher);

        let name = format!("pgspine_load_{}_{}", std::process::id(), locks.backend_pid());
        let exported = slot::create_temporary(open(options, Mode::Replication, "connecting")?, &name)
            .map_err(|e| failed("making the slot", e))?;
        let mut reader = open(options, Mode::Sql, "connecting")?;
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; SET LOCAL row_security = off",
            crate::catalogue::quote_literal(&exported.snapshot)
        );
        run(&mut reader, "taking the snapshot", &begin)?;
        // From here on the reader's own locks hold the tables, and its snapshot lives without the slot's.
        lock_all(&mut reader, &tables)?;
        let consistent_point = exported.consistent_point;
        drop(exported);
        drop(locks);
        Ok(Loader { reader, consistent_point, tables, text: CopyText::default() })
    }

    /// The rows are those of every transaction whose commit ends at or before this position.
    pub fn consistent_point(&self) -> Lsn {
        self.consistent_point
    }

    pub fn tables(&self) -> &[LoadTable] {
        &self.tables
    }

    /// About how many rows a table has (`pg_class.reltuples`), for progress; None where it was never analysed.
    pub fn estimated_rows(&mut self, table: Oid) -> Result<Option<u64>, LoadError> {
        let sql = format!(
            "SELECT sum(c.reltuples) FILTER (WHERE c.reltuples >= 0)::bigint AS rows FROM pg_class AS c \
             WHERE c.oid = {table} OR (c.relkind = 'r' AND c.oid IN (SELECT relid FROM pg_partition_tree({table})))"
        );
        let rows = self.reader.query(&sql).map_err(|e| failed("estimating", e))?;
        let row = rows.single().map_err(|e| failed("estimating", e))?;
        row.maybe("rows").map_err(|e| failed("estimating", e))
    }

    /// Hands every row of the table to `take`, in no order; gives their number. After an error of `take` this load
    /// cannot go on.
    pub fn copy<E: From<LoadError>>(
        &mut self,
        table: &LoadTable,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let sql = format!("COPY ({}) TO STDOUT", select(table));
        let (text, columns) = (&mut self.text, table.columns.len());
        let mut refused = None;
        let copied = self.reader.copy_out::<Stop>(&sql, &mut |line| {
            let taken = match text.row(line, columns, &mut *take) {
                Ok(taken) => taken,
                Err(source) => Err(LoadError::Row { table: table.name.clone(), source }.into()),
            };
            taken.map_err(|e| {
                refused = Some(e);
                Stop
            })
        });
        match (copied, refused) {
            (_, Some(e)) => Err(e),
            (Ok(rows), None) => Ok(rows),
            (Err(CopyError::Connection(e)), None) => {
                Err(LoadError::Table { table: table.name.clone(), source: Box::new(e) }.into())
            }
            (Err(CopyError::Sink(Stop)), None) => {
                Err(LoadError::Table { table: table.name.clone(), source: Box::new(Error::Stopped) }.into())
            }
        }
    }

    /// Ends the transaction; the locks are gone when this returns.
    pub fn finish(mut self) -> Result<(), LoadError> {
        run(&mut self.reader, "ending the load", "COMMIT")
    }
}

/// The rows as they are now, without lock, slot or position, until `take` wants no more: for a look. The connection
/// cannot be used after it was stopped.
pub fn peek(conn: &mut Connection, table: &LoadTable, take: &mut dyn FnMut(Row<'_>) -> bool) -> Result<(), LoadError> {
    let sql = format!("COPY ({}) TO STDOUT", select(table));
    let mut text = CopyText::default();
    let mut damaged = None;
    let copied = conn.copy_out::<Stop>(&sql, &mut |line| {
        let more = text.row(line, table.columns.len(), |row| if take(row) { Ok(()) } else { Err(Stop) });
        match more {
            Ok(taken) => taken,
            Err(source) => {
                damaged = Some(LoadError::Row { table: table.name.clone(), source });
                Err(Stop)
            }
        }
    });
    match (copied, damaged) {
        (_, Some(e)) => Err(e),
        (Ok(_) | Err(CopyError::Sink(Stop)), None) => Ok(()),
        (Err(CopyError::Connection(e)), None) => {
            Err(LoadError::Table { table: table.name.clone(), source: Box::new(e) })
        }
    }
}

/// The one who takes the rows wants no more; why is kept beside.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stop;

/// Planning the SELECT takes ACCESS SHARE on the table, its partitions too, and needs no more than SELECT on the columns.
fn lock_all(conn: &mut Connection, tables: &[LoadTable]) -> Result<(), LoadError> {
    for table in tables {
        conn.execute(&format!("{} LIMIT 0", select(table)))
            .map_err(|e| LoadError::Table { table: table.name.clone(), source: Box::new(e) })?;
    }
    Ok(())
}

fn select(table: &LoadTable) -> String {
    let columns: Vec<String> = table.columns.iter().map(|c| always_quote_ident(c)).collect();
    let only = if table.partitioned { "" } else { "ONLY " };
    format!("SELECT {} FROM {only}{}", columns.join(", "), table.name.to_sql())
}

fn open(options: &Options, mode: Mode, doing: &'static str) -> Result<Connection, LoadError> {
    connect(options, mode).map_err(|e| failed(doing, e))
}

fn run(conn: &mut Connection, doing: &'static str, sql: &str) -> Result<(), LoadError> {
    conn.execute(sql).map_err(|e| failed(doing, e))
}

fn failed(doing: &'static str, e: Error) -> LoadError {
    LoadError::Connection { doing, source: Box::new(e) }
}
