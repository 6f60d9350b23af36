//! The small notations of the configuration: durations, sizes, percentages, names.

use std::time::Duration;

/// `"50ms"`, `"2s"`, `"5min"`, `"1h"`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let number: u64 = number.parse().map_err(|_| duration_form(text))?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" | "min" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(duration_form(text)),
    };
    millis.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long"))
}

fn duration_form(text: &str) -> String {
    format!("{text:?} is not a duration; one looks like \"50ms\", \"2s\", \"5min\"")
}

/// `"16MiB"` (powers of 1024), `"900KB"` (powers of 1000), `"512B"` or a bare number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let form = || format!("{text:?} is not a size; one looks like \"16MiB\", \"900KB\"");
    let number: u64 = number.parse().map_err(|_| form())?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(form()),
    };
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (&text[..digits], text[digits..].trim_start())
}

/// A share of a topic's keys, kept in hundredths of a percent so that its use is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    hundredths: u32,
}

impl Percent {
    pub const fn whole(percent: u32) -> Percent {
        Percent { hundredths: percent * 100 }
    }

    /// `"5%"`, `"0.5%"`, up to `"100%"`.
    pub fn parse(text: &str) -> Result<Percent, String> {
        let form = || format!("{text:?} is not a percentage from \"0%\" to \"100%\" with at most two decimals");
        let number = text.strip_suffix('%').ok_or_else(form)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 3 || fraction.len() > 2 {
            return Err(form());
        }
        let padded: u32 = format!("{fraction:0<2}").parse().map_err(|_| form())?;
        let hundredths = whole.parse::<u32>().map_err(|_| form())? * 100 + padded;
        if hundredths > 10_000 { Err(form()) } else { Ok(Percent { hundredths }) }
    }

    /// The share of `count`, rounded down.
    pub fn of(self, count: u64) -> u64 {
        (u128::from(count) * u128::from(self.hundredths) / 10_000) as u64
    }
}

/// A bridge's name: `[a-z0-9_-]`, 1 to 50 characters, so that every name derived from it fits PostgreSQL's 63 bytes.
pub fn name(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if text.is_empty() || text.len() > 50 || !text.bytes().all(good) {
        return Err(format!("{text:?} is not a name of 1 to 50 characters a-z, 0-9, _ and -"));
    }
    Ok(text.to_owned())
}

/// A replication slot's name as PostgreSQL takes it.
pub fn slot_name(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if text.is_empty() || text.len() > 63 || !text.bytes().all(good) {
        return Err(format!("{text:?} is not a slot name: 1 to 63 characters a-z, 0-9 and _"));
    }
    Ok(text.to_owned())
}

/// A topic's name, or the beginning of one, as Kafka takes it.
pub fn topic_name(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if text.len() > 249 || !text.bytes().all(good) {
        return Err(format!("{text:?} is not a topic name: at most 249 characters a-z, A-Z, 0-9, `.`, `_` and `-`"));
    }
    Ok(text.to_owned())
}

/// `HOST:PORT`; `""` is off.
pub fn listen(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let port = text.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())?);
    match port {
        Some(_) => Ok(Some(text.to_owned())),
        None => Err(format!("{text:?} is not HOST:PORT; to listen on every address write \"0.0.0.0:8080\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("50ms", Some(50)),
            ("2s", Some(2_000)),
            ("5min", Some(300_000)),
            ("1 h", Some(3_600_000)),
            ("0ms", Some(0)),
        ] {
            assert_eq!(duration(text).ok().map(|d| d.as_millis()), millis, "{text}");
        }
        for text in ["", "50", "ms", "-1s", "1.5s", "1 day", "99999999999999999999s", "18446744073709551615h", "٣s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("16MiB", 16 << 20), ("900KB", 900_000), ("512MiB", 512 << 20), ("7", 7), ("7 B", 7)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "16 mib", "-1B", "1e3", "18446744073709551615GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn percentages_are_exact() {
        for (text, of, expected) in
            [("5%", 1000, 50), ("0.5%", 1000, 5), ("0.05%", 10_000, 5), ("100%", 7, 7), ("0%", 7, 0), ("5 %", 100, 5)]
        {
            assert_eq!(Percent::parse(text).map(|p| p.of(of)), Ok(expected), "{text}");
        }
        for text in ["", "5", "%", "-5%", "100.01%", "5.123%", "1000%", ".5%"] {
            assert!(Percent::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(listen(""), Ok(None));
        assert_eq!(listen("127.0.0.1:8080"), Ok(Some("127.0.0.1:8080".to_owned())));
        for text in [":8080", "localhost", "a:b", "a:99999"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
