//! inet and cidr, which are held by their text: the address, and `/n` where the mask is shorter than it. cidr always
//! has it.

use std::borrow::Cow;

use super::Arg::{Bool, Bpchar, Int4, Other, Text, Varchar};
use super::CastContext::{Assignment, Implicit};
use super::cast::{cast, sized};
use super::declare::*;
use super::{Arg, Call, EvalError, Function};
use crate::datum::Value;

const INET: Arg = Other("inet");
const CIDR: Arg = Other("cidr");
const ORDER: &str = "addresses are not ordered here; compare with =, or order them in the consumer";

pub static FUNCTIONS: &[Function] = &[
    function("host", &[INET], Text, host),
    function("masklen", &[INET], Int4, masklen),
    function("family", &[INET], Int4, family),
    function("text", &[INET], Text, with_mask),
    cast("inet->text", &[INET], Text, Assignment, with_mask),
    cast("inet->varchar", &[INET], Varchar, Assignment, with_mask),
    cast("inet->bpchar", &[INET], Bpchar, Assignment, with_mask),
    cast("cidr->text", &[CIDR], Text, Assignment, with_mask),
    cast("cidr->varchar", &[CIDR], Varchar, Assignment, with_mask),
    cast("cidr->bpchar", &[CIDR], Bpchar, Assignment, with_mask),
    cast("cidr->inet", &[CIDR], INET, Implicit, cidr_to_inet),
    operator("=", &[INET, INET], Bool, equal),
    operator("<>", &[INET, INET], Bool, differ),
    refused_operator("<", &[INET, INET], Bool, ORDER),
    refused_operator("<=", &[INET, INET], Bool, ORDER),
    refused_operator(">", &[INET, INET], Bool, ORDER),
    refused_operator(">=", &[INET, INET], Bool, ORDER),
];

fn is_v6(address: &str) -> bool {
    address.contains(':')
}

fn longest(address: &str) -> &'static str {
    if is_v6(address) { "128" } else { "32" }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, longest(text)))
}

fn host<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let end = split(&whole).0.len();
    Ok(Value::Text(match whole {
        Cow::Borrowed(whole) => Cow::Borrowed(&whole[..end]),
        Cow::Owned(mut whole) => {
            whole.truncate(end);
            Cow::Owned(whole)
        }
    }))
}

fn masklen<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let bits = split(&whole).1.parse().map_err(|_| error("XX000", "an inet is not in its output form"))?;
    Ok(Value::Int(bits))
}

fn family<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Int(if is_v6(&text(args, 0)?) { 6 } else { 4 }))
}

fn with_mask<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let (address, bits) = split(&whole);
    Ok(Value::Text(sized(call, Cow::Owned(format!("{address}/{bits}")))))
}

fn cidr_to_inet<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let (address, bits) = split(&whole);
    if bits == longest(address) { owned(address) } else { Ok(Value::Text(whole)) }
}

fn same(args: &mut [Value<'_>]) -> Result<bool, EvalError> {
    let (a, b) = (text(args, 0)?, text(args, 1)?);
    Ok(split(&a) == split(&b))
}

fn equal<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    same(args).map(Value::Bool)
}

fn differ<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    same(args).map(|same| Value::Bool(!same))
}
