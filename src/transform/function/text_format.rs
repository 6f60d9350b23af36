//! `format` with `%s` and `%L`, and values as SQL literals.
//!
//! `%I` and `quote_ident` ask whether a name is a key word, which differs between server versions.

use super::Arg::{Any, AnyElement, Text};
use super::declare::*;
use super::text::push_cast;
use super::{Call, EvalError, Function};
use crate::catalogue::{Type, quote_literal};
use crate::datum::{self, Value};

const KEYWORDS: &str =
    "the list of key words differs between server versions; write concat('\"', replace(x, '\"', '\"\"'), '\"')";

pub static FUNCTIONS: &[Function] = &[
    stable(nullable(lenient(function("format", &[Text], Text, format)))),
    stable(nullable(lenient(variadic(function("format", &[Text, Any], Text, format))))),
    function("quote_literal", &[Text], Text, literal),
    stable(function("quote_literal", &[AnyElement], Text, literal_of_any)),
    lenient(function("quote_nullable", &[Text], Text, nullable_literal)),
    stable(lenient(function("quote_nullable", &[AnyElement], Text, nullable_literal_of_any))),
    refused("quote_ident", &[Text], Text, KEYWORDS),
];

fn literal<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    owned(quote_literal(&text(args, 0)?))
}

fn literal_of_any<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let mut plain = String::new();
    push_cast(arg_type(call, 0)?, &args[0], &mut plain);
    owned(quote_literal(&plain))
}

fn nullable_literal<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    if matches!(args.first(), Some(Value::Null)) { owned("NULL") } else { literal(call, args) }
}

fn nullable_literal_of_any<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    if matches!(args.first(), Some(Value::Null)) { owned("NULL") } else { literal_of_any(call, args) }
}

fn invalid(message: &str) -> EvalError {
    error("22023", message)
}

/// A conversion: `%[position$][-][width]type`.
struct Conversion {
    /// From 1; 0 is the next one.
    position: usize,
    left: bool,
    width: i64,
    /// An argument's position, from 1; 0 is the next one.
    width_from: Option<usize>,
    kind: char,
}

struct Reader<'p> {
    rest: std::str::Chars<'p>,
}

impl Reader<'_> {
    fn peek(&self) -> Result<char, EvalError> {
        self.rest.clone().next().ok_or_else(|| invalid("unterminated format() type specifier"))
    }

    /// A run of digits; there must be something behind it.
    fn number(&mut self) -> Result<Option<i64>, EvalError> {
        let mut number = None;
        while let Some(digit) = self.peek()?.to_digit(10) {
            let next = number.unwrap_or(0) * 10 + i64::from(digit);
            number = Some(next);
            if next > i64::from(i32::MAX) {
                return Err(error("22003", "number is out of range"));
            }
            self.rest.next();
        }
        Ok(number)
    }

    fn conversion(&mut self) -> Result<Conversion, EvalError> {
        let mut c = Conversion { position: 0, left: false, width: 0, width_from: None, kind: ' ' };
        if let Some(number) = self.number()? {
            if self.peek()? != '$' {
                c.width = number;
                c.kind = self.kind()?;
                return Ok(c);
            }
            if number == 0 {
                return Err(invalid("format specifies argument 0, but arguments are numbered from 1"));
            }
            c.position = number as usize;
            self.rest.next();
        }
        while self.peek()? == '-' {
            c.left = true;
            self.rest.next();
        }
        if self.peek()? == '*' {
            self.rest.next();
            c.width_from = Some(0);
            if let Some(number) = self.number()? {
                if self.peek()? != '$' {
                    return Err(invalid("width argument position must be ended by \"$\""));
                }
                if number == 0 {
                    return Err(invalid("format specifies argument 0, but arguments are numbered from 1"));
                }
                c.width_from = Some(number as usize);
                self.rest.next();
            }
        } else if let Some(number) = self.number()? {
            c.width = number;
        }
        c.kind = self.kind()?;
        Ok(c)
    }

    fn kind(&mut self) -> Result<char, EvalError> {
        let kind = self.peek()?;
        self.rest.next();
        if matches!(kind, 's' | 'I' | 'L') { Ok(kind) } else { Err(invalid("unrecognized format() type specifier")) }
    }
}

fn format<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    if matches!(args.first(), None | Some(Value::Null)) {
        return Ok(Value::Null);
    }
    let pattern = text(args, 0)?;
    let mut reader = Reader { rest: pattern.chars() };
    let (mut out, mut next) = (String::new(), 1);
    let mut take = |position: usize| {
        let at = if position > 0 { position } else { next };
        next = at + 1;
        if at < args.len() { Ok(at) } else { Err(invalid("too few arguments for format()")) }
    };
    while let Some(c) = reader.rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if reader.peek()? == '%' {
            reader.rest.next();
            out.push('%');
            continue;
        }
        let mut conversion = reader.conversion()?;
        if let Some(position) = conversion.width_from {
            let at = take(position)?;
            conversion.width = width(call, &args[at], at)?;
        }
        let at = take(conversion.position)?;
        let mut shown = String::new();
        match (&args[at], conversion.kind) {
            (_, 'I') => return Err(error("0A000", format!("%I is not computed: {KEYWORDS}"))),
            (Value::Null, 'L') => shown.push_str("NULL"),
            (Value::Null, _) => {}
            (value, kind) => {
                datum::write(arg_type(call, at)?, value, &mut shown);
                if kind == 'L' {
                    shown = quote_literal(&shown);
                }
            }
        }
        pad(&conversion, &shown, &mut out)?;
    }
    owned(out)
}

/// A width that an argument gives; a negative one is as `-`.
fn width(call: &Call<'_>, value: &Value<'_>, at: usize) -> Result<i64, EvalError> {
    match (value, &arg_type(call, at)?.ty) {
        (Value::Null, _) => Ok(0),
        (Value::Int(n), Type::Int2 | Type::Int4) => Ok(*n),
        (value, ty) => {
            let mut shown = String::new();
            datum::write(arg_type(call, at)?, value, &mut shown);
            let int4 = crate::catalogue::ColumnType::plain(Type::Int4);
            match datum::input::input(&int4, &shown)? {
                Value::Int(n) => Ok(n),
                _ => Err(error("XX000", format!("{ty:?} is no width"))),
            }
        }
    }
}

fn pad(conversion: &Conversion, shown: &str, out: &mut String) -> Result<(), EvalError> {
    if conversion.width == i64::from(i32::MIN) {
        return Err(error("22003", "number is out of range"));
    }
    let width = conversion.width.unsigned_abs() as usize;
    if width as u64 > super::text::LONGEST {
        return Err(super::text::too_long());
    }
    let blanks = width.saturating_sub(shown.chars().count());
    if conversion.left || conversion.width < 0 {
        out.push_str(shown);
        out.extend(std::iter::repeat_n(' ', blanks));
    } else {
        out.extend(std::iter::repeat_n(' ', blanks));
        out.push_str(shown);
    }
    Ok(())
}

/// A pattern with `%I` is refused; one that is wrong fails in the server too.
pub(super) fn check(pattern: &str) -> Result<(), EvalError> {
    let mut reader = Reader { rest: pattern.chars() };
    while let Some(c) = reader.rest.next() {
        if c != '%' {
            continue;
        }
        if reader.peek()? == '%' {
            reader.rest.next();
        } else if reader.conversion()?.kind == 'I' {
            return Err(error("0A000", format!("%I is not computed: {KEYWORDS}")));
        }
    }
    Ok(())
}
