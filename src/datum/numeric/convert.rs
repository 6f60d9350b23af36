//! To and from integers and floats, and the modifier of `numeric(p,s)`.

use super::Numeric::{Finite, Infinity, NaN, NegInfinity};
use super::{Decimal, Mantissa, Numeric, NumericError};

/// The value with 15 significant digits, as the cast from double precision gives it.
pub fn from_f64(value: f64) -> Numeric {
    from_digits(value, format!("{value:.14e}"))
}

/// The value with 6 significant digits, as the cast from real gives it.
pub fn from_f32(value: f32) -> Numeric {
    from_digits(value.into(), format!("{value:.5e}"))
}

fn from_digits(value: f64, text: String) -> Numeric {
    if value.is_nan() {
        return NaN;
    }
    if value.is_infinite() {
        return if value > 0.0 { Infinity } else { NegInfinity };
    }
    // `%g` leaves out the zeros at the end of a fraction.
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    super::parse(&format!("{digits}e{exponent}")).unwrap_or(NaN)
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::from_i128(value.into(), 0)
    }
}

impl Numeric {
    /// The nearest integer, half away from zero; None for NaN, the infinities and what does not fit.
    pub fn to_i64(&self) -> Option<i64> {
        match self.round(0) {
            Ok(Finite(Decimal { mantissa: Mantissa::Small(m), .. })) => i64::try_from(m).ok(),
            _ => None,
        }
    }

    /// The nearest double; None where PostgreSQL says that it is out of range.
    pub fn to_f64(&self) -> Option<f64> {
        match self {
            NaN => Some(f64::NAN),
            Infinity => Some(f64::INFINITY),
            NegInfinity => Some(f64::NEG_INFINITY),
            Finite(_) => {
                let value: f64 = self.to_string().parse().ok()?;
                (value.is_finite() && (value != 0.0 || self.signum() == 0)).then_some(value)
            }
        }
    }

    pub fn to_f32(&self) -> Option<f32> {
        match self {
            NaN => Some(f32::NAN),
            Infinity => Some(f32::INFINITY),
            NegInfinity => Some(f32::NEG_INFINITY),
            Finite(_) => {
                let value: f32 = self.to_string().parse().ok()?;
                (value.is_finite() && (value != 0.0 || self.signum() == 0)).then_some(value)
            }
        }
    }

    pub fn is_integral(&self) -> bool {
        match self {
            NaN => false,
            Infinity | NegInfinity => true,
            Finite(_) => self.min_scale() == Some(0),
        }
    }

    /// Rounds to the scale of `numeric(p,s)`, and checks the precision. −1 leaves the value as it is.
    pub fn apply_typmod(&self, typmod: i32) -> Result<Numeric, NumericError> {
        let Some((precision, scale)) = precision_and_scale(typmod) else { return Ok(self.clone()) };
        match self {
            NaN => Ok(NaN),
            Infinity | NegInfinity => Err(NumericError::FieldOverflow),
            Finite(_) => {
                let rounded = self.round(scale.into())?;
                let Finite(d) = &rounded else { return Ok(rounded) };
                // Digits left of the point; a negative scale leaves zeros there that count.
                let digits = d.mantissa.digit_count() as i64 - i64::from(d.scale);
                if !d.mantissa.is_zero() && digits > i64::from(precision - scale) {
                    return Err(NumericError::FieldOverflow);
                }
                Ok(rounded)
            }
        }
    }
}

/// Precision and scale of a numeric's type modifier; the scale may be negative since version 15.
pub fn precision_and_scale(typmod: i32) -> Option<(i32, i32)> {
    if typmod < 4 {
        return None;
    }
    let packed = typmod - 4;
    Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
}
