//! What a session is put together from: the engine with its tables and transforms, the tasks of a reconcile, what progress
//! says first, what `/status` shows.

use super::kafka::{Id, Ids};
use crate::capture::timeline;
use crate::capture::watch::Fingerprints;
use crate::config::Config;
use crate::emit::Edit;
use crate::emit::Progress;
use crate::emit::TopicProgress;
use crate::emit::TransformRecord;
use crate::emit::topics;
use crate::engine;
use crate::engine::Engine;
use crate::engine::SplitLimits;
use crate::lsn::EndLsn;
use crate::metrics::TransformInfo;
use crate::record::TopicId;
use crate::runtime::decide::Decision;
use crate::runtime::decide::TableNeed;
use crate::runtime::decide::WantedTable;
use crate::runtime::failure::Failure;
use crate::runtime::fingerprint;
use crate::runtime::load::Loaded;
use crate::runtime::project;
use crate::runtime::project::Project;
use crate::runtime::reconcile::{TopicTask, cursor};
use crate::runtime::shared::TopicStatus;
use crate::state::SpaceId;
use crate::state::State;
use crate::transform::function::Context;
use crate::transform::source::OnError;
use std::sync::Arc;

pub(super) fn log_decision(project: &Project, decision: &Decision) {
    for (d, reason) in project.definitions.iter().zip(&decision.reconcile) {
        if let Some(reason) = reason {
            tracing::info!(transform = d.file.name, topic = d.topic, reason = ?reason, "will be reconciled");
        }
    }
    for topic in &decision.forget {
        tracing::warn!(topic, "no transform has this topic any more: it is left as it is");
    }
}

/// Rows of tables that no transform reads any more, or in another layout, go.
pub(super) fn drop_unused(state: &mut State, wanted: &[WantedTable]) -> Result<(), Failure> {
    let of_use =
        |t: &crate::state::TableState| wanted.iter().any(|w| w.stored && w.oid == t.oid && w.layout == t.layout);
    let gone: Vec<SpaceId> = state.meta().tables.iter().filter(|t| !of_use(t)).flat_map(|t| t.spaces()).collect();
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
pub(super) fn build_engine(
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
            _ if !t.stored() && nobody_follows(project, decision, i) => barrier,
            // Changes count for each transform from where it is live.
            _ => EndLsn::ZERO,
        };
        let kept = state.meta().tables.iter().find(|k| t.stored() && k.oid == t.table.oid).map(|k| k.spaces());
        let table = t.for_engine(prints, &kept.unwrap_or_default(), loaded_at);
        tables_at.push(match (t.stored(), need) {
            (true, TableNeed::Have { .. }) => state.applied().max(loaded_at),
            _ => barrier,
        });
        tables.push(table);
    }
    let dead_letters = project.definitions.len();
    let mut transforms = Vec::new();
    let mut next_dead = 0;
    for i in 0..project.definitions.len() {
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
            live_from: if decision.follows[i] { EndLsn::ZERO } else { barrier },
            on_error,
            dead_letter_columns: config
                .topic_override(&d.file.header.topic)
                .filter(|o| o.dead_letter_rows)
                .map(|_| d.plan.sources[0].columns.iter().map(|c| c.name.clone()).collect()),
            ..d.for_engine(i, &tables, context)
        });
    }
    let limits =
        SplitLimits { records: config.commit.split_records as usize, bytes: config.commit.split_bytes as usize };
    let mut engine = Engine::new(tables, transforms, limits);
    engine.events = project.events(prints);
    Ok((engine, tables_at))
}

/// Whether something is to be done for the topic at the barrier: an event topic may only begin there.
pub(super) fn has_task(project: &Project, decision: &Decision, i: usize) -> bool {
    match project.definitions[i].is_event() {
        true => decision.jobs[i].is_some(),
        false => decision.reconcile[i].is_some(),
    }
}

/// Cursors of the topics that progress knows and that will be reconciled.
pub(super) fn unfinished(
    project: &Project,
    decision: &Decision,
    progress: Option<&Progress>,
    barrier: EndLsn,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (i, d) in project.definitions.iter().enumerate().filter(|(i, _)| has_task(project, decision, *i)) {
        if progress.is_some_and(|p| p.topics.contains_key(&d.topic)) {
            let cursor = Some(cursor(barrier, decision.jobs[i]));
            edits.push(Edit::ReconcileCursor { topic: d.topic.clone(), cursor });
        }
    }
    edits
}

