//! `bool_and`, `bool_or`, `every`; `bit_and`, `bit_or` and `bit_xor` of integers.

use super::{Accumulator, Aggregate, aggregate, int, mismatch, refused};
use crate::datum::Value;
use crate::transform::function::Arg::{self, Bool, Int2, Int4, Int8};
use crate::transform::function::EvalError;

const BITS: &str = "bit strings are not computed here; publish the values with array_agg";

/// `bool_and(x)` is chosen by `<` as `min` is; there is one order of booleans.
pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate { sort: Some("<"), ..aggregate("bool_and", &[Bool], Bool, |_, _| Box::new(Truth(None, |a, b| a & b))) },
    Aggregate { sort: Some("<"), ..aggregate("every", &[Bool], Bool, |_, _| Box::new(Truth(None, |a, b| a & b))) },
    Aggregate { sort: Some(">"), ..aggregate("bool_or", &[Bool], Bool, |_, _| Box::new(Truth(None, |a, b| a | b))) },
    aggregate("bit_and", &[Int2], Int2, |_, _| Box::new(Bits(None, |a, b| a & b))),
    aggregate("bit_and", &[Int4], Int4, |_, _| Box::new(Bits(None, |a, b| a & b))),
    aggregate("bit_and", &[Int8], Int8, |_, _| Box::new(Bits(None, |a, b| a & b))),
    aggregate("bit_or", &[Int2], Int2, |_, _| Box::new(Bits(None, |a, b| a | b))),
    aggregate("bit_or", &[Int4], Int4, |_, _| Box::new(Bits(None, |a, b| a | b))),
    aggregate("bit_or", &[Int8], Int8, |_, _| Box::new(Bits(None, |a, b| a | b))),
    aggregate("bit_xor", &[Int2], Int2, |_, _| Box::new(Bits(None, |a, b| a ^ b))),
    aggregate("bit_xor", &[Int4], Int4, |_, _| Box::new(Bits(None, |a, b| a ^ b))),
    aggregate("bit_xor", &[Int8], Int8, |_, _| Box::new(Bits(None, |a, b| a ^ b))),
    refused("bit_and", &[Arg::Other("bit")], Arg::Other("bit"), BITS),
    refused("bit_or", &[Arg::Other("bit")], Arg::Other("bit"), BITS),
    refused("bit_xor", &[Arg::Other("bit")], Arg::Other("bit"), BITS),
];

struct Truth(Option<bool>, fn(bool, bool) -> bool);

impl Accumulator for Truth {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let Some(Value::Bool(b)) = args.first() else { return Err(mismatch()) };
        self.0 = Some(self.0.map_or(*b, |a| (self.1)(a, *b)));
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.map_or(Value::Null, Value::Bool))
    }
}

struct Bits(Option<i64>, fn(i64, i64) -> i64);

impl Accumulator for Bits {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let b = int(args)?;
        self.0 = Some(self.0.map_or(b, |a| (self.1)(a, b)));
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.map_or(Value::Null, Value::Int))
    }
}
