//! The comments that are more than comments: `-- setup`, `-- transaction: NAME`, `-- expect …`, `-- error: …`.
//!
//! They begin with one of these words, in any case; every other comment is one. A value may go on over the next lines,
//! each a comment of its own, until its brackets are closed.

use serde_json::Value;

/// A directive with its text, to the end of its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive<'t> {
    Setup,
    Transaction(&'t str),
    Expect(&'t str),
    Error(&'t str),
}

/// What must come.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    Nothing,
    Record {
        transform: String,
        key: Value,
        /// None: a tombstone. A member [`OPEN`] says that an object may have more members than are written.
        value: Option<Value>,
    },
}

/// The member that stands for `...`.
pub const OPEN: &str = "...";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The next line may bring the rest.
    Unfinished,
    At {
        /// From 0: of the directive's lines.
        line: usize,
        message: String,
    },
}

/// Of a line comment, `--` included.
pub fn directive(comment: &str) -> Option<Directive<'_>> {
    let text = body(comment).trim();
    let after = |word: &str| {
        let head = text.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
    };
    if text.eq_ignore_ascii_case("setup") {
        return Some(Directive::Setup);
    }
    if let Some(name) = after("transaction:") {
        return Some(Directive::Transaction(name.trim()));
    }
    if let Some(what) = after("error:") {
        return Some(Directive::Error(what.trim()));
    }
    match after("expect") {
        Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => Some(Directive::Expect(rest)),
        _ => None,
    }
}

/// A comment without its `--`.
pub fn body(comment: &str) -> &str {
    comment.strip_prefix("--").unwrap_or(comment)
}

/// `nothing`, or `NAME KEY => VALUE`; lines are joined by line ends.
pub fn expected(text: &str) -> Result<Expected, Wrong> {
    if text.trim().eq_ignore_ascii_case("nothing") {
        return Ok(Expected::Nothing);
    }
    let mut rest = Rest { text, at: 0 };
    let transform = rest.word();
    if transform.is_empty() || transform.starts_with('{') {
        return rest.wrong(
            "the transform's name is missing: -- expect shop/order {\"order_id\":1} => {…}, or -- expect nothing",
        );
    }
    let transform = transform.to_owned();
    let key = rest.json("the key")?;
    if !key.is_object() {
        return rest.wrong("the key is an object of all key columns: {\"order_id\":1}");
    }
    rest.arrow()?;
    let value = rest.json("the value")?;
    let value = match value {
        Value::Null => None,
        Value::Object(_) => Some(value),
        _ => return rest.wrong("the value is an object, or null for a tombstone"),
    };
    rest.skip_blank();
    if rest.at < text.len() {
        return rest.wrong("something follows the value");
    }
    Ok(Expected::Record { transform, key, value })
}

struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn skip_blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        let line = self.text[..self.at].matches('\n').count();
        Err(Wrong::At { line, message: message.into() })
    }

    fn word(&mut self) -> &'t str {
        self.skip_blank();
        let rest = &self.text[self.at..];
        let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn arrow(&mut self) -> Result<(), Wrong> {
        self.skip_blank();
        match &self.text[self.at..] {
            "" => Err(Wrong::Unfinished),
            rest if rest.starts_with("=>") => {
                self.at += 2;
                Ok(())
            }
            _ => self.wrong("=> is missing between key and value"),
        }
    }

    fn json(&mut self, what: &str) -> Result<Value, Wrong> {
        self.skip_blank();
        let begun = self.at;
        let rest = &self.text[begun..];
        if rest.is_empty() {
            return Err(Wrong::Unfinished);
        }
        let length = match rest.as_bytes()[0] {
            b'{' | b'[' => closed(rest).ok_or(Wrong::Unfinished)?,
            _ => rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len()),
        };
        let json = &rest[..length];
        match serde_json::from_str(&with_open_members(json)) {
            Ok(value) => {
                self.at += length;
                Ok(value)
            }
            Err(e) => {
                let line = self.text[..begun].matches('\n').count() + e.line().max(1) - 1;
                let told = e.to_string();
                let told = told.split(" at line ").next().unwrap_or_default();
                Err(Wrong::At { line, message: format!("{what} is no JSON: {told}") })
            }
        }
    }
}

