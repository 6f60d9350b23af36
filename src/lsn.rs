//! Positions in the write-ahead log.
//!
//! `Lsn` is any byte position; `EndLsn` is a position that may be confirmed: the end of a commit record, or a
//! keepalive's `wal_end` while nothing received is pending. Only `EndLsn`s are compared with progress, because change
//! LSNs are neither unique nor monotone (PostgreSQL manual, "Logical Streaming Replication Protocol").

use std::fmt;
use std::str::FromStr;

/// A byte position in the WAL, printed as PostgreSQL prints `pg_lsn`: `0/16B3748`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// The end of a commit record: everything before it is known whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct EndLsn(pub Lsn);

impl Lsn {
    pub const ZERO: Lsn = Lsn(0);
}

impl EndLsn {
    pub const ZERO: EndLsn = EndLsn(Lsn::ZERO);
    pub fn new(lsn: u64) -> EndLsn {
        EndLsn(Lsn(lsn))
    }
    pub fn get(self) -> u64 {
        self.0.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EndLsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not two hexadecimal numbers of at most eight digits with a slash between them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an LSN; one looks like 0/16B3748")]
pub struct ParseLsnError(String);

impl FromStr for Lsn {
    type Err = ParseLsnError;
    fn from_str(s: &str) -> Result<Lsn, ParseLsnError> {
        let half = |h: &str| {
            (!h.is_empty() && h.len() <= 8 && h.bytes().all(|b| b.is_ascii_hexdigit()))
                .then(|| u64::from_str_radix(h, 16).ok())
                .flatten()
        };
        s.split_once('/')
            .and_then(|(high, low)| Some(Lsn(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| ParseLsnError(s.to_owned()))
    }
}

impl FromStr for EndLsn {
    type Err = ParseLsnError;
    fn from_str(s: &str) -> Result<EndLsn, ParseLsnError> {
        s.parse().map(EndLsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_postgres_own() {
        for text in ["0/0", "0/16B3748", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        for text in ["", "/", "0/", "0/G", "123456789/0", "0/+1", "0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn order_is_by_number_not_by_text() {
        assert!("9/0".parse::<Lsn>().unwrap() < "10/0".parse::<Lsn>().unwrap());
    }
}
