//! Which type of PostgreSQL may become which type of Avro, and by which code: the table of the contract.
//!
//! A pair that is not here is refused, with what to write instead. Pairs that lose precision need the field's
//! `"pgspine.lossy": true`.

use crate::catalogue::{ColumnType, CompositeType, EnumType, Type};
use crate::diagnostic::Code;
use crate::encode::array::ArrayCode;
use crate::encode::avro::{Avro, Decimal, Record, Special};
use crate::encode::codes;
use crate::encode::composite::CompositeCode;
use crate::encode::decimal::DecimalCode;
use crate::encode::default::encode_default;
use crate::encode::json::JsonCode;
use crate::encode::leaf::{EnumCode, Leaf, NullRule, Slot};

/// What the field says, and what the header asserts.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub lossy: bool,
    pub special: Special,
    /// Paths that are asserted to be non-null.
    pub not_null: &'a [String],
}

#[derive(Debug)]
pub(crate) struct Misfit {
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
}

impl Misfit {
    fn new(code: Code, message: String) -> Misfit {
        Misfit { code, message, help: None }
    }
    fn help(mut self, help: impl Into<String>) -> Misfit {
        self.help = Some(help.into());
        self
    }
}

/// A place of the contract for values of a type.
pub(crate) fn slot(ty: &ColumnType, nullable: bool, avro: &Avro, terms: Terms<'_>, path: &str) -> Result<Slot, Misfit> {
    let inner = avro.non_null().0;
    if let Avro::Union(_) = inner {
        let message = format!("{path} is a union of several types in the contract, and an output has one");
        return Err(Misfit::new(codes::TYPE_MISMATCH, message).help("a union of null and one type is taken"));
    }
    Ok(Slot { null: null(nullable, avro, terms, path)?, special: terms.special, leaf: leaf(ty, inner, terms, path)? })
}

/// What NULL becomes at a place; refused where it is possible and the place does not take it.
pub(crate) fn null(nullable: bool, avro: &Avro, terms: Terms<'_>, path: &str) -> Result<NullRule, Misfit> {
    let (inner, union) = avro.non_null();
    let null = null_rule(union);
    if nullable && null == NullRule::Never && !terms.not_null.iter().any(|p| p == path) {
        let message = format!("{path} may be NULL, and the contract's {} does not take null", inner.describe());
        return Err(Misfit::new(codes::NULLABLE_OUTPUT, message).help(format!(
            "make the field [\"null\", …], write COALESCE, or put \"{path}\" into not_null if it never is NULL"
        )));
    }
    Ok(null)
}

pub(crate) fn null_rule(union: Option<(usize, usize)>) -> NullRule {
    match union {
        // The index of a branch, zigzag: below 64 one byte.
        Some((null, some)) => NullRule::Union { null: null as u8 * 2, some: some as u8 * 2 },
        None => NullRule::Never,
    }
}

