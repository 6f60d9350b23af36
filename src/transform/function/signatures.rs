//! The overloads of `pg_catalog`, and which of them are ours.
//!
//! `signatures.tsv` is what a PostgreSQL 15 answers (kind, name, argument types, result, volatility, strictness, and
//! `v` for VARIADIC or a cast's context); a test compares it with the server. What is listed there and implemented in
//! none of the `FUNCTIONS` takes part in the choice of an overload, and is refused when it is chosen.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Arg, CastContext, Function, Kind, Returns, Volatility};
use crate::catalogue::Type;

/// Every file's functions. The order says nothing.
pub(super) static IMPLEMENTED: &[&[Function]] = &[
    super::arithmetic::FUNCTIONS,
    super::array::FUNCTIONS,
    super::array_search::FUNCTIONS,
    super::case::FUNCTIONS,
    super::datetime::FUNCTIONS,
    super::datetime_field::FUNCTIONS,
    super::datetime_make::FUNCTIONS,
    super::datetime_zone::FUNCTIONS,
    super::to_char::FUNCTIONS,
    super::to_date::FUNCTIONS,
    super::cast::FUNCTIONS,
    super::cast_json::FUNCTIONS,
    super::comparison::FUNCTIONS,
    super::float::FUNCTIONS,
    super::format::FUNCTIONS,
    super::inet::FUNCTIONS,
    super::json::FUNCTIONS,
    super::json_change::FUNCTIONS,
    super::json_contain::FUNCTIONS,
    super::jsonb_build::FUNCTIONS,
    super::like::FUNCTIONS,
    super::math::FUNCTIONS,
    super::text::FUNCTIONS,
    super::nulls::FUNCTIONS,
    super::regex::FUNCTIONS,
    super::text_cut::FUNCTIONS,
    super::text_encode::FUNCTIONS,
    super::text_format::FUNCTIONS,
];

const TSV: &str = include_str!("signatures.tsv");
const REFUSED: &str = "this overload cannot be computed exactly as PostgreSQL does; cast the arguments to a supported type, or leave it to a generated column";

type Overloads = HashMap<&'static str, Vec<&'static Function>>;

/// Functions, operators, casts.
static TABLE: LazyLock<[Overloads; 3]> = LazyLock::new(build);

pub(super) fn lookup(kind: Kind, name: &str) -> &'static [&'static Function] {
    TABLE[index(kind)].get(name).map_or(&[], Vec::as_slice)
}

/// Every overload that is implemented.
pub fn implemented() -> impl Iterator<Item = &'static Function> {
    IMPLEMENTED.iter().copied().flatten()
}

fn index(kind: Kind) -> usize {
    match kind {
        Kind::Function => 0,
        Kind::Operator => 1,
        Kind::Cast(_) => 2,
    }
}

fn build() -> [Overloads; 3] {
    let mut table = [Overloads::new(), Overloads::new(), Overloads::new()];
    for function in implemented() {
        table[index(function.kind)].entry(function.name).or_default().push(function);
    }
    for function in TSV.lines().filter_map(refused) {
        let overloads = table[index(function.kind)].entry(function.name).or_default();
        if !overloads.iter().any(|f| f.args == function.args && f.variadic == function.variadic) {
            // Once per process, for a table that lives as long as it.
            overloads.push(Box::leak(Box::new(function)));
        }
    }
    table
}

