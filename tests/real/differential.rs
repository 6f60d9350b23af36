//! PostgreSQL as the oracle of functions, operators and casts: the same inputs, evaluated by both.
//!
//! A case agrees when the output form, NULL, or the error's SQLSTATE is the same; a few may be refused (0A000). Inputs that PostgreSQL does not take
//! for the argument's type are left out, so generators may be sloppy. PGSPINE_SEED replays a run.

use pgspine::catalogue::{ColumnType, Type};
use pgspine::datum::{self, Value};
use pgspine::transform::function::{self, Arg, Call, Context, Function, Kind, Returns};
use postgres::{Client, NoTls};

/// Makes one argument: a text that the type's input function takes, or NULL.
pub type Generator<'g> = &'g dyn Fn(&mut fastrand::Rng) -> Option<String>;

pub struct Oracle {
    pub client: Client,
    pub context: Context,
    pub rng: fastrand::Rng,
    seed: u64,
    made: usize,
}

/// One expression under test.
pub struct Subject<'s> {
    pub function: &'static Function,
    /// With `$1`, `$2`… for the arguments.
    pub sql: &'s str,
    pub args: Vec<ColumnType>,
    pub returns: ColumnType,
}

impl Oracle {
    pub fn connect() -> Oracle {
        let params =
            std::env::var("PGSPINE_TEST_POSTGRES").expect("PGSPINE_TEST_POSTGRES is not set: `make test` sets it");
        let mut client = Client::connect(&params, NoTls).expect("the test server takes connections");
        let settings = "SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; \
                        SET bytea_output = 'hex'; SET extra_float_digits = 1";
        client.batch_execute(settings).expect("the settings are known");
        let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        println!("PGSPINE_SEED={seed}");
        Oracle { client, context: Context::default(), rng: fastrand::Rng::with_seed(seed), seed, made: 0 }
    }

