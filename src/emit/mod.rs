//! 6: records become one Kafka transaction, and the transaction a [`Committed`] position.
//!
//! ```text
//!  OutputBatch ─▶ queue (bounded in bytes) ─▶ emitter thread: begin · records · flush · progress · flush · commit
//!                                                   │                                              │
//!                                                   └ anything doubtful: Answer::Failed, drop       └▶ Answer::Committed
//!  Session::take_over: read progress · init_transactions (fences) · read again · take-over record
//! ```
//!
//! The rule this room keeps (DESIGN I1–I5): only a commit that Kafka has confirmed makes a [`Committed`], and only
//! with one can local state and slot go on. After any doubtful answer the producer is dropped with its transaction
//! open, and the truth is read from the progress topic by the next take-over. Only this room knows rdkafka.

mod client;
pub mod codes;
mod emitter;
mod error;
mod group;
pub mod headers;
mod options;
mod producer;
pub mod progress;
mod queue;
pub mod readback;
mod session;
mod trouble;
pub mod topics;

use std::time::Duration;

use crate::lsn::EndLsn;
use crate::record::OutputBatch;

pub use emitter::Emitter;
pub use error::{EmitError, Remedy};
pub use options::{CommitLimits, Headers, Kind, Options, Timeouts, Topic};
pub use progress::{Cursor, Edit, Progress, ProgressUpdate, TopicProgress, TransformRecord};
pub use queue::Stopped;
pub use session::{Session, newer_generation};
pub use trouble::Denial;

/// Everything up to this position is committed in Kafka. Nobody but the emitter can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Committed(EndLsn);

impl Committed {
    pub fn end_lsn(self) -> EndLsn {
        self.0
    }

    /// For tests of those who demand one.
    #[cfg(test)]
    pub fn in_test(end_lsn: EndLsn) -> Committed {
        Committed(end_lsn)
    }
}

/// What goes to the emitter in one piece and is never divided over two Kafka transactions.
#[derive(Debug, Default)]
pub struct Batch {
    /// May hold no record: progress alone, for an idle database or a new cursor.
    pub output: OutputBatch,
    pub progress: ProgressUpdate,
    /// A part of a split source transaction, or a step of a reconcile: nothing shares its Kafka transaction.
    pub must_commit_alone: bool,
    /// More of the same source transaction follows: it goes into the same Kafka transaction, whatever its size, and
    /// without it nothing of this is committed.
    pub unfinished: bool,
    /// Its source transactions were committed a while before the server sent them: nobody waits for a single record.
    pub behind: bool,
}

/// What the emitter says, from its own thread.
#[derive(Debug)]
pub enum Answer {
    Committed(Commit),
    /// The last word: the emitter has ended, and its producer is dropped. `EmitError::remedy` says what to do.
    Failed(EmitError),
}

/// One committed Kafka transaction.
#[derive(Debug)]
pub struct Commit {
    pub committed: Committed,
    /// By `record::TopicId`.
    pub topics: Vec<TopicCounts>,
    pub batches: u32,
    pub records: u64,
    /// Of keys and values.
    pub bytes: u64,
    /// From the first record to Kafka's answer.
    pub duration: Duration,
    /// The part of it from the last record on: acknowledgements, progress, commit.
    pub closing: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Or events.
    pub upserts: u64,
    pub tombstones: u64,
}
