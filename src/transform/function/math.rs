//! `numeric`: arithmetic, rounding, roots and whole powers.

use super::Arg::{Int4, Numeric as N};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::numeric::NumericError;
use crate::datum::{Numeric, Value};

const LOGARITHM: &str = "logarithms of numeric are not computed here; compute it in a column";

pub static FUNCTIONS: &[Function] = &[
    operator("+", &[N, N], N, add),
    operator("-", &[N, N], N, sub),
    operator("*", &[N, N], N, mul),
    operator("/", &[N, N], N, div),
    operator("%", &[N, N], N, rem),
    operator("^", &[N, N], N, power),
    operator("+", &[N], N, same),
    operator("-", &[N], N, neg),
    operator("@", &[N], N, abs),
    function("abs", &[N], N, abs),
    function("mod", &[N, N], N, rem),
    function("div", &[N, N], N, div_trunc),
    function("power", &[N, N], N, power),
    function("pow", &[N, N], N, power),
    function("sqrt", &[N], N, sqrt),
    function("sign", &[N], N, sign),
    function("ceil", &[N], N, ceil),
    function("ceiling", &[N], N, ceil),
    function("floor", &[N], N, floor),
    function("round", &[N], N, round),
    function("round", &[N, Int4], N, round),
    function("trunc", &[N], N, trunc),
    function("trunc", &[N, Int4], N, trunc),
    function("gcd", &[N, N], N, gcd),
    function("lcm", &[N, N], N, lcm),
    nullable(function("scale", &[N], Int4, scale)),
    nullable(function("min_scale", &[N], Int4, min_scale)),
    function("trim_scale", &[N], N, trim_scale),
    refused("exp", &[N], N, LOGARITHM),
    refused("ln", &[N], N, LOGARITHM),
    refused("log", &[N], N, LOGARITHM),
    refused("log", &[N, N], N, LOGARITHM),
    refused("log10", &[N], N, LOGARITHM),
];

type Answer<'a> = Result<Value<'a>, EvalError>;

impl From<NumericError> for EvalError {
    fn from(error: NumericError) -> EvalError {
        let sqlstate = match error {
            NumericError::Overflow | NumericError::FieldOverflow => "22003",
            NumericError::DivisionByZero => "22012",
            NumericError::NegativeSquareRoot | NumericError::ZeroToNegativePower | NumericError::NegativeToFraction => {
                "2201F"
            }
            NumericError::FractionalExponent => "0A000",
            NumericError::Syntax => "22P02",
        };
        EvalError { sqlstate, message: error.to_string() }
    }
}

pub(super) fn numeric<'v>(args: &'v [Value<'_>], i: usize) -> Result<&'v Numeric, EvalError> {
    match args.get(i) {
        Some(Value::Numeric(n)) => Ok(n),
        _ => Err(error("XX000", format!("argument {} is held by another form than numeric", i + 1))),
    }
}

fn binary<'a>(args: &[Value<'a>], f: fn(&Numeric, &Numeric) -> Result<Numeric, NumericError>) -> Answer<'a> {
    Ok(Value::Numeric(f(numeric(args, 0)?, numeric(args, 1)?)?))
}

fn add<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::add)
}

fn sub<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::sub)
}

fn mul<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::mul)
}

fn div<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::div)
}

fn div_trunc<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::div_trunc)
}

fn rem<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::rem)
}

fn power<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::power)
}

fn gcd<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::gcd)
}

fn lcm<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    binary(args, Numeric::lcm)
}

fn same<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.clone()))
}

fn neg<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.neg()))
}

fn abs<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.abs()))
}

fn sign<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(match numeric(args, 0)? {
        Numeric::NaN => Numeric::NaN,
        n => Numeric::from(i64::from(n.signum())),
    }))
}

fn sqrt<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.sqrt()?))
}

fn ceil<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.ceil()?))
}

fn floor<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.floor()?))
}

fn place(args: &[Value<'_>]) -> Result<i64, EvalError> {
    if args.len() > 1 { int(args, 1) } else { Ok(0) }
}

fn round<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.round(place(args)?)?))
}

fn trunc<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.trunc(place(args)?)?))
}

fn scale<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(numeric(args, 0)?.scale().map_or(Value::Null, |s| Value::Int(s.into())))
}

fn min_scale<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(numeric(args, 0)?.min_scale().map_or(Value::Null, |s| Value::Int(s.into())))
}

fn trim_scale<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Numeric(numeric(args, 0)?.trim_scale()))
}
