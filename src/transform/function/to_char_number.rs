//! `to_char` of numbers (`NUM_processor` of PostgreSQL): 9, 0, point, comma, FM, MI, PL, SG, PR, TH.
//!
//! D, G, L and S follow the server's locale and are refused, as are V, EEEE, RN, B and C.

use super::EvalError;
use super::declare::error;
use super::to_char_pattern::{NUMBER, Ordinal, Piece, ending, pieces};

/// What a pattern says before a number is seen.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) before: usize,
    pub(super) after: usize,
    zero_start: Option<usize>,
    zero_end: usize,
    fill: bool,
    decimal: bool,
    minus: bool,
    plus: bool,
    bracket: bool,
}

fn syntax(message: &str) -> EvalError {
    error("42601", message)
}

fn shape(pieces: &[Piece<'_>]) -> Result<Shape, EvalError> {
    let mut s = Shape::default();
    for piece in pieces {
        let Piece::Keyword { word, .. } = piece else { continue };
        match &*word.to_ascii_uppercase() {
            "9" | "0" if s.bracket => return Err(syntax("a digit must be ahead of \"PR\"")),
            "9" if s.decimal => s.after += 1,
            "9" => s.before += 1,
            "0" => {
                if s.zero_start.is_none() && !s.decimal {
                    s.zero_start = Some(s.before);
                }
                if s.decimal {
                    s.after += 1;
                } else {
                    s.before += 1;
                }
                s.zero_end = s.before + s.after;
            }
            "." if s.decimal => return Err(syntax("multiple decimal points")),
            "." => s.decimal = true,
            "FM" => s.fill = true,
            "MI" => s.minus = true,
            "PL" => s.plus = true,
            "SG" => (s.minus, s.plus) = (true, true),
            "PR" if s.plus || s.minus => return Err(syntax("cannot use \"PR\" and \"PL\"/\"MI\"/\"SG\" together")),
            "PR" => s.bracket = true,
            "," | "TH" => {}
            "D" | "G" | "S" | "L" => {
                return Err(error(
                    "0A000",
                    format!(
                        "{word} in a pattern follows the server's locale; write . for D, a comma for G, MI or SG for S"
                    ),
                ));
            }
            _ => {
                return Err(error(
                    "0A000",
                    format!("{word} in a pattern is not computed; write 9, 0, a point, a comma"),
                ));
            }
        }
    }
    Ok(s)
}

pub(super) fn check(pattern: &str) -> Result<(), EvalError> {
    shape(&pieces(pattern, NUMBER)?).map(|_| ())
}

/// `number` writes the number with as many digits behind the point as the shape has, or fewer, and says so there.
pub(super) fn write(
    pattern: &str,
    number: impl FnOnce(&mut Shape) -> Result<String, EvalError>,
) -> Result<String, EvalError> {
    if pattern.is_empty() {
        return Ok(String::new());
    }
    let pieces = pieces(pattern, NUMBER)?;
    let mut shape = shape(&pieces)?;
    let whole = number(&mut shape)?;
    let (negative, mut digits) = match whole.strip_prefix('-') {
        Some(digits) => (true, digits.to_owned()),
        None => (false, whole),
    };
    let before = digits.find('.').unwrap_or(digits.len());
    let blanks = shape.before.saturating_sub(before);
    if before > shape.before {
        digits = "#".repeat(shape.before) + "." + &"#".repeat(shape.after);
    }
    let mut writer = Writer::new(&shape, digits.as_bytes(), negative, blanks);
    for piece in &pieces {
        match piece {
            Piece::Text(text) => writer.out.push_str(text),
            Piece::Keyword { word, .. } => writer.word(word)?,
        }
    }
    // The server's answer ends where it wrote a NUL.
    let mut out = writer.out;
    if let Some(end) = out.find('\0') {
        out.truncate(end);
    }
    Ok(out)
}

/// The state of `NUMProc`.
struct Writer<'w> {
    shape: &'w Shape,
    number: &'w [u8],
    at: usize,
    negative: bool,
    bracket: bool,
    blanks: usize,
    sign_written: bool,
    /// Where the digits that count end, with FM and a point.
    last: Option<usize>,
    count: usize,
    current: usize,
    inside: bool,
    out: String,
}

