//! One session: from reading progress to the end of the stream (I2).
//!
//! Everything that can break ends the session, and the next one begins here again: progress is read, the producer is
//! fenced, the state is opened at S, the slot is taken, and the stream goes on from S. There is no other way to recover.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::assemble::{AssembleOptions, Assembler};
use crate::capture::publication::{self, Facts};
use crate::capture::stream::{self, StreamOptions};
use crate::capture::watch::Fingerprints;
use crate::capture::{self, Connection, Mode, connect, slot, timeline};
use crate::config::Config;
use crate::emit::{self, Edit, Emitter, Progress, Session, TopicProgress, TransformRecord, topics};
use crate::engine::{self, Engine, SplitLimits};
use crate::lsn::{EndLsn, Lsn};
use crate::metrics::{BridgeState, TransformInfo, TransformState};
use crate::record::{OutputBatch, TopicId};
use crate::registry;
use crate::state::{SpaceId, State};
use crate::transform::function::Context;
use crate::transform::source::OnError;

use super::counting::Counting;
use super::decide::{self, Approvals, Decision, Slot, Source, TableNeed, Wanted, WantedTable};
use super::failure::Failure;
use super::fuse::Fuse;
use super::idle::IdlePolicy;
use super::link::Link;
use super::load::{self, Loaded};
use super::measure;
use super::pipeline::{Ended, Limits, Pipeline, read_cursor};
use super::project::{self, Project};
use super::reconcile::{Barrier, TopicTask};
use super::shared::{Shared, TopicStatus};
use super::survey::{self, Survey};
use super::watch::{Watch, Watched};
use super::{Until, fingerprint, options};

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
}

pub fn run(bridge: &mut Bridge) -> Result<Ended, Failure> {
    let config = bridge.config.clone();
    let shared = Arc::clone(&bridge.shared);
    let pg = options::postgres(&config)?;
    let (Survey { mut sql, mut project, context, wanted }, system) = survey::survey(&config, &pg)?;
    for name in std::mem::take(&mut bridge.reconcile_names) {
        match project.definitions.iter().find(|d| d.file.name == name) {
            Some(d) => drop(bridge.reconcile.insert(d.topic.clone())),
            None => return Err(Failure::Findings(vec![super::unknown_transform(&project.names(), &name)])),
        }
    }

    // Registry and topics: what does not fit shows before anything is fenced.
    let registry = Arc::new(registry::Client::new(&options::registry(&config)?)?);
    let ids = register(&config, &project, &registry)?;
    for (d, (key, value)) in project.definitions.iter_mut().zip(&ids) {
        if let Some(renderer) = Arc::get_mut(&mut d.renderer) {
            renderer.set_schema_ids(key.unwrap_or(0), *value);
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
            stored: t.identity.is_some(),
        })
        .collect();
    let wanted_transforms: Vec<Wanted> = project
        .definitions
        .iter()
        .map(|d| Wanted {
            topic: d.topic.clone(),
            revision: d.revision.clone(),
            tables: vec![project.table_of(d)],
            holds: d.on_error == OnError::DeadLetter,
        })
        .collect();
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
        barrier_at = barrier_at.max(EndLsn(system.flushed));
    }

    // The engine.
    let (engine, tables_at) =
        build_engine(&config, &project, &decision, &loaded, &prints, &context, state, &found, barrier_at)?;
    let reconciling = decision.reconcile.iter().any(Option::is_some);
    let live = decision.reconcile.iter().any(Option::is_none);
    let replay_to = if decision.rebase { EndLsn::ZERO } else { at };
    let retained = decision.tables.iter().any(|t| matches!(t, TableNeed::Have { .. }));
    let start_at = match (retained, live) {
        (true, _) => state.durable(),
        (false, true) => at,
        (false, false) => barrier_at,
    };
    let mut edits = progress_edits(&config, &project, &decision, &ids, &found, &system, &prints);
    let statuses = statuses(&project);
    shared.session(generation, statuses, &infos(&project, &ids));
    for (d, reason) in project.definitions.iter().zip(&decision.reconcile) {
        let is = if reason.is_some() { TransformState::Loading } else { TransformState::Live };
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
        temporary: loaded.iter().filter(|l| !l.kept).map(|l| l.space).collect(),
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
    let counting = Counting::new(&engine, config.bridge.state_dir.clone());
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
        },
        out: OutputBatch { end_lsn: if decision.rebase { EndLsn::ZERO } else { at }, ..OutputBatch::default() },
        edits,
        idle: IdlePolicy::new(Instant::now()),
        counting,
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
        slot: config.postgres.slot.clone(),
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

