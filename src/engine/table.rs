//! A table as the engine sees it, and how the stream's tuples become rows of it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::catalogue::{Oid, QualifiedName};
use crate::change::CommitInfo;
use crate::lsn::EndLsn;
use crate::relation::{self, Relation};
use crate::row::{Cell, Tuple};
use crate::state::{SpaceId, image};
use crate::transform::UsedColumn;

use super::EngineError;
use super::index::Index;

pub struct Table {
    pub oid: Oid,
    pub name: QualifiedName,
    pub partitioned: bool,
    /// Leaf partitions: the stream names them instead of the root. Images of a partitioned table end with the leaf's
    /// oid, because a TRUNCATE may name one leaf.
    pub leaves: Vec<Oid>,
    /// What transforms use, and the identity; the order of rows and images.
    pub columns: Vec<UsedColumn>,
    /// `pg_attribute.atttypid` and `atttypmod` of each column, as plans were bound against them.
    pub types: Vec<(Oid, i32)>,
    pub identity: Identity,
    /// By which columns joins find its rows.
    pub indexes: Vec<Index>,
    /// Changes up to here are in the state already: the snapshot that the table was loaded from.
    pub loaded_at: EndLsn,
}

impl Table {
    /// Values in an image.
    pub fn image_width(&self) -> usize {
        self.columns.len() + usize::from(self.partitioned)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// REPLICA IDENTITY FULL: the stream brings whole old rows, nothing is stored.
    Full,
    /// Only events read it: an INSERT carries its row, and nothing else that happens to it counts.
    Inserts,
    /// Rows are kept by these columns (indexes into `columns`): a non-deferrable unique index.
    Key { columns: Vec<usize>, space: SpaceId },
    /// REPLICA IDENTITY FULL without such an index, of a table that joins read: whole images, each with how often it is
    /// there (`state::bag`).
    Bag { space: SpaceId },
}

impl Identity {
    /// Where the rows are kept.
    pub fn space(&self) -> Option<SpaceId> {
        match self {
            Identity::Full | Identity::Inserts => None,
            Identity::Key { space, .. } | Identity::Bag { space } => Some(*space),
        }
    }
}

/// Where a table's columns stand in the tuples of one relation.
pub(super) struct RelationMap {
    /// For each table column its place in the tuple.
    places: Result<Vec<u16>, Drift>,
}

/// The relation no longer is what the transforms were bound against.
#[derive(Clone, Debug)]
pub struct Drift {
    pub column: String,
    pub what: &'static str,
}

impl RelationMap {
    fn new(relation: &Relation, t: &Table) -> RelationMap {
        let place = |c: &UsedColumn| {
            let found = relation.columns.iter().position(|r| r.name == c.name);
            found.map(|i| i as u16).ok_or_else(|| Drift { column: c.name.clone(), what: "is gone" })
        };
        let mut places: Result<Vec<u16>, Drift> = t.columns.iter().map(place).collect();
        let full = relation.replica_identity == relation::Identity::Full;
        if matches!(t.identity, Identity::Full | Identity::Bag { .. }) && !full {
            places = Err(Drift { column: "REPLICA IDENTITY".into(), what: "is no longer FULL" });
        }
        let other_type = t.columns.iter().zip(&t.types).zip(places.iter().flatten()).find(|((_, ty), place)| {
            let r = &relation.columns[**place as usize];
            (r.type_oid, r.typmod) != **ty
        });
        if let Some(((c, _), _)) = other_type {
            places = Err(Drift { column: c.name.clone(), what: "has another type" });
        }
        if let (Identity::Key { columns, .. }, Ok(p), false) = (&t.identity, &places, full) {
            let missing = columns.iter().find(|&&k| !relation.columns[p[k] as usize].key);
            if let Some(&k) = missing {
                let column = t.columns[k].name.clone();
                places = Err(Drift { column, what: "is no longer part of the replica identity" });
            }
        }
        RelationMap { places }
    }
}

/// What the stream has said of its relations, by the oid that it uses: a root table's or a leaf partition's.
pub(super) struct RelationMaps {
    by_oid: HashMap<Oid, (usize, Option<RelationMap>), BuildHasherDefault<OidHasher>>,
}

impl RelationMaps {
    pub fn new(tables: &[Table]) -> RelationMaps {
        let named = |(i, t): (usize, &Table)| {
            t.leaves.iter().copied().chain([t.oid]).map(move |oid| (oid, (i, None))).collect::<Vec<_>>()
        };
        RelationMaps { by_oid: tables.iter().enumerate().flat_map(named).collect() }
    }

