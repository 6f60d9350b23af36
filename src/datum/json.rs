//! json and jsonb as texts: jsonb's output form made of any json, and parts found in either.
//!
//! Source of truth: `jsonapi.c` and `jsonb.c` of PostgreSQL. Nothing recurses: depth costs memory, not the stack.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("invalid input syntax for type json")]
    Syntax,
    /// `\u0000`
    #[error("unsupported Unicode escape sequence")]
    Unicode,
    #[error("value overflows numeric format")]
    Number,
}

impl JsonError {
    pub fn sqlstate(self) -> &'static str {
        match self {
            JsonError::Syntax => "22P02",
            JsonError::Unicode => "22P05",
            JsonError::Number => "22003",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

/// What `jsonb_in` and `jsonb_out` make of a json text.
pub fn canonical(text: &str, out: &mut String) -> Result<(), JsonError> {
    let mut builder = Builder::new(std::mem::take(out));
    let mut s = Scanner { text, at: 0 };
    // For each open container: whether it is an object.
    let mut open: Vec<bool> = Vec::new();
    loop {
        // One value.
        match s.peek() {
            Some(b'{') => {
                s.at += 1;
                builder.open_object();
                if s.take(b'}') {
                    builder.close_object();
                } else {
                    open.push(true);
                    s.key(&mut builder)?;
                    continue;
                }
            }
            Some(b'[') => {
                s.at += 1;
                builder.out.push('[');
                if s.take(b']') {
                    builder.out.push(']');
                } else {
                    open.push(false);
                    continue;
                }
            }
            Some(b'"') => s.string(&mut builder.out)?,
            Some(b'-' | b'0'..=b'9') => s.number(&mut builder.out)?,
            Some(_) => s.word(&mut builder.out)?,
            None => return Err(JsonError::Syntax),
        }
        // What follows a value: more of its container, or its end.
        loop {
            match open.last() {
                None => {
                    *out = builder.out;
                    return if s.peek().is_none() { Ok(()) } else { Err(JsonError::Syntax) };
                }
                Some(true) => {
                    builder.end_member();
                    if s.take(b',') {
                        s.key(&mut builder)?;
                        break;
                    }
                    s.expect(b'}')?;
                    builder.close_object();
                }
                Some(false) => {
                    if s.take(b',') {
                        builder.out.push_str(", ");
                        break;
                    }
                    s.expect(b']')?;
                    builder.out.push(']');
                }
            }
            open.pop();
        }
    }
}

/// A string as `escape_json` writes it, with its quotes.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        push_escaped(c, out);
    }
    out.push('"');
}

fn push_escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}

/// Objects whose members come in any order, written so that the last of equal keys stays and shorter keys stand first.
pub struct Builder {
    pub out: String,
    members: Vec<Member>,
    /// For each open object: where it begins in `out`, and its first member.
    objects: Vec<(usize, usize)>,
}

#[derive(Clone, Copy)]
struct Member {
    start: usize,
    key_end: usize,
    end: usize,
}

impl Builder {
    pub fn new(out: String) -> Builder {
        Builder { out, members: Vec::new(), objects: Vec::new() }
    }

    pub fn open_object(&mut self) {
        self.objects.push((self.out.len(), self.members.len()));
        self.out.push('{');
    }

    /// The value is written to `out` after this.
    pub fn key(&mut self, key: &str) {
        self.begin_member();
        quote(key, &mut self.out);
        self.end_key();
    }

    fn begin_member(&mut self) {
        if self.objects.last().is_some_and(|(_, first)| *first < self.members.len()) {
            self.out.push_str(", ");
        }
        let start = self.out.len();
        self.members.push(Member { start, key_end: start, end: start });
    }

    fn end_key(&mut self) {
        if let Some(member) = self.members.last_mut() {
            member.key_end = self.out.len();
        }
        self.out.push_str(": ");
    }

    pub fn end_member(&mut self) {
        if let Some(member) = self.members.last_mut() {
            member.end = self.out.len();
        }
    }

    pub fn close_object(&mut self) {
        let Some((start, first)) = self.objects.pop() else { return };
        let members = &self.members[first..];
        let before = |a: &Member, b: &Member| {
            let (a, b) = (self.bare_key(a), self.bare_key(b));
            a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
        };
        if members.windows(2).all(|w| before(&w[0], &w[1]).is_lt()) {
            self.out.push('}');
        } else {
            let mut sorted = members.to_vec();
            // Stable, and turned round: of equal keys the last comes first, and stays.
            sorted.reverse();
            sorted.sort_by(before);
            sorted.dedup_by(|b, a| before(a, b).is_eq());
            let mut text = String::from("{");
            for (i, member) in sorted.iter().enumerate() {
                if i > 0 {
                    text.push_str(", ");
                }
                text.push_str(&self.out[member.start..member.end]);
            }
            text.push('}');
            self.out.truncate(start);
            self.out.push_str(&text);
        }
        self.members.truncate(first);
    }

    fn bare_key(&self, member: &Member) -> Cow<'_, str> {
        unquote(&self.out[member.start..member.key_end])
    }
}

