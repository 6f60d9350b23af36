//! `AT TIME ZONE` and what else takes a zone: UTC and fixed offsets.
//!
//! The rules of a named zone are the server's tables of the day, and their updates change no row: an answer that depends
//! on them could not be kept. `docs/adr/0007-time-zones.md` has the argument.

use super::Arg::{Interval as Span, Text, TimeTz, Timestamp, TimestampTz};
use super::datetime::out_of_range;
use super::datetime_field::truncate_at;
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::calendar::MICROS_PER_SECOND;
use crate::datum::{Value, timestamp as timestamps};

const TIMETZ: &str = "time with time zone is held as text only; use timestamptz or time";
const NAMED: &str = "the rules of a named time zone change without a change of any row; \
                     write AT TIME ZONE 'UTC', an offset as in AT TIME ZONE INTERVAL '+01:00', or store the local time";

pub static FUNCTIONS: &[Function] = &[
    function("timezone", &[Text, Timestamp], TimestampTz, from_local),
    function("timezone", &[Text, TimestampTz], Timestamp, to_local),
    function("timezone", &[Span, Timestamp], TimestampTz, from_offset),
    function("timezone", &[Span, TimestampTz], Timestamp, to_offset),
    stable(refused("timezone", &[Text, TimeTz], TimeTz, TIMETZ)),
    refused("timezone", &[Span, TimeTz], TimeTz, TIMETZ),
    stable(function("date_trunc", &[Text, TimestampTz, Text], TimestampTz, truncate_in)),
];

const UTC: &[&str] = &["UTC", "GMT", "Z", "Etc/UTC", "Etc/GMT"];

/// Microseconds east of Greenwich. A sign in a zone's *name* is POSIX's: `+02` and `Etc/GMT+2` lie west.
pub(super) fn offset(zone: &str) -> Result<i64, EvalError> {
    if UTC.iter().any(|utc| utc.eq_ignore_ascii_case(zone)) {
        return Ok(0);
    }
    fixed(zone).ok_or_else(|| error("0A000", NAMED))
}

fn fixed(zone: &str) -> Option<i64> {
    let etc = zone.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("Etc/GMT"));
    let rest = if etc { &zone[7..] } else { zone };
    let sign = match rest.as_bytes().first()? {
        b'+' => -1,
        b'-' => 1,
        _ => return None,
    };
    let number = |part: &str, most: i64| {
        let plain = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<i64>().ok().filter(|n| plain && *n <= most)
    };
    let mut parts = rest[1..].split(':');
    let hours = parts.next()?;
    if etc {
        // The files there are: without a zero in front, 12 to the west and 14 to the east.
        let known = number(hours, if sign < 0 { 12 } else { 14 })?;
        return (parts.next().is_none() && known.to_string() == hours)
            .then_some(sign * known * 3600 * MICROS_PER_SECOND);
    }
    let hours = number(hours, 15)?;
    let minutes = parts.next().map_or(Some(0), |m| number(m, 59).filter(|_| m.len() == 2))?;
    let total = (hours * 60 + minutes) * 60 * MICROS_PER_SECOND;
    parts.next().is_none().then_some(sign * total)
}

/// An interval's sign is ISO 8601's: east is positive.
fn span_offset(args: &[Value<'_>]) -> Result<i64, EvalError> {
    let zone = interval(args, 0)?;
    if zone.months != 0 || zone.days != 0 {
        return Err(error("22023", "an interval time zone must not include months or days"));
    }
    Ok(zone.micros / MICROS_PER_SECOND * MICROS_PER_SECOND)
}

fn moved(micros: i64, by: i64) -> Result<Value<'static>, EvalError> {
    if timestamps::is_infinite(micros) {
        return Ok(Value::Timestamp(micros));
    }
    let moved = micros.checked_add(by).filter(|t| timestamps::is_valid(*t));
    moved.map(Value::Timestamp).ok_or_else(out_of_range)
}

/// An infinity is itself in every zone, whatever the zone says.
fn at_offset(
    args: &mut [Value<'_>],
    of: fn(&mut [Value<'_>]) -> Result<i64, EvalError>,
    sign: i64,
) -> Result<Value<'static>, EvalError> {
    let micros = timestamp(args, 1)?;
    if timestamps::is_infinite(micros) {
        return Ok(Value::Timestamp(micros));
    }
    moved(micros, sign * of(args)?)
}

fn named_offset(args: &mut [Value<'_>]) -> Result<i64, EvalError> {
    offset(&text(args, 0)?)
}

fn from_local<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    at_offset(args, named_offset, -1)
}

fn to_local<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    at_offset(args, named_offset, 1)
}

fn from_offset<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    at_offset(args, |args| span_offset(args), -1)
}

fn to_offset<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    at_offset(args, |args| span_offset(args), 1)
}

/// Cut in the zone's own time.
fn truncate_in<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let micros = timestamp(args, 1)?;
    if timestamps::is_infinite(micros) {
        return Ok(Value::Timestamp(micros));
    }
    let east = offset(&text(args, 2)?)?;
    let local = truncate_at(&text(args, 0)?, micros.checked_add(east).ok_or_else(out_of_range)?)?;
    moved(local, -east)
}

/// A zone that no row can make exact.
pub(super) fn check(zone: &str) -> Result<(), EvalError> {
    offset(zone).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_names_are_those_of_posix() {
        const HOUR: i64 = 3_600_000_000;
        for (zone, east) in [
            ("utc", 0),
            ("+02", -2 * HOUR),
            ("-05:30", 5 * HOUR + HOUR / 2),
            ("Etc/GMT-14", 14 * HOUR),
            ("etc/gmt+5", -5 * HOUR),
        ] {
            assert_eq!(offset(zone), Ok(east), "{zone}");
        }
        for zone in ["Europe/Prague", "CET", "+16", "+1:2", "Etc/GMT+13", "Etc/GMT+05", "", "+", "+02:00x", "2"] {
            assert_eq!(offset(zone).unwrap_err().sqlstate, "0A000", "{zone}");
        }
    }
}
