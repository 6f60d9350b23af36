//! Types as overload resolution sees them: names, categories, preference (`pg_type.typcategory`, `typispreferred`).

use std::sync::Arc;

use crate::catalogue::{Catalogue, ColumnType, OtherType, QualifiedName, Type};
use crate::transform::function::Arg;
use crate::transform::parse::ast::TypeName;

/// `pg_type.typname`; empty for types that are not of `pg_catalog`.
pub fn name(ty: &Type) -> &str {
    match ty {
        Type::Other(other) if other.name.schema == "pg_catalog" => &other.name.name,
        Type::Other(_) | Type::Enum(_) | Type::Composite(_) => "",
        Type::Array(element) if **element == Type::Text => "_text",
        Type::Array(_) => "",
        ty => Arg::of(ty).name(),
    }
}

pub fn same(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Other(a), Type::Other(b)) => a.name == b.name,
        (Type::Enum(a), Type::Enum(b)) => a.name == b.name,
        (Type::Composite(a), Type::Composite(b)) => a.name == b.name,
        (Type::Array(a), Type::Array(b)) => same(a, b),
        (a, b) => a == b,
    }
}

/// Whether `ty` is exactly the declared type.
pub fn is(ty: &Type, arg: Arg) -> bool {
    let name = name(ty);
    !name.is_empty() && name == arg.name()
}

pub fn pseudo(arg: Arg) -> bool {
    matches!(arg, Arg::Any | Arg::AnyElement | Arg::AnyArray | Arg::AnyEnum)
        || matches!(arg, Arg::Other(n) if n.starts_with("any") || n == "record" || n == "internal")
}

/// The type that a declared one is, where it is one.
pub fn concrete(arg: Arg) -> Option<Type> {
    Some(match arg {
        Arg::Bool => Type::Bool,
        Arg::Int2 => Type::Int2,
        Arg::Int4 => Type::Int4,
        Arg::Int8 => Type::Int8,
        Arg::Oid => Type::Oid,
        Arg::Float4 => Type::Float4,
        Arg::Float8 => Type::Float8,
        Arg::Numeric => Type::Numeric,
        Arg::Text => Type::Text,
        Arg::Varchar => Type::Varchar,
        Arg::Bpchar => Type::Bpchar,
        Arg::Char => Type::Char,
        Arg::Name => Type::Name,
        Arg::Citext => Type::Citext,
        Arg::Uuid => Type::Uuid,
        Arg::Bytea => Type::Bytea,
        Arg::Date => Type::Date,
        Arg::Time => Type::Time,
        Arg::TimeTz => Type::TimeTz,
        Arg::Timestamp => Type::Timestamp,
        Arg::TimestampTz => Type::TimestampTz,
        Arg::Interval => Type::Interval,
        Arg::Json => Type::Json,
        Arg::Jsonb => Type::Jsonb,
        Arg::TextArray => Type::Array(Arc::new(Type::Text)),
        Arg::Unknown => Type::Unknown,
        Arg::Other("_int4") => Type::Array(Arc::new(Type::Int4)),
        Arg::Any | Arg::AnyElement | Arg::AnyArray | Arg::AnyEnum => return None,
        Arg::Other(_) if pseudo(arg) => return None,
        Arg::Other(name) => Type::Other(Arc::new(OtherType { oid: 0, name: QualifiedName::new("pg_catalog", name) })),
    })
}

/// `typcategory`, by name.
pub fn category_of(name: &str) -> char {
    match name {
        "bool" => 'B',
        "int2" | "int4" | "int8" | "oid" | "float4" | "float8" | "numeric" | "money" => 'N',
        n if n.starts_with("reg") => 'N',
        "text" | "varchar" | "bpchar" | "name" | "citext" => 'S',
        "date" | "time" | "timetz" | "timestamp" | "timestamptz" => 'D',
        "interval" => 'T',
        "inet" | "cidr" => 'I',
        "bit" | "varbit" => 'V',
        "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" => 'G',
        "char" => 'Z',
        "unknown" => 'X',
        "record" => 'P',
        n if n.starts_with("any") => 'P',
        n if n.starts_with('_') => 'A',
        n if n.ends_with("range") => 'R',
        _ => 'U',
    }
}

pub fn category(ty: &Type) -> char {
    match ty {
        Type::Enum(_) => 'E',
        Type::Array(_) => 'A',
        Type::Composite(_) => 'C',
        Type::Citext => 'S',
        ty => category_of(name(ty)),
    }
}

/// `typispreferred`, by name.
pub fn preferred(name: &str) -> bool {
    matches!(name, "bool" | "text" | "float8" | "oid" | "timestamptz" | "interval" | "inet" | "varbit")
}

/// Of an array its elements' type, else the type itself.
pub fn element(ty: &Type) -> &Type {
    match ty {
        Type::Array(element) => element,
        ty => ty,
    }
}

pub fn is_text(ty: &Type) -> bool {
    matches!(ty, Type::Text | Type::Varchar | Type::Bpchar | Type::Citext)
}

/// As PostgreSQL's messages name it.
pub fn sql_name(ty: &Type) -> String {
    let text = match ty {
        Type::Bool => "boolean",
        Type::Int2 => "smallint",
        Type::Int4 => "integer",
        Type::Int8 => "bigint",
        Type::Float4 => "real",
        Type::Float8 => "double precision",
        Type::Varchar => "character varying",
        Type::Bpchar => "character",
        Type::Char => "\"char\"",
        Type::Time => "time without time zone",
        Type::TimeTz => "time with time zone",
        Type::Timestamp => "timestamp without time zone",
        Type::TimestampTz => "timestamp with time zone",
        Type::Enum(e) => return e.name.to_string(),
        Type::Composite(c) => return c.name.to_string(),
        Type::Other(o) if o.name.schema == "pg_catalog" => return o.name.name.clone(),
        Type::Other(o) => return o.name.to_string(),
        Type::Array(element) => return format!("{}[]", sql_name(element)),
        ty => Arg::of(ty).name(),
    };
    text.to_owned()
}

