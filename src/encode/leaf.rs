//! One value from PostgreSQL's text form to Avro bytes, without a detour and without an allocation.
//!
//! A [`Slot`] is compiled once per place in the contract: what NULL becomes, how the text is read, what happens to a
//! value that the field cannot hold. Source of truth: the Avro specification for the bytes, `datum` for the text forms.

use std::borrow::Cow;

use crate::datum::{bytea, date, time, timestamp, uuid};
use crate::diagnostic::Code;
use crate::encode::avro::Special;
use crate::encode::codes;
use crate::encode::decimal::DecimalCode;
use crate::encode::wire::{put_bytes, put_long};
use crate::encode::{array, composite, hstore, json};

/// A place for one value that may be NULL.
#[derive(Debug)]
pub(crate) struct Slot {
    pub null: NullRule,
    pub special: Special,
    pub leaf: Leaf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullRule {
    /// The field does not take null.
    Never,
    /// A union of null and one type: the bytes of their indexes.
    Union { null: u8, some: u8 },
}

impl NullRule {
    /// Appends null.
    pub fn put(self, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        match self {
            NullRule::Union { null, .. } => {
                out.push(null);
                Ok(())
            }
            NullRule::Never => Err(Fault::new(codes::ROW_NULL, "NULL, and the field does not take null")),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Leaf {
    Boolean,
    Int,
    Long,
    /// An integer into a float or a double.
    IntegerAsFloat,
    IntegerAsDouble,
    Float,
    /// real into double: the same number, not the same digits.
    FloatAsDouble,
    Double,
    String,
    Enum(EnumCode),
    UuidFixed,
    Bytes,
    Fixed(usize),
    Decimal(DecimalCode),
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    Array(Box<array::ArrayCode>),
    Composite(composite::CompositeCode),
    Hstore {
        null: NullRule,
    },
    Json(json::JsonCode),
}

#[derive(Debug)]
pub(crate) struct EnumCode {
    pub symbols: Vec<Box<str>>,
    /// Where a label that the contract lacks goes.
    pub default: Option<usize>,
}

/// A value that its field cannot take. The message holds no value of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub code: Code,
    pub sqlstate: Option<&'static str>,
    pub message: Cow<'static, str>,
    /// Below the slot, outward in: `[3]`, `.name`.
    pub path: Vec<String>,
}

impl Fault {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Box<Fault> {
        Box::new(Fault { code, sqlstate: None, message: message.into(), path: Vec::new() })
    }

    pub fn malformed(what: &'static str) -> Box<Fault> {
        Fault::new(codes::ROW_MALFORMED, what)
    }
}

/// `clamp` keeps dates between these: what every reader's calendar can show.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;
const DAY_MICROS: i64 = 86_400_000_000;

impl Slot {
    /// Appends the value, with its union index. After an error `out` holds a part of it.
    pub fn put(&self, text: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let Some(text) = text else { return self.put_null(out) };
        self.put_some(out, |out| self.leaf.put(text, self.special, out))
    }

    pub fn put_null(&self, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        self.null.put(out)
    }

    pub fn put_some(
        &self,
        out: &mut Vec<u8>,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        let start = out.len();
        if let NullRule::Union { some, .. } = self.null {
            out.push(some);
        }
        match put(out) {
            Err(fault) if self.special == Special::Null && is_special(fault.code) => {
                out.truncate(start);
                self.put_null(out)
            }
            done => done,
        }
    }
}

/// What `"pgspine.special"` is about: values outside of the field's type, not broken ones.
fn is_special(code: Code) -> bool {
    matches!(code, codes::ROW_SPECIAL | codes::ROW_DECIMAL | codes::ROW_RANGE)
}

impl Leaf {
    pub fn put(&self, text: &[u8], special: Special, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        match self {
            Leaf::Boolean => match text {
                b"t" => out.push(1),
                b"f" => out.push(0),
                _ => return Err(Fault::malformed("not a boolean's text form")),
            },
            Leaf::Int => return put_int(integer(text)?, out),
            Leaf::Long => put_long(out, integer(text)?),
            Leaf::IntegerAsFloat => out.extend_from_slice(&(integer(text)? as f32).to_le_bytes()),
            Leaf::IntegerAsDouble => out.extend_from_slice(&(integer(text)? as f64).to_le_bytes()),
            Leaf::Float => out.extend_from_slice(&float::<f32>(text)?.to_le_bytes()),
            Leaf::FloatAsDouble => out.extend_from_slice(&f64::from(float::<f32>(text)?).to_le_bytes()),
            Leaf::Double => out.extend_from_slice(&float::<f64>(text)?.to_le_bytes()),
            Leaf::String => put_text(text, out)?,
            Leaf::Enum(code) => put_long(out, code.index(text)? as i64),
            Leaf::UuidFixed => {
                let uuid = uuid::read(text).map_err(|_| Fault::malformed("not a uuid's text form"))?;
                out.extend_from_slice(&uuid);
            }
            Leaf::Bytes => {
                let wrong = |_| Fault::malformed("not a bytea's hex form");
                put_long(out, bytea::len(text).map_err(wrong)? as i64);
                bytea::read_into(text, out).map_err(wrong)?;
            }
            Leaf::Fixed(size) => {
                let wrong = |_| Fault::malformed("not a bytea's hex form");
                let len = bytea::len(text).map_err(wrong)?;
                fixed_length(len, *size)?;
                bytea::read_into(text, out).map_err(wrong)?;
            }
            Leaf::Decimal(code) => return code.put(text, special, out),
            Leaf::Date => {
                let days = date::read(text).map_err(|_| Fault::malformed("not a date's text form"))?;
                put_date(days, special, out)?;
            }
            Leaf::TimeMicros | Leaf::TimeMillis => {
                let micros = time::read(text).map_err(|_| Fault::malformed("not a time's text form"))?;
                self.put_time(micros, special, out)?;
            }
            Leaf::TimestampMicros | Leaf::TimestampMillis => {
                let micros = timestamp::read(text).map_err(|_| Fault::malformed("not a timestamp's text form"))?;
                self.put_timestamp(micros, special, out)?;
            }
            Leaf::Array(code) => return code.put(text, out),
            Leaf::Composite(code) => return code.put(text, out),
            Leaf::Hstore { null } => return hstore::put(text, *null, out),
            Leaf::Json(code) => return code.put(text, out),
        }
        Ok(())
    }

    pub fn put_time(&self, micros: i64, special: Special, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let micros = match micros {
            DAY_MICROS if special == Special::Clamp => DAY_MICROS - 1,
            DAY_MICROS => {
                return Err(Fault::new(codes::ROW_SPECIAL, "24:00:00, which a time of day in Avro cannot be"));
            }
            micros => micros,
        };
        put_long(out, if matches!(self, Leaf::TimeMillis) { micros / 1000 } else { micros });
        Ok(())
    }

    /// `micros` since 2000-01-01.
    pub fn put_timestamp(&self, micros: i64, special: Special, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let first = i64::from(FIRST_DAY) * DAY_MICROS;
        let last = (i64::from(LAST_DAY) + 1) * DAY_MICROS - 1;
        let unix = match (micros, timestamp::to_unix_micros(micros)) {
            (_, Some(unix)) if special == Special::Clamp => unix.clamp(first, last),
            (i64::MIN, _) if special == Special::Clamp => first,
            (_, None) if special == Special::Clamp => last,
            (i64::MAX | i64::MIN, _) => return Err(infinite()),
            (_, Some(unix)) if unix < first => return Err(before_christ()),
            (_, Some(unix)) => unix,
            (_, None) => {
                return Err(Fault::new(codes::ROW_RANGE, "a timestamp beyond what microseconds since 1970 hold"));
            }
        };
        // Rounded down on both sides of 1970, so that the order is kept.
        put_long(out, if matches!(self, Leaf::TimestampMillis) { unix.div_euclid(1000) } else { unix });
        Ok(())
    }
}

impl EnumCode {
    pub fn index(&self, text: &[u8]) -> Result<usize, Box<Fault>> {
        match self.symbols.iter().position(|s| s.as_bytes() == text).or(self.default) {
            Some(index) => Ok(index),
            None => Err(Fault::new(codes::ROW_SYMBOL, "a text that is no symbol of the contract's enum")),
        }
    }
}

pub(crate) fn put_int(n: i64, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
    if i32::try_from(n).is_err() {
        return Err(Fault::new(codes::ROW_RANGE, "a number beyond 32 bits"));
    }
    put_long(out, n);
    Ok(())
}

pub(crate) fn put_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
    if std::str::from_utf8(text).is_err() {
        return Err(Fault::malformed("text that is not UTF-8"));
    }
    put_bytes(out, text);
    Ok(())
}

/// `days` since 2000-01-01.
pub(crate) fn put_date(days: i32, special: Special, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
    let unix = match (days, date::to_unix_days(days)) {
        (_, Some(unix)) if special == Special::Clamp => unix.clamp(FIRST_DAY, LAST_DAY),
        (i32::MIN, _) if special == Special::Clamp => FIRST_DAY,
        (_, None) if special == Special::Clamp => LAST_DAY,
        (_, Some(unix)) if unix < FIRST_DAY => return Err(before_christ()),
        (_, Some(unix)) => unix,
        (_, None) => return Err(infinite()),
    };
    put_long(out, unix.into());
    Ok(())
}

pub(crate) fn fixed_length(len: usize, size: usize) -> Result<(), Box<Fault>> {
    if len == size {
        return Ok(());
    }
    Err(Fault::new(codes::ROW_RANGE, format!("{len} bytes, and the contract's fixed has {size}")))
}

fn infinite() -> Box<Fault> {
    Fault::new(codes::ROW_SPECIAL, "an infinity, which the field cannot hold")
}

fn before_christ() -> Box<Fault> {
    Fault::new(codes::ROW_SPECIAL, "a date before the year 1, which the field cannot hold")
}

/// `-?[0-9]+` within 64 bits, by hand: the most frequent value there is.
pub(crate) fn integer(text: &[u8]) -> Result<i64, Box<Fault>> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let wrong = || Fault::malformed("not an integer's text form");
    if digits.is_empty() || digits.len() > 19 {
        return Err(wrong());
    }
    let mut n = 0u64;
    for &d in digits {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return Err(wrong());
        }
        // At most 19 digits: below 10^19, which 64 bits hold.
        n = n * 10 + u64::from(d);
    }
    match (negative, i64::try_from(n)) {
        (false, Ok(n)) => Ok(n),
        (true, Ok(n)) => Ok(-n),
        (true, Err(_)) if n == i64::MIN.unsigned_abs() => Ok(i64::MIN),
        _ => Err(wrong()),
    }
}

/// PostgreSQL prints `NaN`, `Infinity`, `-Infinity` and decimal forms; Rust's parser reads them all, correctly rounded.
fn float<F: std::str::FromStr>(text: &[u8]) -> Result<F, Box<Fault>> {
    let wrong = || Fault::malformed("not a float's text form");
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or_else(wrong)
}