/// Key and value schema ids, by definition.
type Ids = Vec<(Option<u32>, u32)>;

fn register(config: &Config, project: &Project, client: &registry::Client) -> Result<Ids, Failure> {
    let mode = options::registry_mode(config);
    let level = &config.registry.compatibility;
    let mut ids = Vec::new();
    for d in &project.definitions {
        let key = match d.key.text() {
            Some(text) => Some(client.ensure(&format!("{}-key", d.topic), text, mode, level)?),
            None => None,
        };
        let value = client.ensure(&format!("{}-value", d.topic), d.contract.text(), mode, level)?;
        ids.push((key, value));
    }
    Ok(ids)
}

/// The newest progress, if there is a progress topic; it is made here if it may be.
fn progress_before(config: &Config, options: &emit::Options) -> Result<Option<Progress>, Failure> {
    let wanted = options::progress_topic(config, options);
    let found = topics::ensure(options, &[wanted], options::topic_mode(config))?;
    refuse(found.diagnostics)?;
    Ok(emit::progress::newest(options)?)
}

fn ensure_topics(
    config: &Config,
    project: &Project,
    options: &mut emit::Options,
    progress: Option<&Progress>,
) -> Result<Vec<topics::Found>, Failure> {
    let wanted = options::pinned_topics(config, project, progress);
    let mut found = topics::ensure(options, &wanted, options::topic_mode(config))?;
    refuse(found.diagnostics)?;
    let smallest = found.found.values().filter_map(topics::Found::max_message_bytes).min();
    options.smallest_topic_limit = smallest.unwrap_or(options.smallest_topic_limit);
    Ok(wanted.iter().filter_map(|w| found.found.remove(&w.name)).collect())
}

fn refuse(findings: Vec<crate::diagnostic::Diagnostic>) -> Result<(), Failure> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|d| d.severity == crate::diagnostic::Severity::Error);
    for w in warnings {
        tracing::warn!(code = %w.code, "{}", w.message);
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Findings(errors)) }
}

fn pinned_keys(project: &Project, ids: &Ids, progress: Option<&Progress>) -> Result<(), Failure> {
    let findings: Vec<_> =
        project.definitions.iter().zip(ids).filter_map(|(d, (key, _))| survey::key_pinned(d, *key, progress)).collect();
    if findings.is_empty() { Ok(()) } else { Err(Failure::Findings(findings)) }
}

fn look_at_source(
    config: &Config,
    pg: &capture::Options,
    sql: &mut Connection,
    system: &timeline::System,
    progress: Option<&Progress>,
    prints: &Fingerprints,
    kept: Option<&serde_json::Value>,
) -> Result<Source, Failure> {
    let mut source = Source {
        system_identifier: system.identifier.to_string(),
        timeline: system.timeline,
        diverged: None,
        slot: Slot::Absent,
        changed_tables: BTreeSet::new(),
        publication_changed: None,
    };
    source.slot = match slot::read(sql, &config.postgres.slot)? {
        _ if config.postgres.temporary_slot => Slot::Temporary,
        None => Slot::Absent,
        Some(found) => match found.check(&pg.database) {
            Ok(()) => Slot::Usable { confirmed: EndLsn(found.confirmed_flush.unwrap_or(Lsn::ZERO)) },
            Err(e @ capture::Error::SlotLost { .. }) => Slot::Lost { reason: super::failure::chain(&e) },
            Err(e) => return Err(e.into()),
        },
    };
    let Some(p) = progress.filter(|p| p.end_lsn > EndLsn::ZERO) else { return Ok(source) };
    if p.timeline != 0 && p.timeline != system.timeline {
        let mut replication = connect(pg, Mode::Replication)?;
        let history = timeline::history(&mut replication, system.timeline)?;
        if timeline::check_continuity(p.end_lsn.0, p.timeline, system.timeline, &history).is_err() {
            source.diverged = Some(p.end_lsn);
        }
    }
    let changed = fingerprint::changed(&p.fingerprints, kept, prints);
    for message in &changed.messages {
        tracing::warn!("{message}");
    }
    source.changed_tables = changed.tables;
    source.publication_changed = changed.publication;
    Ok(source)
}

