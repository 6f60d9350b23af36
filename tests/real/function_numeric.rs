//! Numbers, comparisons and casts against PostgreSQL.

use std::sync::Arc;

use pgspine::catalogue::{ColumnType, EnumType, QualifiedName, Type};
use pgspine::datum::float;
use pgspine::datum::input::{InputError, input};
use pgspine::transform::function::{self, Arg, Function, Kind};

use crate::differential::{Generator, Oracle, Subject, edges, overload, value};

const CASES: usize = 300;

/// Every overload of a file whose argument types can be made from their names alone.
fn check_file(functions: &'static [Function], skip: &[&str]) {
    let mut oracle = Oracle::connect();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for f in functions.iter().filter(|f| f.eval.is_ok() && !skip.contains(&f.name) && !f.args.is_empty()) {
        if f.args.iter().any(|a| matches!(a, Arg::Other(_) | Arg::AnyEnum | Arg::AnyArray | Arg::Unknown)) {
            continue;
        }
        if matches!(f.returns, function::Returns::Type(Arg::AnyEnum | Arg::Other(_))) {
            continue;
        }
        let inputs: Vec<Vec<Option<String>>> =
            f.args.iter().map(|&arg| (0..CASES).map(|_| input_for(f, arg, &mut oracle.rng)).collect()).collect();
        let subject = Subject::of(f);
        let sql = subject.sql_of_call();
        wrong.extend(oracle.differences(&Subject { sql: &sql, ..subject }, &inputs));
        checked += 1;
    }
    assert!(checked > 0);
    assert!(wrong.is_empty(), "{} of {checked} overloads differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
    println!("{checked} overloads, {CASES} cases each");
}

/// Casts from text want texts that are sometimes right.
fn input_for(f: &Function, arg: Arg, rng: &mut fastrand::Rng) -> Option<String> {
    let from_text = matches!(f.kind, Kind::Cast(_)) && matches!(arg, Arg::Text | Arg::Varchar | Arg::Bpchar);
    let function::Returns::Type(target) = f.returns else { return value(arg, rng) };
    if !from_text || rng.u8(..6) == 0 {
        return value(arg, rng);
    }
    const ODD: &[&str] = &[
        " 12 ",
        "+5",
        "-",
        "1e3",
        "1e-3",
        ".5",
        "5.",
        "1e",
        "1e+",
        "0.10e1",
        "inf",
        "-INFINITY",
        "nan",
        "yes",
        "OF",
        "o",
        "tr",
        "1 2",
        "99999999999999999999",
        "1e400",
        "1e-400",
        "1e39",
        "1e-50",
        "\\\\",
        "\\101",
        "\\9",
        "\\x1 0",
        "\\x1",
        "\\xZZ",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
        "-1",
        "4294967296",
        "\t7\n",
        "1e131071",
        "0e99999",
        "1e-16383",
        "1e-16384",
        "--1",
        "+-1",
        "-0",
    ];
    match rng.u8(..3) {
        0 => Some(ODD[rng.usize(..ODD.len())].to_owned()),
        _ => value(target, rng).map(|text| if rng.bool() { format!(" {text} ") } else { text }),
    }
}

#[test]
fn the_signatures_are_those_of_the_server() {
    let mut client = Oracle::connect().client;
    let version: String = client.query_one("SHOW server_version_num", &[]).expect("a version").get(0);
    if !version.starts_with("15") {
        // The file is of 15; later versions only add to it.
        return;
    }
    let query = include_str!("signatures.sql").trim().trim_end_matches(';').to_owned();
    let query = format!("SELECT concat_ws(E'\\t', a, b, c, d, e, f, g) FROM ({query}) AS s(a, b, c, d, e, f, g)");
    let mut server: Vec<String> = client.query(&query, &[]).expect("the catalogue").iter().map(|r| r.get(0)).collect();
    let mut file: Vec<&str> = include_str!("../../src/transform/function/signatures.tsv").lines().collect();
    server.sort();
    file.sort();
    assert_eq!(server, file);
}

#[test]
fn integers_answer_as_postgres() {
    check_file(function::arithmetic::FUNCTIONS, &[]);
}

#[test]
fn floats_answer_as_postgres() {
    check_file(function::float::FUNCTIONS, &[]);
}

#[test]
fn numerics_answer_as_postgres() {
    check_file(function::math::FUNCTIONS, &["power", "pow", "^"]);
}

#[test]
fn comparisons_answer_as_postgres() {
    check_file(function::comparison::FUNCTIONS, &[]);
}

#[test]
fn casts_answer_as_postgres() {
    // Dates from texts are read in some forms only: `function_datetime::texts_become_dates`.
    let dates: Vec<&str> = function::cast::FUNCTIONS
        .iter()
        .map(|f| f.name)
        .filter(|name| {
            let (from, to) = name.split_once("->").expect("a cast");
            matches!(from, "text" | "varchar" | "bpchar")
                && (to.starts_with("time") || to == "date" || to == "interval")
        })
        .collect();
    check_file(function::cast::FUNCTIONS, &dates);
    check_file(function::cast_json::FUNCTIONS, &[]);
}

#[test]
fn numeric_scales_of_quotients_and_roots() {
    let mut oracle = Oracle::connect();
    for op in ["/", "*", "%", "+", "-"] {
        oracle.check_function(Kind::Operator, op, &[Arg::Numeric, Arg::Numeric], 5000);
    }
    for name in ["sqrt", "ceil", "floor", "round", "trunc", "trim_scale"] {
        oracle.check_function(Kind::Function, name, &[Arg::Numeric], 3000);
    }
    let small = |rng: &mut fastrand::Rng| Some(rng.i32(-12..14).to_string());
    let any = |rng: &mut fastrand::Rng| value(Arg::Numeric, rng);
    for name in ["round", "trunc"] {
        let subject = Subject::of(overload(Kind::Function, name, &[Arg::Numeric, Arg::Int4]));
        let sql = subject.sql_of_call();
        oracle.check(&Subject { sql: &sql, ..subject }, &[&any, &small], 4000);
    }
}

#[test]
fn whole_powers_of_numeric() {
    let mut oracle = Oracle::connect();
    let subject = Subject::of(overload(Kind::Function, "power", &[Arg::Numeric, Arg::Numeric]));
    let sql = subject.sql_of_call();
    let base = |rng: &mut fastrand::Rng| value(Arg::Numeric, rng);
    let exponent = |rng: &mut fastrand::Rng| {
        const SPECIAL: &[&str] = &["NaN", "Infinity", "-Infinity", "2.00", "0.0", "1", "-1", "0"];
        Some(if rng.u8(..5) == 0 { SPECIAL[rng.usize(..8)].to_owned() } else { rng.i32(-40..60).to_string() })
    };
    oracle.check(&Subject { sql: &sql, ..subject }, &[&base, &exponent], 4000);
}

#[test]
fn modifiers_cut_round_and_overflow() {
    let mut oracle = Oracle::connect();
    let numeric = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
    let cases: Vec<(Type, Type, i32)> = vec![
        (Type::Numeric, Type::Numeric, numeric(4, 1)),
        (Type::Numeric, Type::Numeric, numeric(10, 0)),
        (Type::Numeric, Type::Numeric, numeric(3, -2)),
        (Type::Numeric, Type::Numeric, numeric(2, 5)),
        (Type::Int4, Type::Numeric, numeric(5, 2)),
        (Type::Float8, Type::Numeric, numeric(9, 3)),
        (Type::Text, Type::Numeric, numeric(4, 1)),
        (Type::Text, Type::Varchar, 7),
        (Type::Text, Type::Bpchar, 7),
        (Type::Varchar, Type::Varchar, 6),
        (Type::Bpchar, Type::Bpchar, 6),
        (Type::Bpchar, Type::Varchar, 6),
        (Type::Int4, Type::Varchar, 6),
        (Type::Bool, Type::Bpchar, 10),
        (Type::Timestamp, Type::Timestamp, 0),
        (Type::Timestamp, Type::Timestamp, 3),
        (Type::TimestampTz, Type::Timestamp, 2),
        (Type::Time, Type::Time, 1),
        (Type::Timestamp, Type::Time, 1),
        (Type::Interval, Type::Interval, (0x7fff << 16) | 2),
    ];
    for (from, to, typmod) in cases {
        let function = function::cast(&from, &to).expect("there is such a cast");
        let returns = ColumnType { typmod, ..ColumnType::plain(to.clone()) };
        let sql = match (&to, typmod) {
            (Type::Interval, _) => "CAST($1 AS interval(2))".to_owned(),
            _ => format!("CAST($1 AS {})", crate::differential::sql_type(&returns)),
        };
        let from = ColumnType::plain(from);
        let arg = Arg::of(&from.ty);
        let source = if arg == Arg::Text && to == Type::Numeric { Arg::Numeric } else { arg };
        let pick = |rng: &mut fastrand::Rng| value(source, rng);
        // At the end of the range version 15 goes on from the other end, and later ones raise an error, as we do.
        let end = |text: &String| text.starts_with("PT2562047788");
        let generator = |rng: &mut fastrand::Rng| pick(rng).filter(|text| !end(text));
        let subject = Subject { function, sql: &sql, args: vec![from], returns };
        oracle.check(&subject, &[&generator as Generator<'_>], 400);
    }
}

#[test]
fn enums_are_ordered_by_their_labels_and_arrays_are_equal_by_elements() {
    let mut oracle = Oracle::connect();
    oracle
        .client
        .batch_execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy')")
        .expect("a type of this session");
    let mood = EnumType {
        oid: 0,
        name: QualifiedName::new("pg_temp", "mood"),
        labels: ["sad", "ok", "happy"].map(String::from).to_vec(),
    };
    let mood = ColumnType::plain(Type::Enum(Arc::new(mood)));
    let label = |rng: &mut fastrand::Rng| Some(["sad", "ok", "happy"][rng.usize(..3)].to_owned());
    for name in ["=", "<>", "<", "<=", ">", ">="] {
        let function = overload(Kind::Operator, name, &[Arg::AnyEnum, Arg::AnyEnum]);
        let sql = format!("$1 {name} $2");
        let args = vec![mood.clone(), mood.clone()];
        let subject = Subject { function, sql: &sql, args, returns: ColumnType::plain(Type::Bool) };
        oracle.check(&subject, &[&label, &label], 100);
    }
    for (element, pool) in [
        (Type::Int4, edges(Arg::AnyArray)),
        (Type::Numeric, &["{1.0}", "{1.00}", "{NaN}", "{1,2}", "{}", "[0:0]={1}", "{{1},{2}}", "{{1,2}}"][..]),
        (Type::Text, edges(Arg::TextArray)),
        (Type::Bpchar, &["{a}", "{\"a \"}", "{b}"][..]),
    ] {
        let ty = ColumnType::plain(Type::Array(element.into()));
        let pick = |rng: &mut fastrand::Rng| Some(pool[rng.usize(..pool.len())].to_owned());
        for name in ["=", "<>"] {
            let function = overload(Kind::Operator, name, &[Arg::AnyArray, Arg::AnyArray]);
            let sql = format!("$1 {name} $2");
            let subject = Subject {
                function,
                sql: &sql,
                args: vec![ty.clone(), ty.clone()],
                returns: ColumnType::plain(Type::Bool),
            };
            oracle.check(&subject, &[&pick, &pick], 200);
        }
    }
}

#[test]
fn floats_are_written_as_postgres_writes_them() {
    let mut oracle = Oracle::connect();
    for _ in 0..5 {
        let doubles: Vec<f64> = (0..20_000).map(|_| random_double(&mut oracle.rng)).collect();
        let texts: Vec<String> = doubles.iter().map(|d| format!("{d:e}").replace("inf", "Infinity")).collect();
        let rows = oracle.client.query("SELECT format('%s', t::float8), format('%s', t::float8::float4::float8::float4) FROM unnest($1::text[]) WITH ORDINALITY u(t, i) WHERE abs(t::float8) BETWEEN 1e-45 AND 3.4e38 OR t::float8 = 0 ORDER BY i", &[&texts]).expect("floats");
        for row in &rows {
            let (eight, four): (String, String) = (row.get(0), row.get(1));
            let mut out = String::new();
            float::write8(float::read8(eight.as_bytes()).expect("float8"), &mut out);
            assert_eq!(out, eight);
            out.clear();
            float::write4(float::read4(four.as_bytes()).expect("float4"), &mut out);
            assert_eq!(out, four);
        }
        let rows = oracle
            .client
            .query(
                "SELECT format('%s', t::float8) FROM unnest($1::text[]) WITH ORDINALITY u(t, i) ORDER BY i",
                &[&texts],
            )
            .expect("floats");
        for (row, double) in rows.iter().zip(&doubles) {
            let text: String = row.get(0);
            let mut out = String::new();
            float::write8(*double, &mut out);
            assert_eq!(out, text, "{:#018x}", double.to_bits());
        }
    }
}

fn random_double(rng: &mut fastrand::Rng) -> f64 {
    match rng.u8(..4) {
        0 => f64::from_bits(rng.u64(..)),
        1 => f64::from(f32::from_bits(rng.u32(..))),
        2 => (rng.i64(..) >> rng.u8(..63)) as f64,
        // Powers of two are where shortest digits are disputed.
        _ => (rng.u32(..4096) as f64) * 2f64.powi(rng.i32(-1000..1000)),
    }
}

/// What a literal says is never guessed: where we read it, PostgreSQL reads the same.
#[test]
fn literals_mean_what_they_mean_to_postgres() {
    const PIECES: &[&str] = &[
        "2026-01-31",
        "2024-02-29",
        "2023-02-29",
        "0044-03-15",
        "12345-01-01",
        "26-01-31",
        "2026-1-31",
        "20260131",
        "10:00",
        "10:00:00",
        "10:00:00.5",
        "10:00:00.1234567",
        "24:00:00",
        "24:00",
        "23:59:60",
        "+02",
        "-05:30",
        "Z",
        " BC",
        " bc",
        "T",
        " ",
        " ",
        "1 day",
        "2 hours",
        "-3 months",
        "1 year",
        "1.5 seconds",
        "03:04",
        "-03:04:05.6",
        "1 week",
        "ago",
        "P1D",
        "PT1M",
        "P1Y-2M",
        "infinity",
        "-infinity",
        "Infinity",
        "epoch",
        "tomorrow",
        "1",
        "99999999999 days",
        "-1 sec",
        "+1 min",
        "1 mon",
        "1 mons",
        "5 secs",
    ];
    let mut oracle = Oracle::connect();
    for ty in [Type::Date, Type::Time, Type::Timestamp, Type::TimestampTz, Type::Interval] {
        let ty = ColumnType::plain(ty);
        let sql = crate::differential::sql_type(&ty);
        let rng = &mut oracle.rng;
        let mut texts: Vec<String> = PIECES.iter().map(|p| (*p).to_owned()).collect();
        for _ in 0..4000 {
            let pieces = rng.usize(1..5);
            texts.push(
                (0..pieces).map(|_| PIECES[rng.usize(..PIECES.len())]).collect::<Vec<_>>().join(if rng.bool() {
                    ""
                } else {
                    " "
                }),
            );
        }
        let name = format!("pg_temp.literal_{}", Arg::of(&ty.ty).name());
        let make = format!(
            "CREATE FUNCTION {name}(t text) RETURNS text LANGUAGE plpgsql AS $$
             BEGIN RETURN format('%s', t::{sql}); EXCEPTION WHEN OTHERS THEN RETURN 'ERROR:' || SQLSTATE; END $$"
        );
        oracle.client.batch_execute(&make).expect("a function of this session");
        let query = format!("SELECT {name}(t) FROM unnest($1::text[]) WITH ORDINALITY u(t, i) ORDER BY i");
        let rows = oracle.client.query(&query, &[&texts]).expect("answers");
        let mut read = 0;
        for (text, row) in texts.iter().zip(&rows) {
            let got = match input(&ty, text) {
                Ok(value) => {
                    read += 1;
                    let mut out = String::new();
                    pgspine::datum::write(&ty, &value, &mut out);
                    out
                }
                Err(InputError::Invalid { sqlstate, .. }) => format!("ERROR:{sqlstate}"),
                Err(InputError::Refused { .. }) => continue,
            };
            assert_eq!(got, row.get::<_, String>(0), "{text:?} as {sql}");
        }
        println!("{sql}: {read} of {} read", texts.len());
        assert!(read > 0);
    }
}
