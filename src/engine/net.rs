//! What a transaction did to each row, net: the image before it and the image after it.
//!
//! A stored table's rows are known by their identity; the image before is read from the state at the first touch. A
//! table with REPLICA IDENTITY FULL is counted by whole images: an image that came as often as it went did not change.
//! Where such images are stored, the count goes on from how often the image was there before.
//! An UPDATE or DELETE of a row that is not there is proof of a gap (I9).

use std::collections::HashMap;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::change::{CommitInfo, OldTuple};
use crate::row::{Cell, Tuple};
use crate::state::{State, bag, image};

use super::diff::KEPT;
use super::table::{Identity, Resolved};
use super::{EngineError, old_tuple};

#[derive(Default)]
pub(super) struct Net {
    pub(super) tables: Vec<TableNet>,
    /// Tables in `tables` that have something, in the order of their first touch.
    pub(super) touched: Vec<usize>,
    key: Vec<u8>,
    image: Vec<u8>,
    old: Vec<u8>,
}

#[derive(Default)]
pub(super) struct TableNet {
    pub rows: Vec<NetRow>,
    pub(super) index: HashMap<Box<[u8]>, usize, Xxh3DefaultBuilder>,
    /// A FULL table was truncated: whatever was alive before the transaction is gone.
    pub truncated: bool,
}

pub(super) struct NetRow {
    /// Under which a stored row is kept; empty for FULL.
    pub key: Box<[u8]>,
    pub before: Option<Box<[u8]>>,
    pub after: Option<Box<[u8]>>,
    /// FULL and bags: how often the image (in `after`) came, less how often it went.
    pub count: i64,
    /// Bags: how often it was there.
    pub had: i64,
}

/// A row's key and image, and how often it is there.
type Stored = (Box<[u8]>, Box<[u8]>, u64);

impl TableNet {
    /// What happened to the row under this key.
    pub fn row(&self, key: &[u8]) -> Option<&NetRow> {
        self.index.get(key).map(|&i| &self.rows[i])
    }
}

impl Net {
    pub fn clear(&mut self) {
        for t in self.touched.drain(..) {
            let t = &mut self.tables[t];
            t.rows.clear();
            t.index.clear();
            t.rows.shrink_to(KEPT);
            t.index.shrink_to(KEPT);
            t.truncated = false;
        }
    }

    pub fn table(&self, index: usize) -> Option<&TableNet> {
        self.tables.get(index)
    }

    fn touch(&mut self, index: usize) -> &mut TableNet {
        if self.tables.len() <= index {
            self.tables.resize_with(index + 1, TableNet::default);
        }
        if self.tables[index].rows.is_empty() && !self.touched.contains(&index) {
            self.touched.push(index);
        }
        &mut self.tables[index]
    }

    pub fn insert(
        &mut self,
        r: &Resolved<'_>,
        new: Tuple<'_>,
        state: &mut State,
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        let (mut cells, mut row) = (Vec::new(), Vec::new());
        if r.table.identity == Identity::Inserts {
            return Ok(());
        }
        r.row(&new, &mut cells, &mut row)?;
        self.image(r, &row, None, info)?;
        match &r.table.identity {
            Identity::Inserts => Ok(()),
            Identity::Full | Identity::Bag { .. } => self.count(r, 1, "INSERT", state, info),
            Identity::Key { columns, .. } => {
                self.key_of(r, &row, columns, info)?;
                self.came(r, info)
            }
        }
    }

    pub fn update(
        &mut self,
        r: &Resolved<'_>,
        old: OldTuple<'_>,
        new: Tuple<'_>,
        state: &mut State,
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        let (mut cells, mut row, mut old_row) = (Vec::new(), Vec::new(), Vec::new());
        match &r.table.identity {
            Identity::Inserts => Ok(()),
            Identity::Full | Identity::Bag { .. } => {
                let OldTuple::Full(old) = old else { return Err(incomplete(r, "the whole old row", info)) };
                r.row(&old, &mut cells, &mut old_row)?;
                self.image(r, &old_row, None, info)?;
                std::mem::swap(&mut self.image, &mut self.old);
                r.row(&new, &mut cells, &mut row)?;
                fill_unchanged(&mut row, |i| match old_row[i] {
                    Cell::Text(t) => Some(t),
                    Cell::Null | Cell::Unchanged => None,
                });
                self.image(r, &row, None, info)?;
                if self.image != self.old {
                    self.count(r, 1, "UPDATE", state, info)?;
                    std::mem::swap(&mut self.image, &mut self.old);
                    self.count(r, -1, "UPDATE", state, info)?;
                }
                Ok(())
            }
            Identity::Key { columns, .. } => {
                r.row(&new, &mut cells, &mut row)?;
                match old_tuple(&old) {
                    Some(old) => {
                        r.row(&old, &mut cells, &mut old_row)?;
                        self.key_of(r, &old_row, columns, info)?;
                    }
                    None => self.key_of(r, &row, columns, info)?,
                }
                let mut old_image = std::mem::take(&mut self.old);
                old_image.clear();
                old_image.extend_from_slice(self.current(r, state)?.ok_or_else(|| missing(r, "UPDATE", info))?);
                let result = self.updated(r, &row, columns, &old_image, info);
                self.old = old_image;
                result
            }
        }
    }

