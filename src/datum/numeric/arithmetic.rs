//! Sums, products, quotients, roots and rounding, with the scales that PostgreSQL gives to their results.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, Zero};

use super::Numeric::{Finite, Infinity, NaN, NegInfinity};
use super::{Decimal, MAX_INTEGER_DIGITS, MAX_SCALE, Mantissa, Numeric, NumericError, pow10};

type Answer = Result<Numeric, NumericError>;

/// `NUMERIC_MIN_SIG_DIGITS`, and `NUMERIC_MAX_DISPLAY_SCALE`: what a quotient or a root shows at least and at most.
pub(super) const MIN_SIGNIFICANT: i64 = 16;
pub(super) const MAX_DISPLAY_SCALE: i64 = 1000;
/// Left of this place nothing is left of any value but what rounds up to an overflow.
const MIN_PLACE: i64 = -MAX_INTEGER_DIGITS - 1;

impl Numeric {
    pub fn add(&self, other: &Numeric) -> Answer {
        match (self, other) {
            (NaN, _) | (_, NaN) | (Infinity, NegInfinity) | (NegInfinity, Infinity) => Ok(NaN),
            (Infinity, _) | (_, Infinity) => Ok(Infinity),
            (NegInfinity, _) | (_, NegInfinity) => Ok(NegInfinity),
            (Finite(a), Finite(b)) => {
                let (x, y, scale) = a.aligned(b);
                let sum = match (&x, &y) {
                    (Mantissa::Small(x), Mantissa::Small(y)) => x.checked_add(*y).map(Mantissa::Small),
                    _ => None,
                };
                Numeric::checked(sum.unwrap_or_else(|| Mantissa::from_big(x.to_big() + y.to_big())), scale.into())
            }
        }
    }

    pub fn sub(&self, other: &Numeric) -> Answer {
        self.add(&other.neg())
    }

    pub fn mul(&self, other: &Numeric) -> Answer {
        let (Finite(a), Finite(b)) = (self, other) else {
            return Ok(match self.sign_of_special().zip(other.sign_of_special()) {
                Some((x, y)) if x * y > 0 => Infinity,
                Some((x, y)) if x * y < 0 => NegInfinity,
                _ => NaN,
            });
        };
        let product = match (&a.mantissa, &b.mantissa) {
            (Mantissa::Small(x), Mantissa::Small(y)) => x.checked_mul(*y).map(Mantissa::Small),
            _ => None,
        };
        let product = product.unwrap_or_else(|| Mantissa::from_big(a.mantissa.to_big() * b.mantissa.to_big()));
        let scale = i64::from(a.scale) + i64::from(b.scale);
        if scale > MAX_SCALE {
            return Numeric::checked(product.over_pow10((scale - MAX_SCALE) as u32, true), MAX_SCALE);
        }
        Numeric::checked(product, scale)
    }

    pub fn div(&self, other: &Numeric) -> Answer {
        match self.divide_special(other) {
            Some(answer) => answer,
            None => match (self, other) {
                (Finite(a), Finite(b)) => a.divide(b, a.quotient_scale(b), true),
                _ => Ok(NaN),
            },
        }
    }

    /// `div(a, b)`: the quotient, truncated to an integer.
    pub fn div_trunc(&self, other: &Numeric) -> Answer {
        match self.divide_special(other) {
            Some(answer) => answer,
            None => match (self, other) {
                (Finite(a), Finite(b)) => a.divide(b, 0, false),
                _ => Ok(NaN),
            },
        }
    }

