//! Casts, each with its target's modifier (`varchar(3)`, `numeric(4,1)`, `timestamp(0)`).
//!
//! Between text and a type that has no cast of its own in `pg_cast`, PostgreSQL goes through the text form; those casts
//! are listed here too. Dates, times and intervals are read from their ISO forms; a row with another form is an error.

use std::borrow::Cow;

use super::Arg::{
    AnyArray, AnyEnum, Bool, Bpchar, Bytea, Char, Date, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Name, Numeric,
    Oid, Other, Text, Time, TimeTz, Timestamp, TimestampTz, Uuid, Varchar,
};
use super::CastContext::{Assignment, Explicit, Implicit};
use super::arithmetic::{Width, fit};
use super::declare::*;
use super::float::{overflow, underflow};
use super::math::numeric;
use super::{Arg, Call, CastContext, Eval, EvalError, Function, Kind};
use crate::catalogue::Type;
use crate::datum::calendar::MICROS_PER_DAY;
use crate::datum::input::{InputError, input, name};
use crate::datum::numeric::{from_f32, from_f64};
use crate::datum::{self, Interval, Numeric as Number, Value, date as dates, time as times, timestamp as stamps};

const TEXT_TO_DATE: &str = "time with time zone is held as text only; use timestamptz or time";

macro_rules! casts {
    (own: $($own:expr),*; out: $($ty:literal $arg:expr, $volatility:ident);*; into: $($name:literal $target:expr, $eval:expr, $reads:ident);*;) => {
        &[
            $($own,)*
            $(
                $volatility(cast(concat!($ty, "->text"), &[$arg], Text, Assignment, to_text)),
                $volatility(cast(concat!($ty, "->varchar"), &[$arg], Varchar, Assignment, to_text)),
                $volatility(cast(concat!($ty, "->bpchar"), &[$arg], Bpchar, Assignment, to_text)),
            )*
            $(
                $reads(reading(concat!("text->", $name), &[Text], $target, $eval)),
                $reads(reading(concat!("varchar->", $name), &[Varchar], $target, $eval)),
                $reads(reading(concat!("bpchar->", $name), &[Bpchar], $target, $eval)),
            )*
        ]
    };
}

