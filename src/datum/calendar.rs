//! The proleptic Gregorian calendar as PostgreSQL counts it: days since 2000-01-01, a year 0 that is 1 BC.

use super::DatumError;

/// 1970-01-01 in days since 2000-01-01.
pub const UNIX_EPOCH_DAYS: i32 = -10_957;
pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The days since 2000-01-01 of a date; `year` is astronomical (0 is 1 BC). The caller has checked month and day.
pub fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    // Years begin in March, so that the leap day is the last one.
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 730_425) as i32
}

/// Year (astronomical), month, day.
pub fn civil_from_days(days: i32) -> (i32, u32, u32) {
    let z = i64::from(days) + 730_425;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u32, (day_of_year - (153 * shifted + 2) / 5 + 1) as u32)
}

pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Bytes that are read from the front; every reader says what type it reads.
pub(crate) struct Cursor<'a> {
    pub rest: &'a [u8],
    pub ty: &'static str,
}

impl<'a> Cursor<'a> {
    pub fn error(&self) -> DatumError {
        DatumError::Malformed { ty: self.ty }
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `byte` if it is next.
    pub fn take(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        if hit {
            self.rest = &self.rest[1..];
        }
        hit
    }

    pub fn expect(&mut self, byte: u8) -> Result<(), DatumError> {
        if self.take(byte) { Ok(()) } else { Err(self.error()) }
    }

    /// A run of `min` to `max` digits.
    pub fn digits(&mut self, min: usize, max: usize) -> Result<i64, DatumError> {
        let mut value = 0i64;
        let mut n = 0;
        while let Some(c @ b'0'..=b'9') = self.peek() {
            if n == max {
                return Err(self.error());
            }
            value = value * 10 + i64::from(c - b'0');
            self.rest = &self.rest[1..];
            n += 1;
        }
        if n < min { Err(self.error()) } else { Ok(value) }
    }

    /// `.` and one to six digits, as microseconds; nothing is 0.
    pub fn fraction(&mut self) -> Result<i64, DatumError> {
        if !self.take(b'.') {
            return Ok(0);
        }
        let before = self.rest.len();
        let value = self.digits(1, 6)?;
        Ok(value * 10i64.pow(6 - (before - self.rest.len()) as u32))
    }

    /// `YYYY-MM-DD` as (year, month, day), checked but for the range of the type.
    pub fn civil(&mut self) -> Result<(i32, u32, u32), DatumError> {
        let year = self.digits(4, 7)? as i32;
        self.expect(b'-')?;
        let month = self.digits(2, 2)? as u32;
        self.expect(b'-')?;
        let day = self.digits(2, 2)? as u32;
        // The leap rule needs the year that BC makes of it: `finish_civil` checks the day.
        if year == 0 || !(1..=12).contains(&month) || day == 0 { Err(self.error()) } else { Ok((year, month, day)) }
    }

    /// The end of a date: ` BC` or nothing; days since 2000-01-01.
    pub fn finish_civil(&mut self, (year, month, day): (i32, u32, u32)) -> Result<i32, DatumError> {
        let year = match self.rest {
            b"" => year,
            b" BC" => 1 - year,
            _ => return Err(self.error()),
        };
        if day > days_in_month(year, month) {
            return Err(self.error());
        }
        Ok(days_from_civil(year, month, day))
    }

    /// `HH:MM:SS[.ffffff]` in microseconds; the hour is not limited here.
    pub fn clock(&mut self) -> Result<i64, DatumError> {
        let hour = self.digits(2, 2)?;
        self.expect(b':')?;
        let minute = self.digits(2, 2)?;
        self.expect(b':')?;
        let second = self.digits(2, 2)?;
        let micros = self.fraction()?;
        if minute > 59 || second > 59 {
            return Err(self.error());
        }
        Ok(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros)
    }
}

pub(crate) fn push_padded(out: &mut String, value: u64, width: usize) {
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    let mut value = value;
    while value > 0 || buffer.len() - at < width {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend(buffer[at..].iter().map(|&b| b as char));
}

/// `HH:MM:SS[.ffffff]`, trailing zeros of the fraction left out.
pub(crate) fn push_clock(out: &mut String, micros: i64) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    push_padded(out, (seconds / 3600) as u64, 2);
    out.push(':');
    push_padded(out, (seconds / 60 % 60) as u64, 2);
    out.push(':');
    push_padded(out, (seconds % 60) as u64, 2);
    push_fraction(out, fraction);
}

pub(crate) fn push_fraction(out: &mut String, micros: i64) {
    if micros != 0 {
        out.push('.');
        push_padded(out, micros.unsigned_abs(), 6);
        while out.ends_with('0') {
            out.pop();
        }
    }
}
