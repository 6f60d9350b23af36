//! Aggregates against PostgreSQL: thousands of groups of rows for each overload, NULLs, extremes and no row among them,
//! equal in text, in the answer's type and in SQLSTATE.

use std::sync::Arc;

use pgspine::catalogue::{ColumnType, EnumType, QualifiedName, Type};
use pgspine::datum::{self, Value};
use pgspine::transform::aggregate::{self, Aggregate};
use pgspine::transform::function::{Arg, EvalError};
use postgres::Client;

use crate::differential::{self, plain_type, sql_type, value};

const GROUPS: usize = 400;

type Group = Vec<Vec<Option<String>>>;

struct Oracle {
    client: Client,
    rng: fastrand::Rng,
    compared: usize,
    wrong: Vec<String>,
}

impl Oracle {
    fn connect() -> Oracle {
        let differential::Oracle { mut client, rng, .. } = differential::Oracle::connect();
        client.batch_execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy')").expect("an enum");
        Oracle { client, rng, compared: 0, wrong: Vec::new() }
    }

    fn check(&mut self, name: &str, types: &[Type]) {
        let groups: Vec<Group> = (0..GROUPS)
            .map(|i| {
                let rows = if i == 0 { 0 } else { self.rng.usize(..9) };
                (0..rows).map(|_| types.iter().map(|ty| of_type(ty, &mut self.rng)).collect()).collect()
            })
            .collect();
        self.check_groups(name, types, &groups);
    }

    fn check_groups(&mut self, name: &str, types: &[Type], groups: &[Group]) {
        let found = aggregate::resolve(name, types).unwrap_or_else(|e| panic!("{name}({types:?}): {e:?}"));
        let columns: Vec<ColumnType> = types.iter().cloned().map(ColumnType::plain).collect();
        let returns = found.returned(&columns);
        for (group, (expected, forms)) in groups.iter().zip(self.ask(name, found, &columns, &returns, groups)) {
            if expected.as_deref() == Some("INPUT") {
                continue;
            }
            self.compared += 1;
            let rows: Vec<Vec<Option<String>>> = (0..group.len())
                .map(|row| (0..types.len()).map(|column| forms[column * group.len() + row].clone()).collect())
                .collect();
            let ours = compute(found, &columns, &returns, &rows);
            if ours != expected {
                self.wrong
                    .push(format!("{name}({types:?}) {rows:?}\n  PostgreSQL {expected:?}\n          we {ours:?}"));
            }
            if found.ordered || found.ties_differ(&columns) {
                continue;
            }
            let mut shuffled = rows.clone();
            self.rng.shuffle(&mut shuffled);
            let again = compute(found, &columns, &returns, &shuffled);
            let failed = |answer: &Option<String>| answer.as_deref().is_some_and(|a| a.starts_with("ERROR:22008"));
            if again != ours && !failed(&again) && !failed(&ours) {
                self.wrong.push(format!("{name}({types:?}) depends on the order of rows: {rows:?}"));
            }
        }
    }

