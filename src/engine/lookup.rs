//! Rows of joined tables, as evaluation asks for them: by link, out of the state, before the transaction or after it.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use crate::row::Row;
use crate::state::image::{self, BadImage};
use crate::state::{State, View};
use crate::transform::eval::{EachRow, Lookup};
use crate::transform::function::EvalError;

use super::EngineError;
use super::index::{is_long, with_prefix};
use super::source::{Access, LinkUse, SourceUse};
use super::table::{Identity, Table};

/// Takes the identities of rows, until it breaks.
pub(super) type EachIdentity<'f> = dyn FnMut(&[u8]) -> Result<ControlFlow<()>, EngineError> + 'f;

/// Takes the identities of rows and what is stored of them, until it breaks.
type EachStored<'f> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, EngineError> + 'f;

/// The rows of one transform's sources in one view of the state.
pub struct Rows<'s> {
    state: &'s State,
    tables: &'s [Table],
    sources: &'s [SourceUse],
    view: View,
    /// What the state could not do. Evaluation sees an error of its own, which is not the row's: `check` tells them apart.
    failed: Cell<Option<EngineError>>,
    /// Buffers that no row is using.
    buffers: RefCell<Vec<Vec<u8>>>,
}

impl<'s> Rows<'s> {
    pub fn new(state: &'s State, tables: &'s [Table], sources: &'s [SourceUse], view: View) -> Rows<'s> {
        Rows { state, tables, sources, view, failed: Cell::new(None), buffers: RefCell::default() }
    }

    /// An error of the state since the last time: whatever was evaluated meanwhile says nothing.
    pub fn check(&self) -> Result<(), EngineError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// The image of the root with this identity, over what is in `out`, and how often it is there.
    pub fn root(&self, identity: &[u8], out: &mut Vec<u8>) -> Result<u64, EngineError> {
        let mut stored = self.buffer();
        let table = &self.tables[self.sources[0].table];
        let found = self.stored(table, identity, &mut stored)?;
        out.clear();
        let mut count = 0;
        if found {
            let (n, image) = table.image_of(&stored)?;
            out.extend_from_slice(image);
            count = n;
        }
        self.give_back(stored);
        Ok(count)
    }

    fn stored(&self, table: &Table, identity: &[u8], out: &mut Vec<u8>) -> Result<bool, EngineError> {
        match table.identity.space() {
            Some(space) => Ok(self.state.read(self.view, space, identity, out)?),
            None => Ok(false),
        }
    }

    /// Calls with every identity of rows of the table that a link key leads to.
    pub(super) fn identities(
        &self,
        table: usize,
        access: &Access,
        key: &[u8],
        f: &mut EachIdentity<'_>,
    ) -> Result<(), EngineError> {
        match access {
            Access::Identity(places) => {
                let mut identity = self.buffer();
                Access::identity(places, key, &mut identity);
                let done = f(&identity);
                self.give_back(identity);
                done.map(drop)
            }
            Access::Leading(places) => self.leading(table, places, key, &mut |identity, _| f(identity)),
            Access::Index(space) => with_prefix(key, |prefix| {
                let mut failed = None;
                self.state.scan_prefix(self.view, *space, prefix, &mut |entry, _| {
                    f(&entry[prefix.len()..]).unwrap_or_else(|e| {
                        failed = Some(e);
                        ControlFlow::Break(())
                    })
                })?;
                failed.map_or(Ok(()), Err)
            }),
        }
    }

    /// Calls with the identity of each row of the table that begins with a link key's values, and what is stored of it.
    fn leading(&self, table: usize, places: &[usize], key: &[u8], f: &mut EachStored<'_>) -> Result<(), EngineError> {
        let Some(space) = self.tables[table].identity.space() else { return Ok(()) };
        let mut prefix = self.buffer();
        Access::identity(places, key, &mut prefix);
        let mut failed = None;
        let done = self.state.scan_prefix(self.view, space, &prefix, &mut |identity, stored| {
            f(identity, stored).unwrap_or_else(|e| {
                failed = Some(e);
                ControlFlow::Break(())
            })
        });
        self.give_back(prefix);
        done?;
        failed.map_or(Ok(()), Err)
    }

    /// Calls with the row of a source that has this identity, as often as it is there.
    pub(super) fn row(
        &self,
        source: &SourceUse,
        identity: &[u8],
        f: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let table = &self.tables[source.table];
        let mut stored = self.buffer();
        let mut flow = ControlFlow::Continue(());
        if self.stored(table, identity, &mut stored)? {
            flow = as_often(table, source, &stored, f)?;
        }
        self.give_back(stored);
        Ok(flow)
    }

    fn each(&self, source: &SourceUse, link: &LinkUse, key: &[u8], each: &mut EachRow<'_>) -> Result<(), Stopped> {
        let mut raised = None;
        let long = is_long(key);
        let mut own = Vec::new();
        let mut take = |row: Row<'_>| {
            // A digest may stand for two keys.
            if long && !(link.link.key_of_own(row, &mut own) && own == key) {
                return ControlFlow::Continue(());
            }
            each(row).unwrap_or_else(|e| {
                raised = Some(e);
                ControlFlow::Break(())
            })
        };
        let done = match &link.own {
            Access::Leading(places) => {
                let table = &self.tables[source.table];
                let take = &mut |_: &[u8], stored: &[u8]| as_often(table, source, stored, &mut take);
                self.leading(source.table, places, key, take)
            }
            access => self.identities(source.table, access, key, &mut |identity| self.row(source, identity, &mut take)),
        };
        done.map_err(Stopped::State)?;
        raised.map_or(Ok(()), |e| Err(Stopped::Eval(e)))
    }

