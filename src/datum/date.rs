//! `date`: days since 2000-01-01; `i32::MAX` and `i32::MIN` are the infinities.

use super::DatumError;
use super::calendar::{Cursor, UNIX_EPOCH_DAYS, civil_from_days, push_padded};

pub const INFINITY: i32 = i32::MAX;
pub const NEG_INFINITY: i32 = i32::MIN;
/// 4714-11-24 BC and 5874897-12-31.
pub const MIN: i32 = -2_451_545;
pub const MAX: i32 = 2_145_031_948;

/// Reads the output form: `2026-01-31`, `0044-03-15 BC`, `infinity`.
pub fn read(text: &[u8]) -> Result<i32, DatumError> {
    let mut c = Cursor { rest: text, ty: "date" };
    match text {
        b"infinity" => return Ok(INFINITY),
        b"-infinity" => return Ok(NEG_INFINITY),
        _ => {}
    }
    let civil = c.civil()?;
    let days = c.finish_civil(civil)?;
    if (MIN..=MAX).contains(&days) { Ok(days) } else { Err(DatumError::OutOfRange { ty: "date" }) }
}

pub fn write(days: i32, out: &mut String) {
    match days {
        INFINITY => out.push_str("infinity"),
        NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let bc = push_civil(out, days);
            out.push_str(bc);
        }
    }
}

/// Writes `YYYY-MM-DD`; gives the ending that says BC.
pub(crate) fn push_civil(out: &mut String, days: i32) -> &'static str {
    let (year, month, day) = civil_from_days(days);
    push_padded(out, if year > 0 { year as u64 } else { (1 - i64::from(year)) as u64 }, 4);
    out.push('-');
    push_padded(out, u64::from(month), 2);
    out.push('-');
    push_padded(out, u64::from(day), 2);
    if year > 0 { "" } else { " BC" }
}

/// Days since 1970-01-01; None for the infinities. BC dates are negative, before −719162.
pub fn to_unix_days(days: i32) -> Option<i32> {
    (days != INFINITY && days != NEG_INFINITY).then(|| days - UNIX_EPOCH_DAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        for (text, days) in [
            ("2000-01-01", 0),
            ("1970-01-01", UNIX_EPOCH_DAYS),
            ("4714-11-24 BC", MIN),
            ("5874897-12-31", MAX),
            ("0001-02-29 BC", -730_426),
            ("infinity", INFINITY),
            ("-infinity", NEG_INFINITY),
        ] {
            let mut out = String::new();
            write(days, &mut out);
            assert_eq!((out.as_str(), read(text.as_bytes())), (text, Ok(days)));
        }
    }

    #[test]
    fn what_is_no_date_is_an_error() {
        for text in ["", "2000", "2000-13-01", "2001-02-29", "0000-01-01", "2000-01-01 AD", "2000-1-1", "4714-11-23 BC"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
