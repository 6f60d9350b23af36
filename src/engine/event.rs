//! Events: every committed INSERT of a root is one record, whatever becomes of the row afterwards.
//!
//! The row is the one that the INSERT wrote: it is read from the stream a second time once the transaction is known, so
//! nothing of it is kept, neither in the state nor in memory. A row that the same transaction updates or deletes again is
//! an event all the same, with the values that it was inserted with; rows of other tables are those of the commit.
//! UPDATE, DELETE and TRUNCATE are no events. Each event is a record: nothing is compared, nothing is suppressed.
//!
//! Events have relation maps of their own, over the columns that each transform reads: what a table that is loaded anew
//! does not look at any more is an event still.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::assemble::Transaction;
use crate::catalogue::Oid;
use crate::change::{Change, CommitInfo};
use crate::encode::{Outcome, Rendered, RowError, body_of};
use crate::record::{Origin, OutputBatch};
use crate::relation::Relation;
use crate::row::{Row, Tuple};
use crate::state::{SpaceId, State, View};

use super::diff::{OnError, Transform};
use super::lookup::Rows;
use super::outgoing::{Outgoing, Stamp, attach, push};
use super::reconcile::{Chunk, Steps, Summary};
use super::sighting::{Sighting, key_of, key_text, render, row_values};
use super::store::recycled;
use super::table::{RelationMap, RelationMaps, Resolved, Table};
use super::{Engine, EngineError, SplitLimits, held};

/// The roots of all event transforms.
#[derive(Default)]
pub struct Events {
    roots: Vec<Root>,
    by_oid: HashMap<Oid, Vec<usize>>,
    /// An INSERT of a root was met in this transaction.
    met: bool,
    /// Relations that this transaction has replaced: what held at its begin.
    replaced: Vec<(usize, Oid, RelationMap)>,
    rendered: Rendered,
    values: Vec<Option<&'static [u8]>>,
}

struct Root {
    transform: usize,
    /// With the plan's columns, in their order.
    table: Table,
    relations: RelationMaps,
}

impl Events {
    /// Event transforms by their place in the engine, each with its root: the plan's columns and no others.
    pub fn new(roots: Vec<(usize, Table)>) -> Events {
        let mut events = Events::default();
        for (i, (transform, table)) in roots.into_iter().enumerate() {
            for &oid in table.leaves.iter().chain([&table.oid]) {
                events.by_oid.entry(oid).or_default().push(i);
            }
            let relations = RelationMaps::new(std::slice::from_ref(&table));
            events.roots.push(Root { transform, table, relations });
        }
        events
    }

    pub(super) fn forget_relations(&mut self) {
        self.roots.iter_mut().for_each(|r| r.relations.forget());
    }

    pub(super) fn begin(&mut self) {
        self.met = false;
        self.replaced.clear();
    }

    /// Whether INSERTs of this relation are events.
    pub(super) fn read(&self, relation: Oid) -> bool {
        !self.by_oid.is_empty() && self.by_oid.contains_key(&relation)
    }

    pub(super) fn inserted(&mut self, relation: Oid) {
        self.met = self.met || self.read(relation);
    }

    pub(super) fn learn(&mut self, relation: &Relation) {
        let Some(roots) = self.by_oid.get(&relation.oid) else { return };
        for &i in roots {
            let root = &mut self.roots[i];
            let before = root.relations.learn(relation, std::slice::from_ref(&root.table));
            let first = !self.replaced.iter().any(|(r, oid, _)| (*r, *oid) == (i, relation.oid));
            if let (Some(before), true) = (before, first) {
                self.replaced.push((i, relation.oid, before));
            }
        }
    }

