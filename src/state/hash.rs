//! Hashing of spaces and row keys: one multiplication for a number, one call of XXH3 for bytes.
//!
//! Whoever writes rows could make keys that meet in one bucket; that costs time, and is no worse than what the server
//! itself does with them.

use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(super) type Build = BuildHasherDefault<KeyHasher>;

#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // A table takes its place from the low bits, and a multiplication leaves those as they were.
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn numbers_and_bytes_spread() {
        let build = Build::default();
        let mut low = std::collections::BTreeSet::new();
        for n in 0..256u32 {
            low.insert(build.hash_one(n) & 0xfff);
            low.insert(build.hash_one(&n.to_be_bytes()[..]) & 0xfff);
        }
        assert!(low.len() > 400, "{}", low.len());
    }
}
