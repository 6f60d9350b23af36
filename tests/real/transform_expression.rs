//! Random expressions over one row, computed by PostgreSQL and by us through parse, bind and eval: equal in type, text
//! form, NULL and error-or-not. `PGSPINE_SEED` replays a run.

use fastrand::Rng;
use pgspine::catalogue::{
    Catalogue, Column, ColumnType, EnumType, QualifiedName, ReplicaIdentity, Table, TableKind, Type,
};
use pgspine::datum;
use pgspine::transform::bind::{bind_expression, types};
use pgspine::transform::eval::Scope;
use pgspine::transform::function::{CaseMap, Context};
use postgres::{Client, NoTls, SimpleQueryMessage};
use std::sync::Arc;

const SETTINGS: &str = "SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; \
     SET bytea_output = 'hex'; SET extra_float_digits = 1; SET standard_conforming_strings = on";

fn connect() -> Client {
    let at = std::env::var("PGSPINE_TEST_POSTGRES")
        .unwrap_or_else(|_| panic!("PGSPINE_TEST_POSTGRES is not set: `make test` starts the servers and sets it"));
    let mut client = Client::connect(&at, NoTls).unwrap();
    client.batch_execute(SETTINGS).unwrap();
    client
}

/// Columns: name, type in SQL, our type, values that a row may have.
fn columns() -> Vec<(&'static str, &'static str, ColumnType, &'static [&'static str])> {
    let plain = ColumnType::plain;
    let typed = |ty, typmod| ColumnType { typmod, ..ColumnType::plain(ty) };
    let array = |element| Type::Array(Arc::new(element));
    let status = Type::Enum(Arc::new(EnumType {
        oid: 0,
        name: QualifiedName::new("public", "pgspine_status"),
        labels: vec!["new".into(), "paid".into(), "sent".into()],
    }));
    vec![
        ("b", "bool", plain(Type::Bool), &["t", "f"]),
        ("i2", "int2", plain(Type::Int2), &["0", "-3", "7", "32767", "-32768"]),
        ("i4", "int4", plain(Type::Int4), &["0", "1", "-7", "12", "2147483647", "-2147483648"]),
        ("i8", "int8", plain(Type::Int8), &["0", "5", "-2", "3000000000", "9223372036854775807"]),
        ("f4", "float4", plain(Type::Float4), &["0.1", "-2.5", "1e+20", "NaN", "-0"]),
        ("f8", "float8", plain(Type::Float8), &["0.1", "2.5", "-3.5", "1e+300", "Infinity", "-0"]),
        ("n", "numeric", plain(Type::Numeric), &["0", "1.10", "-2.5", "12345678901234567890.123", "NaN"]),
        ("np", "numeric(10,2)", typed(Type::Numeric, ((10 << 16) | 2) + 4), &["0.00", "19.99", "-1.50"]),
        ("t", "text", plain(Type::Text), &["", "abc", "Hello World", "12", "  x ", "äöü€", "a%b_c\\"]),
        ("v", "varchar(20)", typed(Type::Varchar, 24), &["abc", "x", "true", "-5"]),
        ("c", "char(5)", typed(Type::Bpchar, 9), &["a    ", "abcde", "12   "]),
        ("d", "date", plain(Type::Date), &["2026-01-31", "2000-02-29", "infinity"]),
        ("ts", "timestamp", plain(Type::Timestamp), &["2026-01-31 10:20:30.5", "1999-12-31 23:59:59.999999"]),
        ("tz", "timestamptz", plain(Type::TimestampTz), &["2026-01-31 10:20:30.5+00", "2000-01-01 00:00:00+00"]),
        ("iv", "interval", plain(Type::Interval), &["P1DT2H", "P1Y2M", "PT0S", "P-1M3D"]),
        ("u", "uuid", plain(Type::Uuid), &["6f2a7a2e-0f57-4c9d-8a0b-0d4f4f0a1b2c"]),
        ("j", "jsonb", plain(Type::Jsonb), &["{\"a\": 1, \"b\": [1, 2.50]}", "null", "[]", "\"x\""]),
        ("s", "pgspine_status", plain(status.clone()), &["new", "paid", "sent"]),
        ("ai", "int4[]", plain(array(Type::Int4)), &["{}", "{1,NULL,12}", "[0:1]={1,-7}", "{{1,2},{0,12}}"]),
        ("an", "numeric[]", plain(array(Type::Numeric)), &["{1.10,0}", "{NULL}", "{-2.50,NaN,1}"]),
        ("at", "text[]", plain(array(Type::Text)), &["{}", "{abc,NULL,\"\"}", "{\"NULL\",\"a,b\"}", "{12}"]),
        ("av", "varchar[]", plain(array(Type::Varchar)), &["{abc,x}", "{true}"]),
        ("sa", "pgspine_status[]", plain(array(status)), &["{new,sent}", "{NULL,paid}"]),
    ]
}

