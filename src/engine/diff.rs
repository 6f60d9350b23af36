//! From what happened to rows to what the topic must hear: both sides rendered, merged by topic key, compared.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3DefaultBuilder, xxh3_128};

use crate::change::CommitInfo;
use crate::encode::{KeySchema, Rendered, Renderer, RowError, body_of};
use crate::lsn::EndLsn;
use crate::record::{OutputBatch, TopicId};
use crate::state::{SpaceId, State};
use crate::transform::function::Context;

use super::held::{self, Held, HeldChange};
use super::net::Net;
use super::outgoing::Outgoing;
use super::sighting::{Sighting, key_of, key_text, render, row_values};
use super::source::SourceUse;
use super::table::Table;
use super::{EngineError, Mode, Outlet, Progress, SIGN, SplitLimits};

pub struct Transform {
    pub name: String,
    pub topic: TopicId,
    pub topic_name: String,
    pub partitions: i32,
    pub renderer: Arc<Renderer>,
    pub key: KeySchema,
    pub key_columns: Vec<String>,
    pub context: Arc<Context>,
    /// The root first.
    pub sources: Arc<[SourceUse]>,
    /// Topic keys and roots stand for each other one to one (`source::keyed_by_root`).
    pub keyed_by_root: bool,
    /// Every INSERT of the root is a record (`event`), instead of what is to stand under a key.
    pub event: bool,
    /// Transactions up to here are in the topic already: by a reconcile, or because Kafka has them.
    pub live_from: EndLsn,
    pub on_error: OnError,
    /// Names of the plan's columns, where dead letters show the row (`dead_letter_rows`).
    pub dead_letter_columns: Option<Vec<String>>,
    pub counts: Counts,
}

impl Transform {
    /// The root's table.
    pub fn root(&self) -> usize {
        self.sources[0].table
    }
}

/// What becomes of a row that cannot be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    Halt,
    /// The key keeps its last good value; `held` has the keys, `topic` gets the record.
    DeadLetter {
        topic: TopicId,
        partitions: i32,
        held: SpaceId,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub evaluations: u64,
    pub suppressed: u64,
    /// Rows that could not be told: evaluated, encoded, too large.
    pub errors: [u64; 3],
    /// How often a key was held or let go.
    pub held_changes: u64,
}

impl Counts {
    pub(super) fn failed(&mut self, e: &RowError) {
        let of = match e.code {
            crate::encode::codes::ROW_EVAL => 0,
            crate::encode::codes::ROW_TOO_LARGE => 2,
            _ => 1,
        };
        self.errors[of] += 1;
    }
}

/// A rendering that waits for its counterpart under the same topic key.
enum Side {
    /// Of the body: millions of them may have to wait.
    Hash(u128),
    /// It could not be rendered before either: the key is held, with this error told.
    Failed(Box<RowError>),
}

/// A topic key, and what is to stand under it now.
type Came = (Box<[u8]>, Result<Box<[u8]>, Failed>);

/// A row that cannot be rendered, and its values where the dead letter shows them.
struct Failed {
    error: RowError,
    row: Option<serde_json::Value>,
}

#[derive(Default)]
pub(super) struct Scratch {
    before: Rendered,
    after: Rendered,
    gone: HashMap<Box<[u8]>, Side, Xxh3DefaultBuilder>,
    /// Keys of `gone` in the order of their rows, so that a replay writes the same records in the same order.
    gone_order: Vec<Box<[u8]>>,
    came: Vec<Came>,
    held: Vec<HeldChange>,
    pub outgoing: Outgoing,
}

impl Scratch {
    pub fn begin(&mut self, info: &CommitInfo, mode: Mode, out: &OutputBatch, room: usize) {
        self.outgoing.begin(info, mode, out, room);
        self.held.clear();
    }

    /// The transaction has failed: what of it has not gone out is taken back.
    pub fn take_back(&mut self, out: &mut OutputBatch) {
        self.outgoing.take_back(out);
        self.held.clear();
    }

    /// Held keys as they are after the transaction go to the state.
    pub fn store_held(&mut self, state: &mut State) {
        for change in self.held.drain(..) {
            state.put(change.space, change.key, change.held.map(|h| h.encode()));
        }
    }
}

