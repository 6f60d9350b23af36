//! Values: PostgreSQL's types, read from and written in PostgreSQL's text forms.
//!
//! Source of truth: the server's own output under `DateStyle = ISO`, `IntervalStyle = iso_8601`, `TimeZone = UTC`,
//! `bytea_output = hex`, `extra_float_digits = 1`.

use std::borrow::Cow;

use crate::catalogue::{ColumnType, Type};

pub mod array;
pub mod bytea;
pub mod calendar;
pub mod date;
pub mod float;
pub mod input;
pub mod integer;
pub mod interval;
pub mod json;
pub mod numeric;
pub mod time;
pub mod timestamp;
pub mod uuid;

pub use numeric::Numeric;

/// Reads a type's output form. What it borrows, it borrows from `text`; numbers beyond 38 digits and bytea allocate.
pub fn read<'a>(ty: &ColumnType, text: &'a [u8]) -> Result<Value<'a>, DatumError> {
    Ok(match &ty.ty {
        Type::Bool => match text {
            b"t" => Value::Bool(true),
            b"f" => Value::Bool(false),
            _ => return Err(DatumError::Malformed { ty: "boolean" }),
        },
        Type::Int2 => Value::Int(integer::read::<i16>(text)?.into()),
        Type::Int4 => Value::Int(integer::read::<i32>(text)?.into()),
        Type::Int8 => Value::Int(integer::read::<i64>(text)?),
        Type::Oid => Value::Int(integer::read::<u32>(text)?.into()),
        Type::Float4 => Value::Float4(float::read4(text)?),
        Type::Float8 => Value::Float8(float::read8(text)?),
        Type::Numeric => Value::Numeric(numeric::read(text)?),
        Type::Bytea => {
            let mut bytes = Vec::new();
            bytea::read_into(text, &mut bytes)?;
            Value::Bytea(Cow::Owned(bytes))
        }
        Type::Date => Value::Date(date::read(text)?),
        Type::Time => Value::Time(time::read(text)?),
        Type::Timestamp | Type::TimestampTz => Value::Timestamp(timestamp::read(text)?),
        Type::Interval => Value::Interval(interval::read(text)?),
        Type::Uuid => Value::Uuid(uuid::read(text)?),
        Type::Json => Value::Json(Cow::Borrowed(utf8(text)?)),
        Type::Jsonb => Value::Jsonb(Cow::Borrowed(utf8(text)?)),
        Type::Array(_) => Value::Array(Cow::Borrowed(utf8(text)?)),
        Type::Text
        | Type::Varchar
        | Type::Bpchar
        | Type::Char
        | Type::Name
        | Type::Citext
        | Type::TimeTz
        | Type::Enum(_)
        | Type::Composite(_)
        | Type::Other(_)
        | Type::Unknown => Value::Text(Cow::Borrowed(utf8(text)?)),
    })
}

/// Writes a type's output form. NULL has none: nothing is written.
pub fn write(ty: &ColumnType, value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(b) => out.push(if *b { 't' } else { 'f' }),
        Value::Int(i) => integer::write(*i, out),
        Value::Float4(f) => float::write4(*f, out),
        Value::Float8(f) => float::write8(*f, out),
        Value::Numeric(n) => n.write(out),
        Value::Text(t) | Value::Json(t) | Value::Jsonb(t) | Value::Array(t) => out.push_str(t),
        Value::Bytea(b) => bytea::write(b, out),
        Value::Date(d) => date::write(*d, out),
        Value::Time(t) => time::write(*t, out),
        Value::Timestamp(t) if ty.ty == Type::TimestampTz => timestamp::write_tz(*t, out),
        Value::Timestamp(t) => timestamp::write(*t, out),
        Value::Interval(i) => interval::write(*i, out),
        Value::Uuid(u) => uuid::write(u, out),
    }
}

/// Text under `client_encoding = UTF8`.
pub fn utf8(text: &[u8]) -> Result<&str, DatumError> {
    std::str::from_utf8(text).map_err(|_| DatumError::NotUtf8)
}

/// The server sent what is not the output form of the column's type: the settings or the type are not what we think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatumError {
    #[error("the text is not the output form of {ty}")]
    Malformed { ty: &'static str },
    #[error("the value is out of the range of {ty}")]
    OutOfRange { ty: &'static str },
    #[error("the text is not UTF-8")]
    NotUtf8,
}

impl<'a> Value<'a> {
    /// The same value with nothing borrowed.
    pub fn into_owned(self) -> Value<'static> {
        let own = |t: Cow<'a, str>| Cow::Owned(t.into_owned());
        match self {
            Value::Null => Value::Null,
            Value::Bool(v) => Value::Bool(v),
            Value::Int(v) => Value::Int(v),
            Value::Float4(v) => Value::Float4(v),
            Value::Float8(v) => Value::Float8(v),
            Value::Numeric(v) => Value::Numeric(v),
            Value::Text(v) => Value::Text(own(v)),
            Value::Bytea(v) => Value::Bytea(Cow::Owned(v.into_owned())),
            Value::Date(v) => Value::Date(v),
            Value::Time(v) => Value::Time(v),
            Value::Timestamp(v) => Value::Timestamp(v),
            Value::Interval(v) => Value::Interval(v),
            Value::Uuid(v) => Value::Uuid(v),
            Value::Json(v) => Value::Json(own(v)),
            Value::Jsonb(v) => Value::Jsonb(own(v)),
            Value::Array(v) => Value::Array(own(v)),
        }
    }
}

/// A value during evaluation. Its SQL type is known statically, from the plan; variants say how it is held.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    /// smallint, integer, bigint, oid: the static type says which.
    Int(i64),
    Float4(f32),
    Float8(f64),
    Numeric(Numeric),
    /// text, varchar, bpchar (with its padding), name, "char", citext, enum labels, and every type known by its text
    /// form alone.
    Text(Cow<'a, str>),
    Bytea(Cow<'a, [u8]>),
    /// Days since 2000-01-01; `i32::MAX` and `i32::MIN` are the infinities.
    Date(i32),
    /// Microseconds since midnight; 24:00:00 is a value.
    Time(i64),
    /// timestamp and timestamptz: microseconds since 2000-01-01 (UTC); `i64::MAX` and `i64::MIN` are the infinities.
    Timestamp(i64),
    Interval(Interval),
    Uuid([u8; 16]),
    /// The text as it was.
    Json(Cow<'a, str>),
    /// PostgreSQL's own output form: keys ordered, `": "` and `", "`.
    Jsonb(Cow<'a, str>),
    /// An array by its text form `{…}`.
    Array(Cow<'a, str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}