fn table() -> Table {
    let column = |(i, c): (usize, &(&str, &str, ColumnType, &[&str]))| Column {
        name: c.0.into(),
        attnum: i as i16 + 1,
        ty: c.2.clone(),
        not_null: false,
        generated: false,
        comment: None,
    };
    Table {
        oid: 0,
        name: QualifiedName::new("public", "pgspine_expression"),
        kind: TableKind::Ordinary,
        columns: columns().iter().enumerate().map(column).collect(),
        indexes: vec![],
        checks: vec![],
        replica_identity: ReplicaIdentity::Default,
        row_security: false,
        comment: None,
        leaves: vec![],
    }
}

fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

/// Text of an expression; mostly of fitting types, sometimes not.
fn expression(rng: &mut Rng, depth: u32) -> String {
    if depth == 0 || rng.u32(..6) == 0 {
        return leaf(rng);
    }
    let e = |rng: &mut Rng| expression(rng, depth - 1);
    match rng.u32(..30) {
        0..=3 => format!("{} {} {}", e(rng), pick(rng, &["+", "-", "*", "/", "%"]), e(rng)),
        4 | 5 => format!("{} {} {}", e(rng), pick(rng, &["=", "<>", "<", "<=", ">", ">="]), e(rng)),
        6 => format!("{} || {}", e(rng), e(rng)),
        7 => format!("({} {} {})", e(rng), pick(rng, &["AND", "OR"]), e(rng)),
        8 => format!("NOT ({})", e(rng)),
        9 => format!("({}) IS {}", e(rng), pick(rng, &["NULL", "NOT NULL", "TRUE", "NOT FALSE", "UNKNOWN"])),
        10 => format!("({}) IS {}DISTINCT FROM ({})", e(rng), pick(rng, &["", "NOT "]), e(rng)),
        11 => format!("({}) {}IN ({}, {}, {})", e(rng), pick(rng, &["", "NOT "]), e(rng), leaf(rng), leaf(rng)),
        12 => format!("({}) {}BETWEEN ({}) AND ({})", e(rng), pick(rng, &["", "NOT "]), leaf(rng), leaf(rng)),
        13 => format!("CASE WHEN {} THEN {} ELSE {} END", e(rng), e(rng), leaf(rng)),
        14 => format!("CASE {} WHEN {} THEN {} END", leaf(rng), leaf(rng), e(rng)),
        15 => format!("{}({}, {})", pick(rng, &["coalesce", "greatest", "least", "nullif"]), e(rng), leaf(rng)),
        16 => {
            let ty = pick(
                rng,
                &[
                    "int2",
                    "int",
                    "bigint",
                    "float4",
                    "float8",
                    "numeric",
                    "numeric(6,2)",
                    "text",
                    "varchar(3)",
                    "char(4)",
                    "bool",
                    "date",
                    "timestamp",
                    "timestamptz",
                    "interval",
                    "jsonb",
                    "uuid",
                    "pgspine_status",
                    "time",
                ],
            );
            format!("({})::{ty}", e(rng))
        }
        17 => format!(
            "{}({})",
            pick(
                rng,
                &[
                    "upper", "lower", "length", "abs", "ceil", "floor", "round", "trunc", "sign", "md5", "reverse",
                    "btrim"
                ]
            ),
            e(rng)
        ),
        18 => format!(
            "{}({}, {})",
            pick(
                rng,
                &["left", "right", "mod", "power", "concat", "strpos", "repeat", "round", "date_trunc", "date_part"]
            ),
            e(rng),
            leaf(rng)
        ),
        19 => format!(
            "{}({}, {}, {})",
            pick(rng, &["replace", "split_part", "substring", "lpad", "concat_ws"]),
            e(rng),
            leaf(rng),
            leaf(rng)
        ),
        20 => format!("({}) {} ({})", e(rng), pick(rng, &["LIKE", "NOT LIKE", "->", "->>", "^", "@>"]), leaf(rng)),
        21 => {
            let symbol = pick(rng, &["=", "=", "<>", "<", ">=", "LIKE"]);
            format!("({}) {symbol} {} ({})", e(rng), pick(rng, &["ANY", "ALL"]), array(rng))
        }
        22 => format!("({})[{}]", array(rng), pick(rng, &["1", "2", "0", "i4", "i2", "2][1", "NULL", "n"])),
        23 => format!("{} || {}", array(rng), if rng.bool() { array(rng) } else { leaf(rng) }),
        24 => {
            let name =
                pick(rng, &["array_append", "array_remove", "array_position", "array_positions", "array_replace"]);
            let third = if name == "array_replace" { format!(", {}", leaf(rng)) } else { String::new() };
            format!("{name}({}, {}{third})", array(rng), leaf(rng))
        }
        25 => {
            let symbol = pick(rng, &["=", "<>", "@>", "<@", "&&", "<", ">=", "IS DISTINCT FROM"]);
            format!("({}) {symbol} ({})", array(rng), array(rng))
        }
        27 if rng.bool() => {
            let name = pick(rng, &["cardinality", "array_ndims", "array_dims", "to_jsonb", "array_to_json"]);
            format!("{name}({})", array(rng))
        }
        27 => {
            let name = pick(rng, &["array_length", "array_upper", "array_to_string", "array_cat", "coalesce"]);
            format!("{name}({}, {})", array(rng), if rng.bool() { leaf(rng) } else { array(rng) })
        }
        26 => format!("- ({})", e(rng)),
        _ => {
            let mut form = pick(rng, FORMS).to_owned();
            while form.contains("{}") {
                form = form.replacen("{}", &e(rng), 1);
            }
            form
        }
    }
}

