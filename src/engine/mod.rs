//! 4 and 5: which roots a transaction touches, and what that makes of the topics.
//!
//! ```text
//!  Change ─▶ table: cells → row of used columns ─▶ net: per row, the image before and after the transaction
//!         ─▶ diff: render both, merge by topic key, keep what differs ─▶ OutputBatch
//! ```
//!
//! One primitive: evaluate the root before and after, compare, emit the difference. The image before comes from the
//! stream where REPLICA IDENTITY is FULL (such a table is not stored at all), else from the local state; the rendering
//! before is evaluated again rather than remembered (`docs/adr/0002-compare-by-reevaluation.md`). With several sources
//! the roots are found by walking links back from the changed rows (`docs/adr/0006-joins-by-walks.md`). Inside one transaction
//! rows are counted, not overwritten: with deferrable keys two rows may share a topic key for a while.

mod annotate;
mod diff;
mod error;
pub mod event;
mod held;
pub mod index;
mod inserts;
mod joined;
mod lookup;
mod net;
mod outgoing;
pub mod reconcile;
mod sighting;
pub mod source;
mod store;
mod table;
mod touched;

use std::collections::HashMap;

use crate::assemble::Transaction;
use crate::catalogue::Oid;
use crate::change::{Change, CommitInfo, OldTuple};
use crate::lsn::EndLsn;
use crate::record::OutputBatch;
use crate::relation::Relation;
use crate::state::State;

pub use diff::{Counts, OnError, Transform};
pub use error::EngineError;
pub use event::Events;
pub use index::Index;
pub use lookup::Rows;
use net::Net;
pub use source::{LinkUse, SourceUse};
pub use table::{Identity, Table};
use table::{RelationMaps, Resolved};
use touched::Touched;

/// All tables and transforms of a bridge, and what the stream has said of their relations.
pub struct Engine {
    pub tables: Vec<Table>,
    pub transforms: Vec<Transform>,
    /// By table: whether a transform with several sources reads it.
    joined: Vec<bool>,
    touched: Touched,
    relations: RelationMaps,
    net: Net,
    diff: diff::Scratch,
    inserts: inserts::Scratch,
    pub events: Events,
    pub limits: SplitLimits,
    /// By table: inserts, updates, deletes, truncates that were applied.
    pub changes: Vec<[u64; 4]>,
}

/// Beyond these, one source transaction goes out in several Kafka transactions.
#[derive(Clone, Copy, Debug)]
pub struct SplitLimits {
    pub records: usize,
    pub bytes: usize,
}

impl SplitLimits {
    const NONE: SplitLimits = SplitLimits { records: usize::MAX, bytes: usize::MAX };
}

/// Where the parts of a transaction beyond the split limits go, where its records wait that memory is not to hold, and
/// where live keys come from for a TRUNCATE of a table that is not stored.
pub trait Outlet {
    /// What was set aside and `out.records[first..]` are a part of the transaction `info`, its number is `part.number`;
    /// more follow. Leaves `out` without them.
    fn part(&mut self, out: &mut OutputBatch, first: usize, info: &CommitInfo, part: Part) -> Result<(), EngineError>;
    /// So many bytes of one transaction's records may stay in `out`.
    fn room(&self) -> usize {
        usize::MAX
    }
    /// There is no room: `out.records[first..]` wait elsewhere, in their order, for the rest of their part.
    fn set_aside(&mut self, _out: &mut OutputBatch, _first: usize) -> Result<(), EngineError> {
        Ok(())
    }
    /// The transaction is whole: what was set aside comes before `out.records[first..]`. `part`: its last part's number,
    /// if it has several.
    fn whole(&mut self, _out: &mut OutputBatch, _first: usize, _part: Option<u32>) -> Result<(), EngineError> {
        Ok(())
    }
    /// Every key that is alive in the transform's topic before this transaction, with the hash of its body.
    fn live_keys(
        &mut self,
        out: &mut OutputBatch,
        transform: &Transform,
        f: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError>;
    /// A sign of life out of a large transaction. An error ends it: it comes again.
    fn progress(&mut self, _at: Progress<'_>) -> Result<(), EngineError> {
        Ok(())
    }
}

/// A part of a transaction that goes out in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1 on.
    pub number: u32,
    /// Records of the transaction in this part and those before it.
    pub done: u64,
}

