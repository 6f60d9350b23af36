//! The patterns of `to_char`, cut into keywords and what is copied (`parse_format` of PostgreSQL).
//!
//! The first keyword of a table that fits is taken, so longer ones stand before their beginnings. Case counts: `Mon`,
//! `MON` and `mon` are three keywords, `mOn` is none.

use super::EvalError;
use super::declare::error;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'p> {
    Keyword {
        word: &'static str,
        fill: bool,
        ordinal: Option<Ordinal>,
    },
    /// A character that is written as it is.
    Text(&'p str),
}

/// The ending `TH` or `th`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordinal {
    Upper,
    Lower,
}

pub(super) const DATE: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ",
    "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am", "b.c.", "bc", "cc", "day", "ddd",
    "dd", "dy", "d", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fx", "hh24", "hh12", "hh", "iddd", "id", "iw", "iyyy",
    "iyy", "iy", "i", "j", "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss", "ss",
    "tzh", "tzm", "tz", "us", "ww", "w", "y,yyy", "yyyy", "yyy", "yy", "y",
];

pub(super) const NUMBER: &[&str] = &[
    ",", ".", "0", "9", "B", "C", "D", "EEEE", "FM", "G", "L", "MI", "PL", "PR", "RN", "SG", "SP", "S", "TH", "V", "b",
    "c", "d", "eeee", "fm", "g", "l", "mi", "pl", "pr", "rn", "sg", "sp", "s", "th", "v",
];

/// What is in front of a keyword, and behind it, is a part of date patterns only.
pub(super) fn pieces<'p>(pattern: &'p str, words: &'static [&'static str]) -> Result<Vec<Piece<'p>>, EvalError> {
    let dates = words.len() == DATE.len();
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let mut fill = false;
        if dates && (rest.starts_with("TM") || rest.starts_with("tm")) {
            return Err(error("0A000", "TM in a pattern follows the server's locale; write the pattern without TM"));
        }
        if dates && (rest.starts_with("FM") || rest.starts_with("fm")) {
            fill = true;
            rest = &rest[2..];
        }
        if let Some(word) = words.iter().find(|word| rest.starts_with(**word)) {
            rest = &rest[word.len()..];
            let mut ordinal = None;
            if dates {
                let behind = [("TH", Some(Ordinal::Upper)), ("th", Some(Ordinal::Lower)), ("SP", None)];
                if let Some((ending, found)) = behind.into_iter().find(|(ending, _)| rest.starts_with(ending)) {
                    ordinal = found;
                    rest = &rest[ending.len()..];
                }
            }
            pieces.push(Piece::Keyword { word, fill, ordinal });
            continue;
        }
        if first == '"' && !fill || fill && rest.starts_with('"') {
            rest = quoted(&rest[1..], &mut pieces);
            continue;
        }
        if rest.starts_with("\\\"") {
            rest = &rest[1..];
        }
        rest = push(rest, &mut pieces);
    }
    Ok(pieces)
}

/// One character, as it is.
fn push<'p>(rest: &'p str, pieces: &mut Vec<Piece<'p>>) -> &'p str {
    let len = rest.chars().next().map_or(0, char::len_utf8);
    if len > 0 {
        pieces.push(Piece::Text(&rest[..len]));
    }
    &rest[len..]
}

/// Up to the closing quote; a backslash quotes any character.
fn quoted<'p>(mut rest: &'p str, pieces: &mut Vec<Piece<'p>>) -> &'p str {
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            return &rest[1..];
        }
        if first == '\\' && rest.len() > 1 {
            rest = &rest[1..];
        }
        rest = push(rest, pieces);
    }
    rest
}

/// `1ST`, `2nd`, `11th`: by the last digits of what was written.
pub(super) fn ending(number: &str, case: Ordinal) -> Result<&'static str, EvalError> {
    let bytes = number.as_bytes();
    let Some(last) = bytes.last().filter(|b| b.is_ascii_digit()) else {
        return Err(error("22P02", "an ordinal ending behind what is not a number"));
    };
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    Ok(match (if teen { b'0' } else { *last }, case) {
        (b'1', Ordinal::Upper) => "ST",
        (b'1', Ordinal::Lower) => "st",
        (b'2', Ordinal::Upper) => "ND",
        (b'2', Ordinal::Lower) => "nd",
        (b'3', Ordinal::Upper) => "RD",
        (b'3', Ordinal::Lower) => "rd",
        (_, Ordinal::Upper) => "TH",
        (_, Ordinal::Lower) => "th",
    })
}
