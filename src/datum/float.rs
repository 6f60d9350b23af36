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
    let Some(word) = word(f64::from(value)) else {
        let bits = value.to_bits();
        let parts = Binary::new((bits & 0x7f_ffff).into(), (bits >> 23 & 0xff) as i32, 23, 150);
        return layout(&digits(parts, value, |t| t.parse::<f32>().ok() == Some(value)), 6, out);
    };
    out.push_str(word);
}

pub fn write8(value: f64, out: &mut String) {
    let Some(word) = word(value) else {
        let bits = value.to_bits();
        let parts = Binary::new(bits & 0xf_ffff_ffff_ffff, (bits >> 52 & 0x7ff) as i32, 52, 1075);
        return layout(&digits(parts, value, |t| t.parse::<f64>().ok() == Some(value)), 15, out);
    };
    out.push_str(word);
}

/// The shortest digits that lie strictly between the middles to the neighbours, the nearest of them, the even one of two:
/// as PostgreSQL has them. Rust's own also take a middle itself, and go up from the midst of two.
fn digits(parts: Binary, value: impl std::fmt::LowerExp, same: impl Fn(&str) -> bool) -> String {
    let shortest = format!("{value:e}");
    let length = shortest.bytes().take_while(|&b| b != b'e').filter(u8::is_ascii_digit).count();
    for places in length - 1..17 {
        let nearest = format!("{value:.places$e}");
        if same(&nearest) {
            if !parts.on_middle(&nearest) {
                return nearest;
            }
        } else if places + 1 == length && !parts.on_middle(&shortest) {
            // Beside a power of two the nearest digits can be too far off on the narrow side.
            return shortest;
        }
    }
    shortest
}

/// `mantissa * 2^exponent`.
#[derive(Clone, Copy)]
struct Binary {
    mantissa: u64,
    exponent: i32,
    /// The neighbour below is half as far as the one above.
    narrow_below: bool,
}

impl Binary {
    fn new(fraction: u64, biased: i32, bits: u32, bias: i32) -> Binary {
        match biased {
            0 => Binary { mantissa: fraction, exponent: 1 - bias, narrow_below: false },
            _ => Binary {
                mantissa: fraction | 1 << bits,
                exponent: biased - bias,
                narrow_below: fraction == 0 && biased > 1,
            },
        }
    }

    /// Whether `-d.ddde±x` is exactly the middle between this and a neighbour.
    fn on_middle(self, text: &str) -> bool {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let fraction = mantissa.split_once('.').map_or(0, |(_, f)| f.len()) as i32;
        let decimal = mantissa.bytes().filter(u8::is_ascii_digit).fold(0u128, |n, d| n * 10 + u128::from(d - b'0'));
        let power = exponent.parse().unwrap_or(0) - fraction;
        let m = u128::from(self.mantissa);
        let below = if self.narrow_below { (4 * m - 1, self.exponent - 2) } else { (2 * m - 1, self.exponent - 1) };
        is_equal(decimal, power, 2 * m + 1, self.exponent - 1) || is_equal(decimal, power, below.0, below.1)
    }
}

/// `decimal * 10^power == binary * 2^exponent`. Sides that do not fit 128 bits are never equal: one of them is below 2^57.
fn is_equal(decimal: u128, power: i32, binary: u128, exponent: i32) -> bool {
    let five = |n: i32| u32::try_from(n).ok().and_then(|n| 5u128.checked_pow(n));
    // Both sides without what they share of 2.
    let twos = exponent - power;
    let (Some(left), Some(right)) = (five(power.max(0)), five((-power).max(0))) else { return false };
    let scale = |side: u128, factor: u128, twos: i32| {
        let shift = u32::try_from(twos.max(0)).ok().filter(|&s| s < 128)?;
        side.checked_mul(factor)?.checked_mul(1u128 << shift)
    };
    match (scale(decimal, left, -twos), scale(binary, right, twos)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
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
