//! Plain JSON: the one form of a record for people's eyes, from its Avro body.
//!
//! Unions unwrapped, integers as numbers, decimals as strings with their scale, timestamps RFC 3339 with six digits and
//! `Z` (local ones without), dates and times ISO, bytes `\x00ff`, non-finite floats as strings.

use num_bigint::BigInt;
use serde_json::{Map, Value as Json, json};

use crate::encode::avro::{Avro, Record};
use crate::encode::wire::{Body, BodyError};

/// The whole body as an object.
pub fn record(record: &Record, body: &[u8]) -> Result<Json, BodyError> {
    let mut body = Body::new(body);
    let value = fields(record, &mut body)?;
    if body.is_empty() { Ok(value) } else { Err(body.error("bytes follow the end of the record")) }
}

/// A string key as an object, like every key.
pub fn string_key(column: &str, key: &[u8]) -> Json {
    json!({ column: String::from_utf8_lossy(key) })
}

fn fields(record: &Record, body: &mut Body<'_>) -> Result<Json, BodyError> {
    let mut object = Map::new();
    for field in &record.fields {
        object.insert(field.name.clone(), value(&field.ty, body)?);
    }
    Ok(Json::Object(object))
}

fn value(ty: &Avro, body: &mut Body<'_>) -> Result<Json, BodyError> {
    Ok(match ty {
        Avro::Null => Json::Null,
        Avro::Boolean => match body.take(1)?[0] {
            0 => json!(false),
            1 => json!(true),
            _ => return Err(body.error("a boolean that is neither 0 nor 1")),
        },
        Avro::Int => json!(body.int()?),
        Avro::Long => json!(body.long()?),
        Avro::Float => {
            let bytes = body.take(4)?;
            let n = f32::from_le_bytes(bytes.try_into().map_err(|_| body.error("a float"))?);
            // The digits of the float, not those of the double that holds it.
            if n.is_finite() {
                n.to_string().parse::<f64>().map_or(Json::Null, |n| json!(n))
            } else {
                special(n.into())
            }
        }
        Avro::Double => {
            let bytes = body.take(8)?;
            let n = f64::from_le_bytes(bytes.try_into().map_err(|_| body.error("a double"))?);
            if n.is_finite() { json!(n) } else { special(n) }
        }
        Avro::Bytes => json!(hex(body.bytes()?)),
        Avro::Fixed(f) => json!(hex(body.take(f.size)?)),
        Avro::String | Avro::UuidString => json!(body.string()?),
        Avro::UuidFixed(f) => {
            let bytes = body.take(f.size)?;
            let bytes = bytes.try_into().map_err(|_| body.error("a uuid of other than 16 bytes"))?;
            json!(uuid::Uuid::from_bytes(bytes).to_string())
        }
        Avro::Enum(e) => json!(e.symbols[body.index(e.symbols.len())?]),
        Avro::Decimal(d) => {
            let bytes = match &d.fixed {
                Some(f) => body.take(f.size)?,
                None => body.bytes()?,
            };
            json!(decimal(bytes, d.scale as usize))
        }
        Avro::Date => json!(date(body.int()?.into())),
        Avro::TimeMillis => json!(clock(i64::from(body.int()?) * 1000)),
        Avro::TimeMicros => json!(clock(body.long()?)),
        Avro::TimestampMillis => json!(format!("{}Z", timestamp(i128::from(body.long()?) * 1000))),
        Avro::TimestampMicros => json!(format!("{}Z", timestamp(body.long()?.into()))),
        Avro::LocalTimestampMillis => json!(timestamp(i128::from(body.long()?) * 1000)),
        Avro::LocalTimestampMicros => json!(timestamp(body.long()?.into())),
        Avro::Array(items) => {
            let mut array = Vec::new();
            loop {
                let count = body.block()?;
                if count == 0 {
                    break Json::Array(array);
                }
                for _ in 0..count {
                    // Items of no bytes would let a short body ask for any number of them.
                    if body.is_empty() {
                        return Err(body.error("the body ends within an array"));
                    }
                    array.push(value(items, body)?);
                }
            }
        }
        Avro::Map(values) => {
            let mut object = Map::new();
            loop {
                let count = body.block()?;
                if count == 0 {
                    break Json::Object(object);
                }
                for _ in 0..count {
                    let key = body.string()?.to_owned();
                    object.insert(key, value(values, body)?);
                }
            }
        }
        Avro::Union(branches) => {
            let index = body.index(branches.len())?;
            value(&branches[index], body)?
        }
        Avro::Record(record) => fields(record, body)?,
    })
}

fn special(n: f64) -> Json {
    json!(if n.is_nan() {
        "NaN"
    } else if n > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    crate::datum::bytea::write(bytes, &mut text);
    text
}

fn decimal(bytes: &[u8], scale: usize) -> String {
    let n = BigInt::from_signed_bytes_be(bytes);
    let digits = format!("{:0>width$}", n.magnitude().to_string(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if n.sign() == num_bigint::Sign::Minus { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

const DAY_MICROS: i128 = 86_400_000_000;

fn timestamp(micros: i128) -> String {
    let (days, within) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    format!("{}T{}", date(days as i64), clock(within as i64))
}

fn clock(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:06}", seconds % 60, micros.rem_euclid(1_000_000))
}

/// Days since 1970 as year, month, day of the proleptic Gregorian calendar, over all of 64 bits of milliseconds.
fn date(days: i64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that the leap day is the last.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year < 0 { format!("-{:04}-{month:02}-{day:02}", -year) } else { format!("{year:04}-{month:02}-{day:02}") }
}
