//! Event topics at the barrier: rows that are events although their INSERT is not in the stream.
//!
//! `backfill = true` gives a new topic the rows that are there; after a gap `on_gap = "replay"` gives it those that it
//! lacks. Both go in steps that commit one by one, each with its cursor. What the topic has already is read back first, so
//! that whatever ended an earlier attempt, no row is emitted twice: by `event_id` where the transform has one, else by
//! what the records say.

use crate::change::CommitInfo;
use crate::emit::{self, Edit, headers};
use crate::encode::readback::Readback;
use crate::engine::event::{self, Task};
use crate::engine::reconcile::Summary;
use crate::record::Origin;
use crate::registry::{self, RegistryError};
use crate::state::State;

use super::decide::EventJob;
use super::failure::Failure;
use super::pipeline::Pipeline;
use super::reconcile::{Barrier, Committing, TopicTask, each_record, settle};

pub fn emit_rows(
    p: &mut Pipeline<'_>,
    barrier: &Barrier,
    t: &TopicTask,
    job: EventJob,
    info: &CommitInfo,
    seq: &mut u64,
) -> Result<(), Failure> {
    let transform = &p.engine.transforms[t.transform];
    let (name, topic) = (transform.name.clone(), transform.topic_name.clone());
    let by_id = transform.renderer.has_event_id();
    p.state.clear(t.live)?;
    let known = read_known(&p.emit_options, &p.registry, p.state, &topic, t, by_id)?;
    crate::failpoints::hit("read_back");
    let origin = match job {
        EventJob::Backfill => Origin::Reconcile,
        EventJob::Replay => Origin::Replay,
    };
    let task = Task { transform: t.transform, rows: t.rows, known: (known > 0).then_some(t.live), origin };
    let roots = p.state.approximate_len(t.rows)?;
    tracing::info!(transform = name, topic, job = job.word(), known, roots, lsn = %barrier.at, "rows become events");
    p.shared.reconciling(&name, roots);
    let mut steps = Committing {
        link: &mut p.link,
        edits: &mut p.edits,
        shared: p.shared.clone(),
        roots,
        topic: topic.clone(),
        name: name.clone(),
        at: barrier.at,
        job: Some(job),
        failure: None,
    };
    let result = event::emit_rows(&mut p.engine, task, info, seq, p.state, &mut p.out, &mut steps);
    let Summary { roots, upserts, unchanged, held } = settle(result, &mut steps)?;
    p.link.drain()?;
    p.flush_state()?;
    p.edits.push(Edit::ReconcileCursor { topic: topic.clone(), cursor: None });
    p.link.send(&mut p.out, &mut p.edits, true)?;
    p.state.clear(t.live)?;
    p.shared.transform_live(&name);
    tracing::info!(
        transform = name, topic, job = job.word(), roots, events = upserts, known = unchanged, dead_letters = held,
        lsn = %barrier.at, "rows are events now"
    );
    Ok(())
}

/// Puts what the topic has into the task's space; gives the count of records.
fn read_known(
    options: &emit::Options,
    registry: &registry::Client,
    state: &mut State,
    topic: &str,
    t: &TopicTask,
    by_id: bool,
) -> Result<u64, Failure> {
    let mut records = 0u64;
    let mut load = state.load();
    let mut readback = Readback::new(&t.record, t.schema_id);
    let mut body = Vec::new();
    let take = |record: emit::readback::Record<'_>| -> Result<(), Failure> {
        records += 1;
        if by_id {
            // A record without an id is none of ours, or from before there was one.
            let Some(id) = record.header(headers::EVENT_ID) else { return Ok(()) };
            return Ok(load.put(t.live, id, b"")?);
        }
        let Some(value) = record.value else { return Ok(()) };
        body.clear();
        match readback.body::<Failure>(value, |id| Ok(registry.schema(id)?), &mut body) {
            Ok(()) => {}
            // It is not the same as anything new.
            Err(Failure::ReadBack(_) | Failure::Registry(RegistryError::Unexpected { status: 404, .. })) => {
                return Ok(());
            }
            Err(e) => return Err(e),
        }
        let mut key = event::digest(record.key, &body).to_vec();
        key.extend_from_slice(&records.to_be_bytes());
        Ok(load.put(t.live, &key, b"")?)
    };
    each_record(options, topic, take)?;
    load.finish()?;
    Ok(records)
}