/// Calls that want arguments of certain types, or a constant.
const FORMS: &[&str] = &[
    "to_char({}, 'YYYY-MM-DD HH24:MI:SS')",
    "to_char({}, 'FM9990.00')",
    "({}) ~ '^[a-z]+$'",
    "({}) !~ 'a|b'",
    "regexp_replace({}, '[0-9]+', '#', 'g')",
    "substring({} from '[a-z]')",
    "({}) AT TIME ZONE 'UTC'",
    "({}) AT TIME ZONE INTERVAL '02:00'",
    "age({}, {})",
    "to_timestamp({})",
    "make_date({}, 2, 1)",
    "make_interval({}, 2)",
    "date_bin('1 hour', {}, {})",
    "justify_days({})",
    "date_trunc('day', {}, '+02')",
    "jsonb_set({}, '{a}', '1')",
    "jsonb_strip_nulls({})",
    "({}) - 'a'",
    "({}) - 1",
    "({}) #- '{a}'",
    "({}) ?| array['a', 'b']",
    "({}) <@ ({})",
    "jsonb_extract_path_text({}, 'a')",
    "format('%s-%L', {}, {})",
    "quote_nullable({})",
    "encode({}, 'hex')",
    "sha256({})",
    "num_nulls({}, {})",
    "to_date({}, 'YYYY-MM-DD')",
    "extract(epoch from {})",
];

fn array(rng: &mut Rng) -> String {
    match rng.u32(..8) {
        0..=3 => pick(rng, &["ai", "an", "at", "av", "sa"]).to_owned(),
        4 => format!("ARRAY[{}, {}]", leaf(rng), leaf(rng)),
        5 => format!("array_prepend({}, {})", leaf(rng), pick(rng, &["ai", "an", "at", "av", "sa"])),
        6 => format!("string_to_array({}, {})", pick(rng, &["t", "v", "'a,b,,c'"]), leaf(rng)),
        _ => pick(rng, &["'{1,2,NULL}'::int[]", "'{abc,NULL}'::text[]", "NULL::int[]", "'{1,2}'", "'{}'::numeric[]"])
            .to_owned(),
    }
}

fn leaf(rng: &mut Rng) -> String {
    match rng.u32(..10) {
        0..=5 => {
            let all = columns();
            all[rng.usize(..all.len())].0.to_owned()
        }
        6 | 7 => {
            pick(rng, &["0", "1", "2", "-1", "10", "3000000000", "1.5", "0.00", "1e3", "2147483648", "-2147483648"])
                .into()
        }
        8 => pick(rng, &["'abc'", "'12'", "''", "'a%'", "'new'", "'t'", "' 7 '", "'2026-01-31'", "'1 day'", "'a'"])
            .into(),
        _ => pick(
            rng,
            &[
                "NULL",
                "true",
                "false",
                "date '2026-02-28'",
                "interval '1 month'",
                "'{\"a\":1}'::jsonb",
                "'x'::text",
                "year",
            ],
        )
        .into(),
    }
}

type Answer = Result<(String, Option<String>), String>;

fn server(client: &mut Client, text: &str) -> Answer {
    let sql = format!("SELECT pg_typeof({text})::text, ({text}) FROM pgspine_expression");
    let messages =
        client.simple_query(&sql).map_err(|e| e.as_db_error().map_or(e.to_string(), |d| d.message().to_owned()))?;
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok((row.get(0).unwrap_or("").to_owned(), row.get(1).map(str::to_owned)));
        }
    }
    Err("no row".into())
}

#[derive(Debug)]
enum Ours {
    Refused(String),
    Answer(Answer),
}

/// Codes that say "PostgreSQL has it, we do not".
const REFUSALS: &[u16] = &[1012, 1014, 1031, 1032, 1033, 1036];

