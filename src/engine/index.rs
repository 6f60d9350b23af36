//! Indexes of stored tables: which rows have these values in these columns.
//!
//! An entry is the link's key (`transform::link`), which tells its own end, and behind it the row's key in its space; the
//! value is empty. So all rows of one link key stand together, in the order of their identities.

use xxhash_rust::xxh3::xxh3_128;

use crate::state::SpaceId;
use crate::transform::KeyForm;
use crate::transform::link;

/// Columns of a table, by place, in the order in which links name them.
pub type IndexColumns = Vec<(usize, KeyForm)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub columns: IndexColumns,
    pub space: SpaceId,
}

/// A longer link key stands in the index by its digest: the store's keys are bounded, column values are not.
const LONGEST: usize = 1024;

/// Begins a digest. Nine such bytes are no length that a value can have.
const DIGEST: [u8; 9] = [u8::MAX; 9];

impl Index {
    /// Writes the entry of a row over what is in `out`. False: a column is NULL, and no link finds the row by it.
    pub fn entry(&self, row: &[Option<&[u8]>], identity: &[u8], out: &mut Vec<u8>) -> bool {
        if !link::write(self.columns.iter().map(|&(c, form)| (form, row.get(c).copied().flatten())), out) {
            return false;
        }
        if is_long(out) {
            let digest = digest(out);
            out.clear();
            out.extend_from_slice(&digest);
        }
        out.extend_from_slice(identity);
        true
    }
}

/// What the entries of a link key begin with. Where the key [`is_long`], rows of another key may be among them.
pub(super) fn with_prefix<R>(key: &[u8], f: impl FnOnce(&[u8]) -> R) -> R {
    if is_long(key) { f(&digest(key)) } else { f(key) }
}

pub(super) fn is_long(key: &[u8]) -> bool {
    key.len() > LONGEST
}

fn digest(key: &[u8]) -> Vec<u8> {
    [&DIGEST[..], &xxh3_128(key).to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_begin_with_their_link_key() {
        let index = Index { columns: vec![(1, KeyForm::Text), (0, KeyForm::Number)], space: SpaceId(1) };
        let (mut entry, mut key) = (Vec::new(), Vec::new());
        let long = "x".repeat(5000);
        for text in ["", "a", &long] {
            assert!(index.entry(&[Some(b"1.0"), Some(text.as_bytes()), None], b"identity", &mut entry));
            let values = [(KeyForm::Text, Some(text.as_bytes())), (KeyForm::Text, Some(&b"1"[..]))];
            assert!(link::write(values, &mut key));
            with_prefix(&key, |prefix| assert_eq!(entry, [prefix, b"identity"].concat()));
            assert!(entry.len() < LONGEST);
        }
        assert!(!index.entry(&[None, Some(b"a")], b"identity", &mut entry));
    }
}