fn refused(line: &'static str) -> Option<Function> {
    let mut fields = line.split('\t');
    let (kind, name, args, returns) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (volatility, strict, extra) = (fields.next()?, fields.next()?, fields.next()?);
    let kind = match (kind, extra) {
        ("o", _) => Kind::Operator,
        ("f", _) => Kind::Function,
        (_, "i") => Kind::Cast(CastContext::Implicit),
        (_, "a") => Kind::Cast(CastContext::Assignment),
        (_, _) => Kind::Cast(CastContext::Explicit),
    };
    let args: Vec<Arg> = args.split(',').filter(|a| !a.is_empty()).map(Arg::named).collect();
    Some(Function {
        name,
        kind,
        args: Box::leak(args.into_boxed_slice()),
        variadic: extra == "v",
        returns: match Arg::named(returns) {
            Arg::AnyElement | Arg::AnyArray | Arg::AnyEnum => Returns::SameAsArgument,
            arg => Returns::Type(arg),
        },
        strict: strict == "s",
        volatility: match volatility {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        eval: Err(REFUSED),
        may_be_null: true,
    })
}

/// `pg_type.typname` of what has a variant of its own.
const NAMES: &[(Arg, &str)] = &[
    (Arg::Bool, "bool"),
    (Arg::Int2, "int2"),
    (Arg::Int4, "int4"),
    (Arg::Int8, "int8"),
    (Arg::Oid, "oid"),
    (Arg::Float4, "float4"),
    (Arg::Float8, "float8"),
    (Arg::Numeric, "numeric"),
    (Arg::Text, "text"),
    (Arg::Varchar, "varchar"),
    (Arg::Bpchar, "bpchar"),
    (Arg::Char, "char"),
    (Arg::Name, "name"),
    (Arg::Citext, "citext"),
    (Arg::Uuid, "uuid"),
    (Arg::Bytea, "bytea"),
    (Arg::Date, "date"),
    (Arg::Time, "time"),
    (Arg::TimeTz, "timetz"),
    (Arg::Timestamp, "timestamp"),
    (Arg::TimestampTz, "timestamptz"),
    (Arg::Interval, "interval"),
    (Arg::Json, "json"),
    (Arg::Jsonb, "jsonb"),
    (Arg::TextArray, "_text"),
    (Arg::Unknown, "unknown"),
    (Arg::Any, "any"),
    (Arg::AnyElement, "anyelement"),
    (Arg::AnyArray, "anyarray"),
    (Arg::AnyEnum, "anyenum"),
];

impl Arg {
    /// `pg_type.typname`.
    pub fn name(self) -> &'static str {
        match self {
            Arg::Other(name) => name,
            arg => NAMES.iter().find(|(a, _)| *a == arg).map_or("unknown", |(_, name)| name),
        }
    }

    pub fn named(name: &'static str) -> Arg {
        NAMES.iter().find(|(_, n)| *n == name).map_or(Arg::Other(name), |(arg, _)| *arg)
    }

    /// What a type is to overloads and casts: each enum is `anyenum`, each array `anyarray`.
    pub fn of(ty: &Type) -> Arg {
        match ty {
            Type::Bool => Arg::Bool,
            Type::Int2 => Arg::Int2,
            Type::Int4 => Arg::Int4,
            Type::Int8 => Arg::Int8,
            Type::Oid => Arg::Oid,
            Type::Float4 => Arg::Float4,
            Type::Float8 => Arg::Float8,
            Type::Numeric => Arg::Numeric,
            Type::Text => Arg::Text,
            Type::Varchar => Arg::Varchar,
            Type::Bpchar => Arg::Bpchar,
            Type::Char => Arg::Char,
            Type::Name => Arg::Name,
            Type::Citext => Arg::Citext,
            Type::Uuid => Arg::Uuid,
            Type::Bytea => Arg::Bytea,
            Type::Date => Arg::Date,
            Type::Time => Arg::Time,
            Type::TimeTz => Arg::TimeTz,
            Type::Timestamp => Arg::Timestamp,
            Type::TimestampTz => Arg::TimestampTz,
            Type::Interval => Arg::Interval,
            Type::Json => Arg::Json,
            Type::Jsonb => Arg::Jsonb,
            Type::Enum(_) => Arg::AnyEnum,
            Type::Array(_) => Arg::AnyArray,
            Type::Composite(_) => Arg::Other("record"),
            Type::Other(_) => Arg::Other("other"),
            Type::Unknown => Arg::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What we say of an overload is what `pg_catalog` says of it.
    #[test]
    fn implemented_overloads_are_declared_as_in_pg_catalog() {
        let server: Vec<Function> = TSV.lines().map(|line| refused(line).expect("seven fields")).collect();
        let mut wrong = Vec::new();
        for ours in implemented().filter(|f| f.eval.is_ok()) {
            let same = |f: &&Function| index(f.kind) == index(ours.kind) && f.name == ours.name && f.args == ours.args;
            let Some(theirs) = server.iter().find(same) else { continue };
            // A SQL function that the planner inlines: its cast to timestamp may fail before a NULL field counts.
            let strict = theirs.strict && !(ours.name == "date_part" && ours.args == [Arg::Text, Arg::Date]);
            let differ = ours.kind != theirs.kind
                || ours.returns != theirs.returns
                || ours.strict != strict
                || ours.volatility != theirs.volatility;
            if differ {
                wrong.push(format!(
                    "{ours:?}: {:?} {:?} strict {} {:?}",
                    theirs.kind, theirs.returns, theirs.strict, theirs.volatility
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
