//! Parts of json and jsonb, their kinds, and jsonb joined and compared.

use std::borrow::Cow;

use super::Arg::{Bool, Int4, Json, Jsonb, Text, TextArray};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::json::{self, Builder, JsonError, JsonKind};
use crate::datum::{DatumError, Value, array};

pub static FUNCTIONS: &[Function] = &[
    nullable(operator("->", &[Json, Text], Json, field)),
    nullable(operator("->", &[Json, Int4], Json, element)),
    nullable(operator("->", &[Jsonb, Text], Jsonb, field)),
    nullable(operator("->", &[Jsonb, Int4], Jsonb, element)),
    nullable(operator("->>", &[Json, Text], Text, field_text)),
    nullable(operator("->>", &[Json, Int4], Text, element_text)),
    nullable(operator("->>", &[Jsonb, Text], Text, field_text)),
    nullable(operator("->>", &[Jsonb, Int4], Text, element_text)),
    nullable(operator("#>", &[Json, TextArray], Json, path)),
    nullable(operator("#>", &[Jsonb, TextArray], Jsonb, path)),
    nullable(operator("#>>", &[Json, TextArray], Text, path_text)),
    nullable(operator("#>>", &[Jsonb, TextArray], Text, path_text)),
    operator("?", &[Jsonb, Text], Bool, exists),
    function("jsonb_exists", &[Jsonb, Text], Bool, exists),
    operator("||", &[Jsonb, Jsonb], Jsonb, concat),
    operator("=", &[Jsonb, Jsonb], Bool, equal),
    operator("<>", &[Jsonb, Jsonb], Bool, not_equal),
    function("json_typeof", &[Json], Text, type_of),
    function("jsonb_typeof", &[Jsonb], Text, type_of),
    function("json_array_length", &[Json], Int4, array_length),
    function("jsonb_array_length", &[Jsonb], Int4, array_length),
];

pub(super) fn raised(e: JsonError) -> EvalError {
    error(e.sqlstate(), e.to_string())
}

/// A json or jsonb argument, and whether it is jsonb.
fn document<'a>(args: &mut [Value<'a>]) -> Result<(Cow<'a, str>, bool), EvalError> {
    let binary = matches!(args.first(), Some(Value::Jsonb(_)));
    let text = text(args, 0)?;
    if !binary {
        json::check_escapes(&text).map_err(raised)?;
    }
    Ok((text, binary))
}

/// What was found in `whole`, borrowed where the whole is.
fn found<'a>(whole: &Cow<'a, str>, part: Option<&str>) -> Option<Cow<'a, str>> {
    let part = part?;
    let from = part.as_ptr() as usize - whole.as_ptr() as usize;
    Some(match whole {
        Cow::Borrowed(whole) => Cow::Borrowed(&whole[from..from + part.len()]),
        Cow::Owned(_) => Cow::Owned(part.to_owned()),
    })
}

fn as_json<'a>(part: Option<Cow<'a, str>>, binary: bool) -> Value<'a> {
    match part {
        None => Value::Null,
        Some(part) if binary => Value::Jsonb(part),
        Some(part) => Value::Json(part),
    }
}

/// A string without its quotes; json's null as NULL; anything else as it is written.
fn as_text<'a>(part: Option<Cow<'a, str>>) -> Value<'a> {
    let Some(part) = part else { return Value::Null };
    match json::kind(&part) {
        JsonKind::Null => Value::Null,
        JsonKind::String => Value::Text(match part {
            Cow::Borrowed(p) => json::unquote(p.trim_start()),
            Cow::Owned(p) => Cow::Owned(json::unquote(p.trim_start()).into_owned()),
        }),
        _ => Value::Text(part),
    }
}

fn find_field<'a>(args: &mut [Value<'a>]) -> Result<(Option<Cow<'a, str>>, bool), EvalError> {
    let (whole, binary) = document(args)?;
    let key = text(args, 1)?;
    Ok((found(&whole, json::member(&whole, &key)), binary))
}

