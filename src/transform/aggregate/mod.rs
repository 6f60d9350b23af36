//! PostgreSQL's aggregates: signatures for overload resolution, and what computes them.

use super::function::{Arg, EvalError, Returns};
use crate::catalogue::ColumnType;
use crate::datum::Value;

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

/// All overloads that `pg_catalog` has under a name that we know.
pub fn candidates(_name: &str) -> Vec<&'static Aggregate> {
    Vec::new()
}