    /// For each group PostgreSQL's answer, and the output forms of its arguments, column after column.
    fn ask(
        &mut self,
        name: &str,
        found: &Aggregate,
        columns: &[ColumnType],
        returns: &ColumnType,
        groups: &[Group],
    ) -> Vec<(Option<String>, Vec<Option<String>>)> {
        let list = |f: &dyn Fn(usize) -> String| (0..columns.len()).map(f).collect::<Vec<_>>().join(", ");
        let text = |ty: &Type| matches!(ty, Type::Text | Type::Varchar | Type::Bpchar);
        let typed = |i: usize| {
            let collate = if found.sort.is_some() && text(&columns[i].ty) { " COLLATE \"C\"" } else { "" };
            format!("v{i}::{}{collate}", sql_type(&columns[i]))
        };
        // count(*) has no argument, and a column all the same.
        let names = if columns.is_empty() { "v0".to_owned() } else { list(&|i| format!("v{i}")) };
        let params = if columns.is_empty() { "a0 text[]".to_owned() } else { list(&|i| format!("a{i} text[]")) };
        let arrays = if columns.is_empty() { "a0".to_owned() } else { list(&|i| format!("a{i}")) };
        let call =
            if columns.is_empty() { "count(*)".to_owned() } else { format!("{name}({} ORDER BY i)", list(&typed)) };
        let forms: String = (0..columns.len())
            .map(|i| {
                let form = format!("CASE WHEN {0} IS NOT NULL THEN format('%s', {0}) END", typed(i));
                format!(" || coalesce((SELECT array_agg({form} ORDER BY i) FROM unnest({arrays}) WITH ORDINALITY AS u({names}, i)), '{{}}')")
            })
            .collect();
        let sql = format!(
            "CREATE OR REPLACE FUNCTION pg_temp.answer({params}) RETURNS text[] LANGUAGE plpgsql AS $f$
             DECLARE f text[]; r text; BEGIN
               BEGIN f := '{{}}'::text[]{forms}; EXCEPTION WHEN OTHERS THEN RETURN ARRAY['INPUT']; END;
               BEGIN
                 SELECT CASE WHEN x IS NOT NULL THEN pg_typeof(x)::text || ' ' || format('%s', x) END INTO r
                 FROM (SELECT {call} AS x FROM unnest({arrays}) WITH ORDINALITY AS u({names}, i)) AS s;
               EXCEPTION WHEN OTHERS THEN r := 'ERROR:' || SQLSTATE; END;
               RETURN r || f;
             END $f$"
        );
        let drop = "DO $d$ BEGIN EXECUTE (SELECT coalesce(string_agg('DROP FUNCTION pg_temp.answer(' || \
                    pg_get_function_identity_arguments(oid) || ')', ';'), 'SELECT 1') FROM pg_proc \
                    WHERE proname = 'answer' AND pronamespace = pg_my_temp_schema()); END $d$";
        self.client.batch_execute(drop).expect("dropped");
        self.client.batch_execute(&sql).unwrap_or_else(|e| panic!("{e:?}\n{sql}"));
        let mut numbers: Vec<i32> = Vec::new();
        let mut values: Vec<Vec<Option<&str>>> = vec![Vec::new(); columns.len().max(1)];
        for (number, group) in groups.iter().enumerate() {
            for row in group {
                numbers.push(number as i32);
                for (column, value) in values.iter_mut().enumerate() {
                    value.push(row.get(column).and_then(Option::as_deref));
                }
            }
        }
        let width = columns.len().max(1);
        let each = |f: &dyn Fn(usize) -> String| (0..width).map(f).collect::<Vec<_>>().join(", ");
        let query = format!(
            "WITH t AS (SELECT g, {aggregated} FROM unnest($1::int4[], {arrays}) WITH ORDINALITY AS u(g, {names}, i) GROUP BY g)
             SELECT pg_temp.answer({given}) FROM generate_series(0, {last}) AS n LEFT JOIN t ON t.g = n ORDER BY n",
            aggregated = each(&|i| format!("array_agg(v{i} ORDER BY i) AS a{i}")),
            arrays = each(&|i| format!("${}::text[]", i + 2)),
            names = each(&|i| format!("v{i}")),
            given = each(&|i| format!("coalesce(a{i}, '{{}}'::text[])")),
            last = groups.len() - 1,
        );
        let mut arguments: Vec<&(dyn postgres::types::ToSql + Sync)> = vec![&numbers];
        arguments.extend(values.iter().map(|v| v as &(dyn postgres::types::ToSql + Sync)));
        let answers = self.client.query(&query, &arguments).unwrap_or_else(|e| panic!("{e:?}\n{query}"));
        let name_of_type: String = self
            .client
            .query_one(&format!("SELECT pg_typeof(NULL::{})::text", sql_type(returns)), &[])
            .expect("a type")
            .get(0);
        let mut list = Vec::new();
        for answer in answers {
            let mut all: Vec<Option<String>> = answer.get(0);
            let first = all.remove(0);
            let stripped = first.map(|first| match first.strip_prefix(&format!("{name_of_type} ")) {
                Some(rest) => rest.to_owned(),
                None => first,
            });
            list.push((stripped, all));
        }
        list
    }

    fn done(self, least: usize) {
        let shown = self.wrong[..self.wrong.len().min(12)].join("\n");
        assert!(self.wrong.is_empty(), "{} of {} differ\n{shown}", self.wrong.len(), self.compared);
        assert!(self.compared >= least, "only {} groups were compared", self.compared);
        println!("{} groups", self.compared);
    }
}

