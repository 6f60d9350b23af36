//! `to_char` over random patterns against PostgreSQL.

use crate::function_datetime::{intervals, timestamps};
use crate::function_oracle::{Oracle, Row, random};

const DATE: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ",
    "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "YYYY", "MM", "DD", "HH24", "MI", "SS",
];
const AROUND: &[&str] = &[
    "-",
    ":",
    " ",
    "/",
    ",",
    ".",
    "T",
    "\"T\"",
    "\"of \\\" the\"",
    "\\\"",
    "\\",
    "h",
    "é",
    "FM",
    "fm",
    "TH",
    "th",
    "SP",
    "\"",
    "x",
    "_",
    "0",
];

fn date_pattern(rng: &mut fastrand::Rng, words: &[&str]) -> String {
    let mut pattern = String::new();
    for _ in 0..rng.usize(1..7) {
        if rng.u8(..4) == 0 {
            pattern.push_str("FM");
        }
        let word = words[rng.usize(..words.len())];
        if rng.u8(..4) == 0 {
            pattern.push_str(&word.to_lowercase());
        } else {
            pattern.push_str(word);
        }
        if rng.u8(..5) == 0 {
            pattern.push_str(["TH", "th", "SP"][rng.usize(..3)]);
        }
        if rng.bool() {
            pattern.push_str(AROUND[rng.usize(..AROUND.len())]);
        }
    }
    // TM would ask for the locale.
    pattern.replace("TM", "T-M").replace("tm", "t-m")
}

fn number_pattern(rng: &mut fastrand::Rng) -> String {
    const WORDS: &[&str] = &["9", "9", "9", "9", "9", "0", "0", ",", ".", " ", "x", "\"lit\"", "€", "-", "\\\""];
    const ENDS: &[&str] = &["MI", "PL", "SG", "PR", "TH", "th", "mi", "sg", "FM"];
    let mut pattern = String::new();
    if rng.bool() {
        pattern.push_str(["FM", "fm", "MI", "SG", "PL"][rng.usize(..5)]);
    }
    let mut point = false;
    for _ in 0..rng.usize(1..9) {
        let word = WORDS[rng.usize(..WORDS.len())];
        if word == "." && std::mem::replace(&mut point, true) {
            continue;
        }
        pattern.push_str(word);
    }
    if rng.u8(..3) == 0 {
        pattern.push_str(ENDS[rng.usize(..ENDS.len())]);
    }
    if rng.u8(..10) == 0 {
        pattern.push_str(ENDS[rng.usize(..ENDS.len())]);
    }
    pattern
}

fn rows(
    rng: &mut fastrand::Rng,
    n: usize,
    value: &[Option<String>],
    pattern: impl Fn(&mut fastrand::Rng) -> String,
) -> Vec<Row> {
    (0..n).map(|_| vec![value[rng.usize(..value.len())].clone(), Some(pattern(rng))]).collect()
}

#[test]
fn dates_by_pattern() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let stamps = timestamps(&mut rng);
    for ty in ["timestamp", "timestamptz"] {
        let mut rows = rows(&mut rng, 8000, &stamps, |rng| date_pattern(rng, DATE));
        rows.push(vec![Some("2020-01-01".into()), Some(String::new())]);
        for word in DATE {
            rows.extend(stamps.iter().take(60).map(|t| vec![t.clone(), Some(format!("FM{word} {word} {word}th"))]));
        }
        o.function("to_char", &[ty, "text"], "text", &rows);
    }
    let words: Vec<&str> = DATE.iter().copied().filter(|w| !w.starts_with('I') && !matches!(*w, "J" | "RM")).collect();
    // Two words may join to one that is refused for intervals.
    o.refusable = 10;
    let spans = intervals(&mut rng);
    let rows = rows(&mut rng, 8000, &spans, |rng| date_pattern(rng, &words));
    o.function("to_char", &["interval", "text"], "text", &rows);
    println!("{} compared", o.compared);
}

#[test]
fn numbers_by_pattern() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let mut integers: Vec<Option<String>> = vec![None];
    let mut numbers: Vec<Option<String>> =
        ["NaN", "Infinity", "-Infinity", "0", "-0.4", "0.05", "0.5"].iter().map(|s| Some((*s).to_owned())).collect();
    for _ in 0..600 {
        let wide = 10i64.pow(rng.u32(0..9));
        integers.push(Some(rng.i64(-wide..=wide).to_string()));
        let fraction = rng.u32(0..6) as usize;
        numbers.push(Some(format!("{:.fraction$}", rng.i64(-wide..=wide) as f64 / 1000.0)));
    }
    for (ty, list) in
        [("int4", &integers), ("int8", &integers), ("numeric", &numbers), ("float8", &numbers), ("float4", &numbers)]
    {
        let mut rows = rows(&mut rng, 6000, list, number_pattern);
        rows.push(vec![Some("1".into()), Some(String::new())]);
        o.function("to_char", &[ty, "text"], "text", &rows);
    }
    println!("{} compared", o.compared);
}

/// What is as its pattern says is read as the server reads it; everything else is refused.
#[test]
fn texts_by_pattern() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    const PATTERNS: &[&str] = &[
        "YYYY-MM-DD",
        "YYYYMMDD",
        "DD.MM.YYYY",
        "MM/DD/YYYY",
        "YYYY-MM",
        "YYYY",
        "YYYY-MM-DD HH24:MI:SS",
        "YYYYMMDDHH24MISS",
        "DD/MM/YYYY HH24:MI",
        "HH24:MI YYYY-MM-DD",
        "YYYY,DD,MM",
        "YYYYDD",
    ];
    let rows: Vec<Row> = (0..12_000)
        .map(|_| {
            let pattern = PATTERNS[rng.usize(..PATTERNS.len())];
            let wild = u32::from(rng.u8(..4) == 0);
            let text = pattern
                .replace("YYYY", &format!("{:04}", rng.u32(1..10_000)))
                .replace("MM", &format!("{:02}", rng.u32(1..13 + 3 * wild)))
                .replace("DD", &format!("{:02}", rng.u32(1..29 + 5 * wild)))
                .replace("HH24", &format!("{:02}", rng.u32(..24 + 3 * wild)))
                .replace("MI", &format!("{:02}", rng.u32(..60 + 3 * wild)))
                .replace("SS", &format!("{:02}", rng.u32(..60 + 3 * wild)));
            let mut letters: Vec<char> = text.chars().collect();
            if rng.u8(..3) == 0 {
                let (at, other) = (rng.usize(..letters.len()), b"0123456789-:/. xT"[rng.usize(..17)]);
                match rng.u8(..3) {
                    0 => letters[at] = char::from(other),
                    1 => drop(letters.remove(at)),
                    _ => letters.insert(at, char::from(other)),
                }
            }
            vec![Some(letters.into_iter().collect()), Some(pattern.to_owned())]
        })
        .collect();
    o.refusable = 40;
    let dates: Vec<Row> = rows.iter().filter(|r| !r[1].as_ref().is_some_and(|p| p.contains("MI"))).cloned().collect();
    o.function("to_date", &["text", "text"], "date", &dates);
    o.function("to_timestamp", &["text", "text"], "timestamptz", &rows);
    println!("{} compared", o.compared);
}
