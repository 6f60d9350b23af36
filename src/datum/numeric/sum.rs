//! The sum of many numbers, as `numeric_sum` and `numeric_avg` keep it: the same in whatever order they come.

use super::Numeric::{Finite, Infinity, NaN, NegInfinity};
use super::{Decimal, Mantissa, Numeric, NumericError};

/// NaN and the infinities are counted apart, and what has been added is not held against the type's limits: only the
/// answer is.
#[derive(Clone, Debug)]
pub struct Sum {
    /// At the largest scale seen.
    finite: Decimal,
    count: i64,
    not_a_number: bool,
    infinite: bool,
    negative_infinite: bool,
}

impl Default for Sum {
    fn default() -> Sum {
        let finite = Decimal { mantissa: Mantissa::Small(0), scale: 0 };
        Sum { finite, count: 0, not_a_number: false, infinite: false, negative_infinite: false }
    }
}

impl Sum {
    pub fn add(&mut self, number: &Numeric) {
        match number {
            NaN => self.not_a_number = true,
            Infinity => self.infinite = true,
            NegInfinity => self.negative_infinite = true,
            Finite(d) => {
                self.count += 1;
                let (sum, addend, scale) = self.finite.aligned(d);
                let small = match (&sum, &addend) {
                    (Mantissa::Small(a), Mantissa::Small(b)) => a.checked_add(*b).map(Mantissa::Small),
                    _ => None,
                };
                let mantissa = small.unwrap_or_else(|| Mantissa::from_big(sum.to_big() + addend.to_big()));
                self.finite = Decimal { mantissa, scale };
            }
        }
    }

    /// None of nothing.
    pub fn total(&self) -> Result<Option<Numeric>, NumericError> {
        Ok(match (self.not_a_number, self.infinite, self.negative_infinite) {
            (true, ..) | (_, true, true) => Some(NaN),
            (_, true, _) => Some(Infinity),
            (_, _, true) => Some(NegInfinity),
            _ if self.count == 0 => None,
            _ => Some(Numeric::checked(self.finite.mantissa.clone(), self.finite.scale.into())?),
        })
    }

    pub fn average(&self) -> Result<Option<Numeric>, NumericError> {
        match self.total()? {
            Some(total @ Finite(_)) => total.div(&Numeric::from(self.count)).map(Some),
            special => Ok(special),
        }
    }
}
