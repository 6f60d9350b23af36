//! `to_char`, for patterns that do not follow the server's locale.
//!
//! Source of truth: `formatting.c` of PostgreSQL, compared with the server over random patterns in
//! `tests/real/function_to_char.rs`.

use super::Arg::{Float4, Float8, Int4, Int8, Interval as Span, Numeric as Num, Text, Timestamp, TimestampTz};
use super::declare::*;
use super::math::numeric;
use super::to_char_date::{self, Parts};
use super::to_char_number::{self, Shape};
use super::{Call, EvalError, Function};
use crate::catalogue::Type;
use crate::datum::{Value, timestamp as timestamps};

const PARSE: &str = "patterns of numbers are not read; cast the text to numeric, or store the number";

pub static FUNCTIONS: &[Function] = &[
    nullable(stable(function("to_char", &[Timestamp, Text], Text, of_timestamp))),
    nullable(stable(function("to_char", &[TimestampTz, Text], Text, of_timestamp))),
    nullable(stable(function("to_char", &[Span, Text], Text, of_interval))),
    stable(function("to_char", &[Num, Text], Text, of_numeric)),
    stable(function("to_char", &[Int4, Text], Text, of_integer)),
    stable(function("to_char", &[Int8, Text], Text, of_integer)),
    stable(function("to_char", &[Float8, Text], Text, of_float)),
    stable(function("to_char", &[Float4, Text], Text, of_float)),
    stable(refused("to_number", &[Text, Text], Num, PARSE)),
];

/// NULL for an infinity, and without a pattern.
fn of_timestamp<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (micros, pattern) = (timestamp(args, 0)?, text(args, 1)?);
    if pattern.is_empty() || timestamps::is_infinite(micros) {
        return Ok(Value::Null);
    }
    let zone = if arg_type(call, 0)?.ty == Type::TimestampTz { "UTC" } else { "" };
    owned(to_char_date::write(&pattern, &Parts::of_timestamp(micros, zone))?)
}

fn of_interval<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (span, pattern) = (interval(args, 0)?, text(args, 1)?);
    if pattern.is_empty() {
        return Ok(Value::Null);
    }
    owned(to_char_date::write(&pattern, &Parts::of_interval(span))?)
}

fn of_numeric<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let pattern = text(args, 1)?;
    let number = numeric(args, 0)?;
    owned(to_char_number::write(&pattern, |shape: &mut Shape| {
        let mut digits = String::new();
        number.round(shape.after as i64)?.write(&mut digits);
        Ok(digits)
    })?)
}

fn of_integer<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (number, pattern) = (int(args, 0)?, text(args, 1)?);
    owned(to_char_number::write(&pattern, |shape: &mut Shape| {
        let zeros = if shape.after > 0 { ".".to_owned() + &"0".repeat(shape.after) } else { String::new() };
        Ok(format!("{number}{zeros}"))
    })?)
}

/// As many digits as the type has for sure; what the pattern asks beyond them is left out.
fn of_float<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let pattern = text(args, 1)?;
    let (number, digits) = match args.first() {
        Some(Value::Float4(f)) => (f64::from(*f), 6),
        _ => (float(args, 0)?, 15),
    };
    owned(to_char_number::write(&pattern, |shape: &mut Shape| {
        if !number.is_finite() {
            let word = if number.is_nan() { "NaN" } else { "Infinity" };
            shape.after = shape.after.min(digits - word.len().min(digits));
            return Ok(if number < 0.0 { format!("-{word}") } else { word.to_owned() });
        }
        let before = format!("{:.0}", number.abs()).len();
        shape.after = shape.after.min(usize::saturating_sub(digits, before));
        Ok(format!("{number:.*}", shape.after))
    })?)
}

/// What a constant pattern has that is not computed.
pub(super) fn check(of: super::Arg, pattern: &str) -> Result<(), EvalError> {
    match of {
        Timestamp | TimestampTz => to_char_date::check(pattern, false),
        Span => to_char_date::check(pattern, true),
        _ => to_char_number::check(pattern),
    }
}
