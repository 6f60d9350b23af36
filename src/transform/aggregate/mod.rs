//! PostgreSQL's aggregates: signatures for overload resolution, and what computes them.
//!
//! `candidates` lists *all* overloads that `pg_catalog` has under a name that we know, computed or refused: resolution
//! must choose as PostgreSQL's would, and only then may the choice be refused. A test compares the list with the server.

mod array;
mod boolean;
mod count;
mod extreme;
mod float;
mod interval;
mod json;
mod number;
mod refused;
mod text;

use std::sync::Arc;

use super::bind::resolve::{self, Overload};
use super::bind::types;
use super::function::{Arg, EvalError, Returns};
use crate::catalogue::{ColumnType, Type};
use crate::datum::Value;

pub use super::bind::resolve::Unresolved;
pub(in crate::transform) use array::of_rows;

/// One overload.
pub struct Aggregate {
    /// `pg_proc.proname`
    pub name: &'static str,
    pub args: &'static [Arg],
    pub returns: Returns,
    /// Rows with a NULL argument are passed over, before DISTINCT is looked at.
    pub strict: bool,
    /// The answer over no rows is a value, not NULL: `count`.
    pub never_null: bool,
    /// The answer depends on the order of rows: it is refused without an ORDER BY.
    pub ordered: bool,
    /// `pg_aggregate.aggsortop`: by whose order of the argument the answer is chosen, `<` for `min` and `>` for `max`.
    /// Of text it must be an order that we have.
    pub sort: Option<&'static str>,
    /// Err: PostgreSQL has it, we refuse it; the text says what to write instead.
    pub start: Result<Start, &'static str>,
}

/// Makes an accumulator for arguments of these types and this answer.
pub type Start = fn(&[ColumnType], &ColumnType) -> Box<dyn Accumulator>;

/// What has been seen of one group.
pub trait Accumulator {
    /// One row's arguments.
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError>;
    fn finish(&mut self) -> Result<Value<'static>, EvalError>;
}

impl std::fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})", self.name, self.args)
    }
}

impl Overload for Aggregate {
    fn args(&self) -> &'static [Arg] {
        self.args
    }

    fn variadic(&self) -> bool {
        false
    }
}

/// Each file's overloads.
static ALL: &[&[Aggregate]] = &[
    array::AGGREGATES,
    boolean::AGGREGATES,
    count::AGGREGATES,
    extreme::AGGREGATES,
    float::AGGREGATES,
    interval::AGGREGATES,
    json::AGGREGATES,
    number::AGGREGATES,
    refused::AGGREGATES,
    text::AGGREGATES,
];

/// Every overload, the refused ones too.
pub fn all() -> impl Iterator<Item = &'static Aggregate> {
    ALL.iter().copied().flatten()
}

/// All overloads that `pg_catalog` has under a name that we know.
pub fn candidates(name: &str) -> Vec<&'static Aggregate> {
    all().filter(|a| a.name == name).collect()
}

pub fn is_aggregate(name: &str) -> bool {
    all().any(|a| a.name == name)
}

/// The overload for arguments of these types; `count(*)` has none.
pub fn resolve(name: &str, args: &[Type]) -> Result<&'static Aggregate, Unresolved> {
    let all = candidates(name);
    match resolve::choose(all.clone(), args) {
        // Where all are refused, the reason says more than that the types do not fit.
        Err(_) if !all.is_empty() && all.iter().all(|a| a.start.is_err()) => Ok(all[0]),
        answer => answer,
    }
}

impl Aggregate {
    /// The answer's type for arguments of these types: without a modifier and, as yet, without a collation.
    pub fn returned(&self, args: &[ColumnType]) -> ColumnType {
        let of_argument = || args.first().map(|a| a.ty.clone());
        let ty = match self.returns {
            Returns::Type(arg) => types::concrete(arg),
            Returns::SameAsArgument => of_argument(),
            Returns::ArrayOfArgument => of_argument().map(|ty| Type::Array(Arc::new(ty))),
        };
        ColumnType::plain(ty.unwrap_or(Type::Text))
    }

    /// Whether `min` or `max` can meet values that are equal and do not look alike (`1.0` and `1.00`): which of them is
    /// the answer depends on the order of rows; without an ORDER BY PostgreSQL takes any.
    pub fn ties_differ(&self, args: &[ColumnType]) -> bool {
        self.sort.is_some() && args.first().is_some_and(|a| equal_may_differ(&a.ty, a.typmod))
    }
}

/// Whether the type has values that are equal and do not look alike.
pub fn equal_may_differ(ty: &Type, typmod: i32) -> bool {
    match ty {
        Type::Float4 | Type::Float8 | Type::Interval | Type::Citext => true,
        Type::Numeric | Type::Bpchar => typmod < 0,
        Type::Array(element) => equal_may_differ(element, typmod),
        _ => false,
    }
}

/// An aggregate that passes over NULLs and does not look at the order of rows.
const fn aggregate(name: &'static str, args: &'static [Arg], returns: Arg, start: Start) -> Aggregate {
    Aggregate {
        name,
        args,
        returns: Returns::Type(returns),
        strict: true,
        never_null: false,
        ordered: false,
        sort: None,
        start: Ok(start),
    }
}

const fn refused(name: &'static str, args: &'static [Arg], returns: Arg, instead: &'static str) -> Aggregate {
    Aggregate { start: Err(instead), ..aggregate(name, args, returns, never) }
}

const fn ordered(aggregate: Aggregate) -> Aggregate {
    Aggregate { ordered: true, ..aggregate }
}

/// Sees rows with NULLs too.
const fn lenient(aggregate: Aggregate) -> Aggregate {
    Aggregate { strict: false, ..aggregate }
}

fn never(_: &[ColumnType], _: &ColumnType) -> Box<dyn Accumulator> {
    Box::new(Never)
}

struct Never;

impl Accumulator for Never {
    fn add(&mut self, _: &[Value<'_>]) -> Result<(), EvalError> {
        Err(error("0A000", "a refused aggregate was called"))
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Err(error("0A000", "a refused aggregate was called"))
    }
}

fn error(sqlstate: &'static str, message: impl Into<String>) -> EvalError {
    EvalError { sqlstate, message: message.into() }
}

/// The plan's types and the values disagree: a defect of ours, never data.
fn mismatch() -> EvalError {
    error("XX000", "an aggregate's argument is held by another form than its type")
}

fn int(args: &[Value<'_>]) -> Result<i64, EvalError> {
    match args.first() {
        Some(Value::Int(n)) => Ok(*n),
        _ => Err(mismatch()),
    }
}
