//! Arithmetic of dates, times and intervals. The time zone is UTC, so timestamptz is as timestamp.
//!
//! Months move by the calendar and are cut to the month's last day; days and time are added after them.

use super::Arg::{Bool, Date, Float8, Int4, Interval as Span, Other, Time, TimeTz, Timestamp, TimestampTz};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::calendar::{MICROS_PER_DAY, civil_from_days, days_from_civil, days_in_month};
use crate::datum::{Interval, Value, date as dates, timestamp as timestamps};

const ZONE: &str = "time with time zone is held as text only; use timestamptz or time";

pub static FUNCTIONS: &[Function] = &[
    operator("+", &[Date, Int4], Date, date_plus_int),
    operator("+", &[Int4, Date], Date, int_plus_date),
    operator("-", &[Date, Int4], Date, date_minus_int),
    operator("-", &[Date, Date], Int4, date_minus_date),
    operator("+", &[Date, Time], Timestamp, date_plus_time),
    operator("+", &[Time, Date], Timestamp, time_plus_date),
    operator("+", &[Date, Span], Timestamp, date_plus),
    operator("+", &[Span, Date], Timestamp, plus_date),
    operator("-", &[Date, Span], Timestamp, date_minus),
    operator("+", &[Timestamp, Span], Timestamp, plus),
    operator("+", &[Span, Timestamp], Timestamp, plus_turned),
    operator("-", &[Timestamp, Span], Timestamp, minus),
    stable(operator("+", &[TimestampTz, Span], TimestampTz, plus)),
    stable(operator("+", &[Span, TimestampTz], TimestampTz, plus_turned)),
    stable(operator("-", &[TimestampTz, Span], TimestampTz, minus)),
    operator("-", &[Timestamp, Timestamp], Span, difference),
    operator("-", &[TimestampTz, TimestampTz], Span, difference),
    operator("+", &[Time, Span], Time, time_plus),
    operator("+", &[Span, Time], Time, plus_time),
    operator("-", &[Time, Span], Time, time_minus),
    operator("-", &[Time, Time], Span, time_difference),
    operator("+", &[Span, Span], Span, interval_plus),
    operator("-", &[Span, Span], Span, interval_minus),
    operator("-", &[Span], Span, interval_negated),
    operator("*", &[Span, Float8], Span, interval_times),
    operator("*", &[Float8, Span], Span, times_interval),
    operator("/", &[Span, Float8], Span, interval_over),
    refused_operator("+", &[TimeTz, Span], TimeTz, ZONE),
    refused_operator("+", &[Span, TimeTz], TimeTz, ZONE),
    refused_operator("-", &[TimeTz, Span], TimeTz, ZONE),
    function("isfinite", &[Date], Bool, date_finite),
    function("isfinite", &[Timestamp], Bool, timestamp_finite),
    function("isfinite", &[TimestampTz], Bool, timestamp_finite),
    stable(refused("now", &[], TimestampTz, "an entity must not depend on when it is computed; use a column")),
    stable(refused("age", &[Timestamp], Span, "it depends on today; write age(a, b)")),
    stable(refused("age", &[TimestampTz], Span, "it depends on today; write age(a, b)")),
    refused("age", &[Other("xid")], Int4, "transaction ids are not data"),
];

pub(super) fn out_of_range() -> EvalError {
    error("22008", "timestamp out of range")
}

fn date_range() -> EvalError {
    error("22008", "date out of range")
}

pub(super) fn interval_range() -> EvalError {
    error("22008", "interval out of range")
}

pub(super) fn finite_date(days: i32) -> bool {
    days != dates::INFINITY && days != dates::NEG_INFINITY
}

fn moved(days: i32, by: i64) -> Result<Value<'static>, EvalError> {
    if !finite_date(days) {
        return Ok(Value::Date(days));
    }
    match i32::try_from(i64::from(days) + by) {
        Ok(d) if (dates::MIN..=dates::MAX).contains(&d) => Ok(Value::Date(d)),
        _ => Err(date_range()),
    }
}

fn date_plus_int<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    moved(date(args, 0)?, int(args, 1)?)
}

