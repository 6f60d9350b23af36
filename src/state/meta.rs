//! The state's own record: one JSON value, written in the same batch as the rows that it speaks of.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{Batch, Disk};
use super::{SpaceId, StateError};
use crate::catalogue::Oid;
use crate::lsn::EndLsn;

/// Raised when the layout changes; an older one is read or refused by name, a newer one always refused.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Meta {
    format: u32,
    bridge: String,
    /// End LSN up to which the rows on disk are whole.
    durable: u64,
    next_space: u32,
    /// The database's system identifier, as text; None before the first load.
    pub system_identifier: Option<String>,
    pub tables: Vec<TableState>,
    /// Keys under `dead_letter`, by topic.
    pub held: Vec<HeldSpace>,
    /// The catalogue as it was when the rows were loaded; `capture::watch` owns the form.
    pub fingerprints: Option<serde_json::Value>,
}

/// The rows of one table under one set of columns.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct TableState {
    pub space: u32,
    pub oid: Oid,
    pub name: String,
    /// Column names with types, in stored order, and the identity: what must be equal for the rows to be usable.
    pub layout: String,
    pub status: TableStatus,
    /// The spaces of its indexes, in the layout's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<u32>,
}

impl TableState {
    /// Its rows' space, and those of its indexes.
    pub fn spaces(&self) -> Vec<SpaceId> {
        [self.space].iter().chain(&self.indexes).map(|&s| SpaceId(s)).collect()
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub enum TableStatus {
    /// A COPY under a snapshot at this LSN has begun; after a crash it begins anew.
    Loading(u64),
    /// Whole as of this LSN; changes of transactions after it are applied.
    Loaded(u64),
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct HeldSpace {
    pub space: u32,
    pub topic: String,
}

const KEY: &[u8] = b"meta";

impl Meta {
    /// Of a state that holds nothing.
    pub fn new(bridge: &str) -> Meta {
        Meta {
            format: FORMAT,
            bridge: bridge.to_owned(),
            durable: 0,
            next_space: 1,
            system_identifier: None,
            tables: Vec::new(),
            held: Vec::new(),
            fingerprints: None,
        }
    }

    pub(super) fn load(disk: &Disk, dir: &Path, bridge: &str) -> Result<Meta, StateError> {
        let dir = dir.display().to_string();
        let Some(bytes) = disk.get_meta(KEY)? else {
            let meta = Meta::new(bridge);
            let mut batch = disk.batch();
            meta.write(&mut batch);
            batch.commit_synced()?;
            return Ok(meta);
        };
        // The format is read by itself: of a newer record nothing else may be expected.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head =
            serde_json::from_slice(&bytes).map_err(|source| StateError::BadMeta { dir: dir.clone(), source })?;
        if head.format > FORMAT {
            return Err(StateError::NewerFormat { dir, found: head.format, known: FORMAT });
        }
        let meta: Meta =
            serde_json::from_slice(&bytes).map_err(|source| StateError::BadMeta { dir: dir.clone(), source })?;
        if meta.bridge != bridge {
            return Err(StateError::OtherBridge { dir, found: meta.bridge, expected: bridge.to_owned() });
        }
        Ok(meta)
    }

    pub(super) fn write(&self, batch: &mut Batch) {
        let bytes = serde_json::to_vec(self).expect("a plain struct is JSON");
        batch.insert_meta(KEY, &bytes);
    }

    pub fn durable(&self) -> EndLsn {
        EndLsn::new(self.durable)
    }

    pub fn set_durable(&mut self, lsn: EndLsn) {
        self.durable = lsn.get();
    }

    pub fn new_space(&mut self) -> SpaceId {
        self.next_space += 1;
        SpaceId(self.next_space - 1)
    }

    /// All spaces that it speaks of.
    pub fn spaces(&self) -> Vec<SpaceId> {
        self.tables.iter().flat_map(TableState::spaces).chain(self.held.iter().map(|h| SpaceId(h.space))).collect()
    }

    /// Whether entries of this space are only ever scanned.
    pub(super) fn is_index(&self, space: SpaceId) -> bool {
        self.tables.iter().any(|t| t.indexes.contains(&space.0))
    }

    /// Forgets rows and position; numbers of spaces go on.
    pub(super) fn discard(&mut self, system_identifier: &str) {
        self.durable = 0;
        self.tables.clear();
        self.held.clear();
        self.fingerprints = None;
        self.system_identifier = Some(system_identifier.to_owned());
    }

    pub fn held_space(&self, topic: &str) -> Option<SpaceId> {
        self.held.iter().find(|h| h.topic == topic).map(|h| SpaceId(h.space))
    }
}