/// A new topic must be empty, or a person says that we may have it.
fn adopt(
    project: &Project,
    decision: &Decision,
    progress: Option<&Progress>,
    options: &emit::Options,
    approvals: &Approvals,
) -> Result<(), Failure> {
    for (d, reason) in project.definitions.iter().zip(&decision.reconcile) {
        let known = progress.is_some_and(|p| p.topics.contains_key(&d.topic));
        let word = format!("adopt:{}", d.topic);
        if reason.is_some()
            && !known
            && !approvals.words.contains(&word)
            && !emit::readback::is_empty(options, &d.topic)?
        {
            return Err(Failure::Adopt { topic: d.topic.clone(), word });
        }
    }
    Ok(())
}

fn log_decision(project: &Project, decision: &Decision) {
    for (d, reason) in project.definitions.iter().zip(&decision.reconcile) {
        if let Some(reason) = reason {
            tracing::info!(transform = d.file.name, topic = d.topic, reason = ?reason, "will be reconciled");
        }
    }
    for topic in &decision.forget {
        tracing::warn!(topic, "no transform has this topic any more: it is left as it is");
    }
}

fn publish(config: &Config, conn: &mut Connection, wanted: &[publication::WantedTable]) -> Result<(), Failure> {
    let facts = Facts::read(conn, &config.postgres.publication, wanted)?;
    let (mode, columns) = (options::publication_mode(config), options::publication_columns(config));
    let plan = publication::plan(mode, columns, &config.postgres.publication, wanted, &facts);
    refuse(plan.findings.clone())?;
    for statement in plan.statements() {
        tracing::info!(statement, "publication");
    }
    publication::apply(conn, &plan)?;
    Ok(())
}

/// How long an earlier walsender of ours may take to end before the wait is told.
const CLAIM_STEP: Duration = Duration::from_millis(200);

/// Waits until nobody reads from the slot. A walsender of this bridge that still holds it is an earlier life of ours, or
/// a process that we have fenced just now: it is ended. Anybody else is waited for.
fn claim(
    pg: &capture::Options,
    sql: &mut Connection,
    config: &Config,
    shared: &Shared,
    emit_options: &emit::Options,
    generation: u64,
) -> Result<(), Failure> {
    let mut steps = 0u32;
    loop {
        let pid = slot::read(sql, &config.postgres.slot)?.and_then(|s| s.active_pid);
        let Some(pid) = pid else { return Ok(()) };
        if shared.shutdown() {
            return Err(Failure::ShutDown);
        }
        if steps.is_multiple_of(25) {
            if let Some(newest) = emit::newer_generation(emit_options, generation)? {
                let newest = Box::new(newest);
                return Err(Failure::Emit(emit::EmitError::Superseded { ours: generation, newest }));
            }
            let name = crate::catalogue::quote_literal(&pg.application_name);
            let rows = sql.query(&format!(
                "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE pid = {pid} AND application_name = {name}"
            ))?;
            tracing::warn!(
                slot = config.postgres.slot,
                pid,
                ours = !rows.is_empty(),
                "the slot is held by another connection"
            );
            shared.is(BridgeState::WaitingSlot);
        }
        steps += 1;
        shared.wait(CLAIM_STEP);
    }
}

/// The server forwards silently to where the slot is: past the start there is a gap.
fn forwarded(sql: &mut Connection, config: &Config, wanted: EndLsn) -> Result<(), Failure> {
    let confirmed =
        slot::read(sql, &config.postgres.slot)?.and_then(|s| s.confirmed_flush).map_or(EndLsn::ZERO, EndLsn);
    if confirmed > wanted {
        return Err(Failure::Forwarded { slot: config.postgres.slot.clone(), confirmed, wanted });
    }
    Ok(())
}

