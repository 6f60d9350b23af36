//! `time`: microseconds since midnight; 24:00:00 is a value.

use super::DatumError;
use super::calendar::{Cursor, MICROS_PER_DAY, push_clock};

/// Reads `HH:MM:SS[.ffffff]`.
pub fn read(text: &[u8]) -> Result<i64, DatumError> {
    let mut c = Cursor { rest: text, ty: "time" };
    let micros = c.clock()?;
    if !c.rest.is_empty() {
        return Err(c.error());
    }
    if micros > MICROS_PER_DAY { Err(DatumError::OutOfRange { ty: "time" }) } else { Ok(micros) }
}

pub fn write(micros: i64, out: &mut String) {
    push_clock(out, micros);
}

/// Rounds to `precision` digits of the second, as `time(p)` and `timestamp(p)` do: half away from zero.
pub fn round(micros: i64, precision: i32) -> i64 {
    let Ok(digits @ 0..=5) = u32::try_from(precision) else { return micros };
    let unit = 10i64.pow(6 - digits);
    let half = if micros < 0 { -unit / 2 } else { unit / 2 };
    micros.saturating_add(half) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        for (text, micros) in
            [("00:00:00", 0), ("24:00:00", MICROS_PER_DAY), ("12:34:56.7", 45_296_700_000), ("00:00:00.000001", 1)]
        {
            let mut out = String::new();
            write(micros, &mut out);
            assert_eq!((out.as_str(), read(text.as_bytes())), (text, Ok(micros)));
        }
        for text in
            ["", "24:00:00.1", "1:00:00", "00:60:00", "00:00:60", "00:00:00.", "00:00:00.1234567", "00:00:00+00"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
