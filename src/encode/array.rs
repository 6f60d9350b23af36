//! PostgreSQL's array text `{1,NULL,"a b",{…}}` into Avro arrays, nested as deep as the array has dimensions.
//!
//! Source of truth: the manual's "Array Input and Output Syntax". A lower bound other than 1 (`[2:3]={…}`) is not part
//! of the value in Avro and is left out. Elements are found in place; only a quoted one with escapes is copied, into
//! one buffer per array.

use crate::encode::leaf::{Fault, Slot};
use crate::encode::wire::put_long;

#[derive(Debug)]
pub(crate) struct ArrayCode {
    pub element: Slot,
    /// How many array types are nested in the contract.
    pub depth: u32,
    /// `typdelim`: `;` for box, `,` for all others.
    pub delimiter: u8,
}

impl ArrayCode {
    pub fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let text = match text {
            // [l:u][l:u]={…}
            [b'[', ..] => match text.iter().position(|b| *b == b'=') {
                Some(equals) => &text[equals + 1..],
                None => return Err(malformed()),
            },
            text => text,
        };
        if text == b"{}" {
            // Without elements an array has no dimensions: the outermost one is empty.
            out.push(0);
            return Ok(());
        }
        let mut reader = ArrayReader { code: self, text, at: 0, unescaped: Vec::new() };
        reader.level(1, out)?;
        if reader.at == text.len() { Ok(()) } else { Err(malformed()) }
    }
}

struct ArrayReader<'a> {
    code: &'a ArrayCode,
    text: &'a [u8],
    at: usize,
    unescaped: Vec<u8>,
}

impl ArrayReader<'_> {
    fn level(&mut self, depth: u32, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        self.expect(b'{')?;
        let nested = self.text.get(self.at) == Some(&b'{');
        if nested != (depth < self.code.depth) {
            let message = format!("an array of other than the contract's {} dimension(s)", self.code.depth);
            return Err(Fault::new(super::codes::ROW_RANGE, message));
        }
        let count_at = out.len();
        let mut count = 0i64;
        // The count stands before the items and is known after them: one byte is kept, which is enough up to 63.
        out.push(0);
        loop {
            let item = if nested { self.level(depth + 1, out) } else { self.element(out) };
            item.map_err(|mut fault| {
                fault.path.push(format!("[{count}]"));
                fault
            })?;
            count += 1;
            match self.text.get(self.at) {
                Some(b'}') => break,
                Some(byte) if *byte == self.code.delimiter => self.at += 1,
                _ => return Err(malformed()),
            }
        }
        self.at += 1;
        put_count(count, count_at, out);
        out.push(0);
        Ok(())
    }

    fn element(&mut self, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let text = self.text;
        if text.get(self.at) != Some(&b'"') {
            let rest = &text[self.at..];
            let end = rest.iter().position(|b| *b == self.code.delimiter || *b == b'}').ok_or_else(malformed)?;
            self.at += end;
            let element = &rest[..end];
            return self.code.element.put((element != b"NULL").then_some(element), out);
        }
        let start = self.at + 1;
        let mut end = start;
        let mut escaped = false;
        loop {
            match text.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
                None => return Err(malformed()),
            }
        }
        self.at = end + 1;
        if !escaped {
            return self.code.element.put(Some(&text[start..end]), out);
        }
        self.unescaped.clear();
        let mut bytes = text[start..end].iter();
        while let Some(byte) = bytes.next() {
            self.unescaped.push(if *byte == b'\\' { *bytes.next().ok_or_else(malformed)? } else { *byte });
        }
        self.code.element.put(Some(&self.unescaped), out)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Box<Fault>> {
        if self.text.get(self.at) != Some(&byte) {
            return Err(malformed());
        }
        self.at += 1;
        Ok(())
    }
}

/// Puts the count into the byte kept at `at`; a longer one moves what follows.
pub(crate) fn put_count(count: i64, at: usize, out: &mut Vec<u8>) {
    if count < 64 {
        out[at] = (count << 1) as u8;
    } else {
        let mut long = Vec::with_capacity(10);
        put_long(&mut long, count);
        out.splice(at..=at, long);
    }
}

fn malformed() -> Box<Fault> {
    Fault::malformed("not an array's text form")
}