/// Rows of tables that no transform reads any more, or in another layout, go.
fn drop_unused(state: &mut State, wanted: &[WantedTable]) -> Result<(), Failure> {
    let of_use =
        |t: &crate::state::TableState| wanted.iter().any(|w| w.stored && w.oid == t.oid && w.layout == t.layout);
    let gone: Vec<SpaceId> = state.meta().tables.iter().filter(|t| !of_use(t)).map(|t| SpaceId(t.space)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    state.update_meta(|m| m.tables.retain(of_use))?;
    for space in gone {
        state.clear(space)?;
    }
    Ok(())
}

#[allow(clippy::too_many_arguments)]
fn build_engine(
    config: &Config,
    project: &Project,
    decision: &Decision,
    loaded: &[Loaded],
    prints: &Fingerprints,
    context: &Arc<Context>,
    state: &mut State,
    found: &[topics::Found],
    barrier: EndLsn,
) -> Result<(Engine, Vec<EndLsn>), Failure> {
    let mut tables = Vec::new();
    let mut tables_at = Vec::new();
    for (i, (t, need)) in project.tables.iter().zip(&decision.tables).enumerate() {
        let loaded_here = loaded.iter().find(|l| l.table == i);
        let loaded_at = match (need, loaded_here) {
            (TableNeed::Have { loaded_at }, _) => *loaded_at,
            (_, Some(l)) if l.kept => barrier,
            // Nothing is kept, and nobody looks at what lies before the barrier: it may be told in columns that are gone.
            _ if t.identity.is_none() && all_reconcile(project, decision, i) => barrier,
            // Changes count for each transform from where it is live.
            _ => EndLsn::ZERO,
        };
        let kept = state.meta().tables.iter().find(|k| k.oid == t.table.oid).map(|k| SpaceId(k.space));
        let table = t.for_engine(prints, kept, loaded_at);
        tables_at.push(match (&table.identity, need) {
            (engine::Identity::Key { .. }, TableNeed::Have { .. }) => state.applied().max(loaded_at),
            _ => barrier,
        });
        tables.push(table);
    }
    let dead_letters = project.definitions.len();
    let mut transforms = Vec::new();
    let mut next_dead = 0;
    for i in 0..project.definitions.len() {
        let table = project.table_of(&project.definitions[i]);
        let d = &project.definitions[i];
        let on_error = match d.on_error {
            OnError::Halt => engine::OnError::Halt,
            OnError::DeadLetter => {
                let place = dead_letters + next_dead;
                next_dead += 1;
                engine::OnError::DeadLetter {
                    topic: TopicId(place as u16),
                    partitions: found[place].partitions,
                    held: held_space(state, &d.topic)?,
                }
            }
        };
        transforms.push(engine::Transform {
            partitions: found[i].partitions,
            live_from: if decision.reconcile[i].is_some() { barrier } else { EndLsn::ZERO },
            on_error,
            dead_letter_columns: config
                .topic_override(&d.file.header.topic)
                .filter(|o| o.dead_letter_rows)
                .map(|_| d.plan.sources[0].columns.iter().map(|c| c.name.clone()).collect()),
            ..d.for_engine(i, (table, &tables[table]), context)
        });
    }
    let limits =
        SplitLimits { records: config.commit.split_records as usize, bytes: config.commit.split_bytes as usize };
    Ok((Engine::new(tables, transforms, limits), tables_at))
}

/// Cursors of the topics that progress knows and that will be reconciled.
fn unfinished(project: &Project, decision: &Decision, progress: Option<&Progress>, barrier: EndLsn) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (d, _) in project.definitions.iter().zip(&decision.reconcile).filter(|(_, reason)| reason.is_some()) {
        if progress.is_some_and(|p| p.topics.contains_key(&d.topic)) {
            let cursor = Some(serde_json::json!({ "lsn": barrier.to_string() }));
            edits.push(Edit::ReconcileCursor { topic: d.topic.clone(), cursor });
        }
    }
    edits
}

/// Whether every transform of a table is reconciled.
fn all_reconcile(project: &Project, decision: &Decision, table: usize) -> bool {
    let mut of_table =
        project.definitions.iter().zip(&decision.reconcile).filter(|(d, _)| project.table_of(d) == table);
    of_table.all(|(_, reason)| reason.is_some())
}