    fn divide_special(&self, other: &Numeric) -> Option<Answer> {
        let zero = matches!(other, Finite(d) if d.mantissa.is_zero());
        Some(match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ if zero => Err(NumericError::DivisionByZero),
            (Finite(_), Finite(_)) => return None,
            (Finite(_), _) => Ok(Numeric::zero()),
            (_, Finite(_)) => Ok(match self.signum() * other.signum() {
                1 => Infinity,
                _ => NegInfinity,
            }),
            _ => Ok(NaN),
        })
    }

    /// The remainder of the truncated quotient: the sign is the dividend's.
    pub fn rem(&self, other: &Numeric) -> Answer {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            (_, Finite(b)) if b.mantissa.is_zero() => Err(NumericError::DivisionByZero),
            (Finite(a), Finite(b)) => {
                let (x, y, scale) = a.aligned(b);
                let rest = match (&x, &y) {
                    (Mantissa::Small(x), Mantissa::Small(y)) => Mantissa::Small(x.checked_rem(*y).unwrap_or(0)),
                    _ => Mantissa::from_big(x.to_big() % y.to_big()),
                };
                Numeric::checked(rest, scale.into())
            }
            (Finite(_), _) => Ok(self.clone()),
            _ => Ok(NaN),
        }
    }

    pub fn neg(&self) -> Numeric {
        match self {
            NaN => NaN,
            Infinity => NegInfinity,
            NegInfinity => Infinity,
            Finite(d) => Finite(Decimal { mantissa: d.mantissa.clone().negate(), scale: d.scale }),
        }
    }

    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// −1, 0, 1; NaN has 1 here.
    pub fn signum(&self) -> i32 {
        match self {
            NaN | Infinity => 1,
            NegInfinity => -1,
            Finite(d) if d.mantissa.is_zero() => 0,
            Finite(d) => {
                if d.mantissa.is_negative() {
                    -1
                } else {
                    1
                }
            }
        }
    }

    /// None for NaN.
    fn sign_of_special(&self) -> Option<i32> {
        if matches!(self, NaN) { None } else { Some(self.signum()) }
    }

    /// Half away from zero. A negative place rounds left of the point.
    pub fn round(&self, place: i64) -> Answer {
        self.cut(place, true)
    }

    pub fn trunc(&self, place: i64) -> Answer {
        self.cut(place, false)
    }

    fn cut(&self, place: i64, round: bool) -> Answer {
        let Finite(d) = self else { return Ok(self.clone()) };
        let place = place.clamp(MIN_PLACE, MAX_SCALE);
        let drop = i64::from(d.scale) - place;
        if drop <= 0 {
            return Numeric::checked(d.mantissa.times_pow10(-drop as u32), place);
        }
        let cut = d.mantissa.over_pow10(drop as u32, round);
        if place >= 0 { Numeric::checked(cut, place) } else { Numeric::checked(cut.times_pow10(-place as u32), 0) }
    }

    pub fn ceil(&self) -> Answer {
        self.toward(1)
    }

    pub fn floor(&self) -> Answer {
        self.toward(-1)
    }

    fn toward(&self, direction: i32) -> Answer {
        let whole = self.trunc(0)?;
        // Truncation went the wrong way where it dropped something on the side of the direction.
        let short = self.signum() == direction && self.compare(&whole) != std::cmp::Ordering::Equal;
        if short { whole.add(&Numeric::from_i128(direction.into(), 0)) } else { Ok(whole) }
    }

    pub fn sqrt(&self) -> Answer {
        let d = match self {
            NaN => return Ok(NaN),
            Infinity => return Ok(Infinity),
            _ if self.signum() < 0 => return Err(NumericError::NegativeSquareRoot),
            Finite(d) => d,
            NegInfinity => return Err(NumericError::NegativeSquareRoot),
        };
        let (weight, _) = d.first_group();
        let result_digits = (weight + 1) * 4 / 2 - 1;
        let scale = (MIN_SIGNIFICANT - result_digits).max(d.scale.into()).clamp(0, MAX_DISPLAY_SCALE);
        // The root of mantissa * 10^(2*(scale+1) - d.scale) has one digit more than is wanted: cut there, then rounded.
        let shift = 2 * (scale + 1) - i64::from(d.scale);
        let radicand = d.mantissa.shifted(shift);
        Numeric::checked(Mantissa::from_big(radicand.sqrt()).over_pow10(1, true), scale)
    }

    /// The number of digits after the point that are needed; None for NaN and the infinities.
    pub fn min_scale(&self) -> Option<u16> {
        match self {
            Finite(d) => Some(d.trimmed().scale),
            _ => None,
        }
    }

    pub fn scale(&self) -> Option<u16> {
        match self {
            Finite(d) => Some(d.scale),
            _ => None,
        }
    }

    pub fn trim_scale(&self) -> Numeric {
        match self {
            Finite(d) => Finite(d.trimmed()),
            other => other.clone(),
        }
    }

    pub fn gcd(&self, other: &Numeric) -> Answer {
        match (self, other) {
            (Finite(a), Finite(b)) => {
                let (x, y, scale) = a.aligned(b);
                Numeric::checked(Mantissa::from_big(x.to_big().gcd(&y.to_big())), scale.into())
            }
            _ => Ok(NaN),
        }
    }

    pub fn lcm(&self, other: &Numeric) -> Answer {
        match (self, other) {
            (Finite(a), Finite(b)) => {
                let (x, y, scale) = a.aligned(b);
                Numeric::checked(Mantissa::from_big(x.to_big().lcm(&y.to_big())), scale.into())
            }
            _ => Ok(NaN),
        }
    }
}

