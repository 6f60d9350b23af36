//! An evaluated value to Avro bytes: directly where the value is held as the field needs it, else by its text form.

use crate::catalogue::ColumnType;
use crate::datum::{self, Value};
use crate::encode::codes;
use crate::encode::leaf::{Fault, Leaf, Slot, fixed_length, put_date, put_int};
use crate::encode::wire::{put_bytes, put_long};

/// `scratch` is a buffer that the caller keeps.
pub(crate) fn put_value(
    slot: &Slot,
    ty: &ColumnType,
    value: &Value<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), Box<Fault>> {
    if matches!(value, Value::Null) {
        return slot.put_null(out);
    }
    slot.put_some(out, |out| {
        match (&slot.leaf, value) {
            (Leaf::Boolean, Value::Bool(flag)) => out.push(u8::from(*flag)),
            (Leaf::Int, Value::Int(n)) => return put_int(*n, out),
            (Leaf::Long, Value::Int(n)) => put_long(out, *n),
            (Leaf::Float, Value::Float4(n)) => out.extend_from_slice(&n.to_le_bytes()),
            (Leaf::Double, Value::Float8(n)) => out.extend_from_slice(&n.to_le_bytes()),
            (Leaf::String, Value::Text(t) | Value::Json(t) | Value::Jsonb(t) | Value::Array(t)) => {
                put_bytes(out, t.as_bytes());
            }
            (Leaf::Date, Value::Date(days)) => return put_date(*days, slot.special, out),
            (Leaf::TimeMicros | Leaf::TimeMillis, Value::Time(t)) => return slot.leaf.put_time(*t, slot.special, out),
            (Leaf::TimestampMicros | Leaf::TimestampMillis, Value::Timestamp(t)) => {
                return slot.leaf.put_timestamp(*t, slot.special, out);
            }
            (Leaf::UuidFixed, Value::Uuid(uuid)) => out.extend_from_slice(uuid),
            (Leaf::Bytes, Value::Bytea(bytes)) => put_bytes(out, bytes),
            (Leaf::Fixed(size), Value::Bytea(bytes)) => {
                fixed_length(bytes.len(), *size)?;
                out.extend_from_slice(bytes);
            }
            (leaf, Value::Text(t) | Value::Json(t) | Value::Jsonb(t) | Value::Array(t)) => {
                return leaf.put(t.as_bytes(), slot.special, out);
            }
            (leaf, value) => {
                scratch.clear();
                datum::write(ty, value, scratch);
                return leaf.put(scratch.as_bytes(), slot.special, out);
            }
        }
        Ok(())
    })
}

/// A key of `key_format = "string"`: the text form, never NULL.
pub(crate) fn put_key_text(ty: &ColumnType, value: &Value<'_>, out: &mut String) -> Result<(), Box<Fault>> {
    if matches!(value, Value::Null) {
        return Err(Fault::new(codes::ROW_NULL, "NULL in a key or an event id"));
    }
    datum::write(ty, value, out);
    Ok(())
}
