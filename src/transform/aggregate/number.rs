//! `sum` and `avg` of integers and of numeric. The order of rows does not matter: a sum is kept whole, and only the
//! answer has to fit its type.

use super::{Accumulator, Aggregate, aggregate, int, mismatch, refused};
use crate::datum::Value;
use crate::datum::numeric::{Numeric, Sum};
use crate::transform::function::Arg::{self, Int2, Int4, Int8, Numeric as Number};
use crate::transform::function::EvalError;

const MONEY: &str = "money follows the server's lc_monetary; cast it to numeric in a generated column";

pub(super) static AGGREGATES: &[Aggregate] = &[
    aggregate("sum", &[Int2], Int8, |_, _| Box::new(IntegerSum::default())),
    aggregate("sum", &[Int4], Int8, |_, _| Box::new(IntegerSum::default())),
    aggregate("sum", &[Int8], Number, |_, _| Box::new(Integers { average: false, ..Integers::default() })),
    aggregate("avg", &[Int2], Number, |_, _| Box::new(Integers { average: true, ..Integers::default() })),
    aggregate("avg", &[Int4], Number, |_, _| Box::new(Integers { average: true, ..Integers::default() })),
    aggregate("avg", &[Int8], Number, |_, _| Box::new(Integers { average: true, ..Integers::default() })),
    aggregate("sum", &[Number], Number, |_, _| Box::new(Numbers { average: false, ..Numbers::default() })),
    aggregate("avg", &[Number], Number, |_, _| Box::new(Numbers { average: true, ..Numbers::default() })),
    refused("sum", &[Arg::Other("money")], Arg::Other("money"), MONEY),
];

/// `sum` of smallint and integer, as bigint: it would take 2^32 rows of the largest integer to leave it.
#[derive(Default)]
struct IntegerSum(Option<i64>);

impl Accumulator for IntegerSum {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let sum = self.0.unwrap_or(0).checked_add(int(args)?);
        self.0 = Some(sum.ok_or_else(|| super::error("22003", "bigint out of range"))?);
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(self.0.map_or(Value::Null, Value::Int))
    }
}

#[derive(Default)]
struct Integers {
    average: bool,
    sum: i128,
    count: i64,
}

impl Accumulator for Integers {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        // 2^64 rows of the largest bigint would fit.
        self.sum += i128::from(int(args)?);
        self.count += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let sum = Numeric::from_i128(self.sum, 0);
        Ok(Value::Numeric(if self.average { sum.div(&Numeric::from(self.count))? } else { sum }))
    }
}

#[derive(Default)]
struct Numbers {
    average: bool,
    sum: Sum,
}

impl Accumulator for Numbers {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let Some(Value::Numeric(n)) = args.first() else { return Err(mismatch()) };
        self.sum.add(n);
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        let answer = if self.average { self.sum.average()? } else { self.sum.total()? };
        Ok(answer.map_or(Value::Null, Value::Numeric))
    }
}
