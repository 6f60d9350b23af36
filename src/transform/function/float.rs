//! `real` and `double precision`: arithmetic in their own width, roots, powers and rounding (half to even).

use super::Arg::{Float4, Float8};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::Value;

const LIBM: &str = "its last digit depends on the server's C library; compute it in a column";

pub static FUNCTIONS: &[Function] = &[
    operator("+", &[Float4, Float4], Float4, add4),
    operator("-", &[Float4, Float4], Float4, sub4),
    operator("*", &[Float4, Float4], Float4, mul4),
    operator("/", &[Float4, Float4], Float4, div4),
    operator("+", &[Float8, Float8], Float8, add8),
    operator("-", &[Float8, Float8], Float8, sub8),
    operator("*", &[Float8, Float8], Float8, mul8),
    operator("/", &[Float8, Float8], Float8, div8),
    operator("+", &[Float4, Float8], Float8, add8),
    operator("-", &[Float4, Float8], Float8, sub8),
    operator("*", &[Float4, Float8], Float8, mul8),
    operator("/", &[Float4, Float8], Float8, div8),
    operator("+", &[Float8, Float4], Float8, add8),
    operator("-", &[Float8, Float4], Float8, sub8),
    operator("*", &[Float8, Float4], Float8, mul8),
    operator("/", &[Float8, Float4], Float8, div8),
    operator("+", &[Float4], Float4, same),
    operator("+", &[Float8], Float8, same),
    operator("-", &[Float4], Float4, neg),
    operator("-", &[Float8], Float8, neg),
    operator("@", &[Float4], Float4, abs),
    operator("@", &[Float8], Float8, abs),
    function("abs", &[Float4], Float4, abs),
    function("abs", &[Float8], Float8, abs),
    operator("^", &[Float8, Float8], Float8, power),
    function("power", &[Float8, Float8], Float8, power),
    function("pow", &[Float8, Float8], Float8, power),
    operator("|/", &[Float8], Float8, sqrt),
    function("sqrt", &[Float8], Float8, sqrt),
    function("ceil", &[Float8], Float8, ceil),
    function("ceiling", &[Float8], Float8, ceil),
    function("floor", &[Float8], Float8, floor),
    function("round", &[Float8], Float8, round),
    function("trunc", &[Float8], Float8, trunc),
    function("sign", &[Float8], Float8, sign),
    function("pi", &[], Float8, pi),
    refused_operator("||/", &[Float8], Float8, LIBM),
    refused("cbrt", &[Float8], Float8, LIBM),
    refused("exp", &[Float8], Float8, LIBM),
    refused("ln", &[Float8], Float8, LIBM),
    refused("log", &[Float8], Float8, LIBM),
    refused("log10", &[Float8], Float8, LIBM),
];

type Answer<'a> = Result<Value<'a>, EvalError>;

pub(super) fn overflow() -> EvalError {
    error("22003", "value out of range: overflow")
}

pub(super) fn underflow() -> EvalError {
    error("22003", "value out of range: underflow")
}

fn real(args: &[Value<'_>], i: usize) -> Result<f32, EvalError> {
    match args.get(i) {
        Some(Value::Float4(f)) => Ok(*f),
        _ => float(args, i).map(|f| f as f32),
    }
}

/// Of either width.
fn double(args: &[Value<'_>], i: usize) -> Result<f64, EvalError> {
    match args.get(i) {
        Some(Value::Float4(f)) => Ok(f64::from(*f)),
        _ => float(args, i),
    }
}

macro_rules! arithmetic {
    ($take:ident, $value:path, $add:ident, $sub:ident, $mul:ident, $div:ident) => {
        fn $add<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
            let (a, b) = ($take(args, 0)?, $take(args, 1)?);
            let sum = a + b;
            if sum.is_infinite() && !a.is_infinite() && !b.is_infinite() { Err(overflow()) } else { Ok($value(sum)) }
        }

        fn $sub<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
            let (a, b) = ($take(args, 0)?, $take(args, 1)?);
            let rest = a - b;
            if rest.is_infinite() && !a.is_infinite() && !b.is_infinite() { Err(overflow()) } else { Ok($value(rest)) }
        }

        fn $mul<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
            let (a, b) = ($take(args, 0)?, $take(args, 1)?);
            let product = a * b;
            if product.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                return Err(overflow());
            }
            if product == 0.0 && a != 0.0 && b != 0.0 { Err(underflow()) } else { Ok($value(product)) }
        }

        fn $div<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
            let (a, b) = ($take(args, 0)?, $take(args, 1)?);
            if b == 0.0 && !a.is_nan() {
                return Err(error("22012", "division by zero"));
            }
            let quotient = a / b;
            if quotient.is_infinite() && !a.is_infinite() {
                return Err(overflow());
            }
            if quotient == 0.0 && a != 0.0 && !b.is_infinite() { Err(underflow()) } else { Ok($value(quotient)) }
        }
    };
}

arithmetic!(real, Value::Float4, add4, sub4, mul4, div4);
arithmetic!(double, Value::Float8, add8, sub8, mul8, div8);

fn each<'a>(args: &[Value<'a>], single: fn(f32) -> f32, double: fn(f64) -> f64) -> Answer<'a> {
    match args.first() {
        Some(Value::Float4(f)) => Ok(Value::Float4(single(*f))),
        _ => float(args, 0).map(|f| Value::Float8(double(f))),
    }
}

fn same<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    each(args, |f| f, |f| f)
}

fn neg<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    each(args, |f| -f, |f| -f)
}

fn abs<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    each(args, f32::abs, f64::abs)
}

fn ceil<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    float(args, 0).map(|f| Value::Float8(f.ceil()))
}

fn floor<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    float(args, 0).map(|f| Value::Float8(f.floor()))
}

fn round<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    float(args, 0).map(|f| Value::Float8(f.round_ties_even()))
}

fn trunc<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    // PostgreSQL rounds the absolute value down and negates it, as this does: -0.5 gives -0.
    float(args, 0).map(|f| Value::Float8(f.trunc()))
}

fn sign<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let f = float(args, 0)?;
    Ok(Value::Float8(if f > 0.0 {
        1.0
    } else if f < 0.0 {
        -1.0
    } else {
        0.0
    }))
}

fn pi<'a>(_: &Call<'_>, _: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Float8(std::f64::consts::PI))
}

fn sqrt<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let f = float(args, 0)?;
    if f < 0.0 {
        return Err(error("2201F", "cannot take square root of a negative number"));
    }
    Ok(Value::Float8(f.sqrt()))
}

fn power<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let (base, exponent) = (float(args, 0)?, float(args, 1)?);
    if base.is_nan() || exponent.is_nan() {
        return Ok(Value::Float8(base.powf(exponent)));
    }
    if base == 0.0 && exponent < 0.0 {
        return Err(error("2201F", "zero raised to a negative power is undefined"));
    }
    if base < 0.0 && exponent.floor() != exponent {
        return Err(error("2201F", "a negative number raised to a non-integer power yields a complex result"));
    }
    // POSIX's special cases for NaN and the infinities are those of PostgreSQL.
    let result = base.powf(exponent);
    let special = !base.is_finite() || !exponent.is_finite();
    if special {
        return Ok(Value::Float8(result));
    }
    if result.is_infinite() {
        return Err(overflow());
    }
    if result == 0.0 && base != 0.0 {
        return Err(underflow());
    }
    Ok(Value::Float8(result))
}