    /// `cases` calls of an overload with the generators of its argument types.
    pub fn check_function(&mut self, kind: Kind, name: &str, args: &[Arg], cases: usize) {
        let function = overload(kind, name, args);
        let generators: Vec<_> = args.iter().map(|&arg| move |rng: &mut fastrand::Rng| value(arg, rng)).collect();
        let generators: Vec<Generator<'_>> = generators.iter().map(|g| g as Generator<'_>).collect();
        let subject = Subject::of(function);
        let sql = subject.sql_of_call();
        self.check(&Subject { sql: &sql, ..subject }, &generators, cases);
    }

    /// `cases` calls with arguments from `generators`.
    pub fn check(&mut self, subject: &Subject<'_>, generators: &[Generator<'_>], cases: usize) {
        let inputs: Vec<Vec<Option<String>>> =
            generators.iter().map(|g| (0..cases).map(|_| g(&mut self.rng)).collect()).collect();
        self.check_inputs(subject, &inputs);
    }

    /// `inputs[argument][case]`.
    pub fn check_inputs(&mut self, subject: &Subject<'_>, inputs: &[Vec<Option<String>>]) {
        if let Some(differences) = self.differences(subject, inputs) {
            panic!("{differences}");
        }
    }

    /// What differs, in words; None when all agree.
    pub fn differences(&mut self, subject: &Subject<'_>, inputs: &[Vec<Option<String>>]) -> Option<String> {
        let answers = self.ask(subject, inputs);
        let mut wrong = Vec::new();
        let mut compared = 0;
        let mut refused = 0;
        for answer in &answers {
            let (expected, args) = answer.split_first().expect("the result comes first");
            if expected.as_deref() == Some("INPUT") {
                continue;
            }
            compared += 1;
            let got = evaluate(subject, args, &self.context);
            if got.as_deref() == Some("ERROR:0A000") && got != *expected {
                refused += 1;
            } else if got != *expected {
                wrong.push(format!("{args:?}: PostgreSQL {expected:?}, we {got:?}"));
            }
        }
        assert!(compared > 0 || inputs.is_empty(), "{}: no input was valid", subject.sql);
        assert!(refused * 10 <= compared, "{}: {refused} of {compared} refused", subject.sql);
        let shown = wrong[..wrong.len().min(8)].join("\n");
        (!wrong.is_empty()).then(|| {
            let (sql, function, seed) = (subject.sql, subject.function, self.seed);
            format!("{sql} {function:?}: {} of {compared} differ (PGSPINE_SEED={seed})\n{shown}", wrong.len())
        })
    }

    /// For each case PostgreSQL's answer and the output forms of the arguments.
    fn ask(&mut self, subject: &Subject<'_>, inputs: &[Vec<Option<String>>]) -> Vec<Vec<Option<String>>> {
        self.made += 1;
        let name = format!("pg_temp.differential_{}", self.made);
        let indexes = 1..=inputs.len();
        let join = |f: &dyn Fn(usize) -> String, by: &str| indexes.clone().map(f).collect::<Vec<_>>().join(by);
        // From the last, so that $1 does not touch $10.
        let expression =
            indexes.clone().rev().fold(subject.sql.to_owned(), |s, i| s.replace(&format!("${i}"), &format!("x{i}")));
        let sql = format!(
            "CREATE FUNCTION {name}({params}) RETURNS text[] LANGUAGE plpgsql AS $body$
             DECLARE {declared} r {result}; s text;
             BEGIN
               BEGIN {assigned} EXCEPTION WHEN OTHERS THEN RETURN ARRAY['INPUT']; END;
               BEGIN r := ({expression}); s := CASE WHEN r IS NULL THEN NULL ELSE format('%s', r) END;
               EXCEPTION WHEN OTHERS THEN s := 'ERROR:' || SQLSTATE; END;
               RETURN ARRAY[s{shown}];
             END $body$",
            params = join(&|i| format!("a{i} text"), ", "),
            declared = join(&|i| format!("x{i} {};", sql_type(&subject.args[i - 1])), " "),
            result = sql_type(&ColumnType::plain(subject.returns.ty.clone())),
            assigned = join(&|i| format!("x{i} := a{i};"), " "),
            shown = join(&|i| format!(", CASE WHEN x{i} IS NULL THEN NULL ELSE format('%s', x{i}) END"), ""),
        );
        self.client
            .batch_execute(&sql)
            .unwrap_or_else(|e| panic!("{e}: {:?}\n{sql}", e.as_db_error().map(|d| d.message())));
        let query = format!(
            "SELECT {name}({columns}) FROM unnest({arrays}) WITH ORDINALITY AS t({columns}, i) ORDER BY i",
            columns = join(&|i| format!("c{i}"), ", "),
            arrays = join(&|i| format!("${i}::text[]"), ", "),
        );
        let params: Vec<&(dyn postgres::types::ToSql + Sync)> = inputs.iter().map(|i| i as _).collect();
        let rows = self.client.query(&query, &params).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        rows.iter().map(|row| row.get(0)).collect()
    }
}

impl Subject<'static> {
    /// A function with its own argument types; generic ones need a `Subject` written out.
    pub fn of(function: &'static Function) -> Subject<'static> {
        let args: Vec<ColumnType> = function.args.iter().map(|&a| ColumnType::plain(plain_type(a))).collect();
        let returns = match function.returns {
            Returns::Type(arg) => ColumnType::plain(plain_type(arg)),
            Returns::SameAsArgument => args[0].clone(),
            Returns::ArrayOfArgument => ColumnType::plain(Type::Array(std::sync::Arc::new(args[0].ty.clone()))),
        };
        Subject { function, sql: "", args, returns }
    }

    pub fn sql_of_call(&self) -> String {
        let name = self.function.name;
        match (self.function.kind, self.args.len()) {
            (Kind::Operator, 1) => format!("OPERATOR(pg_catalog.{name}) $1"),
            (Kind::Operator, _) => format!("$1 OPERATOR(pg_catalog.{name}) $2"),
            (Kind::Cast(_), _) => format!("CAST($1 AS {})", sql_type(&self.returns)),
            (Kind::Function, n) => {
                let args: Vec<String> = (1..=n).map(|i| format!("${i}")).collect();
                format!("pg_catalog.{name}({})", args.join(", "))
            }
        }
    }
}

/// The overload of exactly these arguments, which must be implemented.
pub fn overload(kind: Kind, name: &str, args: &[Arg]) -> &'static Function {
    let found = function::candidates(kind, name).into_iter().find(|f| f.args == args && f.eval.is_ok());
    found.unwrap_or_else(|| panic!("{name}({args:?}) is not implemented"))
}

