//! Reading: every layer over the disk, with the transaction at hand or without it.
//!
//! ```text
//!  After ─▶ staged ─▶ pending ─▶ frozen ─▶ row cache ─▶ disk
//!  Before ───────────▶ pending ─▶ …
//! ```
//!
//! Nothing is held while a caller looks at a key, so that look-ups may nest.

use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};

use super::disk::{DiskError, LONGEST_KEY};
use super::layer::Range;
use super::scans::Scan;
use super::{SpaceId, State, StateError};

/// Without the source transaction that is being applied, or with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Before,
    After,
}

/// Calls for each key and value, until it breaks.
pub type EachEntry<'f> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'f;

impl State {
    /// The value of a key, over what is in `out`. False: there is none.
    pub fn read(&self, view: View, space: SpaceId, key: &[u8], out: &mut Vec<u8>) -> Result<bool, StateError> {
        out.clear();
        if let Some(value) = self.in_layers(view, space, key) {
            return Ok(copied(value, out));
        }
        let mut cache = self.cache.borrow_mut();
        if !cache.promote(space, key) {
            let value = self.disk.get(space, key)?;
            cache.insert(space, key.into(), value.map(|v| v.as_ref().into()));
        }
        Ok(copied(cache.get(space, key), out))
    }

    fn in_layers(&self, view: View, space: SpaceId, key: &[u8]) -> Option<Option<&[u8]>> {
        let staged = (view == View::After).then_some(&self.staged);
        let frozen = self.frozen.as_ref().map(|f| f.layer.as_ref());
        [staged, Some(&self.pending), frozen].into_iter().flatten().find_map(|l| l.get(space, key))
    }

    /// All keys of a space from one on, in key order, without the transaction at hand. `f` says whether to go on.
    pub fn scan(
        &self,
        space: SpaceId,
        from: &[u8],
        mut f: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let mut read = Read::begin(self.disk.range(space, bounds)?, None)?;
        self.merge(View::Before, space, bounds, &mut read, &mut f)
    }

    /// All keys of a space that begin with `prefix`, in key order.
    pub fn scan_prefix(
        &self,
        view: View,
        space: SpaceId,
        prefix: &[u8],
        f: &mut EachEntry<'_>,
    ) -> Result<(), StateError> {
        // No key is longer, and the disk does not even take the question.
        if prefix.len() > LONGEST_KEY {
            return Ok(());
        }
        let end = successor(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let bounds = (Bound::Included(prefix), end);
        // Not in the condition: look-ups nest, and those keep scans.
        let kept = self.scans.borrow().get(space, prefix);
        if let Some(scan) = kept {
            return self.merge(view, space, bounds, &mut Kept { scan: &scan, at: 0 }, f);
        }
        let iter = self.disk.range(space, bounds)?;
        let mut read = Read::begin(iter, Some(Scan::default()))?;
        self.merge(view, space, bounds, &mut read, f)?;
        if let (None, Some(scan)) = (&read.next, read.seen) {
            self.scans.borrow_mut().keep(space, prefix, scan);
        }
        Ok(())
    }

    fn merge(
        &self,
        view: View,
        space: SpaceId,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        disk: &mut impl OnDisk,
        f: &mut EachEntry<'_>,
    ) -> Result<(), StateError> {
        let staged = (view == View::After).then_some(&self.staged);
        let frozen = self.frozen.as_ref().map(|f| f.layer.as_ref());
        // The newest first.
        let mut layers = [staged, Some(&self.pending), frozen].map(|l| l.map(|l| l.range(space, bounds).peekable()));
        loop {
            let newest = least(&mut layers);
            let (key, value) = match (newest, disk.entry()) {
                (None, None) => return Ok(()),
                (Some(newest), None) => newest,
                (Some(newest), Some((key, _))) if newest.0 <= key => newest,
                (_, Some((key, value))) => {
                    if f(key, value).is_break() {
                        return Ok(());
                    }
                    disk.advance()?;
                    continue;
                }
            };
            for layer in layers.iter_mut().flatten() {
                layer.next_if(|(k, _)| *k == key);
            }
            if disk.entry().is_some_and(|(k, _)| k == key) {
                disk.advance()?;
            }
            if let Some(value) = value
                && f(key, value).is_break()
            {
                return Ok(());
            }
        }
    }
}

/// What the disk has between two bounds, one entry after the other.
trait OnDisk {
    fn entry(&self) -> Option<(&[u8], &[u8])>;
    fn advance(&mut self) -> Result<(), StateError>;
}

struct Kept<'s> {
    scan: &'s Scan,
    at: usize,
}

impl OnDisk for Kept<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.scan.entry(self.at)
    }

    fn advance(&mut self) -> Result<(), StateError> {
        self.at += 1;
        Ok(())
    }
}

struct Read<I, E> {
    iter: I,
    next: Option<E>,
    /// What came so far, unless it is too much to be kept.
    seen: Option<Scan>,
}

impl<I, K, V> Read<I, (K, V)>
where
    I: Iterator<Item = Result<(K, V), DiskError>>,
{
    fn begin(mut iter: I, seen: Option<Scan>) -> Result<Self, StateError> {
        let next = iter.next().transpose()?;
        Ok(Read { iter, next, seen })
    }
}

impl<I, K, V> OnDisk for Read<I, (K, V)>
where
    I: Iterator<Item = Result<(K, V), DiskError>>,
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.next.as_ref().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    fn advance(&mut self) -> Result<(), StateError> {
        if let (Some(seen), Some((key, value))) = (&mut self.seen, &self.next)
            && !seen.push(key.as_ref(), value.as_ref())
        {
            self.seen = None;
        }
        self.next = self.iter.next().transpose()?;
        Ok(())
    }
}

/// The least key that a layer has next, as the newest of those that have it says.
fn least<'l>(layers: &mut [Option<Peekable<Range<'l>>>; 3]) -> Option<(&'l [u8], Option<&'l [u8]>)> {
    let mut least: Option<(&[u8], Option<&[u8]>)> = None;
    for layer in layers.iter_mut().flatten() {
        if let Some(&(key, value)) = layer.peek()
            && least.is_none_or(|(k, _)| key < k)
        {
            least = Some((key, value));
        }
    }
    least
}

fn copied(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(value.unwrap_or_default());
    value.is_some()
}

/// The first key behind all that begin with `prefix`; None: there is no end.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&b| b != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(successor(&[255]), None);
        assert_eq!(successor(&[]), None);
    }
}
