//! How an overload is written down in the tables, and how an evaluation takes its arguments.

use std::borrow::Cow;

use super::{Arg, Call, Eval, EvalError, Function, Kind, Returns, Volatility};
use crate::catalogue::ColumnType;
use crate::datum::{Interval, Value};

/// A strict, immutable function.
pub(super) const fn function(name: &'static str, args: &'static [Arg], returns: Arg, eval: Eval) -> Function {
    Function {
        name,
        kind: Kind::Function,
        args,
        variadic: false,
        returns: Returns::Type(returns),
        strict: true,
        volatility: Volatility::Immutable,
        eval: Ok(eval),
        may_be_null: false,
    }
}

/// A strict, immutable operator.
pub(super) const fn operator(name: &'static str, args: &'static [Arg], returns: Arg, eval: Eval) -> Function {
    Function { kind: Kind::Operator, ..function(name, args, returns, eval) }
}

/// A function that PostgreSQL has and we refuse; `instead` says why, or what to write.
pub(super) const fn refused(name: &'static str, args: &'static [Arg], returns: Arg, instead: &'static str) -> Function {
    Function { eval: Err(instead), ..function(name, args, returns, never) }
}

pub(super) const fn refused_operator(
    name: &'static str,
    args: &'static [Arg],
    returns: Arg,
    instead: &'static str,
) -> Function {
    Function { kind: Kind::Operator, ..refused(name, args, returns, instead) }
}

pub(super) const fn stable(function: Function) -> Function {
    Function { volatility: Volatility::Stable, ..function }
}

pub(super) const fn volatile(function: Function) -> Function {
    Function { volatility: Volatility::Volatile, ..function }
}

/// May answer NULL for arguments that are not NULL.
pub(super) const fn nullable(function: Function) -> Function {
    Function { may_be_null: true, ..function }
}

/// Is called with NULLs too.
pub(super) const fn lenient(function: Function) -> Function {
    Function { strict: false, ..function }
}

pub(super) const fn variadic(function: Function) -> Function {
    Function { variadic: true, ..function }
}

fn never<'a>(_: &Call<'_>, _: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Err(error("0A000", "a refused function was called"))
}

pub(super) fn error(sqlstate: &'static str, message: impl Into<String>) -> EvalError {
    EvalError { sqlstate, message: message.into() }
}

/// The plan's types and the values disagree: a defect of ours, never data.
fn mismatch(i: usize, wanted: &str) -> EvalError {
    error("XX000", format!("argument {} is held by another form than {wanted}", i + 1))
}

pub(super) fn text<'a>(args: &mut [Value<'a>], i: usize) -> Result<Cow<'a, str>, EvalError> {
    match args.get_mut(i).map(|v| std::mem::replace(v, Value::Null)) {
        Some(Value::Text(t) | Value::Json(t) | Value::Jsonb(t) | Value::Array(t)) => Ok(t),
        _ => Err(mismatch(i, "text")),
    }
}

pub(super) fn bytea<'a>(args: &mut [Value<'a>], i: usize) -> Result<Cow<'a, [u8]>, EvalError> {
    match args.get_mut(i).map(|v| std::mem::replace(v, Value::Null)) {
        Some(Value::Bytea(b)) => Ok(b),
        _ => Err(mismatch(i, "bytea")),
    }
}

pub(super) fn int(args: &[Value<'_>], i: usize) -> Result<i64, EvalError> {
    match args.get(i) {
        Some(Value::Int(n)) => Ok(*n),
        _ => Err(mismatch(i, "an integer")),
    }
}

pub(super) fn float(args: &[Value<'_>], i: usize) -> Result<f64, EvalError> {
    match args.get(i) {
        Some(Value::Float8(f)) => Ok(*f),
        _ => Err(mismatch(i, "double precision")),
    }
}

pub(super) fn date(args: &[Value<'_>], i: usize) -> Result<i32, EvalError> {
    match args.get(i) {
        Some(Value::Date(d)) => Ok(*d),
        _ => Err(mismatch(i, "date")),
    }
}

pub(super) fn time(args: &[Value<'_>], i: usize) -> Result<i64, EvalError> {
    match args.get(i) {
        Some(Value::Time(t)) => Ok(*t),
        _ => Err(mismatch(i, "time")),
    }
}

pub(super) fn timestamp(args: &[Value<'_>], i: usize) -> Result<i64, EvalError> {
    match args.get(i) {
        Some(Value::Timestamp(t)) => Ok(*t),
        _ => Err(mismatch(i, "timestamp")),
    }
}

pub(super) fn interval(args: &[Value<'_>], i: usize) -> Result<Interval, EvalError> {
    match args.get(i) {
        Some(Value::Interval(v)) => Ok(*v),
        _ => Err(mismatch(i, "interval")),
    }
}

/// The static type of an argument, where the caller has one.
pub(super) fn arg_type<'c>(call: &Call<'c>, i: usize) -> Result<&'c ColumnType, EvalError> {
    call.arg_types.get(i).ok_or_else(|| mismatch(i, "a typed one"))
}

pub(super) fn owned<'a>(text: impl Into<String>) -> Result<Value<'a>, EvalError> {
    Ok(Value::Text(Cow::Owned(text.into())))
}
