//! All roots touched: every root of a transform is evaluated and held against what its topic holds.
//!
//! The live keys with the hashes of their bodies stand in a space of their own, read back from the topic. Roots are
//! evaluated in key order; a key that is as it should be is taken out of the live keys, one that is not is emitted and
//! taken out as well. What is left at the end no root has produced: tombstones, last, and only with leave of the fuse.
//! Started again after a crash it reads the topic again, so nothing is emitted twice; the cursor says how far it was.

use std::ops::ControlFlow;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::change::CommitInfo;
use crate::encode::{Rendered, body_of};
use crate::record::{Origin, OutputBatch};
use crate::state::{SpaceId, State, View};

use super::held::{self, Held, HeldChange};
use super::lookup::Rows;
use super::outgoing::{Stamp, push};
use super::sighting::{Sighting, key_of, key_text, render, row_values};
use super::{Engine, EngineError, OnError};

/// One transform's reconcile.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub transform: usize,
    /// The root's rows, whole as of the reconcile's LSN.
    pub rows: SpaceId,
    /// What is alive in the topic; None when the topic is known to be empty.
    pub live: Option<SpaceId>,
}

/// Where the records of a reconcile go, step by step.
pub trait Steps {
    /// Takes the records that are in `out`; `done` roots (or left-over keys) are done, up to `last_key`.
    fn step(&mut self, out: &mut OutputBatch, done: u64, last_key: &[u8]) -> Result<(), EngineError>;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub roots: u64,
    pub upserts: u64,
    pub unchanged: u64,
    pub held: u64,
}

/// A key of the state and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Rows taken from the state in one go; a step is committed at the latest after as many.
const CHUNK_ROWS: usize = 4096;

/// The next entries of a space; `from` moves behind them. Fewer than [`CHUNK_ROWS`] are the last ones.
pub(super) struct Chunk {
    pub entries: Vec<Entry>,
}

