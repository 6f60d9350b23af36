//! Regular expressions against PostgreSQL: random patterns of what is computed, over short texts.

use crate::function_oracle::{Oracle, Row, random};

const LETTERS: &[&str] = &["a", "b", "A", "B", "1", "-", " ", "\n", "é", "日", ".", "]", "\\", "k", "\u{212a}", "_"];

fn text(rng: &mut fastrand::Rng) -> String {
    (0..rng.usize(..8)).map(|_| LETTERS[rng.usize(..LETTERS.len())]).collect()
}

fn atom(rng: &mut fastrand::Rng, depth: usize) -> String {
    const ATOMS: &[&str] = &[
        "a", "b", "a", "b", "A", "1", ".", "é", "日", "[ab]", "[^a]", "[a-z]", "[0-9A-Z]", "[]a]", "[^]a-]", "\\.",
        "\\\\", "\\-", "[\\]b]", "[é日]", "\\n", " ", "-", "_", "k", "<", "#", "[a&&b]", "[~~]", "[--9]", "/", "\\_",
        "\\<",
    ];
    if depth > 0 && rng.u8(..5) == 0 {
        let open = ["(", "(?:"][rng.usize(..2)];
        return format!("{open}{})", regex(rng, depth - 1));
    }
    ATOMS[rng.usize(..ATOMS.len())].to_owned()
}

fn regex(rng: &mut fastrand::Rng, depth: usize) -> String {
    const QUANTIFIERS: &[&str] = &["*", "+", "?", "{2}", "{0,1}", "{1,}", "*?", "+?", "??", "{1,2}?", "{0}", "{2}?"];
    let mut out = String::new();
    for i in 0..rng.usize(1..4) {
        if i > 0 && rng.u8(..4) == 0 {
            out.push('|');
        }
        if rng.u8(..8) == 0 {
            out.push('^');
        }
        out.push_str(&atom(rng, depth));
        if rng.u8(..3) == 0 {
            out.push_str(QUANTIFIERS[rng.usize(..QUANTIFIERS.len())]);
        }
        if rng.u8(..8) == 0 {
            out.push('$');
        }
    }
    out
}

/// One quantifier at most, no choice.
fn definite(rng: &mut fastrand::Rng) -> String {
    let mut out = String::from(["", "", "^"][rng.usize(..3)]);
    let pieces = rng.usize(1..4);
    let quantified = rng.usize(..pieces);
    for i in 0..pieces {
        out.push_str(&atom(rng, 0));
        if i == quantified {
            out.push_str(
                ["", "+", "{2}", "{1,2}", if pieces > 1 { "*" } else { "" }, if pieces > 1 { "?" } else { "" }]
                    [rng.usize(..6)],
            );
        } else if rng.u8(..6) == 0 {
            out.push_str("{2}");
        }
    }
    out + ["", "", "$"][rng.usize(..3)]
}

#[test]
fn matching() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let rows: Vec<Row> = (0..12_000).map(|_| vec![Some(text(&mut rng)), Some(regex(&mut rng, 2))]).collect();
    // Ranges from - to 9 are refused, and two or three more.
    o.refusable = 30;
    for symbol in ["~", "!~"] {
        o.operator(symbol, &["text", "text"], "bool", &rows);
        o.operator(symbol, &["char(6)", "text"], "bool", &rows[..4000]);
        o.operator(symbol, &["name", "text"], "bool", &rows[..4000]);
    }
    o.function("regexp_like", &["text", "text"], "bool", &rows);
    let plain: Vec<Row> = rows.iter().filter(|r| r[1].as_ref().is_some_and(|p| p.is_ascii())).cloned().collect();
    for symbol in ["~*", "!~*"] {
        o.operator(symbol, &["text", "text"], "bool", &plain);
    }
    println!("{} compared", o.compared);
}

#[test]
fn finding_and_replacing() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let rows: Vec<Row> = (0..12_000).map(|_| vec![Some(text(&mut rng)), Some(definite(&mut rng))]).collect();
    o.refusable = 12;
    o.function("substring", &["text", "text"], "text", &rows);
    o.function("regexp_substr", &["text", "text"], "text", &rows);
    o.function("regexp_count", &["text", "text"], "int4", &rows);
    for flags in [None, Some(""), Some("g")] {
        let with = |row: &Row, rng: &mut fastrand::Rng| {
            let mut row = row.clone();
            row.push(Some(["", "x", "é$1&"][rng.usize(..3)].to_owned()));
            row.extend(flags.map(|f| Some(f.to_owned())));
            row
        };
        let rows: Vec<Row> = rows.iter().map(|row| with(row, &mut rng)).collect();
        o.function("regexp_replace", &["text"; 4][..rows[0].len()], "text", &rows);
    }
    println!("{} compared", o.compared);
}
