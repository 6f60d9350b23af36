//! `sum` and `avg` of intervals.
//!
//! Months, days and time are added apart. PostgreSQL checks each addition, so a sum that leaves the range on its way
//! fails in some orders of rows only; it fails here as well.

use super::{Accumulator, Aggregate, aggregate, mismatch};
use crate::datum::{Interval, Value};
use crate::transform::function::Arg::Interval as Span;
use crate::transform::function::EvalError;
use crate::transform::function::datetime::{scaled, sum};

pub(super) static AGGREGATES: &[Aggregate] = &[
    aggregate("sum", &[Span], Span, |_, _| Box::new(Intervals { average: false, ..Intervals::default() })),
    aggregate("avg", &[Span], Span, |_, _| Box::new(Intervals { average: true, ..Intervals::default() })),
];

#[derive(Default)]
struct Intervals {
    average: bool,
    sum: Interval,
    count: i64,
}

impl Accumulator for Intervals {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let Some(Value::Interval(i)) = args.first() else { return Err(mismatch()) };
        self.count += 1;
        match sum(self.sum, *i)? {
            Value::Interval(sum) => self.sum = sum,
            _ => return Err(mismatch()),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let count = self.count as f64;
        if self.average { scaled(self.sum, |x| x / count) } else { Ok(Value::Interval(self.sum)) }
    }
}
