//! The same as one JSON document.

use serde_json::{Value, json};

use super::{Kept, Subject, size};
use crate::transform::bind::types::full_name;
use crate::transform::explain::Lookup;
use crate::transform::{Field, Output, Shape};

impl Subject<'_> {
    pub(super) fn document(&self) -> Value {
        let (d, plan, root) = (self.d, &self.d.plan, self.root());
        let output = |(i, o): (usize, &Output)| {
            let mut value = shape(&o.name, &o.shape);
            value["key"] = json!(plan.key.iter().position(|k| *k == i).map(|p| p + 1));
            value
        };
        let columns = || root.columns.iter().map(|c| &c.name).collect::<Vec<_>>();
        let identity = root.identity.as_ref().map(|i| i.iter().map(|&c| &root.columns[c].name).collect::<Vec<_>>());
        json!({
            "transform": d.file.name, "topic": d.topic, "kind": if d.is_event() { "event" } else { "entity" },
            "tables": self.from,
            "root": root.table.name.to_string(),
            "reads": plan.sources[0].columns.iter().map(|c| &c.name).collect::<Vec<_>>(),
            "filter": d.file.select.filter.is_some(),
            "outputs": plan.outputs.iter().enumerate().map(output).collect::<Vec<_>>(),
            "identity": identity,
            "state": root.identity.is_some().then(columns),
            "lookups": self.explained.lookups.iter().map(|l| self.lookup(l)).collect::<Vec<_>>(),
            "kept": self.kept().iter().map(|k| self.table(k)).collect::<Vec<_>>(),
            "touches": (0..plan.sources.len() as u16).filter(|_| !d.is_event()).map(|s| self.touched(s)).collect::<Vec<_>>(),
            "revision": d.revision,
        })
    }

    fn lookup(&self, lookup: &Lookup) -> Value {
        let link = &lookup.link;
        let equal = link.columns.iter().map(|c| {
            json!([self.explained.column(lookup.source, c.own), self.explained.column(link.parent, c.parent)])
        });
        let source = &self.d.plan.sources[usize::from(lookup.source)];
        json!({
            "table": source.table.to_string(), "alias": source.alias,
            "reads": source.columns.iter().map(|c| &c.name).collect::<Vec<_>>(),
            "from": self.d.plan.sources[usize::from(link.parent)].alias,
            "equal": equal.collect::<Vec<_>>(),
            "one_row": lookup.unique, "left": lookup.left, "place": lookup.place, "for": lookup.for_what(),
        })
    }

    fn table(&self, kept: &Kept<'_>) -> Value {
        let size = self.estimate.as_ref().and_then(|e| size(e, kept));
        json!({
            "table": kept.table.table.name.to_string(), "by": kept.by, "indexes": kept.indexes,
            "columns": kept.table.columns.iter().map(|c| &c.name).collect::<Vec<_>>(),
            "rows": size.map(|s| s.rows.round()), "bytes": size.map(|s| s.bytes.round()),
        })
    }

    fn touched(&self, source: u16) -> Value {
        let of = &self.d.plan.sources[usize::from(source)];
        let fan_out = self.estimate.as_ref().and_then(|e| e.fan_out(source));
        let way = self.explained.way_back(source);
        let way = way.iter().map(|b| {
            let names = b.columns.iter().map(|c| self.explained.column(b.source, *c));
            json!({
                "table": self.d.plan.sources[usize::from(b.source)].table.to_string(),
                "by": names.collect::<Vec<_>>(),
            })
        });
        json!({
            "table": of.table.to_string(), "alias": of.alias, "way": way.collect::<Vec<_>>(),
            "words": self.explained.touches(source),
            "records": fan_out.map(|f| f.mean), "records_at_most": fan_out.map(|f| f.most),
        })
    }
}

fn shape(name: &str, of: &Shape) -> Value {
    let (ty, below) = match of {
        Shape::Scalar(expr) => (full_name(&expr.ty), None),
        Shape::Record { fields, .. } => ("record".to_owned(), Some(("fields", all(fields)))),
        Shape::One { item, .. } | Shape::Case { item, .. } => {
            let mut value = shape(name, item);
            value["nullable"] = json!(true);
            return value;
        }
        Shape::List { item, .. } => ("array".to_owned(), Some(("items", shape("", item)))),
    };
    let mut value = json!({ "name": name, "type": ty, "nullable": of.nullable() });
    if let Some((key, below)) = below {
        value[key] = below;
    }
    if name.is_empty()
        && let Some(value) = value.as_object_mut()
    {
        value.remove("name");
    }
    value
}

fn all(fields: &[Field]) -> Value {
    fields.iter().map(|f| shape(&f.name, &f.shape)).collect()
}
