//! Integers: `+ - * / %`, bits, `abs`, `gcd`; every result is checked against its type's range.

use super::Arg::{Int2, Int4, Int8};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::Value;

pub static FUNCTIONS: &[Function] = &[
    operator("+", &[Int2, Int2], Int2, add::<i16>),
    operator("+", &[Int2, Int4], Int4, add::<i32>),
    operator("+", &[Int4, Int2], Int4, add::<i32>),
    operator("+", &[Int4, Int4], Int4, add::<i32>),
    operator("+", &[Int2, Int8], Int8, add::<i64>),
    operator("+", &[Int8, Int2], Int8, add::<i64>),
    operator("+", &[Int4, Int8], Int8, add::<i64>),
    operator("+", &[Int8, Int4], Int8, add::<i64>),
    operator("+", &[Int8, Int8], Int8, add::<i64>),
    operator("-", &[Int2, Int2], Int2, sub::<i16>),
    operator("-", &[Int2, Int4], Int4, sub::<i32>),
    operator("-", &[Int4, Int2], Int4, sub::<i32>),
    operator("-", &[Int4, Int4], Int4, sub::<i32>),
    operator("-", &[Int2, Int8], Int8, sub::<i64>),
    operator("-", &[Int8, Int2], Int8, sub::<i64>),
    operator("-", &[Int4, Int8], Int8, sub::<i64>),
    operator("-", &[Int8, Int4], Int8, sub::<i64>),
    operator("-", &[Int8, Int8], Int8, sub::<i64>),
    operator("*", &[Int2, Int2], Int2, mul::<i16>),
    operator("*", &[Int2, Int4], Int4, mul::<i32>),
    operator("*", &[Int4, Int2], Int4, mul::<i32>),
    operator("*", &[Int4, Int4], Int4, mul::<i32>),
    operator("*", &[Int2, Int8], Int8, mul::<i64>),
    operator("*", &[Int8, Int2], Int8, mul::<i64>),
    operator("*", &[Int4, Int8], Int8, mul::<i64>),
    operator("*", &[Int8, Int4], Int8, mul::<i64>),
    operator("*", &[Int8, Int8], Int8, mul::<i64>),
    operator("/", &[Int2, Int2], Int2, div::<i16>),
    operator("/", &[Int2, Int4], Int4, div::<i32>),
    operator("/", &[Int4, Int2], Int4, div::<i32>),
    operator("/", &[Int4, Int4], Int4, div::<i32>),
    operator("/", &[Int2, Int8], Int8, div::<i64>),
    operator("/", &[Int8, Int2], Int8, div::<i64>),
    operator("/", &[Int4, Int8], Int8, div::<i64>),
    operator("/", &[Int8, Int4], Int8, div::<i64>),
    operator("/", &[Int8, Int8], Int8, div::<i64>),
    operator("%", &[Int2, Int2], Int2, rem::<i16>),
    operator("%", &[Int4, Int4], Int4, rem::<i32>),
    operator("%", &[Int8, Int8], Int8, rem::<i64>),
    function("mod", &[Int2, Int2], Int2, rem::<i16>),
    function("mod", &[Int4, Int4], Int4, rem::<i32>),
    function("mod", &[Int8, Int8], Int8, rem::<i64>),
    operator("+", &[Int2], Int2, same),
    operator("+", &[Int4], Int4, same),
    operator("+", &[Int8], Int8, same),
    operator("-", &[Int2], Int2, neg::<i16>),
    operator("-", &[Int4], Int4, neg::<i32>),
    operator("-", &[Int8], Int8, neg::<i64>),
    operator("@", &[Int2], Int2, abs::<i16>),
    operator("@", &[Int4], Int4, abs::<i32>),
    operator("@", &[Int8], Int8, abs::<i64>),
    function("abs", &[Int2], Int2, abs::<i16>),
    function("abs", &[Int4], Int4, abs::<i32>),
    function("abs", &[Int8], Int8, abs::<i64>),
    function("gcd", &[Int4, Int4], Int4, gcd::<i32>),
    function("gcd", &[Int8, Int8], Int8, gcd::<i64>),
    function("lcm", &[Int4, Int4], Int4, lcm::<i32>),
    function("lcm", &[Int8, Int8], Int8, lcm::<i64>),
    operator("&", &[Int2, Int2], Int2, and),
    operator("&", &[Int4, Int4], Int4, and),
    operator("&", &[Int8, Int8], Int8, and),
    operator("|", &[Int2, Int2], Int2, or),
    operator("|", &[Int4, Int4], Int4, or),
    operator("|", &[Int8, Int8], Int8, or),
    operator("#", &[Int2, Int2], Int2, xor),
    operator("#", &[Int4, Int4], Int4, xor),
    operator("#", &[Int8, Int8], Int8, xor),
    operator("~", &[Int2], Int2, not),
    operator("~", &[Int4], Int4, not),
    operator("~", &[Int8], Int8, not),
    operator("<<", &[Int2, Int4], Int2, shl2),
    operator("<<", &[Int4, Int4], Int4, shl4),
    operator("<<", &[Int8, Int4], Int8, shl8),
    operator(">>", &[Int2, Int4], Int2, shr4),
    operator(">>", &[Int4, Int4], Int4, shr4),
    operator(">>", &[Int8, Int4], Int8, shr8),
];

