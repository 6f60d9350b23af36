//! What the disk has under a prefix, for as long as nothing is written there: both views of a root ask the same, and so do
//! roots that share a row.
//!
//! A layer that is being written stays on top until it counts as written, and then everything here is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use super::SpaceId;
use super::hash::Build;

type ByPrefix = HashMap<Box<[u8]>, Arc<Scan>, Build>;

#[derive(Default)]
pub(super) struct Scans {
    kept: HashMap<SpaceId, ByPrefix, Build>,
    bytes: usize,
}

/// Keys and values one after the other.
#[derive(Default)]
pub(super) struct Scan {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(u32, u32)>,
}

/// All scans together; a few thousand documents' worth.
const KEPT_BYTES: usize = 4 << 20;

/// A longer one is read again: it costs more to read than to begin.
const LONGEST: usize = 16 << 10;

const OVERHEAD: usize = 128;

impl Scans {
    pub fn get(&self, space: SpaceId, prefix: &[u8]) -> Option<Arc<Scan>> {
        self.kept.get(&space)?.get(prefix).cloned()
    }

    pub fn keep(&mut self, space: SpaceId, prefix: &[u8], scan: Scan) {
        let bytes = prefix.len() + scan.bytes.len() + 8 * scan.ends.len() + OVERHEAD;
        if self.bytes + bytes > KEPT_BYTES {
            self.clear();
        }
        self.bytes += bytes;
        self.kept.entry(space).or_default().insert(prefix.into(), Arc::new(scan));
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }
}

impl Scan {
    /// False: it has become too long.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        if self.bytes.len() + key.len() + value.len() > LONGEST {
            return false;
        }
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len() as u32));
        true
    }

    pub fn entry(&self, n: usize) -> Option<(&[u8], &[u8])> {
        let &(key_end, end) = self.ends.get(n)?;
        let begin = n.checked_sub(1).map_or(0, |before| self.ends[before].1);
        Some((&self.bytes[begin as usize..key_end as usize], &self.bytes[key_end as usize..end as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_long_scans_are_not_kept() {
        let mut scan = Scan::default();
        for (key, value) in [("a", "1"), ("", ""), ("bc", "")] {
            assert!(scan.push(key.as_bytes(), value.as_bytes()));
        }
        let mut scans = Scans::default();
        scans.keep(SpaceId(1), b"a", scan);
        let scan = scans.get(SpaceId(1), b"a").expect("it was kept");
        let entries: Vec<_> = (0..).map_while(|n| scan.entry(n)).collect();
        assert_eq!(entries, [(&b"a"[..], &b"1"[..]), (b"", b""), (b"bc", b"")]);
        assert!(scans.get(SpaceId(2), b"a").is_none() && scans.get(SpaceId(1), b"").is_none());
        assert!(!Scan::default().push(b"", &[0; LONGEST + 1]));
        for n in 0..100_000u32 {
            scans.keep(SpaceId(1), &n.to_be_bytes(), Scan::default());
            assert!(scans.bytes <= KEPT_BYTES);
        }
    }
}