pub static FUNCTIONS: &[Function] = casts! {
    own:
    cast("int2->int4", &[Int2], Int4, Implicit, integer::<i32>),
    cast("int2->int8", &[Int2], Int8, Implicit, integer::<i64>),
    cast("int4->int2", &[Int4], Int2, Assignment, integer::<i16>),
    cast("int4->int8", &[Int4], Int8, Implicit, integer::<i64>),
    cast("int8->int2", &[Int8], Int2, Assignment, integer::<i16>),
    cast("int8->int4", &[Int8], Int4, Assignment, integer::<i32>),
    cast("int2->oid", &[Int2], Oid, Implicit, bits_to_oid),
    cast("int4->oid", &[Int4], Oid, Implicit, bits_to_oid),
    cast("int8->oid", &[Int8], Oid, Implicit, int8_to_oid),
    cast("oid->int4", &[Oid], Int4, Assignment, oid_to_int4),
    cast("oid->int8", &[Oid], Int8, Assignment, integer::<i64>),
    cast("int2->float4", &[Int2], Float4, Implicit, int_to_float4),
    cast("int4->float4", &[Int4], Float4, Implicit, int_to_float4),
    cast("int8->float4", &[Int8], Float4, Implicit, int_to_float4),
    cast("int2->float8", &[Int2], Float8, Implicit, int_to_float8),
    cast("int4->float8", &[Int4], Float8, Implicit, int_to_float8),
    cast("int8->float8", &[Int8], Float8, Implicit, int_to_float8),
    cast("int2->numeric", &[Int2], Numeric, Implicit, int_to_numeric),
    cast("int4->numeric", &[Int4], Numeric, Implicit, int_to_numeric),
    cast("int8->numeric", &[Int8], Numeric, Implicit, int_to_numeric),
    cast("float4->float8", &[Float4], Float8, Implicit, float_to_float8),
    cast("float8->float4", &[Float8], Float4, Assignment, float8_to_float4),
    cast("float4->int2", &[Float4], Int2, Assignment, float_to_int::<i16>),
    cast("float4->int4", &[Float4], Int4, Assignment, float_to_int::<i32>),
    cast("float4->int8", &[Float4], Int8, Assignment, float_to_int::<i64>),
    cast("float8->int2", &[Float8], Int2, Assignment, float_to_int::<i16>),
    cast("float8->int4", &[Float8], Int4, Assignment, float_to_int::<i32>),
    cast("float8->int8", &[Float8], Int8, Assignment, float_to_int::<i64>),
    cast("float4->numeric", &[Float4], Numeric, Assignment, float_to_numeric),
    cast("float8->numeric", &[Float8], Numeric, Assignment, float_to_numeric),
    cast("numeric->int2", &[Numeric], Int2, Assignment, numeric_to_int::<i16>),
    cast("numeric->int4", &[Numeric], Int4, Assignment, numeric_to_int::<i32>),
    cast("numeric->int8", &[Numeric], Int8, Assignment, numeric_to_int::<i64>),
    cast("numeric->float4", &[Numeric], Float4, Implicit, numeric_to_float4),
    cast("numeric->float8", &[Numeric], Float8, Implicit, numeric_to_float8),
    cast("numeric->numeric", &[Numeric], Numeric, Implicit, numeric_to_numeric),
    cast("int4->bool", &[Int4], Bool, Explicit, int_to_bool),
    cast("bool->int4", &[Bool], Int4, Explicit, bool_to_int),
    cast("bool->text", &[Bool], Text, Assignment, bool_to_text),
    cast("bool->varchar", &[Bool], Varchar, Assignment, bool_to_text),
    cast("bool->bpchar", &[Bool], Bpchar, Assignment, bool_to_text),
    cast("text->varchar", &[Text], Varchar, Implicit, to_text),
    cast("text->bpchar", &[Text], Bpchar, Implicit, to_text),
    cast("text->name", &[Text], Name, Implicit, text_to_name),
    cast("varchar->text", &[Varchar], Text, Implicit, to_text),
    cast("varchar->varchar", &[Varchar], Varchar, Implicit, to_text),
    cast("varchar->bpchar", &[Varchar], Bpchar, Implicit, to_text),
    cast("varchar->name", &[Varchar], Name, Implicit, text_to_name),
    cast("bpchar->text", &[Bpchar], Text, Implicit, unpadded),
    cast("bpchar->varchar", &[Bpchar], Varchar, Implicit, unpadded),
    cast("bpchar->bpchar", &[Bpchar], Bpchar, Implicit, to_text),
    cast("bpchar->name", &[Bpchar], Name, Implicit, text_to_name),
    cast("name->text", &[Name], Text, Implicit, to_text),
    cast("name->varchar", &[Name], Varchar, Assignment, to_text),
    cast("name->bpchar", &[Name], Bpchar, Assignment, to_text),
    cast("char->text", &[Char], Text, Implicit, to_text),
    cast("char->varchar", &[Char], Varchar, Assignment, to_text),
    cast("char->bpchar", &[Char], Bpchar, Assignment, to_text),
    cast("date->timestamp", &[Date], Timestamp, Implicit, date_to_timestamp),
    stable(cast("date->timestamptz", &[Date], TimestampTz, Implicit, date_to_timestamp)),
    cast("timestamp->date", &[Timestamp], Date, Assignment, timestamp_to_date),
    stable(cast("timestamptz->date", &[TimestampTz], Date, Assignment, timestamp_to_date)),
    nullable(cast("timestamp->time", &[Timestamp], Time, Assignment, timestamp_to_time)),
    nullable(stable(cast("timestamptz->time", &[TimestampTz], Time, Assignment, timestamp_to_time))),
    stable(cast("timestamp->timestamptz", &[Timestamp], TimestampTz, Implicit, timestamp_to_timestamp)),
    stable(cast("timestamptz->timestamp", &[TimestampTz], Timestamp, Assignment, timestamp_to_timestamp)),
    cast("timestamp->timestamp", &[Timestamp], Timestamp, Implicit, timestamp_to_timestamp),
    cast("timestamptz->timestamptz", &[TimestampTz], TimestampTz, Implicit, timestamp_to_timestamp),
    cast("time->time", &[Time], Time, Implicit, time_to_time),
    cast("time->interval", &[Time], Arg::Interval, Implicit, time_to_interval),
    cast("interval->time", &[Arg::Interval], Time, Assignment, interval_to_time),
    cast("interval->interval", &[Arg::Interval], Arg::Interval, Implicit, interval_to_interval);
    out:
    "int2" Int2, immutable; "int4" Int4, immutable; "int8" Int8, immutable; "oid" Oid, immutable;
    "float4" Float4, immutable; "float8" Float8, immutable; "numeric" Numeric, immutable; "uuid" Uuid, immutable;
    "bytea" Bytea, immutable; "date" Date, stable; "time" Time, immutable; "timetz" TimeTz, immutable;
    "timestamp" Timestamp, stable; "timestamptz" TimestampTz, stable; "interval" Arg::Interval, stable;
    "json" Json, immutable; "jsonb" Jsonb, immutable; "anyenum" AnyEnum, stable; "anyarray" AnyArray, stable;
    "record" Other("record"), stable; "other" Other("other"), stable;
    into:
    "bool" Bool, Ok(from_text), immutable; "int2" Int2, Ok(from_text), immutable;
    "int4" Int4, Ok(from_text), immutable; "int8" Int8, Ok(from_text), immutable;
    "oid" Oid, Ok(from_text), immutable; "float4" Float4, Ok(from_text), immutable;
    "float8" Float8, Ok(from_text), immutable; "numeric" Numeric, Ok(from_text), immutable;
    "uuid" Uuid, Ok(from_text), immutable; "bytea" Bytea, Ok(from_text), immutable;
    "anyenum" AnyEnum, Ok(from_text), stable; "date" Date, Ok(from_text), stable;
    "time" Time, Ok(from_text), stable; "timetz" TimeTz, Err(TEXT_TO_DATE), stable;
    "timestamp" Timestamp, Ok(from_text), stable; "timestamptz" TimestampTz, Ok(from_text), stable;
    "interval" Arg::Interval, Ok(from_text), stable;
    "json" Json, Ok(from_text), immutable; "jsonb" Jsonb, Ok(from_text), immutable;
    "anyarray" AnyArray, Err("only an array written as a literal is cast from text"), stable;
};

