//! json and jsonb against PostgreSQL.

use pgspine::datum::json;
use pgspine::transform::function::{CastContext, Kind};

use crate::function_oracle::{Oracle, Row, product, random, values};

const STRINGS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"aa\"",
    "\"é\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\n\\\"\\\\\\/\"",
    "\"1\"",
    "\"0\"",
    "\"x y\"",
    "\"\\u007f\"",
    "\"\\u0001\"",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "1",
    "1.0",
    "1.10",
    "1e2",
    "1E+2",
    "12.5e1",
    "1e-5",
    "100e-3",
    "0e10",
    "0e-5",
    "0.000",
    "123456789012345678901234567890.5",
    "1.5e30",
    "-1.0e-2",
];

/// A random value; blanks between its tokens.
fn value(rng: &mut fastrand::Rng, depth: usize) -> String {
    let blank = |rng: &mut fastrand::Rng| ["", "", "", " ", "\n\t", "\r"][rng.usize(..6)];
    let choice = if depth == 0 { rng.usize(..5) } else { rng.usize(..9) };
    let body = match choice {
        0 => "true".into(),
        1 => "null".into(),
        2 => "false".into(),
        3 => STRINGS[rng.usize(..STRINGS.len())].to_owned(),
        4 => NUMBERS[rng.usize(..NUMBERS.len())].to_owned(),
        5 | 6 => {
            let items: Vec<String> = (0..rng.usize(..4)).map(|_| value(rng, depth - 1)).collect();
            format!("[{}]", if items.is_empty() { blank(rng).to_owned() } else { items.join(",") })
        }
        _ => {
            let items: Vec<String> = (0..rng.usize(..5))
                .map(|_| {
                    format!(
                        "{}{}:{}",
                        blank(rng),
                        STRINGS[rng.usize(..STRINGS.len())].to_owned() + blank(rng),
                        value(rng, depth - 1)
                    )
                })
                .collect();
            format!("{{{}}}", items.join(","))
        }
    };
    format!("{}{body}{}", blank(rng), blank(rng))
}

fn documents(rng: &mut fastrand::Rng, n: usize) -> Vec<Option<String>> {
    let mut list = values(&[
        "{}",
        "[]",
        " { } ",
        "1",
        " \"x\" ",
        " null ",
        "{\"a\":null}",
        "[[1,2],[3]]",
        "{\"a\":{\"a\":[{\"a\":1.0}]}}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"a\":1},\"a\":null}",
        "{\"a\":{\"a\":1,\"a\":2},\"a\":[3],\"a\":{\"b\":4}}",
        "{\"1\":{\"0\":1.0},\"1\":null}",
    ]);
    list.extend((0..n).map(|_| {
        let depth = rng.usize(..4);
        Some(value(rng, depth))
    }));
    list
}

