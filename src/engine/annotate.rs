//! `pg_logical_emit_message(true, 'pgspine.annotate', '{"user": "ann"}')`: headers for all records of its transaction.
//!
//! The content is one JSON object; each member is a header. Several messages of one transaction are taken together, a
//! later one wins. What is not understood must neither stop the bridge, because nobody can take a message out of the WAL,
//! nor vanish: the whole message counts as refused, which is logged (`ANNOTATION`) and counted, and the records carry
//! `pgspine-annotation-error`.

use std::ops::Range;

use serde_json::Value;

use crate::record::{OutputBatch, annotation};

pub const PREFIX: &str = "pgspine.annotate";
/// On the records of a transaction whose message was refused: why.
const REFUSED: &str = "pgspine-annotation-error";
/// Of one transaction.
const MOST: usize = 16;
/// Names and values of one transaction: what a record has room for beside `max_record`.
const BYTES: usize = 1024;

#[derive(Default)]
pub(super) struct Annotations {
    found: Vec<(String, String)>,
    encoded: Vec<u8>,
    /// Where they stand in the batch that is being filled.
    placed: Option<Range<u32>>,
    refused: u64,
    why: &'static str,
}

impl Annotations {
    /// The next transaction.
    pub fn clear(&mut self) {
        self.found.clear();
        self.encoded.clear();
        self.placed = None;
    }

    /// What comes next goes into another batch, or behind another transaction.
    pub fn moved_on(&mut self) {
        self.placed = None;
    }

    pub fn refused(&self) -> (u64, &'static str) {
        (self.refused, self.why)
    }

    #[cold]
    pub fn add(&mut self, content: &[u8]) {
        let before = self.found.clone();
        if let Err(why) = self.read(content) {
            self.found = before;
            self.found.retain(|(name, _)| name != REFUSED);
            self.found.push((REFUSED.to_owned(), why.to_owned()));
            (self.refused, self.why) = (self.refused + 1, why);
        }
        self.encoded.clear();
        for (name, value) in &self.found {
            annotation::write(name, value, &mut self.encoded);
        }
    }

    fn read(&mut self, content: &[u8]) -> Result<(), &'static str> {
        let Ok(Value::Object(members)) = serde_json::from_slice(content) else { return Err("no JSON object") };
        for (name, value) in members {
            if !is_name(&name) {
                return Err(
                    "a name with other characters than A-Z a-z 0-9 . _ -, of more than 64, or that begins with pgspine",
                );
            }
            let value = match value {
                Value::String(text) => text,
                // Others would not come out as they were written.
                Value::Number(n) if n.is_i64() || n.is_u64() => n.to_string(),
                Value::Bool(b) => b.to_string(),
                Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err("a value that is no string, integer or boolean");
                }
            };
            match self.found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.found.push((name, value)),
            }
        }
        let ours = self.found.iter().filter(|(name, _)| name != REFUSED);
        let (count, bytes) = ours.fold((0, 0), |(n, b), (name, value)| (n + 1, b + name.len() + value.len()));
        if count > MOST {
            return Err("more than 16 annotations in one transaction");
        }
        if bytes > BYTES {
            return Err("more than 1 KiB of annotations in one transaction");
        }
        Ok(())
    }

    /// Puts them into the arena before the first record that carries them; gives their place.
    pub fn place(&mut self, out: &mut OutputBatch) -> Range<u32> {
        if self.encoded.is_empty() {
            return 0..0;
        }
        let placed = self.placed.get_or_insert_with(|| {
            let start = out.arena.len() as u32;
            out.arena.extend_from_slice(&self.encoded);
            start..out.arena.len() as u32
        });
        placed.clone()
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
        && !name.to_ascii_lowercase().starts_with("pgspine")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: &[&str], expected: &[(&str, &str)]) {
        let mut annotations = Annotations::default();
        messages.iter().for_each(|m| annotations.add(m.as_bytes()));
        let mut out = OutputBatch { arena: vec![1, 2, 3], ..OutputBatch::default() };
        let at = annotations.place(&mut out);
        assert_eq!(annotations.place(&mut out), at, "once per batch");
        let found: Vec<_> = annotation::each(&out.arena[at.start as usize..at.end as usize])
            .map(|(n, v)| (n.to_str().unwrap(), std::str::from_utf8(v).unwrap()))
            .collect();
        assert_eq!(found, expected, "{messages:?}");
        assert_eq!(annotations.refused().0 > 0, expected.iter().any(|(n, _)| *n == REFUSED), "{messages:?}");
    }

    #[test]
    fn annotations_are_taken_together() {
        check(&[], &[]);
        check(&["{}"], &[]);
        check(&[r#"{"user": "ann", "n": 7, "ok": true}"#], &[("user", "ann"), ("n", "7"), ("ok", "true")]);
        check(&[r#"{"user": "ann"}"#, r#"{"user": "bob", "a": ""}"#], &[("user", "bob"), ("a", "")]);
        check(&[r#"{"user": "Ännchen\u0000"}"#], &[("user", "Ännchen\0")]);
    }

    #[test]
    fn what_is_not_understood_shows_and_changes_nothing_else() {
        let refused = |why| [("user", "ann"), (REFUSED, why)];
        let name = "a name with other characters than A-Z a-z 0-9 . _ -, of more than 64, or that begins with pgspine";
        let value = "a value that is no string, integer or boolean";
        let many: Vec<String> = (0..16).map(|n| format!("\"a{n}\": 1")).collect();
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(1024));
        for (bad, why) in [
            ("", "no JSON object"),
            ("[1]", "no JSON object"),
            ("\u{1}{", "no JSON object"),
            (r#"{"a b": "x"}"#, name),
            (r#"{"pgspine-lsn": "x"}"#, name),
            (r#"{"": "x"}"#, name),
            (r#"{"a": null}"#, value),
            (r#"{"a": {}}"#, value),
            (r#"{"a": 1.50}"#, value),
            (&format!("{{{}}}", many.join(",")), "more than 16 annotations in one transaction"),
            (&long, "more than 1 KiB of annotations in one transaction"),
        ] {
            check(&[r#"{"user": "ann"}"#, bad], &refused(why));
        }
    }
}
