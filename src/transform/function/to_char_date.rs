//! `to_char` of timestamps and intervals (`DCH_to_char` of PostgreSQL). Names are English: those of the locale need TM.

use super::EvalError;
use super::datetime_field::{iso_week, weekday};
use super::declare::error;
use super::to_char_pattern::{DATE, Piece, ending, pieces};
use crate::datum::Interval;
use crate::datum::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, civil_from_days, days_from_civil};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
const JULIAN_DAYS: i64 = 2_451_545;

/// The parts of a moment or of an interval, each with its sign.
pub(super) struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    day_of_year: i64,
    /// Days since 2000-01-01; None for an interval.
    date: Option<i64>,
    zone: &'static str,
}

impl Parts {
    pub(super) fn of_timestamp(micros: i64, zone: &'static str) -> Parts {
        let (days, clock) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
        let (year, month, day) = civil_from_days(days as i32);
        let first = i64::from(days_from_civil(year, 1, 1));
        let date = Some(days);
        Parts { day: day.into(), date, zone, ..Parts::of_clock(year.into(), month.into(), days - first + 1, clock) }
    }

    pub(super) fn of_interval(v: Interval) -> Parts {
        // 32 bits, as the server has them: past their end it goes on from the other.
        let day_of_year = v.months.wrapping_mul(30).wrapping_add(v.days);
        let (year, month) = (i64::from(v.months / 12), i64::from(v.months % 12));
        Parts { day: v.days.into(), ..Parts::of_clock(year, month, day_of_year.into(), v.micros) }
    }

    fn of_clock(year: i64, month: i64, day_of_year: i64, clock: i64) -> Parts {
        let (seconds, micros) = (clock / MICROS_PER_SECOND, clock % MICROS_PER_SECOND);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        Parts { year, month, day: 0, hour, minute, second, micros, day_of_year, date: None, zone: "" }
    }

    /// Years are counted without a year 0, an interval's as they are.
    fn shown(&self, year: i64) -> i64 {
        if self.date.is_some() && year <= 0 { 1 - year } else { year }
    }
}

/// `%0{width}d` of C: the sign counts.
fn push_number(out: &mut String, number: i64, width: usize) {
    out.push_str(&format!("{number:0width$}"));
}

/// `%-{width}s`.
fn push_word(out: &mut String, word: &str, fill: bool, width: usize) {
    let width = if fill { 0 } else { width };
    out.push_str(&format!("{word:<width$}"));
}

/// Weeks of seven days from the first day on.
fn week(day: i64) -> i64 {
    i64::from((day as i32).wrapping_sub(1) / 7 + 1)
}

fn unsuited() -> EvalError {
    error("22007", "invalid format specification for an interval value")
}

/// What a pattern has that is not computed here.
pub(super) fn check(pattern: &str, of_interval: bool) -> Result<(), EvalError> {
    for piece in pieces(pattern, DATE)? {
        let Piece::Keyword { word, .. } = piece else { continue };
        let calendar = matches!(&*word.to_ascii_uppercase(), "IYYY" | "IYY" | "IY" | "I" | "IW" | "IDDD" | "J" | "RM");
        if of_interval && calendar {
            return Err(error("0A000", format!("{word} of an interval is not computed; use extract")));
        }
    }
    Ok(())
}

pub(super) fn write(pattern: &str, parts: &Parts) -> Result<String, EvalError> {
    check(pattern, parts.date.is_none())?;
    let mut out = String::new();
    for piece in pieces(pattern, DATE)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Keyword { word, fill, ordinal } => {
                let start = out.len();
                let number = write_word(word, fill, parts, &mut out)?;
                if let (true, Some(case)) = (number && out.len() > start, ordinal) {
                    // The server looks at all that was written so far of this keyword.
                    let end = ending(&out[start..], case)?;
                    out.push_str(end);
                }
            }
        }
    }
    Ok(out)
}

