//! Text functions against PostgreSQL.

use pgspine::transform::function::{CaseMap, Context};

use crate::function_oracle::{Oracle, Row, product, random, values};

const ALPHABET: &[char] = &[
    'a',
    'b',
    'c',
    'A',
    'B',
    'x',
    ' ',
    ' ',
    '%',
    '_',
    '\\',
    ',',
    '\'',
    '1',
    '-',
    'é',
    'É',
    'ß',
    'İ',
    'ı',
    'Σ',
    'ς',
    'ǆ',
    '日',
    '本',
    '\u{301}',
    '😀',
    '\u{10ffff}',
    '\t',
    '\n',
    '\u{a0}',
    'ʼ',
    'Ⅷ',
    '¼',
];

fn texts(rng: &mut fastrand::Rng, n: usize) -> Vec<Option<String>> {
    let mut list = values(&[
        "",
        " ",
        "a",
        "abc",
        "aaa",
        "aaaa",
        "a,b,c",
        ",",
        ",,",
        "é",
        "日本語",
        "😀",
        "e\u{301}",
        "  a  ",
        "\t a",
        "a\\",
        "%",
        "_",
        "\\",
        "%%",
        "%a%",
        "\\%",
        "ab",
        "  ",
        "abab",
        "ΑΣ",
        "wOrld-foo_bar 1abc",
        "xyxyaxy",
        "#",
        "##",
    ]);
    list.push(Some("long ".repeat(300)));
    for _ in 0..n {
        let length = rng.usize(..12);
        list.push(Some((0..length).map(|_| ALPHABET[rng.usize(..ALPHABET.len())]).collect()));
    }
    list
}

fn integers() -> Vec<Option<String>> {
    values(&[
        "0",
        "1",
        "-1",
        "2",
        "-2",
        "3",
        "-3",
        "4",
        "5",
        "7",
        "-5",
        "10",
        "100",
        "2147483647",
        "-2147483648",
        "-2147483647",
        "2147483646",
    ])
}

/// The server's own case mapping, for every code point.
pub fn case_map(oracle: &mut Oracle) -> CaseMap {
    let rows = oracle
        .client
        .query(
            "SELECT n, ascii(upper(c)), ascii(lower(c)), right(initcap(c || 'A'), 1) = 'a', initcap('a' || c) <> 'A' || lower(c) \
             FROM (SELECT n, chr(n) AS c FROM generate_series(1, 1114111) n WHERE n NOT BETWEEN 55296 AND 57343) s",
            &[],
        )
        .unwrap();
    let mut map = CaseMap::default();
    for row in rows {
        let point = |i: usize| char::from_u32(row.get::<_, i32>(i) as u32).unwrap();
        let c = point(0);
        if point(1) != c {
            map.upper.push((c, point(1)));
        }
        if point(2) != c {
            map.lower.push((c, point(2)));
        }
        if row.get::<_, bool>(3) {
            match map.alphanumeric.last_mut() {
                Some((_, last)) if u32::from(*last) + 1 == u32::from(c) => *last = c,
                _ => map.alphanumeric.push((c, c)),
            }
        }
    }
    map
}

fn oracle() -> Oracle {
    Oracle::new("postgres")
}

fn one(list: &[Option<String>]) -> Vec<Row> {
    list.iter().map(|v| vec![v.clone()]).collect()
}

#[test]
fn text_alone() {
    let (mut o, mut rng) = (oracle(), random());
    let rows = one(&texts(&mut rng, 600));
    for name in ["length", "char_length", "character_length", "octet_length", "bit_length", "ascii"] {
        o.function(name, &["text"], "int4", &rows);
    }
    for name in ["reverse", "md5", "quote_literal", "ltrim", "rtrim", "btrim"] {
        o.function(name, &["text"], "text", &rows);
    }
    for name in ["length", "char_length", "character_length", "octet_length"] {
        o.function(name, &["char(9)"], "int4", &one(&values(&["", " ", "a", "a b ", "é", "日本語", "123456789"])));
    }
    println!("{} compared", o.compared);
}

