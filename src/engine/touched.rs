//! Which roots a transaction touches: from every changed row back over the links, before the transaction and after it.
//!
//! A root's answer can only change if one of its look-ups does. The first look-up that differs has the same key in both
//! views, so a row of it came, went or changed: in the view where that row is seen, its links lead back to the root over
//! rows that are the same in both. So the union of the walks from old images in the old view and from new images in the
//! new one has every root that can change; that it may have more costs an evaluation each.
//!
//! The walk goes level by level, so that a link key that many rows share is followed once.

use std::ops::ControlFlow;

use crate::row::Row;
use crate::state::{State, View};

use super::diff::KEPT;
use super::lookup::{Rows, with_row};
use super::net::Net;
use super::source::SourceUse;
use super::table::Table;
use super::{EngineError, Outlet, Progress, SIGN};

#[derive(Default)]
pub(super) struct Touched {
    /// By source: keys of its link that are to be followed to the parent.
    up: Vec<Keys>,
    /// Identities of roots, in order, each once.
    pub roots: Keys,
    /// Links that were followed.
    followed: u64,
}

impl Touched {
    pub fn collect(
        &mut self,
        transform: &str,
        sources: &[SourceUse],
        tables: &[Table],
        net: &Net,
        state: &State,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        self.roots.clear();
        self.followed = 0;
        self.up.resize_with(sources.len(), Keys::default);
        // A transaction that failed may have left some.
        self.up.iter_mut().for_each(Keys::clear);
        for view in [View::Before, View::After] {
            for (s, source) in sources.iter().enumerate() {
                self.start(s, source, &tables[source.table], net, view)?;
                outlet.progress(Progress::Walk { transform, found: self.roots.len() as u64 })?;
            }
            self.climb(transform, sources, &Rows::new(state, tables, sources, view), outlet)?;
        }
        self.roots.settle();
        Ok(())
    }

    /// The rows of one source that changed.
    fn start(&mut self, s: usize, source: &SourceUse, table: &Table, net: &Net, view: View) -> Result<(), EngineError> {
        let mut key = Vec::new();
        for row in net.table(source.table).into_iter().flat_map(|t| &t.rows) {
            let Some(sides) = row.sides(&table.identity) else { continue };
            let Some(image) = (if view == View::Before { sides.before } else { sides.after }) else { continue };
            if let (Some(before), Some(after)) = (sides.before, sides.after)
                && sides.same_number
                && same(table, source, before, after)?
            {
                continue;
            }
            match &source.link {
                None => self.roots.push(&row.key),
                Some(link) => {
                    if with_row(table, &source.slots, image, |row| link.link.key_of_own(row, &mut key))? {
                        self.up[s].push(&key);
                    }
                }
            }
        }
        Ok(())
    }

    /// From the sources that lie deepest up to the root.
    fn climb(
        &mut self,
        transform: &str,
        sources: &[SourceUse],
        rows: &Rows<'_>,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        for s in deepest_first(sources) {
            let Some((link, access)) = sources[s].link.as_ref().and_then(|l| Some((l, l.parent.as_ref()?))) else {
                continue;
            };
            let parent = usize::from(link.link.parent);
            let mut keys = std::mem::take(&mut self.up[s]);
            keys.settle();
            let mut own = Vec::new();
            for key in keys.iter() {
                let (above, roots, followed) = (&mut self.up[parent], &mut self.roots, &mut self.followed);
                rows.identities(sources[parent].table, access, key, &mut |identity| {
                    *followed += 1;
                    if *followed % SIGN == 0 {
                        outlet.progress(Progress::Walk { transform, found: roots.len() as u64 })?;
                    }
                    match &sources[parent].link {
                        None => roots.push(identity),
                        Some(next) => {
                            let _ = rows.row(&sources[parent], identity, &mut |row: Row<'_>| {
                                if next.link.key_of_own(row, &mut own) {
                                    above.push(&own);
                                }
                                // Rows of one identity are alike.
                                ControlFlow::Break(())
                            })?;
                        }
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            keys.clear();
            self.up[s] = keys;
        }
        Ok(())
    }
}

/// Whether two images are the same in the columns that the source reads.
fn same(table: &Table, source: &SourceUse, a: &[u8], b: &[u8]) -> Result<bool, EngineError> {
    if a == b {
        return Ok(true);
    }
    Ok(with_row(table, &source.slots, a, |a| with_row(table, &source.slots, b, |b| a == b))??)
}

/// Sources by the number of links between them and the root, the most first.
fn deepest_first(sources: &[SourceUse]) -> Vec<usize> {
    let depth = |mut s: usize| {
        let mut depth = 0;
        while let Some(link) = &sources[s].link
            && depth < sources.len()
        {
            s = usize::from(link.link.parent);
            depth += 1;
        }
        depth
    };
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&s| std::cmp::Reverse(depth(s)));
    order
}

/// A set of byte strings in one piece of memory: millions of them cost little more than their bytes.
#[derive(Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Where each begins, and its length.
    at: Vec<(usize, u32)>,
    /// So many were different when they were last looked through.
    settled: usize,
}

/// Fewer are not worth looking through for doubles.
const FEW: usize = 4096;

impl Keys {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.at.clear();
        self.bytes.shrink_to(KEPT * 16);
        self.at.shrink_to(KEPT);
        self.settled = 0;
    }

    pub fn push(&mut self, key: &[u8]) {
        if self.at.last().is_some_and(|&at| self.slice(at) == key) {
            return;
        }
        if self.at.len() >= 2 * self.settled + FEW {
            self.settle();
        }
        self.at.push((self.bytes.len(), key.len() as u32));
        self.bytes.extend_from_slice(key);
    }

    fn slice(&self, (begin, len): (usize, u32)) -> &[u8] {
        &self.bytes[begin..begin + len as usize]
    }

    /// Sorted, and each once.
    pub fn settle(&mut self) {
        let mut at = std::mem::take(&mut self.at);
        at.sort_unstable_by(|&a, &b| self.slice(a).cmp(self.slice(b)));
        let before = at.len();
        at.dedup_by(|a, b| self.slice(*a) == self.slice(*b));
        if at.len() < before {
            let mut bytes = Vec::with_capacity(at.iter().map(|a| a.1 as usize).sum());
            for a in &mut at {
                let begin = bytes.len();
                bytes.extend_from_slice(&self.bytes[a.0..a.0 + a.1 as usize]);
                a.0 = begin;
            }
            self.bytes = bytes;
        }
        self.at = at;
        self.settled = self.at.len();
    }

    pub fn len(&self) -> usize {
        self.at.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.at.iter().map(|&at| self.slice(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_each_there_once() {
        let mut keys = Keys::default();
        let mut rng = fastrand::Rng::with_seed(3);
        let mut expected = std::collections::BTreeSet::new();
        for _ in 0..30_000 {
            let key = rng.u16(..3000).to_string();
            keys.push(key.as_bytes());
            expected.insert(key.into_bytes());
            assert!(keys.at.len() <= 2 * 3000 + FEW);
        }
        keys.settle();
        assert!(keys.iter().eq(expected.iter()));
        assert_eq!(keys.len(), expected.len());
    }
}
