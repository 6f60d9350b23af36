//! A first contract for a transform: for each output the first type that the contract's table names, docs from comments.
//!
//! Only a beginning: from then on the contract is its owner's.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use crate::catalogue::{ColumnType, CompositeType, Type};
use crate::encode::fit::numeric_typmod;
use crate::transform::{Expr, ExprKind, Plan, Shape};

/// What is known beside the plan.
pub struct Note<'a> {
    pub doc: Option<String>,
    pub topic: &'a str,
    /// The comment of a column of the root.
    pub column: &'a dyn Fn(&str) -> Option<String>,
    /// Outputs that the header asserts to be non-null.
    pub not_null: &'a [String],
    /// The output that is a header and no field.
    pub event_id: Option<&'a str>,
}

/// The text of an `.avsc` that the plan's outputs fit.
pub fn contract(plan: &Plan, note: &Note<'_>) -> String {
    let last = plan.name.rsplit('/').next().unwrap_or(&plan.name);
    let mut drafter = Drafter { plan, note, names: BTreeSet::new() };
    let mut record = drafter.head(&pascal(last), note.doc.as_deref());
    let rest: Vec<String> = note.topic.split('.').filter(|s| *s != last).map(plain).filter(|s| !s.is_empty()).collect();
    if !rest.is_empty() {
        record.insert("namespace".into(), json!(rest.join(".")));
    }
    let fields: Vec<Json> = plan
        .outputs
        .iter()
        .enumerate()
        .filter(|(_, o)| Some(o.name.as_str()) != note.event_id)
        .map(|(i, o)| {
            let asserted = plan.key.contains(&i) || note.not_null.contains(&o.name);
            drafter.field(&o.name, &o.shape, asserted, &pascal(last))
        })
        .collect();
    written(&record, &fields)
}

/// One field a line: as people write them.
fn written(record: &Map<String, Json>, fields: &[Json]) -> String {
    let head: Vec<String> = record.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
    let fields: Vec<String> = fields.iter().map(|f| format!("    {f}")).collect();
    format!("{{\n  {},\n  \"fields\": [\n{}\n  ]\n}}\n", head.join(",\n  "), fields.join(",\n"))
}

struct Drafter<'a> {
    plan: &'a Plan,
    note: &'a Note<'a>,
    /// Names of records so far: a second use is by name.
    names: BTreeSet<String>,
}

impl Drafter<'_> {
    fn head(&mut self, name: &str, doc: Option<&str>) -> Map<String, Json> {
        self.names.insert(name.to_owned());
        let mut record = Map::new();
        record.insert("type".into(), json!("record"));
        record.insert("name".into(), json!(name));
        if let Some(doc) = doc {
            record.insert("doc".into(), json!(doc));
        }
        record
    }

    fn field(&mut self, name: &str, shape: &Shape, asserted: bool, parent: &str) -> Json {
        let mut field = Map::new();
        field.insert("name".into(), json!(name));
        let (ty, doc) = self.shape(name, shape, parent);
        if shape.nullable() && !asserted {
            field.insert("type".into(), json!(["null", ty]));
            field.insert("default".into(), Json::Null);
        } else {
            field.insert("type".into(), ty);
        }
        if let Some(doc) = doc {
            field.insert("doc".into(), json!(doc));
        }
        Json::Object(field)
    }

    fn shape(&mut self, name: &str, shape: &Shape, parent: &str) -> (Json, Option<String>) {
        match shape {
            Shape::Scalar(expr) => (self.ty(&expr.ty), self.comment(expr)),
            Shape::Record { fields, .. } => {
                let full = format!("{parent}{}", pascal(name));
                let mut record = self.head(&full, None);
                let fields = fields.iter().map(|f| self.field(&f.name, &f.shape, false, &full)).collect();
                record.insert("fields".into(), Json::Array(fields));
                (Json::Object(record), None)
            }
            Shape::List { item, .. } => {
                let (items, _) = self.shape(name, item, parent);
                let items = if item.nullable() { json!(["null", items]) } else { items };
                (json!({ "type": "array", "items": items }), None)
            }
            Shape::One { item, .. } => self.shape(name, item, parent),
        }
    }

    /// Of an output that is a column as it stands.
    fn comment(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Column { source, column } => {
                let column = self.plan.sources.get(usize::from(*source))?.columns.get(usize::from(*column))?;
                (self.note.column)(&column.name)
            }
            ExprKind::Relabel(inner) => self.comment(inner),
            _ => None,
        }
    }

    fn ty(&mut self, column: &ColumnType) -> Json {
        match &column.ty {
            Type::Bool => json!("boolean"),
            Type::Int2 | Type::Int4 => json!("int"),
            Type::Int8 | Type::Oid => json!("long"),
            Type::Float4 => json!("float"),
            Type::Float8 => json!("double"),
            Type::Numeric => match numeric_typmod(column.typmod) {
                Some((precision, scale)) => {
                    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
                }
                None => json!("string"),
            },
            Type::Uuid => json!({"type": "string", "logicalType": "uuid"}),
            Type::Bytea => json!("bytes"),
            Type::Date => json!({"type": "int", "logicalType": "date"}),
            Type::Time => json!({"type": "long", "logicalType": "time-micros"}),
            Type::Timestamp => json!({"type": "long", "logicalType": "local-timestamp-micros"}),
            Type::TimestampTz => json!({"type": "long", "logicalType": "timestamp-micros"}),
            Type::Array(element) => {
                let element = ColumnType { ty: (**element).clone(), domain: None, ..column.clone() };
                json!({"type": "array", "items": ["null", self.ty(&element)]})
            }
            Type::Composite(c) => self.composite(c),
            Type::Other(o) if o.name.name == "hstore" => json!({"type": "map", "values": ["null", "string"]}),
            _ => json!("string"),
        }
    }

    fn composite(&mut self, ty: &CompositeType) -> Json {
        let name = pascal(&ty.name.name);
        if self.names.contains(&name) {
            return json!(name);
        }
        let mut record = self.head(&name, None);
        let fields: Vec<Json> = ty
            .fields
            .iter()
            .map(|(name, ty)| json!({"name": name, "type": ["null", self.ty(ty)], "default": null}))
            .collect();
        record.insert("fields".into(), Json::Array(fields));
        Json::Object(record)
    }
}

/// `order_line` → `OrderLine`.
fn pascal(name: &str) -> String {
    let mut out = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        let (first, rest) = word.split_at(1);
        out.push_str(&first.to_ascii_uppercase());
        out.push_str(rest);
    }
    match out.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => out,
        _ => format!("R{out}"),
    }
}

/// A part of a namespace: what Avro takes for a name.
fn plain(part: &str) -> String {
    let name: String = part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_avros() {
        for (written, name) in [("order", "Order"), ("order_line-2", "OrderLine2"), ("2x", "R2x"), ("é", "R")] {
            assert_eq!(pascal(written), name);
        }
        assert_eq!((plain("v1"), plain("1-a")), ("v1".into(), "_1_a".into()));
    }
}