    fn buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.buffers.borrow_mut().push(buffer);
    }
}

/// Calls with a stored row as often as it is there.
fn as_often(
    table: &Table,
    source: &SourceUse,
    stored: &[u8],
    f: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, EngineError> {
    let (count, image) = table.image_of(stored)?;
    for _ in 0..count {
        if with_row(table, &source.slots, image, &mut *f)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

enum Stopped {
    State(EngineError),
    Eval(EvalError),
}

impl Lookup for Rows<'_> {
    fn rows(&self, source: u16, key: &[u8], each: &mut EachRow<'_>) -> Result<(), EvalError> {
        let used = self.sources.get(usize::from(source));
        let Some((used, link)) = used.and_then(|u| Some((u, u.link.as_ref()?))) else {
            return Err(internal("the plan asks for a source without a link"));
        };
        match self.each(used, link, key, each) {
            Ok(()) => Ok(()),
            Err(Stopped::Eval(e)) => Err(e),
            Err(Stopped::State(e)) => {
                self.failed.set(Some(e));
                Err(internal("the state cannot be read"))
            }
        }
    }
}

fn internal(what: &str) -> EvalError {
    EvalError { sqlstate: "XX000", message: what.to_owned() }
}

impl Table {
    /// The image in what the state has of a row, and how often it is there.
    pub fn image_of<'v>(&self, stored: &'v [u8]) -> Result<(u64, &'v [u8]), BadImage> {
        match self.identity {
            Identity::Bag { .. } => crate::state::bag::read(stored),
            Identity::Key { .. } | Identity::Full | Identity::Inserts => Ok((1, stored)),
        }
    }
}

/// Rows of up to this many columns are put together on the stack.
const STACK_COLUMNS: usize = 64;

/// The columns that a plan uses, out of an image of the table.
pub(super) fn with_row<R>(
    table: &Table,
    slots: &[usize],
    image: &[u8],
    f: impl FnOnce(Row<'_>) -> R,
) -> Result<R, BadImage> {
    let width = table.image_width();
    let (mut on_stack, mut on_heap) = ([None; STACK_COLUMNS], Vec::new());
    let values: &[Option<&[u8]>] = if width <= STACK_COLUMNS {
        image::read_into(image, &mut on_stack[..width])?;
        &on_stack[..width]
    } else {
        image::read(image, width, &mut on_heap)?;
        &on_heap
    };
    if slots.iter().enumerate().all(|(i, &slot)| i == slot) {
        return Ok(f(&values[..slots.len()]));
    }
    if slots.len() <= STACK_COLUMNS {
        let mut row = [None; STACK_COLUMNS];
        for (cell, &slot) in row.iter_mut().zip(slots) {
            *cell = values[slot];
        }
        Ok(f(&row[..slots.len()]))
    } else {
        let row: Vec<Option<&[u8]>> = slots.iter().map(|&s| values[s]).collect();
        Ok(f(&row))
    }
}
