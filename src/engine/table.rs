//! A table as the engine sees it, and how the stream's tuples become rows of it.

use std::collections::HashMap;

use crate::catalogue::{Oid, QualifiedName};
use crate::change::CommitInfo;
use crate::lsn::EndLsn;
use crate::relation::{self, Relation};
use crate::row::{Cell, Tuple};
use crate::state::SpaceId;
use crate::transform::UsedColumn;

use super::EngineError;

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
    /// Rows are kept by these columns (indexes into `columns`): a non-deferrable unique index.
    Key { columns: Vec<usize>, space: SpaceId },
}

/// Where a table's columns stand in the tuples of one relation.
pub(super) struct RelationMap {
    table: usize,
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
    pub fn new(relation: &Relation, table: usize, t: &Table) -> RelationMap {
        let place = |c: &UsedColumn| {
            let found = relation.columns.iter().position(|r| r.name == c.name);
            found.map(|i| i as u16).ok_or_else(|| Drift { column: c.name.clone(), what: "is gone" })
        };
        let mut places: Result<Vec<u16>, Drift> = t.columns.iter().map(place).collect();
        let full = relation.replica_identity == relation::Identity::Full;
        if t.identity == Identity::Full && !full {
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
        RelationMap { table, places }
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
        by_oid: &HashMap<Oid, usize>,
        relations: &'e HashMap<Oid, RelationMap>,
        tables: &'e [Table],
        info: &CommitInfo,
    ) -> Result<Option<Resolved<'e>>, EngineError> {
        let Some(&index) = by_oid.get(&oid) else { return Ok(None) };
        let table = &tables[index];
        if info.end_lsn <= table.loaded_at {
            return Ok(None);
        }
        let map = relations.get(&oid).ok_or(EngineError::UnknownRelation { oid, lsn: info.end_lsn })?;
        debug_assert_eq!(map.table, index);
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