/// Our answer as text, or `ERROR:` and the SQLSTATE.
fn compute(
    found: &Aggregate,
    columns: &[ColumnType],
    returns: &ColumnType,
    rows: &[Vec<Option<String>>],
) -> Option<String> {
    let answer = || -> Result<Value<'static>, EvalError> {
        let mut accumulator = found.start.expect("computed")(columns, returns);
        for row in rows {
            let values: Vec<Value<'_>> = row
                .iter()
                .zip(columns)
                .map(|(text, ty)| match text {
                    Some(text) => datum::read(ty, text.as_bytes()).unwrap_or_else(|e| panic!("{ty:?} {text}: {e}")),
                    None => Value::Null,
                })
                .collect();
            if !(found.strict && row.contains(&None)) {
                accumulator.add(&values)?;
            }
        }
        accumulator.finish()
    };
    match answer() {
        Ok(Value::Null) => {
            assert!(!found.never_null);
            None
        }
        Ok(value) => {
            let mut out = String::new();
            datum::write(returns, &value, &mut out);
            Some(out)
        }
        Err(e) => Some(format!("ERROR:{}", e.sqlstate)),
    }
}

fn mood() -> Type {
    Type::Enum(Arc::new(EnumType {
        oid: 0,
        name: QualifiedName::new("pg_temp", "mood"),
        labels: vec!["sad".into(), "ok".into(), "happy".into()],
    }))
}

fn array(element: Type) -> Type {
    Type::Array(Arc::new(element))
}

/// A text that the type's input function takes, or NULL; arrays in one shape more often than not.
fn of_type(ty: &Type, rng: &mut fastrand::Rng) -> Option<String> {
    match ty {
        Type::Enum(e) => (rng.u8(..6) > 0).then(|| e.labels[rng.usize(..e.labels.len())].clone()),
        Type::Array(element) => {
            const BOUNDS: &[&str] = &["", "[0:1]=", "[2:3]="];
            if rng.u8(..24) == 0 {
                return [None, Some("{}".to_owned()), Some("{{1,2},{3,4}}".to_owned())][rng.usize(..3)].clone();
            }
            let bounds = if rng.u8(..6) == 0 { BOUNDS[rng.usize(..3)] } else { "" };
            let elements: Vec<String> = (0..2)
                .map(|_| match of_type(element, rng) {
                    Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
                    None => "NULL".to_owned(),
                })
                .collect();
            Some(format!("{bounds}{{{}}}", elements.join(",")))
        }
        ty => value(Arg::of(ty), rng),
    }
}

const PLAIN: &[Arg] = &[
    Arg::Bool,
    Arg::Int2,
    Arg::Int4,
    Arg::Int8,
    Arg::Oid,
    Arg::Float4,
    Arg::Float8,
    Arg::Numeric,
    Arg::Text,
    Arg::Varchar,
    Arg::Bpchar,
    Arg::Name,
    Arg::Uuid,
    Arg::Bytea,
    Arg::Date,
    Arg::Time,
    Arg::TimeTz,
    Arg::Timestamp,
    Arg::TimestampTz,
    Arg::Interval,
    Arg::Json,
    Arg::Jsonb,
];

/// Every overload whose argument types can be made from their names alone.
#[test]
fn every_aggregate_answers_as_postgres() {
    let mut oracle = Oracle::connect();
    let plain = |arg: &&Arg| !matches!(arg, Arg::Any | Arg::AnyElement | Arg::AnyArray | Arg::AnyEnum | Arg::Other(_));
    for found in aggregate::all().filter(|a| a.start.is_ok()) {
        if found.args.iter().filter(plain).count() == found.args.len() {
            let types: Vec<Type> = found.args.iter().map(|a| plain_type(*a)).collect();
            oracle.check(found.name, &types);
        }
    }
    oracle.done(10_000);
}

