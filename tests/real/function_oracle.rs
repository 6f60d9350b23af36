//! One function or operator, thousands of arguments, evaluated by PostgreSQL and by us: equal in text, in NULL and in
//! SQLSTATE.

use std::fmt::Write;

use pgspine::catalogue::{ColumnType, OtherType, QualifiedName, Type};
use pgspine::datum::{self, Value};
use pgspine::transform::function::{Arg, Call, Context, Function, Kind, candidates};
use postgres::{Client, NoTls};

pub struct Oracle {
    pub client: Client,
    pub context: Context,
    /// Pairs that were compared.
    pub compared: usize,
    /// Of a hundred answers, so many may be our refusal (0A000) of what the server knows.
    pub refusable: usize,
}

pub type Row = Vec<Option<String>>;

/// The connection string of the server, with the database to use.
pub fn server(database: &str) -> String {
    let base = std::env::var("PGSPINE_TEST_POSTGRES").expect("PGSPINE_TEST_POSTGRES is not set; `make test` sets it");
    format!("{base} dbname={database}")
}

/// Random values that can be had again: `PGSPINE_SEED`.
pub fn random() -> fastrand::Rng {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

pub fn sql_type(name: &str) -> ColumnType {
    let base = name.split('(').next().unwrap_or(name);
    ColumnType::plain(match base {
        "bool" => Type::Bool,
        "int2" => Type::Int2,
        "int4" => Type::Int4,
        "int8" => Type::Int8,
        "oid" => Type::Oid,
        "float4" => Type::Float4,
        "float8" => Type::Float8,
        "numeric" => Type::Numeric,
        "text" => Type::Text,
        "varchar" => Type::Varchar,
        "bpchar" | "char" => Type::Bpchar,
        "\"char\"" => Type::Char,
        "name" => Type::Name,
        "uuid" => Type::Uuid,
        "bytea" => Type::Bytea,
        "date" => Type::Date,
        "time" => Type::Time,
        "timetz" => Type::TimeTz,
        "timestamp" => Type::Timestamp,
        "timestamptz" => Type::TimestampTz,
        "interval" => Type::Interval,
        "json" => Type::Json,
        "jsonb" => Type::Jsonb,
        "inet" | "cidr" => Type::Other(std::sync::Arc::new(OtherType {
            oid: if base == "inet" { 869 } else { 650 },
            name: QualifiedName { schema: "pg_catalog".to_owned(), name: base.to_owned() },
        })),
        array => Type::Array(std::sync::Arc::new(
            sql_type(array.strip_suffix("[]").unwrap_or_else(|| panic!("type {array}"))).ty,
        )),
    })
}

fn accepts(function: &Function, types: &[ColumnType]) -> bool {
    let declared = |i: usize| function.args.get(i).or(if function.variadic { function.args.last() } else { None });
    let enough =
        if function.variadic { types.len() >= function.args.len() } else { types.len() == function.args.len() };
    enough
        && types.iter().enumerate().all(|(i, ty)| match declared(i) {
            Some(Arg::Any | Arg::AnyElement | Arg::Other("anynonarray")) => true,
            Some(Arg::TextArray) if function.variadic && i + 1 >= function.args.len() => ty.ty == Type::Text,
            Some(Arg::TextArray) => matches!(&ty.ty, Type::Array(of) if **of == Type::Text),
            Some(Arg::Other(name)) => matches!(&ty.ty, Type::Other(other) if other.name.name == *name),
            Some(arg) => *arg == Arg::of(&ty.ty),
            None => false,
        })
}

impl Oracle {
    pub fn new(database: &str) -> Oracle {
        let mut client = Client::connect(&server(database), NoTls).expect("connects");
        client
            .batch_execute(
                "SET datestyle = ISO; SET intervalstyle = iso_8601; SET timezone = 'UTC'; SET bytea_output = hex; \
                 SET extra_float_digits = 1; SET client_min_messages = error",
            )
            .expect("settings");
        Oracle { client, context: Context::default(), compared: 0, refusable: 0 }
    }

    /// `sql` is an expression over `$1`, `$2`…; the rows are the arguments' texts, cast to `types` by the server.
    pub fn check(&mut self, kind: Kind, name: &str, sql: &str, types: &[&str], returns: &str, rows: &[Row]) {
        let sql_types: Vec<ColumnType> = types.iter().map(|t| sql_type(t)).collect();
        let all = candidates(kind, name);
        let exact = all.iter().find(|f| accepts(f, &sql_types) && !f.variadic && !f.args.contains(&Arg::Any));
        let function = exact
            .filter(|f| !f.args.iter().any(|a| matches!(a, Arg::AnyElement | Arg::Other("anynonarray"))))
            .or_else(|| all.iter().find(|f| accepts(f, &sql_types)))
            .unwrap_or_else(|| panic!("no overload {name}({types:?})"));
        let eval = function.eval.unwrap_or_else(|why| panic!("{name}({types:?}) is refused: {why}"));
        let returns = sql_type(returns);

        let mut declared = String::new();
        let mut casts = String::new();
        let mut forms = String::new();
        let mut params = String::new();
        let mut unnest = String::new();
        let mut expression = sql.to_owned();
        for (i, ty) in types.iter().enumerate().rev() {
            expression = expression.replace(&format!("${}", i + 1), &format!("(v.a{i})"));
            let _ = ty;
        }
        for (i, ty) in types.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(declared, "{comma}t{i} text").unwrap();
            write!(casts, "{comma}t{i}::{ty} AS a{i}").unwrap();
            write!(forms, ", CASE WHEN a{i} IS NOT NULL THEN format('%s', a{i}) END").unwrap();
            write!(params, "{comma}a{i}").unwrap();
            write!(unnest, "{comma}${}::text[]", i + 1).unwrap();
        }
        self.client
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.forms({declared}, OUT f text[]) LANGUAGE sql AS \
                 $f$ SELECT ARRAY[NULL{forms}] FROM (SELECT {casts}) v $f$; \
                 CREATE OR REPLACE FUNCTION pg_temp.answer({declared}, OUT r text) LANGUAGE plpgsql AS $f$ BEGIN \
                 SELECT CASE WHEN x IS NOT NULL THEN 'v' || format('%s', x) END INTO r \
                 FROM (SELECT ({expression}) AS x FROM (SELECT {casts}) v) s; \
                 EXCEPTION WHEN OTHERS THEN r := 'e' || SQLSTATE; END $f$"
            ))
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let columns: Vec<Vec<Option<&str>>> =
            (0..types.len()).map(|i| rows.iter().map(|r| r[i].as_deref()).collect()).collect();
        let arguments: Vec<&(dyn postgres::types::ToSql + Sync)> =
            columns.iter().map(|c| c as &(dyn postgres::types::ToSql + Sync)).collect();
        let query = format!(
            "SELECT pg_temp.forms({params}), pg_temp.answer({params}) \
             FROM unnest({unnest}) WITH ORDINALITY AS u({params}, n) ORDER BY n"
        );
        let answers = self.client.query(&query, &arguments).unwrap_or_else(|e| panic!("{sql} {types:?}: {e:?}"));
        let (mut wrong, mut refused) = (Vec::new(), 0);
        for answer in &answers {
            let forms: Vec<Option<String>> = answer.get(0);
            let theirs: Option<String> = answer.get(1);
            let mut values: Vec<Value<'_>> = forms[1..]
                .iter()
                .zip(&sql_types)
                .map(|(form, ty)| match form {
                    Some(text) => datum::read(ty, text.as_bytes()).unwrap_or_else(|e| panic!("{ty:?} {text}: {e}")),
                    None => Value::Null,
                })
                .collect();
            let call = Call { context: &self.context, typmod: -1, arg_types: &sql_types, returns: &returns };
            let ours = if function.strict && values.iter().any(|v| matches!(v, Value::Null)) {
                None
            } else {
                match eval(&call, &mut values) {
                    Ok(Value::Null) => None,
                    Ok(value) => {
                        let mut text = String::from("v");
                        datum::write(&returns, &value, &mut text);
                        Some(text)
                    }
                    Err(e) => Some(format!("e{}", e.sqlstate)),
                }
            };
            if ours != theirs && self.refusable > 0 && ours.as_deref() == Some("e0A000") {
                refused += 1;
            } else if ours != theirs {
                wrong.push(format!("{forms:?}\n     ours {ours:?}\n   theirs {theirs:?}"));
            }
            if ours.is_none() && !values.iter().any(|v| matches!(v, Value::Null)) && !function.may_be_null {
                wrong.push(format!("{forms:?}: NULL, and the table says that it cannot be"));
            }
        }
        self.compared += answers.len();
        assert!(refused * 100 <= self.refusable * rows.len(), "{sql}: {refused} of {} refused", rows.len());
        assert!(
            wrong.is_empty(),
            "{sql} over {types:?}: {} of {} differ\n{}",
            wrong.len(),
            rows.len(),
            wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
        );
    }

    /// How many of the texts a cast reads, all of them as the server does; the others are errors to us.
    pub fn cast_or_refuse(&mut self, from: &str, to: &str, texts: &[Option<String>]) -> usize {
        let (from_type, to_type) = (sql_type(from), sql_type(to));
        let function = pgspine::transform::function::cast(&from_type.ty, &to_type.ty).expect("a cast");
        let eval = function.eval.unwrap_or_else(|why| panic!("{from}->{to} is refused: {why}"));
        self.client
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.cast_of(t text, OUT r text) LANGUAGE plpgsql AS $f$ BEGIN \
                 SELECT 'v' || format('%s', t::{from}::{to}) INTO r; EXCEPTION WHEN OTHERS THEN r := 'e' || SQLSTATE; \
                 END $f$"
            ))
            .expect("a function");
        let known: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
        let query = "SELECT t, pg_temp.cast_of(t) FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n";
        let arg_types = [from_type];
        let mut read = 0;
        for row in self.client.query(query, &[&known]).expect("answers") {
            let (text, theirs): (&str, Option<String>) = (row.get(0), row.get(1));
            let call = Call { context: &self.context, typmod: -1, arg_types: &arg_types, returns: &to_type };
            if let Ok(value) = eval(&call, &mut [Value::Text(text.into())]) {
                let mut ours = String::from("v");
                datum::write(&to_type, &value, &mut ours);
                assert_eq!((text, Some(ours)), (text, theirs), "{from}->{to}");
                read += 1;
            }
        }
        self.compared += known.len();
        read
    }

    pub fn function(&mut self, name: &str, types: &[&str], returns: &str, rows: &[Row]) {
        let params: Vec<String> = (1..=types.len()).map(|i| format!("${i}")).collect();
        let sql = format!("pg_catalog.\"{name}\"({})", params.join(", "));
        self.check(Kind::Function, name, &sql, types, returns, rows);
    }

    pub fn operator(&mut self, name: &str, types: &[&str], returns: &str, rows: &[Row]) {
        let sql = if types.len() == 1 { format!("{name} $1") } else { format!("$1 {name} $2") };
        self.check(Kind::Operator, name, &sql, types, returns, rows);
    }
}

/// Every value of each column with every other, at most `limit` rows, chosen at random where there are more.
pub fn product(rng: &mut fastrand::Rng, columns: &[&[Option<String>]], limit: usize) -> Vec<Row> {
    let total = columns.iter().try_fold(1usize, |n, c| n.checked_mul(c.len())).unwrap_or(usize::MAX);
    let row = |mut n: usize| {
        columns
            .iter()
            .map(|c| {
                let value = c[n % c.len()].clone();
                n /= c.len();
                value
            })
            .collect()
    };
    if total <= limit {
        (0..total).map(row).collect()
    } else {
        (0..limit).map(|_| columns.iter().map(|c| c[rng.usize(..c.len())].clone()).collect()).collect()
    }
}

pub fn values(list: &[&str]) -> Vec<Option<String>> {
    list.iter().map(|s| Some((*s).to_owned())).chain([None]).collect()
}
