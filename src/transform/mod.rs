//! 4: from a transform file to a plan, and from rows to values.
//!
//! `parse` reads the file (header, one SELECT) into our own small syntax tree; `bind` resolves names, functions,
//! operators and casts against the catalogue as PostgreSQL's parser does, and refuses by name what cannot be exact;
//! the result is a [`Plan`] of typed expressions; `eval` computes them. PostgreSQL is the oracle: what `psql -f` on the
//! file answers is what the topic must hold.

pub mod function;
pub mod plan;

pub use plan::{Expr, ExprKind, Field, Output, Plan, Shape, Source, UsedColumn};
