//! The records of one source transaction on their way out: numbered, cut into parts, set aside where they are many.

use std::ops::Range;

use crate::change::CommitInfo;
use crate::clock;
use crate::encode::partition;
use crate::lsn::EndLsn;
use crate::record::{Origin, OutputBatch, OutputRecord, TopicId};

use super::annotate::Annotations;
use super::{EngineError, Mode, Outlet, Part, SplitLimits};

/// Where the transaction that is being told stands.
#[derive(Default)]
pub(super) struct Outgoing {
    info: Option<CommitInfo>,
    stamp: Option<Stamp>,
    first: usize,
    arena_begin: usize,
    seq: u64,
    skip: u64,
    part: u32,
    /// Bytes of records that may stay in `out`.
    room: usize,
    /// Records and bytes of the part that the outlet has set aside.
    aside: (usize, usize),
    pub annotations: Annotations,
}

impl Outgoing {
    /// Nothing of the next transaction is in `out`.
    pub fn mark(&mut self, out: &OutputBatch) {
        self.annotations.moved_on();
        self.first = out.records.len();
        self.arena_begin = out.arena.len();
    }

    /// What of the transaction has not gone out is taken back.
    pub fn take_back(&mut self, out: &mut OutputBatch) {
        out.records.truncate(self.first);
        out.arena.truncate(self.arena_begin);
    }

    /// The transaction whose records these are.
    pub fn info(&self) -> &CommitInfo {
        self.info.as_ref().expect("begin was called")
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn begin(&mut self, info: &CommitInfo, mode: Mode, out: &OutputBatch, room: usize) {
        self.info = Some(*info);
        self.stamp = Some(Stamp::new(info));
        self.mark(out);
        self.seq = 0;
        self.room = room;
        self.aside = (0, 0);
        (self.skip, self.part) = match mode {
            Mode::Emit { skip } => (skip, 0),
            Mode::Resume { skip, parts } => (skip, parts),
            // Whatever it is, Kafka has it.
            Mode::Replay => (u64::MAX, 0),
        };
    }

    /// The transaction's last records are in `out`.
    pub fn finish(&mut self, out: &mut OutputBatch, outlet: &mut dyn Outlet) -> Result<(), EngineError> {
        let several = self.part > 0;
        if several {
            self.part += 1;
            for r in &mut out.records[self.first..] {
                r.part = Some((self.part, true));
            }
        }
        if self.aside.0 > 0 {
            outlet.whole(out, self.first, several.then_some(self.part))?;
            self.aside = (0, 0);
            self.mark(out);
        }
        Ok(())
    }

    /// Makes room for the next record: what is there becomes a part, or is set aside.
    fn make_room(
        &mut self,
        limits: &SplitLimits,
        out: &mut OutputBatch,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        let (records, bytes) = (out.records.len() - self.first, out.arena.len() - self.arena_begin);
        if self.aside.0 + records >= limits.records || self.aside.1 + bytes >= limits.bytes {
            self.part += 1;
            for r in &mut out.records[self.first..] {
                r.part = Some((self.part, false));
            }
            let info = self.info.expect("begin was called");
            outlet.part(out, self.first, &info, Part { number: self.part, done: self.seq - 1 })?;
            self.aside = (0, 0);
            self.mark(out);
        } else if bytes + records * size_of::<OutputRecord>() >= self.room {
            outlet.set_aside(out, self.first)?;
            self.aside = (self.aside.0 + records, self.aside.1 + bytes);
            self.mark(out);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub fn emit(
        &mut self,
        topic: TopicId,
        partitions: i32,
        key: &[u8],
        value: Option<&[u8]>,
        limits: &SplitLimits,
        out: &mut OutputBatch,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        self.emit_event(topic, partitions, key, value, None, limits, out, outlet)
    }

    #[allow(clippy::too_many_arguments)]
    pub fn emit_event(
        &mut self,
        topic: TopicId,
        partitions: i32,
        key: &[u8],
        value: Option<&[u8]>,
        event_id: Option<&[u8]>,
        limits: &SplitLimits,
        out: &mut OutputBatch,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        let seq = self.seq;
        self.seq += 1;
        if seq < self.skip {
            return Ok(());
        }
        self.make_room(limits, out, outlet)?;
        let stamp = self.stamp.expect("begin was called");
        let annotations = self.annotations.place(out);
        push(out, topic, partitions, key, value, &stamp, seq, Origin::Stream);
        attach(out, event_id, annotations);
        Ok(())
    }
}

/// What all records of a source transaction have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub end_lsn: EndLsn,
    xid: u32,
    /// Milliseconds since 1970, never in the future.
    timestamp: i64,
}

impl Stamp {
    pub fn new(info: &CommitInfo) -> Stamp {
        let millis = (info.commit_time + clock::POSTGRES_EPOCH_MICROS) / 1000;
        Stamp { end_lsn: info.end_lsn, xid: info.xid, timestamp: millis.min(clock::now_millis()) }
    }
}

/// Gives the last record its own headers.
pub(super) fn attach(out: &mut OutputBatch, event_id: Option<&[u8]>, annotations: Range<u32>) {
    let Some(record) = out.records.last_mut() else { return };
    record.annotations = annotations;
    if let Some(id) = event_id {
        let start = out.arena.len() as u32;
        out.arena.extend_from_slice(id);
        record.event_id = Some(start..out.arena.len() as u32);
    }
}

/// Appends a record and its bytes.
#[allow(clippy::too_many_arguments)]
pub(super) fn push(
    out: &mut OutputBatch,
    topic: TopicId,
    partitions: i32,
    key: &[u8],
    value: Option<&[u8]>,
    stamp: &Stamp,
    seq: u64,
    origin: Origin,
) {
    let mut append = |bytes: &[u8]| {
        let start = out.arena.len() as u32;
        out.arena.extend_from_slice(bytes);
        start..out.arena.len() as u32
    };
    let key_at = append(key);
    let value_at = value.map(&mut append);
    out.records.push(OutputRecord {
        topic,
        partition: partition(key, partitions as u32),
        key: key_at,
        value: value_at,
        timestamp: stamp.timestamp,
        lsn: stamp.end_lsn.0,
        seq,
        origin,
        xid: stamp.xid,
        part: None,
        event_id: None,
        annotations: 0..0,
    });
}
