//! Text: joining, measuring, searching and replacing. Characters are code points.
//!
//! Source of truth: `varlena.c` and `oracle_compat.c` of PostgreSQL, compared with the server in
//! `tests/real/function_text.rs`.

use md5::{Digest, Md5};

use super::Arg::{Any, Bpchar, Bytea, Int4, Int8, Name, Other, Text};
use super::declare::*;
use super::{Arg, Call, EvalError, Function};
use crate::catalogue::{ColumnType, Type};
use crate::datum::{self, Value};

const BITS: &str = "bit strings are held as text only; cast the column to text";
const PLACE: &str = "only text can be overlaid; write overlay(x::text placing y from n)";

pub static FUNCTIONS: &[Function] = &[
    operator("||", &[Text, Text], Text, concat_text),
    stable(operator("||", &[Text, Other("anynonarray")], Text, concat_any)),
    stable(operator("||", &[Other("anynonarray"), Text], Text, concat_any)),
    operator("||", &[Bytea, Bytea], Bytea, concat_bytea),
    refused_operator("||", &[Other("varbit"), Other("varbit")], Other("varbit"), BITS),
    refused_operator("||", &[Other("tsvector"), Other("tsvector")], Other("tsvector"), "tsvector is not supported"),
    refused_operator("||", &[Other("tsquery"), Other("tsquery")], Other("tsquery"), "tsquery is not supported"),
    stable(lenient(variadic(function("concat", &[Any], Text, concat)))),
    stable(nullable(lenient(variadic(function("concat_ws", &[Text, Any], Text, concat_ws))))),
    function("length", &[Text], Int4, length),
    function("length", &[Bpchar], Int4, length_bpchar),
    function("length", &[Bytea], Int4, length_bytea),
    stable(refused("length", &[Bytea, Name], Int4, "write length(convert_from(x, 'UTF8')) in a view, or length(x)")),
    refused("length", &[Other("bit")], Int4, BITS),
    refused("length", &[Other("lseg")], Arg::Float8, "geometric types are not supported"),
    refused("length", &[Other("path")], Arg::Float8, "geometric types are not supported"),
    refused("length", &[Other("tsvector")], Int4, "tsvector is not supported"),
    function("char_length", &[Text], Int4, length),
    function("char_length", &[Bpchar], Int4, length_bpchar),
    function("character_length", &[Text], Int4, length),
    function("character_length", &[Bpchar], Int4, length_bpchar),
    function("octet_length", &[Text], Int4, octet_length),
    function("octet_length", &[Bpchar], Int4, octet_length),
    function("octet_length", &[Bytea], Int4, length_bytea),
    refused("octet_length", &[Other("bit")], Int4, BITS),
    function("bit_length", &[Text], Int4, bit_length),
    function("bit_length", &[Bytea], Int4, bit_length_bytea),
    refused("bit_length", &[Other("bit")], Int4, BITS),
    function("strpos", &[Text, Text], Int4, strpos),
    function("position", &[Text, Text], Int4, strpos),
    function("position", &[Bytea, Bytea], Int4, position_bytea),
    refused("position", &[Other("bit"), Other("bit")], Int4, BITS),
    function("replace", &[Text, Text, Text], Text, replace),
    function("translate", &[Text, Text, Text], Text, translate),
    function("reverse", &[Text], Text, reverse),
    function("repeat", &[Text, Int4], Text, repeat),
    function("starts_with", &[Text, Text], Arg::Bool, starts_with),
    operator("^@", &[Text, Text], Arg::Bool, starts_with),
    function("ascii", &[Text], Int4, ascii),
    function("chr", &[Int4], Text, chr),
    function("md5", &[Text], Text, md5_text),
    function("md5", &[Bytea], Text, md5_bytea),
    function("to_hex", &[Int4], Text, to_hex_int4),
    function("to_hex", &[Int8], Text, to_hex_int8),
    refused("overlay", &[Bytea, Bytea, Int4, Int4], Bytea, PLACE),
    refused("overlay", &[Bytea, Bytea, Int4], Bytea, PLACE),
    refused("overlay", &[Other("bit"), Other("bit"), Int4, Int4], Other("bit"), PLACE),
    refused("overlay", &[Other("bit"), Other("bit"), Int4], Other("bit"), PLACE),
];

/// What `repeat` and `lpad` may build: PostgreSQL's `MaxAllocSize`, less the header of a value.
pub(super) const LONGEST: u64 = 0x3fff_ffff - 4;

pub(super) fn too_long() -> EvalError {
    error("54000", "requested length too large")
}

fn concat_text<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let left = text(args, 0)?;
    let right = text(args, 1)?;
    if left.len() as u64 + right.len() as u64 > LONGEST {
        return Err(error("54000", "the text would be longer than 1 GB"));
    }
    let mut joined = left.into_owned();
    joined.push_str(&right);
    owned(joined)
}