/// Our answer as text, or `ERROR:` and the SQLSTATE.
fn evaluate(subject: &Subject<'_>, args: &[Option<String>], context: &Context) -> Option<String> {
    let eval = subject.function.eval.expect("implemented");
    let call = Call { context, typmod: subject.returns.typmod, arg_types: &subject.args, returns: &subject.returns };
    let mut values: Vec<Value<'_>> = Vec::new();
    for (text, ty) in args.iter().zip(&subject.args) {
        values.push(match text {
            Some(text) => datum::read(ty, text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}")),
            None => Value::Null,
        });
    }
    if subject.function.strict && args.contains(&None) {
        return None;
    }
    match eval(&call, &mut values) {
        Ok(Value::Null) => None,
        Ok(value) => {
            let mut out = String::new();
            datum::write(&subject.returns, &value, &mut out);
            Some(out)
        }
        Err(error) => Some(format!("ERROR:{}", error.sqlstate)),
    }
}

/// The type as SQL writes it.
pub fn sql_type(ty: &ColumnType) -> String {
    let base = match &ty.ty {
        Type::Enum(e) => e.name.to_sql(),
        Type::Array(e) => return format!("{}[]", sql_type(&ColumnType::plain((**e).clone()))),
        other => format!("pg_catalog.\"{}\"", Arg::of(other).name()),
    };
    match (&ty.ty, ty.typmod) {
        (_, -1) => base,
        (Type::Numeric, m) => format!("{base}({}, {})", ((m - 4) >> 16) & 0xffff, (((m - 4) & 0x7ff) ^ 1024) - 1024),
        (Type::Varchar | Type::Bpchar, m) => format!("{base}({})", m - 4),
        (_, m) => format!("{base}({m})"),
    }
}

pub fn plain_type(arg: Arg) -> Type {
    match arg {
        Arg::Bool => Type::Bool,
        Arg::Int2 => Type::Int2,
        Arg::Int4 => Type::Int4,
        Arg::Int8 => Type::Int8,
        Arg::Oid => Type::Oid,
        Arg::Float4 => Type::Float4,
        Arg::Float8 => Type::Float8,
        Arg::Numeric => Type::Numeric,
        Arg::Text | Arg::Any | Arg::AnyElement => Type::Text,
        Arg::Varchar => Type::Varchar,
        Arg::Bpchar => Type::Bpchar,
        Arg::Char => Type::Char,
        Arg::Name => Type::Name,
        Arg::Uuid => Type::Uuid,
        Arg::Bytea => Type::Bytea,
        Arg::Date => Type::Date,
        Arg::Time => Type::Time,
        Arg::TimeTz => Type::TimeTz,
        Arg::Timestamp => Type::Timestamp,
        Arg::TimestampTz => Type::TimestampTz,
        Arg::Interval => Type::Interval,
        Arg::Json => Type::Json,
        Arg::Jsonb => Type::Jsonb,
        Arg::TextArray => Type::Array(Type::Text.into()),
        Arg::AnyArray => Type::Array(Type::Int4.into()),
        other => panic!("write a Subject for {other:?}"),
    }
}

/// A value of a type: NULL sometimes, an edge often, else random.
pub fn value(arg: Arg, rng: &mut fastrand::Rng) -> Option<String> {
    if rng.u8(..20) == 0 {
        return None;
    }
    let edges = edges(arg);
    if !edges.is_empty() && rng.bool() {
        return Some(edges[rng.usize(..edges.len())].to_owned());
    }
    Some(random(arg, rng))
}

