//! hstore's text `"a"=>"1", "b"=>NULL` into an Avro map, its keys in byte order.
//!
//! Source of truth: hstore's output function: every key and value stands in double quotes with `\` before `"` and `\`.

use crate::encode::array::put_count;
use crate::encode::codes;
use crate::encode::leaf::{Fault, NullRule};
use crate::encode::wire::put_bytes;

pub(crate) fn put(text: &[u8], null: NullRule, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::malformed("text that is not UTF-8"))?;
    let mut entries: Vec<(String, Option<String>)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        rest = after.strip_prefix("=>").ok_or_else(malformed)?;
        let value = match rest.strip_prefix("NULL") {
            Some(after) => {
                rest = after;
                None
            }
            None => {
                let (value, after) = quoted(rest)?;
                rest = after;
                Some(value)
            }
        };
        entries.push((key, value));
        if !rest.is_empty() {
            rest = rest.strip_prefix(", ").ok_or_else(malformed)?;
        }
    }
    // hstore orders its keys by length; a map has no order, and ours is the keys' own everywhere.
    entries.sort();
    if entries.is_empty() {
        out.push(0);
        return Ok(());
    }
    let at = out.len();
    out.push(0);
    for (key, value) in &entries {
        put_bytes(out, key.as_bytes());
        match (value, null) {
            (None, NullRule::Never) => {
                return Err(Fault::new(codes::ROW_NULL, "NULL in an hstore, and the map's values do not take null"));
            }
            (None, NullRule::Union { null, .. }) => out.push(null),
            (Some(value), rule) => {
                if let NullRule::Union { some, .. } = rule {
                    out.push(some);
                }
                put_bytes(out, value.as_bytes());
            }
        }
    }
    put_count(entries.len() as i64, at, out);
    out.push(0);
    Ok(())
}

fn quoted(text: &str) -> Result<(String, &str), Box<Fault>> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"').ok_or_else(malformed)?.chars();
    loop {
        match chars.next() {
            Some('"') => return Ok((value, chars.as_str())),
            Some('\\') => value.push(chars.next().ok_or_else(malformed)?),
            Some(c) => value.push(c),
            None => return Err(malformed()),
        }
    }
}

fn malformed() -> Box<Fault> {
    Fault::malformed("not an hstore's text form")
}
