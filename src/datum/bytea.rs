//! `bytea` in its hex form, `\x00ff`.

use super::DatumError;

const ERROR: DatumError = DatumError::Malformed { ty: "bytea" };

/// Reads the hex form; what `out` holds stays in front.
pub fn read_into(text: &[u8], out: &mut Vec<u8>) -> Result<(), DatumError> {
    let hex = text.strip_prefix(b"\\x").ok_or(ERROR)?;
    let (pairs, rest) = hex.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ERROR);
    }
    out.reserve(pairs.len());
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) else { return Err(ERROR) };
        out.push(high << 4 | low);
    }
    Ok(())
}

/// The number of bytes that a hex form holds.
pub fn len(text: &[u8]) -> Result<usize, DatumError> {
    let hex = text.strip_prefix(b"\\x").ok_or(ERROR)?;
    if hex.len().is_multiple_of(2) { Ok(hex.len() / 2) } else { Err(ERROR) }
}

pub fn write(bytes: &[u8], out: &mut String) {
    out.reserve(2 + 2 * bytes.len());
    out.push_str("\\x");
    for byte in bytes {
        push_hex(out, *byte);
    }
}

pub(crate) fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)] as char);
    out.push(DIGITS[usize::from(byte & 15)] as char);
}

pub(crate) fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        for (text, bytes) in [("\\x", &b""[..]), ("\\x00ff10", &[0, 255, 16])] {
            let (mut read, mut written) = (Vec::new(), String::new());
            read_into(text.as_bytes(), &mut read).unwrap();
            write(bytes, &mut written);
            assert_eq!((read.as_slice(), written.as_str(), len(text.as_bytes())), (bytes, text, Ok(bytes.len())));
        }
        for text in ["", "00", "\\x0", "\\xgg", "\\x\u{0}"] {
            assert!(read_into(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
    }
}