/// Renders every row that the transaction changed, for one transform.
#[allow(clippy::too_many_arguments)]
pub(super) fn transform(
    t: &mut Transform,
    table: &Table,
    net: &Net,
    alive: Vec<(Box<[u8]>, u128)>,
    s: &mut Scratch,
    limits: &SplitLimits,
    state: &State,
    out: &mut OutputBatch,
    outlet: &mut dyn Outlet,
) -> Result<(), EngineError> {
    let Some(rows) = net.table(t.root()) else { return Ok(()) };
    s.forget_rows();
    if rows.truncated {
        for (key, hash) in alive {
            s.note_gone(&key, Side::Hash(hash));
        }
        // Held keys whose topic holds nothing are not among the living, but their rows are gone as well.
        if let OnError::DeadLetter { held, .. } = t.on_error {
            state.scan(held, b"", |key, _| {
                if !s.gone.contains_key(key) {
                    s.note_gone(key, Side::Hash(0));
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    let of = rows.rows.len() as u64;
    for (n, row) in (1..).zip(&rows.rows) {
        if n % SIGN == 0 {
            outlet.progress(Progress::Roots { transform: &t.name, done: n, of })?;
        }
        let Some(sides) = row.sides(&table.identity) else { continue };
        let (before, after) = (Sighting::alone(sides.before), Sighting::alone(sides.after));
        root(t, table, before, after, sides.times, s, limits, out, outlet)?;
    }
    merge(t, s, limits, state, out, outlet)
}

/// One root: where both sides have the same key and nothing else can meet them, the answer is at once. `times`: how often
/// it is there after the transaction.
#[allow(clippy::too_many_arguments)]
pub(super) fn root(
    t: &mut Transform,
    table: &Table,
    before: Sighting<'_>,
    after: Sighting<'_>,
    times: u64,
    s: &mut Scratch,
    limits: &SplitLimits,
    out: &mut OutputBatch,
    outlet: &mut dyn Outlet,
) -> Result<(), EngineError> {
    let (mut b, mut a) = (std::mem::take(&mut s.before), std::mem::take(&mut s.after));
    let had = render(t, table, before, &mut b)?;
    let has = render(t, table, after, &mut a)?;
    let mut done = false;
    if let (Ok(true), Ok(true)) = (&had, &has)
        && b.key == a.key
        && times == 1
        && t.on_error == OnError::Halt
    {
        if b.value == a.value {
            t.counts.suppressed += 1;
        } else {
            s.outgoing.emit(t.topic, t.partitions, &a.key, Some(&a.value), limits, out, outlet)?;
        }
        done = true;
    }
    if !done {
        match had {
            Ok(true) => s.note_gone(&b.key, Side::Hash(xxh3_128(body_of(&b.value)))),
            Ok(false) => {}
            // It could not be rendered when it came either: the key is held, or the bridge would have stopped there.
            Err(told) => {
                let key = key_of(t, table, before, &mut b)?.map_err(|e| row_error(t, "?", s, e))?;
                s.note_gone(key, Side::Failed(Box::new(told)));
            }
        }
        for _ in 0..times {
            match has.as_ref() {
                Ok(true) => s.came.push((a.key[..].into(), Ok(a.value[..].into()))),
                Ok(false) => {}
                Err(e) => {
                    t.counts.failed(e);
                    let e = e.clone();
                    match key_of(t, table, after, &mut a)? {
                        Ok(key) => {
                            let key = key.into();
                            let row = row_values(t, table, after.image)?;
                            s.came.push((key, Err(Failed { error: e, row })));
                        }
                        // Without a key there is nothing that could be held.
                        Err(e) => return Err(row_error(t, "?", s, e)),
                    }
                }
            }
        }
    }
    (s.before, s.after) = (b, a);
    Ok(())
}

/// So many entries are kept room for from one transaction to the next.
pub(super) const KEPT: usize = 1 << 16;

impl Scratch {
    /// Another transform's rows come.
    pub fn forget_rows(&mut self) {
        self.gone.clear();
        self.gone_order.clear();
        self.came.clear();
        self.gone.shrink_to(KEPT);
        self.came.shrink_to(KEPT);
    }

    fn note_gone(&mut self, key: &[u8], side: Side) {
        let key: Box<[u8]> = key.into();
        if self.gone.insert(key.clone(), side).is_none() {
            self.gone_order.push(key);
        }
    }
}

/// Rows that came under a key are held against the row that went from it; what is left over is a tombstone.
pub(super) fn merge(
    t: &mut Transform,
    s: &mut Scratch,
    limits: &SplitLimits,
    state: &State,
    out: &mut OutputBatch,
    outlet: &mut dyn Outlet,
) -> Result<(), EngineError> {
    if s.came.is_empty() && s.gone_order.is_empty() {
        return Ok(());
    }
    let mut came = std::mem::take(&mut s.came);
    if let Some(key) = duplicate(&came) {
        let lsn = s.outgoing.info().end_lsn;
        return Err(EngineError::DuplicateKey { transform: t.name.clone(), key: key_text(t, key), lsn });
    }
    for (n, (key, body)) in (1..).zip(came.drain(..)) {
        if n % SIGN == 0 {
            outlet.progress(Progress::Rest { transform: Some(&t.name) })?;
        }
        let held = held::lookup(t, &key, state)?;
        let gone = s.gone.remove(&key);
        if let (Some(_), Some(Side::Failed(told)), Err(e)) = (&held, &gone, &body)
            && (&**told, &None) == (&e.error, &e.row)
        {
            // The same is wrong as before, and no values are shown: nothing new to tell.
            t.counts.suppressed += 1;
            continue;
        }
        // What the topic holds under this key before the transaction.
        let prior = match (&held, gone) {
            (Some(h), _) => h.last_good.map(Side::Hash),
            (None, gone) => gone,
        };
        match body {
            Ok(body) => {
                let same = match prior {
                    Some(Side::Hash(h)) => h == xxh3_128(body_of(&body)),
                    Some(Side::Failed(_)) | None => false,
                };
                if same {
                    t.counts.suppressed += 1;
                } else {
                    s.outgoing.emit(t.topic, t.partitions, &key, Some(&body), limits, out, outlet)?;
                }
                if let (Some(_), OnError::DeadLetter { held, .. }) = (held, t.on_error) {
                    t.counts.held_changes += 1;
                    s.held.push(HeldChange { space: held, key, held: None });
                }
            }
            Err(Failed { error, row }) => {
                let OnError::DeadLetter { topic, partitions, held: space } = t.on_error else {
                    let key = key_text(t, &key);
                    return Err(row_error(t, &key, s, error));
                };
                let last_good = prior.map(|p| match p {
                    Side::Hash(h) => h,
                    Side::Failed(_) => 0,
                });
                let info = s.outgoing.info();
                let letter = held::letter(&t.name, &error, info.end_lsn, s.outgoing.seq(), row);
                s.outgoing.emit(topic, partitions, &key, Some(letter.as_bytes()), limits, out, outlet)?;
                t.counts.held_changes += 1;
                s.held.push(HeldChange { space, key, held: Some(Held { last_good }) });
            }
        }
    }
    s.came = came;
    for (n, key) in (1..).zip(std::mem::take(&mut s.gone_order)) {
        if n % SIGN == 0 {
            outlet.progress(Progress::Rest { transform: Some(&t.name) })?;
        }
        if s.gone.remove(&key).is_none() {
            continue;
        }
        let held = held::lookup(t, &key, state)?;
        if held.as_ref().is_none_or(|h| h.last_good.is_some()) {
            s.outgoing.emit(t.topic, t.partitions, &key, None, limits, out, outlet)?;
        }
        if let (Some(_), OnError::DeadLetter { held, .. }) = (held, t.on_error) {
            t.counts.held_changes += 1;
            s.held.push(HeldChange { space: held, key, held: None });
        }
    }
    Ok(())
}

fn duplicate(came: &[Came]) -> Option<&[u8]> {
    if came.len() < 2 {
        return None;
    }
    let mut seen: std::collections::HashSet<&[u8], Xxh3DefaultBuilder> = Default::default();
    came.iter().map(|(k, _)| &k[..]).find(|k| !seen.insert(k))
}

fn row_error(t: &Transform, key: &str, s: &Scratch, source: RowError) -> EngineError {
    let lsn = s.outgoing.info().end_lsn;
    EngineError::Row { transform: t.name.clone(), key: key.to_owned(), lsn, source }
}
