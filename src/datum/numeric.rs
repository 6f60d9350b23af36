//! `numeric`: a decimal number with its display scale, or NaN, or an infinity.
//!
//! A finite value is `mantissa / 10^scale`; the scale is part of the value (`1.10`), though equality ignores it.
//! Limits as PostgreSQL's: 131072 digits before the point, 16383 after it.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use super::DatumError;

mod arithmetic;
mod convert;
mod order;
mod power;
mod sum;

pub use convert::{from_f32, from_f64, precision_and_scale};
pub use sum::Sum;

pub const MAX_SCALE: i64 = 16_383;
pub const MAX_INTEGER_DIGITS: i64 = 131_072;

#[derive(Clone, Debug)]
pub enum Numeric {
    NaN,
    Infinity,
    NegInfinity,
    Finite(Decimal),
}

#[derive(Clone, Debug)]
pub struct Decimal {
    pub(crate) mantissa: Mantissa,
    pub(crate) scale: u16,
}

/// Small whenever it fits.
#[derive(Clone, Debug)]
pub(crate) enum Mantissa {
    Small(i128),
    Big(BigInt),
}

/// What PostgreSQL raises; `function::EvalError` has its SQLSTATE and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumericError {
    #[error("value overflows numeric format")]
    Overflow,
    #[error("numeric field overflow")]
    FieldOverflow,
    #[error("division by zero")]
    DivisionByZero,
    #[error("cannot take square root of a negative number")]
    NegativeSquareRoot,
    #[error("zero raised to a negative power is undefined")]
    ZeroToNegativePower,
    #[error("a negative number raised to a non-integer power yields a complex result")]
    NegativeToFraction,
    #[error("a numeric power with a fraction in its exponent is not computed here; cast to double precision")]
    FractionalExponent,
    #[error("invalid input syntax for type numeric")]
    Syntax,
}

/// Reads the output form: digits with a point, no exponent.
pub fn read(text: &[u8]) -> Result<Numeric, DatumError> {
    const ERROR: DatumError = DatumError::Malformed { ty: "numeric" };
    match text {
        b"NaN" => return Ok(Numeric::NaN),
        b"Infinity" => return Ok(Numeric::Infinity),
        b"-Infinity" => return Ok(Numeric::NegInfinity),
        _ => {}
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match unsigned.iter().position(|&b| b == b'.') {
        Some(at) if at + 1 < unsigned.len() => (&unsigned[..at], &unsigned[at + 1..]),
        Some(_) => return Err(ERROR),
        None => (unsigned, &b""[..]),
    };
    if whole.is_empty() || fraction.len() as i64 > MAX_SCALE {
        return Err(ERROR);
    }
    let mantissa = digits(whole, fraction).ok_or(ERROR)?;
    let mantissa = if unsigned.len() < text.len() { mantissa.negate() } else { mantissa };
    Ok(Numeric::Finite(Decimal { mantissa, scale: fraction.len() as u16 }))
}

/// Two runs of digits as one number.
fn digits(whole: &[u8], fraction: &[u8]) -> Option<Mantissa> {
    let all = || whole.iter().chain(fraction);
    if !all().all(u8::is_ascii_digit) {
        return None;
    }
    if whole.len() + fraction.len() <= 38 {
        return Some(Mantissa::Small(all().fold(0i128, |n, d| n * 10 + i128::from(d - b'0'))));
    }
    let joined: Vec<u8> = all().copied().collect();
    BigInt::parse_bytes(&joined, 10).map(Mantissa::from_big)
}

/// The input function: blanks around, a sign, an exponent, `NaN`, `inf`, `Infinity` in any case.
pub fn parse(text: &str) -> Result<Numeric, NumericError> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let is = |word: &str| rest.eq_ignore_ascii_case(word);
    if is("infinity") || is("inf") {
        return Ok(if negative { Numeric::NegInfinity } else { Numeric::Infinity });
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(Numeric::NaN);
    }
    let (number, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumericError::Syntax);
    }
    let mantissa = digits(whole.as_bytes(), fraction.as_bytes()).ok_or(NumericError::Syntax)?;
    let mantissa = if negative { mantissa.negate() } else { mantissa };
    // The display scale is what the exponent leaves of the fraction.
    let scale = fraction.len() as i64 - exponent;
    if mantissa.is_zero() {
        return Numeric::checked(mantissa, scale.max(0));
    }
    if scale >= 0 {
        return Numeric::checked(mantissa, scale);
    }
    if -scale > MAX_INTEGER_DIGITS {
        return Err(NumericError::Overflow);
    }
    Numeric::checked(mantissa.times_pow10(-scale as u32), 0)
}

fn parse_exponent(text: &str) -> Result<i64, NumericError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumericError::Syntax);
    }
    match text.trim_start_matches('+').parse::<i64>() {
        Ok(e) if e.abs() < i64::from(i32::MAX / 2) => Ok(e),
        _ => Err(NumericError::Syntax),
    }
}

