//! How many of the arguments are NULL.

use super::Arg::{Any, Int4};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::Value;

pub static FUNCTIONS: &[Function] = &[
    lenient(variadic(function("num_nulls", &[Any], Int4, nulls))),
    lenient(variadic(function("num_nonnulls", &[Any], Int4, others))),
];

fn nulls<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Int(args.iter().filter(|v| matches!(v, Value::Null)).count() as i64))
}

fn others<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Int(args.iter().filter(|v| !matches!(v, Value::Null)).count() as i64))
}