fn find_element<'a>(args: &mut [Value<'a>]) -> Result<(Option<Cow<'a, str>>, bool), EvalError> {
    let (whole, binary) = document(args)?;
    let index = int(args, 1)?;
    // A scalar jsonb is stored as an array of one.
    let scalar = binary && !matches!(json::kind(&whole), JsonKind::Object | JsonKind::Array);
    let part =
        if scalar { (index == 0 || index == -1).then_some(whole.as_ref()) } else { json::element(&whole, index) };
    Ok((found(&whole, part), binary))
}

fn find_path<'a>(args: &mut [Value<'a>]) -> Result<(Option<Cow<'a, str>>, bool), EvalError> {
    let path = text(args, 1)?;
    // Looked at before the value is: its errors do not count then.
    for step in array::elements(path.as_bytes()).map_err(malformed)? {
        if step.map_err(malformed)?.is_none() {
            return Ok((None, false));
        }
    }
    let (whole, binary) = document(args)?;
    // What stands before a container it leaves out, before a scalar it does not.
    const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];
    let start = match json::kind(&whole) {
        JsonKind::Object | JsonKind::Array => whole.trim_start_matches(BLANKS),
        _ => whole.as_ref(),
    };
    let start = start.trim_end_matches(BLANKS);
    let steps = array::elements(path.as_bytes()).map_err(malformed)?;
    let part =
        if binary || !counts_back(steps.clone())? { descend(start, steps)? } else { CountingBack::find(start, steps)? };
    Ok((found(&whole, part), binary))
}

/// Whether an index behind the first counts from the end.
fn counts_back(steps: array::Elements<'_>) -> Result<bool, EvalError> {
    for step in steps.skip(1) {
        let step = step.map_err(malformed)?.unwrap_or_default();
        if step.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'-') {
            return Ok(true);
        }
    }
    Ok(false)
}

/// json (not jsonb) is searched while it is read: an index that counts from the end becomes one from the front at the
/// first array of its depth that is long enough, wherever that stands, and stays it. `'[[1,2],[3]]' #> '{-1,-1}'` is
/// NULL: the first inner array has made 1 of the second -1.
struct CountingBack<'p, 'a> {
    steps: Vec<(Cow<'p, [u8]>, Option<i64>)>,
    last: Option<&'a str>,
}

impl<'p, 'a> CountingBack<'p, 'a> {
    fn find(part: &'a str, steps: array::Elements<'p>) -> Result<Option<&'a str>, EvalError> {
        let mut of = Vec::new();
        for step in steps {
            let Some(step) = step.map_err(malformed)? else { return Ok(None) };
            let index = std::str::from_utf8(&step).ok().and_then(subscript).filter(|i| *i != i64::from(i32::MIN));
            of.push((step, index));
        }
        let mut search = CountingBack { steps: of, last: None };
        search.walk(part, 0, true);
        Ok(search.last)
    }

    fn walk(&mut self, part: &'a str, depth: usize, on_path: bool) {
        if depth == self.steps.len() {
            if on_path {
                self.last = Some(part);
            }
            return;
        }
        match json::kind(part) {
            JsonKind::Object => {
                for (key, value) in json::parts(part) {
                    let here = on_path && json::unquote(key).as_bytes() == &*self.steps[depth].0;
                    self.walk(value, depth + 1, here);
                }
            }
            JsonKind::Array => {
                if let Some(index) = &mut self.steps[depth].1
                    && *index < 0
                {
                    let count = json::parts(part).count() as i64;
                    if -*index <= count {
                        *index += count;
                    }
                }
                for (at, (_, value)) in json::parts(part).enumerate() {
                    let here = on_path && self.steps[depth].1 == Some(at as i64);
                    self.walk(value, depth + 1, here);
                }
            }
            _ => {}
        }
    }
}

fn malformed(_: DatumError) -> EvalError {
    error("XX000", "a text[] is not in its output form")
}

