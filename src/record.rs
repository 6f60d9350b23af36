//! Records on their way to Kafka, in batches without an allocation per record.

use std::ops::Range;

use crate::lsn::{EndLsn, Lsn};

/// Index into the emitter's list of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Stream,
    Reconcile,
    Replay,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Stream => "stream",
            Origin::Reconcile => "reconcile",
            Origin::Replay => "replay",
        }
    }
}

/// One record; key and value lie in the batch's arena.
#[derive(Clone, Debug)]
pub struct OutputRecord {
    pub topic: TopicId,
    pub partition: i32,
    pub key: Range<u32>,
    /// None: a tombstone.
    pub value: Option<Range<u32>>,
    /// Milliseconds since 1970, never in the future.
    pub timestamp: i64,
    /// `pgspine-lsn`
    pub lsn: Lsn,
    /// `pgspine-seq`: from 0 within one source transaction or reconcile, over all topics.
    pub seq: u64,
    pub origin: Origin,
    /// `pgspine-xid` and `pgspine-committed-at`, which only headers = "full" writes.
    pub xid: u32,
    /// `1/more`, `7/last` on a split transaction: (part, is the last).
    pub part: Option<(u32, bool)>,
}

/// Records of one or several whole source transactions (or one part of a split one, or a step of a reconcile).
#[derive(Debug, Default)]
pub struct OutputBatch {
    pub arena: Vec<u8>,
    pub records: Vec<OutputRecord>,
    /// All source transactions up to here are in this or an earlier batch, or need no record.
    pub end_lsn: EndLsn,
    /// The last source transaction covered: microseconds since 2000-01-01, and its xid; 0 where there was none yet.
    pub commit_time: i64,
    pub xid: u32,
}

impl OutputBatch {
    pub fn key(&self, r: &OutputRecord) -> &[u8] {
        &self.arena[r.key.start as usize..r.key.end as usize]
    }
    pub fn value(&self, r: &OutputRecord) -> Option<&[u8]> {
        r.value.as_ref().map(|v| &self.arena[v.start as usize..v.end as usize])
    }
    /// Takes the records from `first` on out, with their bytes; both keep the position.
    pub fn split_off(&mut self, first: usize) -> OutputBatch {
        let records = self.records.split_off(first);
        let at = records.first().map_or(self.arena.len(), |r| r.key.start as usize);
        let arena = self.arena.split_off(at);
        let moved = |r: Range<u32>| r.start - at as u32..r.end - at as u32;
        let records = records
            .into_iter()
            .map(|r| OutputRecord { key: moved(r.key.clone()), value: r.value.clone().map(moved), ..r })
            .collect();
        OutputBatch { arena, records, end_lsn: self.end_lsn, commit_time: self.commit_time, xid: self.xid }
    }
}
