//! `extract`, `date_part` and `date_trunc`.
//!
//! `extract` answers numeric with a fixed scale for each field, `date_part` the same in double precision. Of an
//! infinity, fields that grow are infinite, the others NULL. Years before 1 are counted without a year 0.

use super::Arg::{Date, Float8, Interval as Span, Numeric as Num, Text, Time, TimeTz, Timestamp, TimestampTz};
use super::datetime::{finite_date, midnight, out_of_range};
use super::datetime_unit::{Unit, field, not_recognized, not_supported, unit};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::catalogue::Type;
use crate::datum::calendar::{MICROS_PER_DAY, civil_from_days, days_from_civil};
use crate::datum::{Interval, Numeric, Value, date as dates, timestamp as timestamps};

const ZONE: &str = "time with time zone is held as text only; use timestamptz or time";

pub static FUNCTIONS: &[Function] = &[
    nullable(function("extract", &[Text, Date], Num, date_field)),
    nullable(function("extract", &[Text, Timestamp], Num, timestamp_field)),
    nullable(stable(function("extract", &[Text, TimestampTz], Num, timestamp_field))),
    function("extract", &[Text, Time], Num, time_field),
    function("extract", &[Text, Span], Num, interval_field),
    refused("extract", &[Text, TimeTz], Num, ZONE),
    nullable(lenient(function("date_part", &[Text, Date], Float8, date_part))),
    nullable(function("date_part", &[Text, Timestamp], Float8, timestamp_field)),
    nullable(stable(function("date_part", &[Text, TimestampTz], Float8, timestamp_field))),
    function("date_part", &[Text, Time], Float8, time_field),
    function("date_part", &[Text, Span], Float8, interval_field),
    refused("date_part", &[Text, TimeTz], Float8, ZONE),
    function("date_trunc", &[Text, Timestamp], Timestamp, truncate),
    stable(function("date_trunc", &[Text, TimestampTz], TimestampTz, truncate)),
    function("date_trunc", &[Text, Span], Span, truncate_interval),
];

const SECOND: i64 = 1_000_000;
/// Days from PostgreSQL's epoch, 2000-01-01, to that of Unix, and to the first Julian day.
const UNIX_DAYS: i64 = 10_957;
const JULIAN_DAYS: i64 = 2_451_545;

/// `mantissa / 10^scale`, as numeric or as double precision.
fn answer(float: bool, mantissa: i128, scale: u16) -> Value<'static> {
    if float {
        Value::Float8(mantissa as f64 / 10f64.powi(scale.into()))
    } else {
        Value::Numeric(Numeric::from_i128(mantissa, scale))
    }
}

fn is_float(call: &Call<'_>) -> bool {
    call.returns.ty == Type::Float8
}

fn infinite(unit: Unit, positive: bool, float: bool) -> Option<Value<'static>> {
    match unit {
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::IsoYear | Unit::Epoch => {
            Some(match (float, positive) {
                (true, true) => Value::Float8(f64::INFINITY),
                (true, false) => Value::Float8(f64::NEG_INFINITY),
                (false, true) => Value::Numeric(Numeric::Infinity),
                (false, false) => Value::Numeric(Numeric::NegInfinity),
            })
        }
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => None,
        _ => Some(Value::Null),
    }
}

/// Monday is 0.
pub(super) fn weekday(days: i64) -> i64 {
    // 2000-01-01 was a Saturday.
    (days + 5).rem_euclid(7)
}

/// The ISO year (astronomical) and week of a day: those of the Thursday in its week.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - weekday(days) + 3;
    let (year, _, _) = civil_from_days(thursday as i32);
    let first = i64::from(days_from_civil(year, 1, 1));
    (year.into(), (thursday - first) / 7 + 1)
}

/// The fields that a day decides.
fn day_field(unit: Unit, days: i64) -> Option<i64> {
    let (year, month, day) = civil_from_days(days as i32);
    let (year, month) = (i64::from(year), i64::from(month));
    Some(match unit {
        Unit::Day => day.into(),
        Unit::Month => month,
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Week => iso_week(days).1,
        Unit::Year => year - i64::from(year <= 0),
        Unit::Decade => year.div_euclid(10),
        Unit::Century if year > 0 => (year + 99) / 100,
        Unit::Century => -((99 - (year - 1)) / 100),
        Unit::Millennium if year > 0 => (year + 999) / 1000,
        Unit::Millennium => -((999 - (year - 1)) / 1000),
        Unit::IsoYear => {
            let year = iso_week(days).0;
            year - i64::from(year <= 0)
        }
        Unit::Dow => (weekday(days) + 1) % 7,
        Unit::IsoDow => weekday(days) + 1,
        Unit::Doy => days - i64::from(days_from_civil(year as i32, 1, 1)) + 1,
        _ => return None,
    })
}

