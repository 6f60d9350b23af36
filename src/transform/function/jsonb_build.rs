//! json and jsonb made of values: `to_jsonb`, `jsonb_build_object`, `jsonb_build_array`, and the same in json's text.
//!
//! Source of truth: `datum_to_json` and `datum_to_jsonb` of PostgreSQL: numbers stay numbers, dates are ISO 8601 with
//! `T`, everything else is the type's output form in quotes.

use std::borrow::Cow;
use std::sync::Arc;

use super::Arg::{Any, AnyElement, Json, Jsonb};
use super::declare::*;
use super::json::raised;
use super::{Call, EvalError, Function};
use crate::catalogue::{ColumnType, Type};
use crate::datum::json::{self, Builder};
use crate::datum::{self, Value};

pub static FUNCTIONS: &[Function] = &[
    stable(function("to_jsonb", &[AnyElement], Jsonb, to_jsonb)),
    stable(function("to_json", &[AnyElement], Json, to_json)),
    stable(lenient(function("jsonb_build_object", &[], Jsonb, jsonb_build_object))),
    stable(lenient(variadic(function("jsonb_build_object", &[Any], Jsonb, jsonb_build_object)))),
    stable(lenient(function("json_build_object", &[], Json, json_build_object))),
    stable(lenient(variadic(function("json_build_object", &[Any], Json, json_build_object)))),
    stable(lenient(function("jsonb_build_array", &[], Jsonb, jsonb_build_array))),
    stable(lenient(variadic(function("jsonb_build_array", &[Any], Jsonb, jsonb_build_array)))),
    stable(lenient(function("json_build_array", &[], Json, json_build_array))),
    stable(lenient(variadic(function("json_build_array", &[Any], Json, json_build_array)))),
];

fn to_jsonb<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut out = String::new();
    push(&args[0], arg_type(call, 0)?, true, &mut out)?;
    Ok(Value::Jsonb(Cow::Owned(out)))
}

fn to_json<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut out = String::new();
    push(&args[0], arg_type(call, 0)?, false, &mut out)?;
    Ok(Value::Json(Cow::Owned(out)))
}

fn jsonb_build_array<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    list(call, args, true).map(|out| Value::Jsonb(Cow::Owned(out)))
}

fn json_build_array<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    list(call, args, false).map(|out| Value::Json(Cow::Owned(out)))
}

fn list(call: &Call<'_>, args: &[Value<'_>], binary: bool) -> Result<String, EvalError> {
    let mut out = String::from("[");
    for (i, value) in args.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        push(value, arg_type(call, i)?, binary, &mut out)?;
    }
    out.push(']');
    Ok(out)
}

fn pairs(args: &[Value<'_>]) -> Result<(), EvalError> {
    if args.len() % 2 == 1 { Err(error("22023", "argument list must have even number of elements")) } else { Ok(()) }
}

fn jsonb_build_object<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    pairs(args)?;
    let mut builder = Builder::new(String::new());
    let mut key = String::new();
    builder.open_object();
    for i in (0..args.len()).step_by(2) {
        key.clear();
        push_key(&args[i], arg_type(call, i)?, &mut key)?;
        builder.key(&key);
        push(&args[i + 1], arg_type(call, i + 1)?, true, &mut builder.out)?;
        builder.end_member();
    }
    builder.close_object();
    Ok(Value::Jsonb(Cow::Owned(builder.out)))
}

/// json keeps the order and every key; its own blanks stand around the colon.
fn json_build_object<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    pairs(args)?;
    let mut out = String::from("{");
    let mut key = String::new();
    for i in (0..args.len()).step_by(2) {
        if i > 0 {
            out.push_str(", ");
        }
        key.clear();
        push_key(&args[i], arg_type(call, i)?, &mut key)?;
        json::quote(&key, &mut out);
        out.push_str(" : ");
        push(&args[i + 1], arg_type(call, i + 1)?, false, &mut out)?;
    }
    out.push('}');
    Ok(Value::Json(Cow::Owned(out)))
}

