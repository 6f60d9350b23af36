//! Defaults: JSON of a schema to Avro bytes.
//!
//! Source of truth: the Avro specification, table "field default values". A union's default is a value of its first
//! type; bytes and fixed are strings whose code points 0 to 255 are the bytes.

use serde_json::Value as Json;

use crate::encode::avro::{Avro, Decimal};
use crate::encode::wire::{put_bytes, put_long};

/// Appends the default; on an error, which says what does not fit, `out` holds a part of it.
pub(crate) fn encode_default(json: &Json, ty: &Avro, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || Err(format!("{json} is not {}", ty.describe()));
    match ty {
        Avro::Null if json.is_null() => {}
        Avro::Boolean => match json.as_bool() {
            Some(flag) => out.push(u8::from(flag)),
            None => return wrong(),
        },
        Avro::Int | Avro::Date | Avro::TimeMillis => match json.as_i64().and_then(|n| i32::try_from(n).ok()) {
            Some(n) => put_long(out, n.into()),
            None => return wrong(),
        },
        Avro::Long
        | Avro::TimeMicros
        | Avro::TimestampMillis
        | Avro::TimestampMicros
        | Avro::LocalTimestampMillis
        | Avro::LocalTimestampMicros => match json.as_i64() {
            Some(n) => put_long(out, n),
            None => return wrong(),
        },
        Avro::Float => match json.as_f64() {
            Some(n) => out.extend_from_slice(&(n as f32).to_le_bytes()),
            None => return wrong(),
        },
        Avro::Double => match json.as_f64() {
            Some(n) => out.extend_from_slice(&n.to_le_bytes()),
            None => return wrong(),
        },
        Avro::String | Avro::UuidString => match json.as_str() {
            Some(text) => put_bytes(out, text.as_bytes()),
            None => return wrong(),
        },
        Avro::Bytes | Avro::Decimal(Decimal { fixed: None, .. }) => match byte_text(json) {
            Some(bytes) => put_bytes(out, &bytes),
            None => return wrong(),
        },
        Avro::Fixed(f) | Avro::UuidFixed(f) | Avro::Decimal(Decimal { fixed: Some(f), .. }) => {
            match byte_text(json).filter(|bytes| bytes.len() == f.size) {
                Some(bytes) => out.extend_from_slice(&bytes),
                None => return wrong(),
            }
        }
        Avro::Enum(e) => match json.as_str().and_then(|s| e.symbols.iter().position(|t| t == s)) {
            Some(index) => put_long(out, index as i64),
            None => return wrong(),
        },
        Avro::Array(items) => {
            let Some(values) = json.as_array() else { return wrong() };
            if !values.is_empty() {
                put_long(out, values.len() as i64);
            }
            for value in values {
                encode_default(value, items, out)?;
            }
            out.push(0);
        }
        Avro::Map(values) => {
            let Some(entries) = json.as_object() else { return wrong() };
            let mut entries: Vec<_> = entries.iter().collect();
            // The order of a map says nothing; ours is the keys', so that equal maps are equal bytes.
            entries.sort_by_key(|(key, _)| key.as_str());
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
            }
            for (key, value) in entries {
                put_bytes(out, key.as_bytes());
                encode_default(value, values, out)?;
            }
            out.push(0);
        }
        Avro::Record(record) => {
            let Some(object) = json.as_object() else { return wrong() };
            for field in &record.fields {
                match object.get(&field.name).or(field.default.as_ref()) {
                    Some(value) => encode_default(value, &field.ty, out)?,
                    None => return Err(format!("{json} has no {:?}", field.name)),
                }
            }
        }
        Avro::Union(branches) => {
            let Some(first) = branches.first() else { return wrong() };
            out.push(0);
            encode_default(json, first, out)?;
        }
        Avro::Null => return wrong(),
    }
    Ok(())
}

fn byte_text(json: &Json) -> Option<Vec<u8>> {
    json.as_str()?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
