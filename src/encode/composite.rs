//! A composite's text `(1,"a b",)` into an Avro record.
//!
//! Source of truth: the manual's "Composite Type Input and Output Syntax": nothing at all is NULL, `""` is the empty
//! text, inside quotes `""` and `\\` stand for one.

use crate::encode::leaf::{Fault, Slot};

#[derive(Debug)]
pub(crate) struct CompositeCode {
    /// In the composite's order; `order` says which stand where in the record.
    pub fields: Vec<(Box<str>, Slot)>,
    /// For each field of the record the index in `fields`, or the bytes of its default.
    pub order: Vec<Result<usize, Vec<u8>>>,
}

impl CompositeCode {
    pub fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let inner = text.strip_prefix(b"(").and_then(|t| t.strip_suffix(b")")).ok_or_else(malformed)?;
        let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(self.fields.len());
        let mut at = 0;
        loop {
            let (value, end) = field(inner, at)?;
            values.push(value);
            match inner.get(end) {
                Some(b',') => at = end + 1,
                None => break,
                Some(_) => return Err(malformed()),
            }
        }
        if values.len() != self.fields.len() {
            return Err(Fault::malformed("a composite of other fields than the catalogue's"));
        }
        for source in &self.order {
            match source {
                Ok(index) => {
                    let (name, slot) = &self.fields[*index];
                    slot.put(values[*index].as_deref(), out).map_err(|mut fault| {
                        fault.path.push(format!(".{name}"));
                        fault
                    })?;
                }
                Err(default) => out.extend_from_slice(default),
            }
        }
        Ok(())
    }
}

/// One field from `at`, and where it ends. Quoted and bare parts may follow one another.
fn field(text: &[u8], mut at: usize) -> Result<(Option<Vec<u8>>, usize), Box<Fault>> {
    let (start, mut value, mut quoted) = (at, Vec::new(), false);
    loop {
        match (text.get(at), quoted) {
            (None, false) | (Some(b','), false) => break,
            (None, true) => return Err(malformed()),
            (Some(b'"'), true) if text.get(at + 1) == Some(&b'"') => {
                value.push(b'"');
                at += 2;
            }
            (Some(b'"'), _) => {
                quoted = !quoted;
                at += 1;
            }
            (Some(b'\\'), _) => {
                value.push(*text.get(at + 1).ok_or_else(malformed)?);
                at += 2;
            }
            (Some(byte), _) => {
                value.push(*byte);
                at += 1;
            }
        }
    }
    Ok(((at > start).then_some(value), at))
}

fn malformed() -> Box<Fault> {
    Fault::malformed("not a composite's text form")
}
