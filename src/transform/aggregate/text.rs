//! `string_agg`: values that are NULL are passed over; the first one's delimiter is not written, nor is one that is NULL.

use std::borrow::Cow;

use super::{Accumulator, Aggregate, aggregate, lenient, mismatch, ordered};
use crate::datum::Value;
use crate::transform::function::Arg::{Bytea, Text};
use crate::transform::function::EvalError;

pub(super) static AGGREGATES: &[Aggregate] = &[
    ordered(lenient(aggregate("string_agg", &[Text, Text], Text, |_, _| Box::new(Joined(None))))),
    ordered(lenient(aggregate("string_agg", &[Bytea, Bytea], Bytea, |_, _| Box::new(JoinedBytes(None))))),
];

struct Joined(Option<String>);

impl Accumulator for Joined {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let [value, delimiter] = args else { return Err(mismatch()) };
        match (value, delimiter, &mut self.0) {
            (Value::Null, ..) => {}
            (Value::Text(value), _, None) => self.0 = Some(value.to_string()),
            (Value::Text(value), Value::Null, Some(out)) => out.push_str(value),
            (Value::Text(value), Value::Text(delimiter), Some(out)) => {
                out.push_str(delimiter);
                out.push_str(value);
            }
            _ => return Err(mismatch()),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.take().map_or(Value::Null, |t| Value::Text(Cow::Owned(t))))
    }
}

struct JoinedBytes(Option<Vec<u8>>);

impl Accumulator for JoinedBytes {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let [value, delimiter] = args else { return Err(mismatch()) };
        match (value, delimiter, &mut self.0) {
            (Value::Null, ..) => {}
            (Value::Bytea(value), _, None) => self.0 = Some(value.to_vec()),
            (Value::Bytea(value), Value::Null, Some(out)) => out.extend_from_slice(value),
            (Value::Bytea(value), Value::Bytea(delimiter), Some(out)) => {
                out.extend_from_slice(delimiter);
                out.extend_from_slice(value);
            }
            _ => return Err(mismatch()),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.take().map_or(Value::Null, |b| Value::Bytea(Cow::Owned(b))))
    }
}
