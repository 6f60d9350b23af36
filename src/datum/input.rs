//! The types' input functions: what a literal, or a cast from text, may say.
//!
//! PostgreSQL takes more forms of dates, times and intervals than are read here (`tomorrow`, `Jan 5 2020`); those are
//! [`InputError::Refused`], never guessed.

use std::borrow::Cow;

use super::calendar::Cursor;
use super::json::{self, JsonError};
use super::{Interval, Value, array, calendar, date, interval, numeric, time, timestamp};
use crate::catalogue::{ColumnType, Type};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// PostgreSQL would raise this too.
    #[error("{message}")]
    Invalid { sqlstate: &'static str, message: String },
    /// PostgreSQL may know this form; we do not.
    #[error("{reason}")]
    Refused { reason: &'static str },
}

const ISO_ONLY: &str = "only ISO forms are read: 2026-01-31, 10:00:00, 2026-01-31 10:00:00+00";
const INTERVAL_ONLY: &str = "only ISO 8601 intervals and plain ones like 1 year 2 days 03:04:05 are read";
const ARRAY_ONLY: &str = "only arrays as PostgreSQL writes them are read: {1,2,NULL}, without blanks";

fn invalid(sqlstate: &'static str, message: impl Into<String>) -> InputError {
    InputError::Invalid { sqlstate, message: message.into() }
}

fn syntax(ty: &str) -> InputError {
    invalid("22P02", format!("invalid input syntax for type {ty}"))
}

fn out_of_range(ty: &str) -> InputError {
    invalid("22003", format!("value out of range for type {ty}"))
}

/// Reads a text as its type's input function does; the type's modifier is not applied (a cast's `typmod` is).
pub fn input<'a>(ty: &ColumnType, text: &'a str) -> Result<Value<'a>, InputError> {
    Ok(match &ty.ty {
        Type::Bool => Value::Bool(boolean(text)?),
        Type::Int2 => Value::Int(integer(text, "smallint", i16::MIN.into(), i16::MAX.into())?),
        Type::Int4 => Value::Int(integer(text, "integer", i32::MIN.into(), i32::MAX.into())?),
        Type::Int8 => Value::Int(integer(text, "bigint", i64::MIN, i64::MAX)?),
        // A negative one is taken for the 32 bits that it has.
        Type::Oid => Value::Int(integer(text, "oid", i32::MIN.into(), u32::MAX.into())? & 0xffff_ffff),
        Type::Float4 => Value::Float4(float4(text)?),
        Type::Float8 => Value::Float8(float8(text)?),
        Type::Numeric => Value::Numeric(numeric::parse(text).map_err(|e| match e {
            numeric::NumericError::Syntax => syntax("numeric"),
            other => invalid("22003", other.to_string()),
        })?),
        Type::Uuid => Value::Uuid(uuid(text).ok_or_else(|| syntax("uuid"))?),
        Type::Bytea => Value::Bytea(Cow::Owned(bytea(text)?)),
        Type::Date => Value::Date(iso_date(text)?),
        Type::Time => Value::Time(iso_time(text)?),
        Type::Timestamp => Value::Timestamp(iso_timestamp(text, false)?),
        Type::TimestampTz => Value::Timestamp(iso_timestamp(text, true)?),
        Type::Interval => Value::Interval(any_interval(text)?),
        Type::Enum(e) if e.labels.iter().any(|l| l == text) => Value::Text(Cow::Borrowed(text)),
        Type::Enum(e) => return Err(invalid("22P02", format!("invalid input value for enum {}", e.name.name))),
        Type::Text | Type::Varchar | Type::Bpchar | Type::Citext | Type::Unknown => Value::Text(Cow::Borrowed(text)),
        Type::Name => Value::Text(Cow::Borrowed(name(text))),
        Type::Char if text.len() <= 1 => Value::Text(Cow::Borrowed(text)),
        Type::Array(element) => {
            let ty = ColumnType::plain((**element).clone());
            Value::Array(Cow::Owned(array_text(&ty, text)?))
        }
        Type::Char => return Err(InputError::Refused { reason: "a \"char\" of one ASCII character is read only" }),
        Type::Json => {
            check_json(text)?;
            Value::Json(Cow::Borrowed(text))
        }
        Type::Jsonb => Value::Jsonb(Cow::Owned(jsonb(text)?)),
        Type::TimeTz | Type::Composite(_) | Type::Other(_) => {
            return Err(InputError::Refused { reason: "values of this type are known by their output form only" });
        }
    })
}