#[test]
fn canonical_form_and_errors() {
    let mut rng = random();
    let mut o = Oracle::new("postgres");
    let mut texts: Vec<String> = documents(&mut rng, 4000).into_iter().flatten().collect();
    let broken: &[&str] = &[
        "",
        " ",
        "tru",
        "nullx",
        "null_",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e5x",
        "1ex",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\"}",
        "{\"a\" 1}",
        "[1] x",
        "[1]]",
        "\"a",
        "\"\\x\"",
        "\"\\u00zz\"",
        "\"\\u12\"",
        "\"\t\"",
        "\"\\u0000\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\u0000\"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\ud83d\"",
        "1e131071",
        "1e131072",
        "9999e131068",
        "1e-16383",
        "1e-16384",
        "0e200000",
        "0e-16383",
        "0e-16384",
        "1e99999999999",
        "0e99999999999",
        "1e-99999999999",
        "0e1073741823",
        "0e1073741824",
        "-1e1073741824",
        "\u{a0}1",
        "\u{c}1",
        "[\"a\",\"b\"",
        "{\"a\":[}",
        "\\",
        "é",
        "trueé",
        "1é",
        "-a",
        "--1",
        "{\"a\":1 \"b\":2}",
        "[1;2]",
        "'a'",
        "\"é\"",
        "1.5.5",
        "1e+-5",
        "00",
        "-01",
        "0x1",
        "nul",
        "{1:2}",
        "{\"a\"::1}",
        "[[[[",
        "]",
        "}",
        ",",
        ":",
    ];
    texts.extend(broken.iter().map(|s| (*s).to_owned()));
    // Mutations: one byte of a valid text changed, left out or doubled.
    for i in 0..4000 {
        let mut chars: Vec<char> = texts[i % 4000].chars().collect();
        if chars.is_empty() {
            continue;
        }
        let at = rng.usize(..chars.len());
        match rng.usize(..3) {
            0 => chars[at] = *rng.choice(b"{}[],:\"\\u0e1-+. ntx").unwrap() as char,
            1 => {
                chars.remove(at);
            }
            _ => chars.insert(at, chars[at]),
        }
        texts.push(chars.into_iter().collect());
    }
    o.client
        .batch_execute(
            "CREATE FUNCTION pg_temp.canonical(t text, OUT r text) LANGUAGE plpgsql AS $f$ BEGIN r := 'v' || t::jsonb::text; \
             EXCEPTION WHEN OTHERS THEN r := 'e' || SQLSTATE; END $f$",
        )
        .unwrap();
    let rows = o.client.query("SELECT t, pg_temp.canonical(t) FROM unnest($1::text[]) t", &[&texts]).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let (text, theirs): (&str, &str) = (row.get(0), row.get(1));
        let mut out = String::new();
        let ours = match json::canonical(text, &mut out) {
            Ok(()) => format!("v{out}"),
            Err(e) => format!("e{}", e.sqlstate()),
        };
        if ours != theirs {
            let short = |s: &str| s.chars().take(200).collect::<String>();
            wrong.push(format!("{:?}\n   ours {}\n theirs {}", short(text), short(&ours), short(theirs)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), rows.len(), wrong[..wrong.len().min(12)].join("\n"));
    println!("{} compared", rows.len());
}

#[test]
fn parts_of_json() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let mut list = documents(&mut rng, 500);
    let keys = values(&["a", "b", "aa", "é", "", "1", "0", "x y", "\u{1f600}", "\n\"\\/", "\u{1}"]);
    let indexes = values(&["0", "1", "2", "-1", "-2", "-3", "5", "2147483647", "-2147483648"]);
    let paths = values(&[
        "{}",
        "{a}",
        "{a,a}",
        "{0}",
        "{1,0}",
        "{-1}",
        "{a,0}",
        "{-1,-1}",
        "{0,-1}",
        "{a,a,-1}",
        "{a,-1,a}",
        "{\" 1\"}",
        "{+1}",
        "{01}",
        "{\"1 \"}",
        "{1x}",
        "{99999999999}",
        "{-99999999999}",
        "{-2147483648}",
        "{NULL}",
        "{a,NULL}",
        "{\"\"}",
        "{é}",
        "{{a},{a}}",
        "{\"x y\"}",
        "{-0}",
        "{\"+ 1\"}",
    ]);
    for ty in ["jsonb", "json"] {
        if ty == "json" {
            list.extend(values(&[
                "[\"\\ud83d\"]",
                "{\"a\":\"\\u0000\",\"b\":1}",
                "{\"\\u0000\":1,\"b\":2}",
                "[\"\\\\u0000\"]",
            ]));
        }
        let rows = product(&mut rng, &[&list, &keys], 4000);
        o.operator("->", &[ty, "text"], ty, &rows);
        o.operator("->>", &[ty, "text"], "text", &rows);
        let rows = product(&mut rng, &[&list, &indexes], 4000);
        o.operator("->", &[ty, "int4"], ty, &rows);
        o.operator("->>", &[ty, "int4"], "text", &rows);
        let rows = product(&mut rng, &[&list, &paths], 6000);
        o.operator("#>", &[ty, "text[]"], ty, &rows);
        o.operator("#>>", &[ty, "text[]"], "text", &rows);
        let rows: Vec<Row> = list.iter().map(|v| vec![v.clone()]).collect();
        o.function(&format!("{ty}_typeof"), &[ty], "text", &rows);
        o.function(&format!("{ty}_array_length"), &[ty], "int4", &rows);
    }
    list.truncate(list.len() - 5);
    let rows = product(&mut rng, &[&list, &keys], 4000);
    o.operator("?", &["jsonb", "text"], "bool", &rows);
    let rows = product(&mut rng, &[&list, &list], 6000);
    o.operator("||", &["jsonb", "jsonb"], "jsonb", &rows);
    let mut rows = product(&mut rng, &[&list, &list], 3000);
    // Pairs that differ by scale, key order and duplicates only.
    rows.extend(list.iter().map(|v| {
        vec![
            v.clone(),
            v.as_ref().map(|t| t.replace("1.0", "1.00").replace("1e2", "100.0").replace("\"1\"", "\"1.0\"")),
        ]
    }));
    o.operator("=", &["jsonb", "jsonb"], "bool", &rows);
    o.operator("<>", &["jsonb", "jsonb"], "bool", &rows);
    println!("{} compared", o.compared);
}