    /// `self.key` is the old key, `old_image` the row under it.
    fn updated(
        &mut self,
        r: &Resolved<'_>,
        row: &[Cell<'_>],
        columns: &[usize],
        old_image: &[u8],
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        self.image(r, row, Some(old_image), info)?;
        if self.image == old_image {
            return Ok(());
        }
        let old_key = std::mem::take(&mut self.key);
        let mut filled = Vec::new();
        image::read(&self.image, r.table.image_width(), &mut filled)?;
        image::write(columns.iter().map(|&c| filled[c]), &mut self.key);
        let same_key = self.key == old_key;
        let new_key = std::mem::replace(&mut self.key, old_key);
        if same_key {
            self.set(r.index, Some(old_image), true);
            return Ok(());
        }
        self.set(r.index, Some(old_image), false);
        self.key = new_key;
        self.came(r, info)
    }

    pub fn delete(
        &mut self,
        r: &Resolved<'_>,
        old: OldTuple<'_>,
        state: &mut State,
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        let (mut cells, mut row) = (Vec::new(), Vec::new());
        if r.table.identity == Identity::Inserts {
            return Ok(());
        }
        let tuple = old_tuple(&old).ok_or_else(|| incomplete(r, "an old tuple", info))?;
        r.row(&tuple, &mut cells, &mut row)?;
        match &r.table.identity {
            Identity::Inserts => Ok(()),
            Identity::Full | Identity::Bag { .. } => {
                if !matches!(old, OldTuple::Full(_)) {
                    return Err(incomplete(r, "the whole old row", info));
                }
                self.image(r, &row, None, info)?;
                self.count(r, -1, "DELETE", state, info)
            }
            Identity::Key { columns, .. } => {
                self.key_of(r, &row, columns, info)?;
                let current = self.current(r, state)?.ok_or_else(|| missing(r, "DELETE", info))?;
                let current: Box<[u8]> = current.into();
                self.set(r.index, Some(&current), false);
                Ok(())
            }
        }
    }

    /// All rows of the table are gone, or, with `leaf`, those of the leaf that `r` stands for.
    pub fn truncate(
        &mut self,
        r: &Resolved<'_>,
        leaf: bool,
        state: &mut State,
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        if r.table.identity == Identity::Inserts {
            return Ok(());
        }
        let Some(space) = r.table.identity.space() else {
            if leaf {
                return Err(EngineError::LeafTruncated { table: r.table.name.clone(), lsn: info.end_lsn });
            }
            let t = self.touch(r.index);
            t.rows.clear();
            t.index.clear();
            t.truncated = true;
            return Ok(());
        };
        let width = r.table.image_width();
        let ours = |image: &[u8]| -> Result<bool, image::BadImage> {
            if !leaf {
                return Ok(true);
            }
            let mut values = Vec::new();
            image::read(image, width, &mut values)?;
            Ok(values.last().copied().flatten() == Some(r.leaf_text().as_bytes()))
        };
        let bag = matches!(r.table.identity, Identity::Bag { .. });
        let t = self.touch(r.index);
        for row in &mut t.rows {
            if let Some(image) = &row.after
                && ours(image)?
            {
                if bag {
                    row.count = -row.had;
                } else {
                    row.after = None;
                }
            }
        }
        let mut rows: Vec<Stored> = Vec::new();
        let mut damaged = None;
        state.scan(space, b"", |key, stored| {
            match r.table.image_of(stored).and_then(|(n, image)| Ok((n, image, ours(image)?))) {
                Ok((n, image, true)) if !t.index.contains_key(key) => rows.push((key.into(), image.into(), n)),
                Ok(_) => {}
                Err(e) => damaged = Some(e),
            }
            if damaged.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(e) = damaged {
            return Err(e.into());
        }
        for (key, image, n) in rows {
            t.index.insert(key.clone(), t.rows.len());
            t.rows.push(match bag {
                true => NetRow { key, before: None, after: Some(image), count: -(n as i64), had: n as i64 },
                false => NetRow { key, before: Some(image), after: None, count: 0, had: 0 },
            });
        }
        Ok(())
    }

    /// The row under `self.key` as this transaction sees it now.
    fn current<'s>(&'s self, r: &Resolved<'_>, state: &'s mut State) -> Result<Option<&'s [u8]>, EngineError> {
        let Some(space) = r.table.identity.space() else { return Ok(None) };
        if let Some(t) = self.tables.get(r.index)
            && let Some(&i) = t.index.get(&self.key[..])
        {
            return Ok(t.rows[i].after.as_deref());
        }
        Ok(state.get(space, &self.key)?)
    }

    /// `self.image` stands under `self.key` now, where nothing stood.
    fn came(&mut self, r: &Resolved<'_>, info: &CommitInfo) -> Result<(), EngineError> {
        let key: Box<[u8]> = self.key[..].into();
        let image: Box<[u8]> = self.image[..].into();
        let t = self.touch(r.index);
        if let Some(&i) = t.index.get(&key) {
            let row = &mut t.rows[i];
            if row.after.is_some() {
                return Err(EngineError::DoubleRow { table: r.table.name.clone(), lsn: info.end_lsn });
            }
            row.after = Some(image);
            return Ok(());
        }
        t.index.insert(key.clone(), t.rows.len());
        t.rows.push(NetRow { key, before: None, after: Some(image), count: 0, had: 0 });
        Ok(())
    }

    /// Under `self.key`, where `current` stood, there is `self.image` (`stays`) or nothing now.
    fn set(&mut self, index: usize, current: Option<&[u8]>, stays: bool) {
        let key: Box<[u8]> = self.key[..].into();
        let after: Option<Box<[u8]>> = stays.then(|| self.image[..].into());
        let t = self.touch(index);
        if let Some(&i) = t.index.get(&key) {
            t.rows[i].after = after;
        } else {
            t.index.insert(key.clone(), t.rows.len());
            t.rows.push(NetRow { key, before: current.map(Into::into), after, count: 0, had: 0 });
        }
    }

    /// `self.image` came, or went.
    fn count(
        &mut self,
        r: &Resolved<'_>,
        by: i64,
        op: &'static str,
        state: &mut State,
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        let bag = r.table.identity.space();
        match bag {
            Some(_) => bag::key(&self.image, &mut self.key),
            None => self.key.clone_from(&self.image),
        }
        self.touch(r.index);
        let Net { tables, key, image, .. } = self;
        let t = &mut tables[r.index];
        let at = match t.index.get(&key[..]) {
            Some(&i) => i,
            None => {
                let had = match bag {
                    Some(space) => state.get(space, key)?.map(bag::read).transpose()?.map_or(0, |(n, _)| n as i64),
                    None => 0,
                };
                t.index.insert(key[..].into(), t.rows.len());
                let key = if bag.is_some() { key[..].into() } else { Box::default() };
                t.rows.push(NetRow { key, before: None, after: Some(image[..].into()), count: 0, had });
                t.rows.len() - 1
            }
        };
        let row = &mut t.rows[at];
        row.count += by;
        let gone = bag.is_some() && row.had + row.count < 0;
        if gone { Err(missing(r, op, info)) } else { Ok(()) }
    }

    /// The row's image in `self.image`; unchanged TOAST values come from `old`.
    fn image(
        &mut self,
        r: &Resolved<'_>,
        row: &[Cell<'_>],
        old: Option<&[u8]>,
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        self.image.clear();
        if !row.contains(&Cell::Unchanged) {
            image::write(row.iter().map(text), &mut self.image);
        } else {
            let Some(old) = old else { return Err(incomplete(r, "an unchanged TOAST value", info)) };
            let mut values = Vec::new();
            image::read(old, r.table.image_width(), &mut values)?;
            let filled = row.iter().zip(values).map(|(c, old)| if *c == Cell::Unchanged { old } else { text(c) });
            image::write(filled, &mut self.image);
        }
        r.write_leaf(&mut self.image);
        Ok(())
    }

    fn key_of(
        &mut self,
        r: &Resolved<'_>,
        row: &[Cell<'_>],
        columns: &[usize],
        info: &CommitInfo,
    ) -> Result<(), EngineError> {
        self.key.clear();
        if columns.iter().any(|&c| !matches!(row[c], Cell::Text(_))) {
            return Err(incomplete(r, "a value of its replica identity", info));
        }
        image::write(columns.iter().map(|&c| text(&row[c])), &mut self.key);
        Ok(())
    }
}

fn text<'a>(cell: &Cell<'a>) -> Option<&'a [u8]> {
    match cell {
        Cell::Text(t) => Some(t),
        Cell::Null | Cell::Unchanged => None,
    }
}

/// Values that FULL's new tuple leaves out stand in its old one.
fn fill_unchanged<'a>(row: &mut [Cell<'a>], old: impl Fn(usize) -> Option<&'a [u8]>) {
    for (i, cell) in row.iter_mut().enumerate() {
        if *cell == Cell::Unchanged {
            *cell = old(i).map_or(Cell::Null, Cell::Text);
        }
    }
}

fn missing(r: &Resolved<'_>, op: &'static str, info: &CommitInfo) -> EngineError {
    EngineError::MissingRow { table: r.table.name.clone(), op, lsn: info.end_lsn }
}

fn incomplete(r: &Resolved<'_>, what: &'static str, info: &CommitInfo) -> EngineError {
    EngineError::Incomplete { table: r.table.name.clone(), what, lsn: info.end_lsn }
}
