//! Why a transaction cannot be applied.

use crate::catalogue::{Oid, QualifiedName};
use crate::encode::RowError;
use crate::lsn::EndLsn;
use crate::state::StateError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("a row that {transform} cannot publish, in the transaction that ends at {lsn}: key {key}")]
    Row { transform: String, key: String, lsn: EndLsn, source: RowError },
    #[error("table {table} changed before the transaction that ends at {lsn}: {column} {what}")]
    Drift { table: QualifiedName, column: String, what: &'static str, lsn: EndLsn },
    #[error("gap: {op} of a row of {table} that the state does not hold, in the transaction that ends at {lsn}")]
    MissingRow { table: QualifiedName, op: &'static str, lsn: EndLsn },
    #[error("gap: INSERT of a row of {table} that is there already, in the transaction that ends at {lsn}")]
    DoubleRow { table: QualifiedName, lsn: EndLsn },
    #[error(
        "the server sent a change of relation {oid} without describing it first, in the transaction that ends at {lsn}"
    )]
    UnknownRelation { oid: Oid, lsn: EndLsn },
    #[error("a tuple of {table} has {cells} columns, at least {expected} were announced")]
    ShortTuple { table: QualifiedName, cells: usize, expected: usize },
    #[error("a change of {table} lacks {what}, in the transaction that ends at {lsn}")]
    Incomplete { table: QualifiedName, what: &'static str, lsn: EndLsn },
    #[error("a partition of {table}, of which nothing is stored, was truncated in the transaction that ends at {lsn}")]
    LeafTruncated { table: QualifiedName, lsn: EndLsn },
    #[error("two rows of {transform} have the same key {key} after the transaction that ends at {lsn}")]
    DuplicateKey { transform: String, key: String, lsn: EndLsn },
    #[error("the transaction cannot be read back")]
    Assemble(#[from] crate::assemble::AssembleError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("a row image on disk is damaged")]
    Image(#[from] crate::state::image::BadImage),
    /// A part or a read-back failed; the outlet has kept what happened.
    #[error("the outlet failed")]
    Outlet,
}
