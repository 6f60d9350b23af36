//! Types as `format_type` writes them, with their modifiers.

use crate::catalogue::{ColumnType, Type, always_quote_ident};

pub(super) fn type_name(ty: &ColumnType) -> String {
    match &ty.domain {
        Some(domain) => domain.to_sql(),
        None => with_modifier(&ty.ty, ty.typmod),
    }
}

fn with_modifier(ty: &Type, typmod: i32) -> String {
    if let Type::Array(element) = ty {
        return format!("{}[]", with_modifier(element, typmod));
    }
    // Lengths count from the header's four bytes (`VARHDRSZ`).
    let length = typmod - 4;
    match ty {
        _ if typmod < 0 => plain(ty),
        Type::Varchar | Type::Bpchar if length >= 0 => format!("{}({length})", plain(ty)),
        Type::Numeric if length >= 0 => {
            // The scale has eleven bits and a sign (numeric.c, `make_numeric_typmod`).
            let (precision, scale) = (length >> 16 & 0xffff, ((length & 0x7ff) ^ 1024) - 1024);
            format!("numeric({precision},{scale})")
        }
        Type::Time => format!("time({typmod}) without time zone"),
        Type::TimeTz => format!("time({typmod}) with time zone"),
        Type::Timestamp => format!("timestamp({typmod}) without time zone"),
        Type::TimestampTz => format!("timestamp({typmod}) with time zone"),
        Type::Interval => interval(typmod),
        Type::Other(o) if o.name.schema == "pg_catalog" && o.name.name == "bit" => format!("bit({typmod})"),
        Type::Other(o) if o.name.schema == "pg_catalog" && o.name.name == "varbit" => format!("bit varying({typmod})"),
        _ => plain(ty),
    }
}

/// Fields above, digits of the seconds below (timestamp.c, `intervaltypmodout`).
fn interval(typmod: i32) -> String {
    const FIELDS: [(i32, &str); 13] = [
        (1 << 2, " year"),
        (1 << 1, " month"),
        (1 << 3, " day"),
        (1 << 10, " hour"),
        (1 << 11, " minute"),
        (1 << 12, " second"),
        (1 << 2 | 1 << 1, " year to month"),
        (1 << 3 | 1 << 10, " day to hour"),
        (1 << 3 | 1 << 10 | 1 << 11, " day to minute"),
        (1 << 3 | 1 << 10 | 1 << 11 | 1 << 12, " day to second"),
        (1 << 10 | 1 << 11, " hour to minute"),
        (1 << 10 | 1 << 11 | 1 << 12, " hour to second"),
        (1 << 11 | 1 << 12, " minute to second"),
    ];
    let range = typmod >> 16 & 0x7fff;
    let fields = FIELDS.iter().find(|(bits, _)| *bits == range).map_or("", |(_, name)| name);
    match typmod & 0xffff {
        0xffff => format!("interval{fields}"),
        digits => format!("interval{fields}({digits})"),
    }
}

fn plain(ty: &Type) -> String {
    let name = match ty {
        Type::Bool => "boolean",
        Type::Int2 => "smallint",
        Type::Int4 => "integer",
        Type::Int8 => "bigint",
        Type::Oid => "oid",
        Type::Float4 => "real",
        Type::Float8 => "double precision",
        Type::Numeric => "numeric",
        Type::Text | Type::Unknown => "text",
        Type::Varchar => "varchar",
        // `char` alone would be char(1).
        Type::Bpchar => "bpchar",
        Type::Char => "\"char\"",
        Type::Name => "name",
        Type::Citext => "citext",
        Type::Uuid => "uuid",
        Type::Bytea => "bytea",
        Type::Date => "date",
        Type::Time => "time without time zone",
        Type::TimeTz => "time with time zone",
        Type::Timestamp => "timestamp without time zone",
        Type::TimestampTz => "timestamp with time zone",
        Type::Interval => "interval",
        Type::Json => "json",
        Type::Jsonb => "jsonb",
        Type::Enum(e) => return e.name.to_sql(),
        Type::Composite(c) => return c.name.to_sql(),
        Type::Other(o) if o.name.schema == "pg_catalog" && o.name.name.starts_with('_') => {
            return format!("pg_catalog.{}[]", always_quote_ident(&o.name.name[1..]));
        }
        Type::Other(o) if o.name.schema == "pg_catalog" => return o.name.to_sql(),
        Type::Other(o) => return o.name.to_sql(),
        Type::Array(element) => return format!("{}[]", plain(element)),
    };
    name.to_owned()
}
