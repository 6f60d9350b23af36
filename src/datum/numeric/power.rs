//! `power(numeric, numeric)` for integer exponents.

use std::cmp::Ordering;

use super::Numeric::{Finite, Infinity, NaN, NegInfinity};
use super::arithmetic::{MAX_DISPLAY_SCALE, MIN_SIGNIFICANT};
use super::{Decimal, MAX_INTEGER_DIGITS, Mantissa, Numeric, NumericError};

type Answer = Result<Numeric, NumericError>;

impl Numeric {
    pub fn power(&self, exponent: &Numeric) -> Answer {
        let one = Numeric::from_i128(1, 0);
        let is_one = |n: &Numeric| n.compare(&one) == Ordering::Equal;
        let is_zero = |n: &Numeric| n.signum() == 0;
        match (self, exponent) {
            (NaN, _) => return Ok(if is_zero(exponent) { one } else { NaN }),
            (_, NaN) => return Ok(if is_one(self) { one } else { NaN }),
            _ => {}
        }
        if is_zero(self) && exponent.signum() < 0 {
            return Err(NumericError::ZeroToNegativePower);
        }
        if self.signum() < 0 && !exponent.is_integral() {
            return Err(NumericError::NegativeToFraction);
        }
        match (self, exponent) {
            (Finite(base), Finite(e)) => base.power(e),
            _ => Ok(self.power_infinite(exponent)),
        }
    }

    /// One side at least is infinite, none is NaN; as POSIX has it for `pow`.
    fn power_infinite(&self, exponent: &Numeric) -> Numeric {
        let one = Numeric::from_i128(1, 0);
        if self.compare(&one) == Ordering::Equal || exponent.signum() == 0 {
            return one;
        }
        if self.signum() == 0 {
            return Numeric::zero();
        }
        let grows = exponent.signum() > 0;
        if !matches!(exponent, Finite(_)) {
            return match self.abs().compare(&one) {
                Ordering::Equal => one,
                size => {
                    if (size == Ordering::Greater) == grows {
                        Infinity
                    } else {
                        Numeric::zero()
                    }
                }
            };
        }
        if !grows {
            return Numeric::zero();
        }
        let odd = exponent.rem(&Numeric::from_i128(2, 0)).is_ok_and(|rest| rest.signum() != 0);
        if matches!(self, NegInfinity) && odd { NegInfinity } else { Infinity }
    }
}

impl Decimal {
    fn power(&self, exponent: &Decimal) -> Answer {
        let e = Numeric::Finite(exponent.clone());
        if !e.is_integral() {
            // 0 to a positive power is the one case without a logarithm.
            return Err(NumericError::FractionalExponent);
        }
        let Some(n) = e.to_i64().and_then(|n| i32::try_from(n).ok()) else {
            return Err(NumericError::FractionalExponent);
        };
        let scale = MIN_SIGNIFICANT.max(self.scale.into()).max(exponent.scale.into()).clamp(0, MAX_DISPLAY_SCALE);
        if n == 0 {
            return Numeric::from_i128(1, 0).round(scale);
        }
        if self.mantissa.is_zero() {
            return Numeric::zero().round(scale);
        }
        // log10 of the result, good enough to tell what certainly does not fit and what is certainly 0.
        let size = self.log10() * f64::from(n);
        if size > MAX_INTEGER_DIGITS as f64 + 8.0 {
            return Err(NumericError::Overflow);
        }
        if size < -(scale as f64) - 2.0 {
            return Numeric::zero().round(scale);
        }
        let digits = self.mantissa.digit_count();
        if digits.saturating_mul(n.unsigned_abs().into()) > 4 * MAX_INTEGER_DIGITS as u64 {
            // 1.0000001 ^ 100000000: an exact power of that many digits is out of reach.
            return Err(NumericError::FractionalExponent);
        }
        let base = self.trimmed_pair();
        let power = base.0.pow(n.unsigned_abs());
        let power_scale = base.1 * i64::from(n.unsigned_abs());
        let mantissa = Mantissa::from_big(power);
        if n > 0 {
            let drop = power_scale - scale;
            let cut =
                if drop > 0 { mantissa.over_pow10(drop as u32, true) } else { mantissa.times_pow10(-drop as u32) };
            return Numeric::checked(cut, scale);
        }
        // 1 / (m / 10^s) = 10^s / m, at the scale of the result.
        let top = Decimal { mantissa: Mantissa::Small(1).times_pow10(power_scale as u32), scale: 0 };
        top.divide(&Decimal { mantissa, scale: 0 }, scale, true)
    }

    fn trimmed_pair(&self) -> (num_bigint::BigInt, i64) {
        match Numeric::Finite(self.clone()).trim_scale() {
            Finite(d) => (d.mantissa.to_big(), d.scale.into()),
            _ => (self.mantissa.to_big(), self.scale.into()),
        }
    }

    /// Of the absolute value, to about 15 digits; not for zero.
    fn log10(&self) -> f64 {
        let digits = self.mantissa.digit_count();
        let drop = digits.saturating_sub(18);
        let head = match self.mantissa.over_pow10(drop as u32, false) {
            Mantissa::Small(m) => m.unsigned_abs() as f64,
            Mantissa::Big(_) => return digits as f64,
        };
        head.log10() + drop as f64 - f64::from(self.scale)
    }
}