fn leaf(column: &ColumnType, avro: &Avro, terms: Terms<'_>, path: &str) -> Result<Leaf, Misfit> {
    let lossy = |leaf: Leaf, what: &str| {
        if terms.lossy {
            return Ok(leaf);
        }
        let message = format!("{path} is {}, and {} would lose {what}", name(column), avro.describe());
        Err(Misfit::new(codes::LOSSY, message)
            .help("write \"pgspine.lossy\": true on the field if that is meant, or a wider type"))
    };
    // timestamp(3) and time(3) have no more than milliseconds.
    let millis = (0..=3).contains(&column.typmod);
    Ok(match (&column.ty, avro) {
        (Type::Bool, Avro::Boolean) => Leaf::Boolean,
        (Type::Int2 | Type::Int4, Avro::Int) => Leaf::Int,
        (Type::Int2 | Type::Int4 | Type::Int8 | Type::Oid, Avro::Long) => Leaf::Long,
        (Type::Int2, Avro::Float) => Leaf::IntegerAsFloat,
        (Type::Int4, Avro::Float) => lossy(Leaf::IntegerAsFloat, "digits beyond 24 bits")?,
        (Type::Int2 | Type::Int4, Avro::Double) => Leaf::IntegerAsDouble,
        (Type::Float4, Avro::Float) => Leaf::Float,
        (Type::Float4, Avro::Double) => Leaf::FloatAsDouble,
        (Type::Float8, Avro::Double) => Leaf::Double,
        (Type::Numeric, Avro::Decimal(decimal)) => Leaf::Decimal(decimal_code(column, decimal, path)?),
        (Type::Numeric, Avro::String) => Leaf::String,
        (Type::Text | Type::Varchar | Type::Citext | Type::Unknown, Avro::String) => Leaf::String,
        (Type::Text | Type::Varchar | Type::Citext | Type::Unknown, Avro::Enum(e)) => {
            Leaf::Enum(EnumCode { symbols: boxed(&e.symbols), default: None })
        }
        (Type::Enum(_) | Type::Bpchar | Type::Char | Type::Name | Type::TimeTz | Type::Interval, Avro::String) => {
            Leaf::String
        }
        (Type::Enum(ty), Avro::Enum(e)) => {
            let default = e.default.as_ref().and_then(|d| e.symbols.iter().position(|s| s == d));
            covered(ty, &e.symbols, default, path)?;
            Leaf::Enum(EnumCode { symbols: boxed(&e.symbols), default })
        }
        (Type::Uuid, Avro::String | Avro::UuidString) => Leaf::String,
        (Type::Uuid, Avro::UuidFixed(_)) => Leaf::UuidFixed,
        (Type::Bytea, Avro::Bytes) => Leaf::Bytes,
        (Type::Bytea, Avro::Fixed(f)) => Leaf::Fixed(f.size),
        (Type::Date, Avro::Date) => Leaf::Date,
        (Type::Time, Avro::TimeMicros) => Leaf::TimeMicros,
        (Type::Time, Avro::TimeMillis) if millis => Leaf::TimeMillis,
        (Type::Time, Avro::TimeMillis) => lossy(Leaf::TimeMillis, "microseconds")?,
        (Type::Timestamp, Avro::LocalTimestampMicros) => Leaf::TimestampMicros,
        (Type::Timestamp, Avro::LocalTimestampMillis) if millis => Leaf::TimestampMillis,
        (Type::Timestamp, Avro::LocalTimestampMillis) => lossy(Leaf::TimestampMillis, "microseconds")?,
        (Type::TimestampTz, Avro::TimestampMicros) => Leaf::TimestampMicros,
        (Type::TimestampTz, Avro::TimestampMillis) if millis => Leaf::TimestampMillis,
        (Type::TimestampTz, Avro::TimestampMillis) => lossy(Leaf::TimestampMillis, "microseconds")?,
        (Type::Date | Type::Timestamp | Type::TimestampTz | Type::Json | Type::Jsonb, Avro::String) => Leaf::String,
        (Type::Json | Type::Jsonb, Avro::Record(_) | Avro::Array(_) | Avro::Map(_)) => {
            Leaf::Json(JsonCode::compile(avro, terms.lossy).map_err(|ty| {
                let message = format!("{path}: JSON has no exact {}", ty.describe());
                Misfit::new(codes::TYPE_MISMATCH, message).help(
                    "take boolean, int, long, decimal, string, enum, array, map or record there (double with \"pgspine.lossy\": true)",
                )
            })?)
        }
        (Type::Array(element), Avro::Array(items)) => array_leaf(element, column, items, terms, path)?,
        (Type::Composite(ty), Avro::Record(record)) => composite_leaf(ty, record, terms, path)?,
        (Type::Other(ty), Avro::Map(values)) if ty.name.name == "hstore" => match values.non_null() {
            (Avro::String, union) if union.is_some() || terms.not_null.iter().any(|p| *p == format!("{path}{{}}")) => {
                Leaf::Hstore { null: null_rule(union) }
            }
            _ => {
                let message = format!("{path} is hstore, and the contract's map is not one of [\"null\", \"string\"]");
                return Err(Misfit::new(codes::TYPE_MISMATCH, message));
            }
        },
        (Type::Other(_) | Type::Array(_) | Type::Composite(_), Avro::String) => Leaf::String,
        _ => return Err(mismatch(column, avro, path)),
    })
}