/// A key is the scalar's text, without quotes yet.
pub(in crate::transform) fn push_key(value: &Value<'_>, ty: &ColumnType, out: &mut String) -> Result<(), EvalError> {
    match (value, &ty.ty) {
        (Value::Null, _) => return Err(error("22023", "a key of an object must not be null")),
        (_, Type::Array(_) | Type::Composite(_) | Type::Json | Type::Jsonb) => {
            return Err(error("22023", "key value must be scalar, not array, composite, or json"));
        }
        (Value::Bool(b), _) => out.push_str(if *b { "true" } else { "false" }),
        _ => push_plain(value, ty, out),
    }
    Ok(())
}

/// The output form; timestamps with `T`, and `+00:00` for the zone.
fn push_plain(value: &Value<'_>, ty: &ColumnType, out: &mut String) {
    let start = out.len();
    datum::write(ty, value, out);
    if let (Value::Timestamp(_), Some(blank)) = (value, out[start..].find(' ')) {
        out.replace_range(start + blank..=start + blank, "T");
        if let (Type::TimestampTz, Some(plus)) = (&ty.ty, out[start..].find("+00")) {
            out.insert_str(start + plus + 3, ":00");
        }
    }
}

/// A value as json, or as jsonb's output form.
pub(in crate::transform) fn push(
    value: &Value<'_>,
    ty: &ColumnType,
    binary: bool,
    out: &mut String,
) -> Result<(), EvalError> {
    let mut plain = String::new();
    match (value, &ty.ty) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Bool(b), _) => out.push_str(if *b { "true" } else { "false" }),
        (Value::Int(_), Type::Int2 | Type::Int4 | Type::Int8) => datum::write(ty, value, out),
        (Value::Float4(_) | Value::Float8(_) | Value::Numeric(_), _) => {
            datum::write(ty, value, &mut plain);
            if plain.ends_with(|c: char| c.is_ascii_digit()) {
                if binary {
                    let number = std::mem::take(&mut plain);
                    json::canonical(&number, &mut plain).map_err(raised)?;
                }
                out.push_str(&plain);
            } else {
                json::quote(&plain, out);
            }
        }
        (Value::Json(text), _) if binary => {
            json::canonical(text, &mut plain).map_err(raised)?;
            out.push_str(&plain);
        }
        (Value::Json(text) | Value::Jsonb(text), _) => out.push_str(text),
        (Value::Array(text), Type::Array(element)) => push_array(text, element, binary, out)?,
        (_, Type::Composite(_)) => {
            return Err(error("0A000", "a composite value is not written as json; name its fields"));
        }
        (Value::Text(text), _) => json::quote(text, out),
        _ => {
            push_plain(value, ty, &mut plain);
            json::quote(&plain, out);
        }
    }
    Ok(())
}

/// The text form walked by its braces and commas; bounds are lost, dimensions stay.
fn push_array(text: &str, element: &Arc<Type>, binary: bool, out: &mut String) -> Result<(), EvalError> {
    let malformed = || error("XX000", "an array is not in its output form");
    let element = ColumnType::plain(element.as_ref().clone());
    let body = text.find('{').ok_or_else(malformed)?;
    let mut rest = text[body..].chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' => out.push('['),
            '}' => out.push(']'),
            ',' => out.push_str(if binary { ", " } else { "," }),
            _ => {
                let quoted = c == '"';
                let mut form = String::new();
                let mut next = if quoted { rest.next() } else { Some(c) };
                while let Some(c) = next {
                    match c {
                        '"' if quoted => break,
                        '\\' => form.push(rest.next().ok_or_else(malformed)?),
                        c => form.push(c),
                    }
                    if !quoted && matches!(rest.peek(), Some(',' | '}')) {
                        break;
                    }
                    next = rest.next();
                }
                if !quoted && form == "NULL" {
                    out.push_str("null");
                } else {
                    let value = datum::read(&element, form.as_bytes()).map_err(|_| malformed())?;
                    push(&value, &element, binary, out)?;
                }
            }
        }
    }
    Ok(())
}