    /// A Relation holds from here on; of relations that no transform reads nothing is kept.
    /// Gives what held before.
    pub fn learn(&mut self, relation: &Relation, tables: &[Table]) -> Option<RelationMap> {
        let (table, map) = self.by_oid.get_mut(&relation.oid)?;
        map.replace(RelationMap::new(relation, &tables[*table]))
    }

    pub fn put_back(&mut self, oid: Oid, known: RelationMap) {
        if let Some((_, map)) = self.by_oid.get_mut(&oid) {
            *map = Some(known);
        }
    }

    pub fn forget(&mut self) {
        self.by_oid.values_mut().for_each(|(_, map)| *map = None);
    }
}

/// Oids are given out one after the other: a multiplication spreads them. They are the server's, not an attacker's.
#[derive(Default)]
pub(super) struct OidHasher(u64);

impl Hasher for OidHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u32(u32::from(*b)));
    }
    fn write_u32(&mut self, oid: u32) {
        self.0 = (self.0 ^ u64::from(oid)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A relation of the stream that transforms read, ready for its tuples.
pub(super) struct Resolved<'e> {
    pub index: usize,
    pub table: &'e Table,
    oid: Oid,
    places: &'e [u16],
}

impl<'e> Resolved<'e> {
    /// `None`: no transform reads this relation, or the table's rows of this transaction are in the state already.
    pub fn find(
        oid: Oid,
        relations: &'e RelationMaps,
        tables: &'e [Table],
        info: &CommitInfo,
    ) -> Result<Option<Resolved<'e>>, EngineError> {
        let Some((index, map)) = relations.by_oid.get(&oid) else { return Ok(None) };
        let index = *index;
        let table = &tables[index];
        if info.end_lsn <= table.loaded_at {
            return Ok(None);
        }
        let map = map.as_ref().ok_or(EngineError::UnknownRelation { oid, lsn: info.end_lsn })?;
        match &map.places {
            Ok(places) => Ok(Some(Resolved { index, table, oid, places })),
            Err(drift) => Err(EngineError::Drift {
                table: table.name.clone(),
                column: drift.column.clone(),
                what: drift.what,
                lsn: info.end_lsn,
            }),
        }
    }

    /// How an image names the leaf.
    pub fn leaf_text(&self) -> String {
        self.oid.to_string()
    }

    /// What stands behind the columns in an image of a partitioned table.
    pub fn write_leaf(&self, image: &mut Vec<u8>) {
        if self.table.partitioned {
            image::write([Some(self.leaf_text().as_bytes())], image);
        }
    }

    /// The used columns of a whole tuple, in the table's order. False: a value is missing.
    pub fn whole_values<'a>(&self, tuple: &Tuple<'a>, values: &mut Vec<Option<&'a [u8]>>) -> bool {
        let mut whole = true;
        let mut value = |cell| match cell {
            Cell::Text(t) => Some(t),
            Cell::Null => None,
            Cell::Unchanged => {
                whole = false;
                None
            }
        };
        values.clear();
        let in_order = self.places.iter().enumerate().all(|(i, &p)| i == p as usize);
        if in_order {
            values.extend(tuple.cells().take(self.places.len()).map(value));
            return whole && values.len() == self.places.len();
        }
        // Each column by its place: tuples with holes or in another order are the fewer ones.
        let mut cells = tuple.cells().enumerate().peekable();
        let ascending = self.places.is_sorted();
        for &p in self.places {
            if !ascending {
                cells = tuple.cells().enumerate().peekable();
            }
            match cells.find(|(i, _)| *i == p as usize) {
                Some((_, cell)) => values.push(value(cell)),
                None => return false,
            }
        }
        whole
    }

    /// The used columns of a tuple, in the table's order. `cells` is the buffer that all of the tuple is read into.
    pub fn row<'a>(
        &self,
        tuple: &Tuple<'a>,
        cells: &mut Vec<Cell<'a>>,
        row: &mut Vec<Cell<'a>>,
    ) -> Result<(), EngineError> {
        cells.clear();
        cells.extend(tuple.cells());
        row.clear();
        for &p in self.places {
            let cell = cells.get(p as usize).ok_or(EngineError::ShortTuple {
                table: self.table.name.clone(),
                cells: cells.len(),
                expected: p as usize + 1,
            })?;
            row.push(*cell);
        }
        Ok(())
    }
}
