//! One session: from reading progress to the end of the stream (I2).
//!
//! Everything that can break ends the session, and the next one begins here again: progress is read, the producer is
//! fenced, the state is opened at S, the slot is taken, and the stream goes on from S. There is no other way to recover.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use crate::assemble::{AssembleOptions, Assembler};
use crate::capture::stream::{self, Stream, StreamOptions};
use crate::capture::{self, Connection, Mode, connect, slot};
use crate::config::{Config, OnHalt};
use crate::emit::{Emitter, Session};
use crate::lsn::EndLsn;
use crate::metrics::{BridgeState, TransformState};
use crate::record::OutputBatch;
use crate::registry;
use crate::state::{SpaceId, State};

use super::counting::Counting;
use super::decide::{self, Approvals, TableNeed, Wanted, WantedTable};
use super::failure::{Exit, Failure, Verdict};
use super::fuse::Fuse;
use super::idle::IdlePolicy;
use super::link::Link;
use super::load::{self, Loaded};
use super::measure;
use super::pipeline::{Ended, Limits, Pipeline, read_cursor};
use super::project::{self};
use super::reconcile::Barrier;
use super::shared::Shared;
use super::survey::{self, Survey};
use super::watch::{Watch, Watched};
use super::{Until, options};

mod kafka;
mod parts;
mod source;

use kafka::{adopt, ensure_topics, pinned_keys, progress_before, register};
use parts::{
    build_engine, drop_unused, has_task, infos, log_decision, progress_edits, statuses, topic_tasks, unfinished,
};
use source::{claim, forwarded, look_at_source, publish};

/// What outlives a session.
pub struct Bridge {
    pub config: Config,
    pub shared: Arc<Shared>,
    /// The generation that this process has held last.
    pub generation: Option<u64>,
    pub approvals: Approvals,
    /// Topics to reconcile at the next start.
    pub reconcile: BTreeSet<String>,
    /// Transforms to reconcile at the first start, by name.
    pub reconcile_names: BTreeSet<String>,
    pub until: Option<Until>,
    /// Opened once: the lock on its directory is held as long as the process lives.
    pub state: Option<State>,
    /// After a final error under `on_halt = "stay"`: the stream, which nobody reads any more. Its reader goes on to answer
    /// the server, so the slot stays held.
    pub parked: Option<Stream>,
    /// Kafka was too slow for a part of a large transaction: so many records are the most until this session ends.
    pub part_records: Option<usize>,
}

