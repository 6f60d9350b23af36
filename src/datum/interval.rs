//! `interval` in the form of `IntervalStyle = iso_8601`: `P1Y2M-3DT4H5M6.7S`, each part with its own sign.

use super::calendar::{Cursor, MICROS_PER_DAY, MICROS_PER_SECOND, push_fraction, push_padded};
use super::{DatumError, Interval};

const RANGE: DatumError = DatumError::OutOfRange { ty: "interval" };

/// Reads the output form.
pub fn read(text: &[u8]) -> Result<Interval, DatumError> {
    let mut c = Cursor { rest: text, ty: "interval" };
    c.expect(b'P')?;
    let (mut months, mut days, mut micros) = (0i64, 0i64, 0i128);
    let mut in_time = false;
    let mut parts = 0;
    while !c.rest.is_empty() {
        if !in_time && c.take(b'T') {
            in_time = true;
            continue;
        }
        let sign = if c.take(b'-') { -1 } else { 1 };
        let whole = c.digits(1, 12)?;
        let fraction = c.fraction()?;
        let (&unit, rest) = c.rest.split_first().ok_or(c.error())?;
        c.rest = rest;
        if fraction != 0 && unit != b'S' {
            return Err(c.error());
        }
        let seconds = match (in_time, unit) {
            (false, b'Y') => {
                months += sign * whole * 12;
                0
            }
            (false, b'M') => {
                months += sign * whole;
                0
            }
            (false, b'D') => {
                days += sign * whole;
                0
            }
            (true, b'H') => whole * 3600,
            (true, b'M') => whole * 60,
            (true, b'S') => whole,
            _ => return Err(c.error()),
        };
        micros += i128::from(sign) * (i128::from(seconds) * i128::from(MICROS_PER_SECOND) + i128::from(fraction));
        parts += 1;
    }
    if parts == 0 {
        return Err(c.error());
    }
    Ok(Interval {
        months: i32::try_from(months).map_err(|_| RANGE)?,
        days: i32::try_from(days).map_err(|_| RANGE)?,
        micros: i64::try_from(micros).map_err(|_| RANGE)?,
    })
}

pub fn write(interval: Interval, out: &mut String) {
    let Interval { months, days, micros } = interval;
    if interval == Interval::default() {
        return out.push_str("PT0S");
    }
    out.push('P');
    push_part(out, i64::from(months / 12), 'Y');
    push_part(out, i64::from(months % 12), 'M');
    push_part(out, i64::from(days), 'D');
    if micros == 0 {
        return;
    }
    out.push('T');
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    push_part(out, seconds / 3600, 'H');
    push_part(out, seconds / 60 % 60, 'M');
    let second = seconds % 60;
    if second != 0 || fraction != 0 {
        if micros < 0 {
            out.push('-');
        }
        push_padded(out, second.unsigned_abs(), 1);
        push_fraction(out, fraction);
        out.push('S');
    }
}

fn push_part(out: &mut String, value: i64, unit: char) {
    if value != 0 {
        if value < 0 {
            out.push('-');
        }
        push_padded(out, value.unsigned_abs(), 1);
        out.push(unit);
    }
}

impl Interval {
    /// What comparison, equality and hashing look at: a month is 30 days, a day 24 hours.
    pub fn span_micros(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        for (text, months, days, micros) in [
            ("PT0S", 0, 0, 0),
            ("P1Y2M-3DT4H5M6.7S", 14, -3, 14_706_700_000),
            ("P-1Y-2M", -14, 0, 0),
            ("PT-0.000001S", 0, 0, -1),
            ("P10D", 0, 10, 0),
            ("PT2562047788H54.775807S", 0, 0, i64::MAX),
        ] {
            let value = Interval { months, days, micros };
            let mut out = String::new();
            write(value, &mut out);
            assert_eq!((out.as_str(), read(text.as_bytes())), (text, Ok(value)));
        }
        for text in ["", "P", "1 day", "P1", "PT1D", "P1H", "P99999999999Y", "P1.5D"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
