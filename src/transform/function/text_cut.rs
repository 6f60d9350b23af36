//! Text: parts of it, by position, by a separator, by what stands at its ends; and padding.
//!
//! Source of truth: `text_substring`, `split_part`, `dotrim` and `lpad` of PostgreSQL, compared with the server in
//! `tests/real/function_text.rs`.

use std::borrow::Cow;

use super::Arg::{Bytea, Int4, Other, Text};
use super::declare::*;
use super::text::{LONGEST, too_long};
use super::{Call, EvalError, Function};
use crate::datum::Value;

const BITS: &str = "bit strings are held as text only; cast the column to text";
const REGEX: &str =
    "SIMILAR patterns are not computed; use split_part, substring(x from n for m) or substring(x from 'pattern')";

pub static FUNCTIONS: &[Function] = &[
    function("substring", &[Text, Int4], Text, substring_from),
    function("substring", &[Text, Int4, Int4], Text, substring),
    function("substring", &[Bytea, Int4], Bytea, substring_bytea_from),
    function("substring", &[Bytea, Int4, Int4], Bytea, substring_bytea),
    refused("substring", &[Other("bit"), Int4], Other("bit"), BITS),
    refused("substring", &[Other("bit"), Int4, Int4], Other("bit"), BITS),
    nullable(refused("substring", &[Text, Text, Text], Text, REGEX)),
    function("substr", &[Text, Int4], Text, substring_from),
    function("substr", &[Text, Int4, Int4], Text, substring),
    function("substr", &[Bytea, Int4], Bytea, substring_bytea_from),
    function("substr", &[Bytea, Int4, Int4], Bytea, substring_bytea),
    function("overlay", &[Text, Text, Int4], Text, overlay),
    function("overlay", &[Text, Text, Int4, Int4], Text, overlay),
    function("left", &[Text, Int4], Text, left),
    function("right", &[Text, Int4], Text, right),
    function("split_part", &[Text, Text, Int4], Text, split_part),
    function("ltrim", &[Text], Text, ltrim),
    function("ltrim", &[Text, Text], Text, ltrim),
    function("ltrim", &[Bytea, Bytea], Bytea, ltrim_bytea),
    function("rtrim", &[Text], Text, rtrim),
    function("rtrim", &[Text, Text], Text, rtrim),
    function("rtrim", &[Bytea, Bytea], Bytea, rtrim_bytea),
    function("btrim", &[Text], Text, btrim),
    function("btrim", &[Text, Text], Text, btrim),
    function("btrim", &[Bytea, Bytea], Bytea, btrim_bytea),
    function("lpad", &[Text, Int4], Text, lpad),
    function("lpad", &[Text, Int4, Text], Text, lpad),
    function("rpad", &[Text, Int4], Text, rpad),
    function("rpad", &[Text, Int4, Text], Text, rpad),
];

/// The byte where the `n`th character (from 0) begins, or the end.
fn offset(text: &str, n: usize) -> usize {
    text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
}

/// A part without a copy where the whole is borrowed.
fn part<'a>(whole: Cow<'a, str>, from: usize, to: usize) -> Result<Value<'a>, EvalError> {
    Ok(Value::Text(match whole {
        Cow::Borrowed(w) => Cow::Borrowed(&w[from..to]),
        Cow::Owned(mut w) => {
            w.truncate(to);
            w.drain(..from);
            Cow::Owned(w)
        }
    }))
}

fn part_bytea<'a>(whole: Cow<'a, [u8]>, from: usize, to: usize) -> Result<Value<'a>, EvalError> {
    Ok(Value::Bytea(match whole {
        Cow::Borrowed(w) => Cow::Borrowed(&w[from..to]),
        Cow::Owned(w) => Cow::Owned(w[from..to].to_vec()),
    }))
}

/// Characters to skip, and how many to take (None: all), for `from start [for length]`; positions before the first
/// count toward the length.
fn window(start: i64, length: Option<i64>) -> Result<(usize, Option<usize>), EvalError> {
    let skip = usize::try_from(start - 1).unwrap_or(0);
    let Some(length) = length else { return Ok((skip, None)) };
    if length < 0 {
        return Err(error("22011", "negative substring length not allowed"));
    }
    // The end is past what an integer can say: everything that is left.
    if i32::try_from(start + length).is_err() {
        return Ok((skip, None));
    }
    Ok((skip, Some(usize::try_from(start + length - start.max(1)).unwrap_or(0))))
}

fn substring_from<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (skip, _) = window(int(args, 1)?, None)?;
    let whole = text(args, 0)?;
    let (from, to) = (offset(&whole, skip), whole.len());
    part(whole, from, to)
}

fn substring<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (skip, take) = window(int(args, 1)?, Some(int(args, 2)?))?;
    let whole = text(args, 0)?;
    let from = offset(&whole, skip);
    let to = take.map_or(whole.len(), |n| from + offset(&whole[from..], n));
    part(whole, from, to)
}

fn substring_bytea_from<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (skip, _) = window(int(args, 1)?, None)?;
    let whole = bytea(args, 0)?;
    let (from, to) = (skip.min(whole.len()), whole.len());
    part_bytea(whole, from, to)
}