impl Numeric {
    /// `mantissa / 10^scale`, within the limits of the type.
    pub(crate) fn checked(mantissa: Mantissa, scale: i64) -> Result<Numeric, NumericError> {
        if !(0..=MAX_SCALE).contains(&scale) {
            return Err(NumericError::Overflow);
        }
        if let Mantissa::Big(big) = &mantissa {
            // 0.30103 digits to a bit: only values near the limit need to be counted.
            let integer_bits = big.bits() as i64 - scale * 3;
            if integer_bits > 400_000 && mantissa.digit_count() as i64 - scale > MAX_INTEGER_DIGITS {
                return Err(NumericError::Overflow);
            }
        }
        Ok(Numeric::Finite(Decimal { mantissa, scale: scale as u16 }))
    }

    pub fn zero() -> Numeric {
        Numeric::from_i128(0, 0)
    }

    /// `mantissa / 10^scale`.
    pub fn from_i128(mantissa: i128, scale: u16) -> Numeric {
        Numeric::Finite(Decimal { mantissa: Mantissa::Small(mantissa), scale })
    }

    /// Writes the output form.
    pub fn write(&self, out: &mut String) {
        match self {
            Numeric::NaN => out.push_str("NaN"),
            Numeric::Infinity => out.push_str("Infinity"),
            Numeric::NegInfinity => out.push_str("-Infinity"),
            Numeric::Finite(d) => d.write(out),
        }
    }
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl Decimal {
    fn write(&self, out: &mut String) {
        let negative = self.mantissa.is_negative();
        if negative {
            out.push('-');
        }
        let start = out.len();
        match &self.mantissa {
            Mantissa::Small(m) => {
                let mut buffer = [b'0'; 40];
                let mut at = buffer.len();
                let mut rest = m.unsigned_abs();
                while rest > 0 {
                    at -= 1;
                    buffer[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                out.extend(buffer[at..].iter().map(|&b| b as char));
            }
            Mantissa::Big(m) => out.push_str(&m.magnitude().to_string()),
        }
        let scale = usize::from(self.scale);
        let digits = out.len() - start;
        if digits <= scale {
            let zeros: String = std::iter::repeat_n('0', scale + 1 - digits).collect();
            out.insert_str(start, &zeros);
        }
        if scale > 0 {
            out.insert(out.len() - scale, '.');
        }
    }
}

impl Mantissa {
    pub(crate) fn from_big(big: BigInt) -> Mantissa {
        match big.to_i128() {
            Some(small) => Mantissa::Small(small),
            None => Mantissa::Big(big),
        }
    }

    pub(crate) fn to_big(&self) -> BigInt {
        match self {
            Mantissa::Small(m) => BigInt::from(*m),
            Mantissa::Big(m) => m.clone(),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        matches!(self, Mantissa::Small(0))
    }

    pub(crate) fn is_negative(&self) -> bool {
        match self {
            Mantissa::Small(m) => *m < 0,
            Mantissa::Big(m) => m.is_negative(),
        }
    }

    pub(crate) fn negate(self) -> Mantissa {
        match self {
            Mantissa::Small(m) if m != i128::MIN => Mantissa::Small(-m),
            other => Mantissa::from_big(-other.to_big()),
        }
    }

    pub(crate) fn times_pow10(&self, power: u32) -> Mantissa {
        if self.is_zero() {
            return Mantissa::Small(0);
        }
        if let Mantissa::Small(m) = self
            && let Some(product) = 10i128.checked_pow(power).and_then(|p| m.checked_mul(p))
        {
            return Mantissa::Small(product);
        }
        Mantissa::from_big(self.to_big() * pow10(power))
    }

    /// Divides by `10^power`: half away from zero, or toward zero.
    pub(crate) fn over_pow10(&self, power: u32, round: bool) -> Mantissa {
        if power == 0 {
            return self.clone();
        }
        if let Mantissa::Small(m) = self {
            let Some(divisor) = 10i128.checked_pow(power) else {
                // At most 1.7e38: under half of 10^39, and 0 by truncation.
                return Mantissa::Small(0);
            };
            let (quotient, rest) = (m / divisor, m % divisor);
            let up = round && rest.unsigned_abs() >= (divisor / 2).unsigned_abs();
            return Mantissa::Small(if up { quotient + m.signum() } else { quotient });
        }
        let big = self.to_big();
        let divisor = pow10(power);
        let (quotient, rest) = num_integer::Integer::div_rem(&big, &divisor);
        let up = round && rest.magnitude() * 2u32 >= *divisor.magnitude();
        Mantissa::from_big(if up { quotient + big.signum() } else { quotient })
    }

    /// The number of decimal digits; 0 for zero.
    pub(crate) fn digit_count(&self) -> u64 {
        match self {
            Mantissa::Small(m) => m.unsigned_abs().checked_ilog10().map_or(0, |n| u64::from(n) + 1),
            Mantissa::Big(m) if m.is_zero() => 0,
            Mantissa::Big(m) => {
                let estimate = (m.bits() as f64 * std::f64::consts::LOG10_2) as u32;
                // The estimate is right or one too high or low: the powers of ten decide.
                let mut digits = estimate.saturating_sub(1);
                while *m.magnitude() >= *pow10(digits).magnitude() {
                    digits += 1;
                }
                u64::from(digits)
            }
        }
    }
}

pub(crate) fn pow10(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

#[cfg(test)]
mod tests;
