//! Commit times as RFC 3339 with six digits and `Z`, from and to PostgreSQL's microseconds since 2000-01-01.

const DAY: i64 = 86_400_000_000;
/// 2000-01-01 as days since 0000-03-01, the start of the calendar's 400-year cycle.
const DAYS_TO_2000: i64 = 730_425;

/// `2026-11-22T18:25:24.000001Z`
pub fn rfc3339(micros: i64) -> String {
    let (days, of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (y, m, d) = civil(days);
    let (s, us) = (of_day / 1_000_000, of_day % 1_000_000);
    format!("{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{us:06}Z", s / 3600, s / 60 % 60, s % 60)
}

/// Only the form that [`rfc3339`] writes.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00.000000Z";
    let fits = bytes.len() == shape.len()
        && bytes.iter().zip(shape).all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == s });
    if !fits {
        return None;
    }
    let n = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (y, m, d) = (n(0, 4)?, n(5, 7)?, n(8, 10)?);
    let (h, min, s) = (n(11, 13)?, n(14, 16)?, n(17, 19)?);
    if !(1..=12).contains(&m) || !(1..=31).contains(&d) || h > 23 || min > 59 || s > 59 {
        return None;
    }
    Some(days(y, m, d) * DAY + ((h * 60 + min) * 60 + s) * 1_000_000 + n(20, 26)?)
}

/// The proleptic Gregorian calendar with years that begin in March, so that the leap day is the last of its year.
fn civil(days_since_2000: i64) -> (i64, i64, i64) {
    let z = days_since_2000 + DAYS_TO_2000;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn days(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let (era, yoe) = (y.div_euclid(400), y.rem_euclid(400));
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - DAYS_TO_2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (micros, text) in [
            (0, "2000-01-01T00:00:00.000000Z"),
            (-1, "1999-12-31T23:59:59.999999Z"),
            (59 * DAY, "2000-02-29T00:00:00.000000Z"),
            (60 * DAY, "2000-03-01T00:00:00.000000Z"),
            (366 * DAY + 3_600_000_001, "2001-01-01T01:00:00.000001Z"),
            (-946_684_800_000_000, "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(micros), text);
            assert_eq!(parse_rfc3339(text), Some(micros), "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        for day in -146_097..146_097 {
            assert_eq!(parse_rfc3339(&rfc3339(day * DAY + 5)), Some(day * DAY + 5));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", "2000-01-01", "2000-01-01T00:00:00Z", "2000-13-01T00:00:00.000000Z", "2000-01-01 00:00:00.000000Z"]
        {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