#[test]
fn json_made_of_values() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let samples: &[(&str, &[&str])] = &[
        ("bool", &["t", "f"]),
        ("int2", &["-32768", "7"]),
        ("int4", &["0", "2147483647"]),
        ("int8", &["-9223372036854775808"]),
        ("oid", &["0", "4294967295"]),
        ("float4", &["0.1", "1e20", "NaN", "-0", "-Infinity", "123456.789", "1e-30", "1.5e38"]),
        (
            "float8",
            &[
                "0.1",
                "1e20",
                "1e-7",
                "Infinity",
                "1e15",
                "123456789012345680",
                "1.7976931348623157e308",
                "5e-324",
                "-0",
            ],
        ),
        ("numeric", &["1.10", "-0.00", "NaN", "1e20", "Infinity", "-Infinity", "0.00001", "1e-20"]),
        ("text", &["", "a", "é\"\\\n\t\u{1}\u{7f}/", "😀"]),
        ("varchar", &["é "]),
        ("char(4)", &["", "a", "ab c"]),
        ("name", &["n"]),
        ("\"char\"", &["x"]),
        ("bytea", &["\\x", "\\x00ff"]),
        ("date", &["2026-01-31", "infinity", "-infinity", "0044-03-15 BC", "5874897-12-31"]),
        ("time", &["24:00:00", "10:00:00.5"]),
        ("timetz", &["10:00:00.5+02"]),
        (
            "timestamp",
            &[
                "2026-01-31 00:00:00.123",
                "-infinity",
                "infinity",
                "0044-03-15 00:00:01 BC",
                "294276-12-31 23:59:59.999999",
            ],
        ),
        (
            "timestamptz",
            &[
                "2026-01-31 00:00:00.123+05",
                "infinity",
                "-infinity",
                "0044-03-15 00:00:01+00 BC",
                "2026-01-01 00:00:00.5+00",
            ],
        ),
        ("interval", &["1 year -2 days 03:04:05.6", "0"]),
        ("uuid", &["5e4d4a9c-9a8d-4b60-b1d4-8f2b4e7c6f10"]),
        ("json", &[" {\"b\" : 1e2, \"a\":1 , \"b\":2 } ", "null", "[1.10]"]),
        ("jsonb", &["{\"bb\":1,\"a\":[1.10,null]}", "\"x\"", "null"]),
        ("int4[]", &["{}", "{1,NULL}", "{{1,2},{3,4}}", "[2:3]={1,2}"]),
        ("text[]", &["{a,\"b c\",NULL,\"NULL\",\"\",\"q\\\"\\\\\",\"{,}\"}", "{{a,NULL},{b,c}}"]),
        ("bool[]", &["{t,f,NULL}"]),
        ("timestamptz[]", &["{2026-01-31 00:00:00.123+05,infinity}"]),
        ("float8[]", &["{NaN,1e20,0.5}"]),
        ("jsonb[]", &["{\"{\\\"a\\\":1}\",null}"]),
        ("bytea[]", &["{\"\\\\x00\"}"]),
    ];
    for (ty, list) in samples {
        let list = values(list);
        let rows: Vec<Row> = list.iter().map(|v| vec![v.clone()]).collect();
        o.function("to_jsonb", &[ty], "jsonb", &rows);
        o.function("to_json", &[ty], "json", &rows);
        for kind in ["json", "jsonb"] {
            o.function(&format!("{kind}_build_array"), &[ty], kind, &rows);
            let rows = product(&mut rng, &[&list, &list, &values(&["b", "aa"]), &list], 500);
            o.function(&format!("{kind}_build_object"), &[ty, ty, "text", ty], kind, &rows);
            o.function(&format!("{kind}_build_array"), &[ty, ty, "text", ty], kind, &rows);
        }
    }
    let rows = vec![vec![Some("a".to_owned())]];
    for kind in ["json", "jsonb"] {
        let name = format!("{kind}_build_object");
        o.check(Kind::Function, &name, &format!("{name}($1)"), &["text"], kind, &rows);
        let rows = product(
            &mut rng,
            &[&values(&["b", "a", "aa", "é"]), &values(&["1", "1.0"]), &values(&["a", "b", "é"]), &values(&["x"])],
            500,
        );
        o.function(&name, &["text", "numeric", "text", "text"], kind, &rows);
    }
    println!("{} compared", o.compared);
}

