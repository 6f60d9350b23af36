//! jsonb with a part set, put in or left out: `jsonb_set`, `jsonb_insert`, `-`, `#-`, `jsonb_strip_nulls`.
//!
//! Source of truth: `setPath` and `jsonb_delete` of PostgreSQL. Values are copied as they stand: jsonb's output form.

use std::borrow::Cow;

use super::Arg::{Bool, Int4, Jsonb, Text, TextArray};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::json::{self, Builder, JsonKind};
use crate::datum::{Value, array};

pub static FUNCTIONS: &[Function] = &[
    // The server has one with a default for the last.
    function("jsonb_set", &[Jsonb, TextArray, Jsonb], Jsonb, set),
    function("jsonb_set", &[Jsonb, TextArray, Jsonb, Bool], Jsonb, set),
    function("jsonb_insert", &[Jsonb, TextArray, Jsonb], Jsonb, insert),
    function("jsonb_insert", &[Jsonb, TextArray, Jsonb, Bool], Jsonb, insert),
    operator("#-", &[Jsonb, TextArray], Jsonb, delete_path),
    operator("-", &[Jsonb, Text], Jsonb, delete_key),
    operator("-", &[Jsonb, TextArray], Jsonb, delete_keys),
    operator("-", &[Jsonb, Int4], Jsonb, delete_element),
    function("jsonb_strip_nulls", &[Jsonb], Jsonb, strip_nulls),
    function("jsonb_pretty", &[Jsonb], Text, pretty),
];

/// Longer paths are refused; the walk goes as deep.
const DEEPEST: usize = 200;

/// What happens at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Set, made where it is missing.
    Create,
    Replace,
    Delete,
    Before,
    After,
}

impl Change {
    fn makes(self) -> bool {
        matches!(self, Change::Create | Change::Before | Change::After)
    }
}

fn jsonb<'a>(text: impl Into<Cow<'a, str>>) -> Result<Value<'a>, EvalError> {
    Ok(Value::Jsonb(text.into()))
}

fn is_scalar(whole: &str) -> bool {
    !matches!(json::kind(whole), JsonKind::Object | JsonKind::Array)
}

fn flag(args: &[Value<'_>], i: usize) -> Option<bool> {
    match args.get(i) {
        Some(Value::Bool(b)) => Some(*b),
        _ => None,
    }
}

/// The elements of a `text[]` of one dimension.
pub(super) fn texts(list: &str) -> Result<Vec<Option<String>>, EvalError> {
    let malformed = || error("XX000", "a text[] is not in its output form");
    let elements = array::elements(list.as_bytes()).map_err(|_| malformed())?;
    if elements.dimensions() > 1 {
        return Err(error("2202E", "wrong number of array subscripts"));
    }
    elements
        .map(|element| match element.map_err(|_| malformed())? {
            Some(bytes) => String::from_utf8(bytes.into_owned()).map(Some).map_err(|_| malformed()),
            None => Ok(None),
        })
        .collect()
}

fn set<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let create = flag(args, 3).unwrap_or(true);
    change(args, if create { Change::Create } else { Change::Replace }, "cannot set path in scalar")
}

fn insert<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let after = flag(args, 3).unwrap_or(false);
    change(args, if after { Change::After } else { Change::Before }, "cannot set path in scalar")
}

fn delete_path<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    change(args, Change::Delete, "cannot delete path in scalar")
}

fn change<'a>(args: &mut [Value<'a>], change: Change, scalar: &'static str) -> Result<Value<'a>, EvalError> {
    let path = texts(&text(args, 1)?)?;
    let whole = text(args, 0)?;
    if is_scalar(&whole) {
        return Err(error("22023", scalar));
    }
    let empty = json::parts(&whole).next().is_none();
    if path.is_empty() || empty && !change.makes() {
        return jsonb(whole);
    }
    if path.len() > DEEPEST {
        return Err(error("0A000", "so long a path is not walked"));
    }
    let new = if args.len() > 2 { text(args, 2)? } else { Cow::Borrowed("") };
    let walk = Walk { path: &path, new: &new, change };
    let mut out = String::with_capacity(whole.len() + new.len());
    walk.value(&whole, 0, &mut out)?;
    jsonb(out)
}

