//! Reconcile: topics are brought to what the SELECT says at one position, by emitting the difference.
//!
//! New and changed transforms, lost state, a healed gap: all come here, at the barrier, where the state of every table
//! they read stands at exactly one LSN. Progress with the cursors commits first, then the state counts; then each topic
//! is read back and compared, in steps that commit one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::change::CommitInfo;
use crate::clock;
use crate::emit::{self, Edit};
use crate::encode::avro::Record;
use crate::encode::body_of;
use crate::encode::readback::{Readback, body_hash};
use crate::engine::reconcile::{self as engine, Steps, Summary, Task};
use crate::engine::{EngineError, OnError, Transform};
use crate::failpoints;
use crate::lsn::EndLsn;
use crate::record::OutputBatch;
use crate::registry::{self, RegistryError};
use crate::state::{SpaceId, State};

use super::decide::EventJob;
use super::events;
use super::failure::Failure;
use super::fuse::Fuse;
use super::link::Link;
use super::pipeline::Pipeline;

/// What is reconciled once the stream has reached `at`.
pub struct Barrier {
    pub at: EndLsn,
    /// Progress begins anew here, whatever it was before.
    pub rebase: bool,
    /// Commit with the first progress record: source, topics, fingerprints.
    pub edits: Vec<Edit>,
    pub topics: Vec<TopicTask>,
    pub fuse: Fuse,
    /// Where the numbering goes on that an earlier transaction or reconcile has begun at the same position.
    pub seq: u64,
    /// Spaces that are dropped at the end: rows of tables that are not kept.
    pub temporary: Vec<SpaceId>,
}

pub struct TopicTask {
    pub transform: usize,
    /// Of an event topic: which rows it gets.
    pub job: Option<EventJob>,
    pub rows: SpaceId,
    /// For the live keys; the space is empty.
    pub live: SpaceId,
    /// The present contract, under its id.
    pub record: Arc<Record>,
    pub schema_id: u32,
    pub revision: String,
}

/// What progress says of a topic that is not whole.
pub fn cursor(at: EndLsn, job: Option<EventJob>) -> serde_json::Value {
    match job {
        None => serde_json::json!({ "lsn": at.to_string() }),
        Some(job) => serde_json::json!({ "lsn": at.to_string(), "event": job.word() }),
    }
}

pub fn run(p: &mut Pipeline<'_>) -> Result<(), Failure> {
    let Some(mut barrier) = p.barrier.take() else { return Ok(()) };
    p.send()?;
    p.link.drain()?;
    let info = CommitInfo { xid: 0, end_lsn: barrier.at, commit_time: clock::now_postgres_micros() };
    p.engine.advance(barrier.at, p.state, &mut p.out);
    p.edits.append(&mut barrier.edits);
    if barrier.rebase {
        p.edits.push(Edit::Rebase(barrier.at));
    }
    for t in &barrier.topics {
        let topic = p.engine.transforms[t.transform].topic_name.clone();
        p.edits.push(Edit::ReconcileCursor { topic, cursor: Some(cursor(barrier.at, t.job)) });
    }
    p.link.send(&mut p.out, &mut p.edits, true)?;
    p.link.drain()?;
    p.flush_state()?;
    failpoints::hit("reconcile_begun");
    let mut seq = barrier.seq;
    for t in &barrier.topics {
        match t.job {
            None => topic(p, &barrier, t, &info, &mut seq)?,
            Some(job) => events::emit_rows(p, &barrier, t, job, &info, &mut seq)?,
        }
    }
    p.link.drain()?;
    for &space in &barrier.temporary {
        p.state.clear(space)?;
    }
    p.shared.reconciled();
    p.reconciled = true;
    Ok(())
}

fn topic(
    p: &mut Pipeline<'_>,
    barrier: &Barrier,
    t: &TopicTask,
    info: &CommitInfo,
    seq: &mut u64,
) -> Result<(), Failure> {
    let name = p.engine.transforms[t.transform].name.clone();
    let topic = p.engine.transforms[t.transform].topic_name.clone();
    p.state.clear(t.live)?;
    if let OnError::DeadLetter { held, .. } = p.engine.transforms[t.transform].on_error {
        p.state.clear(held)?;
    }
    let alive = read_live(&p.emit_options, &p.registry, p.state, &topic, t)?;
    failpoints::hit("read_back");
    let task = Task { transform: t.transform, rows: t.rows, live: (alive > 0).then_some(t.live) };
    let roots = p.state.approximate_len(t.rows)?;
    tracing::info!(transform = name, topic, live_keys = alive, roots, lsn = %barrier.at, "reconcile begins");
    p.shared.reconciling(&name, roots);
    let mut steps = Committing {
        link: &mut p.link,
        edits: &mut p.edits,
        shared: p.shared.clone(),
        roots,
        topic: topic.clone(),
        name: name.clone(),
        at: barrier.at,
        job: None,
        failure: None,
    };
    let result = (|| -> Result<(Summary, u64), EngineError> {
        let summary = engine::upserts(&mut p.engine, task, info, seq, p.state, &mut p.out, &mut steps)?;
        let left = engine::left_over(task, p.state)?;
        Ok((summary, left))
    })();
    let (summary, left) = settle(result, &mut steps)?;
    barrier.fuse.check(&topic, &t.revision, alive, left)?;
    let result = engine::tombstones(&mut p.engine, task, info, seq, p.state, &mut p.out, &mut steps);
    let tombstones = settle(result, &mut steps)?;
    // Held keys must not be lost behind a topic that says it is complete.
    p.link.drain()?;
    p.flush_state()?;
    p.edits.push(Edit::ReconcileCursor { topic: topic.clone(), cursor: None });
    p.link.send(&mut p.out, &mut p.edits, true)?;
    p.state.clear(t.live)?;
    p.shared.transform_live(&name);
    let Summary { roots, upserts, unchanged, held } = summary;
    tracing::info!(transform = name, topic, roots, upserts, unchanged, held, tombstones, lsn = %barrier.at, "reconcile done");
    Ok(())
}