fn mismatch(column: &ColumnType, avro: &Avro, path: &str) -> Misfit {
    let help = match (&column.ty, avro) {
        (_, Avro::String) => format!("cast it to text, or make the field {}", natural(column)),
        (Type::Timestamp, Avro::TimestampMicros | Avro::TimestampMillis) => {
            "a timestamp without time zone is a local-timestamp-micros; say its zone with AT TIME ZONE for the other"
                .into()
        }
        (Type::TimestampTz, Avro::LocalTimestampMicros | Avro::LocalTimestampMillis) => {
            "a timestamptz is a timestamp-micros".into()
        }
        _ => format!("make the field {}, or cast the output", natural(column)),
    };
    let message = format!("{path} is {}, which cannot become {}", name(column), avro.describe());
    Misfit::new(codes::TYPE_MISMATCH, message).help(help)
}

/// What a draft would write.
fn natural(column: &ColumnType) -> String {
    match &column.ty {
        Type::Bool => "boolean".into(),
        Type::Int2 | Type::Int4 => "int".into(),
        Type::Int8 | Type::Oid => "long".into(),
        Type::Float4 => "float".into(),
        Type::Float8 => "double".into(),
        Type::Numeric => match numeric_typmod(column.typmod) {
            Some((precision, scale)) => format!("bytes decimal({precision},{scale})"),
            None => "string, or bytes decimal".into(),
        },
        Type::Uuid => "string uuid".into(),
        Type::Bytea => "bytes".into(),
        Type::Date => "int date".into(),
        Type::Time => "long time-micros".into(),
        Type::Timestamp => "long local-timestamp-micros".into(),
        Type::TimestampTz => "long timestamp-micros".into(),
        Type::Array(_) => "array of [\"null\", …]".into(),
        Type::Composite(_) => "a record".into(),
        _ => "string".into(),
    }
}

/// Precision and scale as Avro can hold them: a negative scale of PostgreSQL is zeros before the point.
pub(crate) fn numeric_typmod(typmod: i32) -> Option<(u32, u32)> {
    if typmod < 4 {
        return None;
    }
    let raw = (typmod - 4) as u32;
    let (precision, scale) = (raw >> 16 & 0xffff, ((raw & 0x7ff) as i32 ^ 1024) - 1024);
    Some(if scale < 0 { (precision + scale.unsigned_abs(), 0) } else { (precision.max(scale as u32), scale as u32) })
}

fn decimal_code(column: &ColumnType, decimal: &Decimal, path: &str) -> Result<DecimalCode, Misfit> {
    if let Some((precision, scale)) = numeric_typmod(column.typmod)
        && (decimal.scale != scale || decimal.precision < precision)
    {
        let message =
            format!("{path} is {}, which does not fit decimal({},{})", name(column), decimal.precision, decimal.scale);
        return Err(Misfit::new(codes::TYPE_MISMATCH, message).help(format!(
            "the field needs scale {scale} and a precision of at least {precision}, or cast the output"
        )));
    }
    let fixed = decimal.fixed.as_ref().map(|f| f.size);
    Ok(DecimalCode { precision: decimal.precision, scale: decimal.scale, fixed })
}

fn covered(ty: &EnumType, symbols: &[String], default: Option<usize>, path: &str) -> Result<(), Misfit> {
    let missing: Vec<&str> = ty.labels.iter().filter(|l| !symbols.contains(l)).map(String::as_str).collect();
    if missing.is_empty() || default.is_some() {
        return Ok(());
    }
    let message = format!("{path}: the contract's enum lacks {} of {}", missing.join(", "), ty.name);
    Err(Misfit::new(codes::ENUM_NOT_COVERED, message)
        .help("add the symbols, or give the enum a \"default\", or make the field a string"))
}

