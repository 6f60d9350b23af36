//! Dates, times and intervals made of numbers, put in order, counted between and put into bins.
//!
//! Source of truth: `make_date`, `timestamp_age`, `interval_justify_interval` and `timestamp_bin` of PostgreSQL. What
//! its versions answer differently (infinities in `age`, overflow in `make_interval`) is an error here.

use super::Arg::{Date, Float8, Int4, Interval as Span, Text, Time, Timestamp, TimestampTz};
use super::datetime::{interval_range, out_of_range};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::calendar::{MICROS_PER_DAY, UNIX_EPOCH_DAYS, civil_from_days, days_from_civil, days_in_month};
use crate::datum::{Interval, Value, date as dates, timestamp as timestamps};

const ZONE: &str = "write make_timestamp(…) AT TIME ZONE INTERVAL '+01:00'";

pub static FUNCTIONS: &[Function] = &[
    function("make_date", &[Int4, Int4, Int4], Date, make_date),
    function("make_time", &[Int4, Int4, Float8], Time, make_time),
    function("make_timestamp", &[Int4, Int4, Int4, Int4, Int4, Float8], Timestamp, make_timestamp),
    stable(function("make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8], TimestampTz, make_timestamp)),
    stable(refused("make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8, Text], TimestampTz, ZONE)),
    // The server has one with defaults for all.
    function("make_interval", &[], Span, make_interval),
    function("make_interval", &[Int4], Span, make_interval),
    function("make_interval", &[Int4, Int4], Span, make_interval),
    function("make_interval", &[Int4, Int4, Int4], Span, make_interval),
    function("make_interval", &[Int4, Int4, Int4, Int4], Span, make_interval),
    function("make_interval", &[Int4, Int4, Int4, Int4, Int4], Span, make_interval),
    function("make_interval", &[Int4, Int4, Int4, Int4, Int4, Int4], Span, make_interval),
    function("make_interval", &[Int4, Int4, Int4, Int4, Int4, Int4, Float8], Span, make_interval),
    function("to_timestamp", &[Float8], TimestampTz, from_epoch),
    function("age", &[Timestamp, Timestamp], Span, age),
    function("age", &[TimestampTz, TimestampTz], Span, age),
    function("justify_hours", &[Span], Span, justify_hours),
    function("justify_days", &[Span], Span, justify_days),
    function("justify_interval", &[Span], Span, justify_interval),
    function("date_bin", &[Span, Timestamp, Timestamp], Timestamp, date_bin),
    function("date_bin", &[Span, TimestampTz, TimestampTz], TimestampTz, date_bin),
];

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

fn field_range() -> EvalError {
    error("22008", "date or time field value out of range")
}

/// Days since 2000-01-01; a negative year is BC, and there is no year 0.
fn day_of(args: &[Value<'_>]) -> Result<i64, EvalError> {
    let (year, month, day) = (int(args, 0)?, int(args, 1)?, int(args, 2)?);
    let year = if year < 0 { year + 1 } else { year };
    if int(args, 0)? == 0 || !(-4800..=6_000_000).contains(&year) || !(1..=12).contains(&month) {
        return Err(field_range());
    }
    let (year, month) = (year as i32, month as u32);
    if !(1..=i64::from(days_in_month(year, month))).contains(&day) {
        return Err(field_range());
    }
    let days = days_from_civil(year, month, day as u32);
    if (dates::MIN..=dates::MAX).contains(&days) { Ok(days.into()) } else { Err(field_range()) }
}

/// Hours, minutes and seconds from `at` on, at most 24:00:00.
fn clock_of(args: &[Value<'_>], at: usize) -> Result<i64, EvalError> {
    let (hour, minute, seconds) = (int(args, at)?, int(args, at + 1)?, float(args, at + 2)?);
    let micros = (seconds * 1_000_000.0).round_ties_even();
    if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60_000_000.0).contains(&micros) {
        return Err(field_range());
    }
    let total = hour * HOUR + minute * MINUTE + micros as i64;
    if total <= MICROS_PER_DAY { Ok(total) } else { Err(field_range()) }
}

fn make_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Date(day_of(args)? as i32))
}

fn make_time<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Time(clock_of(args, 0)?))
}

fn make_timestamp<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (days, clock) = (day_of(args)?, clock_of(args, 3)?);
    let micros = days.checked_mul(MICROS_PER_DAY).and_then(|d| d.checked_add(clock));
    micros.filter(|t| timestamps::is_valid(*t)).map(Value::Timestamp).ok_or_else(out_of_range)
}

/// Years, months, weeks, days, hours, minutes, seconds; those that are not given are 0.
fn make_interval<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let part = |i: usize| if i < args.len() { int(args, i) } else { Ok(0) };
    let seconds = if args.len() > 6 { float(args, 6)? } else { 0.0 };
    let micros = (seconds * 1_000_000.0).round_ties_even();
    if !seconds.is_finite() {
        return Err(interval_range());
    }
    // Versions before 17 go on from the other end.
    let beyond = || error("0A000", "an interval out of range differs between server versions");
    if !(-9.2e18..9.2e18).contains(&micros) {
        return Err(beyond());
    }
    let clock = (part(4)? * HOUR + part(5)? * MINUTE).checked_add(micros as i64);
    let months = i32::try_from(part(0)? * 12 + part(1)?);
    let days = i32::try_from(part(2)? * 7 + part(3)?);
    match (months, days, clock) {
        (Ok(months), Ok(days), Some(micros)) => Ok(Value::Interval(Interval { months, days, micros })),
        _ => Err(beyond()),
    }
}

