//! What a committed source transaction did, in the order in which it did it.

use crate::catalogue::Oid;
use crate::lsn::EndLsn;
use crate::relation::Relation;
use crate::row::Tuple;

/// Who committed, where and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    pub xid: u32,
    pub end_lsn: EndLsn,
    /// Microseconds since 2000-01-01 00:00:00 UTC, as PostgreSQL counts.
    pub commit_time: i64,
}

/// One step of a transaction. Tuples are in the order of the Relation that was valid when the change was written:
/// `Relation` steps come in between where the server sent them, and hold from there on, for later transactions too.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<'a> {
    Relation(Relation),
    Insert {
        relation: Oid,
        new: Tuple<'a>,
    },
    Update {
        relation: Oid,
        old: OldTuple<'a>,
        new: Tuple<'a>,
    },
    Delete {
        relation: Oid,
        old: OldTuple<'a>,
    },
    Truncate {
        relations: Vec<Oid>,
        cascade: bool,
        restart_identity: bool,
    },
    /// `pg_logical_emit_message`, transactional.
    Message {
        prefix: &'a str,
        content: &'a [u8],
    },
}

/// The old tuple of an UPDATE or DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// UPDATE that changed no column of the replica identity.
    Absent,
    /// The columns of the replica identity; all others read as NULL without meaning it.
    Key(Tuple<'a>),
    /// REPLICA IDENTITY FULL.
    Full(Tuple<'a>),
}