impl<'w> Writer<'w> {
    fn new(shape: &'w Shape, number: &'w [u8], negative: bool, blanks: usize) -> Writer<'w> {
        let mut bracket = shape.bracket;
        let sign_written = if shape.plus || shape.minus {
            shape.minus
        } else {
            if !negative && shape.fill {
                bracket = false;
            }
            !negative && shape.fill
        };
        let mut last = None;
        if shape.fill && shape.decimal {
            last = number
                .iter()
                .position(|b| *b == b'.')
                .map(|point| number[point + 1..].iter().rposition(|b| *b != b'0').map_or(point, |at| point + 1 + at));
            if let Some(end) = &mut last
                && shape.zero_end > blanks
            {
                *end = (*end).max((shape.zero_end - blanks).min(number.len() - 1));
            }
        }
        let mut count = (shape.before + shape.after).wrapping_sub(1);
        if !sign_written && blanks == 0 {
            count = count.wrapping_add(1);
        }
        Writer {
            shape,
            number,
            at: 0,
            negative,
            bracket,
            blanks,
            sign_written,
            last,
            count,
            current: 0,
            inside: false,
            out: String::new(),
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.number.get(at).copied().unwrap_or(0)
    }

    fn last_is_point(&self) -> bool {
        self.last.is_some_and(|last| self.byte(last) == b'.')
    }

    /// `9.9` shows `0.1` as ` .1`.
    fn blank_zero(&self) -> bool {
        self.shape.zero_start.is_none() && self.at == 0 && self.byte(0) == b'0' && self.shape.after != 0
    }

    fn word(&mut self, word: &str) -> Result<(), EvalError> {
        let blank = |writer: &mut Self| {
            if !writer.shape.fill {
                writer.out.push(' ');
            }
        };
        match &*word.to_ascii_uppercase() {
            digit @ ("9" | "0" | ".") => self.digit(digit == "0"),
            "," if self.inside => self.out.push(','),
            "," => blank(self),
            "TH" if self.byte(0) != b'#' && !self.negative && !self.shape.decimal => {
                let case = if word == "th" { Ordinal::Lower } else { Ordinal::Upper };
                let number = std::str::from_utf8(self.number).unwrap_or("");
                self.out.push_str(ending(number, case)?);
            }
            "MI" if self.negative => self.out.push('-'),
            "PL" if !self.negative => self.out.push('+'),
            "MI" | "PL" => blank(self),
            "SG" => self.out.push(if self.negative { '-' } else { '+' }),
            _ => {}
        }
        Ok(())
    }

    fn digit(&mut self, zero: bool) {
        self.inside = false;
        let zero_here = self.shape.zero_start;
        if !self.sign_written
            && (self.current >= self.blanks || zero_here == Some(self.current))
            && (!self.blank_zero() || self.last_is_point())
        {
            if self.bracket {
                self.out.push(if self.negative { '<' } else { ' ' });
            } else if self.negative {
                self.out.push('-');
            } else if !self.shape.fill {
                self.out.push(' ');
            }
            self.sign_written = true;
        }
        if self.current < self.blanks && zero_here.is_none_or(|start| start > self.current) {
            if !self.shape.fill {
                self.out.push(' ');
            }
        } else if self.current < self.blanks {
            self.out.push('0');
            self.inside = true;
        } else {
            if self.byte(self.at) == b'.' {
                self.out.push('.');
            } else if self.last.is_some_and(|last| self.at > last) && !zero {
            } else if self.blank_zero() {
                if !self.shape.fill {
                    self.out.push(' ');
                } else if self.last_is_point() {
                    self.out.push('0');
                }
            } else {
                self.out.push(char::from(self.byte(self.at)));
                self.inside = true;
            }
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end =
            self.count.wrapping_add(usize::from(self.blanks > 0)).wrapping_add(usize::from(self.shape.decimal));
        if self.last == Some(self.at) {
            end = self.current;
        }
        if self.current + 1 == end && self.sign_written && self.bracket {
            self.out.push(if self.negative { '>' } else { ' ' });
        }
        self.current += 1;
    }
}