/// How far a large transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Its changes are read.
    Changes { done: u64, of: u64 },
    /// Links are followed from the rows that changed to the roots of a transform; so many were found.
    Walk { transform: &'a str, found: u64 },
    /// Roots of a transform are compared.
    Roots { transform: &'a str, done: u64, of: u64 },
    /// What has no end that is known: records that wait for each other, rows that go to the state.
    Rest { transform: Option<&'a str> },
}

/// So many rows between two signs of life.
const SIGN: u64 = 1024;

/// What `apply` does with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Kafka has the transaction already: only the state follows.
    Replay,
    Emit {
        /// Records of this transaction that earlier parts have brought to Kafka.
        skip: u64,
    },
    /// The same, with the number of those parts: the next ones go on from it.
    Resume { skip: u64, parts: u32 },
}

impl Engine {
    pub fn new(tables: Vec<Table>, transforms: Vec<Transform>, limits: SplitLimits) -> Engine {
        let mut joined = vec![false; tables.len()];
        // An event's root is in the stream; of an entity all tables are asked.
        let asked = |t: &'_ Transform| t.sources.iter().skip(usize::from(t.event)).map(|s| s.table).collect::<Vec<_>>();
        for table in transforms.iter().filter(|t| t.sources.len() > 1).flat_map(asked) {
            debug_assert!(tables[table].identity.space().is_some(), "what joins read is stored");
            joined[table] = true;
        }
        Engine {
            joined,
            touched: Touched::default(),
            relations: RelationMaps::new(&tables),
            changes: vec![[0; 4]; tables.len()],
            tables,
            transforms,
            net: Net::default(),
            diff: diff::Scratch::default(),
            inserts: inserts::Scratch::default(),
            events: Events::default(),
            limits,
        }
    }

    /// The stream begins anew: the server sends every Relation again.
    pub fn forget_relations(&mut self) {
        self.relations.forget();
        self.events.forget_relations();
    }

    /// Applies one committed transaction to the state and appends its records. On an error nothing of it is in the
    /// state, and the records that were appended are taken back.
    pub fn apply(
        &mut self,
        tx: &Transaction,
        mode: Mode,
        state: &mut State,
        out: &mut OutputBatch,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        let info = tx.info;
        self.diff.outgoing.mark(out);
        self.diff.outgoing.annotations.clear();
        self.events.begin();
        if !inserts::apply(self, tx, &info, mode, state, out, outlet.room()) {
            self.diff.take_back(out);
            let result = self.apply_inner(tx, &info, mode, state, out, outlet);
            self.net.clear();
            if result.is_err() {
                state.drop_staged();
                self.diff.take_back(out);
                return result;
            }
        }
        state.advance(info.end_lsn);
        out.end_lsn = info.end_lsn;
        out.commit_time = info.commit_time;
        out.xid = info.xid;
        Ok(())
    }

    fn apply_inner(
        &mut self,
        tx: &Transaction,
        info: &CommitInfo,
        mode: Mode,
        state: &mut State,
        out: &mut OutputBatch,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        let Engine { tables, relations, net, changes, events, diff, .. } = self;
        let mut read = 0;
        tx.for_each(|change| -> Result<(), EngineError> {
            read += 1;
            if read % SIGN == 0 {
                outlet.progress(Progress::Changes { done: read, of: tx.changes() })?;
            }
            let resolve = |oid: Oid| Resolved::find(oid, relations, tables, info);
            match change {
                Change::Relation(relation) => {
                    learn(&relation, tables, relations, events);
                    Ok(())
                }
                Change::Insert { relation, new } => {
                    events.inserted(relation);
                    match resolve(relation)? {
                        Some(r) => {
                            changes[r.index][0] += 1;
                            net.insert(&r, new, state, info)
                        }
                        None => Ok(()),
                    }
                }
                Change::Update { relation, old, new } => match resolve(relation)? {
                    Some(r) => {
                        changes[r.index][1] += 1;
                        net.update(&r, old, new, state, info)
                    }
                    None => Ok(()),
                },
                Change::Delete { relation, old } => match resolve(relation)? {
                    Some(r) => {
                        changes[r.index][2] += 1;
                        net.delete(&r, old, state, info)
                    }
                    None => Ok(()),
                },
                Change::Truncate { relations: oids, .. } => {
                    for &oid in &oids {
                        if let Some(r) = resolve(oid)? {
                            changes[r.index][3] += 1;
                            let leaf = !r.table.leaves.iter().all(|l| oids.contains(l));
                            net.truncate(&r, leaf, state, info)?;
                        }
                    }
                    Ok(())
                }
                Change::Message { prefix, content } => {
                    if prefix == annotate::PREFIX {
                        diff.outgoing.annotations.add(content);
                    }
                    Ok(())
                }
            }
        })?;
        let joins = self.net.touches(&self.joined);
        if joins {
            self.net.stage(&self.tables, &self.joined, state, outlet)?;
        }
        let emits = mode != Mode::Replay;
        let mut limits = self.limits;
        // What is alive is read back before anything of this transaction is in `out`, and then nothing of it may go out
        // early: a second reading would see its own parts.
        let mut alive = HashMap::new();
        for (i, t) in self.transforms.iter().enumerate().filter(|(_, t)| info.end_lsn > t.live_from) {
            // A replay that follows held keys finds the topic as it was left at its end. That is enough: nothing is emitted,
            // and of a key that is held to the end the topic has the last good value.
            let looks = emits || t.on_error != OnError::Halt;
            if looks && !t.event && self.net.table(t.root()).is_some_and(|n| n.truncated) {
                let mut keys = Vec::new();
                outlet.live_keys(out, t, &mut |key, hash| keys.push((key.into(), hash)))?;
                alive.insert(i, keys);
                limits = SplitLimits::NONE;
            }
        }
        self.diff.begin(info, mode, out, outlet.room());
        let Engine { transforms, tables, net, touched, diff, events, .. } = self;
        for (i, transform) in transforms.iter_mut().enumerate() {
            // In a replay the records are in Kafka; held keys are state, and follow.
            let replayed = !emits && transform.on_error == OnError::Halt;
            if transform.event || info.end_lsn <= transform.live_from || replayed {
                continue;
            }
            if transform.sources.len() > 1 {
                if joins {
                    joined::transform(transform, tables, net, touched, diff, &limits, state, out, outlet)?;
                }
                continue;
            }
            let table = &tables[transform.root()];
            let alive = alive.remove(&i).unwrap_or_default();
            diff::transform(transform, table, net, alive, diff, &limits, state, out, outlet)?;
        }
        if emits {
            events.emit(tx, transforms, tables, &mut diff.outgoing, &limits, state, out, outlet)?;
        }
        self.diff.outgoing.finish(out, outlet)?;
        state.keep_staged();
        self.net.store(&self.tables, &self.joined, state);
        self.diff.store_held(state);
        Ok(())
    }

    /// Annotations that were refused so far, and why the last one was.
    pub fn refused_annotations(&self) -> (u64, &'static str) {
        self.diff.outgoing.annotations.refused()
    }

    /// The position moved on without a change for us.
    pub fn advance(&mut self, lsn: EndLsn, state: &mut State, out: &mut OutputBatch) {
        if lsn > state.applied() {
            state.advance(lsn);
        }
        out.end_lsn = out.end_lsn.max(lsn);
    }
}

/// A Relation holds from here on; of relations that no transform reads nothing is kept.
fn learn(relation: &Relation, tables: &[Table], relations: &mut RelationMaps, events: &mut Events) {
    relations.learn(relation, tables);
    events.learn(relation);
}

/// An old tuple as it identifies a row.
fn old_tuple<'a>(old: &OldTuple<'a>) -> Option<crate::row::Tuple<'a>> {
    match old {
        OldTuple::Absent => None,
        OldTuple::Key(t) | OldTuple::Full(t) => Some(*t),
    }
}

#[cfg(test)]
mod tests;
