//! json and jsonb as texts: jsonb's output form made of any json, and parts found in either.
//!
//! Source of truth: `jsonapi.c` and `jsonb.c` of PostgreSQL. Nothing recurses: depth costs memory, not the stack.

use std::borrow::Cow;

mod scan;

use scan::Scanner;

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
