//! Changes that are not on disk yet: per space, key → new value, or `None` where the key is gone.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::SpaceId;

type Map = HashMap<Box<[u8]>, Option<Box<[u8]>>, Xxh3DefaultBuilder>;

/// A key of a space and its value, or that it is gone.
pub(super) type Entry<B> = (SpaceId, B, Option<B>);

#[derive(Default)]
pub(super) struct Layer {
    spaces: HashMap<SpaceId, Map>,
    bytes: usize,
}

/// What a hash map needs for an entry beside the bytes themselves; measured, and only an estimate.
const ENTRY_OVERHEAD: usize = 64;

impl Layer {
    pub fn has(&self, space: SpaceId, key: &[u8]) -> bool {
        self.spaces.get(&space).is_some_and(|m| m.contains_key(key))
    }

    pub fn has_space(&self, space: SpaceId) -> bool {
        self.spaces.get(&space).is_some_and(|m| !m.is_empty())
    }

    /// `None`: this layer says nothing about the key. `Some(None)`: the key is gone.
    pub fn get(&self, space: SpaceId, key: &[u8]) -> Option<Option<&[u8]>> {
        self.spaces.get(&space)?.get(key).map(|v| v.as_deref())
    }

    pub fn put(&mut self, space: SpaceId, key: Box<[u8]>, value: Option<Box<[u8]>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, |v| v.len()) + ENTRY_OVERHEAD;
        self.spaces.entry(space).or_default().insert(key, value);
    }

    pub fn is_empty(&self) -> bool {
        self.spaces.values().all(HashMap::is_empty)
    }

    /// An upper estimate: a key put twice counts twice.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn sorted(&self) -> Vec<Entry<&[u8]>> {
        let mut all: Vec<_> =
            self.spaces.iter().flat_map(|(s, m)| m.iter().map(move |(k, v)| (*s, k.as_ref(), v.as_deref()))).collect();
        all.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        all
    }

    pub fn into_entries(self) -> impl Iterator<Item = Entry<Box<[u8]>>> {
        self.spaces.into_iter().flat_map(|(s, m)| m.into_iter().map(move |(k, v)| (s, k, v)))
    }

    /// One space of two layers in key order, the newer winning.
    pub fn merged<'l>(
        older: Option<&'l Layer>,
        newer: &'l Layer,
        space: SpaceId,
        from: &[u8],
    ) -> BTreeMap<&'l [u8], Option<&'l [u8]>> {
        older
            .into_iter()
            .chain([newer])
            .filter_map(|l| l.spaces.get(&space))
            .flat_map(|m| m.iter().map(|(k, v)| (k.as_ref(), v.as_deref())))
            .filter(|(k, _)| *k >= from)
            .collect()
    }
}
