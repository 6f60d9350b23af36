//! PostgreSQL's functions, operators and casts: the signatures of `pg_catalog`, and ours behind those we can match.
//!
//! `candidates` lists *all* overloads that `pg_catalog` has under a name that we know, implemented or not: overload
//! resolution must choose as PostgreSQL's would, and only then may the choice be refused.

use std::fmt;

pub mod arithmetic;
pub mod array;
pub mod array_search;
pub mod case;
pub mod cast;
pub mod cast_json;
pub mod comparison;
pub mod constant;
pub mod datetime;
pub mod datetime_field;
pub mod datetime_make;
mod datetime_unit;
pub mod datetime_zone;
mod declare;
pub mod float;
pub mod format;
pub mod inet;
pub mod json;
pub mod json_change;
pub mod json_contain;
pub mod jsonb_build;
pub mod like;
pub mod math;
pub mod nulls;
pub mod regex;
mod regex_pattern;
pub mod signatures;
pub mod text;
pub mod text_cut;
pub mod text_encode;
pub mod text_format;
pub mod to_char;
mod to_char_date;
mod to_char_number;
mod to_char_pattern;
pub mod to_date;

use crate::catalogue::{ColumnType, Type};
use crate::datum::Value;

/// One overload.
pub struct Function {
    /// `pg_proc.proname`, the operator's symbol, or for a cast `from->to` in type names.
    pub name: &'static str,
    pub kind: Kind,
    pub args: &'static [Arg],
    /// The last argument may be repeated (`VARIADIC "any"` or an array of it).
    pub variadic: bool,
    pub returns: Returns,
    /// NULL in, NULL out, without a call.
    pub strict: bool,
    pub volatility: Volatility,
    /// None: PostgreSQL has it, we refuse it; the text says what to write instead.
    pub eval: Result<Eval, &'static str>,
    /// May answer NULL for arguments that are not NULL (`nullif`, `'{}'::jsonb -> 'a'`).
    pub may_be_null: bool,
}

pub type Eval = for<'a> fn(&Call<'_>, &mut [Value<'a>]) -> Result<Value<'a>, EvalError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Function,
    /// Binary, or prefix with one argument.
    Operator,
    Cast(CastContext),
}

/// `pg_cast.castcontext`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    Implicit,
    Assignment,
    Explicit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// An argument's declared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    Bpchar,
    Char,
    Name,
    Citext,
    Uuid,
    Bytea,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    TextArray,
    Unknown,
    /// `"any"`
    Any,
    AnyElement,
    AnyArray,
    AnyEnum,
    /// A type that we hold by its text form only (`bit`, `inet`, `money`…): there for resolution, by its name.
    Other(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    Type(Arg),
    /// The type of the first `AnyElement`/`AnyArray`/`AnyEnum` argument.
    SameAsArgument,
    /// An array of the first argument.
    ArrayOfArgument,
}

/// What a function may know beside its arguments.
pub struct Call<'c> {
    pub context: &'c Context,
    /// The target's modifier, for casts; −1 without.
    pub typmod: i32,
    pub arg_types: &'c [ColumnType],
    pub returns: &'c ColumnType,
}

/// What the server decides: filled from it once, before a plan runs.
#[derive(Debug, Default)]
pub struct Context {
    pub case: CaseMap,
}

/// `upper`, `lower` and `initcap` by code point, as the server's own answers for every code point say.
/// Empty: ASCII only (collation C and POSIX).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CaseMap {
    /// Sorted by code point, only where the answer differs from the code point itself.
    pub upper: Vec<(char, char)>,
    pub lower: Vec<(char, char)>,
    /// Ranges of code points that `initcap` takes for part of a word, sorted.
    pub alphanumeric: Vec<(char, char)>,
}

/// What PostgreSQL would have raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalError {
    /// `22012` division_by_zero …
    pub sqlstate: &'static str,
    /// Without values of the row.
    pub message: String,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)
    }
}

impl std::error::Error for EvalError {}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.name, self.args)
    }
}

/// All overloads of a function's name, of an operator's symbol, or the cast `from->to` (see [`cast_name`]; the context
/// in `kind` is not looked at).
pub fn candidates(kind: Kind, name: &str) -> Vec<&'static Function> {
    signatures::lookup(kind, name).to_vec()
}

/// The cast from one type to another, if PostgreSQL has one; between text and anything it has one through the text form.
pub fn cast(from: &Type, to: &Type) -> Option<&'static Function> {
    let find = |name: &str| signatures::lookup(Kind::Cast(CastContext::Explicit), name).first().copied();
    // `inet->text` is not what `inet`'s text form says: a cast under the type's own name comes first.
    let own = |ty: &Type| match ty {
        Type::Other(other) => other.name.name.clone(),
        _ => Arg::of(ty).name().to_owned(),
    };
    find(&format!("{}->{}", own(from), own(to))).or_else(|| find(&cast_name(from, to)))
}

/// The name that a cast has here: `int4->text`, `anyenum->text`, `text->anyarray`, `other->text`.
pub fn cast_name(from: &Type, to: &Type) -> String {
    format!("{}->{}", Arg::of(from).name(), Arg::of(to).name())
}