struct Walk<'w> {
    path: &'w [Option<String>],
    new: &'w str,
    change: Change,
}

impl Walk<'_> {
    fn value(&self, part: &str, level: usize, out: &mut String) -> Result<(), EvalError> {
        let Some(step) = &self.path[level] else {
            return Err(error("22004", format!("path element at position {} is null", level + 1)));
        };
        match json::kind(part) {
            JsonKind::Object => self.object(part, step, level, out),
            JsonKind::Array => self.array(part, step, level, out),
            _ => {
                out.push_str(part);
                Ok(())
            }
        }
    }

    fn is_last(&self, level: usize) -> bool {
        level + 1 == self.path.len()
    }

    fn object(&self, part: &str, step: &str, level: usize, out: &mut String) -> Result<(), EvalError> {
        let mut builder = Builder::new(std::mem::take(out));
        builder.open_object();
        let mut found = false;
        for (key, value) in json::parts(part) {
            let key = json::unquote(key);
            if key != step {
                builder.key(&key);
                builder.out.push_str(value);
                builder.end_member();
                continue;
            }
            found = true;
            match self.change {
                Change::Before | Change::After if self.is_last(level) => {
                    return Err(error("22023", "cannot replace existing key"));
                }
                Change::Delete if self.is_last(level) => {}
                _ => {
                    builder.key(&key);
                    if self.is_last(level) {
                        builder.out.push_str(self.new);
                    } else {
                        self.value(value, level + 1, &mut builder.out)?;
                    }
                    builder.end_member();
                }
            }
        }
        if !found && self.is_last(level) && self.change.makes() {
            builder.key(step);
            builder.out.push_str(self.new);
            builder.end_member();
        }
        builder.close_object();
        *out = builder.out;
        Ok(())
    }

    fn array(&self, part: &str, step: &str, level: usize, out: &mut String) -> Result<(), EvalError> {
        let count = json::parts(part).count() as i64;
        // As C's strtol reads it.
        let digits = step.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
        let at = digits
            .parse::<i32>()
            .map(i64::from)
            .map_err(|_| error("22P02", format!("path element at position {} is not an integer", level + 1)))?;
        // Before the first, or the place of an element; the end where there is none.
        let at = if at < 0 { (at + count >= 0).then_some(at + count) } else { Some(at.min(count)) };
        let (last, makes) = (self.is_last(level), self.change.makes());
        let mut list = List { out, any: false };
        list.out.push('[');
        let mut done = false;
        if last && makes && (at.is_none() || count == 0) {
            list.push(self.new);
            done = true;
        }
        for (i, (_, element)) in json::parts(part).enumerate() {
            if at != Some(i as i64) {
                list.push(element);
                continue;
            }
            done = true;
            if !last {
                list.comma();
                self.value(element, level + 1, list.out)?;
                continue;
            }
            if matches!(self.change, Change::Before | Change::Create | Change::Replace) {
                list.push(self.new);
            }
            if matches!(self.change, Change::Before | Change::After) {
                list.push(element);
            }
            if self.change == Change::After {
                list.push(self.new);
            }
        }
        if makes && !done && last {
            list.push(self.new);
        }
        list.out.push(']');
        Ok(())
    }
}

/// An array that is written.
struct List<'o> {
    out: &'o mut String,
    any: bool,
}

impl List<'_> {
    fn comma(&mut self) {
        if std::mem::replace(&mut self.any, true) {
            self.out.push_str(", ");
        }
    }

    fn push(&mut self, element: &str) {
        self.comma();
        self.out.push_str(element);
    }
}

