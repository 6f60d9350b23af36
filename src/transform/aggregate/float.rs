//! `sum` and `avg` of `real` and `double precision`: each addition rounds, so the answer depends on the order of rows.
//!
//! Source of truth: `float4pl`, `float8pl`, `float8_accum` and `float8_avg` of PostgreSQL.

use super::{Accumulator, Aggregate, aggregate, error, mismatch, ordered};
use crate::datum::Value;
use crate::transform::function::Arg::{Float4, Float8};
use crate::transform::function::EvalError;

pub(super) static AGGREGATES: &[Aggregate] = &[
    ordered(aggregate("sum", &[Float4], Float4, |_, _| Box::new(Sum4(None)))),
    ordered(aggregate("sum", &[Float8], Float8, |_, _| Box::new(Sum8(None)))),
    ordered(aggregate("avg", &[Float4], Float8, |_, _| Box::new(Average::default()))),
    ordered(aggregate("avg", &[Float8], Float8, |_, _| Box::new(Average::default()))),
];

fn overflow() -> EvalError {
    error("22003", "value out of range: overflow")
}

struct Sum4(Option<f32>);

impl Accumulator for Sum4 {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let Some(Value::Float4(b)) = args.first() else { return Err(mismatch()) };
        self.0 = match self.0 {
            None => Some(*b),
            Some(a) if (a + b).is_infinite() && a.is_finite() && b.is_finite() => return Err(overflow()),
            Some(a) => Some(a + b),
        };
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.map_or(Value::Null, Value::Float4))
    }
}

struct Sum8(Option<f64>);

impl Accumulator for Sum8 {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let Some(Value::Float8(b)) = args.first() else { return Err(mismatch()) };
        self.0 = match self.0 {
            None => Some(*b),
            Some(a) if (a + b).is_infinite() && a.is_finite() && b.is_finite() => return Err(overflow()),
            Some(a) => Some(a + b),
        };
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.map_or(Value::Null, Value::Float8))
    }
}

/// The state of Youngs and Cramer. The squares are kept for one reason: where they leave the range, `avg` fails too.
#[derive(Default)]
struct Average {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Accumulator for Average {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let value = match args.first() {
            Some(Value::Float4(f)) => f64::from(*f),
            Some(Value::Float8(f)) => *f,
            _ => return Err(mismatch()),
        };
        let (count, sum) = (self.count + 1.0, self.sum + value);
        if self.count > 0.0 {
            let off = value * count - sum;
            self.squares += off * off / (count * self.count);
            if sum.is_infinite() || self.squares.is_infinite() {
                if !self.sum.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        (self.count, self.sum) = (count, sum);
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(if self.count == 0.0 { Value::Null } else { Value::Float8(self.sum / self.count) })
    }
}
