//! Changes that are not on disk yet: per space, key → new value, or `None` where the key is gone.
//!
//! In key order, because entries of an index are read by what they begin with, and batches are written sorted.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map};
use std::ops::Bound;

use xxhash_rust::xxh3::xxh3_64;

use super::SpaceId;
use super::hash::Build;

pub(super) type Map = BTreeMap<Box<[u8]>, Option<Box<[u8]>>>;

/// A key of a space and its value, or that it is gone.
pub(super) type Entry<B> = (SpaceId, B, Option<B>);

#[derive(Default)]
pub(super) struct Layer {
    spaces: HashMap<SpaceId, Entries, Build>,
    bytes: usize,
}

#[derive(Default)]
struct Entries {
    map: Map,
    /// Hashes of all keys, once they are many: most that are asked for are not here, and a walk down the map would say
    /// so after a dozen comparisons.
    hashes: HashSet<u64, Build>,
}

/// So few keys are found fast enough.
const FEW: usize = 64;

impl Entries {
    fn get(&self, key: &[u8]) -> Option<&Option<Box<[u8]>>> {
        if self.map.len() > FEW && !self.hashes.contains(&xxh3_64(key)) {
            return None;
        }
        self.map.get(key)
    }

    fn insert(&mut self, key: Box<[u8]>, value: Option<Box<[u8]>>) {
        let hash = xxh3_64(&key);
        self.map.insert(key, value);
        if self.map.len() > FEW {
            if self.hashes.is_empty() {
                self.hashes.extend(self.map.keys().map(|k| xxh3_64(k)));
            }
            self.hashes.insert(hash);
        }
    }
}

/// What a map needs for an entry beside the bytes themselves; measured, and only an estimate.
const ENTRY_OVERHEAD: usize = 80;

impl Layer {
    pub fn has(&self, space: SpaceId, key: &[u8]) -> bool {
        self.spaces.get(&space).is_some_and(|m| m.get(key).is_some())
    }

    pub fn has_space(&self, space: SpaceId) -> bool {
        self.spaces.get(&space).is_some_and(|m| !m.map.is_empty())
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
        self.spaces.values().all(|m| m.map.is_empty())
    }

    /// An upper estimate: a key put twice counts twice.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn sorted(&self) -> impl Iterator<Item = Entry<&[u8]>> {
        let mut spaces: Vec<_> = self.spaces.iter().collect();
        spaces.sort_unstable_by_key(|(s, _)| **s);
        spaces.into_iter().flat_map(|(s, m)| m.map.iter().map(move |(k, v)| (*s, k.as_ref(), v.as_deref())))
    }

    pub fn into_spaces(self) -> impl Iterator<Item = (SpaceId, Map)> {
        self.spaces.into_iter().map(|(space, entries)| (space, entries.map))
    }

    /// What is newer comes on top.
    pub fn absorb(&mut self, newer: Layer) {
        if self.is_empty() {
            *self = newer;
            return;
        }
        for (space, entries) in newer.spaces {
            for (key, value) in entries.map {
                self.put(space, key, value);
            }
        }
    }

    /// A space's keys between two bounds, in order.
    pub fn range(&self, space: SpaceId, bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> Range<'_> {
        Range(self.spaces.get(&space).map(|m| m.map.range::<[u8], _>(bounds)))
    }
}

type MapRange<'l> = btree_map::Range<'l, Box<[u8]>, Option<Box<[u8]>>>;

pub(super) struct Range<'l>(Option<MapRange<'l>>);

impl<'l> Iterator for Range<'l> {
    type Item = (&'l [u8], Option<&'l [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next().map(|(k, v)| (k.as_ref(), v.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keys_and_many_are_found() {
        let mut layer = Layer::default();
        for n in 0..3 * FEW as u32 {
            let key = n.to_be_bytes();
            assert_eq!(layer.get(SpaceId(1), &key), None, "{n}");
            layer.put(SpaceId(1), key.into(), (n % 2 == 0).then(|| key.into()));
            for known in 0..=n {
                let key = known.to_be_bytes();
                let value = (known % 2 == 0).then_some(&key[..]);
                assert_eq!(layer.get(SpaceId(1), &key), Some(value), "{known} of {n}");
            }
        }
        assert!(!layer.has(SpaceId(2), &[0; 4]) && layer.has(SpaceId(1), &[0; 4]));
    }
}