const fn immutable(function: Function) -> Function {
    function
}

pub(super) const fn cast(
    name: &'static str,
    args: &'static [Arg],
    to: Arg,
    context: CastContext,
    eval: Eval,
) -> Function {
    Function { kind: Kind::Cast(context), ..function(name, args, to, eval) }
}

/// Through the type's input function; written by the user only.
const fn reading(name: &'static str, args: &'static [Arg], to: Arg, eval: Result<Eval, &'static str>) -> Function {
    Function { eval, ..cast(name, args, to, Explicit, from_text) }
}

type Answer<'a> = Result<Value<'a>, EvalError>;

impl From<InputError> for EvalError {
    fn from(error: InputError) -> EvalError {
        match error {
            InputError::Invalid { sqlstate, message } => EvalError { sqlstate, message },
            InputError::Refused { reason } => EvalError { sqlstate: "0A000", message: reason.to_owned() },
        }
    }
}

fn integer<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(int(args, 0)?.into())
}

fn bits_to_oid<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(int(args, 0)? & 0xffff_ffff))
}

fn int8_to_oid<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    match int(args, 0)? {
        n @ 0..=0xffff_ffff => Ok(Value::Int(n)),
        _ => Err(error("22003", "OID out of range")),
    }
}

fn oid_to_int4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(i64::from(int(args, 0)? as i32)))
}

