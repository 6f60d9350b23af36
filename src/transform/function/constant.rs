//! Arguments that decide whether an answer is exact: patterns and zones. The binder asks, before a row is seen.

use super::declare::error;
use super::{Arg, EvalError, Function, Kind, datetime_zone, regex, text_encode, text_format, to_char, to_date};
use crate::datum::Value;

/// What stands against a call, by the arguments that are constant: such an argument must be one, and say what is computed.
/// The message ends with what to write instead, behind `; `.
pub fn objection(function: &Function, args: &[Option<&Value<'_>>]) -> Result<(), EvalError> {
    let word = |i: usize| match args.get(i) {
        Some(Some(Value::Text(text))) => Ok(Some(text.as_ref())),
        Some(Some(_)) => Ok(None),
        _ => Err(error(
            "0A000",
            format!("{} is exact for some of its patterns only; write that argument as a constant", function.name),
        )),
    };
    let check = |i: usize, check: &dyn Fn(&str) -> Result<(), EvalError>| word(i)?.map_or(Ok(()), check);
    let patterns = || {
        let words = (1..args.len()).map(word).collect::<Result<Option<Vec<_>>, _>>()?;
        words.map_or(Ok(()), |words| regex::check(function, &words))
    };
    match (function.kind, function.name, function.args) {
        (Kind::Function, "timezone", [Arg::Text, _]) => check(0, &datetime_zone::check),
        (Kind::Function, "date_trunc", [_, _, _]) => check(2, &datetime_zone::check),
        (Kind::Function, "to_char", [of, _]) => check(1, &|pattern| to_char::check(*of, pattern)),
        (Kind::Function, "to_date" | "to_timestamp", [Arg::Text, Arg::Text]) => check(1, &to_date::check),
        (Kind::Function, "convert_to", _) => check(1, &text_encode::check),
        (Kind::Function, "format", _) => check(0, &text_format::check),
        (Kind::Operator, "~" | "!~" | "~*" | "!~*", [_, Arg::Text]) | (Kind::Function, "regexp_like", _) => patterns(),
        (Kind::Function, "regexp_count" | "regexp_substr" | "regexp_replace", _) => patterns(),
        (Kind::Function, "substring", [Arg::Text, Arg::Text]) => patterns(),
        _ => Ok(()),
    }
}
