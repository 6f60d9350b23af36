//! The sources of a transform over the tables that are stored: where their columns stand, and how links are followed.

use std::sync::Arc;

use crate::catalogue::Type;
use crate::state::{SpaceId, image};
use crate::transform::plan::Link;
use crate::transform::walk::Visitor;
use crate::transform::{ExprKind, Plan, Shape};

use super::index::IndexColumns;
use super::table::{Identity, Table};

/// What of a table a source of a plan reads.
#[derive(Clone, Debug)]
pub struct SourceUse {
    pub table: usize,
    /// Where the plan's columns stand in the table's rows.
    pub slots: Vec<usize>,
    /// None: the root.
    pub link: Option<LinkUse>,
}

/// A link, and what is asked in its two directions.
#[derive(Clone, Debug)]
pub struct LinkUse {
    pub link: Link,
    /// To the source's rows.
    pub own: Access,
    /// From a row of the source to those of the parent; None: nothing comes this way.
    pub parent: Option<Access>,
}

/// Which ways a transform goes over its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    Both,
    /// Only from the root: an event is no other for what changes later.
    Down,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    Index(SpaceId),
    /// The link's columns are the identity: for each of its columns, which one of the link's.
    Identity(Vec<usize>),
    /// They are the first columns of the identity, likewise: rows stand together in the space that holds them.
    Leading(Vec<usize>),
}

/// One direction of a link: columns of a source of the plan.
pub struct Side {
    pub source: usize,
    /// Places in the source's columns; their forms.
    pub columns: IndexColumns,
}

/// Links by source; the root has none.
fn links(plan: &Plan) -> Vec<Option<Link>> {
    struct Links(Vec<Option<Link>>);
    impl Visitor for Links {
        fn link(&mut self, source: u16, link: &Link) {
            let place = &mut self.0[usize::from(source)];
            debug_assert!(place.as_ref().is_none_or(|known| known == link), "a source has one link");
            *place = Some(link.clone());
        }
    }
    let mut links = Links(vec![None; plan.sources.len()]);
    plan.visit(&mut links);
    links.0
}

/// What the links of a plan look up by.
pub fn sides(plan: &Plan, ways: Ways) -> Vec<Side> {
    let back = |link| (ways == Ways::Both).then(|| parent(link));
    let links = links(plan);
    let links = links.iter().enumerate().filter_map(|(s, link)| Some((s, link.as_ref()?)));
    links.flat_map(|(s, link)| std::iter::once(own(s, link)).chain(back(link))).collect()
}

fn own(source: usize, link: &Link) -> Side {
    Side { source, columns: link.columns.iter().map(|c| (usize::from(c.own), c.key)).collect() }
}

fn parent(link: &Link) -> Side {
    let columns = link.columns.iter().map(|c| (usize::from(c.parent), c.key)).collect();
    Side { source: usize::from(link.parent), columns }
}

/// For each column of the identity, or of as many of its first ones, which of these columns it is; if they are the same
/// columns and their text is what identities are made of. Rows are found without an index then.
pub fn by_identity(columns: &IndexColumns, identity: &[usize]) -> Option<Vec<usize>> {
    use crate::transform::KeyForm;
    let leading = identity.get(..columns.len())?;
    let plain = columns.iter().all(|(_, form)| *form == KeyForm::Text);
    plain.then(|| leading.iter().map(|i| columns.iter().position(|(c, _)| c == i)).collect())?
}

