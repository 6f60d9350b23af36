//! What every transform must answer, recomputed from the tables' rows by looking through all of them.

use std::collections::BTreeMap;

use super::wire::{Op, Row as Cells, TableDef};
use super::*;
use crate::encode::{Outcome, Rendered};
use crate::row::Row;
use crate::state::{bag, image};
use crate::transform::eval::{EachRow, Lookup};
use crate::transform::function::EvalError;

/// One row's values.
type Values = Vec<Option<Vec<u8>>>;

/// The tables' rows, and nothing else.
pub struct Model {
    pub defs: Vec<TableDef>,
    pub rows: Vec<Vec<Cells>>,
}

impl Model {
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert(t, new) => self.rows[*t].push(new.clone()),
            Op::Update(t, old, new) => {
                let at = self.rows[*t].iter().position(|r| r == old).expect("the row");
                self.rows[*t][at] = new.clone();
            }
            Op::Delete(t, old) => {
                let at = self.rows[*t].iter().position(|r| r == old).expect("the row");
                self.rows[*t].remove(at);
            }
            Op::Truncate(all) => all.iter().for_each(|t| self.rows[*t].clear()),
        }
    }

    /// A source's rows in the order of their identities.
    fn source(&self, engine: &Engine, t: &Transform, source: usize) -> Vec<Values> {
        let used = &t.sources[source];
        let table = &engine.tables[used.table];
        let mut rows: Vec<(Vec<u8>, Values)> = Vec::new();
        for cells in &self.rows[used.table] {
            let def = &self.defs[used.table];
            let place = |name: &str| def.columns.iter().position(|(n, _)| *n == name).expect("a column");
            let of_table: Vec<Option<&[u8]>> =
                table.columns.iter().map(|c| cells[place(&c.name)].as_deref().map(str::as_bytes)).collect();
            let mut key = Vec::new();
            match &table.identity {
                Identity::Key { columns, .. } => image::write(columns.iter().map(|&c| of_table[c]), &mut key),
                _ => {
                    let mut whole = Vec::new();
                    image::write(of_table.iter().copied(), &mut whole);
                    bag::key(&whole, &mut key);
                }
            }
            rows.push((key, used.slots.iter().map(|&s| of_table[s].map(<[u8]>::to_vec)).collect()));
        }
        rows.sort();
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// What the transform's SELECT answers: by key a body, or that the row cannot be told.
    pub fn answer(&self, engine: &Engine, t: &Transform) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        struct All<'m>(&'m Transform, Vec<Vec<Values>>);
        impl Lookup for All<'_> {
            fn rows(&self, source: u16, key: &[u8], each: &mut EachRow<'_>) -> Result<(), EvalError> {
                let link = &self.0.sources[usize::from(source)].link.as_ref().expect("a link").link;
                let mut own = Vec::new();
                for row in &self.1[usize::from(source)] {
                    let row: Vec<Option<&[u8]>> = row.iter().map(Option::as_deref).collect();
                    if link.key_of_own(&row, &mut own) && own == key && each(&row)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
        let all = All(t, (0..t.sources.len()).map(|s| self.source(engine, t, s)).collect());
        let mut answer = BTreeMap::new();
        let mut out = Rendered::default();
        for root in &all.1[0] {
            let root: Row<'_> = &root.iter().map(Option::as_deref).collect::<Vec<_>>();
            let body = match t.renderer.render(&t.context, root, &all, &mut out) {
                Ok(Outcome::Filtered) => continue,
                Ok(Outcome::Entity) => Some(out.value.clone()),
                Err(_) => {
                    t.renderer.key(&t.context, root, &all, &mut out).expect("a key");
                    None
                }
            };
            assert!(answer.insert(out.key.clone(), body).is_none(), "{}: the model has a key twice", t.name);
        }
        answer
    }
}