type Answer<'a> = Result<Value<'a>, EvalError>;

/// An integer type's range, and how PostgreSQL names it when it is left.
pub(super) trait Width: TryFrom<i128> + Into<i64> {
    const OUT_OF_RANGE: &'static str;
}

impl Width for i16 {
    const OUT_OF_RANGE: &'static str = "smallint out of range";
}
impl Width for i32 {
    const OUT_OF_RANGE: &'static str = "integer out of range";
}
impl Width for i64 {
    const OUT_OF_RANGE: &'static str = "bigint out of range";
}

/// The result as its type, if it fits.
pub(super) fn fit<'a, W: Width>(value: i128) -> Answer<'a> {
    W::try_from(value).map(|v| Value::Int(v.into())).map_err(|_| error("22003", W::OUT_OF_RANGE))
}

fn wide(args: &[Value<'_>], i: usize) -> Result<i128, EvalError> {
    int(args, i).map(i128::from)
}

fn divisor(args: &[Value<'_>]) -> Result<i128, EvalError> {
    match wide(args, 1)? {
        0 => Err(error("22012", "division by zero")),
        n => Ok(n),
    }
}

fn add<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(wide(args, 0)? + wide(args, 1)?)
}

fn sub<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(wide(args, 0)? - wide(args, 1)?)
}

fn mul<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(wide(args, 0)? * wide(args, 1)?)
}

fn div<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(wide(args, 0)? / divisor(args)?)
}

fn rem<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(wide(args, 0)? % divisor(args)?)
}

fn neg<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(-wide(args, 0)?)
}

fn abs<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(wide(args, 0)?.abs())
}

fn gcd<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(num_integer::gcd(wide(args, 0)?, wide(args, 1)?))
}

fn lcm<'a, W: Width>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    fit::<W>(num_integer::lcm(wide(args, 0)?, wide(args, 1)?))
}

fn same<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    int(args, 0).map(Value::Int)
}

fn and<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(int(args, 0)? & int(args, 1)?))
}

fn or<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(int(args, 0)? | int(args, 1)?))
}

fn xor<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(int(args, 0)? ^ int(args, 1)?))
}

fn not<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    int(args, 0).map(|n| Value::Int(!n))
}

// The processor takes a shift by the low five or six bits of its count, and PostgreSQL leaves it at that; a smallint is
// shifted as an integer and cut.

fn shl2<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let shifted = (int(args, 0)? as i32).wrapping_shl(int(args, 1)? as u32);
    Ok(Value::Int(i64::from(shifted as i16)))
}

fn shl4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(i64::from((int(args, 0)? as i32).wrapping_shl(int(args, 1)? as u32))))
}

fn shl8<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(int(args, 0)?.wrapping_shl(int(args, 1)? as u32)))
}

fn shr4<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(i64::from((int(args, 0)? as i32).wrapping_shr(int(args, 1)? as u32))))
}

fn shr8<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Int(int(args, 0)?.wrapping_shr(int(args, 1)? as u32)))
}