impl SourceUse {
    /// The sources of a plan over these tables, which have the indexes that [`sides`] asks for.
    pub fn of(plan: &Plan, tables: &[Table], ways: Ways) -> Arc<[SourceUse]> {
        let table_of = |s: usize| {
            let name = &plan.sources[s].table;
            tables.iter().position(|t| t.name == *name).expect("every table of a plan is among the tables")
        };
        let slots = |s: usize| -> Vec<usize> {
            let table = &tables[table_of(s)];
            let place = |name: &str| table.columns.iter().position(|c| c.name == name);
            let columns = plan.sources[s].columns.iter();
            columns.map(|c| place(&c.name).expect("a table has every column that plans use")).collect()
        };
        let access = |side: Side| {
            let (table, slots) = (&tables[table_of(side.source)], slots(side.source));
            let columns: IndexColumns = side.columns.iter().map(|&(c, form)| (slots[c], form)).collect();
            if let Identity::Key { columns: identity, .. } = &table.identity
                && let Some(places) = by_identity(&columns, identity)
            {
                return if places.len() == identity.len() { Access::Identity(places) } else { Access::Leading(places) };
            }
            let index = table.indexes.iter().find(|i| i.columns == columns);
            Access::Index(index.expect("a table has every index that plans ask for").space)
        };
        let links = links(plan).into_iter().enumerate();
        links
            .map(|(s, link)| SourceUse {
                table: table_of(s),
                slots: slots(s),
                link: link.map(|link| LinkUse {
                    own: access(own(s, &link)),
                    parent: (ways == Ways::Both).then(|| access(parent(&link))),
                    link,
                }),
            })
            .collect()
    }
}

impl Access {
    /// The identity key that a link key stands for, or the beginning of those that it leads to: each value in them tells
    /// its own end, so none of another link key begins with it.
    pub(super) fn identity(places: &[usize], key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        // A link key is a list of values with their lengths before them; links have few columns.
        let mut values: [&[u8]; 8] = [b""; 8];
        let mut many = Vec::new();
        let mut n = 0;
        let mut rest = key;
        while let Some((value, after)) = split(rest) {
            match values.get_mut(n) {
                Some(v) => *v = value,
                None => many.push(value),
            }
            n += 1;
            rest = after;
        }
        let value = |&p: &usize| values.get(p).or_else(|| many.get(p - values.len())).copied();
        image::write(places.iter().map(value), out);
    }
}

/// The first value of a link key, and the rest.
fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut len, mut shift, mut rest) = (0usize, 0, key);
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        len |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return rest.split_at_checked(len);
        }
        shift += 7;
    }
}

/// Whether topic keys and roots stand for each other one to one: then a root meets no other one under its key.
pub fn keyed_by_root(plan: &Plan, tables: &[Table]) -> bool {
    let Some(root) = plan.sources.first() else { return false };
    let Some(table) = tables.iter().find(|t| t.name == root.table) else { return false };
    let Identity::Key { columns: identity, .. } = &table.identity else { return false };
    let mut key = Vec::new();
    for &k in &plan.key {
        let Shape::Scalar(expr) = &plan.outputs[k].shape else { return false };
        let ExprKind::Column { source: 0, column } = expr.kind else { return false };
        let column = &root.columns[usize::from(column)];
        // Types whose values have one text form each, and one form in a key.
        let plain =
            matches!(column.ty.ty, Type::Int2 | Type::Int4 | Type::Int8 | Type::Uuid | Type::Text | Type::Varchar);
        match table.columns.iter().position(|c| c.name == column.name) {
            Some(place) if plain => key.push(place),
            _ => return false,
        }
    }
    identity.iter().all(|i| key.contains(i)) && key.iter().all(|k| identity.contains(k))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{KeyForm, link};

    #[test]
    fn an_identity_comes_out_of_a_link_key() {
        let (mut key, mut identity, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let long = "y".repeat(300);
        let values = ["a", &long, "", "c", "d", "e", "f", "g", "h", "i"].map(|v| Some(v.as_bytes()));
        assert!(link::write(values.map(|v| (KeyForm::Text, v)), &mut key));
        let places = [9, 0, 1, 2, 8];
        Access::identity(&places, &key, &mut identity);
        image::write(places.map(|p| values[p]), &mut expected);
        assert_eq!(identity, expected);
    }
}
