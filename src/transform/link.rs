//! Keys of links: bytes that are equal where PostgreSQL's `=` says so.
//!
//! Each column's canonical text behind its length, so that no two lists of values look alike. NULL equals nothing: there
//! is no key then.

use super::plan::{KeyForm, Link};
use crate::row::Row;
use crate::varint;

impl Link {
    /// The key by which a row of the parent looks for its rows; false where a column is NULL.
    pub fn key_of_parent(&self, parent: Row<'_>, out: &mut Vec<u8>) -> bool {
        write(self.columns.iter().map(|c| (c.key, cell(parent, c.parent))), out)
    }

    /// The key under which a row of the step's source is found.
    pub fn key_of_own(&self, own: Row<'_>, out: &mut Vec<u8>) -> bool {
        write(self.columns.iter().map(|c| (c.key, cell(own, c.own))), out)
    }
}

fn cell<'r>(row: Row<'r>, column: u16) -> Option<&'r [u8]> {
    row.get(usize::from(column)).copied().flatten()
}

/// Writes a key over what is in `out`. False: a value is NULL, and there is no key.
pub fn write<'v>(values: impl IntoIterator<Item = (KeyForm, Option<&'v [u8]>)>, out: &mut Vec<u8>) -> bool {
    out.clear();
    for (form, value) in values {
        let Some(value) = value else { return false };
        let value = canonical(form, value);
        varint::put(value.len() as u64, out);
        out.extend_from_slice(value);
    }
    true
}

/// The part of a text form that stays when `=` does not tell values apart.
pub fn canonical(form: KeyForm, text: &[u8]) -> &[u8] {
    match form {
        KeyForm::Text => text,
        KeyForm::Padded => text.trim_ascii_end_of(b' '),
        KeyForm::Number => number(text),
    }
}

trait TrimEnd {
    fn trim_ascii_end_of(&self, byte: u8) -> &[u8];
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_of(&self, byte: u8) -> &[u8] {
        let kept = self.iter().rposition(|&b| b != byte).map_or(0, |last| last + 1);
        &self[..kept]
    }
}

/// `1.00`, `1.0` and `1` are one number. PostgreSQL writes no exponent and no negative zero.
fn number(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') {
        return text;
    }
    let text = text.trim_ascii_end_of(b'0');
    text.strip_suffix(b".").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_form() {
        let of = |form, text: &'static str| std::str::from_utf8(canonical(form, text.as_bytes())).unwrap();
        assert_eq!(of(KeyForm::Text, "a "), "a ");
        assert_eq!(of(KeyForm::Padded, "a  "), "a");
        assert_eq!(of(KeyForm::Padded, "  "), "");
        for (text, form) in
            [("1", "1"), ("1.00", "1"), ("-0.50", "-0.5"), ("100", "100"), ("0.00", "0"), ("NaN", "NaN")]
        {
            assert_eq!(of(KeyForm::Number, text), form);
        }
    }

    #[test]
    fn lists_do_not_run_together() {
        let key = |values: [&'static str; 2]| {
            let mut out = Vec::new();
            assert!(write(values.map(|v| (KeyForm::Text, Some(v.as_bytes()))), &mut out));
            out
        };
        assert_ne!(key(["a", "bc"]), key(["ab", "c"]));
        assert!(!write([(KeyForm::Text, None)], &mut Vec::new()));
    }
}