#[test]
fn text_and_text() {
    let (mut o, mut rng) = (oracle(), random());
    let list = texts(&mut rng, 120);
    let rows = product(&mut rng, &[&list, &list], 4000);
    o.operator("||", &["text", "text"], "text", &rows);
    for name in ["strpos", "position"] {
        o.function(name, &["text", "text"], "int4", &rows);
    }
    for name in ["ltrim", "rtrim", "btrim", "like_escape"] {
        o.function(name, &["text", "text"], "text", &rows);
    }
    o.function("starts_with", &["text", "text"], "bool", &rows);
    o.operator("^@", &["text", "text"], "bool", &rows);
    let rows = product(&mut rng, &[&list, &list, &list], 4000);
    for name in ["replace", "translate"] {
        o.function(name, &["text", "text", "text"], "text", &rows);
    }
    println!("{} compared", o.compared);
}

#[test]
fn text_and_numbers() {
    let (mut o, mut rng) = (oracle(), random());
    let (list, integers) = (texts(&mut rng, 100), integers());
    let rows = product(&mut rng, &[&list, &integers], 2000);
    for name in ["substring", "substr", "left", "right"] {
        o.function(name, &["text", "int4"], "text", &rows);
    }
    let rows = product(&mut rng, &[&list, &integers, &integers], 1500);
    for name in ["substring", "substr"] {
        o.function(name, &["text", "int4", "int4"], "text", &rows);
    }
    let rows = product(&mut rng, &[&list, &list, &integers], 1500);
    o.function("split_part", &["text", "text", "int4"], "text", &rows);
    o.function("overlay", &["text", "text", "int4"], "text", &rows);
    let rows = product(&mut rng, &[&list, &list, &integers, &integers], 1500);
    o.function("overlay", &["text", "text", "int4", "int4"], "text", &rows);
    // Lengths that PostgreSQL would really build stay out: hundreds of megabytes.
    let lengths = values(&["0", "1", "-1", "2", "3", "5", "10", "1000", "-2147483648", "2147483647", "268435456"]);
    let rows = product(&mut rng, &[&list, &lengths], 300);
    for name in ["lpad", "rpad"] {
        o.function(name, &["text", "int4"], "text", &rows);
    }
    let rows = product(&mut rng, &[&list, &lengths, &list], 1500);
    for name in ["lpad", "rpad"] {
        let types = ["text", "int4", "text"];
        o.function(name, &types, "text", &rows);
    }
    let rows = product(&mut rng, &[&list, &values(&["0", "1", "2", "3", "7", "-1", "2147483647", "-2147483648"])], 600);
    o.function("repeat", &["text", "int4"], "text", &rows);
    let points: Vec<Row> = (-5..0x11_0005)
        .step_by(37)
        .chain([55295, 55296, 57343, 57344, i32::MIN, i32::MAX])
        .chain(-3..300)
        .map(|n: i32| vec![Some(n.to_string())])
        .collect();
    o.function("chr", &["int4"], "text", &points);
    o.function("to_hex", &["int4"], "text", &points);
    o.function("to_hex", &["int8"], "text", &points);
    println!("{} compared", o.compared);
}

#[test]
fn like_and_ilike() {
    let (mut o, mut rng) = (oracle(), random());
    o.context = Context { case: case_map(&mut o) };
    let mut list = texts(&mut rng, 200);
    let small: Vec<char> = "aAb%_\\éÉ日".chars().collect();
    for _ in 0..300 {
        let length = rng.usize(..7);
        list.push(Some((0..length).map(|_| small[rng.usize(..small.len())]).collect()));
    }
    let rows = product(&mut rng, &[&list, &list], 10000);
    for name in ["~~", "!~~", "~~*", "!~~*"] {
        o.operator(name, &["text", "text"], "bool", &rows);
        o.operator(name, &["char(6)", "text"], "bool", &rows);
        o.operator(name, &["name", "text"], "bool", &rows);
    }
    for name in ["like", "notlike"] {
        o.function(name, &["text", "text"], "bool", &rows);
    }
    println!("{} compared", o.compared);
}