fn int_plus_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    moved(date(args, 1)?, int(args, 0)?)
}

fn date_minus_int<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    moved(date(args, 0)?, -int(args, 1)?)
}

fn date_minus_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (a, b) = (date(args, 0)?, date(args, 1)?);
    if !finite_date(a) || !finite_date(b) {
        return Err(error("22008", "cannot subtract infinite dates"));
    }
    Ok(Value::Int((a.wrapping_sub(b)).into()))
}

/// Midnight of a date.
pub(super) fn midnight(days: i32) -> Result<i64, EvalError> {
    match days {
        dates::INFINITY => Ok(timestamps::INFINITY),
        dates::NEG_INFINITY => Ok(timestamps::NEG_INFINITY),
        _ => {
            let micros = i64::from(days).checked_mul(MICROS_PER_DAY).filter(|t| timestamps::is_valid(*t));
            micros.ok_or_else(|| error("22008", "date out of range for timestamp"))
        }
    }
}

fn at_time(days: i32, time: i64) -> Result<Value<'static>, EvalError> {
    let start = midnight(days)?;
    if timestamps::is_infinite(start) {
        return Ok(Value::Timestamp(start));
    }
    start.checked_add(time).filter(|t| timestamps::is_valid(*t)).map(Value::Timestamp).ok_or_else(out_of_range)
}

fn date_plus_time<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    at_time(date(args, 0)?, time(args, 1)?)
}

fn time_plus_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    at_time(date(args, 1)?, time(args, 0)?)
}

fn negated(v: Interval) -> Result<Interval, EvalError> {
    match (v.months.checked_neg(), v.days.checked_neg(), v.micros.checked_neg()) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(interval_range()),
    }
}

fn shifted(micros: i64, by: Interval) -> Result<Value<'static>, EvalError> {
    if timestamps::is_infinite(micros) {
        return Ok(Value::Timestamp(micros));
    }
    let (mut days, clock) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    if by.months != 0 {
        let (year, month, day) = civil_from_days(days as i32);
        let months = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(by.months);
        let year = i32::try_from(months.div_euclid(12)).map_err(|_| out_of_range())?;
        // Far beyond any timestamp, and beyond what the day count holds.
        if !(-10_000_000..10_000_000).contains(&year) {
            return Err(out_of_range());
        }
        let month = months.rem_euclid(12) as u32 + 1;
        days = i64::from(days_from_civil(year, month, day.min(days_in_month(year, month))));
        midway(days, clock)?;
    }
    if by.days != 0 {
        days += i64::from(by.days);
        midway(days, clock)?;
    }
    let sum = i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(clock) + i128::from(by.micros);
    i64::try_from(sum).ok().filter(|t| timestamps::is_valid(*t)).map(Value::Timestamp).ok_or_else(out_of_range)
}

/// PostgreSQL makes a timestamp after each step: what it cannot hold is an error, though a later step led back.
fn midway(days: i64, clock: i64) -> Result<(), EvalError> {
    let micros = i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(clock);
    i64::try_from(micros).ok().filter(|t| timestamps::is_valid(*t)).map(|_| ()).ok_or_else(out_of_range)
}

/// `timestamp - interval` is `+` with the interval's opposite, without a check of it.
fn opposite(v: Interval) -> Interval {
    Interval { months: v.months.wrapping_neg(), days: v.days.wrapping_neg(), micros: v.micros.wrapping_neg() }
}

fn plus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    shifted(timestamp(args, 0)?, interval(args, 1)?)
}

fn plus_turned<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    shifted(timestamp(args, 1)?, interval(args, 0)?)
}

fn minus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    shifted(timestamp(args, 0)?, opposite(interval(args, 1)?))
}

fn date_plus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    shifted(midnight(date(args, 0)?)?, interval(args, 1)?)
}

fn plus_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    shifted(midnight(date(args, 1)?)?, interval(args, 0)?)
}

fn date_minus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    shifted(midnight(date(args, 0)?)?, opposite(interval(args, 1)?))
}