pub fn edges(arg: Arg) -> &'static [&'static str] {
    match arg {
        Arg::Bool => &["t", "f"],
        Arg::Int2 => &["0", "1", "-1", "2", "-7", "10", "32767", "-32768", "100"],
        Arg::Int4 => {
            &["0", "1", "-1", "2", "3", "-7", "10", "31", "32", "33", "32767", "46341", "2147483647", "-2147483648"]
        }
        Arg::Int8 => &[
            "0",
            "1",
            "-1",
            "2",
            "-7",
            "10",
            "63",
            "64",
            "2147483648",
            "-2147483649",
            "3037000500",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
        ],
        Arg::Oid => &["0", "1", "2147483648", "4294967295"],
        Arg::Float4 => &[
            "0",
            "-0",
            "1",
            "-1",
            "0.5",
            "1.5",
            "2.5",
            "-2.5",
            "3.5",
            "0.1",
            "1e10",
            "3.4028235e38",
            "1e-45",
            "1.1754944e-38",
            "NaN",
            "Infinity",
            "-Infinity",
            "32767.5",
            "2147483500",
            "2147483648",
            "16777217",
            "123456.79",
        ],
        Arg::Float8 => &[
            "0",
            "-0",
            "1",
            "-1",
            "0.5",
            "1.5",
            "2.5",
            "-2.5",
            "3.5",
            "0.1",
            "1e10",
            "1e15",
            "1.7976931348623157e308",
            "5e-324",
            "1e-300",
            "1e300",
            "1e39",
            "1e-46",
            "NaN",
            "Infinity",
            "-Infinity",
            "32767.5",
            "2147483647.5",
            "2147483646.5",
            "9.223372036854775807e18",
            "-9.223372036854775808e18",
            "9007199254740993",
            "2.2250738585072014e-308",
        ],
        Arg::Numeric => &[
            "0",
            "0.00",
            "1",
            "-1",
            "1.10",
            "0.5",
            "-0.5",
            "1.5",
            "2.5",
            "-2.5",
            "3",
            "10",
            "10000",
            "9999",
            "9999.9999",
            "0.0001",
            "0.00001",
            "-0.00009999",
            "NaN",
            "Infinity",
            "-Infinity",
            "32767.5",
            "-32768.5",
            "2147483647.49",
            "2147483647.5",
            "9223372036854775807.5",
            "9223372036854775807",
            "170141183460469231731687303715884105727",
            "99999999999999999999999999999999999999999",
            "1e40",
            "1e-40",
            "123456789.987654321",
            "1000000",
            "5.00",
            "7.0000",
            "1e400",
        ],
        Arg::Text | Arg::Any | Arg::AnyElement | Arg::Varchar => &[
            "",
            " ",
            "a",
            "abc",
            "ABC",
            " abc  ",
            "a,b,c",
            "ß",
            "ŉ",
            "İ",
            "ΑΣ",
            "é",
            "e\u{301}",
            "日本語",
            "😀x",
            "%_\\",
            "a\\b",
            "'\"",
            "\t\n",
            "1",
            "12.5",
            "yes",
            "wOrld-foo_bar 1abc",
        ],
        Arg::Bpchar => &["", "a", "a  ", " a ", "abc", "é ", "ab"],
        Arg::Char => &["", "a", "Z", "0"],
        Arg::Name => &["", "a", "abc", "Long Name", "é"],
        Arg::Uuid => &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
        Arg::Bytea => &["\\x", "\\x00", "\\xff", "\\x00ff", "\\x616263"],
        Arg::Date => &[
            "2000-01-01",
            "1970-01-01",
            "2024-02-29",
            "1999-12-31",
            "0001-01-01",
            "0001-12-31 BC",
            "4714-11-24 BC",
            "5874897-12-31",
            "294276-12-31",
            "infinity",
            "-infinity",
            "1582-10-15",
            "1900-02-28",
            "2027-01-01",
            "0044-03-15 BC",
        ],
        Arg::Time => &["00:00:00", "24:00:00", "12:34:56.789", "23:59:59.999999", "00:00:00.000001"],
        Arg::TimeTz => &["00:00:00+00", "12:34:56.789+02", "23:59:59-05:30"],
        Arg::Timestamp | Arg::TimestampTz => &[
            "2000-01-01 00:00:00",
            "1999-12-31 23:59:59.999999",
            "2026-01-31 10:00:00.5",
            "2024-02-29 12:00:00",
            "infinity",
            "-infinity",
            "4714-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "0044-03-15 12:00:00 BC",
            "1970-01-01 00:00:00",
        ],
        Arg::Interval => &[
            "PT0S",
            "P1D",
            "PT24H",
            "P1M",
            "P30D",
            "P1Y2M-3DT4H5M6.7S",
            "P-1M",
            "PT-0.000001S",
            "P1M-30D",
            "PT20H",
            "P178000000Y",
            "PT2562047788H54.775807S",
            "P2147483647D",
        ],
        Arg::Json | Arg::Jsonb => &[
            "null",
            "1",
            "1.10",
            "\"a\"",
            "{}",
            "[]",
            "{\"a\": 1, \"b\": [1, 2, {\"c\": null}]}",
            "[1, \"x\", null, true]",
            "{\"bb\": 1, \"a\": 2, \"a\": 3}",
            "1e2",
            "\"\\u00e9\\n\"",
        ],
        Arg::TextArray => &["{}", "{a,b}", "{NULL,\"NULL\",\"\"}", "[2:3]={x,y}", "{{a,b},{c,d}}"],
        Arg::AnyArray => &["{}", "{1,2}", "{1,NULL}", "[2:3]={1,2}", "{{1,2},{3,4}}"],
        _ => &[],
    }
}