#[test]
fn bytea_functions() {
    let (mut o, mut rng) = (oracle(), random());
    let mut list = values(&["\\x", "\\x00", "\\x61", "\\xff00", "\\x616263", "\\x25", "\\x5c", "\\x5f", "\\x2561"]);
    for _ in 0..200 {
        let mut text = String::from("\\x");
        for _ in 0..rng.usize(..6) {
            text.push_str(["00", "61", "62", "25", "5f", "5c", "ff", "80"][rng.usize(..8)]);
        }
        list.push(Some(text));
    }
    let rows = product(&mut rng, &[&list, &list], 4000);
    o.operator("||", &["bytea", "bytea"], "bytea", &rows);
    o.operator("~~", &["bytea", "bytea"], "bool", &rows);
    o.operator("!~~", &["bytea", "bytea"], "bool", &rows);
    o.function("position", &["bytea", "bytea"], "int4", &rows);
    for name in ["ltrim", "rtrim", "btrim"] {
        o.function(name, &["bytea", "bytea"], "bytea", &rows);
    }
    for name in ["length", "octet_length", "bit_length"] {
        o.function(name, &["bytea"], "int4", &one(&list));
    }
    o.function("md5", &["bytea"], "text", &one(&list));
    let integers = integers();
    let rows = product(&mut rng, &[&list, &integers], 4000);
    let rows3 = product(&mut rng, &[&list, &integers, &integers], 4000);
    for name in ["substring", "substr"] {
        o.function(name, &["bytea", "int4"], "bytea", &rows);
        o.function(name, &["bytea", "int4", "int4"], "bytea", &rows3);
    }
    println!("{} compared", o.compared);
}

#[test]
fn case_of_every_code_point() {
    let mut o = oracle();
    o.context = Context { case: case_map(&mut o) };
    case_functions(&mut o);
    println!("{} compared", o.compared);
}

#[test]
fn case_under_collation_c() {
    let mut admin = oracle();
    let name = "pgspine_text_c";
    admin.client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).unwrap();
    admin
        .client
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"))
        .unwrap();
    let mut o = Oracle::new(name);
    case_functions(&mut o);
    let mut rng = random();
    let list = texts(&mut rng, 200);
    let rows = product(&mut rng, &[&list, &list], 4000);
    o.operator("~~*", &["text", "text"], "bool", &rows);
    drop(o);
    admin.client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}

fn case_functions(o: &mut Oracle) {
    // Each code point alone, after a letter and before one: initcap asks what is in a word.
    let mut rows: Vec<Row> =
        (1..0x11_0000).filter_map(char::from_u32).map(|c| vec![Some(format!("{c}aB{c}Ba {c}"))]).collect();
    rows.extend(one(&texts(&mut random(), 3000)));
    for chunk in rows.chunks(200_000) {
        for name in ["upper", "lower", "initcap"] {
            o.function(name, &["text"], "text", chunk);
        }
    }
}

#[test]
fn anything_joined() {
    let (mut o, mut rng) = (oracle(), random());
    let samples: &[(&str, &[&str])] = &[
        ("bool", &["t", "f"]),
        ("int2", &["-32768", "7"]),
        ("int4", &["0", "2147483647"]),
        ("int8", &["-9223372036854775808"]),
        ("float4", &["0.1", "1e20", "NaN", "-0", "-Infinity", "123456.789"]),
        ("float8", &["0.1", "1e20", "1e-7", "Infinity", "1e15", "123456789012345680"]),
        ("numeric", &["1.10", "-0.00", "NaN", "1e20", "Infinity"]),
        ("char(4)", &["", "a", "ab c"]),
        ("varchar", &["", "é "]),
        ("name", &["n"]),
        ("bytea", &["\\x", "\\x00ff"]),
        ("date", &["2026-01-31", "infinity", "0044-03-15 BC"]),
        ("time", &["24:00:00", "10:00:00.5"]),
        ("timestamp", &["2026-01-31 00:00:00.123", "-infinity"]),
        ("timestamptz", &["2026-01-31 00:00:00.123+05", "infinity"]),
        ("interval", &["1 year -2 days 03:04:05.6", "0"]),
        ("uuid", &["5e4d4a9c-9a8d-4b60-b1d4-8f2b4e7c6f10"]),
        ("json", &[" {\"a\" : 1 }", "null"]),
        ("jsonb", &["{\"bb\":1,\"a\":[1.10,null]}", "\"x\""]),
        ("int4[]", &["{}", "{1,NULL}"]),
        ("text[]", &["{a,\"b c\",NULL}"]),
    ];
    let separators = values(&["", ",", "é"]);
    for (ty, list) in samples {
        let list = values(list);
        let rows = product(&mut rng, &[&separators, &list, &list], 1000);
        o.check(
            pgspine::transform::function::Kind::Function,
            "concat",
            "concat($1, $2, $3)",
            &["text", ty, ty],
            "text",
            &rows,
        );
        o.function("concat_ws", &["text", ty, ty], "text", &rows);
        if ty.ends_with("[]") || *ty == "jsonb" {
            continue;
        }
        let rows = product(&mut rng, &[&separators, &list], 1000);
        if !["varchar", "char(4)", "name"].contains(ty) {
            o.operator("||", &["text", ty], "text", &rows);
            let rows: Vec<Row> = rows
                .into_iter()
                .map(|mut r| {
                    r.reverse();
                    r
                })
                .collect();
            o.operator("||", &[ty, "text"], "text", &rows);
        }
    }
    println!("{} compared", o.compared);
}