/// What the steps lead to. Of members with equal keys each is walked, and the last one that the whole path leads through
/// answers: `{"a":{"b":1},"a":null}` has a value at `{a,b}`.
fn descend<'a>(part: &'a str, mut steps: array::Elements<'_>) -> Result<Option<&'a str>, EvalError> {
    let Some(step) = steps.next() else { return Ok(Some(part)) };
    let Some(step) = step.map_err(malformed)? else { return Ok(None) };
    let step = std::str::from_utf8(&step).map_err(|_| error("22021", "the path is not UTF-8"))?;
    match json::kind(part) {
        JsonKind::Object => {
            let mut last = None;
            for (_, value) in json::parts(part).filter(|(key, _)| json::unquote(key) == step) {
                last = descend(value, steps.clone())?.or(last);
            }
            Ok(last)
        }
        JsonKind::Array => match subscript(step).and_then(|index| json::element(part, index)) {
            Some(element) => descend(element, steps),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// An array index as C's `strtol` reads it: white space and a sign in front, nothing behind.
fn subscript(step: &str) -> Option<i64> {
    let digits = step.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    digits.parse::<i32>().ok().map(i64::from)
}

fn field<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    find_field(args).map(|(part, binary)| as_json(part, binary))
}

fn field_text<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    find_field(args).map(|(part, _)| as_text(part))
}

fn element<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    find_element(args).map(|(part, binary)| as_json(part, binary))
}

fn element_text<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    find_element(args).map(|(part, _)| as_text(part))
}

pub(super) fn path<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    find_path(args).map(|(part, binary)| as_json(part, binary))
}

pub(super) fn path_text<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    find_path(args).map(|(part, _)| as_text(part))
}

fn exists<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, key) = (text(args, 0)?, text(args, 1)?);
    let is = |v: &str| v.starts_with('"') && json::unquote(v) == key;
    Ok(Value::Bool(match json::kind(&whole) {
        JsonKind::Object => json::member(&whole, &key).is_some(),
        JsonKind::Array => json::parts(&whole).any(|(_, v)| is(v)),
        _ => is(&whole),
    }))
}

/// Two objects are merged; everything else is joined as arrays, what is no array as one of it.
fn concat<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let both = [text(args, 0)?, text(args, 1)?];
    let mut builder = Builder::new(String::new());
    if both.iter().all(|t| json::kind(t) == JsonKind::Object) {
        builder.open_object();
        for (key, value) in both.iter().flat_map(|t| json::parts(t)) {
            builder.key(&json::unquote(key));
            builder.out.push_str(value);
            builder.end_member();
        }
        builder.close_object();
        return Ok(Value::Jsonb(Cow::Owned(builder.out)));
    }
    let mut joined = String::from("[");
    for side in &both {
        let inner = if json::kind(side) == JsonKind::Array { &side[1..side.len() - 1] } else { side.as_ref() };
        if joined.len() > 1 && !inner.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(inner);
    }
    joined.push(']');
    Ok(Value::Jsonb(Cow::Owned(joined)))
}

/// Equality ignores the scale of numbers, and only that.
fn same(args: &mut [Value<'_>]) -> Result<bool, EvalError> {
    let (left, right) = (text(args, 0)?, text(args, 1)?);
    Ok(left == right || without_scale(&left) == without_scale(&right))
}

pub(super) fn without_scale(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut fraction) = (false, false, false);
    let close = |out: &mut String| {
        while out.ends_with('0') {
            out.pop();
        }
        if out.ends_with('.') {
            out.pop();
        }
    };
    for c in text.chars() {
        if fraction && !c.is_ascii_digit() {
            close(&mut out);
            fraction = false;
        }
        match c {
            '"' if !escaped => quoted = !quoted,
            '.' if !quoted => fraction = true,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        out.push(c);
    }
    if fraction {
        close(&mut out);
    }
    out
}

fn equal<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    same(args).map(Value::Bool)
}

fn not_equal<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    same(args).map(|same| Value::Bool(!same))
}

fn type_of<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    owned(match json::kind(&text(args, 0)?) {
        JsonKind::Object => "object",
        JsonKind::Array => "array",
        JsonKind::String => "string",
        JsonKind::Number => "number",
        JsonKind::Boolean => "boolean",
        JsonKind::Null => "null",
    })
}

fn array_length<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    match json::kind(&whole) {
        JsonKind::Array => Ok(Value::Int(json::parts(&whole).count() as i64)),
        JsonKind::Object => Err(error("22023", "cannot get array length of a non-array")),
        _ => Err(error("22023", "cannot get array length of a scalar")),
    }
}
