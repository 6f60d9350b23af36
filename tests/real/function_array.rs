//! Array functions and operators against PostgreSQL: several dimensions, bounds, NULLs, empty arrays, elements that need
//! quotes.

use std::sync::Arc;

use pgspine::catalogue::{ColumnType, EnumType, QualifiedName, Type};
use pgspine::transform::function::{self, Arg, Function, Returns};

use crate::differential::{Oracle, Subject, edges, plain_type, value};

const CASES: usize = 200;

/// Element types, text in the order of bytes: the subject's SQL asks for it.
fn elements() -> Vec<Type> {
    let plain = [
        Arg::Bool,
        Arg::Int2,
        Arg::Int4,
        Arg::Int8,
        Arg::Float4,
        Arg::Float8,
        Arg::Numeric,
        Arg::Text,
        Arg::Varchar,
        Arg::Bpchar,
        Arg::Uuid,
        Arg::Bytea,
        Arg::Date,
        Arg::Time,
        Arg::Timestamp,
        Arg::TimestampTz,
        Arg::Interval,
    ];
    let mood = EnumType {
        oid: 0,
        name: QualifiedName::new("pg_temp", "mood"),
        labels: vec!["sad".into(), "ok".into(), "happy".into()],
    };
    plain.into_iter().map(plain_type).chain([Type::Enum(Arc::new(mood))]).collect()
}

/// A few values often, so that elements meet; others sometimes.
fn element(ty: &Type, rng: &mut fastrand::Rng) -> Option<String> {
    if let Type::Enum(e) = ty {
        return (rng.u8(..6) > 0).then(|| e.labels[rng.usize(..e.labels.len())].clone());
    }
    let few = edges(Arg::of(ty));
    match rng.u8(..8) {
        0 => None,
        1 => value(Arg::of(ty), rng),
        _ => Some(few[rng.usize(..few.len().min(4))].to_owned()),
    }
}

/// Braces, nested as deep as there are lengths.
fn braces(ty: &Type, lengths: &[usize], out: &mut String, rng: &mut fastrand::Rng) {
    let Some((length, inner)) = lengths.split_first() else {
        match element(ty, rng) {
            Some(text) => out.push_str(&format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
            None => out.push_str("NULL"),
        }
        return;
    };
    out.push('{');
    for i in 0..*length {
        if i > 0 {
            out.push(',');
        }
        braces(ty, inner, out, rng);
    }
    out.push('}');
}

fn array(ty: &Type, rng: &mut fastrand::Rng) -> Option<String> {
    let lengths: &[usize] = match rng.u8(..16) {
        0 => return None,
        1 | 2 => return Some("{}".to_owned()),
        3 => &[2, 2],
        4 => &[1, 2],
        5 => &[2, 1, 2],
        6 => &[1, 1, 1, 1, 1, 1],
        7 | 8 => &[1],
        9 | 10 => &[3],
        11 => &[5],
        _ => &[2],
    };
    let mut text = String::new();
    if rng.u8(..4) == 0 {
        const LOWERS: &[i64] = &[0, -2, 2, 1, i32::MIN as i64, i32::MAX as i64 - 5];
        for length in lengths {
            let lower = LOWERS[rng.usize(..LOWERS.len())];
            text.push_str(&format!("[{lower}:{}]", lower + *length as i64 - 1));
        }
        text.push('=');
    }
    braces(ty, lengths, &mut text, rng);
    Some(text)
}

fn argument(ty: &Type, rng: &mut fastrand::Rng) -> Option<String> {
    const TEXTS: &[&str] = &[",", "", "a", ", ", "NULL", "é", "a,b,,c", "1,2,3", "aXbX", "日本", "NULL,a", "{", "\""];
    const NUMBERS: &[&str] = &["1", "2", "0", "3", "-1", "7", "-2147483648", "2147483647"];
    match (ty, rng.u8(..12)) {
        (_, 0) => None,
        (Type::Text, _) => Some(TEXTS[rng.usize(..TEXTS.len())].to_owned()),
        _ => Some(NUMBERS[rng.usize(..NUMBERS.len())].to_owned()),
    }
}

/// The overload over arrays of one type.
fn subject(f: &'static Function, of: &Type) -> Subject<'static> {
    let list = |ty: Type| Type::Array(Arc::new(ty));
    let typed = |arg: Arg| match arg {
        Arg::AnyArray | Arg::Other("anycompatiblearray") => list(of.clone()),
        Arg::Other("anycompatible") => of.clone(),
        Arg::Other("_int4") => list(Type::Int4),
        arg => plain_type(arg),
    };
    let Returns::Type(returns) = f.returns else { panic!("{f:?}") };
    let args = f.args.iter().map(|a| ColumnType::plain(typed(*a))).collect();
    Subject { function: f, sql: "", args, returns: ColumnType::plain(typed(returns)) }
}

fn check_all(functions: &'static [Function]) {
    let mut oracle = Oracle::connect();
    oracle.client.batch_execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy')").expect("an enum");
    let mut wrong = Vec::new();
    for f in functions {
        for of in elements() {
            let subject = subject(f, &of);
            let inputs: Vec<Vec<Option<String>>> = (0..subject.args.len())
                .map(|i| {
                    let one = |rng: &mut fastrand::Rng| match (&subject.args[i].ty, f.args[i]) {
                        (Type::Array(of), _) => array(of, rng),
                        (ty, Arg::Other("anycompatible")) => element(ty, rng),
                        (ty, _) => argument(ty, rng),
                    };
                    (0..CASES).map(|_| one(&mut oracle.rng)).collect()
                })
                .collect();
            let sql = subject.sql_of_call();
            let text = matches!(of, Type::Text | Type::Varchar | Type::Bpchar) && f.name.starts_with(['<', '>']);
            let sql = if text { sql.replace("$2", "$2 COLLATE \"C\"") } else { sql };
            wrong.extend(oracle.differences(&Subject { sql: &sql, ..subject }, &inputs));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn arrays_are_taken_apart_and_put_together_as_by_postgres() {
    check_all(function::array::FUNCTIONS);
}

#[test]
fn arrays_are_searched_and_compared_as_by_postgres() {
    check_all(function::array_search::FUNCTIONS);
}