pub(super) fn settle<T>(result: Result<T, EngineError>, steps: &mut Committing<'_>) -> Result<T, Failure> {
    match (result, steps.failure.take()) {
        (_, Some(failure)) => Err(failure),
        (result, None) => Ok(result?),
    }
}

/// Reads the topic's last value per key into the live space; gives the count of live keys.
fn read_live(
    options: &emit::Options,
    registry: &registry::Client,
    state: &mut State,
    topic: &str,
    t: &TopicTask,
) -> Result<u64, Failure> {
    let mut records = 0u64;
    let mut load = state.load();
    let mut readback = Readback::new(&t.record, t.schema_id);
    let mut body = Vec::new();
    let take = |record: emit::readback::Record<'_>| -> Result<(), Failure> {
        records += 1;
        let Some(value) = record.value else { return Ok(load.remove(t.live, record.key)?) };
        body.clear();
        let hash = match readback.body::<Failure>(value, |id| Ok(registry.schema(id)?), &mut body) {
            Ok(()) => body_hash(&body),
            // What cannot be told in the present contract's terms, or is no record of a schema at all because somebody
            // else wrote it, is not the same as anything new.
            Err(Failure::ReadBack(_)) => 0,
            Err(Failure::Registry(RegistryError::Unexpected { status: 404, .. })) => 0,
            Err(e) => return Err(e),
        };
        Ok(load.put(t.live, record.key, &hash.to_be_bytes())?)
    };
    each_record(options, topic, take)?;
    load.finish()?;
    let mut alive = 0;
    if records > 0 {
        state.scan(t.live, b"", |_, _| {
            alive += 1;
            std::ops::ControlFlow::Continue(())
        })?;
    }
    Ok(alive)
}

/// Every record of a topic, until `take` fails.
pub(super) fn each_record(
    options: &emit::Options,
    topic: &str,
    mut take: impl FnMut(emit::readback::Record<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failure = None;
    let read = emit::readback::read(
        options,
        topic,
        |record| {
            take(record).map_err(|f| {
                failure = Some(f);
                emit::EmitError::Batch { what: "read-back".into() }
            })
        },
        |_| {},
    );
    match (read, failure) {
        (_, Some(f)) => Err(f),
        (read, None) => Ok(read.map(drop)?),
    }
}

/// The live keys of a topic with the hashes of their bodies, in the order of keys.
pub fn live_keys(
    options: &emit::Options,
    transform: &Transform,
    f: &mut dyn FnMut(&[u8], u128),
) -> Result<(), Failure> {
    let mut live: BTreeMap<Box<[u8]>, u128> = BTreeMap::new();
    emit::readback::read(
        options,
        &transform.topic_name,
        |record| {
            match record.value {
                // Under an older contract the bytes may differ and mean the same: that costs an upsert, nothing more.
                Some(v) => drop(live.insert(record.key.into(), body_hash(body_of(v)))),
                None => drop(live.remove(record.key)),
            }
            Ok(())
        },
        |_| {},
    )?;
    for (key, hash) in live {
        f(&key, hash);
    }
    Ok(())
}

/// A step of waiting while paused.
const PAUSED: Duration = Duration::from_millis(100);

/// Every step commits by itself, with its cursor.
pub(super) struct Committing<'p> {
    pub link: &'p mut Link,
    pub edits: &'p mut Vec<Edit>,
    pub shared: std::sync::Arc<super::shared::Shared>,
    pub roots: u64,
    pub topic: String,
    pub name: String,
    pub at: EndLsn,
    pub job: Option<EventJob>,
    pub failure: Option<Failure>,
}

impl Steps for Committing<'_> {
    fn step(&mut self, out: &mut OutputBatch, done: u64, last_key: &[u8]) -> Result<(), EngineError> {
        failpoints::hit("reconcile_step");
        self.shared.beat();
        while self.shared.paused() && !self.shared.shutdown() {
            self.shared.beat();
            self.shared.wait_unpaused(PAUSED);
        }
        self.shared.reconcile_remaining(&self.name, self.roots.saturating_sub(done));
        if self.shared.shutdown() {
            self.failure = Some(Failure::ShutDown);
            return Err(EngineError::Outlet);
        }
        if out.records.is_empty() {
            return self.link.look().map_err(|f| {
                self.failure = Some(f);
                EngineError::Outlet
            });
        }
        let hex: String = last_key.iter().map(|b| format!("{b:02x}")).collect();
        let mut cursor = cursor(self.at, self.job);
        (cursor["after"], cursor["done"]) = (hex.into(), done.into());
        self.edits.push(Edit::ReconcileCursor { topic: self.topic.clone(), cursor: Some(cursor) });
        // What is committed meanwhile is counted as it goes, and a failed emitter is noticed.
        self.link.send(out, self.edits, false).and_then(|()| self.link.look()).map_err(|f| {
            self.failure = Some(f);
            EngineError::Outlet
        })
    }
}