/// The string that a valid json string stands for. What cannot be decoded is left out: the caller has checked it.
pub fn unquote(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or(quoted);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut s = Scanner { text: quoted, at: 0 };
    let _ = s.decode(|c| text.push(c));
    Cow::Owned(text)
}

/// PostgreSQL decodes every string of a json value before it looks for a part of it: escapes that have no text are
/// errors wherever they stand.
pub fn check_escapes(text: &str) -> Result<(), JsonError> {
    if !text.contains("\\u") {
        return Ok(());
    }
    let mut s = Scanner { text, at: 0 };
    while let Some(at) = text[s.at..].find('"') {
        s.at += at;
        s.decode(|_| ())?;
    }
    Ok(())
}

/// The kind of a valid value.
pub fn kind(text: &str) -> JsonKind {
    match (Scanner { text, at: 0 }).peek() {
        Some(b'{') => JsonKind::Object,
        Some(b'[') => JsonKind::Array,
        Some(b'"') => JsonKind::String,
        Some(b't' | b'f') => JsonKind::Boolean,
        Some(b'n') => JsonKind::Null,
        _ => JsonKind::Number,
    }
}

/// The members of an object (keys quoted, as they stand) or the elements of an array (keys empty), in order; of a
/// scalar none.
pub fn parts(text: &str) -> Parts<'_> {
    let mut scanner = Scanner { text, at: 0 };
    let object = scanner.peek() == Some(b'{');
    let container = object || scanner.peek() == Some(b'[');
    scanner.at = if container { scanner.at + 1 } else { text.len() };
    Parts { scanner, object }
}

pub struct Parts<'a> {
    scanner: Scanner<'a>,
    object: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let s = &mut self.scanner;
        s.take(b',');
        if matches!(s.peek(), None | Some(b'}' | b']')) {
            return None;
        }
        let mut key = "";
        if self.object {
            key = s.skip();
            s.take(b':');
            s.peek();
        }
        Some((key, s.skip()))
    }
}

/// The value of an object's member; of equal keys the last.
pub fn member<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    if kind(text) != JsonKind::Object {
        return None;
    }
    parts(text).filter(|(k, _)| unquote(k) == key).last().map(|(_, v)| v)
}

/// An array's element, from the end where the index is negative.
pub fn element(text: &str, index: i64) -> Option<&str> {
    if kind(text) != JsonKind::Array {
        return None;
    }
    let index = if index < 0 { index + parts(text).count() as i64 } else { index };
    parts(text).nth(usize::try_from(index).ok()?).map(|(_, v)| v)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// One valid value, passed over.
    fn skip(&mut self) -> &'a str {
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

    fn key(&mut self, builder: &mut Builder) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(JsonError::Syntax);
        }
        builder.begin_member();
        self.string(&mut builder.out)?;
        builder.end_key();
        self.expect(b':')
    }

    fn string(&mut self, out: &mut String) -> Result<(), JsonError> {
        out.push('"');
        self.decode(|c| push_escaped(c, out))?;
        out.push('"');
        Ok(())
    }

    /// A string from its opening quote to its closing one, character by character.
    fn decode(&mut self, mut put: impl FnMut(char)) -> Result<(), JsonError> {
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
    fn code_point(&mut self) -> Result<char, JsonError> {
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

    fn four(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(JsonError::Syntax)?;
        let value = digits.iter().try_fold(0u32, |n, d| Some(n * 16 + char::from(*d).to_digit(16)?));
        self.at += 4;
        value.ok_or(JsonError::Syntax)
    }

    fn word(&mut self, out: &mut String) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        let word = ["true", "false", "null"].into_iter().find(|w| rest.starts_with(*w)).ok_or(JsonError::Syntax)?;
        self.at += word.len();
        out.push_str(word);
        self.token_end()
    }

    /// PostgreSQL's tokens end where no letter, digit, underscore or character beyond ASCII follows.
    fn token_end(&self) -> Result<(), JsonError> {
        match self.byte() {
            Some(b) if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => Err(JsonError::Syntax),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> &'a str {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn number(&mut self, out: &mut String) -> Result<(), JsonError> {
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

    fn broken_token(&mut self) -> Option<JsonError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form() {
        for (json, jsonb) in [
            (r#" {"b":1,"a":2,"aa":3,"b":4} "#, r#"{"a": 2, "b": 4, "aa": 3}"#),
            (
                r#"[1e2,1.10,-0,-0.0,1e-5,0e10,1.0e1,12.5e1,100e-1,0.001e2]"#,
                "[100, 1.10, 0, 0.0, 0.00001, 0, 10, 125, 10.0, 0.1]",
            ),
            (r#"{"x":{"bb":[],"a":{}},"x":"\ud83d\ude00\u0001\/"}"#, r#"{"x": "😀\u0001/"}"#),
        ] {
            let mut out = String::new();
            canonical(json, &mut out).unwrap();
            assert_eq!(out, jsonb);
        }
    }

    #[test]
    fn deep_values_do_not_need_the_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let mut out = String::new();
        canonical(&deep, &mut out).unwrap();
        assert_eq!(out, deep);
    }
}