#[test]
fn jsonb_changed() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let list = documents(&mut rng, 600);
    let keys = values(&["a", "b", "aa", "é", "", "1", "x y", "\u{1f600}", "\n\"\\/"]);
    let indexes = values(&["0", "1", "2", "-1", "-2", "-3", "5", "2147483647", "-2147483648"]);
    let paths = values(&[
        "{}",
        "{a}",
        "{b}",
        "{a,a}",
        "{0}",
        "{1,0}",
        "{-1}",
        "{a,0}",
        "{-1,-1}",
        "{0,-1}",
        "{a,a,-1}",
        "{a,-1,a}",
        "{\" 1\"}",
        "{+1}",
        "{1x}",
        "{-9}",
        "{99999999999}",
        "{NULL}",
        "{a,NULL}",
        "{\"\"}",
        "{é}",
        "{{a},{a}}",
        "{-2147483648}",
        "{5}",
        "{a,b,c}",
        "{0,a}",
    ]);
    let keysets = values(&["{}", "{a}", "{a,b}", "{NULL}", "{a,NULL,b}", "{1,\"x y\",\"\"}", "{aa,é}"]);
    let flags = values(&["t", "f"]);
    let new = values(&["null", "{\"n\":1}", "[1,2]", "\"x\"", "1.50"]);
    for name in ["jsonb_set", "jsonb_insert"] {
        let rows = product(&mut rng, &[&list, &paths, &new, &flags], 12_000);
        o.function(name, &["jsonb", "text[]", "jsonb", "bool"], "jsonb", &rows);
        let rows = product(&mut rng, &[&list, &paths, &new], 4000);
        o.function(name, &["jsonb", "text[]", "jsonb"], "jsonb", &rows);
    }
    o.operator("#-", &["jsonb", "text[]"], "jsonb", &product(&mut rng, &[&list, &paths], 8000));
    o.operator("-", &["jsonb", "text"], "jsonb", &product(&mut rng, &[&list, &keys], 4000));
    o.operator("-", &["jsonb", "int4"], "jsonb", &product(&mut rng, &[&list, &indexes], 4000));
    o.operator("-", &["jsonb", "text[]"], "jsonb", &product(&mut rng, &[&list, &keysets], 4000));
    o.operator("?|", &["jsonb", "text[]"], "bool", &product(&mut rng, &[&list, &keysets], 4000));
    o.operator("?&", &["jsonb", "text[]"], "bool", &product(&mut rng, &[&list, &keysets], 4000));
    let rows: Vec<Row> = list.iter().map(|v| vec![v.clone()]).collect();
    o.function("jsonb_strip_nulls", &["jsonb"], "jsonb", &rows);
    o.function("jsonb_pretty", &["jsonb"], "text", &rows);
    let steps = values(&["a", "b", "0", "-1", "x y", "", "a\"b", "null"]);
    for kind in ["json", "jsonb"] {
        for steps in [&[&list, &steps][..], &[&list, &steps, &steps]] {
            let columns: Vec<&[Option<String>]> = steps.iter().map(|s| s.as_slice()).collect();
            let rows = product(&mut rng, &columns, 3000);
            let types = [kind, "text", "text"];
            o.function(&format!("{kind}_extract_path"), &types[..columns.len()], kind, &rows);
            o.function(&format!("{kind}_extract_path_text"), &types[..columns.len()], "text", &rows);
        }
    }
    println!("{} compared", o.compared);
}