#[test]
fn aggregates_of_any_type_answer_as_postgres() {
    let mut oracle = Oracle::connect();
    for ty in PLAIN.iter().map(|a| plain_type(*a)).chain([mood(), array(Type::Int4), array(Type::Text)]) {
        for name in ["count", "array_agg", "jsonb_agg", "json_agg"] {
            oracle.check(name, std::slice::from_ref(&ty));
        }
        for name in ["jsonb_object_agg", "json_object_agg"] {
            oracle.check(name, &[Type::Text, ty.clone()]);
            oracle.check(name, &[ty.clone(), Type::Int4]);
        }
    }
    for name in ["min", "max"] {
        for ty in [mood(), Type::Varchar] {
            oracle.check(name, &[ty]);
        }
    }
    oracle.done(10_000);
}

/// What is near the edges of the types comes by itself too seldom.
#[test]
fn sums_at_the_edges_answer_as_postgres() {
    let mut oracle = Oracle::connect();
    let groups = |lists: &[&[&str]]| -> Vec<Group> {
        lists.iter().map(|l| l.iter().map(|v| vec![Some((*v).to_owned())]).collect()).collect()
    };
    let huge = format!("9{}", "0".repeat(131_071));
    let integers = groups(&[&["9223372036854775807"; 3], &["-9223372036854775808"; 2], &["10000000000", "3"]]);
    oracle.check_groups("sum", &[Type::Int8], &integers);
    oracle.check_groups("avg", &[Type::Int8], &integers);
    let numbers = groups(&[
        &[&huge, &huge],
        &[&huge, &huge, &format!("-{huge}")],
        &["1", "2", "2"],
        &["0.0001", "0.00020"],
        &["NaN", "Infinity"],
        &["Infinity", "-Infinity"],
        &["Infinity", "1"],
        &["-Infinity", "-1"],
        &["1e-16383", "1"],
        &["0.00", "0"],
    ]);
    oracle.check_groups("sum", &[Type::Numeric], &numbers);
    oracle.check_groups("avg", &[Type::Numeric], &numbers);
    let floats = groups(&[
        &["1e308", "1e308"],
        &["1e200", "-1e200"],
        &["1e308", "1e308", "-1e308"],
        &["Infinity", "1"],
        &["1", "Infinity"],
        &["Infinity", "-Infinity"],
        &["0.1", "0.2", "0.3"],
        &["NaN", "1e308", "1e308"],
        &["-0"],
        &["-0", "-0"],
    ]);
    for name in ["sum", "avg", "min", "max"] {
        oracle.check_groups(name, &[Type::Float8], &floats);
    }
    let intervals = groups(&[
        &["2147483647 days", "1 day"],
        &["2147483647 months", "-1 month"],
        &["1 month", "1 day"],
        &["1 day", "24 hours", "1 day"],
    ]);
    for name in ["sum", "avg", "min", "max"] {
        oracle.check_groups(name, &[Type::Interval], &intervals);
    }
    oracle.done(60);
}

/// Resolution has to see what PostgreSQL sees.
#[test]
fn the_aggregates_are_those_of_the_server() {
    let mut oracle = Oracle::connect();
    let version: String = oracle.client.query_one("SHOW server_version_num", &[]).expect("a version").get(0);
    if !version.starts_with("15") {
        // The list is of 15; later versions add to it.
        return;
    }
    let rows = oracle
        .client
        .query(
            "SELECT concat(p.proname, '(', (SELECT string_agg(t.typname, ',' ORDER BY i) FROM unnest(p.proargtypes) \
             WITH ORDINALITY AS u(oid, i) JOIN pg_type AS t ON t.oid = u.oid), ')', \
             (SELECT ' by ' || oprname FROM pg_operator AS o WHERE o.oid = a.aggsortop)) \
             FROM pg_aggregate AS a JOIN pg_proc AS p ON p.oid = a.aggfnoid \
             WHERE p.pronamespace = 'pg_catalog'::regnamespace",
            &[],
        )
        .expect("the catalogue");
    let mut server: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let mut ours: Vec<String> = aggregate::all()
        // An extension's, which min and max of the same name must not be taken for.
        .filter(|a| a.args != [Arg::Citext])
        .map(|a| {
            let args: Vec<&str> = a.args.iter().map(|a| a.name()).collect();
            let by = a.sort.map(|s| format!(" by {s}")).unwrap_or_default();
            format!("{}({}){by}", a.name, args.join(","))
        })
        .collect();
    server.sort();
    ours.sort();
    assert_eq!(server, ours);
}
