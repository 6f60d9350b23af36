//! `count(*)` and `count(x)`.

use super::{Accumulator, Aggregate, aggregate};
use crate::datum::Value;
use crate::transform::function::Arg::{Any, Int8};
use crate::transform::function::EvalError;

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate { never_null: true, ..aggregate("count", &[], Int8, |_, _| Box::new(Count(0))) },
    Aggregate { never_null: true, ..aggregate("count", &[Any], Int8, |_, _| Box::new(Count(0))) },
];

struct Count(i64);

impl Accumulator for Count {
    fn add(&mut self, _: &[Value<'_>]) -> Result<(), EvalError> {
        self.0 += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(Value::Int(self.0))
    }
}