/// With its modifier: `numeric(10,2)`.
pub fn full_name(ty: &ColumnType) -> String {
    let base = sql_name(&ty.ty);
    match (&ty.ty, ty.typmod) {
        (_, m) if m < 0 => base,
        (Type::Varchar | Type::Bpchar, m) => format!("{base}({})", m - 4),
        (Type::Numeric, m) => {
            let scale = ((m - 4) & 0x7ff) ^ 1024;
            format!("{base}({},{})", ((m - 4) >> 16) & 0xffff, scale - 1024)
        }
        (Type::Time | Type::Timestamp | Type::TimeTz | Type::TimestampTz, m) => base
            .replacen("time", "time(", 1)
            .replacen("time(stamp", "timestamp(", 1)
            .replacen('(', &format!("({m})"), 1),
        (_, _) => base,
    }
}

/// Why a written type is none that we can use.
pub enum Unresolved {
    Unknown,
    Modifier(&'static str),
    Domain(QualifiedName),
}

/// The type that a name means. User-defined types are known by the columns that have them.
pub fn resolve(written: &TypeName, catalogue: &Catalogue) -> Result<ColumnType, Unresolved> {
    let builtin = written.schema.as_deref().is_none_or(|s| s == "pg_catalog");
    let base = builtin.then(|| builtin_type(&written.name)).flatten();
    let ty = match base {
        Some(ty) => ty,
        None => user_type(written, catalogue)?,
    };
    let typmod = typmod(&ty, &written.modifiers)?;
    if !written.array {
        return Ok(ColumnType { typmod, ..ColumnType::plain(ty) });
    }
    Ok(ColumnType { typmod, ..ColumnType::plain(Type::Array(Arc::new(ty))) })
}

fn builtin_type(name: &str) -> Option<Type> {
    const NAMES: &[Arg] = &[
        Arg::Bool,
        Arg::Int2,
        Arg::Int4,
        Arg::Int8,
        Arg::Oid,
        Arg::Float4,
        Arg::Float8,
        Arg::Numeric,
        Arg::Text,
        Arg::Varchar,
        Arg::Bpchar,
        Arg::Char,
        Arg::Name,
        Arg::Uuid,
        Arg::Bytea,
        Arg::Date,
        Arg::Time,
        Arg::TimeTz,
        Arg::Timestamp,
        Arg::TimestampTz,
        Arg::Interval,
        Arg::Json,
        Arg::Jsonb,
    ];
    const OTHERS: &[&str] = &[
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "money",
        "xml",
        "bit",
        "varbit",
        "tsvector",
        "tsquery",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "int4range",
        "int8range",
        "numrange",
        "tsrange",
        "tstzrange",
        "daterange",
        "pg_lsn",
        "jsonpath",
    ];
    let arg = NAMES.iter().copied().find(|a| a.name() == name);
    arg.or_else(|| OTHERS.iter().find(|n| **n == name).map(|n| Arg::Other(n))).and_then(concrete)
}

fn user_type(written: &TypeName, catalogue: &Catalogue) -> Result<Type, Unresolved> {
    let wanted = |name: &QualifiedName| {
        name.name == written.name
            && match &written.schema {
                Some(schema) => *schema == name.schema,
                None => catalogue.search_path.contains(&name.schema) || name.schema == "pg_catalog",
            }
    };
    let columns = || catalogue.tables.iter().flat_map(|t| &t.columns);
    if let Some(domain) = columns().filter_map(|c| c.ty.domain.as_ref()).find(|d| wanted(d)) {
        return Err(Unresolved::Domain(domain.clone()));
    }
    let found = columns().find_map(|c| {
        let ty = match &c.ty.ty {
            Type::Array(element) => element,
            ty => ty,
        };
        match ty {
            Type::Enum(e) if wanted(&e.name) => Some(ty.clone()),
            Type::Composite(t) if wanted(&t.name) => Some(ty.clone()),
            Type::Other(o) if wanted(&o.name) => Some(ty.clone()),
            Type::Citext if written.name == "citext" => Some(Type::Citext),
            _ => None,
        }
    });
    found.ok_or(Unresolved::Unknown)
}

fn typmod(ty: &Type, modifiers: &[i32]) -> Result<i32, Unresolved> {
    let precision = |p: i32| {
        if (0..=6).contains(&p) { Ok(p) } else { Err(Unresolved::Modifier("the precision is 0 to 6")) }
    };
    match (ty, modifiers) {
        (_, []) => Ok(-1),
        (Type::Varchar | Type::Bpchar, [n]) if (1..=10_485_760).contains(n) => Ok(n + 4),
        (Type::Numeric, [p]) if (1..=1000).contains(p) => Ok((p << 16) + 4),
        (Type::Numeric, [p, s]) if (1..=1000).contains(p) && (-1000..=1000).contains(s) => {
            Ok(((p << 16) | (s & 0x7ff)) + 4)
        }
        (Type::Numeric, _) => Err(Unresolved::Modifier("numeric takes a precision of 1 to 1000 and a scale")),
        (Type::Time | Type::TimeTz | Type::Timestamp | Type::TimestampTz, [p]) => precision(*p),
        (Type::Interval, [p]) => Ok((0x7fff << 16) | precision(*p)?),
        _ => Err(Unresolved::Modifier("this type takes no such modifier")),
    }
}