/// Whether no transform of a table goes on from the progress.
pub(super) fn nobody_follows(project: &Project, decision: &Decision, table: usize) -> bool {
    let mut of_table =
        project.definitions.iter().zip(&decision.follows).filter(|(d, _)| project.tables_of(d).contains(&table));
    of_table.all(|(_, follows)| !follows)
}

pub(super) fn held_space(state: &mut State, topic: &str) -> Result<SpaceId, Failure> {
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

pub(super) fn topic_tasks(
    project: &Project,
    engine: &Engine,
    decision: &Decision,
    loaded: &[Loaded],
    state: &mut State,
    ids: &Ids,
) -> Vec<TopicTask> {
    let mut tasks = Vec::new();
    for (i, d) in project.definitions.iter().enumerate().filter(|(i, _)| has_task(project, decision, *i)) {
        let table = engine.transforms[i].root();
        let rows = match (engine.tables[table].identity.space(), loaded.iter().find(|l| l.table == table)) {
            (Some(space), _) => space,
            (None, Some(l)) => l.spaces[0],
            // `decide` loads every table that a reconcile reads and that is not kept.
            (None, None) => continue,
        };
        let live = state.new_temporary_space();
        tasks.push(TopicTask {
            transform: i,
            job: decision.jobs[i],
            rows,
            live,
            record: Arc::clone(d.contract.record()),
            schema_id: ids[i].value,
            revision: d.revision.clone(),
        });
    }
    tasks
}

/// What the first progress record of the session says beside the position.
#[allow(clippy::too_many_arguments)]
pub(super) fn progress_edits(
    config: &Config,
    project: &Project,
    decision: &Decision,
    ids: &Ids,
    found: &[topics::Found],
    system: &timeline::System,
    prints: &Fingerprints,
    before: Option<&Progress>,
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
            key_schema_id: ids[i].key.map(|k| k as i32),
            revision: Some(d.revision.clone()),
            ..TopicProgress::default()
        };
        edits.push(Edit::Topic { topic: d.topic.clone(), progress });
        // An event topic is not reconciled for a change; what it is made by is kept all the same.
        let known = before.and_then(|p| p.topics.get(&d.topic)).and_then(|t| t.revision.as_ref());
        if decision.reconcile[i].is_some() || known != Some(&d.revision) {
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

/// The tables that feed a transform, with the columns that it reads of them.
fn sources(project: &Project, d: &project::Definition) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for t in project.tables_of(d) {
        let name = &project.tables[t].table.name;
        let mut columns: Vec<String> = Vec::new();
        for c in d.plan.sources.iter().filter(|s| s.table == *name).flat_map(|s| &s.columns) {
            if !columns.contains(&c.name) {
                columns.push(c.name.clone());
            }
        }
        all.push((name.to_string(), columns));
    }
    all
}

pub(super) fn statuses(project: &Project, ids: &Ids) -> Vec<TopicStatus> {
    let of = |d: &project::Definition, id: (u32, Option<u32>), dead_letter: bool| TopicStatus {
        transform: d.file.name.clone(),
        topic: if dead_letter { format!("{}.dead-letter", d.topic) } else { d.topic.clone() },
        dead_letter,
        event: d.is_event() && !dead_letter,
        sources: sources(project, d),
        schema_id: id.0,
        schema_version: id.1,
        ..TopicStatus::default()
    };
    let dead = project.definitions.iter().filter(|d| d.on_error == OnError::DeadLetter);
    let live = project.definitions.iter().zip(ids).map(|(d, i)| of(d, (i.value, i.version), false));
    live.chain(dead.map(|d| of(d, (0, None), true))).collect()
}

pub(super) fn infos(project: &Project, ids: &Ids) -> Vec<(TransformInfo, bool)> {
    let of = |(d, ids): (&project::Definition, &Id)| {
        let info = TransformInfo {
            name: d.file.name.clone(),
            topic: d.topic.clone(),
            owner: d.file.header.owner.clone().unwrap_or_default(),
            sha256: d.file.sha256.clone(),
            schema_id: ids.value,
        };
        (info, d.is_event())
    };
    project.definitions.iter().zip(ids).map(of).collect()
}
