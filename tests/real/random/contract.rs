//! Random contracts that fit what the plan derived for a transform's outputs.

use fastrand::Rng;
use pgspine::catalogue::{ColumnType, Type};
use pgspine::transform::{Plan, Shape};
use serde_json::{Value as Json, json};

use super::kinds::LABELS;
use super::transform::{Made, Transform};

/// A contract for what the plan derived.
pub fn contract(rng: &mut Rng, t: &Transform, plan: &Plan) -> Json {
    let mut c = Contracts { rng, number: 0, key: &t.key, not_null: &t.not_null };
    let mut outputs: Vec<_> =
        t.fields().map(|o| (o, plan.outputs.iter().find(|p| p.name == o.name).expect("bound"))).collect();
    if c.rng.bool() {
        c.rng.shuffle(&mut outputs);
    }
    let fields: Vec<Json> = outputs.iter().map(|(o, p)| c.field(&o.name, &o.value, &p.shape)).collect();
    json!({"type": "record", "name": "Entity", "namespace": "test.random", "fields": fields})
}

struct Contracts<'a> {
    rng: &'a mut Rng,
    number: u32,
    key: &'a [String],
    not_null: &'a [String],
}

impl Contracts<'_> {
    fn name(&mut self) -> String {
        self.number += 1;
        format!("N{}", self.number)
    }

    fn field(&mut self, name: &str, made: &Made, shape: &Shape) -> Json {
        let (mut ty, nullable) = match (made, shape) {
            (Made::Record(fields), Shape::Record { fields: planned, .. }) if self.rng.u32(..4) > 0 => {
                let fields: Vec<Json> =
                    fields.iter().zip(planned).map(|(f, p)| self.field(&f.name, &f.value, &p.shape)).collect();
                (json!({"type": "record", "name": self.name(), "fields": fields}), false)
            }
            (Made::List { item, .. }, Shape::List { item: planned, .. })
                if self.rng.u32(..5) > 0 && !matches!(planned.expr().ty.ty, Type::Array(_)) =>
            {
                let mut field = self.field("item", item, planned);
                let items = field["type"].take();
                let list = json!({"type": "array", "items": items});
                match field.get("pgspine.lossy") {
                    Some(_) => (json!({"lossy": true, "of": list}), false),
                    None => (list, false),
                }
            }
            (
                Made::One { item, .. } | Made::Case { item, .. },
                Shape::One { item: planned, .. } | Shape::Case { item: planned, .. },
            ) if self.rng.u32(..5) > 0 => {
                let (Made::Record(fields), Shape::Record { fields: planned, .. }) = (&**item, &**planned) else {
                    panic!("{item:?} is planned as {planned:?}");
                };
                let fields: Vec<Json> =
                    fields.iter().zip(planned).map(|(f, p)| self.field(&f.name, &f.value, &p.shape)).collect();
                (json!({"type": "record", "name": self.name(), "fields": fields}), true)
            }
            (_, Shape::Record { .. }) => (json!("string"), false),
            (Made::Shape(_), Shape::Scalar(e)) if self.rng.u32(..3) > 0 => {
                let inner = json!({"type": "record", "name": self.name(), "fields": [
                    {"name": "n", "type": ["null", "long"], "default": null},
                    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
                    {"name": "t", "type": "string"},
                    {"name": "list", "type": {"type": "array", "items": "int"}},
                    {"name": "flag", "type": ["null", "boolean"], "default": null},
                ]});
                (inner, e.nullable)
            }
            (_, Shape::List { item, array, .. }) if !matches!(item.expr().ty.ty, Type::Array(_)) => {
                // The elements' modifier is not the array's, and holds all the same.
                (self.ty(&ColumnType { typmod: item.expr().ty.typmod, ..array.ty.clone() }), false)
            }
            (_, Shape::Scalar(e)) if self.key.iter().any(|k| k == name) => (self.key_ty(&e.ty), e.nullable),
            (_, shape) => (self.ty(&shape.expr().ty), shape.nullable()),
        };
        let mut field = json!({"name": name});
        if ty.get("lossy").is_some() {
            field["pgspine.lossy"] = json!(true);
            ty = ty["of"].clone();
        }
        let in_key = self.key.iter().any(|k| k == name);
        let nullable = nullable && !self.not_null.iter().any(|n| n == name);
        let special = self.rng.u32(..8);
        if nullable || !in_key && self.rng.u32(..5) == 0 {
            field["type"] = match self.rng.u32(..4) {
                0 => json!([ty, "null"]),
                _ => json!(["null", ty]),
            };
            if special == 0 && !in_key {
                field["pgspine.special"] = json!("null");
            }
        } else {
            field["type"] = ty;
        }
        if special == 1 && !in_key {
            field["pgspine.special"] = json!("clamp");
        }
        field
    }

    /// Two keys are never one in the topic, and every key has its form.
    fn key_ty(&mut self, column: &ColumnType) -> Json {
        match (&column.ty, self.ty(column)) {
            (Type::Enum(_), _) => json!("string"),
            (Type::Numeric, _) if column.typmod < 0 => json!("string"),
            (Type::Int2 | Type::Int4, ty) if ty.get("lossy").is_some() => json!("int"),
            (Type::Time, ty) if ty.get("lossy").is_some() => json!({"type": "long", "logicalType": "time-micros"}),
            (_, ty) if ty.get("lossy").is_some() => json!("string"),
            (_, ty) => ty,
        }
    }

    fn ty(&mut self, column: &ColumnType) -> Json {
        let choice = self.rng.u32(..6);
        let logical = |base: &str, name: &str| json!({"type": base, "logicalType": name});
        let lossy = |of: Json| json!({"lossy": true, "of": of});
        match (&column.ty, choice) {
            (Type::Bool, _) => json!("boolean"),
            (Type::Int2 | Type::Int4, 0..=2) => json!("int"),
            (Type::Int2 | Type::Int4, 3) => json!("long"),
            (Type::Int2 | Type::Int4, 4) => json!("double"),
            (Type::Int2, _) => json!("float"),
            (Type::Int4, _) => lossy(json!("float")),
            (Type::Int8 | Type::Oid, _) => json!("long"),
            (Type::Float4, 0..=3) => json!("float"),
            (Type::Float4 | Type::Float8, _) => json!("double"),
            (Type::Numeric, 0 | 1) => json!("string"),
            (Type::Numeric, _) => {
                let (p, s) = match column.typmod {
                    m if m >= 4 => ((m - 4) >> 16 & 0xffff, ((m - 4) & 0x7ff ^ 1024) - 1024),
                    _ => [(38, 10), (60, 30), (20, 4), (12, 6)][self.rng.usize(..4)],
                };
                let (s, p) = (s.max(0), p.max(1) + if choice == 2 { 3 } else { 0 });
                let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": p.max(s), "scale": s});
                if choice == 3 {
                    let size = (f64::from(p.max(s)) * 3.33 / 8.0) as u32 + 2;
                    json!({"type": "fixed", "name": self.name(), "size": size, "logicalType": "decimal", "precision": p.max(s), "scale": s})
                } else {
                    decimal
                }
            }
            (Type::Enum(_), 0..=2) => {
                // One label is no Avro name: the enum's default takes it.
                let symbols: Vec<&str> = LABELS[..3].iter().copied().chain(["other"]).collect();
                json!({"type": "enum", "name": self.name(), "symbols": symbols, "default": "other"})
            }
            (Type::Uuid, 0 | 1) => logical("string", "uuid"),
            (Type::Uuid, 2) => json!({"type": "fixed", "name": self.name(), "size": 16, "logicalType": "uuid"}),
            (Type::Bytea, _) => json!("bytes"),
            (Type::Date, 0..=3) => logical("int", "date"),
            (Type::Time, 0..=4) => logical("long", "time-micros"),
            (Type::Time, _) => lossy(logical("int", "time-millis")),
            (Type::Timestamp, 0..=2) => logical("long", "local-timestamp-micros"),
            (Type::Timestamp, 3) => lossy(logical("long", "local-timestamp-millis")),
            (Type::TimestampTz, 0..=2) => logical("long", "timestamp-micros"),
            (Type::TimestampTz, 3) => lossy(logical("long", "timestamp-millis")),
            (Type::Array(element), 0..=3) => {
                let items = self.ty(&ColumnType { ty: (**element).clone(), domain: None, ..column.clone() });
                let wrap = |t: Json| json!({"type": "array", "items": ["null", t]});
                match items.get("lossy") {
                    Some(_) => lossy(wrap(items["of"].clone())),
                    None => wrap(items),
                }
            }
            (Type::Composite(c), 0..=3) => {
                let name = self.name();
                let fields: Vec<Json> = c
                    .fields
                    .iter()
                    .map(|(n, ty)| {
                        let ty = match self.ty(ty) {
                            lossy if lossy.get("lossy").is_some() => json!("int"),
                            ty => ty,
                        };
                        json!({"name": n, "type": ["null", ty]})
                    })
                    .collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
            (Type::Other(o), 0..=3) if o.name.name == "hstore" => json!({"type": "map", "values": ["null", "string"]}),
            _ => json!("string"),
        }
    }
}
