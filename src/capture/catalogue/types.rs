//! From `pg_type` to our types: domains down to their bases, enums with labels, arrays, composites.
//!
//! Built-in types are known by their fixed oids (`pg_type.dat`), everything else by what `pg_type` says of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::name;
use crate::capture::Connection;
use crate::capture::ask::{Question, ReadError, question};
use crate::catalogue::{ColumnType, CompositeType, EnumType, Oid, OtherType, QualifiedName, Type};

const TYPES: Question = question!("types");
/// Deeper than any schema that a person wrote; PostgreSQL itself refuses types that hold themselves.
const MAX_DEPTH: u32 = 64;

pub(super) struct Types {
    raw: HashMap<Oid, RawType>,
    known: HashMap<Oid, Resolved>,
}

/// A type as a column of it has it.
#[derive(Clone)]
pub(super) struct Resolved {
    pub ty: ColumnType,
    /// A domain on the way refuses NULL.
    pub not_null: bool,
}

struct RawType {
    name: QualifiedName,
    kind: u8,
    base: Oid,
    base_typmod: i32,
    not_null: bool,
    element: Option<Oid>,
    extension: Option<String>,
    labels: Option<Vec<String>>,
    fields: Option<Vec<RawField>>,
}

/// name, type oid, typmod, collation, collation's schema
type RawField = (String, Oid, i32, Option<String>, Option<String>);

impl Types {
    pub fn read(conn: &mut Connection, tables: &[(&str, &str)]) -> Result<Types, ReadError> {
        let mut raw = HashMap::new();
        for line in TYPES.ask(conn, tables)?.lines() {
            let ty = RawType {
                name: name(line)?,
                kind: line.letter("kind")?,
                base: line.number("base")?,
                base_typmod: line.number("base_typmod")?,
                not_null: line.bool("not_null")?,
                element: line.optional("element")?.map(|_| line.number("element")).transpose()?,
                extension: line.optional("extension")?.map(str::to_owned),
                labels: line.json("labels")?,
                fields: line.json("fields")?,
            };
            raw.insert(line.number("oid")?, ty);
        }
        Ok(Types { raw, known: HashMap::new() })
    }

    /// The type of a column with this `atttypid` and `atttypmod`.
    pub fn resolve(&mut self, oid: Oid, typmod: i32) -> Result<Resolved, ReadError> {
        self.resolve_below(oid, typmod, 0)
    }

    fn resolve_below(&mut self, oid: Oid, typmod: i32, depth: u32) -> Result<Resolved, ReadError> {
        let mut resolved = match self.known.get(&oid) {
            Some(known) => known.clone(),
            None => {
                let made = self.make(oid, depth)?;
                self.known.insert(oid, made.clone());
                made
            }
        };
        // A domain brings its own modifier, and a column of a domain has none.
        if typmod >= 0 {
            resolved.ty.typmod = typmod;
        }
        Ok(resolved)
    }

    fn make(&mut self, oid: Oid, depth: u32) -> Result<Resolved, ReadError> {
        if let Some(ty) = built_in(oid) {
            return Ok(Resolved { ty: ColumnType::plain(ty), not_null: false });
        }
        let Some(raw) = self.raw.get(&oid) else {
            return Err(ReadError::MissingType { query: TYPES.name, oid });
        };
        if depth > MAX_DEPTH {
            return Err(ReadError::RecursiveType { name: raw.name.to_string() });
        }
        let name = raw.name.clone();
        let (mut not_null, mut typmod) = (false, -1);
        let mut domain = None;
        let ty = if raw.kind == b'd' {
            let (base, base_typmod, own) = (raw.base, raw.base_typmod, raw.not_null);
            let base = self.resolve_below(base, base_typmod, depth + 1)?;
            not_null = own || base.not_null;
            typmod = base.ty.typmod;
            domain = Some(name);
            base.ty.ty
        } else if let Some(element) = raw.element {
            // An array's modifier is its element's.
            let element = self.resolve_below(element, -1, depth + 1)?;
            typmod = element.ty.typmod;
            Type::Array(Arc::new(element.ty.ty))
        } else if let Some(fields) = raw.fields.clone() {
            Type::Composite(Arc::new(CompositeType { oid, name, fields: self.fields(fields, depth)? }))
        } else if raw.kind == b'e' {
            Type::Enum(Arc::new(EnumType { oid, name, labels: raw.labels.clone().unwrap_or_default() }))
        } else if raw.extension.as_deref() == Some("citext") && name.name == "citext" {
            Type::Citext
        } else {
            Type::Other(Arc::new(OtherType { oid, name }))
        };
        Ok(Resolved { ty: ColumnType { ty, typmod, collation: None, domain }, not_null })
    }

    fn fields(&mut self, raw: Vec<RawField>, depth: u32) -> Result<Vec<(String, ColumnType)>, ReadError> {
        raw.into_iter()
            .map(|(field, oid, typmod, collated, schema)| {
                let mut ty = self.resolve_below(oid, typmod, depth + 1)?.ty;
                ty.collation = collation(collated.as_deref(), schema.as_deref());
                Ok((field, ty))
            })
            .collect()
    }
}

/// A collation by the name that COLLATE takes: alone when it is one of PostgreSQL's own.
pub(super) fn collation(name: Option<&str>, schema: Option<&str>) -> Option<String> {
    let name = name?;
    Some(match schema {
        None | Some("pg_catalog") => name.to_owned(),
        Some(schema) => QualifiedName::new(schema, name).to_string(),
    })
}

fn built_in(oid: Oid) -> Option<Type> {
    Some(match oid {
        16 => Type::Bool,
        17 => Type::Bytea,
        18 => Type::Char,
        19 => Type::Name,
        20 => Type::Int8,
        21 => Type::Int2,
        23 => Type::Int4,
        25 => Type::Text,
        26 => Type::Oid,
        114 => Type::Json,
        700 => Type::Float4,
        701 => Type::Float8,
        1042 => Type::Bpchar,
        1043 => Type::Varchar,
        1082 => Type::Date,
        1083 => Type::Time,
        1114 => Type::Timestamp,
        1184 => Type::TimestampTz,
        1186 => Type::Interval,
        1266 => Type::TimeTz,
        1700 => Type::Numeric,
        2950 => Type::Uuid,
        3802 => Type::Jsonb,
        _ => return None,
    })
}