/// Members whose key, or elements that are a string, for which `keep` says no are left out.
fn without<'a>(whole: Cow<'a, str>, leave_out: impl Fn(&str) -> bool) -> Result<Value<'a>, EvalError> {
    match json::kind(&whole) {
        JsonKind::Object => {
            let mut builder = Builder::new(String::new());
            builder.open_object();
            for (key, value) in json::parts(&whole) {
                let key = json::unquote(key);
                if !leave_out(&key) {
                    builder.key(&key);
                    builder.out.push_str(value);
                    builder.end_member();
                }
            }
            builder.close_object();
            jsonb(builder.out)
        }
        JsonKind::Array => {
            let mut out = String::from("[");
            let mut list = List { out: &mut out, any: false };
            for (_, element) in json::parts(&whole) {
                if json::kind(element) != JsonKind::String || !leave_out(&json::unquote(element)) {
                    list.push(element);
                }
            }
            out.push(']');
            jsonb(out)
        }
        _ => Err(error("22023", "cannot delete from scalar")),
    }
}

fn delete_key<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let key = text(args, 1)?;
    without(text(args, 0)?, |k| k == key)
}

fn delete_keys<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let keys = texts(&text(args, 1)?)?;
    without(text(args, 0)?, |k| keys.iter().flatten().any(|key| key == k))
}

fn delete_element<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, at) = (text(args, 0)?, int(args, 1)?);
    match json::kind(&whole) {
        JsonKind::Array => {}
        JsonKind::Object => return Err(error("22023", "cannot delete from object using integer index")),
        _ => return Err(error("22023", "cannot delete from scalar")),
    }
    let at = if at < 0 { at + json::parts(&whole).count() as i64 } else { at };
    let mut out = String::from("[");
    let mut list = List { out: &mut out, any: false };
    for (i, (_, element)) in json::parts(&whole).enumerate() {
        if i as i64 != at {
            list.push(element);
        }
    }
    out.push(']');
    jsonb(out)
}

/// Tokens of jsonb's output form: marks, and runs of everything else; strings are one run.
fn tokens(whole: &str) -> impl Iterator<Item = &str> {
    let mut rest = whole;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        let first = *rest.as_bytes().first()?;
        let end = match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => {
                let mut escaped = false;
                let end = rest.bytes().skip(1).position(|b| {
                    let ends = b == b'"' && !escaped;
                    escaped = b == b'\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            _ => rest.find(['}', ']', ',']).unwrap_or(rest.len()),
        };
        let (token, tail) = rest.split_at(end);
        rest = tail;
        Some(token)
    })
}

/// Members that are null are left out, at every depth; elements stay.
fn strip_nulls<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let mut out = String::with_capacity(whole.len());
    let mut key: Option<&str> = None;
    let mut tokens = tokens(&whole).peekable();
    while let Some(token) = tokens.next() {
        match token {
            "," | ":" => continue,
            "}" | "]" => out.push_str(token),
            _ if tokens.peek() == Some(&":") => key = Some(token),
            "null" if key.is_some() => key = None,
            _ => {
                if !out.is_empty() && !out.ends_with(['{', '[']) {
                    out.push_str(", ");
                }
                if let Some(key) = key.take() {
                    out.push_str(key);
                    out.push_str(": ");
                }
                out.push_str(token);
            }
        }
    }
    jsonb(out)
}

fn pretty<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let mut out = String::with_capacity(whole.len() * 2);
    let mut depth = 0usize;
    // A new line stands in front of a value or key, but for the first and what follows its key.
    let mut line = false;
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    for token in tokens(&whole) {
        match token {
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push_str(token);
                line = false;
            }
            "," => {
                out.push(',');
                line = true;
            }
            ":" => out.push_str(": "),
            _ => {
                if std::mem::replace(&mut line, false) {
                    newline(&mut out, depth);
                }
                out.push_str(token);
                if matches!(token, "{" | "[") {
                    depth += 1;
                    line = true;
                }
            }
        }
    }
    owned(out)
}
