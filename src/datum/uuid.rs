//! `uuid`: sixteen bytes, ordered as bytes.

use super::DatumError;

/// Reads `8-4-4-4-12` in hexadecimal.
pub fn read(text: &[u8]) -> Result<[u8; 16], DatumError> {
    const ERROR: DatumError = DatumError::Malformed { ty: "uuid" };
    let text: &[u8; 36] = text.try_into().map_err(|_| ERROR)?;
    let mut out = [0; 16];
    let mut at = 0;
    for byte in &mut out {
        if matches!(at, 8 | 13 | 18 | 23) {
            if text[at] != b'-' {
                return Err(ERROR);
            }
            at += 1;
        }
        let (Some(high), Some(low)) = (super::bytea::nibble(text[at]), super::bytea::nibble(text[at + 1])) else {
            return Err(ERROR);
        };
        *byte = high << 4 | low;
        at += 2;
    }
    Ok(out)
}

pub fn write(uuid: &[u8; 16], out: &mut String) {
    for (i, byte) in uuid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        super::bytea::push_hex(out, *byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        let text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        let mut out = String::new();
        write(&read(text.as_bytes()).unwrap(), &mut out);
        assert_eq!(out, text);
        assert!(read(b"a0eebc999c0b4ef8bb6d6bb9bd380a11").is_err());
        assert!(read(b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g").is_err());
    }
}
