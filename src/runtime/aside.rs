//! Records of a large transaction that wait on disk until its Kafka transaction may begin.
//!
//! Whether a transaction goes out in one piece or in parts, which its records say, is known only when the last of them is
//! there, and Kafka's clock must not run while roots are evaluated. So what memory is not to hold goes into an
//! unlinked file, in chunks, and comes back once, in order.

use std::ops::Range;
use std::path::PathBuf;

use crate::assemble::{AssembleError, Spill};
use crate::lsn::Lsn;
use crate::record::{Origin, OutputBatch, OutputRecord, TopicId};

use super::failure::Failure;

#[derive(Default)]
pub struct Aside {
    directory: PathBuf,
    spill: Option<Spill>,
    records: u64,
}

impl Aside {
    pub fn new(directory: PathBuf) -> Aside {
        Aside { directory, spill: None, records: 0 }
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    /// Takes the records of `batch`; its position is not kept.
    pub fn push(&mut self, batch: &OutputBatch) -> Result<(), AssembleError> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(Spill::create(&self.directory)?),
        };
        let mut chunk = Vec::with_capacity(8 + batch.arena.len() + batch.records.len() * RECORD);
        write(batch, &mut chunk);
        spill.append_one(&chunk)?;
        self.records += batch.records.len() as u64;
        Ok(())
    }

    /// Gives back what was pushed, in batches without a position, and is empty.
    pub fn drain(&mut self, mut f: impl FnMut(OutputBatch) -> Result<(), Failure>) -> Result<(), Failure> {
        self.records = 0;
        match self.spill.take() {
            Some(spill) => spill.for_each(|chunk| f(read(chunk).ok_or(AssembleError::SpillCorrupt)?)),
            None => Ok(()),
        }
    }
}

/// Bytes of a record beside its key and value.
const RECORD: usize = 80;

/// Where there is no range.
const NONE: Range<u32> = u32::MAX..u32::MAX;

fn write(batch: &OutputBatch, to: &mut Vec<u8>) {
    to.extend_from_slice(&(batch.records.len() as u32).to_le_bytes());
    for r in &batch.records {
        to.extend_from_slice(&r.topic.0.to_le_bytes());
        to.extend_from_slice(&r.partition.to_le_bytes());
        to.extend_from_slice(&r.timestamp.to_le_bytes());
        to.extend_from_slice(&r.lsn.0.to_le_bytes());
        to.extend_from_slice(&r.seq.to_le_bytes());
        to.extend_from_slice(&r.xid.to_le_bytes());
        to.push(match r.origin {
            Origin::Stream => 0,
            Origin::Reconcile => 1,
            Origin::Replay => 2,
        });
        let or_none = |range: &Option<Range<u32>>| range.clone().unwrap_or(NONE);
        for range in [r.key.clone(), or_none(&r.value), or_none(&r.event_id), r.annotations.clone()] {
            to.extend_from_slice(&range.start.to_le_bytes());
            to.extend_from_slice(&range.end.to_le_bytes());
        }
    }
    to.extend_from_slice(&batch.arena);
}

/// None: this is not what was written.
fn read(chunk: &[u8]) -> Option<OutputBatch> {
    let mut from = chunk;
    let count = u32::from_le_bytes(take(&mut from)?) as usize;
    let mut batch = OutputBatch::default();
    batch.records.reserve_exact(count.min(chunk.len() / RECORD + 1));
    for _ in 0..count {
        let topic = TopicId(u16::from_le_bytes(take(&mut from)?));
        let partition = i32::from_le_bytes(take(&mut from)?);
        let timestamp = i64::from_le_bytes(take(&mut from)?);
        let lsn = Lsn(u64::from_le_bytes(take(&mut from)?));
        let seq = u64::from_le_bytes(take(&mut from)?);
        let xid = u32::from_le_bytes(take(&mut from)?);
        let origin = match take::<1>(&mut from)? {
            [0] => Origin::Stream,
            [1] => Origin::Reconcile,
            [2] => Origin::Replay,
            _ => return None,
        };
        let mut range = || -> Option<Range<u32>> {
            Some(u32::from_le_bytes(take(&mut from)?)..u32::from_le_bytes(take(&mut from)?))
        };
        let key = range()?;
        let [value, event_id] = [range()?, range()?].map(|r| (r != NONE).then_some(r));
        let annotations = range()?;
        let part = None;
        batch.records.push(OutputRecord {
            topic,
            partition,
            key,
            value,
            timestamp,
            lsn,
            seq,
            origin,
            xid,
            part,
            event_id,
            annotations,
        });
    }
    batch.arena = from.to_vec();
    Some(batch)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u32) -> OutputRecord {
        OutputRecord {
            topic: TopicId(n as u16),
            partition: n as i32 - 1,
            key: n..n + 1,
            value: (!n.is_multiple_of(2)).then_some(n + 1..n + 2),
            timestamp: -i64::from(n),
            lsn: Lsn(u64::from(n) << 33),
            seq: u64::from(n) << 34,
            origin: [Origin::Stream, Origin::Reconcile, Origin::Replay][n as usize % 3],
            xid: n + 7,
            part: None,
            event_id: n.is_multiple_of(2).then_some(n..n),
            annotations: 0..n,
        }
    }

    #[test]
    fn what_is_set_aside_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let mut aside = Aside::new(directory.path().join("state"));
        let batches: Vec<OutputBatch> = (0u32..5)
            .map(|n| OutputBatch {
                arena: vec![n as u8; n as usize * 100_000],
                records: (0..n * 1000).map(record).collect(),
                ..OutputBatch::default()
            })
            .collect();
        batches.iter().for_each(|b| aside.push(b).unwrap());
        assert_eq!(aside.records(), 10_000);
        let mut back = Vec::new();
        let mut keep = |batch| {
            back.push(batch);
            Ok(())
        };
        aside.drain(&mut keep).unwrap();
        assert_eq!(format!("{back:?}"), format!("{batches:?}"));
        let nothing = aside.drain(|_| panic!("it was given back"));
        assert!(nothing.is_ok() && aside.records() == 0);
    }

    #[test]
    fn damage_is_an_error() {
        let mut chunk = Vec::new();
        write(&OutputBatch { arena: vec![], records: vec![record(3)], ..OutputBatch::default() }, &mut chunk);
        assert_eq!(chunk.len(), RECORD - 9, "RECORD is an upper estimate");
        assert!(read(&chunk).is_some());
        assert!((0..chunk.len()).all(|n| read(&chunk[..n]).is_none()));
    }
}