/// One side is text, the other anything: that side is *cast* to text, so `true` is `true` here.
fn concat_any<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut joined = String::new();
    for (i, value) in args.iter().enumerate() {
        push_cast(arg_type(call, i)?, value, &mut joined);
    }
    owned(joined)
}

/// A value cast to text.
pub(super) fn push_cast(ty: &ColumnType, value: &Value<'_>, out: &mut String) {
    match (&ty.ty, value) {
        (Type::Bool, Value::Bool(b)) => out.push_str(if *b { "true" } else { "false" }),
        (Type::Bpchar, Value::Text(t)) => out.push_str(t.trim_end_matches(' ')),
        (_, value) => datum::write(ty, value, out),
    }
}

fn concat_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut joined = bytea(args, 0)?.into_owned();
    joined.extend_from_slice(&bytea(args, 1)?);
    Ok(Value::Bytea(joined.into()))
}

/// Each argument by its output function; NULLs are skipped.
fn concat<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut joined = String::new();
    for (i, value) in args.iter().enumerate() {
        if !matches!(value, Value::Null) {
            datum::write(arg_type(call, i)?, value, &mut joined);
        }
    }
    owned(joined)
}

fn concat_ws<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    if matches!(args.first(), None | Some(Value::Null)) {
        return Ok(Value::Null);
    }
    let between = text(args, 0)?;
    let mut joined = String::new();
    let mut first = true;
    for (i, value) in args.iter().enumerate().skip(1) {
        if matches!(value, Value::Null) {
            continue;
        }
        if !first {
            joined.push_str(&between);
        }
        first = false;
        datum::write(arg_type(call, i)?, value, &mut joined);
    }
    owned(joined)
}

fn count(n: usize) -> Result<Value<'static>, EvalError> {
    i32::try_from(n).map(|n| Value::Int(n.into())).map_err(|_| error("22003", "integer out of range"))
}

fn length<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    count(text(args, 0)?.chars().count())
}

fn length_bpchar<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    count(text(args, 0)?.trim_end_matches(' ').chars().count())
}

fn length_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    count(bytea(args, 0)?.len())
}

fn octet_length<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    count(text(args, 0)?.len())
}

fn bit_length<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    count(text(args, 0)?.len() * 8)
}

fn bit_length_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    count(bytea(args, 0)?.len() * 8)
}

fn strpos<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (within, sought) = (text(args, 0)?, text(args, 1)?);
    match within.find(sought.as_ref()) {
        Some(at) => count(within[..at].chars().count() + 1),
        None => Ok(Value::Int(0)),
    }
}

fn position_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (within, sought) = (bytea(args, 0)?, bytea(args, 1)?);
    if sought.is_empty() {
        return Ok(Value::Int(1));
    }
    count(within.windows(sought.len()).position(|w| w == sought.as_ref()).map_or(0, |at| at + 1))
}

fn replace<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (within, from, to) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
    if from.is_empty() || !within.contains(from.as_ref()) {
        return Ok(Value::Text(within));
    }
    owned(within.replace(from.as_ref(), &to))
}

fn translate<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (within, from, to) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
    let translated = within.chars().filter_map(|c| match from.chars().position(|f| f == c) {
        Some(at) => to.chars().nth(at),
        None => Some(c),
    });
    owned(translated.collect::<String>())
}

fn reverse<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    owned(text(args, 0)?.chars().rev().collect::<String>())
}

fn repeat<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (unit, times) = (text(args, 0)?, int(args, 1)?);
    let times = u64::try_from(times).unwrap_or(0);
    if (unit.len() as u64).checked_mul(times).is_none_or(|n| n > LONGEST) {
        return Err(too_long());
    }
    owned(unit.repeat(times as usize * usize::from(!unit.is_empty())))
}

fn starts_with<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Bool(text(args, 0)?.starts_with(text(args, 1)?.as_ref())))
}

fn ascii<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Int(text(args, 0)?.chars().next().map_or(0, |c| i64::from(u32::from(c)))))
}

fn chr<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    match int(args, 0)? {
        ..0 => Err(error("22023", "character number must be positive")),
        0 => Err(error("54000", "null character not permitted")),
        n => match u32::try_from(n).ok().and_then(char::from_u32) {
            Some(c) => owned(c),
            None => Err(error("54000", "requested character not valid for encoding")),
        },
    }
}

fn md5_of<'a>(bytes: &[u8]) -> Result<Value<'a>, EvalError> {
    let mut hex = String::with_capacity(32);
    hex_into(&Md5::digest(bytes), &mut hex);
    owned(hex)
}

pub(super) fn hex_into(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
}

fn md5_text<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    md5_of(text(args, 0)?.as_bytes())
}

fn md5_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    md5_of(&bytea(args, 0)?)
}

/// Two's complement, as wide as the type.
fn to_hex_int4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    owned(format!("{:x}", int(args, 0)? as i32))
}

fn to_hex_int8<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    owned(format!("{:x}", int(args, 0)?))
}
