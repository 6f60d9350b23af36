//! The words that name a field of a date or time, with PostgreSQL's spellings.

use super::EvalError;
use super::declare::error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    Julian,
    IsoYear,
    Dow,
    IsoDow,
    Doy,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

/// Only the first ten characters count (`TOKMAXLEN`); ASCII case does not.
const SPELLINGS: &[(Unit, &[&str])] = &[
    (Unit::Microsecond, &["microsecon", "us", "usec", "usecond", "useconds", "usecs"]),
    (Unit::Millisecond, &["millisecon", "ms", "msec", "msecond", "mseconds", "msecs"]),
    (Unit::Second, &["s", "sec", "second", "seconds", "secs"]),
    (Unit::Minute, &["m", "min", "mins", "minute", "minutes"]),
    (Unit::Hour, &["h", "hour", "hours", "hr", "hrs"]),
    (Unit::Day, &["d", "day", "days"]),
    (Unit::Week, &["w", "week", "weeks"]),
    (Unit::Month, &["mon", "mons", "month", "months"]),
    (Unit::Quarter, &["qtr", "quarter"]),
    (Unit::Year, &["y", "year", "years", "yr", "yrs"]),
    (Unit::Decade, &["dec", "decade", "decades", "decs"]),
    (Unit::Century, &["c", "cent", "centuries", "century"]),
    (Unit::Millennium, &["mil", "mils", "millennia", "millennium"]),
    (Unit::Timezone, &["timezone"]),
    (Unit::TimezoneHour, &["timezone_h"]),
    (Unit::TimezoneMinute, &["timezone_m"]),
];

/// What only `extract` and `date_part` know.
const FIELDS: &[(Unit, &[&str])] = &[
    (Unit::Epoch, &["epoch"]),
    (Unit::Julian, &["julian", "jd", "j"]),
    (Unit::IsoYear, &["isoyear"]),
    (Unit::Dow, &["dow"]),
    (Unit::IsoDow, &["isodow"]),
    (Unit::Doy, &["doy"]),
    (Unit::Minute, &["mm"]),
];

pub(super) fn not_recognized() -> EvalError {
    error("22023", "the unit is not recognized for the type")
}

pub(super) fn not_supported() -> EvalError {
    error("0A000", "the unit is not supported for the type")
}

fn find(table: &[(Unit, &[&str])], word: &str) -> Option<Unit> {
    let word = word.to_ascii_lowercase();
    let key = word.as_bytes().get(..10).unwrap_or(word.as_bytes());
    table.iter().find(|(_, spellings)| spellings.iter().any(|s| s.as_bytes() == key)).map(|(unit, _)| *unit)
}

/// A unit that `date_trunc` may know.
pub(super) fn unit(word: &str) -> Result<Unit, EvalError> {
    find(SPELLINGS, word).ok_or_else(not_recognized)
}

/// A field that `extract` may know.
pub(super) fn field(word: &str) -> Result<Unit, EvalError> {
    find(SPELLINGS, word).or_else(|| find(FIELDS, word)).ok_or_else(not_recognized)
}
