//! Loads: rows that go to disk past the layers, in batches of bounded size.

use std::collections::HashMap;

use super::disk::{Batch, Disk};
use super::{SpaceId, StateError, bag};

/// How often an image came, and the image.
type Counted = (u64, Box<[u8]>);

/// Bulk writes, in batches of bounded size.
pub struct Load<'s> {
    batch: Batch,
    bytes: usize,
    disk: &'s Disk,
    /// Images of bags that are not in a batch yet, each with how often it came: a batch must not name a key twice.
    bags: HashMap<(SpaceId, Box<[u8]>), Counted>,
}

/// Large enough for an LSM to take in one go, small enough to stay in memory.
const BATCH_BYTES: usize = 4 << 20;

impl<'s> Load<'s> {
    pub(super) fn new(disk: &'s Disk) -> Load<'s> {
        Load { batch: disk.batch(), bytes: 0, disk, bags: HashMap::new() }
    }

    pub fn put(&mut self, space: SpaceId, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.batch.insert(space, key, value)?;
        self.grown(key.len() + value.len())
    }

    /// One more row of a bag. False: one that is alike waits in memory.
    pub fn put_in_bag(&mut self, space: SpaceId, key: &[u8], image: &[u8]) -> Result<bool, StateError> {
        let entry = self.bags.entry((space, key.into())).or_insert_with(|| (0, image.into()));
        entry.0 += 1;
        if entry.0 > 1 {
            return Ok(false);
        }
        self.grown(key.len() + image.len())?;
        Ok(true)
    }

    fn grown(&mut self, by: usize) -> Result<(), StateError> {
        self.bytes += by;
        if self.bytes >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StateError> {
        let mut batch = std::mem::replace(&mut self.batch, self.disk.batch());
        for ((space, key), (came, image)) in self.bags.drain() {
            let there = match self.disk.get(space, &key)? {
                Some(value) => bag::read(value.as_ref()).map_err(StateError::Image)?.0,
                None => 0,
            };
            if let Some(value) = bag::write(there + came, &image) {
                batch.insert(space, &key, &value)?;
            }
        }
        self.bytes = 0;
        Ok(batch.commit()?)
    }

    pub fn remove(&mut self, space: SpaceId, key: &[u8]) -> Result<(), StateError> {
        Ok(self.batch.remove(space, key)?)
    }

    pub fn finish(mut self) -> Result<(), StateError> {
        self.write()
    }
}
