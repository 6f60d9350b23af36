//! What a run really made of what the generator can make, counted where it committed.

use std::collections::BTreeMap;
use std::fmt;

use pgspine::transform::Plan;
use postgres::Client;

use super::oracle::rows;
use super::schema::Schema;
use super::transform::Transform;
use super::workload::Shapes;

#[derive(Default, Debug)]
pub struct Coverage(BTreeMap<String, u32>);

/// Parts of a SELECT by how they are written.
const WRITTEN: [(&str, &[&str]); 12] = [
    ("LEFT JOIN", &["\nLEFT JOIN"]),
    ("INNER JOIN", &["\nJOIN"]),
    ("record", &["jsonb_build_object("]),
    ("list", &["ARRAY(SELECT"]),
    ("EXISTS", &["(EXISTS"]),
    ("NOT EXISTS", &["NOT EXISTS"]),
    ("IN (SELECT", &[" IN (SELECT"]),
    ("NOT IN (SELECT", &["NOT IN (SELECT"]),
    ("aggregate", &["count(", "sum(", "avg(", "min(", "max(", "bool_or(", "bool_and(", "every(", "_agg("]),
    ("FILTER, DISTINCT", &["FILTER (WHERE", "(DISTINCT"]),
    ("three-valued test", &[" IS UNKNOWN", " IS NOT TRUE", " IS NOT FALSE", "IS DISTINCT FROM", "IS NOT DISTINCT"]),
    ("WHERE", &["\nWHERE "]),
];

impl Coverage {
    fn add(&mut self, what: &str, n: u32) {
        if n > 0 {
            *self.0.entry(what.to_owned()).or_default() += n;
        }
    }

    pub fn shapes(&mut self, shapes: &Shapes) {
        shapes.iter().for_each(|(shape, n)| self.add(&format!("statement {shape}"), *n));
    }

    pub fn schema(&mut self, schema: &Schema) {
        self.add(&format!("tables {}", schema.tables.len()), 1);
        let references = schema.tables.iter().flat_map(|t| t.refers.iter().filter_map(|r| r.constraint));
        for c in references {
            self.add(&format!("foreign key{}{}", c.then, if c.deferred { ", deferred" } else { "" }), 1);
        }
    }

    pub fn transform(&mut self, t: &Transform, plan: &Plan) {
        let (sql, kind) = (t.sql(), if t.event { "event" } else { "entity" });
        self.add(kind, 1);
        for (name, texts) in WRITTEN {
            self.add(&format!("{kind} {name}"), u32::from(texts.iter().any(|text| sql.contains(text))));
        }
        let nested = sql
            .split("ARRAY(SELECT")
            .skip(1)
            .any(|rest| rest.split(" FROM ").next().is_some_and(|item| item.contains("(SELECT")));
        self.add(
            &format!("{kind} subquery in a list's item"),
            u32::from(nested || sql.contains("ARRAY(SELECT ARRAY(")),
        );
        let inner = sql.replace("\nLEFT JOIN", "").contains(" JOIN ");
        self.add(&format!("{kind} join in a subquery"), u32::from(inner));
        let root = &plan.sources[0].table;
        self.add(&format!("{kind} root once more"), u32::from(plan.sources[1..].iter().any(|s| s.table == *root)));
        self.add(&format!("{kind} sources {}", plan.sources.len().min(6)), 1);
    }

    /// Where rows point, now.
    pub fn references(&mut self, schema: &Schema, client: &mut Client) {
        for t in &schema.tables {
            for r in &t.refers {
                let to = &schema.tables[r.table].name;
                let on = |(own, key): &(usize, usize)| {
                    format!("p.{} = c.{}", schema.tables[r.table].columns[*key].name, t.columns[*own].name)
                };
                let null: Vec<String> =
                    r.columns.iter().map(|(own, _)| format!("c.{} IS NULL", t.columns[*own].name)).collect();
                let (null, on) = (null.join(" OR "), r.columns.iter().map(on).collect::<Vec<_>>().join(" AND "));
                let sql = format!(
                    "SELECT count(*) FILTER (WHERE {null}), count(*) FILTER (WHERE NOT ({null}) AND NOT p), count(*) FILTER (WHERE p) \
                     FROM (SELECT c.*, EXISTS (SELECT 1 FROM {to} p WHERE {on}) AS p FROM {} c) c",
                    t.name
                );
                // Two types may have no `=`.
                let Ok(found) = rows(client, &sql) else { continue };
                for (what, n) in ["reference is NULL", "reference dangles", "reference holds"].iter().zip(&found[0]) {
                    self.add(what, n.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0));
                }
            }
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|(what, n)| format!("{what}: {n}")).collect();
        write!(f, "made: {}", all.join("; "))
    }
}
