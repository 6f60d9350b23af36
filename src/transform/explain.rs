//! A plan in words: root, columns, filter, outputs, key.

use std::fmt::Write;

use super::bind::types::full_name;
use super::plan::{Plan, Shape};
use crate::catalogue::Table;

/// What `pgspine explain` prints. The tables are those that the plan was bound to.
pub fn explain(plan: &Plan, filter_text: Option<&str>, root: &Table) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(plan.name.clone());
    for source in &plan.sources {
        line(format!("  root     {} as {}", source.table, source.alias));
        let used: Vec<_> = source.columns.iter().map(|c| c.name.as_str()).collect();
        line(format!("  reads    {}", if used.is_empty() { "no column".to_owned() } else { used.join(", ") }));
    }
    line(format!(
        "  identity {}",
        match root.identity_columns() {
            Some(columns) => format!("{} (what the old row carries)", columns.join(", ")),
            None => format!("{:?}: the old row is the whole row, or nothing", root.replica_identity),
        }
    ));
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

fn shape(out: &mut String, depth: usize, name: &str, shape_of: &Shape, key: &str) {
    let indent = "  ".repeat(depth);
    let null = if shape_of.nullable() { "" } else { " not null" };
    match shape_of {
        Shape::List { item, .. } => {
            let _ = write!(out, "{indent}output   {name} array{null}");
            out.push('\n');
            shape(out, depth + 1, "each", item, "");
        }
        Shape::One { item, .. } => {
            let _ = write!(out, "{indent}output   {name} record or NULL");
            out.push('\n');
            shape(out, depth + 1, "its", item, "");
        }
        Shape::Scalar(expr) => drop(write!(out, "{indent}output   {name} {}{null}{key}", full_name(&expr.ty))),
        Shape::Record { fields, .. } => {
            let _ = write!(out, "{indent}output   {name} record{null}");
            for field in fields {
                out.push('\n');
                shape(out, depth + 1, &field.name, &field.shape, "");
            }
        }
    }
}