/// Whether it was a number, which may have an ordinal ending.
fn write_word(word: &str, fill: bool, p: &Parts, out: &mut String) -> Result<bool, EvalError> {
    let upper = word.to_ascii_uppercase();
    let lower = word.starts_with(|c: char| c.is_ascii_lowercase());
    let cased = |text: &str| match (lower, word.len() > 1 && word.as_bytes()[1].is_ascii_uppercase() || word.len() == 1)
    {
        (true, _) => text.to_ascii_lowercase(),
        (false, true) => text.to_ascii_uppercase(),
        (false, false) => text.to_owned(),
    };
    let number = |out: &mut String, value: i64, width: usize| {
        push_number(out, value, if fill { 0 } else { width });
        Ok(true)
    };
    let signed = |value: i64, width: usize| if value >= 0 { width } else { width + 1 };
    let calendar_word = matches!(
        &*upper,
        "A.D." | "B.C." | "AD" | "BC" | "MONTH" | "MON" | "DAY" | "DY" | "D" | "ID" | "TZ" | "TZH" | "TZM" | "OF"
    );
    if p.date.is_none() && calendar_word {
        return Err(unsuited());
    }
    let iso = || p.date.map_or((p.year, 0), iso_week);
    let afternoon = p.hour % 24 >= 12;
    match &*upper {
        "A.M." | "P.M." | "AM" | "PM" => {
            let text = match (upper.contains('.'), afternoon) {
                (true, true) => "P.M.",
                (true, false) => "A.M.",
                (false, true) => "PM",
                (false, false) => "AM",
            };
            out.push_str(&if lower { text.to_ascii_lowercase() } else { text.to_owned() });
            Ok(false)
        }
        "A.D." | "B.C." | "AD" | "BC" => {
            let text = match (upper.contains('.'), p.year <= 0) {
                (true, true) => "B.C.",
                (true, false) => "A.D.",
                (false, true) => "BC",
                (false, false) => "AD",
            };
            out.push_str(&if lower { text.to_ascii_lowercase() } else { text.to_owned() });
            Ok(false)
        }
        "HH" | "HH12" => number(out, if p.hour % 12 == 0 { 12 } else { p.hour % 12 }, signed(p.hour, 2)),
        "HH24" => number(out, p.hour, signed(p.hour, 2)),
        "MI" => number(out, p.minute, signed(p.minute, 2)),
        "SS" => number(out, p.second, signed(p.second, 2)),
        "SSSS" | "SSSSS" => {
            push_number(out, p.hour * 3600 + p.minute * 60 + p.second, 0);
            Ok(true)
        }
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" | "MS" | "US" => {
            let digits = match &*upper {
                "MS" => 3,
                "US" => 6,
                other => other.as_bytes()[2] - b'0',
            };
            push_number(out, p.micros / 10i64.pow(6 - u32::from(digits)), digits.into());
            Ok(true)
        }
        "TZ" => {
            out.push_str(&if lower { p.zone.to_ascii_lowercase() } else { p.zone.to_owned() });
            Ok(false)
        }
        "TZH" => {
            out.push_str("+00");
            Ok(false)
        }
        "TZM" => {
            out.push_str("00");
            Ok(false)
        }
        "OF" => {
            out.push_str(if fill { "+0" } else { "+00" });
            Ok(false)
        }
        "MONTH" => {
            push_word(out, &cased(MONTHS[(p.month - 1) as usize]), fill, 9);
            Ok(false)
        }
        "MON" => {
            push_word(out, &cased(&MONTHS[(p.month - 1) as usize][..3]), true, 0);
            Ok(false)
        }
        "MM" => number(out, p.month, signed(p.month, 2)),
        "DAY" | "DY" => {
            let name = DAYS[((p.date.map_or(0, weekday) + 1) % 7) as usize];
            let short = upper == "DY";
            push_word(out, &cased(if short { &name[..3] } else { name }), fill || short, 9);
            Ok(false)
        }
        "DDD" => number(out, p.day_of_year, 3),
        "IDDD" => {
            let (year, _) = iso();
            let first = i64::from(days_from_civil(year as i32, 1, 4));
            let monday = first - weekday(first);
            number(out, p.date.unwrap_or(0) - monday + 1, 3)
        }
        "DD" => number(out, p.day, 2),
        "D" => number(out, (p.date.map_or(0, weekday) + 1) % 7 + 1, 0),
        "ID" => number(out, p.date.map_or(0, weekday) + 1, 0),
        "WW" => number(out, week(p.day_of_year), 2),
        "IW" => number(out, iso().1, 2),
        "Q" => {
            if p.month != 0 {
                push_number(out, (p.month - 1) / 3 + 1, 0);
            }
            Ok(p.month != 0)
        }
        "CC" => {
            let century = match (p.date, p.year > 0) {
                (None, _) => p.year / 100,
                (Some(_), true) => (p.year - 1) / 100 + 1,
                (Some(_), false) => p.year / 100 - 1,
            };
            let width = if (-99..=99).contains(&century) { signed(century, 2) } else { 0 };
            number(out, century, width)
        }
        "Y,YYY" => {
            let year = p.shown(p.year);
            out.push_str(&format!("{},", year / 1000));
            push_number(out, year - year / 1000 * 1000, 3);
            Ok(true)
        }
        "YYYY" | "YYY" | "YY" | "Y" | "IYYY" | "IYY" | "IY" | "I" => {
            let year = p.shown(if upper.starts_with('I') { iso().0 } else { p.year });
            let (width, cut) = match upper.trim_start_matches('I').len() + usize::from(upper.starts_with('I')) {
                4 => (4, i64::MAX),
                3 => (3, 1000),
                2 => (2, 100),
                _ => (1, 10),
            };
            // The width asks for the year's own sign, in every one of them but the last.
            let padded = if width == 1 { 1 } else { signed(p.shown(p.year), width) };
            let padded = if fill && width > 1 { 0 } else { padded };
            push_number(out, year % cut, padded);
            Ok(true)
        }
        "RM" => {
            push_word(out, &cased(ROMAN[(p.month - 1) as usize]), fill, 4);
            Ok(false)
        }
        "W" => number(out, week(p.day), 0),
        "J" => {
            push_number(out, p.date.unwrap_or(0) + JULIAN_DAYS, 0);
            Ok(true)
        }
        // FX says nothing to the output.
        _ => Ok(false),
    }
}