/// The fields that a time of day decides.
fn clock_field(unit: Unit, micros: i64, float: bool) -> Option<Value<'static>> {
    let in_minute = micros % (60 * SECOND);
    let (seconds, rest) = (in_minute / SECOND, in_minute % SECOND);
    Some(match unit {
        Unit::Microsecond => answer(float, in_minute.into(), 0),
        Unit::Millisecond if float => Value::Float8(seconds as f64 * 1000.0 + rest as f64 / 1000.0),
        Unit::Millisecond => answer(float, in_minute.into(), 3),
        Unit::Second if float => Value::Float8(seconds as f64 + rest as f64 / 1_000_000.0),
        Unit::Second => answer(float, in_minute.into(), 6),
        Unit::Minute => answer(float, (micros / (60 * SECOND) % 60).into(), 0),
        Unit::Hour => answer(float, (micros / (3600 * SECOND)).into(), 0),
        _ => return None,
    })
}

/// PostgreSQL casts the date to timestamp first: a date beyond it is an error even where the unit is NULL.
fn date_part<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    if matches!(args.get(1), Some(Value::Null)) {
        return Ok(Value::Null);
    }
    let start = midnight(date(args, 1)?)?;
    if matches!(args.first(), Some(Value::Null)) {
        return Ok(Value::Null);
    }
    args[1] = Value::Timestamp(start);
    timestamp_field(call, args)
}

fn date_field<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let float = is_float(call);
    let days = date(args, 1)?;
    let unit = field(&text(args, 0)?)?;
    if matches!(unit, Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour) {
        return Err(not_supported());
    }
    if !finite_date(days) {
        return infinite(unit, days == dates::INFINITY, float).ok_or_else(not_supported);
    }
    let days = i64::from(days);
    let whole = match unit {
        Unit::Julian => days + JULIAN_DAYS,
        Unit::Epoch => (days + UNIX_DAYS) * 86_400,
        _ => day_field(unit, days).ok_or_else(not_supported)?,
    };
    Ok(answer(float, whole.into(), 0))
}

fn timestamp_field<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let float = is_float(call);
    let zoned = call.arg_types.get(1).is_some_and(|t| t.ty == Type::TimestampTz);
    let (unit, micros) = (field(&text(args, 0)?)?, timestamp(args, 1)?);
    let zone = matches!(unit, Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute);
    if timestamps::is_infinite(micros) {
        if zone {
            return Ok(Value::Null);
        }
        return infinite(unit, micros == timestamps::INFINITY, float).ok_or_else(not_supported);
    }
    if zone {
        return if zoned { Ok(answer(float, 0, 0)) } else { Err(not_supported()) };
    }
    let (days, clock) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    if let Some(value) = clock_field(unit, clock, float) {
        return Ok(value);
    }
    match unit {
        // Past what 64 bits hold since 1970 PostgreSQL divides, and rounds as its division does.
        Unit::Epoch if !float && micros.checked_add(UNIX_DAYS * MICROS_PER_DAY).is_none() => {
            let since = Numeric::from_i128(i128::from(micros) + i128::from(UNIX_DAYS * MICROS_PER_DAY), 0);
            let seconds = since.div(&Numeric::from_i128(SECOND.into(), 0)).and_then(|n| n.round(6));
            seconds.map(Value::Numeric).map_err(|e| error("22003", e.to_string()))
        }
        Unit::Epoch => Ok(answer(float, i128::from(micros) + i128::from(UNIX_DAYS * MICROS_PER_DAY), 6)),
        Unit::Julian if float => {
            let seconds = (clock / SECOND) as f64 + (clock % SECOND) as f64 / 1_000_000.0;
            Ok(Value::Float8((days + JULIAN_DAYS) as f64 + seconds / 86_400.0))
        }
        Unit::Julian => {
            let part = Numeric::from_i128(clock.into(), 0).div(&Numeric::from_i128(MICROS_PER_DAY.into(), 0));
            let whole = Numeric::from_i128((days + JULIAN_DAYS).into(), 0);
            part.and_then(|part| whole.add(&part)).map(Value::Numeric).map_err(|e| error("22003", e.to_string()))
        }
        _ => day_field(unit, days).map(|n| answer(float, n.into(), 0)).ok_or_else(not_supported),
    }
}