/// Where the bracket at the beginning is closed.
fn closed(text: &str) -> Option<usize> {
    let mut depth = 0i32;
    let mut strings = Strings::default();
    for (i, c) in text.char_indices() {
        if strings.inside(c) {
            continue;
        }
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i + c.len_utf8());
        }
    }
    None
}

/// `...` becomes a member, so that the rest is JSON.
fn with_open_members(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut strings = Strings::default();
    let mut rest = json;
    while let Some(c) = rest.chars().next() {
        if !strings.inside(c) && rest.starts_with(OPEN) {
            out.push_str("\"...\":null");
            rest = &rest[OPEN.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Whether a character of JSON belongs to a string.
#[derive(Default)]
struct Strings {
    within: bool,
    escaped: bool,
}

impl Strings {
    fn inside(&mut self, c: char) -> bool {
        let was = self.within;
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if self.within => self.escaped = true,
            '"' => self.within = !self.within,
            _ => {}
        }
        was || self.within
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn directives_are_their_first_word() {
        let check = |comment: &str, expected| assert_eq!(directive(comment), expected, "{comment}");
        check("-- setup", Some(Directive::Setup));
        check("--Setup ", Some(Directive::Setup));
        check("-- setup of tables", None);
        check("-- transaction: two orders ", Some(Directive::Transaction("two orders")));
        check("-- transaction", None);
        check("-- expect nothing", Some(Directive::Expect(" nothing")));
        check("-- expected by nobody", None);
        check("-- error: 23505 duplicate", Some(Directive::Error("23505 duplicate")));
        check("-- \u{e4}\u{f6}", None);
        check("--", None);
    }

    #[test]
    fn records_are_read_from_plain_json() {
        let record =
            |key: Value, value: Option<Value>| Ok(Expected::Record { transform: "shop/order".into(), key, value });
        let check = |text: &str, expected| assert_eq!(super::expected(text), expected, "{text}");
        check(" nothing", Ok(Expected::Nothing));
        check(" shop/order {\"id\":1} => null", record(json!({"id": 1}), None));
        check(
            " shop/order {\"id\":1} => {\"a\": [{\"b\": \"}\\\"\"}]} ",
            record(json!({"id": 1}), Some(json!({"a": [{"b": "}\""}]}))),
        );
        check("shop/order {\"id\":\n 1} =>\n {\n \"a\":\n 1}", record(json!({"id": 1}), Some(json!({"a": 1}))));
        check(
            "shop/order {\"id\":1} => {\"a\": \"...\", ...}",
            record(json!({"id": 1}), Some(json!({"a": "...", "...": null}))),
        );
        check("shop/order {\"id\":1} => {...}", record(json!({"id": 1}), Some(json!({"...": null}))));
    }

    #[test]
    fn what_goes_on_in_the_next_line_is_unfinished() {
        for text in [
            "shop/order",
            "shop/order {\"id\":",
            "shop/order {\"id\":1}",
            "shop/order {\"id\":1} =>",
            "a {} => {\"b\": \"}",
        ] {
            assert_eq!(expected(text), Err(Wrong::Unfinished), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let check = |text: &str, line: usize, part: &str| match expected(text) {
            Err(Wrong::At { line: at, message }) => {
                assert_eq!(at, line, "{text}: {message}");
                assert!(message.contains(part), "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        };
        check(" {\"id\":1} => null", 0, "name is missing");
        check("shop/order 1 => null", 0, "the key is an object");
        check("shop/order {\"id\":1}\n null", 1, "=> is missing");
        check("shop/order {\"id\":1} => {\n\"a\": 1,\n\"b\" 2}", 2, "the value is no JSON");
        check("shop/order {\"id\":1} => 5", 0, "null for a tombstone");
        check("shop/order {\"id\":1} => null and more", 0, "something follows");
        check("shop/order {\"id\":1} => {\"a\": [1, ...]}", 0, "no JSON");
    }
}
