//! `smallint`, `integer`, `bigint`, `oid`: decimal digits with an optional minus.

use std::str::FromStr;

use super::DatumError;

pub fn read<T: FromStr>(text: &[u8]) -> Result<T, DatumError> {
    let error = DatumError::Malformed { ty: "integer" };
    if !matches!(text.first(), Some(b'0'..=b'9' | b'-')) {
        return Err(error);
    }
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(error)
}

pub fn write(value: i64, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    super::calendar::push_padded(out, value.unsigned_abs(), 1);
}