fn ours(text: &str, catalogue: &Catalogue, table: &Table, row: &[Option<&[u8]>], context: &Context) -> Ours {
    let expr = match bind_expression(text, catalogue, table) {
        Ok(expr) => expr,
        Err(d) if REFUSALS.contains(&d.code.0) => return Ours::Refused(d.message),
        Err(d) => return Ours::Answer(Err(d.message)),
    };
    let rows = [row];
    let value = match expr.eval(&Scope::of_rows(context, &rows)) {
        Ok(value) => value,
        // "We cannot compute this", said while running.
        Err(e) if e.sqlstate == "0A000" => return Ours::Refused(e.message),
        Err(e) => return Ours::Answer(Err(e.to_string())),
    };
    assert!(expr.nullable || !matches!(value, datum::Value::Null), "{text}: derived as not null, and NULL");
    let shown = match &value {
        datum::Value::Null => None,
        value => {
            let mut out = String::new();
            datum::write(&expr.ty, value, &mut out);
            Some(out)
        }
    };
    Ours::Answer(Ok((types::sql_name(&expr.ty.ty), shown)))
}

fn same(server: &Answer, ours: &Answer) -> bool {
    match (server, ours) {
        (Ok((type_a, a)), Ok((type_b, b))) => {
            let type_b = type_b.strip_prefix("public.").unwrap_or(type_b);
            (type_a == type_b || type_a == "unknown" && type_b == "text") && a == b
        }
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

#[test]
fn random_expressions_answer_as_postgresql_does() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let count: u32 = std::env::var("PGSPINE_EXPRESSIONS").ok().and_then(|s| s.parse().ok()).unwrap_or(4000);
    eprintln!("PGSPINE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut client = connect();
    let definition: Vec<String> = columns().iter().map(|c| format!("{} {}", c.0, c.1)).collect();
    // In the session's own schema: nothing is left behind.
    client
        .batch_execute(&format!(
            "SET search_path = pg_temp; CREATE TYPE pg_temp.pgspine_status AS ENUM ('new', 'paid', 'sent'); \
             CREATE TEMP TABLE pgspine_expression ({}); INSERT INTO pgspine_expression DEFAULT VALUES",
            definition.join(", ")
        ))
        .unwrap();
    let table = table();
    let catalogue =
        Catalogue { tables: vec![table.clone()], search_path: vec!["public".into()], ..Catalogue::default() };
    // What the server's own tables say of the letters that rows have here.
    let pairs: Vec<(char, char)> =
        ('a'..='z').map(|c| (c, c.to_ascii_uppercase())).chain([('ä', 'Ä'), ('ö', 'Ö'), ('ü', 'Ü')]).collect();
    let mut lower: Vec<(char, char)> = pairs.iter().map(|(l, u)| (*u, *l)).collect();
    lower.sort_unstable();
    let case = CaseMap { upper: pairs, lower, alphanumeric: vec![] };
    let context = Context { case };
    let (mut answered, mut refused, mut wrong) = (0, 0, Vec::new());
    let mut reasons = std::collections::BTreeMap::<String, u32>::new();
    let mut row: Vec<Option<&str>> = vec![None; columns().len()];
    for i in 0..count {
        if i % 50 == 0 {
            row = columns().iter().map(|c| (rng.u32(..5) > 0).then(|| pick(&mut rng, c.3))).collect();
            let values: Vec<String> = columns()
                .iter()
                .zip(&row)
                .map(|(c, v)| {
                    format!("{} = {}", c.0, v.map_or("NULL".into(), |v| format!("'{}'", v.replace('\'', "''"))))
                })
                .collect();
            client.batch_execute(&format!("UPDATE pgspine_expression SET {}", values.join(", "))).unwrap();
        }
        let depth = rng.u32(1..4);
        let text = expression(&mut rng, depth);
        let bytes: Vec<Option<&[u8]>> = row.iter().map(|v| v.map(str::as_bytes)).collect();
        match ours(&text, &catalogue, &table, &bytes, &context) {
            Ours::Refused(why) => {
                *reasons.entry(why).or_default() += 1;
                refused += 1;
            }
            Ours::Answer(answer) => {
                let theirs = server(&mut client, &text);
                if theirs.is_ok() {
                    answered += 1;
                }
                if !same(&theirs, &answer) {
                    wrong.push(format!("{text}\n    server: {theirs:?}\n    ours:   {answer:?}"));
                }
            }
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    eprintln!(
        "{count} expressions, {answered} answered by the server, {refused} refused by us; most: {:?}",
        &reasons[..reasons.len().min(12)]
    );
    assert!(wrong.is_empty(), "seed {seed}: {} differ\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
}
