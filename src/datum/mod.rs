//! Values: PostgreSQL's types, read from and written in PostgreSQL's text forms.
//!
//! Source of truth: the server's own output under `DateStyle = ISO`, `IntervalStyle = iso_8601`, `TimeZone = UTC`,
//! `bytea_output = hex`, `extra_float_digits = 1`.

use std::borrow::Cow;

pub mod numeric;

pub use numeric::Numeric;

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