/// jsonb's output form of a json text.
pub fn jsonb(text: &str) -> Result<String, InputError> {
    let mut out = String::new();
    json::canonical(text, &mut out).map_err(|e| invalid(e.sqlstate(), e.to_string()))?;
    Ok(out)
}

/// What json takes, jsonb takes, but for `\u0000`, halves of surrogates, and numbers that numeric cannot hold.
fn check_json(text: &str) -> Result<(), InputError> {
    let error = match json::canonical(text, &mut String::new()) {
        Ok(()) => return Ok(()),
        Err(JsonError::Number) => {
            return Err(InputError::Refused { reason: "a json number is beyond the limits of numeric" });
        }
        Err(JsonError::Unicode) => json::canonical(&without_code_points(text), &mut String::new()),
        Err(error) => Err(error),
    };
    error.map_err(|e| invalid(e.sqlstate(), e.to_string()))
}

/// Each whole `\uXXXX` becomes `uXXXX`: as good in a string, and as bad outside.
fn without_code_points(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let hex = text.get(at + 2..at + 6).is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        match c {
            '\\' if hex && text[at + 1..].starts_with('u') => {}
            '\\' => {
                out.push(c);
                out.extend(chars.next().map(|(_, c)| c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Without the blanks that C's `isspace` knows.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

fn boolean(text: &str) -> Result<bool, InputError> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(syntax("boolean"))
    }
}

fn integer(text: &str, ty: &str, min: i64, max: i64) -> Result<i64, InputError> {
    let text = trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(syntax(ty));
    }
    // Whatever does not fit 64 bits fits none of them.
    match text.parse::<i64>() {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(out_of_range(ty)),
    }
}

/// The decimal forms of `strtod`, or a word; `Err` for everything else.
fn decimal<'t>(text: &'t str, ty: &str) -> Result<Result<f64, &'t str>, InputError> {
    let text = trim(text);
    let negative = text.starts_with('-');
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["inf", "infinity"].iter().any(|w| rest.eq_ignore_ascii_case(w)) {
        return Ok(Ok(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if rest.eq_ignore_ascii_case("nan") {
        return Ok(Ok(f64::NAN));
    }
    if rest.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("0x")) {
        return Err(InputError::Refused { reason: "hexadecimal floating-point numbers are not read" });
    }
    let plain = rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain { Ok(Err(text)) } else { Err(syntax(ty)) }
}

/// A zero that is none in the text has underflowed.
fn has_digit(text: &str) -> bool {
    text.split(['e', 'E']).next().is_some_and(|m| m.bytes().any(|b| (b'1'..=b'9').contains(&b)))
}

fn float8(text: &str) -> Result<f64, InputError> {
    match decimal(text, "double precision")? {
        Ok(word) => Ok(word),
        Err(text) => match text.parse::<f64>() {
            Ok(value) if value.is_infinite() || (value == 0.0 && has_digit(text)) => {
                Err(out_of_range("double precision"))
            }
            Ok(value) => Ok(value),
            Err(_) => Err(syntax("double precision")),
        },
    }
}

fn float4(text: &str) -> Result<f32, InputError> {
    match decimal(text, "real")? {
        Ok(word) => Ok(word as f32),
        Err(text) => match text.parse::<f32>() {
            Ok(value) if value.is_infinite() || (value == 0.0 && has_digit(text)) => Err(out_of_range("real")),
            Ok(value) => Ok(value),
            Err(_) => Err(syntax("real")),
        },
    }
}

/// Braces around, and hyphens after any four digits, are optional.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let mut rest = text.as_bytes();
    let mut out = [0; 16];
    for (i, byte) in out.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return None };
        *byte = super::bytea::nibble(*high)? << 4 | super::bytea::nibble(*low)?;
        rest = match after {
            [b'-', after @ ..] if i % 2 == 1 && i < 15 => after,
            after => after,
        };
    }
    rest.is_empty().then_some(out)
}