fn int_to_float4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Float4(int(args, 0)? as f32))
}

fn int_to_float8<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Float8(int(args, 0)? as f64))
}

fn int_to_numeric<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(Number::from(int(args, 0)?).apply_typmod(call.typmod)?))
}

fn any_float(args: &[Value<'_>]) -> Result<f64, EvalError> {
    match args.first() {
        Some(Value::Float4(f)) => Ok(f64::from(*f)),
        _ => float(args, 0),
    }
}

fn float_to_float8<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    any_float(args).map(Value::Float8)
}

fn float8_to_float4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let wide = float(args, 0)?;
    let narrow = wide as f32;
    if narrow.is_infinite() && !wide.is_infinite() {
        return Err(overflow());
    }
    if narrow == 0.0 && wide != 0.0 { Err(underflow()) } else { Ok(Value::Float4(narrow)) }
}

/// Half to even.
fn float_to_int<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let rounded = any_float(args)?.round_ties_even();
    // Far outside of every integer type, NaN too: i128 would saturate, NaN would become 0.
    if rounded.is_nan() || rounded.abs() > 1e20 {
        Err(error("22003", W::OUT_OF_RANGE))
    } else {
        fit::<W>(rounded as i128)
    }
}

fn float_to_numeric<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let number = match args.first() {
        Some(Value::Float4(f)) => from_f32(*f),
        _ => from_f64(float(args, 0)?),
    };
    Ok(Value::Numeric(number.apply_typmod(call.typmod)?))
}

/// Half away from zero.
pub(super) fn numeric_to_int<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    match numeric(args, 0)? {
        Number::NaN => Err(error("0A000", "cannot convert NaN to an integer")),
        Number::Infinity | Number::NegInfinity => Err(error("0A000", "cannot convert infinity to an integer")),
        n => match n.to_i64() {
            Some(n) => fit::<W>(n.into()),
            None => Err(error("22003", W::OUT_OF_RANGE)),
        },
    }
}

pub(super) fn numeric_to_float4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    numeric(args, 0)?.to_f32().map(Value::Float4).ok_or_else(|| error("22003", "out of range for type real"))
}

pub(super) fn numeric_to_float8<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    numeric(args, 0)?
        .to_f64()
        .map(Value::Float8)
        .ok_or_else(|| error("22003", "out of range for type double precision"))
}

pub(super) fn numeric_to_numeric<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.apply_typmod(call.typmod)?))
}

fn int_to_bool<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Bool(int(args, 0)? != 0))
}

fn boolean(args: &[Value<'_>]) -> Result<bool, EvalError> {
    match args.first() {
        Some(Value::Bool(b)) => Ok(*b),
        _ => Err(error("XX000", "argument 1 is held by another form than boolean")),
    }
}

fn bool_to_int<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(i64::from(boolean(args)?)))
}

fn bool_to_text<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let word = if boolean(args)? { "true" } else { "false" };
    Ok(Value::Text(sized(call, Cow::Borrowed(word))))
}

/// The text form, as long as `varchar(n)` and `char(n)` let it be when the cast is written.
fn to_text<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let Some(value) = args.first_mut() else { return Err(error("XX000", "a cast without its argument")) };
    let text = match std::mem::replace(value, Value::Null) {
        Value::Text(t) | Value::Json(t) | Value::Jsonb(t) | Value::Array(t) => t,
        value => {
            let mut out = String::new();
            let ty = call.arg_types.first().unwrap_or(call.returns);
            datum::write(ty, &value, &mut out);
            Cow::Owned(out)
        }
    };
    Ok(Value::Text(sized(call, text)))
}

fn unpadded<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Text(sized(call, cut(text(args, 0)?, |t| t.trim_end_matches(' ').len()))))
}

