//! What jsonb contains: `@>`, `<@`, `?|`, `?&`; and the parts that a path of arguments leads to.
//!
//! Source of truth: `JsonbDeepContains` of PostgreSQL: a scalar by itself is an array of one, which an array contains,
//! and which contains no array.

use std::borrow::Cow;

use super::Arg::{Bool, Json, Jsonb, Text, TextArray};
use super::declare::*;
use super::json::{path, path_text, without_scale};
use super::json_change::texts;
use super::{Call, EvalError, Function};
use crate::datum::json::{self, JsonKind};
use crate::datum::{Value, array};

pub static FUNCTIONS: &[Function] = &[
    operator("@>", &[Jsonb, Jsonb], Bool, contains),
    operator("<@", &[Jsonb, Jsonb], Bool, contained),
    operator("?|", &[Jsonb, TextArray], Bool, exists_any),
    operator("?&", &[Jsonb, TextArray], Bool, exists_all),
    nullable(variadic(function("jsonb_extract_path", &[Jsonb, TextArray], Jsonb, extract))),
    nullable(variadic(function("jsonb_extract_path_text", &[Jsonb, TextArray], Text, extract_text))),
    nullable(variadic(function("json_extract_path", &[Json, TextArray], Json, extract))),
    nullable(variadic(function("json_extract_path_text", &[Json, TextArray], Text, extract_text))),
];

/// Deeper values are refused; the comparison goes as deep.
const DEEPEST: usize = 500;

fn contains<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    whole_contains(&text(args, 0)?, &text(args, 1)?).map(Value::Bool)
}

fn contained<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    whole_contains(&text(args, 1)?, &text(args, 0)?).map(Value::Bool)
}

fn is_scalar(kind: JsonKind) -> bool {
    !matches!(kind, JsonKind::Object | JsonKind::Array)
}

fn whole_contains(whole: &str, part: &str) -> Result<bool, EvalError> {
    match (json::kind(whole), json::kind(part)) {
        (of, part_of) if is_scalar(of) => Ok(is_scalar(part_of) && same_scalar(whole, part)),
        (JsonKind::Array, part_of) if is_scalar(part_of) => Ok(has_scalar(whole, part)),
        _ => deep_contains(whole, part, 0),
    }
}

fn same_scalar(a: &str, b: &str) -> bool {
    a == b
        || json::kind(a) == JsonKind::Number
            && json::kind(b) == JsonKind::Number
            && without_scale(a) == without_scale(b)
}

fn has_scalar(list: &str, scalar: &str) -> bool {
    json::parts(list).any(|(_, element)| same_scalar(element, scalar))
}

/// Of two containers.
fn deep_contains(whole: &str, part: &str, depth: usize) -> Result<bool, EvalError> {
    if depth > DEEPEST {
        return Err(error("0A000", "so deep a jsonb value is not compared"));
    }
    let kind = json::kind(whole);
    if kind != json::kind(part) {
        return Ok(false);
    }
    for (key, wanted) in json::parts(part) {
        let wanted_kind = json::kind(wanted);
        let holds = if kind == JsonKind::Object {
            match json::member(whole, &json::unquote(key)) {
                None => false,
                Some(value) if is_scalar(wanted_kind) => same_scalar(value, wanted),
                Some(value) => deep_contains(value, wanted, depth + 1)?,
            }
        } else if is_scalar(wanted_kind) {
            has_scalar(whole, wanted)
        } else {
            let mut any = false;
            for (_, element) in json::parts(whole).filter(|(_, e)| json::kind(e) == wanted_kind) {
                if deep_contains(element, wanted, depth + 1)? {
                    any = true;
                    break;
                }
            }
            any
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_key(whole: &str, key: &str) -> bool {
    let is = |v: &str| v.starts_with('"') && json::unquote(v) == key;
    match json::kind(whole) {
        JsonKind::Object => json::member(whole, key).is_some(),
        JsonKind::Array => json::parts(whole).any(|(_, v)| is(v)),
        _ => is(whole),
    }
}

fn exists_any<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, keys) = (text(args, 0)?, texts(&text(args, 1)?)?);
    Ok(Value::Bool(keys.iter().flatten().any(|key| has_key(&whole, key))))
}

fn exists_all<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, keys) = (text(args, 0)?, texts(&text(args, 1)?)?);
    Ok(Value::Bool(keys.iter().flatten().all(|key| has_key(&whole, key))))
}

/// The steps that are arguments of their own, as the array that `#>` takes.
fn steps<'a>(args: &mut [Value<'a>]) -> Result<[Value<'a>; 2], EvalError> {
    let mut list = String::from("{");
    for i in 1..args.len() {
        if i > 1 {
            list.push(',');
        }
        array::push_element(Some(&text(args, i)?), &mut list);
    }
    list.push('}');
    Ok([std::mem::replace(&mut args[0], Value::Null), Value::Array(Cow::Owned(list))])
}

fn extract<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    path(call, &mut steps(args)?)
}

fn extract_text<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    path_text(call, &mut steps(args)?)
}
