//! Arguments that decide whether an answer is exact: patterns and zones. The binder asks, before a row is seen.

use super::declare::error;
use super::{Arg, EvalError, Function, Kind, datetime_zone, to_char};
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
    match (function.kind, function.name, function.args) {
        (Kind::Function, "timezone", [Arg::Text, _]) => check(0, &datetime_zone::check),
        (Kind::Function, "date_trunc", [_, _, _]) => check(2, &datetime_zone::check),
        (Kind::Function, "to_char", [of, _]) => check(1, &|pattern| to_char::check(*of, pattern)),
        _ => Ok(()),
    }
}
