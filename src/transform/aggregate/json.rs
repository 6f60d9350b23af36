//! `jsonb_agg`, `json_agg`, `jsonb_object_agg`, `json_object_agg`: values as `to_jsonb` and `to_json` write them, NULL as
//! `null`.
//!
//! json's text keeps the order and every key, and breaks lines before arrays; jsonb sorts keys and keeps the last of
//! equal ones.

use std::borrow::Cow;

use super::{Accumulator, Aggregate, aggregate, error, lenient, mismatch, ordered};
use crate::catalogue::{ColumnType, Type};
use crate::datum::Value;
use crate::datum::json::{Builder, quote};
use crate::transform::function::Arg::{Any, AnyElement, Json, Jsonb};
use crate::transform::function::EvalError;
use crate::transform::function::jsonb_build::{push, push_key};

pub(super) static AGGREGATES: &[Aggregate] = &[
    ordered(lenient(aggregate("jsonb_agg", &[AnyElement], Jsonb, |types, _| list(types, true)))),
    ordered(lenient(aggregate("json_agg", &[AnyElement], Json, |types, _| list(types, false)))),
    ordered(lenient(aggregate("jsonb_object_agg", &[Any, Any], Jsonb, |types, _| {
        Box::new(Object { types: types.to_vec(), builder: None })
    }))),
    ordered(lenient(aggregate("json_object_agg", &[Any, Any], Json, |types, _| {
        Box::new(JsonObject { types: types.to_vec(), out: String::new() })
    }))),
];

fn list(types: &[ColumnType], binary: bool) -> Box<dyn Accumulator> {
    Box::new(List { types: types.to_vec(), binary, out: String::new() })
}

/// No text is valid json: an empty one says that there was no row.
struct List {
    types: Vec<ColumnType>,
    binary: bool,
    out: String,
}

impl Accumulator for List {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let ([value], [ty]) = (args, self.types.as_slice()) else { return Err(mismatch()) };
        let first = self.out.is_empty();
        self.out.push_str(if first { "[" } else { ", " });
        if !self.binary && !first && matches!(ty.ty, Type::Array(_)) && !matches!(value, Value::Null) {
            self.out.push_str("\n ");
        }
        push(value, ty, self.binary, &mut self.out)
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        let mut out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(Value::Null);
        }
        out.push(']');
        Ok(if self.binary { Value::Jsonb(Cow::Owned(out)) } else { Value::Json(Cow::Owned(out)) })
    }
}

fn key(value: &Value<'_>, ty: &ColumnType) -> Result<String, EvalError> {
    if matches!(value, Value::Null) {
        return Err(error("22023", "field name must not be null"));
    }
    let mut key = String::new();
    push_key(value, ty, &mut key)?;
    Ok(key)
}

struct Object {
    types: Vec<ColumnType>,
    builder: Option<Builder>,
}

impl Accumulator for Object {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let ([name, value], [name_type, value_type]) = (args, self.types.as_slice()) else { return Err(mismatch()) };
        let builder = self.builder.get_or_insert_with(|| {
            let mut builder = Builder::new(String::new());
            builder.open_object();
            builder
        });
        builder.key(&key(name, name_type)?);
        push(value, value_type, true, &mut builder.out)?;
        builder.end_member();
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.builder.take().map_or(Value::Null, |mut builder| {
            builder.close_object();
            Value::Jsonb(Cow::Owned(builder.out))
        }))
    }
}

struct JsonObject {
    types: Vec<ColumnType>,
    out: String,
}

impl Accumulator for JsonObject {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let ([name, value], [name_type, value_type]) = (args, self.types.as_slice()) else { return Err(mismatch()) };
        self.out.push_str(if self.out.is_empty() { "{ " } else { ", " });
        quote(&key(name, name_type)?, &mut self.out);
        self.out.push_str(" : ");
        push(value, value_type, false, &mut self.out)
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        let mut out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(Value::Null);
        }
        out.push_str(" }");
        Ok(Value::Json(Cow::Owned(out)))
    }
}
