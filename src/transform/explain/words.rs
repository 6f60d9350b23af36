//! A plan in words.

use std::fmt::Write;

use super::{Explained, How, Lookup};
use crate::catalogue::Table;
use crate::transform::bind::types::full_name;
use crate::transform::plan::Shape;

impl Explained<'_> {
    /// Root, look-ups, outputs. The table is the root's.
    pub fn text(&self, filter_text: Option<&str>, root: &Table) -> String {
        let plan = self.plan;
        let mut out = format!("{}\n", plan.name);
        let mut line = |text: String| {
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(format!("  root     {}", self.named(0)));
        line(format!("  reads    {}", self.reads(0)));
        line(format!(
            "  identity {}",
            match root.identity_columns() {
                Some(columns) => format!("{} (what the old row carries)", columns.join(", ")),
                None => format!("{:?}: the old row is the whole row, or nothing", root.replica_identity),
            }
        ));
        for lookup in &self.lookups {
            line(format!("  look-up  {}", self.lookup(lookup)));
            line(format!("           reads {}", self.reads(lookup.source)));
        }
        line(format!("  filter   {}", filter_text.unwrap_or("none: every row")));
        for (i, output) in plan.outputs.iter().enumerate() {
            let key = match plan.key.iter().position(|k| *k == i) {
                Some(place) => format!("  key {}", place + 1),
                None => String::new(),
            };
            let mut text = String::new();
            shape(&mut text, 1, &output.name, &output.shape, &key);
            line(text);
        }
        out
    }

    /// What a change touches.
    pub fn touches_text(&self) -> String {
        let sources = 0..self.plan.sources.len() as u16;
        let touches = sources.map(|source| format!("  touches  {}\n", self.touches(source)));
        touches.chain(["  a change of no column above touches nothing\n".to_owned()]).collect()
    }

    /// What a change of a row of `source` evaluates again.
    pub fn touches(&self, source: u16) -> String {
        let changed = format!("a change of {}", self.named(source));
        let way = self.way_back(source);
        if way.is_empty() {
            return format!("{changed} re-evaluates its own record");
        }
        let mut text = format!("{changed} re-evaluates the");
        let mut before = source;
        for (i, back) in way.iter().enumerate() {
            let (columns, equal) = (self.columns(back.source, &back.columns), self.columns(before, &back.equal));
            let (and_so, whose) = if i == 0 { ("", "its") } else { (", and so the", "their") };
            let _ = write!(text, "{and_so} rows of {} with {columns} = {whose} {equal}", self.named(back.source));
            before = back.source;
        }
        text
    }

    /// `shop.customers as c`
    pub fn named(&self, source: u16) -> String {
        let Some(source) = self.plan.sources.get(usize::from(source)) else { return String::new() };
        format!("{} as {}", source.table, source.alias)
    }

    fn reads(&self, source: u16) -> String {
        let columns = self.plan.sources.get(usize::from(source)).map(|s| s.columns.as_slice()).unwrap_or_default();
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        if names.is_empty() { "no column".to_owned() } else { names.join(", ") }
    }

    fn columns(&self, source: u16, columns: &[u16]) -> String {
        let names: Vec<&str> = columns.iter().map(|c| self.column(source, *c)).collect();
        if let [name] = names.as_slice() { (*name).to_owned() } else { format!("({})", names.join(", ")) }
    }

    fn lookup(&self, lookup: &Lookup) -> String {
        let alias = |source: u16| self.plan.sources.get(usize::from(source)).map_or("?", |s| &s.alias);
        let link = &lookup.link;
        let equal = |c: &crate::transform::LinkColumn| {
            let (own, parent) = (self.column(lookup.source, c.own), self.column(link.parent, c.parent));
            format!("{}.{own} = {}.{parent}", alias(lookup.source), alias(link.parent))
        };
        let equalities: Vec<String> = link.columns.iter().map(equal).collect();
        let rows = if lookup.unique { "one row at most" } else { "any number of rows" };
        format!("{} by {}: {rows}, {}", self.named(lookup.source), equalities.join(" and "), lookup.for_what())
    }
}

impl Lookup {
    /// `LEFT JOIN in FROM`, `an element of lines[]`.
    pub fn for_what(&self) -> String {
        let place = &self.place;
        let left = if self.left { "LEFT JOIN" } else { "JOIN" };
        match &self.how {
            How::Join => left.to_owned(),
            How::List if self.left => format!("{left} for the elements of {place}"),
            How::List => format!("for the elements of {place}"),
            How::One => format!("the record {place}"),
            How::Exists => format!("EXISTS in {place}"),
            How::In => format!("IN (SELECT …) in {place}"),
            How::Scalar => format!("a subquery in {place}"),
            How::Array => format!("an array in {place}"),
            How::Aggregates(names) => format!("{} in {place}", names.join(", ")),
        }
    }
}

fn shape(out: &mut String, depth: usize, name: &str, shape_of: &Shape, key: &str) {
    let indent = "  ".repeat(depth);
    let null = if shape_of.nullable() { "" } else { " not null" };
    match shape_of {
        Shape::Scalar(expr) => drop(write!(out, "{indent}output   {name} {}{null}{key}", full_name(&expr.ty))),
        Shape::List { item, .. } => {
            let mut each = String::new();
            shape(&mut each, depth, &format!("{name}[]"), item, "");
            let _ = write!(out, "{indent}output   {name} array{null}\n{each}");
        }
        Shape::Record { .. } => {
            let _ = write!(out, "{indent}output   {name} record{null}");
            fields(out, depth, shape_of);
        }
        Shape::One { item, .. } | Shape::Case { item, .. } => {
            let _ = write!(out, "{indent}output   {name} record or NULL");
            fields(out, depth, item);
        }
    }
}

/// Those of the record, through what may be missing.
fn fields(out: &mut String, depth: usize, shape_of: &Shape) {
    match shape_of {
        Shape::Record { fields: all, .. } => {
            for field in all {
                out.push('\n');
                shape(out, depth + 1, &field.name, &field.shape, "");
            }
        }
        Shape::One { item, .. } | Shape::Case { item, .. } => fields(out, depth, item),
        Shape::Scalar(_) | Shape::List { .. } => {}
    }
}
