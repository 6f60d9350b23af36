//! Transactions that only insert: what most transactions do, and what a bulk load is made of.
//!
//! No row of such a transaction can meet another one, so nothing is netted and nothing was there before: each row goes
//! straight from its tuple to its record. Whatever is out of the ordinary (a row that cannot be rendered, a key twice, a
//! table that joins read, a transaction that must be split) is left to the general way, which finds everything as if this had not been tried.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::assemble::{AssembleError, Transaction};
use crate::change::{Change, CommitInfo};
use crate::encode::{Outcome, Rendered};
use crate::record::{Origin, OutputBatch};
use crate::row::Tuple;
use crate::state::{SpaceId, State, image};
use crate::transform::eval::NoLookup;

use super::diff::{OnError, Transform};
use super::outgoing::{Stamp, push};
use super::store::recycled;
use super::table::{Identity, Resolved};
use super::{Engine, Mode, learn};

/// The transaction needs the general way.
struct Unusual;

impl From<AssembleError> for Unusual {
    fn from(_: AssembleError) -> Unusual {
        Unusual
    }
}

/// What fits into so many times the room is worth a try.
const ROOMS: usize = 4;

/// A row for the state: its space, key and image.
type Stored = (SpaceId, Box<[u8]>, Box<[u8]>);

#[derive(Default)]
pub(super) struct Scratch {
    rendered: Rendered,
    key: Vec<u8>,
    image: Vec<u8>,
    /// Of topic keys and of identities: two that are equal may be the same key twice.
    hashes: Vec<u64>,
    stored: Vec<Stored>,
    /// By transform.
    evaluated: Vec<u64>,
    /// By table.
    inserted: Vec<u64>,
    values: Vec<Option<&'static [u8]>>,
    picked: Vec<Option<&'static [u8]>>,
}

/// False: nothing has happened, apart from Relations that were learned.
pub(super) fn apply(
    engine: &mut Engine,
    tx: &Transaction,
    info: &CommitInfo,
    mode: Mode,
    state: &mut State,
    out: &mut OutputBatch,
    room: usize,
) -> bool {
    let Engine { tables, transforms, relations, inserts: s, limits, changes, joined, events, .. } = engine;
    let records = tx.changes().saturating_mul(transforms.len() as u64);
    let plain = tx.only_inserts()
        && matches!(mode, Mode::Replay | Mode::Emit { skip: 0 })
        && records < limits.records as u64
        && transforms.iter().all(|t| t.on_error == OnError::Halt);
    if !plain {
        return false;
    }
    s.begin(transforms.len(), tables.len());
    let bytes = limits.bytes.min(room.saturating_mul(ROOMS));
    let mut out = Output { stamp: Stamp::new(info), seq: 0, arena: out.arena.len(), bytes, batch: out };
    let emit = mode != Mode::Replay;
    let done = tx.for_each(|change| match change {
        Change::Relation(relation) => {
            learn(&relation, tables, relations, events);
            Ok(())
        }
        Change::Insert { relation, .. } if events.read(relation) => Err(Unusual),
        Change::Insert { relation, new } => match Resolved::find(relation, relations, tables, info) {
            Ok(None) => Ok(()),
            // Roots may hang on the row.
            Ok(Some(r)) if joined[r.index] => Err(Unusual),
            Ok(Some(r)) => s.insert(&r, &new, emit.then_some(&mut *transforms), &mut out),
            Err(_) => Err(Unusual),
        },
        _ => Err(Unusual),
    });
    if done.is_err() || s.met() {
        return false;
    }
    for (t, n) in transforms.iter_mut().zip(&s.evaluated) {
        t.counts.evaluations += n;
    }
    for (changes, n) in changes.iter_mut().zip(&s.inserted) {
        changes[0] += n;
    }
    for (space, key, image) in s.stored.drain(..) {
        state.put(space, key, Some(image));
    }
    true
}

