//! Reading a json text from left to right: tokens, and values passed over.

use super::{Builder, JsonError, push_escaped};

/// What is left of a text from `at` on.
pub(super) struct Scanner<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    pub fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub fn take(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    pub fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// One valid value, passed over.
    pub fn skip(&mut self) -> &'a str {
        self.peek();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0usize;
        while let Some(&b) = bytes.get(self.at) {
            match b {
                b'"' => {
                    self.at += 1;
                    while let Some(&c) = bytes.get(self.at).filter(|c| **c != b'"') {
                        self.at += if c == b'\\' { 2 } else { 1 };
                    }
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
            if depth == 0 && matches!(b, b'"' | b'}' | b']') {
                break;
            }
        }
        self.at = self.at.min(bytes.len());
        &self.text[start..self.at]
    }

    pub fn key(&mut self, builder: &mut Builder) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(JsonError::Syntax);
        }
        builder.begin_member();
        self.string(&mut builder.out)?;
        builder.end_key();
        self.expect(b':')
    }

    pub fn string(&mut self, out: &mut String) -> Result<(), JsonError> {
        out.push('"');
        self.decode(|c| push_escaped(c, out))?;
        out.push('"');
        Ok(())
    }

    /// A string from its opening quote to its closing one, character by character.
    pub fn decode(&mut self, mut put: impl FnMut(char)) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            let c = self.text[self.at..].chars().next().ok_or(JsonError::Syntax)?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(()),
                '\\' => {
                    let escape = self.byte().ok_or(JsonError::Syntax)?;
                    self.at += usize::from(escape.is_ascii());
                    put(match escape {
                        b'"' | b'\\' | b'/' => char::from(escape),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.code_point()?,
                        _ => return Err(JsonError::Syntax),
                    });
                }
                c if c < ' ' => return Err(JsonError::Syntax),
                c => put(c),
            }
        }
    }

    /// After `\u`: four digits, and the low half after a high one.
    pub fn code_point(&mut self) -> Result<char, JsonError> {
        let first = self.four()?;
        if first == 0 {
            return Err(JsonError::Unicode);
        }
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(JsonError::Syntax);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(JsonError::Syntax);
        }
        self.at += 2;
        let second = self.four()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(JsonError::Syntax);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(JsonError::Syntax)
    }

    pub fn four(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(JsonError::Syntax)?;
        let value = digits.iter().try_fold(0u32, |n, d| Some(n * 16 + char::from(*d).to_digit(16)?));
        self.at += 4;
        value.ok_or(JsonError::Syntax)
    }

    pub fn word(&mut self, out: &mut String) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        let word = ["true", "false", "null"].into_iter().find(|w| rest.starts_with(*w)).ok_or(JsonError::Syntax)?;
        self.at += word.len();
        out.push_str(word);
        self.token_end()
    }

    /// PostgreSQL's tokens end where no letter, digit, underscore or character beyond ASCII follows.
    pub fn token_end(&self) -> Result<(), JsonError> {
        match self.byte() {
            Some(b) if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => Err(JsonError::Syntax),
            _ => Ok(()),
        }
    }

    pub fn digits(&mut self) -> &'a str {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    pub fn number(&mut self, out: &mut String) -> Result<(), JsonError> {
        let negative = self.byte() == Some(b'-');
        self.at += usize::from(negative);
        let whole = self.digits();
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(JsonError::Syntax);
        }
        let mut fraction = "";
        if self.byte() == Some(b'.') {
            self.at += 1;
            fraction = self.digits();
            if fraction.is_empty() {
                return Err(JsonError::Syntax);
            }
        }
        let mut exponent = 0i64;
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            let minus = self.byte() == Some(b'-');
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            let digits = self.digits();
            if digits.is_empty() {
                return Err(JsonError::Syntax);
            }
            exponent = digits.parse().unwrap_or(i64::MAX / 4);
            exponent = if minus { -exponent } else { exponent };
        }
        self.token_end()?;
        match push_number(negative, whole, fraction, exponent, out) {
            // PostgreSQL reads one token ahead: what is no token there is the error.
            Err(JsonError::Number) => Err(self.broken_token().unwrap_or(JsonError::Number)),
            answer => answer,
        }
    }

    pub fn broken_token(&mut self) -> Option<JsonError> {
        let mut ignored = String::new();
        match self.peek() {
            None | Some(b'{' | b'}' | b'[' | b']' | b',' | b':') => None,
            Some(b'"') => self.decode(|_| ()).err(),
            Some(b'-' | b'0'..=b'9') => self.number(&mut ignored).err().filter(|e| *e == JsonError::Syntax),
            Some(_) => self.word(&mut ignored).err(),
        }
    }
}

/// A number as numeric writes it: no exponent, the scale kept, no sign on zero.
fn push_number(negative: bool, whole: &str, fraction: &str, exponent: i64, out: &mut String) -> Result<(), JsonError> {
    // numeric_in takes no exponent beyond this, not even for zero.
    if exponent.abs() >= i64::from(i32::MAX / 2) {
        return Err(JsonError::Number);
    }
    let scale = (fraction.len() as i64 - exponent).max(0);
    let zero = whole.bytes().chain(fraction.bytes()).all(|d| d == b'0');
    let leading = whole.bytes().chain(fraction.bytes()).take_while(|d| *d == b'0').count() as i64;
    // Digits before the point, and the limits of numeric: 131072 of them, 16383 after it.
    let point = whole.len() as i64 + exponent;
    if scale > 16383 || (!zero && point - leading > 131_072) {
        return Err(JsonError::Number);
    }
    if negative && !zero {
        out.push('-');
    }
    let digit = |i: i64| {
        let d = usize::try_from(i).ok().and_then(|i| whole.as_bytes().iter().chain(fraction.as_bytes()).nth(i));
        char::from(d.copied().unwrap_or(b'0'))
    };
    if exponent == 0 {
        out.push_str(whole);
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
        return Ok(());
    }
    let first = leading.min(point - 1);
    if zero || point <= first {
        out.push('0');
    } else {
        out.extend((first..point).map(digit));
    }
    if scale > 0 {
        out.push('.');
        out.extend((point..point + scale).map(digit));
    }
    Ok(())
}