fn text_to_name<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let padded = arg_type(call, 0)?.ty == Type::Bpchar;
    let end = |t: &str| if padded { name(t).trim_end_matches(' ').len() } else { name(t).len() };
    Ok(Value::Text(cut(text(args, 0)?, end)))
}

/// The first `end(text)` bytes, borrowed where the text was.
fn cut<'a>(text: Cow<'a, str>, end: impl Fn(&str) -> usize) -> Cow<'a, str> {
    let end = end(&text);
    match text {
        Cow::Borrowed(t) => Cow::Borrowed(&t[..end]),
        Cow::Owned(mut t) => {
            t.truncate(end);
            Cow::Owned(t)
        }
    }
}

/// Cut or padded to the modifier's number of characters.
pub(super) fn sized<'a>(call: &Call<'_>, text: Cow<'a, str>) -> Cow<'a, str> {
    let Ok(limit) = usize::try_from(call.typmod - 4) else { return text };
    let cut = cut(text, |t| t.char_indices().nth(limit).map_or(t.len(), |(at, _)| at));
    if call.returns.ty != Type::Bpchar {
        return cut;
    }
    match limit - cut.chars().count() {
        0 => cut,
        missing => Cow::Owned(cut.into_owned() + &" ".repeat(missing)),
    }
}

fn from_text<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let value = input(call.returns, &text(args, 0)?)?.into_owned();
    match value {
        Value::Numeric(n) => Ok(Value::Numeric(n.apply_typmod(call.typmod)?)),
        value => Ok(value),
    }
}

fn date_to_timestamp<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Timestamp(match date(args, 0)? {
        dates::INFINITY => stamps::INFINITY,
        dates::NEG_INFINITY => stamps::NEG_INFINITY,
        days => i64::from(days)
            .checked_mul(MICROS_PER_DAY)
            .filter(|t| stamps::is_valid(*t))
            .ok_or_else(|| error("22008", "date out of range for timestamp"))?,
    }))
}

fn timestamp_to_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Date(match timestamp(args, 0)? {
        stamps::INFINITY => dates::INFINITY,
        stamps::NEG_INFINITY => dates::NEG_INFINITY,
        t => t.div_euclid(MICROS_PER_DAY) as i32,
    }))
}

/// NULL for the infinities.
fn timestamp_to_time<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let t = timestamp(args, 0)?;
    if stamps::is_infinite(t) {
        return Ok(Value::Null);
    }
    Ok(Value::Time(times::round(t.rem_euclid(MICROS_PER_DAY), call.typmod)))
}

fn timestamp_to_timestamp<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let t = timestamp(args, 0)?;
    Ok(Value::Timestamp(if stamps::is_infinite(t) { t } else { times::round(t, call.typmod) }))
}

fn time_to_time<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Time(times::round(time(args, 0)?, call.typmod)))
}

fn time_to_interval<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    limited(call, Interval { micros: time(args, 0)?, ..Interval::default() })
}

fn interval_to_time<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Time(times::round(interval(args, 0)?.micros.rem_euclid(MICROS_PER_DAY), call.typmod)))
}

fn interval_to_interval<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    limited(call, interval(args, 0)?)
}

/// `interval(p)`; fields (`interval year to month`) are refused.
fn limited<'a>(call: &Call<'_>, interval: Interval) -> Answer<'a> {
    const ALL_FIELDS: i32 = 0x7fff;
    if call.typmod < 0 {
        return Ok(Value::Interval(interval));
    }
    if call.typmod >> 16 != ALL_FIELDS {
        return Err(error("0A000", "interval with fields is not computed here"));
    }
    let precision = call.typmod & 0xffff;
    let micros = times::round(interval.micros, if precision > 6 { -1 } else { precision });
    // `round` stops at the end of the range; version 15 would go on from its other end.
    if micros.abs_diff(interval.micros) > 500_000 || (micros > 0) != (interval.micros > 0) && micros != 0 {
        return Err(error("22008", "interval out of range"));
    }
    Ok(Value::Interval(Interval { micros, ..interval }))
}