/// Seconds since 1970-01-01 UTC.
fn from_epoch<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    const EPOCH: f64 = -(UNIX_EPOCH_DAYS as f64) * 86_400.0;
    let seconds = float(args, 0)?;
    if seconds.is_infinite() {
        let bound = if seconds > 0.0 { timestamps::INFINITY } else { timestamps::NEG_INFINITY };
        return Ok(Value::Timestamp(bound));
    }
    let micros = ((seconds - EPOCH) * 1_000_000.0).round_ties_even();
    let (least, end) = (timestamps::MIN as f64, timestamps::END as f64);
    let within = (least / 1e6..end / 1e6).contains(&(seconds - EPOCH));
    if within && timestamps::is_valid(micros as i64) {
        Ok(Value::Timestamp(micros as i64))
    } else {
        Err(out_of_range())
    }
}

/// Years, months and days by the calendar, counted from the earlier one; then the time.
fn age<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (a, b) = (timestamp(args, 0)?, timestamp(args, 1)?);
    if timestamps::is_infinite(a) || timestamps::is_infinite(b) {
        return Err(error("0A000", "the age of an infinite timestamp differs between server versions"));
    }
    let split = |t: i64| {
        let (year, month, day) = civil_from_days(t.div_euclid(MICROS_PER_DAY) as i32);
        (i64::from(year), i64::from(month), i64::from(day), t.rem_euclid(MICROS_PER_DAY))
    };
    let (late, early, sign) = if a < b { (b, a, -1) } else { (a, b, 1) };
    let (late, early) = (split(late), split(early));
    let mut months = (late.0 - early.0) * 12 + late.1 - early.1;
    let (mut days, mut micros) = (late.2 - early.2, late.3 - early.3);
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        // The month that is borrowed from is the earlier one's, whichever argument it was.
        days += i64::from(days_in_month(early.0 as i32, early.1 as u32));
        months -= 1;
    }
    let months = i32::try_from(sign * months).map_err(|_| interval_range())?;
    Ok(Value::Interval(Interval { months, days: (sign * days) as i32, micros: sign * micros }))
}

/// Whole days out of the time.
fn carry_days(v: &mut Interval) -> Result<(), EvalError> {
    let whole = (v.micros / MICROS_PER_DAY) as i32;
    v.micros %= MICROS_PER_DAY;
    v.days = v.days.checked_add(whole).ok_or_else(interval_range)?;
    Ok(())
}

/// Months of 30 days out of the days.
fn carry_months(v: &mut Interval) -> Result<(), EvalError> {
    let whole = v.days / 30;
    v.days %= 30;
    v.months = v.months.checked_add(whole).ok_or_else(interval_range)?;
    Ok(())
}

/// Days and time of one sign.
fn same_sign(v: &mut Interval) {
    if v.days > 0 && v.micros < 0 {
        v.micros += MICROS_PER_DAY;
        v.days -= 1;
    } else if v.days < 0 && v.micros > 0 {
        v.micros -= MICROS_PER_DAY;
        v.days += 1;
    }
}

fn justify_hours<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut v = interval(args, 0)?;
    carry_days(&mut v)?;
    same_sign(&mut v);
    Ok(Value::Interval(v))
}

fn justify_days<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut v = interval(args, 0)?;
    carry_months(&mut v)?;
    if v.months > 0 && v.days < 0 {
        v.days += 30;
        v.months -= 1;
    } else if v.months < 0 && v.days > 0 {
        v.days -= 30;
        v.months += 1;
    }
    Ok(Value::Interval(v))
}

fn justify_interval<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut v = interval(args, 0)?;
    if v.days > 0 && v.micros > 0 || v.days < 0 && v.micros < 0 {
        carry_months(&mut v)?;
    }
    carry_days(&mut v)?;
    carry_months(&mut v)?;
    if v.months > 0 && (v.days < 0 || v.days == 0 && v.micros < 0) {
        v.days += 30;
        v.months -= 1;
    } else if v.months < 0 && (v.days > 0 || v.days == 0 && v.micros > 0) {
        v.days -= 30;
        v.months += 1;
    }
    same_sign(&mut v);
    Ok(Value::Interval(v))
}

/// The start of the bin that holds the timestamp; bins are `stride` long, and one begins at the origin.
fn date_bin<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (stride, source, origin) = (interval(args, 0)?, timestamp(args, 1)?, timestamp(args, 2)?);
    if timestamps::is_infinite(source) {
        return Ok(Value::Timestamp(source));
    }
    if timestamps::is_infinite(origin) {
        return Err(error("22008", "origin out of range"));
    }
    if stride.months != 0 {
        return Err(error("0A000", "timestamps cannot be binned into intervals containing months or years"));
    }
    let stride = i64::from(stride.days)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(interval_range)?;
    if stride <= 0 {
        return Err(error("22008", "stride must be greater than zero"));
    }
    let since = source.checked_sub(origin).ok_or_else(interval_range)?;
    let start = i128::from(origin) + i128::from(since) - i128::from(since.rem_euclid(stride));
    i64::try_from(start).ok().filter(|t| timestamps::is_valid(*t)).map(Value::Timestamp).ok_or_else(out_of_range)
}
