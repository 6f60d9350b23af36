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
    /// `pgspine-event-id`, of an event.
    pub event_id: Option<Range<u32>>,
    /// Headers that the transaction's own messages ask for (`annotation`); empty where there are none. Records of one
    /// transaction share them.
    pub annotations: Range<u32>,
}

/// Headers one after the other, as they lie in a batch's arena: the name with its NUL, four bytes of length, the value.
pub mod annotation {
    use std::ffi::CStr;

    /// False: the name holds a NUL, and nothing is written.
    pub fn write(name: &str, value: &str, out: &mut Vec<u8>) -> bool {
        if name.bytes().any(|b| b == 0) {
            return false;
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value.as_bytes());
        true
    }

    pub fn each(mut bytes: &[u8]) -> impl Iterator<Item = (&CStr, &[u8])> {
        std::iter::from_fn(move || {
            let name = CStr::from_bytes_until_nul(bytes).ok()?;
            let (length, rest) = bytes.get(name.count_bytes() + 1..)?.split_first_chunk::<4>()?;
            let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            bytes = rest;
            Some((name, value))
        })
    }
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
    pub fn event_id(&self, r: &OutputRecord) -> Option<&[u8]> {
        r.event_id.as_ref().map(|v| &self.arena[v.start as usize..v.end as usize])
    }
    pub fn annotations(&self, r: &OutputRecord) -> &[u8] {
        &self.arena[r.annotations.start as usize..r.annotations.end as usize]
    }
    /// Takes the records from `first` on out, with their bytes; both keep the position.
    pub fn split_off(&mut self, first: usize) -> OutputBatch {
        let records = self.records.split_off(first);
        // Annotations stand before the first record that carries them.
        let begin = |r: &OutputRecord| if r.annotations.is_empty() { r.key.start } else { r.annotations.start };
        let at = records.first().map_or(self.arena.len(), |r| begin(r) as usize);
        let arena = self.arena.split_off(at);
        let moved = |r: Range<u32>| r.start - at as u32..r.end - at as u32;
        let records = records
            .into_iter()
            .map(|r| OutputRecord {
                key: moved(r.key.clone()),
                value: r.value.clone().map(moved),
                event_id: r.event_id.clone().map(moved),
                annotations: if r.annotations.is_empty() { 0..0 } else { moved(r.annotations.clone()) },
                ..r
            })
            .collect();
        OutputBatch { arena, records, end_lsn: self.end_lsn, commit_time: self.commit_time, xid: self.xid }
    }
}
