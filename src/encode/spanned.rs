//! JSON with the place of everything: what lets a finding in a contract point at its line.
//!
//! Keys keep their order, and duplicates stay visible. Source of truth: RFC 8259; `serde_json` reads the leaves.

use serde_json::Value as Json;

use crate::diagnostic::Span;

#[derive(Debug, Clone)]
pub(crate) struct Spanned {
    pub span: Span,
    pub node: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Object(Vec<(String, Spanned)>),
    Array(Vec<Spanned>),
    Text(String),
    /// A number, a boolean or null.
    Other(Json),
}

#[derive(Debug)]
pub(crate) struct JsonError {
    pub message: String,
    pub at: u32,
}

/// Contracts nest a handful of levels; a bound keeps a hostile file from overflowing the stack.
const MAX_DEPTH: u32 = 64;

pub(crate) fn parse(text: &str) -> Result<Spanned, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.error("something follows the end of the JSON value"));
    }
    Ok(value)
}

impl Spanned {
    pub fn get(&self, key: &str) -> Option<&Spanned> {
        match &self.node {
            Node::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Text(t) => Some(t),
            _ => None,
        }
    }

    pub fn array(&self) -> Option<&[Spanned]> {
        match &self.node {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<u64> {
        match &self.node {
            Node::Other(n) => n.as_u64(),
            _ => None,
        }
    }

    pub fn to_json(&self) -> Json {
        match &self.node {
            Node::Object(entries) => Json::Object(entries.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
            Node::Array(items) => Json::Array(items.iter().map(Spanned::to_json).collect()),
            Node::Text(t) => Json::String(t.clone()),
            Node::Other(v) => v.clone(),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: u32) -> Result<Spanned, JsonError> {
        self.blank();
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let node = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Node::Text(self.string()?),
            Some(_) => self.leaf()?,
            None => return Err(self.error("the file ends where a value should stand")),
        };
        Ok(Spanned { span: Span { start: start as u32, end: self.at as u32 }, node })
    }

    fn object(&mut self, depth: u32) -> Result<Node, JsonError> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blank();
        if self.take(b'}') {
            return Ok(Node::Object(entries));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in double quotes should stand here"));
            }
            let key = self.string()?;
            self.blank();
            if !self.take(b':') {
                return Err(self.error("`:` should stand here"));
            }
            entries.push((key, self.value(depth + 1)?));
            self.blank();
            if self.take(b'}') {
                return Ok(Node::Object(entries));
            }
            if !self.take(b',') {
                return Err(self.error("`,` or `}` should stand here"));
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<Node, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Ok(Node::Array(items));
            }
            if !self.take(b',') {
                return Err(self.error("`,` or `]` should stand here"));
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while let Some(&b) = bytes.get(end) {
            match b {
                b'"' => {
                    let text = serde_json::from_str(&self.text[self.at..=end])
                        .map_err(|e| self.error(&format!("not a JSON string: {e}")))?;
                    self.at = end + 1;
                    return Ok(text);
                }
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        Err(self.error("this string has no end"))
    }

    fn leaf(&mut self) -> Result<Node, JsonError> {
        let rest = &self.text[self.at..];
        let len = rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let json = serde_json::from_str(&rest[..len])
            .map_err(|_| self.error(&format!("{:?} is no JSON value", &rest[..len])))?;
        self.at += len;
        Ok(Node::Other(json))
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn error(&self, message: &str) -> JsonError {
        JsonError { message: message.to_owned(), at: self.at as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_with_their_places() {
        let text = r#" {"a": [1, "x\"é", null], "b": {"c": true}} "#;
        let value = parse(text).unwrap();
        assert_eq!(value.to_json(), serde_json::from_str::<Json>(text).unwrap());
        let c = value.get("b").unwrap().get("c").unwrap();
        assert_eq!(&text[c.span.start as usize..c.span.end as usize], "true");
    }

    #[test]
    fn no_cut_of_a_file_panics() {
        let text = r#"{"a": [1, "x\"é", null], "b": {"c": true}}"#;
        for end in 0..text.len() {
            if text.is_char_boundary(end) {
                assert!(parse(&text[..end]).is_err(), "{}", &text[..end]);
            }
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