fn held_space(state: &mut State, topic: &str) -> Result<SpaceId, Failure> {
    if let Some(space) = state.meta().held_space(topic) {
        return Ok(space);
    }
    let mut space = SpaceId(0);
    state.update_meta(|m| {
        space = m.new_space();
        m.held.push(crate::state::meta::HeldSpace { space: space.0, topic: topic.to_owned() });
    })?;
    Ok(space)
}

fn topic_tasks(
    project: &Project,
    engine: &Engine,
    decision: &Decision,
    loaded: &[Loaded],
    state: &mut State,
    ids: &Ids,
) -> Vec<TopicTask> {
    let mut tasks = Vec::new();
    for (i, d) in project.definitions.iter().enumerate().filter(|(i, _)| decision.reconcile[*i].is_some()) {
        let table = engine.transforms[i].table;
        let rows = match (&engine.tables[table].identity, loaded.iter().find(|l| l.table == table)) {
            (engine::Identity::Key { space, .. }, _) => *space,
            (engine::Identity::Full, Some(l)) => l.space,
            // `decide` loads every table that a reconcile reads and that is not kept.
            (engine::Identity::Full, None) => continue,
        };
        let live = state.new_temporary_space();
        tasks.push(TopicTask {
            transform: i,
            rows,
            live,
            record: Arc::clone(d.contract.record()),
            schema_id: ids[i].1,
            revision: d.revision.clone(),
        });
    }
    tasks
}

/// What the first progress record of the session says beside the position.
fn progress_edits(
    config: &Config,
    project: &Project,
    decision: &Decision,
    ids: &Ids,
    found: &[topics::Found],
    system: &timeline::System,
    prints: &Fingerprints,
) -> Vec<Edit> {
    let mut edits = vec![Edit::Source {
        epoch: decision.epoch,
        system_identifier: system.identifier.to_string(),
        timeline: system.timeline,
        slot: config.postgres.slot.clone(),
        revision: project.revision(),
    }];
    for (i, d) in project.definitions.iter().enumerate() {
        let progress = TopicProgress {
            topic_id: found[i].topic_id.clone(),
            partitions: found[i].partitions,
            key_schema_id: ids[i].0.map(|k| k as i32),
            revision: Some(d.revision.clone()),
            ..TopicProgress::default()
        };
        edits.push(Edit::Topic { topic: d.topic.clone(), progress });
        if decision.reconcile[i].is_some() {
            edits.push(Edit::Transform(TransformRecord {
                topic: d.topic.clone(),
                name: d.file.name.clone(),
                sha256: d.file.sha256.clone(),
                sql: d.file.text.clone(),
                avsc: d.contract.text().to_owned(),
            }));
        }
    }
    for topic in &decision.forget {
        edits.push(Edit::ForgetTopic { topic: topic.clone() });
        edits.push(Edit::ForgetTransform { topic: topic.clone() });
    }
    edits.push(Edit::Fingerprints(fingerprint::compact(prints)));
    edits
}

fn statuses(project: &Project) -> Vec<TopicStatus> {
    let of = |d: &project::Definition, dead_letter: bool| TopicStatus {
        transform: d.file.name.clone(),
        topic: if dead_letter { format!("{}.dead-letter", d.topic) } else { d.topic.clone() },
        dead_letter,
        tables: d.plan.sources.iter().map(|s| s.table.to_string()).collect(),
        ..TopicStatus::default()
    };
    let dead = project.definitions.iter().filter(|d| d.on_error == OnError::DeadLetter);
    project.definitions.iter().map(|d| of(d, false)).chain(dead.map(|d| of(d, true))).collect()
}

fn infos(project: &Project, ids: &Ids) -> Vec<TransformInfo> {
    let of = |(d, (_, value)): (&project::Definition, &(Option<u32>, u32))| TransformInfo {
        name: d.file.name.clone(),
        topic: d.topic.clone(),
        owner: d.file.header.owner.clone().unwrap_or_default(),
        sha256: d.file.sha256.clone(),
        schema_id: *value,
    };
    project.definitions.iter().zip(ids).map(of).collect()
}