pub fn random(arg: Arg, rng: &mut fastrand::Rng) -> String {
    match arg {
        Arg::Bool => if rng.bool() { "t" } else { "f" }.to_owned(),
        Arg::Int2 => (rng.i16(..) >> rng.u8(..16)).to_string(),
        Arg::Int4 => (rng.i32(..) >> rng.u8(..32)).to_string(),
        Arg::Int8 => (rng.i64(..) >> rng.u8(..64)).to_string(),
        Arg::Oid => (rng.u32(..) >> rng.u8(..32)).to_string(),
        Arg::Float4 if rng.bool() => format!("{:e}", f32::from_bits(rng.u32(..))),
        Arg::Float8 if rng.bool() => format!("{:e}", f64::from_bits(rng.u64(..))),
        Arg::Float4 | Arg::Float8 => format!("{}", (rng.f64() - 0.5) * 10f64.powi(rng.i32(-3..8))),
        Arg::Numeric => {
            let digits = |n: usize, rng: &mut fastrand::Rng| (0..n).map(|_| rng.digit(10)).collect::<String>();
            let (whole, fraction) =
                if rng.u8(..8) == 0 { (rng.usize(1..60), rng.usize(..60)) } else { (rng.usize(1..12), rng.usize(..8)) };
            let sign = if rng.bool() { "-" } else { "" };
            format!("{sign}{}.{}", digits(whole, rng), digits(fraction, rng))
        }
        Arg::Text | Arg::Any | Arg::AnyElement | Arg::Varchar | Arg::Bpchar | Arg::Name => {
            const CHARS: &[char] =
                &['a', 'b', 'A', 'Z', ' ', ',', '%', '_', '\\', 'é', 'ß', '日', '😀', '1', '0', '-', '.', '\''];
            (0..rng.usize(..10)).map(|_| CHARS[rng.usize(..CHARS.len())]).collect()
        }
        Arg::Char => rng.alphanumeric().to_string(),
        Arg::Uuid => {
            let hex = format!("{:032x}", rng.u128(..));
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        Arg::Bytea => (0..rng.usize(..6)).fold("\\x".to_owned(), |s, _| s + &format!("{:02x}", rng.u8(..))),
        Arg::Date => format!("{:04}-{:02}-{:02}", rng.u32(1..3000), rng.u32(1..=12), rng.u32(1..=28)),
        Arg::Time => random_time(rng),
        Arg::TimeTz => format!("{}+{:02}", random_time(rng), rng.u32(..14)),
        Arg::Timestamp | Arg::TimestampTz => format!("{} {}", random(Arg::Date, rng), random_time(rng)),
        Arg::Interval => format!(
            "{} months {} days {} microseconds",
            rng.i32(-30..30),
            rng.i32(-40..40),
            rng.i64(..) >> rng.u8(16..64)
        ),
        Arg::Json | Arg::Jsonb => edges(arg)[rng.usize(..edges(arg).len())].to_owned(),
        Arg::TextArray => {
            format!("{{{}}}", (0..rng.usize(..4)).map(|_| rng.alphabetic().to_string()).collect::<Vec<_>>().join(","))
        }
        Arg::AnyArray => {
            format!("{{{}}}", (0..rng.usize(..4)).map(|_| rng.u8(..4).to_string()).collect::<Vec<_>>().join(","))
        }
        other => panic!("no generator for {other:?}"),
    }
}

fn random_time(rng: &mut fastrand::Rng) -> String {
    let fraction = if rng.bool() { format!(".{:06}", rng.u32(..1_000_000)) } else { String::new() };
    format!("{:02}:{:02}:{:02}{fraction}", rng.u32(..24), rng.u32(..60), rng.u32(..60))
}
