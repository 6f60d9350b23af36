//! `to_date` and `to_timestamp` of texts, for patterns of digits with fixed places: YYYY, MM, DD, HH24, MI, SS and the
//! separators between them.
//!
//! PostgreSQL reads loosely: blanks, missing digits, other separators. A text that is not exactly as its pattern says is
//! a row error here.

use super::Arg::{Date, Text, TimestampTz};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::Value;
use crate::datum::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, days_from_civil, days_in_month};

pub static FUNCTIONS: &[Function] = &[
    stable(function("to_date", &[Text, Text], Date, to_date)),
    stable(function("to_timestamp", &[Text, Text], TimestampTz, to_timestamp)),
];

const WORDS: [&str; 6] = ["YYYY", "MM", "DD", "HH24", "MI", "SS"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// An index of `WORDS`.
    Field(usize),
    Separator(u8),
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, EvalError> {
    let refused = || {
        error(
            "0A000",
            "only patterns of YYYY, MM, DD, HH24, MI, SS, each once, and separators are read; \
             write such a pattern, or cast an ISO text",
        )
    };
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.bytes().next() {
        if let Some(field) = WORDS.iter().position(|word| rest.starts_with(word)) {
            rest = &rest[WORDS[field].len()..];
            let piece = Piece::Field(field);
            // Letters behind a field could make another keyword of it, or an ending.
            if pieces.contains(&piece) || rest.starts_with("TH") || rest.starts_with("SP") {
                return Err(refused());
            }
            pieces.push(piece);
        } else if b"-/.:, ".contains(&first) {
            // Two in a row are taken for more than themselves, and so is one in front.
            if !matches!(pieces.last(), Some(Piece::Field(_))) {
                return Err(refused());
            }
            pieces.push(Piece::Separator(first));
            rest = &rest[1..];
        } else {
            return Err(refused());
        }
    }
    let ends_well = matches!(pieces.last(), Some(Piece::Field(_)));
    if ends_well && pieces.contains(&Piece::Field(0)) { Ok(pieces) } else { Err(refused()) }
}

pub(super) fn check(pattern: &str) -> Result<(), EvalError> {
    pieces(pattern).map(|_| ())
}

/// Days since 2000-01-01, and the time of the day.
fn read(text: &str, pattern: &str) -> Result<(i32, i64), EvalError> {
    let otherwise = || error("0A000", "the text is not exactly as the pattern says");
    let mut fields = [0i64, 1, 1, 0, 0, 0];
    let mut rest = text.as_bytes();
    for piece in pieces(pattern)? {
        let width = match piece {
            Piece::Field(0) => 4,
            Piece::Field(_) => 2,
            Piece::Separator(_) => 1,
        };
        let (now, later) = rest.split_at_checked(width).ok_or_else(otherwise)?;
        rest = later;
        match piece {
            Piece::Field(field) if now.iter().all(u8::is_ascii_digit) => {
                fields[field] = now.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
            }
            Piece::Separator(separator) if now == [separator] => {}
            _ => return Err(otherwise()),
        }
    }
    // The year 0 is 1 BC to the server, the month and day 0 are 1.
    if !rest.is_empty() || fields[..3].contains(&0) {
        return Err(otherwise());
    }
    let [year, month, day, hour, minute, second] = fields;
    let (year, month) = (year as i32, month as u32);
    let valid = month <= 12 && day <= i64::from(days_in_month(year, month)) && hour < 24 && minute < 60 && second < 60;
    if !valid {
        return Err(error("22008", "date or time field value out of range"));
    }
    Ok((days_from_civil(year, month, day as u32), ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND))
}

fn to_date<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (days, _) = read(&text(args, 0)?, &text(args, 1)?)?;
    Ok(Value::Date(days))
}

fn to_timestamp<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (days, clock) = read(&text(args, 0)?, &text(args, 1)?)?;
    Ok(Value::Timestamp(i64::from(days) * MICROS_PER_DAY + clock))
}