    /// Reads the transaction once more and appends a record for each INSERT of a root. What is staged in the state is what
    /// the commit leaves.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn emit(
        &mut self,
        tx: &Transaction,
        transforms: &mut [Transform],
        tables: &[Table],
        outgoing: &mut Outgoing,
        limits: &SplitLimits,
        state: &State,
        out: &mut OutputBatch,
        outlet: &mut dyn super::Outlet,
    ) -> Result<(), EngineError> {
        if !self.met {
            return Ok(());
        }
        // Rows before a Relation of this transaction are told in the one before it.
        for (i, oid, map) in self.replaced.drain(..) {
            self.roots[i].relations.put_back(oid, map);
        }
        let info = tx.info;
        let sources: Vec<_> = self.roots.iter().map(|r| Arc::clone(&transforms[r.transform].sources)).collect();
        let looked_up: Vec<Rows<'_>> =
            sources.iter().map(|sources| Rows::new(state, tables, sources, View::After)).collect();
        tx.for_each(|change| match change {
            Change::Relation(relation) => {
                self.learn(&relation);
                Ok(())
            }
            Change::Insert { relation, new } => {
                let Events { roots, by_oid, rendered, values, .. } = self;
                for &i in by_oid.get(&relation).into_iter().flatten() {
                    let t = &mut transforms[roots[i].transform];
                    if info.end_lsn <= t.live_from {
                        continue;
                    }
                    let root = &roots[i];
                    let mut row = recycled(std::mem::take(values));
                    let done = insert(root, t, relation, &new, &info, &mut row, &looked_up[i], rendered)
                        .and_then(|rendering| one(t, rendering, &row, rendered, outgoing, limits, &info, out, outlet));
                    *values = recycled(row);
                    done?;
                }
                Ok(())
            }
            _ => Ok(()),
        })
    }
}

/// Renders the row of one INSERT.
#[allow(clippy::too_many_arguments)]
fn insert<'v>(
    root: &Root,
    t: &mut Transform,
    relation: Oid,
    new: &Tuple<'v>,
    info: &CommitInfo,
    row: &mut Vec<Option<&'v [u8]>>,
    rows: &Rows<'_>,
    rendered: &mut Rendered,
) -> Result<Result<bool, RowError>, EngineError> {
    let table = std::slice::from_ref(&root.table);
    let Some(r) = Resolved::find(relation, &root.relations, table, info)? else { return Ok(Ok(false)) };
    if !r.whole_values(new, row) {
        let table = root.table.name.clone();
        return Err(EngineError::Incomplete { table, what: "a value of its new row", lsn: info.end_lsn });
    }
    t.counts.evaluations += 1;
    let outcome = t.renderer.render(&t.context, row, rows, rendered);
    if outcome.is_err() && t.renderer.key(&t.context, row, rows, rendered).is_err() {
        // A dead letter without a key says so.
        rendered.key.clear();
    }
    rows.check()?;
    Ok(outcome.map(|o| o == Outcome::Entity))
}

#[allow(clippy::too_many_arguments)]
fn one(
    t: &mut Transform,
    rendering: Result<bool, RowError>,
    row: Row<'_>,
    rendered: &Rendered,
    outgoing: &mut Outgoing,
    limits: &SplitLimits,
    info: &CommitInfo,
    out: &mut OutputBatch,
    outlet: &mut dyn super::Outlet,
) -> Result<(), EngineError> {
    match rendering {
        Ok(false) => Ok(()),
        Ok(true) => {
            let id = t.renderer.has_event_id().then_some(&rendered.event_id[..]);
            outgoing.emit_event(t.topic, t.partitions, &rendered.key, Some(&rendered.value), id, limits, out, outlet)
        }
        Err(e) => {
            t.counts.failed(&e);
            let OnError::DeadLetter { topic, partitions, .. } = t.on_error else {
                let key = key_text(t, &rendered.key);
                return Err(EngineError::Row { transform: t.name.clone(), key, lsn: info.end_lsn, source: e });
            };
            let letter = held::letter(&t.name, &e, info.end_lsn, outgoing.seq(), shown(t, row));
            outgoing.emit_event(topic, partitions, &rendered.key, Some(letter.as_bytes()), None, limits, out, outlet)
        }
    }
}

/// The row in PostgreSQL's text forms, where dead letters show it.
fn shown(t: &Transform, row: Row<'_>) -> Option<serde_json::Value> {
    let columns = t.dead_letter_columns.as_ref()?;
    let text = |cell: &Option<&[u8]>| cell.map(|c| String::from_utf8_lossy(c).into_owned());
    Some(columns.iter().cloned().zip(row.iter().map(|c| serde_json::json!(text(c)))).collect())
}

