//! LIKE and ILIKE, and the ESCAPE clause as the function `like_escape` that PostgreSQL makes of it.
//!
//! A pattern that ends in its escape character is an error only where matching comes to it, as on the server.

use std::borrow::Cow;

use super::Arg::{Bool, Bpchar, Bytea, Name, Text};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::Value;

const SIMILAR: &str = "SIMILAR TO is a regular expression; use LIKE, or several of them with OR";

pub static FUNCTIONS: &[Function] = &[
    operator("~~", &[Text, Text], Bool, like),
    operator("~~", &[Bpchar, Text], Bool, like),
    operator("~~", &[Name, Text], Bool, like),
    operator("~~", &[Bytea, Bytea], Bool, like_bytea),
    operator("!~~", &[Text, Text], Bool, not_like),
    operator("!~~", &[Bpchar, Text], Bool, not_like),
    operator("!~~", &[Name, Text], Bool, not_like),
    operator("!~~", &[Bytea, Bytea], Bool, not_like_bytea),
    operator("~~*", &[Text, Text], Bool, ilike),
    operator("~~*", &[Bpchar, Text], Bool, ilike),
    operator("~~*", &[Name, Text], Bool, ilike),
    operator("!~~*", &[Text, Text], Bool, not_ilike),
    operator("!~~*", &[Bpchar, Text], Bool, not_ilike),
    operator("!~~*", &[Name, Text], Bool, not_ilike),
    function("like", &[Text, Text], Bool, like),
    function("like", &[Name, Text], Bool, like),
    function("like", &[Bytea, Bytea], Bool, like_bytea),
    function("notlike", &[Text, Text], Bool, not_like),
    function("notlike", &[Name, Text], Bool, not_like),
    function("notlike", &[Bytea, Bytea], Bool, not_like_bytea),
    function("like_escape", &[Text, Text], Text, like_escape),
    refused("like_escape", &[Bytea, Bytea], Bytea, "ESCAPE is for text; compare bytea with = or LIKE"),
    refused("similar_to_escape", &[Text], Text, SIMILAR),
    refused("similar_to_escape", &[Text, Text], Text, SIMILAR),
];

/// Does `text` match `pattern`? Bytes are enough: in UTF-8 no character begins inside another. `wide` says that `_` is
/// a whole character. Only the last `%` can need another try, so nothing recurses.
pub fn matches(text: &[u8], pattern: &[u8], wide: bool) -> Result<bool, EvalError> {
    let step = |t: usize| {
        let mut next = t + 1;
        while wide && next < text.len() && text[next] & 0xc0 == 0x80 {
            next += 1;
        }
        next
    };
    let trailing = || error("22025", "LIKE pattern must not end with escape character");
    // The pattern after the last `%`, and the first position of the text not yet tried for it.
    let mut retry: Option<(usize, usize)> = None;
    let (mut t, mut p) = (0, 0);
    loop {
        let matched = if t == text.len() {
            // No text is left: only `%` can still match, and no other try could leave more.
            return Ok(pattern[p..].iter().all(|&b| b == b'%'));
        } else if p == pattern.len() {
            false
        } else if pattern[p] == b'%' {
            while p < pattern.len() && matches!(pattern[p], b'%' | b'_') {
                if pattern[p] == b'_' {
                    if t == text.len() {
                        return Ok(false);
                    }
                    t = step(t);
                }
                p += 1;
            }
            if p == pattern.len() {
                return Ok(true);
            }
            if pattern[p] == b'\\' && p + 1 == pattern.len() {
                return Err(trailing());
            }
            retry = Some((p, t));
            false
        } else if pattern[p] == b'_' {
            t = step(t);
            p += 1;
            true
        } else {
            if pattern[p] == b'\\' {
                p += 1;
                if p == pattern.len() {
                    return Err(trailing());
                }
            }
            let same = pattern[p] == text[t];
            t += 1;
            p += 1;
            same
        };
        if matched {
            continue;
        }
        let Some((after, mut from)) = retry else { return Ok(false) };
        let first = if pattern[after] == b'\\' { pattern[after + 1] } else { pattern[after] };
        while from < text.len() && text[from] != first {
            from = step(from);
        }
        if from >= text.len() {
            return Ok(false);
        }
        (t, p) = (from, after);
        retry = Some((after, step(from)));
    }
}

fn like_text(args: &mut [Value<'_>]) -> Result<bool, EvalError> {
    matches(text(args, 0)?.as_bytes(), text(args, 1)?.as_bytes(), true)
}

/// PostgreSQL lower-cases text and pattern as a whole first, in every encoding with characters of several bytes.
fn ilike_text(call: &Call<'_>, args: &mut [Value<'_>]) -> Result<bool, EvalError> {
    let case = &call.context.case;
    let (within, pattern) = (case.lower_text(&text(args, 0)?), case.lower_text(&text(args, 1)?));
    matches(within.as_bytes(), pattern.as_bytes(), true)
}

fn like<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    like_text(args).map(Value::Bool)
}

fn not_like<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    like_text(args).map(|m| Value::Bool(!m))
}

fn ilike<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    ilike_text(call, args).map(Value::Bool)
}

fn not_ilike<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    ilike_text(call, args).map(|m| Value::Bool(!m))
}

fn like_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    matches(&bytea(args, 0)?, &bytea(args, 1)?, false).map(Value::Bool)
}

fn not_like_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    matches(&bytea(args, 0)?, &bytea(args, 1)?, false).map(|m| Value::Bool(!m))
}

/// The pattern with the backslash in the place of the escape character; an empty one: nothing escapes.
fn like_escape<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (pattern, escape) = (text(args, 0)?, text(args, 1)?);
    let mut characters = escape.chars();
    let escape = match (characters.next(), characters.next()) {
        (None, _) => return owned(pattern.replace('\\', "\\\\")),
        (Some('\\'), None) => return Ok(Value::Text(Cow::Owned(pattern.into_owned()))),
        (Some(c), None) => c,
        _ => return Err(error("22025", "invalid escape string")),
    };
    let mut rewritten = String::with_capacity(pattern.len() + 2);
    let mut escaped = false;
    for c in pattern.chars() {
        if c == escape && !escaped {
            rewritten.push('\\');
            escaped = true;
            continue;
        }
        if c == '\\' && !escaped {
            rewritten.push('\\');
        }
        rewritten.push(c);
        escaped = false;
    }
    owned(rewritten)
}
