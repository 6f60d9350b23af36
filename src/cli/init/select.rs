//! The drafted SELECT: the root's columns, and its children as arrays of records.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::capture::catalogue::ForeignKey;
use crate::catalogue::{Column, Table, Type, quote_ident, quote_literal};
use crate::encode::draft::plain;
use crate::transform::parse;

/// `jsonb_build_object` takes 100 arguments.
const PAIRS: usize = 50;

/// Rows of `table` that refer to the root.
pub struct Child<'a> {
    pub table: &'a Table,
    pub by: &'a ForeignKey,
}

/// The file's text, and its key's outputs with their columns.
pub struct Drafted {
    pub text: String,
    pub key: Vec<(String, String)>,
}

/// Columns that tell rows apart, and are never NULL; the primary key first.
pub fn key(table: &Table) -> Option<&[String]> {
    let never_null = |name: &String| table.column(name).is_some_and(|c| c.not_null && !c.generated);
    table
        .indexes
        .iter()
        .filter(|i| i.unique && i.immediate && i.valid && !i.partial && !i.columns.is_empty())
        .filter(|i| i.columns.iter().all(never_null))
        .min_by_key(|i| (!i.primary, i.columns.len(), i.name.as_str()))
        .map(|i| i.columns.as_slice())
}

pub fn transform(root: &Table, key: &[String], children: &[Child<'_>], topic: &str) -> Drafted {
    let mut aliases = BTreeSet::new();
    let o = alias(&root.name.name, &mut aliases);
    let mut names = BTreeSet::new();
    let mut items = Vec::new();
    let mut outputs = Vec::new();
    // A generated column is not in the stream.
    for column in root.columns.iter().filter(|c| !c.generated) {
        let name = unique(plain(&column.name), &mut names);
        let written = format!("{o}.{}", quote_ident(&column.name));
        items.push(if name == column.name { written } else { format!("{written} AS {}", quote_ident(&name)) });
        if key.contains(&column.name) {
            outputs.push((name, column.name.clone()));
        }
    }
    outputs.sort_by_key(|(_, column)| key.iter().position(|k| k == column));
    for child in children {
        let twice = children.iter().filter(|c| c.table.name == child.table.name).count() > 1;
        let mut name = plain(&child.table.name.name);
        if twice || names.contains(&name) {
            name = format!("{name}_by_{}", plain(&child.by.columns.join("_")));
        }
        let name = unique(name, &mut names);
        items.push(format!("{} AS {}", array(child, &o, &mut aliases), quote_ident(&name)));
    }
    let quoted: Vec<String> = outputs.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let text = format!(
        "/* pgspine\ntopic = \"{topic}\"\nkey   = [{}]\n*/\nSELECT\n  {}\nFROM {} AS {o};\n",
        quoted.join(", "),
        items.join(",\n  "),
        name(root),
    );
    Drafted { text, key: outputs }
}

/// `ARRAY(SELECT jsonb_build_object(…) …)`, ordered by the child's key so that equal rows have one form.
fn array(child: &Child<'_>, root: &str, aliases: &mut BTreeSet<String>) -> String {
    let l = alias(&child.table.name.name, aliases);
    let rest: Vec<&Column> =
        child.table.columns.iter().filter(|c| !c.generated && !child.by.columns.contains(&c.name)).collect();
    let all: Vec<&Column> = child.table.columns.iter().filter(|c| !c.generated).collect();
    let mut names = BTreeSet::new();
    let pairs: Vec<String> = if rest.is_empty() { all } else { rest }
        .into_iter()
        .map(|c| {
            let name = unique(plain(&c.name), &mut names);
            format!("{}, {l}.{}", quote_literal(&name), quote_ident(&c.name))
        })
        .collect();
    let objects: Vec<String> = pairs
        .chunks(PAIRS)
        .map(|pairs| format!("jsonb_build_object(\n      {}\n    )", pairs.join(",\n      ")))
        .collect();
    let on: Vec<String> = child
        .by
        .columns
        .iter()
        .zip(&child.by.referenced)
        .map(|(own, theirs)| format!("{l}.{} = {root}.{}", quote_ident(own), quote_ident(theirs)))
        .collect();
    let mut out = format!(
        "ARRAY(\n    SELECT {}\n    FROM {} AS {l}\n    WHERE {}",
        objects.join(" || "),
        name(child.table),
        on.join(" AND ")
    );
    let key = key(child.table).unwrap_or_default();
    let order: Vec<String> = key
        .iter()
        .filter(|k| !child.by.columns.contains(k))
        .filter_map(|k| child.table.column(k))
        .map(|c| format!("{l}.{}{}", quote_ident(&c.name), if collated(&c.ty.ty) { " COLLATE \"C\"" } else { "" }))
        .collect();
    if !order.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n    ORDER BY {}", order.join(", "));
    }
    out.push_str("\n  )");
    out
}

/// Types whose order is a collation's: only "C" is the same everywhere.
fn collated(ty: &Type) -> bool {
    matches!(ty, Type::Text | Type::Varchar | Type::Bpchar)
}

fn name(table: &Table) -> String {
    format!("{}.{}", quote_ident(&table.name.schema), quote_ident(&table.name.name))
}

/// The shortest beginning of the table's name that is free and no key word.
fn alias(table: &str, taken: &mut BTreeSet<String>) -> String {
    let letters: String = plain(table).to_ascii_lowercase().trim_start_matches('_').to_owned();
    let beginnings = (1..=letters.len()).map(|n| letters[..n].to_owned());
    let numbered = (1..).map(|n| format!("t{n}"));
    let free = beginnings.chain(numbered).find(|a| parse::may_be_alias(a) && !taken.contains(a));
    let free = free.unwrap_or_else(|| "t".to_owned());
    taken.insert(free.clone());
    free
}

fn unique(name: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or(name);
    taken.insert(free.clone());
    free
}
