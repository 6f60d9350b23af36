//! The little of X.509 that the verifier does not tell: with which hash a certificate was signed, and how long it holds
//! (RFC 5280, section 4.1; DER: X.690).

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha384, Sha512};

#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    hash: Option<Hash>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// Issuer and subject are the same.
    pub self_issued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Certificate {
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let mut outer = Der(Der(der).take(SEQUENCE)?);
        let mut signed = Der(outer.take(SEQUENCE)?);
        let algorithm = outer.take(SEQUENCE)?;
        // Version (may be absent), serialNumber, signature, issuer, validity, subject.
        if signed.peek() == Some(0xa0) {
            signed.next()?;
        }
        signed.next()?;
        signed.take(SEQUENCE)?;
        let issuer = signed.take(SEQUENCE)?;
        let mut validity = Der(signed.take(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let self_issued = issuer == signed.take(SEQUENCE)?;
        Some(Certificate { hash: Hash::of(algorithm), not_before, not_after, self_issued })
    }
}

/// `tls-server-end-point` (RFC 5929): the certificate, hashed with its signature's own hash, or SHA-256 where that is
/// MD5 or SHA-1. None for signatures without a hash that could be named (Ed25519): then there is no binding.
pub fn end_point(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    Some(match Certificate::parse(der)?.hash? {
        Hash::Sha256 => Sha256::digest(der).to_vec(),
        Hash::Sha384 => Sha384::digest(der).to_vec(),
        Hash::Sha512 => Sha512::digest(der).to_vec(),
    })
}

impl Hash {
    /// Of an AlgorithmIdentifier's content.
    fn of(algorithm: &[u8]) -> Option<Hash> {
        let mut der = Der(algorithm);
        Some(match der.take(OID)? {
            // 1.2.840.113549.1.1: PKCS #1
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, n] => match n {
                // MD5 and SHA-1.
                4 | 5 | 11 => Hash::Sha256,
                12 => Hash::Sha384,
                13 => Hash::Sha512,
                // RSASSA-PSS names its hash in [0] of its parameters; SHA-1 if it does not.
                10 => {
                    let mut parameters = Der(der.take(SEQUENCE)?);
                    match parameters.peek() {
                        Some(0xa0) => Hash::digest(Der(parameters.take(0xa0)?).take(SEQUENCE)?)?,
                        _ => Hash::Sha256,
                    }
                }
                _ => return None,
            },
            // 1.2.840.10045.4: ECDSA with SHA-1, and with the newer ones.
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => Hash::Sha256,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, n] => match n {
                2 => Hash::Sha256,
                3 => Hash::Sha384,
                4 => Hash::Sha512,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn digest(algorithm: &[u8]) -> Option<Hash> {
        match Der(algorithm).take(OID)? {
            // 2.16.840.1.101.3.4.2
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1] => Some(Hash::Sha256),
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2] => Some(Hash::Sha384),
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3] => Some(Hash::Sha512),
            [0x2b, 0x0e, 3, 2, 0x1a] => Some(Hash::Sha256),
            _ => None,
        }
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the only forms that RFC 5280 allows.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok().filter(|t| t.is_ascii())?.strip_suffix('Z')?;
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let (year, rest) = match tag {
        UTC_TIME if text.len() == 12 => {
            let year = number(&text[..2])?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        GENERALIZED_TIME if text.len() == 14 => (number(&text[..4])?, &text[4..]),
        _ => return None,
    };
    let part = |i: usize| number(&rest[2 * i..2 * i + 2]);
    let (month, day) = (part(0)?, part(1)?);
    // Days since 1970, counting years from March (the calendar's own leap rule then comes last).
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + part(2)? * 3600 + part(3)? * 60 + part(4)?)
}

/// Elements, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x83 => {
                let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                digits.iter().fold(0, |n, d| n << 8 | usize::from(*d))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "240229120000Z", 1_709_208_000),
            (UTC_TIME, "500101000000Z", -631_152_000),
            (GENERALIZED_TIME, "20000301000000Z", 951_868_800),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(time((tag, text.as_bytes())), Some(seconds), "{text}");
        }
        for text in ["", "Z", "7001010000Z", "70010100000xZ", "700101000000+0100"] {
            assert_eq!(time((UTC_TIME, text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn signatures_name_their_hash() {
        let rsa = |n| [&[OID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, n], &[5, 0][..]].concat();
        assert_eq!(Hash::of(&rsa(5)), Some(Hash::Sha256), "SHA-1 is replaced");
        assert_eq!(Hash::of(&rsa(13)), Some(Hash::Sha512));
        let ecdsa = [OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
        assert_eq!(Hash::of(&ecdsa), Some(Hash::Sha384));
        let ed25519 = [OID, 3, 0x2b, 0x65, 0x70];
        assert_eq!(Hash::of(&ed25519), None);
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        let whole = [SEQUENCE, 0x82, 1, 0];
        for end in 0..whole.len() {
            assert_eq!(Certificate::parse(&whole[..end]), None);
        }
    }
}