#[test]
fn formatted_and_quoted() {
    let (mut o, mut rng) = (oracle(), random());
    let list = texts(&mut rng, 60);
    const PIECES: &[&str] = &[
        "%s",
        "%L",
        "%%",
        "%1$s",
        "%2$L",
        "%3$s",
        "%-5s",
        "%5s",
        "%10L",
        "%*s",
        "%-*L",
        "%*1$s",
        "%2$*3$s",
        "x",
        "é",
        " ",
        "%",
        "%d",
        "%0$s",
        "%4$s",
        "%-",
        "%5",
        "%99999999999s",
        "%2$-7s",
        "%--3s",
        "%*2$L",
        "%1$",
        "%*0$s",
        "%05s",
    ];
    let patterns: Vec<Option<String>> = (0..600)
        .map(|_| Some((0..rng.usize(..5)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()))
        .chain([None])
        .collect();
    let numbers = values(&["0", "3", "-6", "7"]);
    o.function("format", &["text"], "text", &one(&patterns));
    for types in
        [["text", "text", "int4", "text"], ["text", "bool", "int2", "date"], ["text", "text", "text", "numeric"]]
    {
        let of = |ty: &str| match ty {
            "bool" => values(&["t", "f"]),
            "date" => values(&["2026-01-31"]),
            "numeric" => values(&["1.50", "-3", "4"]),
            "int4" | "int2" => numbers.clone(),
            _ => list.clone(),
        };
        let rows = product(&mut rng, &[&patterns, &of(types[1]), &of(types[2]), &of(types[3])], 3000);
        o.function("format", &types, "text", &rows);
    }
    for name in ["quote_literal", "quote_nullable"] {
        o.function(name, &["text"], "text", &one(&list));
        for (ty, list) in [
            ("bool", values(&["t", "f"])),
            ("int4", numbers.clone()),
            ("char(5)", values(&["a", "a b"])),
            ("timestamptz", values(&["2026-01-31 10:00+00"])),
            ("bytea", values(&["\\x00ff"])),
        ] {
            o.function(name, &[ty], "text", &one(&list));
        }
    }
    println!("{} compared", o.compared);
}

#[test]
fn encodings_and_digests() {
    let (mut o, mut rng) = (oracle(), random());
    let names = values(&["hex", "base64", "escape", "HEX", "Base64", "utf8", ""]);
    let mut bytes = values(&["\\x", "\\x00", "\\x5c", "\\x61ff"]);
    for length in (0..300).chain([570, 571, 1000]) {
        let hex: String = (0..length % 130).map(|_| format!("{:02x}", rng.u8(..))).collect();
        bytes.push(Some(format!("\\x{hex}")));
    }
    o.function("encode", &["bytea", "text"], "text", &product(&mut rng, &[&bytes, &names], 6000));
    for name in ["sha224", "sha256", "sha384", "sha512"] {
        o.function(name, &["bytea"], "bytea", &one(&bytes));
    }
    const PIECES: &[&str] = &[
        "a", "F", "0", "9", "==", "=", "QQ==", "YWI=", "YWJj", " ", "\n", "\\", "\\\\", "\\101", "\\401", "é", "+/",
        "ab", "Zz",
    ];
    let encoded: Vec<Option<String>> = (0..3000)
        .map(|_| Some((0..rng.usize(..7)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()))
        .chain([None])
        .collect();
    let names_of_utf8 = values(&["UTF8", "utf-8"]);
    let list = texts(&mut rng, 60);
    o.function("convert_to", &["text", "name"], "bytea", &product(&mut rng, &[&list, &names_of_utf8], 500));
    o.function("decode", &["text", "text"], "bytea", &product(&mut rng, &[&encoded, &names], 12_000));
    println!("{} compared", o.compared);
}

/// ICU orders text by language and maps cases by whole strings, a libc locale orders by language too: what depends on that is
/// refused (by the binder), the rest answers as under any other collation.
#[test]
fn text_under_an_icu_collation() {
    let refused =
        ["a < 'b'", "a BETWEEN 'a' AND 'b'", "greatest(a, 'b')", "upper(a)", "initcap(a)", "a ILIKE 'b'", "a ~* 'b'"];
    let name =
        under_a_language("icu", "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'", "collate=en-US provider=icu", &refused);
    drop_database(&name);
}

#[test]
fn text_under_en_us() {
    let refused = ["a < 'b'", "a BETWEEN 'a' AND 'b'", "greatest(a, 'b')"];
    let name = under_a_language("en_us", "LOCALE 'en_US.UTF-8'", "collate=en_US.UTF-8 provider=libc", &refused);
    // Cases are mapped by the locale's own table, which is asked of the server.
    let mut o = Oracle::new(&name);
    o.context = Context { case: case_map(&mut o) };
    case_functions(&mut o);
    drop(o);
    drop_database(&name);
}

fn drop_database(name: &str) {
    oracle().client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).unwrap();
}

/// `clause`: of CREATE DATABASE. Gives the database's name.
fn under_a_language(theme: &str, clause: &str, collation: &str, refused: &[&str]) -> String {
    let name = format!("pgspine_text_{theme}");
    drop_database(&name);
    oracle().client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 {clause}")).unwrap();
    let mut o = Oracle::new(&name);
    let mut rng = random();
    let list = texts(&mut rng, 150);
    let rows = product(&mut rng, &[&list, &list], 4000);
    for symbol in ["=", "<>", "~~", "!~~", "^@"] {
        o.operator(symbol, &["text", "text"], "bool", &rows);
    }
    o.operator("||", &["text", "text"], "text", &rows);
    o.function("strpos", &["text", "text"], "int4", &rows);
    for name in ["replace", "translate"] {
        o.function(name, &["text", "text", "text"], "text", &product(&mut rng, &[&list, &list, &list], 3000));
    }
    for name in ["reverse", "md5", "btrim", "quote_literal"] {
        o.function(name, &["text"], "text", &one(&list));
    }
    let patterns = values(&["a", "^[a-z]+$", "[^a-c]", "é|ß", "a.c", "(x|y)+z?", "[A-Z0-9]{2,}", "\\\\", "日本", "^$"]);
    o.operator("~", &["text", "text"], "bool", &product(&mut rng, &[&list, &patterns], 4000));
    let found = values(&["a+", "[^a-c]", "é", "[A-Z]", "b{2}"]);
    o.function("substring", &["text", "text"], "text", &product(&mut rng, &[&list, &found], 3000));
    drop(o);

    // The binder, with the server's own word for its collation.
    let schema = format!(
        "-- pgspine server=15.18 {collation}\nCREATE TABLE public.t (\n  id bigint NOT NULL,\n  a text,\n  \
         CONSTRAINT t_pkey PRIMARY KEY (id)\n);\n"
    );
    let catalogue = pgspine::transform::parse::schema::read(&schema).unwrap();
    let table = catalogue.tables[0].clone();
    let bind = |text: &str| pgspine::transform::bind::bind_expression(text, &catalogue, &table).map_err(|d| d.code.0);
    let taken = ["a = 'b'", "a <> 'b'", "a LIKE 'b%'", "a ~ '^b'", "a COLLATE \"C\" < 'b'"];
    for text in taken {
        assert_eq!(bind(text).err(), None, "{text}");
    }
    for text in refused {
        assert_eq!(bind(text).err(), Some(1036), "{text}");
    }
    name
}
