//! What a transaction makes of the state: rows by their keys, and the entries of their indexes.

use crate::state::{State, bag, image};

use super::net::{Net, NetRow};
use super::table::{Identity, Table};
use super::{EngineError, Outlet, Progress, SIGN};

/// A row that changed.
pub(super) struct Sides<'n> {
    pub before: Option<&'n [u8]>,
    pub after: Option<&'n [u8]>,
    /// How often the image after is there, or came where nobody knows.
    pub times: u64,
    /// As often as the one before.
    pub same_number: bool,
}

impl NetRow {
    /// None: it is as it was.
    pub fn sides(&self, identity: &Identity) -> Option<Sides<'_>> {
        let image = self.after.as_deref();
        match identity {
            Identity::Key { .. } => {
                let (before, after) = (self.before.as_deref(), image);
                (before != after).then_some(Sides { before, after, times: 1, same_number: true })
            }
            Identity::Inserts => None,
            Identity::Full | Identity::Bag { .. } if self.count == 0 => None,
            Identity::Full if self.count > 0 => {
                Some(Sides { before: None, after: image, times: self.count as u64, same_number: false })
            }
            Identity::Full => Some(Sides { before: image, after: None, times: 0, same_number: false }),
            Identity::Bag { .. } => {
                let has = self.had + self.count;
                let (before, after) = (image.filter(|_| self.had > 0), image.filter(|_| has > 0));
                Some(Sides { before, after, times: has.max(0) as u64, same_number: false })
            }
        }
    }

    /// What the state is to hold under the row's key.
    fn stored(&self, identity: &Identity) -> Option<Box<[u8]>> {
        match identity {
            Identity::Bag { .. } => bag::write((self.had + self.count).max(0) as u64, self.after.as_deref()?),
            Identity::Key { .. } | Identity::Full | Identity::Inserts => self.after.clone(),
        }
    }
}

impl Net {
    /// Whether a table that joins read has something.
    pub fn touches(&self, joined: &[bool]) -> bool {
        self.touched.iter().any(|&t| joined[t])
    }

    /// The rows of tables that joins read, as they are after the transaction, and their indexes, for `View::After`.
    pub fn stage(
        &self,
        tables: &[Table],
        joined: &[bool],
        state: &mut State,
        outlet: &mut dyn Outlet,
    ) -> Result<(), EngineError> {
        let (mut values, mut old_entry, mut new_entry) = (Vec::new(), Vec::new(), Vec::new());
        for &t in self.touched.iter().filter(|&&t| joined[t]) {
            let table = &tables[t];
            let Some(space) = table.identity.space() else { continue };
            for (n, row) in (1..).zip(&self.tables[t].rows) {
                if n % SIGN == 0 {
                    outlet.progress(Progress::Rest { transform: None })?;
                }
                let Some(sides) = row.sides(&table.identity) else { continue };
                for index in &table.indexes {
                    let mut entry = |image: Option<&[u8]>, out: &mut Vec<u8>| -> Result<bool, EngineError> {
                        let Some(image) = image else { return Ok(false) };
                        let mut read = recycled(std::mem::take(&mut values));
                        image::read(image, table.image_width(), &mut read)?;
                        let is = index.entry(&read, &row.key, out);
                        values = recycled(read);
                        Ok(is)
                    };
                    let had = entry(sides.before, &mut old_entry)?;
                    let has = entry(sides.after, &mut new_entry)?;
                    if had && !(has && old_entry == new_entry) {
                        state.stage(index.space, old_entry[..].into(), None);
                    }
                    if has && !(had && old_entry == new_entry) {
                        state.stage(index.space, new_entry[..].into(), Some(Box::default()));
                    }
                }
                state.stage(space, row.key.clone(), row.stored(&table.identity));
            }
        }
        Ok(())
    }

    /// The rows of all other tables as they are after the transaction go to the state.
    pub fn store(&mut self, tables: &[Table], joined: &[bool], state: &mut State) {
        for &t in self.touched.iter().filter(|&&t| !joined[t]) {
            let identity = &tables[t].identity;
            let Some(space) = identity.space() else { continue };
            let net = &mut self.tables[t];
            net.index.clear();
            for row in net.rows.drain(..) {
                if row.sides(identity).is_some() {
                    let stored =
                        if matches!(identity, Identity::Key { .. }) { row.after } else { row.stored(identity) };
                    state.put(space, row.key, stored);
                }
            }
        }
    }
}

/// The memory of a vector for values that live elsewhere.
pub(super) fn recycled<'b>(mut used: Vec<Option<&[u8]>>) -> Vec<Option<&'b [u8]>> {
    used.clear();
    // Collected in place: no allocation, no element.
    used.into_iter().map(|_| None).collect()
}