/// Rows that are events although their INSERT is not in the stream: those of the first load (`backfill`), and after a gap
/// those that the topic lacks (`on_gap = "replay"`).
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub transform: usize,
    /// The root's rows as of the barrier.
    pub rows: SpaceId,
    /// What the topic has: event ids, or where there are none, `[digest]` with eight bytes behind it for each record.
    /// None: it is empty.
    pub known: Option<SpaceId>,
    pub origin: Origin,
}

/// Emits the rows that the topic does not have. Started again after a crash the topic is read again, and what it has by
/// then is not emitted twice.
pub fn emit_rows(
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
    loop {
        let rows = Chunk::next(state, task.rows, &mut from)?;
        let Some(last_key) = rows.last_key() else { return Ok(summary) };
        for (_, stored) in &rows.entries {
            let (times, image) = engine.tables[engine.transforms[task.transform].root()].image_of(stored)?;
            for _ in 0..times {
                summary.roots += 1;
                row(engine, task, &stamp, seq, image, &mut rendered, state, out, &mut summary)?;
            }
        }
        steps.step(out, summary.roots, last_key)?;
        if rows.is_last() {
            return Ok(summary);
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn row(
    engine: &mut Engine,
    task: Task,
    stamp: &Stamp,
    seq: &mut u64,
    image: &[u8],
    rendered: &mut Rendered,
    state: &mut State,
    out: &mut OutputBatch,
    summary: &mut Summary,
) -> Result<(), EngineError> {
    let t = &mut engine.transforms[task.transform];
    let table = &engine.tables[t.root()];
    let sources = Arc::clone(&t.sources);
    let rows = Rows::new(state, &engine.tables, &sources, View::Before);
    let root = Sighting { image: Some(image), rows: Some(&rows) };
    let rendering = render(t, table, root, rendered)?;
    let key = match &rendering {
        // A dead letter without a key says so.
        Err(_) => key_of(t, table, root, rendered)?.map(<[u8]>::to_vec).unwrap_or_default(),
        Ok(_) => Vec::new(),
    };
    match rendering {
        Ok(false) => {}
        Ok(true) => {
            let id = t.renderer.has_event_id().then_some(&rendered.event_id[..]);
            if let Some(known) = task.known
                && is_known(known, id, rendered, state)?
            {
                summary.unchanged += 1;
                return Ok(());
            }
            push(out, t.topic, t.partitions, &rendered.key, Some(&rendered.value), stamp, *seq, task.origin);
            attach(out, id, 0..0);
            *seq += 1;
            summary.upserts += 1;
        }
        Err(e) => {
            t.counts.failed(&e);
            let OnError::DeadLetter { topic, partitions, .. } = t.on_error else {
                let key = key_text(t, &key);
                return Err(EngineError::Row { transform: t.name.clone(), key, lsn: stamp.end_lsn, source: e });
            };
            let letter = held::letter(&t.name, &e, stamp.end_lsn, *seq, row_values(t, table, Some(image))?);
            push(out, topic, partitions, &key, Some(letter.as_bytes()), stamp, *seq, task.origin);
            *seq += 1;
            summary.held += 1;
        }
    }
    Ok(())
}

/// Of records that are told apart by their content, each stands for one row.
fn is_known(known: SpaceId, id: Option<&[u8]>, rendered: &Rendered, state: &mut State) -> Result<bool, EngineError> {
    if let Some(id) = id {
        return Ok(state.get_direct(known, id)?.is_some());
    }
    let digest = digest(&rendered.key, body_of(&rendered.value));
    let mut found: Option<Box<[u8]>> = None;
    state.scan(known, &digest, |key, _| {
        found = key.starts_with(&digest).then(|| key.into());
        ControlFlow::Break(())
    })?;
    if let Some(found) = &found {
        state.remove_direct(known, std::iter::once(&found[..]))?;
    }
    Ok(found.is_some())
}

/// What tells events without an id apart.
pub fn digest(key: &[u8], body: &[u8]) -> [u8; 16] {
    let mut hash = Xxh3::new();
    hash.update(&(key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(body);
    hash.digest128().to_be_bytes()
}