fn bytea(text: &str) -> Result<Vec<u8>, InputError> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    if let Some(hex) = text.strip_prefix("\\x") {
        let mut bytes = hex.bytes();
        while let Some(high) = bytes.next() {
            if matches!(high, b' ' | b'\n' | b'\t' | b'\r') {
                continue;
            }
            let odd = || invalid("22023", "invalid hexadecimal data: odd number of digits");
            let digit = |b| super::bytea::nibble(b).ok_or_else(|| invalid("22023", "invalid hexadecimal digit"));
            let high = digit(high)?;
            out.push(high << 4 | digit(bytes.next().ok_or_else(odd)?)?);
        }
        return Ok(out);
    }
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let octal = |b: Option<u8>, max: u8| b.filter(|b| (b'0'..=max).contains(b)).map(|b| b - b'0');
        match bytes.next() {
            Some(b'\\') => out.push(b'\\'),
            first => match (octal(first, b'3'), octal(bytes.next(), b'7'), octal(bytes.next(), b'7')) {
                (Some(a), Some(b), Some(c)) => out.push(a << 6 | b << 3 | c),
                _ => return Err(syntax("bytea")),
            },
        }
    }
    Ok(out)
}

/// Cut at 63 bytes, between characters.
pub fn name(text: &str) -> &str {
    let mut end = text.len().min(63);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn refused<E>(_: E) -> InputError {
    InputError::Refused { reason: ISO_ONLY }
}

fn iso_date(text: &str) -> Result<i32, InputError> {
    date::read(trim(text).to_ascii_lowercase().replace(" bc", " BC").as_bytes()).map_err(refused)
}

fn iso_time(text: &str) -> Result<i64, InputError> {
    let text = trim(text);
    time::read(text.as_bytes()).or_else(|_| time::read(format!("{text}:00").as_bytes())).map_err(refused)
}

/// A date alone is its midnight; `T` may stand for the blank; an offset only where the type keeps it.
fn iso_timestamp(text: &str, tz: bool) -> Result<i64, InputError> {
    let text = trim(text);
    if let Ok(days) = date::read(text.as_bytes()) {
        return match days {
            date::INFINITY => Ok(timestamp::INFINITY),
            date::NEG_INFINITY => Ok(timestamp::NEG_INFINITY),
            days => i64::from(days)
                .checked_mul(calendar::MICROS_PER_DAY)
                .filter(|m| timestamp::is_valid(*m))
                .ok_or(InputError::Refused { reason: ISO_ONLY }),
        };
    }
    // Between two digits: `TBC` is something else.
    let digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let text = match text.find('T') {
        Some(at) if at > 0 && digit(at - 1) && digit(at + 1) => text.replacen('T', " ", 1),
        _ => text.to_owned(),
    };
    let (body, offset) = match text.strip_suffix('Z') {
        Some(body) if tz => (body.to_owned(), "+00"),
        _ => (text.clone(), ""),
    };
    // PostgreSQL reads over the offset of a timestamp without zone: too surprising to follow.
    let after_date = body.get(10..).unwrap_or("");
    if !tz && (after_date.contains('+') || after_date.contains('-')) {
        return Err(InputError::Refused { reason: ISO_ONLY });
    }
    let full = format!("{body}{offset}");
    timestamp::read(full.as_bytes())
        .or_else(|_| timestamp::read(format!("{body}:00{offset}").as_bytes()))
        .map_err(refused)
}

fn any_interval(text: &str) -> Result<Interval, InputError> {
    // No blanks around this form.
    if text.starts_with('P') {
        return interval::read(text.as_bytes()).map_err(|_| InputError::Refused { reason: INTERVAL_ONLY });
    }
    plain_interval(trim(text)).ok_or(InputError::Refused { reason: INTERVAL_ONLY })
}

/// `1 year 2 mons -3 days 04:05:06.7`, each unit once, fractions of seconds only.
fn plain_interval(text: &str) -> Option<Interval> {
    let mut total = Interval::default();
    let mut seen = 0u32;
    let mut words = text.split_ascii_whitespace();
    let mut any = false;
    while let Some(number) = words.next() {
        any = true;
        let (negative, digits) = match number.as_bytes().first()? {
            b'-' => (true, &number[1..]),
            b'+' => (false, &number[1..]),
            _ => (false, number),
        };
        let sign = if negative { -1 } else { 1 };
        if digits.contains(':') {
            let full = if digits.matches(':').count() == 1 { format!("{digits}:00") } else { digits.to_owned() };
            let mut c = Cursor { rest: full.as_bytes(), ty: "interval" };
            let micros = c.clock().ok().filter(|_| c.rest.is_empty())?;
            total.micros = total.micros.checked_add(sign * micros)?;
            return if words.next().is_none() && seen & 0b1_1100_0000 == 0 { Some(total) } else { None };
        }
        let mut c = Cursor { rest: digits.as_bytes(), ty: "interval" };
        let whole = c.digits(1, 9).ok()?;
        let fraction = c.fraction().ok().filter(|_| c.rest.is_empty())?;
        let unit = words.next()?.to_ascii_lowercase();
        let (bit, months, days, micros) = match unit.strip_suffix('s').unwrap_or(&unit) {
            "year" => (1, 12, 0, 0),
            "mon" | "month" => (2, 1, 0, 0),
            "week" => (4, 0, 7, 0),
            "day" => (8, 0, 1, 0),
            "hour" => (64, 0, 0, 3_600_000_000i64),
            "minute" | "min" => (128, 0, 0, 60_000_000),
            "second" | "sec" => (256, 0, 0, 1_000_000),
            _ => return None,
        };
        if seen & bit != 0 || (fraction != 0 && bit != 256) {
            return None;
        }
        seen |= bit;
        let whole = whole * sign;
        total.months = total.months.checked_add(i32::try_from(whole.checked_mul(months)?).ok()?)?;
        total.days = total.days.checked_add(i32::try_from(whole.checked_mul(days)?).ok()?)?;
        total.micros = total.micros.checked_add(whole.checked_mul(micros)?.checked_add(sign * fraction)?)?;
    }
    any.then_some(total)
}

/// An array in the output form of its shape, its elements through their input function and back.
fn array_text(element: &ColumnType, text: &str) -> Result<String, InputError> {
    let refused = InputError::Refused { reason: ARRAY_ONLY };
    let Ok(elements) = array::elements(text.as_bytes()) else { return Err(refused) };
    if elements.dimensions() > 1 || text.starts_with('[') {
        return Err(refused);
    }
    let mut out = String::from("{");
    let mut value = String::new();
    for (i, item) in elements.enumerate() {
        if i > 0 {
            out.push(',');
        }
        let Ok(item) = item else { return Err(refused) };
        let Some(item) = item else {
            array::push_element(None, &mut out);
            continue;
        };
        let Ok(item) = std::str::from_utf8(&item) else { return Err(refused) };
        // Blanks around a bare element are skipped by PostgreSQL, NULL is known in any case.
        if item.trim() != item || item.eq_ignore_ascii_case("null") {
            return Err(refused);
        }
        value.clear();
        super::write(element, &input(element, item)?, &mut value);
        array::push_element(Some(&value), &mut out);
    }
    out.push('}');
    Ok(out)
}