fn time_field<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (float, unit, micros) = (is_float(call), field(&text(args, 0)?)?, time(args, 1)?);
    if unit == Unit::Epoch {
        return Ok(answer(float, micros.into(), 6));
    }
    clock_field(unit, micros, float).ok_or_else(not_supported)
}

fn interval_field<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (float, unit, v) = (is_float(call), field(&text(args, 0)?)?, interval(args, 1)?);
    if let Some(value) = clock_field(unit, v.micros, float) {
        return Ok(value);
    }
    let (years, months) = (i64::from(v.months / 12), i64::from(v.months % 12));
    let whole = match unit {
        Unit::Day => v.days.into(),
        Unit::Month => months,
        Unit::Quarter => months / 3 + 1,
        Unit::Year => years,
        Unit::Decade => years / 10,
        Unit::Century => years / 100,
        Unit::Millennium => years / 1000,
        Unit::Epoch if float => {
            // A year is 365.25 days, a month 30; added in this order.
            let epoch = v.micros as f64 / 1_000_000.0
                + 365.25 * 86_400.0 * years as f64
                + 30.0 * 86_400.0 * months as f64
                + 86_400.0 * f64::from(v.days);
            return Ok(Value::Float8(epoch));
        }
        Unit::Epoch => {
            let seconds = (1461 * years + 120 * months + 4 * i64::from(v.days)) * 21_600;
            return Ok(answer(float, i128::from(seconds) * i128::from(SECOND) + i128::from(v.micros), 6));
        }
        _ => return Err(not_supported()),
    };
    Ok(answer(float, whole.into(), 0))
}

fn truncate<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let micros = timestamp(args, 1)?;
    let truncated = truncate_at(&text(args, 0)?, micros)?;
    if timestamps::is_infinite(micros) || timestamps::is_valid(truncated) {
        Ok(Value::Timestamp(truncated))
    } else {
        Err(out_of_range())
    }
}

/// May be before the first timestamp.
pub(super) fn truncate_at(word: &str, micros: i64) -> Result<i64, EvalError> {
    if timestamps::is_infinite(micros) {
        return Ok(micros);
    }
    let days = micros.div_euclid(MICROS_PER_DAY);
    let (year, month, _) = civil_from_days(days as i32);
    let first = |year: i32, month: u32| i64::from(days_from_civil(year, month, 1)) * MICROS_PER_DAY;
    let down = |by: i64| micros - micros.rem_euclid(by);
    Ok(match unit(word)? {
        Unit::Microsecond => micros,
        Unit::Millisecond => down(1000),
        Unit::Second => down(SECOND),
        Unit::Minute => down(60 * SECOND),
        Unit::Hour => down(3600 * SECOND),
        Unit::Day => days * MICROS_PER_DAY,
        Unit::Week => (days - weekday(days)).checked_mul(MICROS_PER_DAY).ok_or_else(out_of_range)?,
        Unit::Month => first(year, month),
        Unit::Quarter => first(year, (month - 1) / 3 * 3 + 1),
        Unit::Year => first(year, 1),
        Unit::Decade => first(year.div_euclid(10) * 10, 1),
        Unit::Century => first((year - 1).div_euclid(100) * 100 + 1, 1),
        Unit::Millennium => first((year - 1).div_euclid(1000) * 1000 + 1, 1),
        _ => return Err(not_supported()),
    })
}

fn truncate_interval<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (word, v) = (text(args, 0)?, interval(args, 1)?);
    let months = |by: i32| Interval { months: v.months / by * by, days: 0, micros: 0 };
    let micros = |by: i64| Interval { micros: v.micros / by * by, ..v };
    Ok(Value::Interval(match unit(&word)? {
        Unit::Microsecond => v,
        Unit::Millisecond => micros(1000),
        Unit::Second => micros(SECOND),
        Unit::Minute => micros(60 * SECOND),
        Unit::Hour => micros(3600 * SECOND),
        Unit::Day => Interval { micros: 0, ..v },
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
        Unit::Decade => months(120),
        Unit::Century => months(1200),
        Unit::Millennium => months(12_000),
        Unit::Week | Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => return Err(not_supported()),
        _ => return Err(not_recognized()),
    }))
}
