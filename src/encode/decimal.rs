//! `numeric` into Avro decimals: the unscaled number as two's complement, big-endian, in the fewest bytes.
//!
//! The number is exact or it is a fault: nothing is rounded. Trailing zeros beyond the scale are no loss.

use num_bigint::BigInt;

use crate::encode::avro::Special;
use crate::encode::codes;
use crate::encode::leaf::Fault;
use crate::encode::wire::put_bytes;

#[derive(Debug)]
pub(crate) struct DecimalCode {
    pub precision: u32,
    pub scale: u32,
    /// The size of a fixed; None: bytes.
    pub fixed: Option<usize>,
}

/// 10^38 is the largest power of ten that 127 bits hold.
const FAST_DIGITS: u32 = 38;

impl DecimalCode {
    pub fn put(&self, text: &[u8], special: Special, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        match digits {
            b"NaN" => return Err(Fault::new(codes::ROW_SPECIAL, "NaN, which a decimal cannot be")),
            b"Infinity" if special == Special::Clamp => return self.put_limit(negative, out),
            b"Infinity" => return Err(Fault::new(codes::ROW_SPECIAL, "an infinity, which a decimal cannot be")),
            _ => {}
        }
        let (whole, fraction) = match digits.iter().position(|b| *b == b'.') {
            Some(dot) => (&digits[..dot], &digits[dot + 1..]),
            None => (digits, &[][..]),
        };
        if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(Fault::malformed("not a numeric's text form"));
        }
        let whole = &whole[whole.iter().take_while(|b| **b == b'0').count()..];
        let (fraction, beyond) = fraction.split_at(fraction.len().min(self.scale as usize));
        if whole.len() > (self.precision - self.scale) as usize {
            if special == Special::Clamp {
                return self.put_limit(negative, out);
            }
            let (precision, scale) = (self.precision, self.scale);
            return Err(Fault::new(
                codes::ROW_DECIMAL,
                format!("more digits before the point than decimal({precision},{scale}) has"),
            ));
        }
        if beyond.iter().any(|b| *b != b'0') {
            let (precision, scale) = (self.precision, self.scale);
            return Err(Fault::new(
                codes::ROW_DECIMAL,
                format!("more digits after the point than decimal({precision},{scale}) has"),
            ));
        }
        let zeros = self.scale as usize - fraction.len();
        if self.precision > FAST_DIGITS {
            let text: Vec<u8> = whole.iter().chain(fraction).copied().chain(std::iter::repeat_n(b'0', zeros)).collect();
            let n = BigInt::parse_bytes(&text, 10).unwrap_or_default();
            return self.put_big(if negative { -n } else { n }, out);
        }
        let mut n = 0u128;
        // Eighteen digits at a time in 64 bits: wide multiplications are few.
        for part in [whole, fraction] {
            for chunk in part.chunks(18) {
                let small = chunk.iter().fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
                n = n * u128::from(10u64.pow(chunk.len() as u32)) + u128::from(small);
            }
        }
        let n = (n * 10u128.pow(zeros as u32)) as i128;
        self.put_i128(if negative { -n } else { n }, out);
        Ok(())
    }

    /// The largest number of the precision, or its negative.
    fn put_limit(&self, negative: bool, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let n: BigInt = BigInt::from(10).pow(self.precision) - 1;
        self.put_big(if negative { -n } else { n }, out)
    }

    fn put_i128(&self, n: i128, out: &mut Vec<u8>) {
        let bytes = n.to_be_bytes();
        match self.fixed {
            Some(size) => put_extended(&bytes, n < 0, size, out),
            None => {
                // Leading bytes that only repeat the sign are not part of the shortest form.
                let redundant = if n < 0 { n.leading_ones() } else { n.leading_zeros() }.saturating_sub(1) / 8;
                put_bytes(out, &bytes[redundant as usize..]);
            }
        }
    }

    fn put_big(&self, n: BigInt, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let bytes = n.to_signed_bytes_be();
        match self.fixed {
            Some(size) => put_extended(&bytes, n.sign() == num_bigint::Sign::Minus, size, out),
            None => put_bytes(out, &bytes),
        }
        Ok(())
    }
}

/// The last `size` bytes of the number, its sign repeated in front. The contract's lint proves that it fits.
fn put_extended(bytes: &[u8], negative: bool, size: usize, out: &mut Vec<u8>) {
    let kept = &bytes[bytes.len().saturating_sub(size)..];
    out.extend(std::iter::repeat_n(if negative { 0xff } else { 0 }, size - kept.len()));
    out.extend_from_slice(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(precision: u32, scale: u32, fixed: Option<usize>, special: Special, text: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let code = DecimalCode { precision, scale, fixed };
        code.put(text.as_bytes(), special, &mut out).map_err(|f| f.code.to_string()).map(|()| out)
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let check = |text, expected: Result<&[u8], &str>| {
            let got = put(6, 2, None, Special::RowError, text);
            assert_eq!(got.as_deref().map_err(|e| e.as_str()), expected, "{text}");
        };
        check("0", Ok(&[2, 0]));
        check("1.00", Ok(&[2, 100]));
        check("1.27", Ok(&[2, 127]));
        check("1.28", Ok(&[4, 0, 128]));
        check("-1.28", Ok(&[2, 0x80]));
        check("-1.29", Ok(&[4, 0xff, 0x7f]));
        check("1.5000", Ok(&[4, 0, 150]));
        check("9999.99", Ok(&[6, 0x0f, 0x42, 0x3f]));
        check("10000", Err("PGS2103"));
        check("0.001", Err("PGS2103"));
        check("NaN", Err("PGS2102"));
        check("-Infinity", Err("PGS2102"));
        check("1e5", Err("PGS2107"));
        check("", Err("PGS2107"));
        check(".5", Err("PGS2107"));
    }

    #[test]
    fn clamp_goes_to_the_ends() {
        assert_eq!(put(2, 0, None, Special::Clamp, "1000"), Ok(vec![2, 99]));
        assert_eq!(put(2, 0, None, Special::Clamp, "-Infinity"), Ok(vec![2, -99i8 as u8]));
        assert_eq!(put(2, 0, None, Special::Clamp, "NaN"), Err("PGS2102".into()));
        assert_eq!(put(2, 0, None, Special::Clamp, "0.5"), Err("PGS2103".into()));
    }

    #[test]
    fn fixed_repeats_the_sign_and_large_ones_are_as_the_small() {
        assert_eq!(put(4, 1, Some(4), Special::RowError, "-0.1"), Ok(vec![0xff; 4]));
        assert_eq!(put(4, 1, Some(4), Special::RowError, "0.1"), Ok(vec![0, 0, 0, 1]));
        for text in ["-1.28", "0", "12345678901234567890123.45", "-99999999999999999999999999.99"] {
            let small = put(38, 2, None, Special::RowError, text);
            assert_eq!(small, put(60, 2, None, Special::RowError, text), "{text}");
            assert_eq!(put(38, 2, Some(20), Special::RowError, text), put(40, 2, Some(20), Special::RowError, text));
        }
    }
}