impl Decimal {
    /// Both mantissas at the larger scale.
    pub(super) fn aligned(&self, other: &Decimal) -> (Mantissa, Mantissa, u16) {
        let scale = self.scale.max(other.scale);
        let at = |d: &Decimal| {
            let up = u32::from(scale - d.scale);
            if up == 0 { d.mantissa.clone() } else { d.mantissa.times_pow10(up) }
        };
        (at(self), at(other), scale)
    }

    /// The weight of the first base-10000 digit, and that digit: what PostgreSQL's scale rules look at. Zero is (0, 0).
    pub(super) fn first_group(&self) -> (i64, i64) {
        let digits = self.mantissa.digit_count() as i64;
        if digits == 0 {
            return (0, 0);
        }
        // The place of the first decimal digit: 0 is the units.
        let place = digits - 1 - i64::from(self.scale);
        let weight = place.div_euclid(4);
        let lead = place - weight * 4 + 1;
        let head = if digits >= lead {
            self.mantissa.over_pow10((digits - lead) as u32, false)
        } else {
            self.mantissa.times_pow10((lead - digits) as u32)
        };
        let Mantissa::Small(head) = head else { return (weight, 0) };
        (weight, head.unsigned_abs() as i64)
    }

    /// `select_div_scale`.
    fn quotient_scale(&self, other: &Decimal) -> i64 {
        let ((weight1, first1), (weight2, first2)) = (self.first_group(), other.first_group());
        let weight = weight1 - weight2 - i64::from(first1 <= first2);
        (MIN_SIGNIFICANT - weight * 4).max(self.scale.into()).max(other.scale.into()).clamp(0, MAX_DISPLAY_SCALE)
    }

    /// The quotient at a scale: half away from zero, or truncated. The divisor is not zero.
    pub(super) fn divide(&self, other: &Decimal, scale: i64, round: bool) -> Answer {
        let shift = scale + i64::from(other.scale) - i64::from(self.scale);
        let small = |m: &Mantissa, up: i64| match m {
            Mantissa::Small(m) => {
                u32::try_from(up.max(0)).ok().and_then(|up| 10i128.checked_pow(up)).and_then(|p| m.checked_mul(p))
            }
            Mantissa::Big(_) => None,
        };
        if let (Some(x), Some(y)) = (small(&self.mantissa, shift), small(&other.mantissa, -shift))
            && let (Some(quotient), Some(rest)) = (x.checked_div(y), x.checked_rem(y))
        {
            let up = round && rest.unsigned_abs() >= y.unsigned_abs() - rest.unsigned_abs();
            let away = if (x < 0) == (y < 0) { 1 } else { -1 };
            return Numeric::checked(Mantissa::Small(if up { quotient + away } else { quotient }), scale);
        }
        let x = self.mantissa.shifted(shift.max(0));
        let y = other.mantissa.shifted((-shift).max(0));
        let (quotient, rest) = x.div_rem(&y);
        let up = round && rest.magnitude() * 2u32 >= *y.magnitude();
        let away = x.signum() * y.signum();
        Numeric::checked(Mantissa::from_big(if up { quotient + away } else { quotient }), scale)
    }

    fn trimmed(&self) -> Decimal {
        let (mut mantissa, mut scale) = (self.mantissa.clone(), self.scale);
        while scale > 0 {
            let shorter = mantissa.over_pow10(1, false);
            let same = match (&mantissa, &shorter) {
                (Mantissa::Small(m), _) => m % 10 == 0,
                (Mantissa::Big(m), _) => (m % 10u32).is_zero(),
            };
            if !same {
                break;
            }
            mantissa = shorter;
            scale -= 1;
        }
        Decimal { mantissa, scale }
    }
}

impl Mantissa {
    /// Times `10^power`; a negative power truncates.
    pub(super) fn shifted(&self, power: i64) -> BigInt {
        if power >= 0 {
            self.to_big() * pow10(power as u32)
        } else {
            self.over_pow10(power.unsigned_abs() as u32, false).to_big()
        }
    }
}
