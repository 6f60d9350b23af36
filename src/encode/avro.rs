//! Avro types as a closed tree: every reference is followed, every logical type is its own variant.
//!
//! Source of truth: the Avro 1.11 specification. What a logical type does not fit is an error here, where the
//! specification would silently fall back to the underlying type; logical types that we do not know do fall back.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::diagnostic::Span;

#[derive(Debug, Clone, PartialEq)]
pub enum Avro {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Box<Avro>),
    Map(Box<Avro>),
    Union(Vec<Avro>),
    Record(Arc<Record>),
    Enum(Arc<Enumeration>),
    Fixed(Arc<Fixed>),
    Decimal(Decimal),
    UuidString,
    UuidFixed(Arc<Fixed>),
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    LocalTimestampMillis,
    LocalTimestampMicros,
}

/// Named types carry their full name.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub name: String,
    pub aliases: Vec<String>,
    pub fields: Vec<RecordField>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RecordField {
    pub name: String,
    pub aliases: Vec<String>,
    pub ty: Avro,
    pub default: Option<Json>,
    /// `"pgspine.lossy": true`: precision may be lost.
    pub lossy: bool,
    pub special: Special,
    /// Of the field's name in the file.
    pub span: Span,
}

/// `"pgspine.special"`: what becomes of a value that the field cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Special {
    #[default]
    RowError,
    Null,
    Clamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Enumeration {
    pub name: String,
    pub symbols: Vec<String>,
    pub default: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    pub name: String,
    pub size: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decimal {
    pub precision: u32,
    pub scale: u32,
    /// None: bytes.
    pub fixed: Option<Arc<Fixed>>,
}

impl Avro {
    /// The type without null, and where null and it stand in the union: `(type, Some((null, type)))`. A union that is
    /// not "null or one other" comes back as it is.
    pub fn non_null(&self) -> (&Avro, Option<(usize, usize)>) {
        match self {
            Avro::Union(branches) => match branches.as_slice() {
                [Avro::Null, other] if *other != Avro::Null => (other, Some((0, 1))),
                [other, Avro::Null] if *other != Avro::Null => (other, Some((1, 0))),
                _ => (self, None),
            },
            other => (other, None),
        }
    }

    /// In the words of a contract: `long timestamp-micros`, `array of string`.
    pub fn describe(&self) -> String {
        match self {
            Avro::Null => "null".into(),
            Avro::Boolean => "boolean".into(),
            Avro::Int => "int".into(),
            Avro::Long => "long".into(),
            Avro::Float => "float".into(),
            Avro::Double => "double".into(),
            Avro::Bytes => "bytes".into(),
            Avro::String => "string".into(),
            Avro::Array(items) => format!("array of {}", items.describe()),
            Avro::Map(values) => format!("map of {}", values.describe()),
            Avro::Union(branches) => {
                format!("[{}]", branches.iter().map(Avro::describe).collect::<Vec<_>>().join(", "))
            }
            Avro::Record(r) => format!("record {}", r.name),
            Avro::Enum(e) => format!("enum {}", e.name),
            Avro::Fixed(f) => format!("fixed({})", f.size),
            Avro::Decimal(Decimal { precision, scale, fixed: None }) => format!("bytes decimal({precision},{scale})"),
            Avro::Decimal(Decimal { precision, scale, fixed: Some(f) }) => {
                format!("fixed({}) decimal({precision},{scale})", f.size)
            }
            Avro::UuidString => "string uuid".into(),
            Avro::UuidFixed(_) => "fixed(16) uuid".into(),
            Avro::Date => "int date".into(),
            Avro::TimeMillis => "int time-millis".into(),
            Avro::TimeMicros => "long time-micros".into(),
            Avro::TimestampMillis => "long timestamp-millis".into(),
            Avro::TimestampMicros => "long timestamp-micros".into(),
            Avro::LocalTimestampMillis => "long local-timestamp-millis".into(),
            Avro::LocalTimestampMicros => "long local-timestamp-micros".into(),
        }
    }

    /// The schema as JSON: full names, each named type defined where it stands first, without docs.
    pub fn to_json(&self) -> Json {
        self.json(&mut HashSet::new())
    }

    fn json(&self, defined: &mut HashSet<String>) -> Json {
        let fixed = |f: &Fixed, defined: &mut HashSet<String>, more: &[(&str, Json)]| {
            if !defined.insert(f.name.clone()) {
                return Json::String(f.name.clone());
            }
            let mut object = json!({"type": "fixed", "name": f.name, "size": f.size});
            for (key, value) in more {
                object[*key] = value.clone();
            }
            object
        };
        match self {
            Avro::Null => json!("null"),
            Avro::Boolean => json!("boolean"),
            Avro::Int => json!("int"),
            Avro::Long => json!("long"),
            Avro::Float => json!("float"),
            Avro::Double => json!("double"),
            Avro::Bytes => json!("bytes"),
            Avro::String => json!("string"),
            Avro::Array(items) => json!({"type": "array", "items": items.json(defined)}),
            Avro::Map(values) => json!({"type": "map", "values": values.json(defined)}),
            Avro::Union(branches) => Json::Array(branches.iter().map(|b| b.json(defined)).collect()),
            Avro::Record(r) => {
                if !defined.insert(r.name.clone()) {
                    return Json::String(r.name.clone());
                }
                let fields = r.fields.iter().map(|f| {
                    let mut field = json!({"name": f.name, "type": f.ty.json(defined)});
                    if let Some(default) = &f.default {
                        field["default"] = default.clone();
                    }
                    field
                });
                let fields: Vec<Json> = fields.collect();
                json!({"type": "record", "name": r.name, "fields": fields})
            }
            Avro::Enum(e) => {
                if !defined.insert(e.name.clone()) {
                    return Json::String(e.name.clone());
                }
                let mut object = json!({"type": "enum", "name": e.name, "symbols": e.symbols});
                if let Some(default) = &e.default {
                    object["default"] = json!(default);
                }
                object
            }
            Avro::Fixed(f) => fixed(f, defined, &[]),
            Avro::Decimal(Decimal { precision, scale, fixed: None }) => {
                json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
            }
            Avro::Decimal(Decimal { precision, scale, fixed: Some(f) }) => fixed(
                f,
                defined,
                &[("logicalType", json!("decimal")), ("precision", json!(precision)), ("scale", json!(scale))],
            ),
            Avro::UuidFixed(f) => fixed(f, defined, &[("logicalType", json!("uuid"))]),
            Avro::UuidString => json!({"type": "string", "logicalType": "uuid"}),
            Avro::Date => json!({"type": "int", "logicalType": "date"}),
            Avro::TimeMillis => json!({"type": "int", "logicalType": "time-millis"}),
            Avro::TimeMicros => json!({"type": "long", "logicalType": "time-micros"}),
            Avro::TimestampMillis => json!({"type": "long", "logicalType": "timestamp-millis"}),
            Avro::TimestampMicros => json!({"type": "long", "logicalType": "timestamp-micros"}),
            Avro::LocalTimestampMillis => json!({"type": "long", "logicalType": "local-timestamp-millis"}),
            Avro::LocalTimestampMicros => json!({"type": "long", "logicalType": "local-timestamp-micros"}),
        }
    }
}

impl Record {
    /// The namespace part of the full name, with its dot, and the rest.
    pub fn split_name(&self) -> (&str, &str) {
        match self.name.rfind('.') {
            Some(dot) => self.name.split_at(dot + 1),
            None => ("", &self.name),
        }
    }
}
