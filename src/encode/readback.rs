//! What stands in a topic, under the present contract: the form in which a record is compared with a new one.
//!
//! A body written with the present schema is compared as it is. Any other is decoded with its writer's schema, resolved
//! to the present one by Avro's rules and written again as this room writes it, so that "the same" is equality of bytes.
//! Source of truth: the Avro specification, "Schema Resolution", with the reader's logical types: a number that means
//! another scale or unit is not the same number.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

use crate::encode::avro::{Avro, Decimal, Fixed, Record};
use crate::encode::default::encode_default;
use crate::encode::wire::{BodyError, FrameError, put_bytes, put_long, unframe};

/// The 128 bits by which bodies are compared in the local state.
pub fn body_hash(body: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(body)
}

/// Reads values of one topic under one contract. Keeps each writer's schema that it has met.
pub struct Readback<'a> {
    contract: &'a Record,
    /// The id under which the present contract is registered.
    schema_id: u32,
    writers: HashMap<u32, Writer>,
}

struct Writer {
    schema: Schema,
    shape: Avro,
    /// Same bytes, whatever the id: only docs or such differ.
    identical: bool,
}

/// Whether the body is one of the schema, as Avro's own library reads it.
pub fn check(schema: &str, body: &[u8]) -> Result<(), ReadbackError> {
    let id = 0;
    let schema = Schema::parse_str(schema).map_err(|e| ReadbackError::Schema { id, message: e.to_string() })?;
    let mut rest = body;
    let read = GenericDatumReader::builder(&schema).build().and_then(|reader| reader.read_value(&mut rest));
    match read {
        Ok(_) if rest.is_empty() => Ok(()),
        Ok(_) => Err(ReadbackError::Body { id, message: "bytes follow the end of the record".into() }),
        Err(e) => Err(ReadbackError::Body { id, message: e.to_string() }),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadbackError {
    #[error("the value has no Confluent frame")]
    Frame(#[from] FrameError),
    #[error("the writer's schema {id} is not one that can be read: {message}")]
    Schema { id: u32, message: String },
    #[error("the body is not one of schema {id}: {message}")]
    Body { id: u32, message: String },
    /// The record cannot be told in the present contract's terms: it is not the same as any new one.
    #[error("{path}: what schema {id} wrote does not resolve to the present contract: {message}")]
    Unresolvable { id: u32, path: String, message: String },
}

impl<'a> Readback<'a> {
    pub fn new(contract: &'a Record, schema_id: u32) -> Readback<'a> {
        Readback { contract, schema_id, writers: HashMap::new() }
    }

    /// Appends the canonical body of a framed value. `schema_of` gives a writer's schema by its id, once per id.
    pub fn body<E>(
        &mut self,
        value: &[u8],
        schema_of: impl FnOnce(u32) -> Result<String, E>,
        out: &mut Vec<u8>,
    ) -> Result<(), E>
    where
        E: From<ReadbackError>,
    {
        let (id, body) = unframe(value).map_err(ReadbackError::from)?;
        if id == self.schema_id {
            out.extend_from_slice(body);
            return Ok(());
        }
        if !self.writers.contains_key(&id) {
            let writer = self.writer(id, &schema_of(id)?)?;
            self.writers.insert(id, writer);
        }
        Ok(resolve_body(&self.writers[&id], self.contract, id, body, out)?)
    }

    fn writer(&self, id: u32, text: &str) -> Result<Writer, ReadbackError> {
        let schema = Schema::parse_str(text).map_err(|e| ReadbackError::Schema { id, message: e.to_string() })?;
        let shape = super::contract::read_schema(text).map_err(|message| ReadbackError::Schema { id, message })?;
        let identical = matches!(&shape, Avro::Record(r) if same_bytes_record(r, self.contract));
        Ok(Writer { schema, shape, identical })
    }
}

fn resolve_body(
    writer: &Writer,
    contract: &Record,
    id: u32,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), ReadbackError> {
    if writer.identical {
        out.extend_from_slice(body);
        return Ok(());
    }
    let mut rest = body;
    let value = GenericDatumReader::builder(&writer.schema)
        .build()
        .and_then(|reader| reader.read_value(&mut rest))
        .map_err(|e| ReadbackError::Body { id, message: e.to_string() })?;
    if !rest.is_empty() {
        let message = BodyError { at: body.len() - rest.len(), what: "bytes follow the end of the record" }.to_string();
        return Err(ReadbackError::Body { id, message });
    }
    let Avro::Record(shape) = &writer.shape else {
        return Err(ReadbackError::Schema { id, message: "it is no record".into() });
    };
    resolve_record(&value, shape, contract, out).map_err(|(path, message)| ReadbackError::Unresolvable {
        id,
        path: path.trim_start_matches('.').to_owned(),
        message,
    })
}

type Unresolved = (String, String);

fn resolve_record(value: &Value, writer: &Record, reader: &Record, out: &mut Vec<u8>) -> Result<(), Unresolved> {
    let Value::Record(values) = value else { return Err(wrong(&Avro::Record(reader.clone().into()))) };
    for field in &reader.fields {
        let below = |(path, message)| (format!(".{}{path}", field.name), message);
        let written = writer.fields.iter().position(|w| w.name == field.name);
        let written = written.or_else(|| writer.fields.iter().position(|w| field.aliases.contains(&w.name)));
        match written.and_then(|i| Some((&values.get(i)?.1, &writer.fields[i].ty))) {
            Some((value, ty)) => resolve(value, ty, &field.ty, out).map_err(below)?,
            None => match &field.default {
                Some(default) => encode_default(default, &field.ty, out).map_err(|m| below((String::new(), m)))?,
                None => return Err(below((String::new(), "not written, and without a default".into()))),
            },
        }
    }
    Ok(())
}

fn resolve(value: &Value, writer: &Avro, reader: &Avro, out: &mut Vec<u8>) -> Result<(), Unresolved> {
    // A union of the writer's is the branch that was written.
    if let (Value::Union(index, inner), Avro::Union(branches)) = (value, writer) {
        let branch = branches.get(*index as usize).ok_or_else(|| wrong(reader))?;
        return resolve(inner, branch, reader, out);
    }
    if let Avro::Union(branches) = reader {
        // The same type first, then the first that takes it.
        let same = branches.iter().position(|b| same_bytes(writer, b));
        let index = same.or_else(|| branches.iter().position(|b| matches(writer, b)));
        let index = index.ok_or_else(|| wrong(reader))?;
        put_long(out, index as i64);
        return resolve(value, writer, &branches[index], out);
    }
    if !matches(writer, reader) {
        return Err(wrong(reader));
    }
    match (value, reader) {
        (Value::Null, Avro::Null) => {}
        (Value::Boolean(flag), Avro::Boolean) => out.push(u8::from(*flag)),
        (Value::Record(_), Avro::Record(record)) => {
            let Avro::Record(writer) = writer else { return Err(wrong(reader)) };
            resolve_record(value, writer, record, out)?;
        }
        (Value::Enum(_, symbol), Avro::Enum(e)) => {
            let index = e.symbols.iter().position(|s| s == symbol);
            let index = index.or_else(|| e.symbols.iter().position(|s| Some(s) == e.default.as_ref()));
            put_long(out, index.ok_or_else(|| (String::new(), format!("{symbol} is no symbol any more")))? as i64);
        }
        (Value::Array(values), Avro::Array(items)) => {
            let Avro::Array(writer) = writer else { return Err(wrong(reader)) };
            if !values.is_empty() {
                put_long(out, values.len() as i64);
            }
            for (i, value) in values.iter().enumerate() {
                resolve(value, writer, items, out).map_err(|(path, message)| (format!("[{i}]{path}"), message))?;
            }
            out.push(0);
        }
        (Value::Map(values), Avro::Map(items)) => {
            let Avro::Map(writer) = writer else { return Err(wrong(reader)) };
            let mut entries: Vec<_> = values.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
            }
            for (key, value) in entries {
                put_bytes(out, key.as_bytes());
                resolve(value, writer, items, out).map_err(|(path, message)| (format!("{{}}{path}"), message))?;
            }
            out.push(0);
        }
        (value, reader) => resolve_plain(value, reader, out)?,
    }
    Ok(())
}

/// Numbers with their promotions, text and bytes.
fn resolve_plain(value: &Value, reader: &Avro, out: &mut Vec<u8>) -> Result<(), Unresolved> {
    let integer = match value {
        Value::Int(n) | Value::Date(n) | Value::TimeMillis(n) => Some(i64::from(*n)),
        Value::Long(n)
        | Value::TimeMicros(n)
        | Value::TimestampMillis(n)
        | Value::TimestampMicros(n)
        | Value::TimestampNanos(n)
        | Value::LocalTimestampMillis(n)
        | Value::LocalTimestampMicros(n)
        | Value::LocalTimestampNanos(n) => Some(*n),
        _ => None,
    };
    match (reader, integer, value) {
        (Avro::Float, Some(n), _) => out.extend_from_slice(&(n as f32).to_le_bytes()),
        (Avro::Double, Some(n), _) => out.extend_from_slice(&(n as f64).to_le_bytes()),
        (_, Some(n), _) => put_long(out, n),
        (Avro::Float, _, Value::Float(n)) => out.extend_from_slice(&n.to_le_bytes()),
        (Avro::Double, _, Value::Float(n)) => out.extend_from_slice(&f64::from(*n).to_le_bytes()),
        (Avro::Double, _, Value::Double(n)) => out.extend_from_slice(&n.to_le_bytes()),
        (_, _, Value::String(text)) => put_bytes(out, text.as_bytes()),
        (Avro::UuidFixed(_), _, Value::Uuid(uuid)) => out.extend_from_slice(uuid.as_bytes()),
        (_, _, Value::Uuid(uuid)) => put_bytes(out, uuid.to_string().as_bytes()),
        (Avro::Decimal(d), _, Value::Decimal(n)) => {
            let n = num_bigint::BigInt::from(n.clone()).to_signed_bytes_be();
            match &d.fixed {
                None => put_bytes(out, &n),
                Some(f) if n.len() <= f.size => {
                    let sign = if n.first().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
                    out.extend(std::iter::repeat_n(sign, f.size - n.len()));
                    out.extend_from_slice(&n);
                }
                Some(_) => return Err(wrong(reader)),
            }
        }
        (_, _, Value::Bytes(bytes)) => put_bytes(out, bytes),
        (_, _, Value::Fixed(_, bytes)) => out.extend_from_slice(bytes),
        _ => return Err(wrong(reader)),
    }
    Ok(())
}

fn wrong(reader: &Avro) -> Unresolved {
    (String::new(), format!("it is no {}", reader.describe()))
}

/// Whether a value of the writer's type is one of the reader's, with the same meaning.
fn matches(writer: &Avro, reader: &Avro) -> bool {
    use Avro::*;
    let simple = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    match (writer, reader) {
        // Which branch was written is known with the value.
        (Union(branches), reader) => branches.iter().any(|b| matches(b, reader)),
        (writer, Union(branches)) => branches.iter().any(|b| matches(writer, b)),
        (Int, Long | Float | Double) | (Long, Float | Double) | (Float, Double) => true,
        (String | UuidString, String | UuidString) => true,
        (String, Bytes) | (Bytes, String) => false,
        (Decimal(a), Decimal(b)) => a.scale == b.scale,
        (Array(a), Array(b)) | (Map(a), Map(b)) => matches(a, b),
        (Record(a), Record(b)) => simple(&a.name) == simple(&b.name) || b.aliases.contains(&a.name),
        (Enum(a), Enum(b)) => simple(&a.name) == simple(&b.name),
        (Fixed(a), Fixed(b)) | (UuidFixed(a), UuidFixed(b)) => a.size == b.size,
        (a, b) => same_bytes(a, b),
    }
}

/// Whether equal values are equal bytes under both: names and docs do not count, order and logical types do.
fn same_bytes(a: &Avro, b: &Avro) -> bool {
    use Avro::*;
    match (a, b) {
        (Array(a), Array(b)) => same_bytes(a, b),
        // A map that another wrote may have another order.
        (Map(_), Map(_)) => false,
        (Union(a), Union(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_bytes(a, b)),
        (Record(a), Record(b)) => same_bytes_record(a, b),
        (Enum(a), Enum(b)) => a.symbols == b.symbols,
        (Fixed(a), Fixed(b)) | (UuidFixed(a), UuidFixed(b)) => a.size == b.size,
        (Decimal(a), Decimal(b)) => a.scale == b.scale && same_fixed(a, b),
        (String | UuidString, String | UuidString) => true,
        (a, b) => a == b,
    }
}

fn same_fixed(a: &Decimal, b: &Decimal) -> bool {
    let size = |f: &Option<std::sync::Arc<Fixed>>| f.as_ref().map(|f| f.size);
    size(&a.fixed) == size(&b.fixed)
}

fn same_bytes_record(a: &Record, b: &Record) -> bool {
    a.fields.len() == b.fields.len()
        && a.fields.iter().zip(&b.fields).all(|(a, b)| a.name == b.name && same_bytes(&a.ty, &b.ty))
}