/// The batch, and where this transaction is in it.
struct Output<'o> {
    batch: &'o mut OutputBatch,
    stamp: Stamp,
    seq: u64,
    arena: usize,
    bytes: usize,
}

impl Scratch {
    fn begin(&mut self, transforms: usize, tables: usize) {
        self.hashes.clear();
        self.stored.clear();
        self.evaluated.clear();
        self.evaluated.resize(transforms, 0);
        self.inserted.clear();
        self.inserted.resize(tables, 0);
    }

    fn insert(
        &mut self,
        r: &Resolved<'_>,
        new: &Tuple<'_>,
        transforms: Option<&mut Vec<Transform>>,
        out: &mut Output<'_>,
    ) -> Result<(), Unusual> {
        self.inserted[r.index] += 1;
        let mut values = recycled(std::mem::take(&mut self.values));
        let mut picked = recycled(std::mem::take(&mut self.picked));
        let result = if r.whole_values(new, &mut values) {
            self.store(r, &values).and_then(|()| {
                let transforms = transforms.map_or(&[][..], |t| &t[..]);
                self.render(r, &values, &mut picked, transforms, out)
            })
        } else {
            Err(Unusual)
        };
        (self.values, self.picked) = (recycled(values), recycled(picked));
        result
    }

    /// A row that is kept waits until the transaction is done.
    fn store(&mut self, r: &Resolved<'_>, values: &[Option<&[u8]>]) -> Result<(), Unusual> {
        let (columns, space) = match &r.table.identity {
            Identity::Key { columns, space } => (columns, space),
            Identity::Full | Identity::Inserts => return Ok(()),
            Identity::Bag { .. } => return Err(Unusual),
        };
        if columns.iter().any(|&c| values[c].is_none()) {
            return Err(Unusual);
        }
        self.key.clear();
        image::write(columns.iter().map(|&c| values[c]), &mut self.key);
        self.image.clear();
        image::write(values.iter().copied(), &mut self.image);
        r.write_leaf(&mut self.image);
        // Seeds of topics are below.
        self.hashes.push(xxh3_64_with_seed(&self.key, 1 << 32 | r.index as u64));
        self.stored.push((*space, self.key[..].into(), self.image[..].into()));
        Ok(())
    }

    fn render<'v>(
        &mut self,
        r: &Resolved<'_>,
        values: &[Option<&'v [u8]>],
        picked: &mut Vec<Option<&'v [u8]>>,
        transforms: &[Transform],
        out: &mut Output<'_>,
    ) -> Result<(), Unusual> {
        for (i, t) in transforms.iter().enumerate() {
            if t.root() != r.index || out.stamp.end_lsn <= t.live_from {
                continue;
            }
            self.evaluated[i] += 1;
            let slots = &t.sources[0].slots;
            let row = match slots.iter().enumerate().all(|(i, &slot)| i == slot) {
                true => &values[..slots.len()],
                false => {
                    picked.clear();
                    picked.extend(slots.iter().map(|&slot| values[slot]));
                    &picked[..]
                }
            };
            match t.renderer.render(&t.context, row, &NoLookup, &mut self.rendered) {
                Ok(Outcome::Filtered) => continue,
                Ok(Outcome::Entity) => {}
                Err(_) => return Err(Unusual),
            }
            let Rendered { key, value, .. } = &self.rendered;
            self.hashes.push(xxh3_64_with_seed(key, t.topic.0.into()));
            push(out.batch, t.topic, t.partitions, key, Some(value), &out.stamp, out.seq, Origin::Stream);
            out.seq += 1;
            if out.batch.arena.len() - out.arena >= out.bytes {
                return Err(Unusual);
            }
        }
        Ok(())
    }

    /// Whether a key may have come twice.
    fn met(&mut self) -> bool {
        self.hashes.sort_unstable();
        !self.hashes.is_sorted_by(|a, b| a < b)
    }
}