#[test]
fn jsonb_contained() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    const SMALL: &[&str] = &["1", "1.0", "\"a\"", "null", "true", "{}", "[]"];
    fn small(rng: &mut fastrand::Rng, depth: usize) -> String {
        let items = |rng: &mut fastrand::Rng| (0..rng.usize(..4)).map(|_| small(rng, depth - 1)).collect::<Vec<_>>();
        match rng.usize(..if depth == 0 { 1 } else { 3 }) {
            0 => SMALL[rng.usize(..SMALL.len())].to_owned(),
            1 => format!("[{}]", items(rng).join(",")),
            _ => {
                let members: Vec<String> =
                    items(rng).into_iter().map(|v| format!("\"{}\":{v}", ["a", "b", "c"][rng.usize(..3)])).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }
    let rows: Vec<Row> = (0..12_000).map(|_| vec![Some(small(&mut rng, 3)), Some(small(&mut rng, 2))]).collect();
    o.operator("@>", &["jsonb", "jsonb"], "bool", &rows);
    o.operator("<@", &["jsonb", "jsonb"], "bool", &rows);
    let list = documents(&mut rng, 100);
    o.operator("@>", &["jsonb", "jsonb"], "bool", &product(&mut rng, &[&list, &list], 3000));
    println!("{} compared", o.compared);
}

#[test]
fn addresses_and_nulls() {
    let (mut o, mut rng) = (Oracle::new("postgres"), random());
    let list = values(&[
        "1.2.3.4",
        "1.2.3.4/32",
        "1.2.3.4/24",
        "0.0.0.0/0",
        "::1",
        "::1/128",
        "::/0",
        "2001:db8::1/64",
        "::ffff:1.2.3.4",
        "10.0.0.0/8",
        "fe80::1:2",
        "1:2:3:4:5:6:7:8/127",
    ]);
    let rows: Vec<Row> = list.iter().map(|v| vec![v.clone()]).collect();
    for (name, returns) in [("host", "text"), ("masklen", "int4"), ("family", "int4"), ("text", "text")] {
        o.function(name, &["inet"], returns, &rows);
    }
    let pairs = product(&mut rng, &[&list, &list], 500);
    o.operator("=", &["inet", "inet"], "bool", &pairs);
    o.operator("<>", &["inet", "inet"], "bool", &pairs);
    let networks: Vec<Row> =
        values(&["1.2.3.4", "10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0"]).into_iter().map(|v| vec![v]).collect();
    for to in ["text", "inet"] {
        o.check(
            Kind::Cast(CastContext::Explicit),
            &format!("cidr->{to}"),
            &format!("$1::{to}"),
            &["cidr"],
            to,
            &networks,
        );
    }
    o.check(Kind::Cast(CastContext::Explicit), "inet->text", "$1::text", &["inet"], "text", &rows);
    let any = values(&["1"]);
    let rows = product(&mut rng, &[&any, &any, &any], 100);
    for name in ["num_nulls", "num_nonnulls"] {
        o.function(name, &["int4", "text", "numeric"], "int4", &rows);
    }
    println!("{} compared", o.compared);
}
