//! Numbers as people say them: durations, ages, bytes, counts.

/// `3 h 10 min`, `12 min`, `41 s`, `0.2 s`: the two largest units that say something.
pub fn duration(seconds: f64) -> String {
    if seconds > 0.0 && seconds < 0.05 {
        return "less than 0.1 s".to_owned();
    }
    if seconds < 10.0 {
        let tenths = (seconds.max(0.0) * 10.0).round() / 10.0;
        return if tenths.fract() == 0.0 { format!("{tenths:.0} s") } else { format!("{tenths:.1} s") };
    }
    let s = seconds.round() as u64;
    let (days, hours, minutes) = (s / 86_400, s % 86_400 / 3600, s % 3600 / 60);
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    };
    match s {
        0..60 => format!("{s} s"),
        // Seconds beside minutes are of use only where somebody waits for the end.
        60..600 => two(minutes, "min", s % 60, "s"),
        600..3600 => format!("{minutes} min"),
        3600..86_400 => two(hours, "h", minutes, "min"),
        86_400..2_592_000 => two(days, "d", hours, "h"),
        _ => "more than a month".to_owned(),
    }
}

/// A past time: like `duration`, but in one unit from a minute on, because more is noise.
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => duration(s.max(0.0)),
        s if s < 3600.0 => format!("{} min", (s / 60.0) as u64),
        s => duration(s),
    }
}

/// `9.4 GB`, in powers of a thousand.
pub fn bytes(n: u64) -> String {
    for (unit, size) in [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
        let of = n as f64 / size;
        if of >= 0.9995 {
            return if of < 9.95 { format!("{of:.1} {unit}") } else { format!("{of:.0} {unit}") };
        }
    }
    format!("{n} bytes")
}

/// `1,240,000`
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 transform`, `3 transforms`
pub fn of(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// One sentence: the first line, without what a caller puts at its end.
pub fn sentence(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end_matches(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_two_units_at_most() {
        for (seconds, long, short) in [
            (0.0, "0 s", "0 s"),
            (0.003, "less than 0.1 s", "less than 0.1 s"),
            (0.24, "0.2 s", "0.2 s"),
            (9.96, "10 s", "10 s"),
            (59.4, "59 s", "59 s"),
            (124.5, "2 min 5 s", "2 min"),
            (725.0, "12 min", "12 min"),
            (11_400.0, "3 h 10 min", "3 h 10 min"),
            (7200.0, "2 h", "2 h"),
            (267_000.0, "3 d 2 h", "3 d 2 h"),
            (1e12, "more than a month", "more than a month"),
            (-3.0, "0 s", "0 s"),
        ] {
            assert_eq!((duration(seconds).as_str(), age(seconds).as_str()), (long, short), "{seconds}");
        }
    }

    #[test]
    fn numbers_and_bytes() {
        assert_eq!([0, 999, 1000, 1_240_000].map(count), ["0", "999", "1,000", "1,240,000"]);
        assert_eq!(
            [0, 999, 1000, 38_211_584, 9_400_000_000].map(bytes),
            ["0 bytes", "999 bytes", "1.0 kB", "38 MB", "9.4 GB"]
        );
        assert_eq!((of(1, "key"), of(2, "key")), ("1 key".to_owned(), "2 keys".to_owned()));
    }
}