fn array_leaf(element: &Type, column: &ColumnType, items: &Avro, terms: Terms<'_>, path: &str) -> Result<Leaf, Misfit> {
    let (mut items, mut depth, mut path) = (items, 1, format!("{path}[]"));
    // An element that is an array of the contract is one more dimension: PostgreSQL has no arrays of arrays.
    while let Avro::Array(inner) = items {
        (items, depth) = (inner, depth + 1);
        path.push_str("[]");
    }
    let ty = ColumnType { ty: element.clone(), domain: None, ..column.clone() };
    let delimiter = match element {
        Type::Other(other) if other.name.name == "box" => b';',
        _ => b',',
    };
    let element = slot(&ty, true, items, terms, &path)?;
    Ok(Leaf::Array(Box::new(ArrayCode { element, depth, delimiter })))
}

fn composite_leaf(ty: &CompositeType, record: &Record, terms: Terms<'_>, path: &str) -> Result<Leaf, Misfit> {
    let mut fields = Vec::new();
    for (field_name, column) in &ty.fields {
        let path = format!("{path}.{field_name}");
        let Some(field) = record.fields.iter().find(|f| f.name == *field_name) else {
            let message = format!("{path}: the contract's record {} has no such field", record.name);
            return Err(Misfit::new(codes::OUTPUT_WITHOUT_FIELD, message));
        };
        let terms = Terms { lossy: field.lossy, special: field.special, ..terms };
        fields.push((field_name.as_str().into(), slot(column, true, &field.ty, terms, &path)?));
    }
    let order = record.fields.iter().map(|field| {
        if let Some(index) = ty.fields.iter().position(|(name, _)| *name == field.name) {
            return Ok(Ok(index));
        }
        let mut bytes = Vec::new();
        match field.default.as_ref().map(|d| encode_default(d, &field.ty, &mut bytes)) {
            Some(Ok(())) => Ok(Err(bytes)),
            _ => {
                let message = format!("{path}.{}: the composite {} has no such field", field.name, ty.name);
                Err(Misfit::new(codes::FIELD_WITHOUT_OUTPUT, message))
            }
        }
    });
    let order = order.collect::<Result<_, Misfit>>()?;
    Ok(Leaf::Composite(CompositeCode { fields, order }))
}

fn boxed(symbols: &[String]) -> Vec<Box<str>> {
    symbols.iter().map(|s| s.as_str().into()).collect()
}

/// The type as SQL writes it.
pub(crate) fn name(column: &ColumnType) -> String {
    if let Some(domain) = &column.domain {
        return domain.to_string();
    }
    let base = match &column.ty {
        Type::Bool => "boolean",
        Type::Int2 => "smallint",
        Type::Int4 => "integer",
        Type::Int8 => "bigint",
        Type::Oid => "oid",
        Type::Float4 => "real",
        Type::Float8 => "double precision",
        Type::Numeric => match column.typmod {
            typmod if typmod >= 4 => {
                let raw = (typmod - 4) as u32;
                return format!("numeric({},{})", raw >> 16 & 0xffff, ((raw & 0x7ff) as i32 ^ 1024) - 1024);
            }
            _ => "numeric",
        },
        Type::Text => "text",
        Type::Varchar => "varchar",
        Type::Bpchar => "char(n)",
        Type::Char => "\"char\"",
        Type::Name => "name",
        Type::Citext => "citext",
        Type::Uuid => "uuid",
        Type::Bytea => "bytea",
        Type::Date => "date",
        Type::Time => "time",
        Type::TimeTz => "timetz",
        Type::Timestamp => "timestamp",
        Type::TimestampTz => "timestamptz",
        Type::Interval => "interval",
        Type::Json => "json",
        Type::Jsonb => "jsonb",
        Type::Enum(e) => return e.name.to_string(),
        Type::Array(element) => return format!("{}[]", name(&ColumnType::plain((**element).clone()))),
        Type::Composite(c) => return c.name.to_string(),
        Type::Other(o) => return o.name.to_string(),
        Type::Unknown => "unknown",
    };
    base.to_owned()
}