fn substring_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (skip, take) = window(int(args, 1)?, Some(int(args, 2)?))?;
    let whole = bytea(args, 0)?;
    let from = skip.min(whole.len());
    let to = take.map_or(whole.len(), |n| whole.len().min(from.saturating_add(n)));
    part_bytea(whole, from, to)
}

fn overlay<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let start = int(args, 2)?;
    let length = if args.len() > 3 { Some(int(args, 3)?) } else { None };
    let (whole, put) = (text(args, 0)?, text(args, 1)?);
    if start <= 0 {
        return Err(error("22011", "negative substring length not allowed"));
    }
    let resume = start + length.unwrap_or_else(|| put.chars().count() as i64);
    if i32::try_from(resume).is_err() {
        return Err(error("22003", "integer out of range"));
    }
    let head = offset(&whole, usize::try_from(start - 1).unwrap_or(0));
    let tail = offset(&whole, usize::try_from(resume - 1).unwrap_or(0));
    owned([&whole[..head], &put, &whole[tail..]].concat())
}

fn left<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let n = int(args, 1)?;
    let whole = text(args, 0)?;
    let take = if n < 0 { n + whole.chars().count() as i64 } else { n };
    let to = offset(&whole, usize::try_from(take).unwrap_or(0));
    part(whole, 0, to)
}

fn right<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let n = int(args, 1)?;
    let whole = text(args, 0)?;
    // -2147483648 has no opposite as an integer: PostgreSQL skips nothing then.
    let skip = if n < 0 { i64::from((n as i32).wrapping_neg()) } else { whole.chars().count() as i64 - n };
    let (from, to) = (offset(&whole, usize::try_from(skip).unwrap_or(0)), whole.len());
    part(whole, from, to)
}

fn split_part<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let n = int(args, 2)?;
    let (whole, separator) = (text(args, 0)?, text(args, 1)?);
    if n == 0 {
        return Err(error("22023", "field position must not be zero"));
    }
    let nth = if separator.is_empty() {
        (n.abs() == 1).then_some((0, whole.len()))
    } else {
        let index = if n > 0 {
            usize::try_from(n - 1).ok()
        } else {
            usize::try_from(n + whole.split(separator.as_ref()).count() as i64).ok()
        };
        index.and_then(|i| whole.split(separator.as_ref()).nth(i)).map(|field| {
            let from = field.as_ptr() as usize - whole.as_ptr() as usize;
            (from, from + field.len())
        })
    };
    let (from, to) = nth.unwrap_or((0, 0));
    part(whole, from, to)
}

/// Which ends, and the characters to take away: blanks if none are named.
fn trim<'a>(args: &mut [Value<'a>], head: bool, tail: bool) -> Result<Value<'a>, EvalError> {
    let whole = text(args, 0)?;
    let set = if args.len() > 1 { text(args, 1)? } else { Cow::Borrowed(" ") };
    let mut kept = whole.as_ref();
    if head {
        kept = kept.trim_start_matches(|c| set.contains(c));
    }
    let from = whole.len() - kept.len();
    if tail {
        kept = kept.trim_end_matches(|c| set.contains(c));
    }
    let to = from + kept.len();
    part(whole, from, to)
}

fn ltrim<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    trim(args, true, false)
}

fn rtrim<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    trim(args, false, true)
}

fn btrim<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    trim(args, true, true)
}

fn trim_bytea<'a>(args: &mut [Value<'a>], head: bool, tail: bool) -> Result<Value<'a>, EvalError> {
    let (whole, set) = (bytea(args, 0)?, bytea(args, 1)?);
    let (mut from, mut to) = (0, whole.len());
    while head && from < to && set.contains(&whole[from]) {
        from += 1;
    }
    while tail && from < to && set.contains(&whole[to - 1]) {
        to -= 1;
    }
    part_bytea(whole, from, to)
}

fn ltrim_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    trim_bytea(args, true, false)
}

fn rtrim_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    trim_bytea(args, false, true)
}

fn btrim_bytea<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    trim_bytea(args, true, true)
}

/// What fills up to the asked length, and how many characters of the text stay.
fn padding<'a>(args: &mut [Value<'a>]) -> Result<(Cow<'a, str>, String), EvalError> {
    let length = int(args, 1)?.max(0);
    let whole = text(args, 0)?;
    let fill = if args.len() > 2 { text(args, 2)? } else { Cow::Borrowed(" ") };
    let have = whole.chars().count() as i64;
    let length = if fill.is_empty() { length.min(have) } else { length };
    // PostgreSQL counts four bytes for each character of UTF8.
    if length as u64 * 4 > LONGEST {
        return Err(too_long());
    }
    let kept = offset(&whole, length as usize);
    let missing = usize::try_from(length - have).unwrap_or(0);
    let filled = fill.chars().cycle().take(missing).collect();
    let whole = if kept == whole.len() { whole } else { Cow::Owned(whole[..kept].to_owned()) };
    Ok((whole, filled))
}

fn lpad<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, mut filled) = padding(args)?;
    filled.push_str(&whole);
    owned(filled)
}

fn rpad<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, filled) = padding(args)?;
    owned(whole.into_owned() + &filled)
}
