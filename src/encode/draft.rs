//! A first contract for a transform: for each output the first type that the contract's table names, docs from comments.
//!
//! Only a beginning: from then on the contract is its owner's.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value as Json, json};

use crate::catalogue::{ColumnType, CompositeType, Oid, QualifiedName, Type};
use crate::encode::fit::numeric_typmod;
use crate::transform::{Expr, ExprKind, Plan, Shape};

/// What is known beside the plan.
pub struct Note<'a> {
    pub doc: Option<String>,
    pub topic: &'a str,
    /// The comment of a table's column.
    pub column: &'a dyn Fn(&QualifiedName, &str) -> Option<String>,
    /// Paths that the header asserts to be non-null.
    pub not_null: &'a [String],
    /// The output that is a header and no field.
    pub event_id: Option<&'a str>,
}

/// The text of an `.avsc` that the plan's outputs fit.
pub fn contract(plan: &Plan, note: &Note<'_>) -> String {
    let last = plan.name.rsplit('/').next().unwrap_or(&plan.name);
    let mut drafter = Drafter { plan, note, names: BTreeSet::new(), composites: HashMap::new() };
    let name = drafter.unique(pascal(last));
    let mut record = head(&name, note.doc.as_deref());
    let rest: Vec<String> = note.topic.split('.').filter(|s| *s != last).map(plain).filter(|s| !s.is_empty()).collect();
    if !rest.is_empty() {
        record.insert("namespace".into(), json!(rest.join(".")));
    }
    let mut fields = Vec::new();
    for (i, o) in plan.outputs.iter().enumerate().filter(|(_, o)| Some(o.name.as_str()) != note.event_id) {
        let at = At { path: o.name.clone(), name: format!("{name}{}", pascal(&o.name)) };
        fields.push(drafter.field(&o.name, &o.shape, plan.key.contains(&i), &at));
    }
    written(&record, &fields)
}

/// One field a line: as people write them.
fn written(record: &Map<String, Json>, fields: &[Json]) -> String {
    let head: Vec<String> = record.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
    let fields: Vec<String> = fields.iter().map(|f| format!("    {f}")).collect();
    format!("{{\n  {},\n  \"fields\": [\n{}\n  ]\n}}\n", head.join(",\n  "), fields.join(",\n"))
}

fn head(name: &str, doc: Option<&str>) -> Map<String, Json> {
    let mut record = Map::new();
    record.insert("type".into(), json!("record"));
    record.insert("name".into(), json!(name));
    if let Some(doc) = doc {
        record.insert("doc".into(), json!(doc));
    }
    record
}

struct Drafter<'a> {
    plan: &'a Plan,
    note: &'a Note<'a>,
    /// Names of records so far: in one schema each is defined once.
    names: BTreeSet<String>,
    /// Composite types that are defined: a second use is by name.
    composites: HashMap<Oid, String>,
}

/// A place of the contract: its path, and the name that a record there would have.
struct At {
    path: String,
    name: String,
}

impl Drafter<'_> {
    fn unique(&mut self, name: String) -> String {
        let numbered = (2..).map(|n| format!("{name}{n}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|n| !self.names.contains(n)).unwrap_or(name);
        self.names.insert(free.clone());
        free
    }

    fn field(&mut self, name: &str, shape: &Shape, never_null: bool, at: &At) -> Json {
        let mut field = Map::new();
        field.insert("name".into(), json!(name));
        let (ty, doc) = self.shape(shape, at);
        if !never_null && self.nullable(shape, at) {
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

    fn nullable(&self, shape: &Shape, at: &At) -> bool {
        // An array in an array is never NULL: PostgreSQL takes none for an element.
        let element = at.path.ends_with("[]") && matches!(shape.expr().ty.ty, Type::Array(_));
        shape.nullable() && !element && !self.note.not_null.contains(&at.path)
    }

    fn shape(&mut self, shape: &Shape, at: &At) -> (Json, Option<String>) {
        match shape {
            Shape::Scalar(expr) => (self.ty(&expr.ty), self.comment(expr)),
            Shape::Record { fields, .. } => {
                let name = self.unique(at.name.clone());
                let mut record = head(&name, None);
                let mut drafted = Vec::new();
                for f in fields {
                    let at = At { path: format!("{}.{}", at.path, f.name), name: format!("{name}{}", pascal(&f.name)) };
                    drafted.push(self.field(&f.name, &f.shape, false, &at));
                }
                record.insert("fields".into(), Json::Array(drafted));
                (Json::Object(record), None)
            }
            Shape::List { item, .. } => {
                let at = At { path: format!("{}[]", at.path), name: format!("{}Item", at.name) };
                let (items, doc) = self.shape(item, &at);
                let items = if self.nullable(item, &at) { json!(["null", items]) } else { items };
                (json!({ "type": "array", "items": items }), doc)
            }
            Shape::One { item, .. } | Shape::Case { item, .. } => self.shape(item, at),
        }
    }

    /// Of an output that is a column as it stands.
    fn comment(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Column { source, column } => {
                let source = self.plan.sources.get(usize::from(*source))?;
                (self.note.column)(&source.table, &source.columns.get(usize::from(*column))?.name)
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
        if let Some(name) = self.composites.get(&ty.oid) {
            return json!(name);
        }
        let name = self.unique(pascal(&ty.name.name));
        self.composites.insert(ty.oid, name.clone());
        let mut record = head(&name, None);
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
pub(crate) fn plain(part: &str) -> String {
    let name: String = part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
#[path = "draft/tests.rs"]
mod tests;
