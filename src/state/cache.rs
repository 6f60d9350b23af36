//! The row cache: what was read or written lately, in two generations of half the size each.
//!
//! The younger generation takes every new entry; when it is full it becomes the older one and the old one goes.
//! An entry in the younger generation hides one in the older, so nothing stale can come back.

use std::collections::HashMap;

use super::hash::Build;
use super::{ReadCounts, SpaceId};

type Generation = HashMap<SpaceId, HashMap<Box<[u8]>, Option<Box<[u8]>>, Build>, Build>;

pub(super) struct RowCache {
    young: Generation,
    old: Generation,
    young_bytes: usize,
    limit: usize,
    counts: ReadCounts,
}

const ENTRY_OVERHEAD: usize = 64;

impl RowCache {
    pub fn new(limit: usize) -> RowCache {
        RowCache {
            young: HashMap::default(),
            old: HashMap::default(),
            young_bytes: 0,
            limit,
            counts: ReadCounts::default(),
        }
    }

    /// Whether the key is known; if so it is in the younger generation now.
    pub fn promote(&mut self, space: SpaceId, key: &[u8]) -> bool {
        if self.young.get(&space).is_some_and(|m| m.contains_key(key)) {
            self.counts.cache_hits += 1;
            return true;
        }
        if let Some((key, value)) = self.old.get_mut(&space).and_then(|m| m.remove_entry(key)) {
            self.counts.cache_hits += 1;
            self.insert(space, key, value);
            return true;
        }
        self.counts.cache_misses += 1;
        false
    }

    /// Only after `promote` or `insert`.
    pub fn get(&self, space: SpaceId, key: &[u8]) -> Option<&[u8]> {
        self.young.get(&space)?.get(key)?.as_deref()
    }

    pub fn insert(&mut self, space: SpaceId, key: Box<[u8]>, value: Option<Box<[u8]>>) {
        let bytes = key.len() + value.as_ref().map_or(0, |v| v.len()) + ENTRY_OVERHEAD;
        if self.young_bytes + bytes > self.limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.entry(space).or_default().insert(key, value);
    }

    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_bytes = 0;
    }

    pub fn counts(&self) -> ReadCounts {
        self.counts
    }
}