/// Days and time, never months.
fn difference<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (a, b) = (timestamp(args, 0)?, timestamp(args, 1)?);
    if timestamps::is_infinite(a) || timestamps::is_infinite(b) {
        return Err(error("22008", "cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(interval_range)?;
    Ok(Value::Interval(Interval { months: 0, days: (micros / MICROS_PER_DAY) as i32, micros: micros % MICROS_PER_DAY }))
}

fn clock(micros: i64) -> Value<'static> {
    Value::Time(micros.rem_euclid(MICROS_PER_DAY))
}

/// Months and days of the interval say nothing to a time; the sum wraps, as PostgreSQL's does.
fn time_plus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(clock(time(args, 0)?.wrapping_add(interval(args, 1)?.micros)))
}

fn plus_time<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(clock(time(args, 1)?.wrapping_add(interval(args, 0)?.micros)))
}

fn time_minus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(clock(time(args, 0)?.wrapping_sub(interval(args, 1)?.micros)))
}

fn time_difference<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Interval(Interval { months: 0, days: 0, micros: time(args, 0)? - time(args, 1)? }))
}

pub(in crate::transform) fn sum(a: Interval, b: Interval) -> Result<Value<'static>, EvalError> {
    match (a.months.checked_add(b.months), a.days.checked_add(b.days), a.micros.checked_add(b.micros)) {
        (Some(months), Some(days), Some(micros)) => Ok(Value::Interval(Interval { months, days, micros })),
        _ => Err(interval_range()),
    }
}

fn interval_plus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    sum(interval(args, 0)?, interval(args, 1)?)
}

fn interval_minus<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (a, b) = (interval(args, 0)?, interval(args, 1)?);
    match (a.months.checked_sub(b.months), a.days.checked_sub(b.days), a.micros.checked_sub(b.micros)) {
        (Some(months), Some(days), Some(micros)) => Ok(Value::Interval(Interval { months, days, micros })),
        _ => Err(interval_range()),
    }
}

fn interval_negated<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    negated(interval(args, 0)?).map(Value::Interval)
}

/// `by(x)` is x times or over the factor. What is left of a month becomes days of 30, of a day time; in doubles, as
/// PostgreSQL reckons it.
pub(in crate::transform) fn scaled(span: Interval, by: impl Fn(f64) -> f64) -> Result<Value<'static>, EvalError> {
    let whole = |x: f64| {
        let fits = x <= f64::from(i32::MAX) && x >= f64::from(i32::MIN);
        if fits { Ok(x as i32) } else { Err(interval_range()) }
    };
    let round = |x: f64| (x * 1_000_000.0).round_ties_even() / 1_000_000.0;
    const DAY: f64 = 86_400.0;
    let months = whole(by(f64::from(span.months)))?;
    let mut days = whole(by(f64::from(span.days)))?;
    let left = round((by(f64::from(span.months)) - f64::from(months)) * 30.0);
    let mut seconds = round((by(f64::from(span.days)) - f64::from(days) + left - f64::from(left as i32)) * DAY);
    if seconds.abs() >= DAY {
        let more = (seconds / DAY) as i32;
        days = days.checked_add(more).ok_or_else(interval_range)?;
        seconds -= f64::from(more) * DAY;
    }
    days = days.checked_add(left as i32).ok_or_else(interval_range)?;
    let micros = (by(span.micros as f64) + seconds * 1_000_000.0).round_ties_even();
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
        return Err(interval_range());
    }
    Ok(Value::Interval(Interval { months, days, micros: micros as i64 }))
}

fn interval_times<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let factor = float(args, 1)?;
    scaled(interval(args, 0)?, |x| x * factor)
}

fn times_interval<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let factor = float(args, 0)?;
    scaled(interval(args, 1)?, |x| x * factor)
}

fn interval_over<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let divisor = float(args, 1)?;
    if divisor == 0.0 {
        return Err(error("22012", "division by zero"));
    }
    scaled(interval(args, 0)?, |x| x / divisor)
}

fn date_finite<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Bool(finite_date(date(args, 0)?)))
}

fn timestamp_finite<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    Ok(Value::Bool(!timestamps::is_infinite(timestamp(args, 0)?)))
}
