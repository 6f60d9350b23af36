//! The embedded key-value store: `fjall`, and nobody else knows it.
//!
//! Layout: keyspace `meta` holds the state's own record; keyspace `s<N>` holds space N. One keyspace per space, so that
//! emptying one is a constant-time drop.

use std::collections::HashMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::SpaceId;
use super::hash::Build;

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("state directory {dir} is in use by another process")]
    Locked { dir: String },
    #[error("state directory {dir} cannot be made or opened")]
    Open { dir: String, source: std::io::Error },
    #[error("the disk of the state directory is full")]
    Full,
    #[error("the disk of the state directory is mounted read-only")]
    ReadOnly,
    /// The store's own threads could not write, and say no more.
    #[error("the local state could not be written; is the disk of the state directory full?")]
    Unwritten,
    #[error("a key of {bytes} bytes, and the local state holds keys of up to {LONGEST_KEY}")]
    LongKey { bytes: usize },
    #[error("reading or writing the local state failed")]
    Store(#[source] fjall::Error),
}

impl From<fjall::Error> for DiskError {
    fn from(e: fjall::Error) -> DiskError {
        match &e {
            fjall::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => DiskError::Full,
            fjall::Error::Io(io) if io.kind() == std::io::ErrorKind::ReadOnlyFilesystem => DiskError::ReadOnly,
            fjall::Error::Storage(s) if s.to_string().contains("StorageFull") => DiskError::Full,
            fjall::Error::Storage(s) if s.to_string().contains("ReadOnlyFilesystem") => DiskError::ReadOnly,
            fjall::Error::Poisoned => DiskError::Unwritten,
            _ => DiskError::Store(e),
        }
    }
}

#[derive(Clone)]
pub(super) struct Disk {
    db: Database,
    meta: Keyspace,
    spaces: Arc<RwLock<HashMap<SpaceId, Keyspace, Build>>>,
}

/// The store has no empty key, and a topic may. No key of ours is a single zero: a row's begins with a length, a
/// framed topic key has more bytes, and PostgreSQL's text holds no zero.
const EMPTY: &[u8] = &[0];

/// The key as the store has it.
fn stored(key: &[u8]) -> Result<&[u8], DiskError> {
    match key.len() {
        0 => Ok(EMPTY),
        1..=LONGEST_KEY => Ok(key),
        bytes => Err(DiskError::LongKey { bytes }),
    }
}

pub(super) const LONGEST_KEY: usize = u16::MAX as usize;

/// A memtable per keyspace: small, because many tables share the memory; batches are sorted, so small ones do.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// A keyspace that hardly changes, as `meta`, holds on to every journal since it was last written out; past this size it
/// is written out early. The journal is what the disk has beyond the rows, and what a start after a crash reads again.
const JOURNAL_BYTES: u64 = 128 << 20;

impl Disk {
    pub fn open(dir: &Path, cache_bytes: usize) -> Result<Disk, DiskError> {
        let text = dir.display().to_string();
        std::fs::create_dir_all(dir).map_err(|source| DiskError::Open { dir: text.clone(), source })?;
        let builder = Database::builder(dir.join("rows")).cache_size(cache_bytes as u64).worker_threads(1);
        let db = builder.max_journaling_size(JOURNAL_BYTES).open();
        let db = db.map_err(|e| match e {
            fjall::Error::Locked => DiskError::Locked { dir: text.clone() },
            fjall::Error::Io(source) if source.kind() != std::io::ErrorKind::StorageFull => {
                DiskError::Open { dir: text.clone(), source }
            }
            e => e.into(),
        })?;
        let meta = db.keyspace("meta", KeyspaceCreateOptions::default)?;
        Ok(Disk { db, meta, spaces: Arc::default() })
    }

    fn space(&self, id: SpaceId) -> Result<Keyspace, DiskError> {
        if let Some(k) = self.spaces.read().expect("no panic while held").get(&id) {
            return Ok(k.clone());
        }
        // Who asks for a row has nearly always seen it, or a row that refers to it: filters in the last level, which holds
        // nine tenths of the keys, would take memory and answer yes.
        let options =
            || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES).expect_point_read_hits(true);
        let k = self.db.keyspace(&format!("s{}", id.0), options)?;
        self.spaces.write().expect("no panic while held").insert(id, k.clone());
        Ok(k)
    }

    pub fn get_meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.meta.get(key)?.map(|v| v.to_vec()))
    }

    pub fn get(&self, space: SpaceId, key: &[u8]) -> Result<Option<impl AsRef<[u8]> + use<>>, DiskError> {
        // No row was ever stored under a longer key, and a join may well ask for one.
        if key.len() > LONGEST_KEY {
            return Ok(None);
        }
        Ok(self.space(space)?.get(stored(key)?)?)
    }

    /// Keys between two bounds, in order.
    pub fn range(
        &self,
        space: SpaceId,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Result<impl Iterator<Item = Result<(fjall::UserKey, fjall::UserValue), DiskError>> + use<>, DiskError> {
        let from = match from {
            Bound::Included(EMPTY) => Bound::Excluded(EMPTY.to_vec()),
            from => from.map(<[u8]>::to_vec),
        };
        let iter = self.space(space)?.range((from, to.map(<[u8]>::to_vec)));
        Ok(iter.map(|guard| {
            let (key, value) = guard.into_inner()?;
            Ok((if *key == *EMPTY { fjall::UserKey::from(&b""[..]) } else { key }, value))
        }))
    }

    pub fn approximate_len(&self, space: SpaceId) -> Result<u64, DiskError> {
        Ok(self.space(space)?.approximate_len() as u64)
    }

    pub fn space_bytes(&self, space: SpaceId) -> Result<u64, DiskError> {
        Ok(self.space(space)?.disk_space())
    }

    /// The space is empty afterwards; its number may be used on.
    pub fn drop_space(&self, space: SpaceId) -> Result<(), DiskError> {
        let k = self.space(space)?;
        self.spaces.write().expect("no panic while held").remove(&space);
        Ok(self.db.delete_keyspace(k)?)
    }

    pub fn batch(&self) -> Batch {
        Batch { inner: self.db.batch(), disk: self.clone() }
    }
}

pub(super) struct Batch {
    inner: fjall::OwnedWriteBatch,
    disk: Disk,
}

impl Batch {
    pub fn insert(&mut self, space: SpaceId, key: &[u8], value: &[u8]) -> Result<(), DiskError> {
        let k = self.disk.space(space)?;
        self.inner.insert(&k, stored(key)?, value);
        Ok(())
    }

    pub fn remove(&mut self, space: SpaceId, key: &[u8]) -> Result<(), DiskError> {
        let k = self.disk.space(space)?;
        self.inner.remove(&k, stored(key)?);
        Ok(())
    }

    pub fn insert_meta(&mut self, key: &[u8], value: &[u8]) {
        let meta = self.disk.meta.clone();
        self.inner.insert(&meta, key, value);
    }

    pub fn commit(self) -> Result<(), DiskError> {
        Ok(self.inner.commit()?)
    }

    /// On stable storage when this returns.
    pub fn commit_synced(self) -> Result<(), DiskError> {
        Ok(self.inner.durability(Some(PersistMode::SyncAll)).commit()?)
    }
}