pub fn run(bridge: &mut Bridge) -> Result<Ended, Failure> {
    let config = bridge.config.clone();
    let shared = Arc::clone(&bridge.shared);
    let pg = options::postgres(&config)?;
    let (Survey { mut sql, mut project, context, wanted }, system) = survey::survey(&config, &pg)?;
    for name in std::mem::take(&mut bridge.reconcile_names) {
        match project.definitions.iter().find(|d| d.file.name == name) {
            Some(d) if d.is_event() => return Err(Failure::Findings(vec![super::no_reconcile_of_events(&name)])),
            Some(d) => drop(bridge.reconcile.insert(d.topic.clone())),
            None => return Err(Failure::Findings(vec![super::unknown_transform(&project.names(), &name)])),
        }
    }

    // Registry and topics: what does not fit shows before anything is fenced.
    let registry = Arc::new(registry::Client::new(&options::registry(&config)?)?);
    let ids = register(&config, &project, &registry)?;
    for (d, id) in project.definitions.iter_mut().zip(&ids) {
        if let Some(renderer) = Arc::get_mut(&mut d.renderer) {
            renderer.set_schema_ids(id.key.unwrap_or(0), id.value);
        }
    }
    let mut emit_options = options::emit(&config, &project)?;
    let newest = progress_before(&config, &emit_options)?;
    let found = ensure_topics(&config, &project, &mut emit_options, newest.as_ref())?;
    pinned_keys(&project, &ids, newest.as_ref())?;

    let (kafka, progress) = Session::take_over(emit_options.clone(), bridge.generation)?;
    let generation = kafka.generation();
    bridge.generation = Some(generation);
    let committed = kafka.committed();
    let at = progress.as_ref().map_or(EndLsn::ZERO, |p| p.end_lsn);

    // The state, and what the source says now.
    if bridge.state.is_none() {
        let limits = crate::state::Limits { cache_bytes: (config.limits.memory / 8) as usize };
        bridge.state = Some(State::open(&config.bridge.state_dir, &config.bridge.name, limits)?);
    }
    let Some(state) = bridge.state.as_mut() else { return Err(Failure::EmitterGone) };
    state.forget_pending();
    let columns = project.columns_used();
    let prints = capture::watch::read(&mut sql, &config.postgres.publication, &columns)?;
    let kept = state.meta().fingerprints.as_ref();
    let source = look_at_source(&config, &pg, &mut sql, &system, progress.as_ref(), &prints, kept)?;
    let layouts: Vec<String> = project.tables.iter().map(|t| t.layout(&prints)).collect();
    let wanted_tables: Vec<WantedTable> = project
        .tables
        .iter()
        .zip(&layouts)
        .map(|(t, layout)| WantedTable {
            name: t.table.name.to_string(),
            oid: t.table.oid,
            layout: layout.clone(),
            stored: t.stored(),
        })
        .collect();
    let wanted_transforms: Vec<Wanted> = project.definitions.iter().map(|d| project.wanted(d)).collect();
    let decision = decide::decide(
        progress.as_ref(),
        state.meta(),
        &source,
        &wanted_tables,
        &wanted_transforms,
        &bridge.reconcile,
        &bridge.approvals,
    )?;
    adopt(&project, &decision, progress.as_ref(), &emit_options, &bridge.approvals)?;
    log_decision(&project, &decision);

    // Slot and publication.
    let publish = |conn: &mut Connection| publish(&config, conn, &wanted);
    let mut temporary = None;
    let mut slot_begins = EndLsn::ZERO;
    if decision.drop_slot {
        claim(&pg, &mut sql, &config, &shared, &emit_options, generation)?;
        slot::drop(&mut sql, &config.postgres.slot)?;
    }
    if decision.new_slot {
        publish(&mut sql)?;
        shared.is(BridgeState::WaitingSlot);
        let mut conn = connect(&pg, Mode::Replication)?;
        if config.postgres.temporary_slot {
            temporary = Some(slot::create_temporary(conn, &config.postgres.slot)?.connection);
        } else {
            slot::create(&mut conn, &config.postgres.slot, config.postgres.failover_slot)?;
        }
        // The stream cannot begin before it, whatever is loaded.
        let begins = slot::read(&mut sql, &config.postgres.slot)?.and_then(|s| s.confirmed_flush);
        slot_begins = begins.map_or(EndLsn::ZERO, EndLsn);
        crate::failpoints::hit("slot_created");
    } else if !decision.tables.contains(&TableNeed::Load) {
        publish(&mut sql)?;
    }

    // The state as the decision wants it.
    if decision.discard_state {
        let spaces: Vec<SpaceId> = state.meta().spaces();
        state.discard(&system.identifier.to_string())?;
        for space in spaces {
            state.clear(space)?;
        }
    }
    drop_unused(state, &wanted_tables)?;

    // Loads.
    let to_load: Vec<(usize, &project::TableUse, String)> = decision
        .tables
        .iter()
        .enumerate()
        .filter(|(_, need)| **need == TableNeed::Load)
        .map(|(i, _)| (i, &project.tables[i], layouts[i].clone()))
        .collect();
    let mut loaded: Vec<Loaded> = Vec::new();
    let mut barrier_at = at;
    if decision.rebase {
        barrier_at = EndLsn::ZERO;
    }
    if !to_load.is_empty() {
        shared.is(BridgeState::Snapshot);
        let (s2, tables) = load::run(&pg, &to_load, publish, state, &shared)?;
        barrier_at = barrier_at.max(s2);
        loaded = tables;
    }
    // Taken after all that we changed ourselves.
    let prints = capture::watch::read(&mut sql, &config.postgres.publication, &columns)?;
    let whole = serde_json::to_value(&prints).ok();
    if state.meta().fingerprints != whole {
        state.update_meta(|m| m.fingerprints = whole)?;
    }
    for need in &decision.tables {
        if let TableNeed::Have { loaded_at } = need {
            barrier_at = barrier_at.max(*loaded_at);
        }
    }

    // A reconcile goes to what the source says now, not to where the state stands: rows that were repaired since are seen,
    // and a transaction that stopped the bridge lies behind it.
    if decision.reconcile.iter().any(Option::is_some) {
        barrier_at = barrier_at.max(EndLsn(system.flushed)).max(slot_begins);
    }

    // The engine.
    let (mut engine, tables_at) =
        build_engine(&config, &project, &decision, &loaded, &prints, &context, state, &found, barrier_at)?;
    if let Some(records) = bridge.part_records {
        engine.limits.records = engine.limits.records.min(records);
    }
    let reconciling = decision.reconcile.iter().any(Option::is_some);
    let live = decision.follows.contains(&true);
    let replay_to = if decision.rebase { EndLsn::ZERO } else { at };
    let retained = decision.tables.iter().any(|t| matches!(t, TableNeed::Have { .. }));
    let start_at = match (retained, live) {
        (true, _) => state.durable(),
        (false, true) => at,
        (false, false) => barrier_at,
    };
    let mut edits = progress_edits(&config, &project, &decision, &ids, &found, &system, &prints, progress.as_ref());
    let statuses = statuses(&project, &ids);
    shared.session(generation, statuses, &infos(&project, &ids));
    for (i, d) in project.definitions.iter().enumerate() {
        let is = if has_task(&project, &decision, i) { TransformState::Loading } else { TransformState::Live };
        shared.transform_is(&d.file.name, is);
    }
    let (answers_in, answers) = mpsc::channel();
    let answer = move |answer| drop(answers_in.send(answer));
    let emitter = match measure::discards() {
        false => Emitter::start(kafka, answer)?,
        true => Emitter::discard(emit_options.topics.len(), emit_options.queue_bytes, answer)?,
    };
    let committed = (!decision.rebase && at > EndLsn::ZERO).then_some(committed);
    let link = Link::new(emitter, answers, Arc::clone(&shared), committed);
    let seq = match &progress {
        // At the position of the last transaction or reconcile: versions of one key must not share a number.
        Some(p) if p.end_lsn == barrier_at => p.seq,
        _ => 0,
    };
    let feedback_start = state.durable().min(at);
    let barrier = reconciling.then(|| Barrier {
        at: barrier_at,
        rebase: decision.rebase,
        edits: std::mem::take(&mut edits),
        topics: topic_tasks(&project, &engine, &decision, &loaded, state, &ids),
        fuse: Fuse { max: config.reconcile.max_tombstones, words: bridge.approvals.words.clone() },
        seq,
        temporary: loaded.iter().filter(|l| !l.kept).flat_map(|l| l.spaces.iter().copied()).collect(),
    });
    // Until the barrier progress moves on for those that are live: it says at once that the others are not whole, or a crash
    // in between would leave a topic behind that looks it.
    if !decision.rebase && at > EndLsn::ZERO {
        edits.extend(unfinished(&project, &decision, progress.as_ref(), barrier_at));
    }
    let memory = config.limits.memory as usize;
    let until = match bridge.until {
        None => None,
        Some(Until::Lsn(lsn)) => Some(EndLsn(lsn)),
        Some(Until::CaughtUp) => Some(EndLsn(system.flushed)),
    };
    let counting = Counting::new(&engine);
    let mut pipeline = Pipeline {
        engine,
        state,
        link,
        registry,
        emit_options: emit_options.clone(),
        feedback: Arc::new(capture::Feedback::new(feedback_start)),
        shared: Arc::clone(&shared),
        replay_to,
        resume: progress.as_ref().and_then(|p| p.cursor.as_ref()?.transaction.as_ref()).and_then(read_cursor),
        barrier,
        reconciled: false,
        until,
        limits: Limits {
            batch_bytes: 1 << 20,
            batch_records: config.commit.max_records as usize,
            pending_bytes: memory / 4,
            room: (memory / 32).clamp(1 << 19, 8 << 20),
        },
        out: OutputBatch { end_lsn: if decision.rebase { EndLsn::ZERO } else { at }, ..OutputBatch::default() },
        edits,
        idle: IdlePolicy::new(Instant::now()),
        counting,
        spill_directory: config.bridge.state_dir.clone(),
    };
    // Nothing lies between here and the barrier: no need to wait for the stream.
    if reconciling && !live && tables_at.iter().all(|&t| t == barrier_at) {
        let watched = shared.watch_pipeline();
        let reconciled = super::reconcile::run(&mut pipeline);
        drop(watched);
        pipeline.publish();
        reconciled?;
        bridge.reconcile.clear();
    }

    // The stream.
    let conn = match temporary {
        Some(conn) => conn,
        None => {
            shared.is(BridgeState::WaitingSlot);
            claim(&pg, &mut sql, &config, &shared, &emit_options, generation)?;
            connect(&pg, Mode::Replication)?
        }
    };
    let stream_options = StreamOptions {
        slot: config.postgres.slot.clone(),
        publications: vec![config.postgres.publication.clone()],
        start: start_at.0,
        confirmed: feedback_start,
        queue_bytes: memory / 4,
        probe: Some(pg.clone()),
    };
    let mut stream = stream::start(conn, stream_options)?;
    pipeline.feedback = stream.feedback();
    if !config.postgres.temporary_slot {
        forwarded(&mut sql, &config, start_at)?;
    }
    let watched = Watched {
        options: pg.clone(),
        emit_options,
        generation,
        publication: config.postgres.publication.clone(),
        tables: columns,
        baseline: prints,
    };
    let _watch = Watch::start(watched, Arc::clone(&shared)).map_err(|e| Failure::Capture(capture::Error::Io(e)))?;
    shared.is(BridgeState::Streaming);
    shared.well();
    shared.metrics.source_connected(true);
    shared.metrics.slot_held(true);
    let mut assembler =
        Assembler::new(AssembleOptions { spill_above: memory / 4, spill_directory: config.bridge.state_dir.clone() });
    let ended = pipeline.run(&mut stream, &mut assembler);
    let stays = config.bridge.on_halt == OnHalt::Stay;
    if let Err(failure) = ended.as_ref()
        && stays
        && matches!(failure.verdict(), Verdict::Stop(exit) if exit != Exit::Fenced)
    {
        bridge.parked = Some(stream);
        return ended;
    }
    shared.metrics.source_connected(false);
    if pipeline.reconciled {
        // A later session must not do it again.
        bridge.reconcile.clear();
    }
    shared.metrics.slot_held(false);
    let ended = ended?;
    shared.is(BridgeState::Draining);
    measure::report(pipeline.state);
    pipeline.drain()?;
    // The slot hears the last position before anything else can take its time.
    stream.stop();
    pipeline.finish();
    Ok(ended)
}