impl Chunk {
    pub fn next(state: &State, space: SpaceId, from: &mut Vec<u8>) -> Result<Chunk, EngineError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(CHUNK_ROWS);
        state.scan(space, from, |key, value| {
            entries.push((key.into(), value.into()));
            if entries.len() == CHUNK_ROWS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some((last, _)) = entries.last() {
            from.clear();
            from.extend_from_slice(last);
            from.push(0);
        }
        Ok(Chunk { entries })
    }

    /// None: there are no more entries.
    pub fn last_key(&self) -> Option<&[u8]> {
        self.entries.last().map(|(key, _)| &key[..])
    }

    pub fn is_last(&self) -> bool {
        self.entries.len() < CHUNK_ROWS
    }
}

/// Evaluates all roots and emits what differs. `seq` goes on over all transforms of one reconcile.
pub fn upserts(
    engine: &mut Engine,
    task: Task,
    info: &CommitInfo,
    seq: &mut u64,
    state: &mut State,
    out: &mut OutputBatch,
    steps: &mut dyn Steps,
) -> Result<Summary, EngineError> {
    let mut summary = Summary::default();
    let mut from: Vec<u8> = Vec::new();
    let mut rendered = Rendered::default();
    let stamp = Stamp::new(info);
    // Held keys are found again; what stays behind of others would be taken for what the topic holds.
    let mut stale = Vec::new();
    held::forget(&engine.transforms[task.transform], state, &mut stale)?;
    for h in stale {
        state.put(h.space, h.key, None);
    }
    loop {
        let rows = Chunk::next(state, task.rows, &mut from)?;
        let Some(last_key) = rows.last_key() else { return Ok(summary) };
        let mut seen: Vec<Box<[u8]>> = Vec::new();
        let mut held: Vec<HeldChange> = Vec::new();
        for (_, stored) in &rows.entries {
            summary.roots += 1;
            one(engine, task, &stamp, seq, stored, &mut rendered, state, out, &mut seen, &mut held, &mut summary)?;
        }
        if let Some(live) = task.live {
            state.remove_direct(live, seen.iter().map(|k| &k[..]))?;
        }
        for h in held {
            state.put(h.space, h.key, h.held.map(Held::encode));
        }
        steps.step(out, summary.roots, last_key)?;
        if rows.is_last() {
            return Ok(summary);
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn one(
    engine: &mut Engine,
    task: Task,
    stamp: &Stamp,
    seq: &mut u64,
    stored: &[u8],
    rendered: &mut Rendered,
    state: &State,
    out: &mut OutputBatch,
    seen: &mut Vec<Box<[u8]>>,
    held_changes: &mut Vec<HeldChange>,
    summary: &mut Summary,
) -> Result<(), EngineError> {
    let t = &mut engine.transforms[task.transform];
    let table = &engine.tables[t.root()];
    let (times, image) = table.image_of(stored)?;
    let sources = Arc::clone(&t.sources);
    let rows = Rows::new(state, &engine.tables, &sources, View::Before);
    let root = Sighting { image: Some(image), rows: (sources.len() > 1).then_some(&rows) };
    let rendering = render(t, table, root, rendered)?;
    if let Ok(false) = rendering {
        return Ok(());
    }
    if rendering.is_err() {
        key_of(t, table, root, rendered)?.map_err(|source| EngineError::Row {
            transform: t.name.clone(),
            key: "?".into(),
            lsn: stamp.end_lsn,
            source,
        })?;
    }
    let key = &rendered.key;
    if times > 1 {
        let (transform, key) = (t.name.clone(), key_text(t, key));
        return Err(EngineError::DuplicateKey { transform, key, lsn: stamp.end_lsn });
    }
    let alive = match task.live {
        Some(live) => state.get_direct(live, key)?.and_then(|v| Some(u128::from_be_bytes(v.as_ref().try_into().ok()?))),
        None => None,
    };
    if alive.is_some() {
        seen.push(key[..].into());
    }
    match rendering {
        Ok(_) if alive == Some(xxh3_128(body_of(&rendered.value))) => summary.unchanged += 1,
        Ok(_) => {
            push(out, t.topic, t.partitions, key, Some(&rendered.value), stamp, *seq, Origin::Reconcile);
            *seq += 1;
            summary.upserts += 1;
        }
        Err(e) => {
            t.counts.failed(&e);
            let OnError::DeadLetter { topic, partitions, held } = t.on_error else {
                let key = key_text(t, key);
                return Err(EngineError::Row { transform: t.name.clone(), key, lsn: stamp.end_lsn, source: e });
            };
            let row = row_values(t, table, Some(image))?;
            t.counts.held_changes += 1;
            summary.held += 1;
            let letter = held::letter(&t.name, &e, stamp.end_lsn, *seq, row);
            push(out, topic, partitions, key, Some(letter.as_bytes()), stamp, *seq, Origin::Reconcile);
            *seq += 1;
            held_changes.push(HeldChange { space: held, key: key[..].into(), held: Some(Held { last_good: alive }) });
        }
    }
    Ok(())
}

/// How many keys of the topic no root has produced.
pub fn left_over(task: Task, state: &State) -> Result<u64, EngineError> {
    let mut n = 0;
    if let Some(live) = task.live {
        state.scan(live, b"", |_, _| {
            n += 1;
            ControlFlow::Continue(())
        })?;
    }
    Ok(n)
}

/// Tombstones for them, in key order. The fuse has been asked.
pub fn tombstones(
    engine: &mut Engine,
    task: Task,
    info: &CommitInfo,
    seq: &mut u64,
    state: &mut State,
    out: &mut OutputBatch,
    steps: &mut dyn Steps,
) -> Result<u64, EngineError> {
    let Some(live) = task.live else { return Ok(0) };
    let mut from: Vec<u8> = Vec::new();
    let mut done = 0;
    let stamp = Stamp::new(info);
    loop {
        let keys = Chunk::next(state, live, &mut from)?;
        let Some(last_key) = keys.last_key() else { return Ok(done) };
        let t = &engine.transforms[task.transform];
        for (key, _) in &keys.entries {
            push(out, t.topic, t.partitions, key, None, &stamp, *seq, Origin::Reconcile);
            *seq += 1;
            done += 1;
        }
        steps.step(out, done, last_key)?;
        if keys.is_last() {
            return Ok(done);
        }
    }
}
