//! Regular expressions: `~` and its kin for patterns of `regex_pattern`, and what is found for those with one answer.
//!
//! Patterns are constants (`constant::objection`), so that what is not computed is refused before a row is seen.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex_lite::Regex;

use super::Arg::{Bool, Bpchar, Int4, Name, Text, TextArray};
use super::declare::*;
use super::regex_pattern::{Pattern, pattern};
use super::{Call, EvalError, Function, Kind};
use crate::datum::Value;

const CAPTURE: &str =
    "what a group captures differs between engines; use substring(x from 'pattern') without groups, or split_part";

pub static FUNCTIONS: &[Function] = &[
    operator("~", &[Text, Text], Bool, matches),
    operator("~", &[Bpchar, Text], Bool, matches),
    operator("~", &[Name, Text], Bool, matches),
    operator("!~", &[Text, Text], Bool, differs),
    operator("!~", &[Bpchar, Text], Bool, differs),
    operator("!~", &[Name, Text], Bool, differs),
    operator("~*", &[Text, Text], Bool, matches_any_case),
    operator("~*", &[Bpchar, Text], Bool, matches_any_case),
    operator("~*", &[Name, Text], Bool, matches_any_case),
    operator("!~*", &[Text, Text], Bool, differs_any_case),
    operator("!~*", &[Bpchar, Text], Bool, differs_any_case),
    operator("!~*", &[Name, Text], Bool, differs_any_case),
    function("regexp_like", &[Text, Text], Bool, matches),
    function("regexp_count", &[Text, Text], Int4, count),
    nullable(function("regexp_substr", &[Text, Text], Text, found)),
    nullable(function("substring", &[Text, Text], Text, found)),
    function("regexp_replace", &[Text, Text, Text], Text, replace),
    function("regexp_replace", &[Text, Text, Text, Text], Text, replace),
    nullable(refused("regexp_match", &[Text, Text], TextArray, CAPTURE)),
    nullable(refused("regexp_match", &[Text, Text, Text], TextArray, CAPTURE)),
];

/// Compiled patterns of this thread, by whether case counts. They are a transform's constants: few.
type Cache = [HashMap<String, Rc<Regex>>; 2];
const CACHED: usize = 256;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

fn compiled(text: &str, ignore_case: bool, definite: bool) -> Result<Rc<Regex>, EvalError> {
    CACHE.with_borrow_mut(|cache| {
        let cache = &mut cache[usize::from(ignore_case)];
        if let (false, Some(regex)) = (definite, cache.get(text)) {
            return Ok(regex.clone());
        }
        let pattern = checked(text, ignore_case, definite)?;
        if let Some(regex) = cache.get(text) {
            return Ok(regex.clone());
        }
        let regex = Regex::new(&pattern.regex)
            .map_err(|_| error("0A000", "this regular expression is too large to be computed; use a shorter one"))?;
        if cache.len() == CACHED {
            cache.clear();
        }
        let regex = Rc::new(regex);
        cache.insert(text.to_owned(), regex.clone());
        Ok(regex)
    })
}

fn checked(text: &str, ignore_case: bool, definite: bool) -> Result<Pattern, EvalError> {
    let pattern = pattern(text, ignore_case)?;
    if definite && !pattern.definite {
        return Err(error(
            "0A000",
            "what this regular expression finds differs between engines; \
             use one without |, groups and a second quantifier, that is never empty",
        ));
    }
    Ok(pattern)
}

fn is_match(args: &mut [Value<'_>], ignore_case: bool) -> Result<bool, EvalError> {
    let (whole, pattern) = (text(args, 0)?, text(args, 1)?);
    Ok(compiled(&pattern, ignore_case, false)?.is_match(&whole))
}

fn matches<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    is_match(args, false).map(Value::Bool)
}

fn differs<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    is_match(args, false).map(|is| Value::Bool(!is))
}

fn matches_any_case<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    is_match(args, true).map(Value::Bool)
}

fn differs_any_case<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    is_match(args, true).map(|is| Value::Bool(!is))
}

fn count<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, pattern) = (text(args, 0)?, text(args, 1)?);
    Ok(Value::Int(compiled(&pattern, false, true)?.find_iter(&whole).count() as i64))
}

fn found<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (whole, pattern) = (text(args, 0)?, text(args, 1)?);
    let regex = compiled(&pattern, false, true)?;
    let Some(range) = regex.find(&whole).map(|m| m.range()) else { return Ok(Value::Null) };
    Ok(Value::Text(match whole {
        Cow::Borrowed(whole) => Cow::Borrowed(&whole[range]),
        Cow::Owned(whole) => Cow::Owned(whole[range].to_owned()),
    }))
}

fn replace<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let flags = if args.len() > 3 { text(args, 3)? } else { Cow::Borrowed("") };
    let all = read_flags(&flags)?;
    let (whole, pattern, by) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
    plain(&by)?;
    let regex = compiled(&pattern, false, true)?;
    let limit = if all { 0 } else { 1 };
    if !regex.is_match(&whole) {
        return Ok(Value::Text(whole));
    }
    owned(regex.replacen(&whole, limit, regex_lite::NoExpand(&by)).into_owned())
}

/// Whether all matches are meant.
fn read_flags(flags: &str) -> Result<bool, EvalError> {
    match flags.chars().find(|flag| *flag != 'g') {
        Some(flag) => Err(error(
            "0A000",
            format!("the flag {flag} of a regular expression is not computed; use g, and [Aa] for i"),
        )),
        None => Ok(!flags.is_empty()),
    }
}

fn plain(replacement: &str) -> Result<(), EvalError> {
    if replacement.contains('\\') {
        return Err(error("0A000", "\\ in a replacement is not computed; write the text that is meant"));
    }
    Ok(())
}

/// What stands against a call whose arguments behind the first are these constants.
pub(super) fn check(function: &Function, words: &[&str]) -> Result<(), EvalError> {
    let Some(pattern) = words.first() else { return Ok(()) };
    let definite = function.kind == Kind::Function && function.name != "regexp_like";
    words.get(2).map_or(Ok(false), |flags| read_flags(flags))?;
    words.get(1).map_or(Ok(()), |by| plain(by))?;
    compiled(pattern, function.name.ends_with('*'), definite).map(|_| ())
}
