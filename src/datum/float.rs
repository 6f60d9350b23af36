//! `real` and `double precision`: the shortest text that comes back as the same bits.

use super::DatumError;

pub fn read4(text: &[u8]) -> Result<f32, DatumError> {
    match special(text) {
        Some(value) => Ok(value as f32),
        None => plain(text).and_then(|t| t.parse().ok()).ok_or(DatumError::Malformed { ty: "real" }),
    }
}

pub fn read8(text: &[u8]) -> Result<f64, DatumError> {
    match special(text) {
        Some(value) => Ok(value),
        None => plain(text).and_then(|t| t.parse().ok()).ok_or(DatumError::Malformed { ty: "double precision" }),
    }
}

fn special(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// What the parser may see: it knows more words than PostgreSQL writes.
fn plain(text: &[u8]) -> Option<&str> {
    let fits = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
    let starts = matches!(text.first(), Some(b'0'..=b'9' | b'-'));
    if starts && text.iter().all(fits) { std::str::from_utf8(text).ok() } else { None }
}

pub fn write4(value: f32, out: &mut String) {
    match word(f64::from(value)) {
        Some(word) => out.push_str(word),
        None => layout(&format!("{value:e}"), 6, out),
    }
}

pub fn write8(value: f64, out: &mut String) {
    match word(value) {
        Some(word) => out.push_str(word),
        None => layout(&format!("{value:e}"), 15, out),
    }
}

fn word(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == 0.0 {
        Some(if value.is_sign_negative() { "-0" } else { "0" })
    } else if value.is_infinite() {
        Some(if value < 0.0 { "-Infinity" } else { "Infinity" })
    } else {
        None
    }
}

/// From `-d.ddde±x` to PostgreSQL's form: an exponent below −4, or from `limit` on, is written out.
fn layout(shortest: &str, limit: i32, out: &mut String) {
    let (sign, rest) = shortest.strip_prefix('-').map_or(("", shortest), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (first, others) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.push_str(sign);
    if exponent < -4 || exponent >= limit {
        out.push_str(mantissa);
        out.push_str(if exponent < 0 { "e-" } else { "e+" });
        super::calendar::push_padded(out, u64::from(exponent.unsigned_abs()), 2);
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        out.push_str(first);
        out.push_str(others);
    } else {
        let whole = exponent as usize;
        out.push_str(first);
        out.push_str(&others[..whole.min(others.len())]);
        out.extend(std::iter::repeat_n('0', whole.saturating_sub(others.len())));
        if others.len() > whole {
            out.push('.');
            out.push_str(&others[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_come_back() {
        let forms8 =
            ["1e+20", "1e-05", "100000", "1e+15", "100000000000000", "-0", "0.0001", "123.456", "NaN", "-Infinity"];
        for text in forms8 {
            let mut out = String::new();
            write8(read8(text.as_bytes()).unwrap(), &mut out);
            assert_eq!(out, text);
        }
        for text in ["1e+06", "100000", "123456.79", "1.1754944e-38", "0"] {
            let mut out = String::new();
            write4(read4(text.as_bytes()).unwrap(), &mut out);
            assert_eq!(out, text);
        }
        for text in ["", "inf", "nan", "infinity", "+1", ".5", " 1", "1 ", "0x10"] {
            assert!(read8(text.as_bytes()).is_err(), "{text}");
        }
    }
}
