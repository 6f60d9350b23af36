//! `timestamp` and `timestamptz`: microseconds since 2000-01-01 (UTC); `i64::MAX` and `i64::MIN` are the infinities.

use super::DatumError;
use super::calendar::{Cursor, MICROS_PER_DAY, MICROS_PER_SECOND, UNIX_EPOCH_DAYS, push_clock};
use super::date::push_civil;

pub const INFINITY: i64 = i64::MAX;
pub const NEG_INFINITY: i64 = i64::MIN;
/// 4714-11-24 00:00:00 BC, and the first instant after 294276-12-31 23:59:59.999999.
pub const MIN: i64 = -211_813_488_000_000_000;
pub const END: i64 = 9_223_371_331_200_000_000;

/// Reads `YYYY-MM-DD HH:MM:SS[.ffffff][±HH[:MM[:SS]]][ BC]`, or an infinity. Without an offset it is as in UTC.
pub fn read(text: &[u8]) -> Result<i64, DatumError> {
    match text {
        b"infinity" => return Ok(INFINITY),
        b"-infinity" => return Ok(NEG_INFINITY),
        _ => {}
    }
    let mut c = Cursor { rest: text, ty: "timestamp" };
    let civil = c.civil()?;
    c.expect(b' ')?;
    let clock = c.clock()?;
    let offset = read_offset(&mut c)?;
    let days = c.finish_civil(civil)?;
    if clock > MICROS_PER_DAY {
        return Err(c.error());
    }
    let micros = i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(clock) - i128::from(offset);
    match i64::try_from(micros) {
        Ok(micros) if is_valid(micros) => Ok(micros),
        _ => Err(DatumError::OutOfRange { ty: "timestamp" }),
    }
}

/// `±HH[:MM[:SS]]` in microseconds east of Greenwich; nothing is 0.
fn read_offset(c: &mut Cursor<'_>) -> Result<i64, DatumError> {
    let sign = match c.peek() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Ok(0),
    };
    c.rest = &c.rest[1..];
    let hours = c.digits(2, 2)?;
    let minutes = if c.take(b':') { c.digits(2, 2)? } else { 0 };
    let seconds = if c.take(b':') { c.digits(2, 2)? } else { 0 };
    // PostgreSQL knows no offset of 16 hours.
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(c.error());
    }
    let seconds = hours * 3600 + minutes * 60 + seconds;
    Ok(sign * seconds * MICROS_PER_SECOND)
}

/// In the range of the finite values.
pub fn is_valid(micros: i64) -> bool {
    (MIN..END).contains(&micros)
}

pub fn is_infinite(micros: i64) -> bool {
    micros == INFINITY || micros == NEG_INFINITY
}

/// Writes a `timestamp`.
pub fn write(micros: i64, out: &mut String) {
    push(micros, "", out);
}

/// Writes a `timestamptz` in UTC: with `+00`.
pub fn write_tz(micros: i64, out: &mut String) {
    push(micros, "+00", out);
}

fn push(micros: i64, zone: &str, out: &mut String) {
    match micros {
        INFINITY => out.push_str("infinity"),
        NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let bc = push_civil(out, micros.div_euclid(MICROS_PER_DAY) as i32);
            out.push(' ');
            push_clock(out, micros.rem_euclid(MICROS_PER_DAY));
            out.push_str(zone);
            out.push_str(bc);
        }
    }
}

/// Microseconds since 1970-01-01 UTC; None for the infinities, and for the last years that do not fit (after 294246).
pub fn to_unix_micros(micros: i64) -> Option<i64> {
    if is_infinite(micros) { None } else { micros.checked_sub(i64::from(UNIX_EPOCH_DAYS) * MICROS_PER_DAY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        for (text, micros) in [
            ("2000-01-01 00:00:00", 0),
            ("1999-12-31 23:59:59.999999", -1),
            ("4714-11-24 00:00:00 BC", MIN),
            ("294276-12-31 23:59:59.999999", END - 1),
            ("infinity", INFINITY),
            ("-infinity", NEG_INFINITY),
        ] {
            let mut out = String::new();
            write(micros, &mut out);
            assert_eq!((out.as_str(), read(text.as_bytes())), (text, Ok(micros)));
        }
        assert_eq!(read(b"2000-01-01 00:00:00+00"), Ok(0));
        assert_eq!(read(b"2000-01-01 01:30:00+01:30"), Ok(0));
        assert_eq!(read(b"1999-12-31 23:59:44-00:00:16"), Ok(0));
        assert_eq!(read(b"0044-03-15 12:00:00+00 BC").unwrap(), read(b"0044-03-15 12:00:00 BC").unwrap());
    }

    #[test]
    fn what_is_no_timestamp_is_an_error() {
        for text in [
            "",
            "2000-01-01",
            "2000-01-01T00:00:00",
            "2000-01-01 00:00:00Z",
            "2000-01-01 25:00:00",
            "294277-01-01 00:00:00",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
