//! 4: from a transform file to a plan, and from rows to values.
//!
//! `parse` reads the file (header, one SELECT) into our own small syntax tree; `bind` resolves names, functions,
//! operators and casts against the catalogue as PostgreSQL's parser does, and refuses by name what cannot be exact;
//! the result is a [`Plan`] of typed expressions; `eval` computes them. PostgreSQL is the oracle: what `psql -f` on the
//! file answers is what the topic must hold.

pub mod aggregate;
mod array;
pub mod bind;
pub mod codes;
pub mod eval;
pub mod explain;
pub mod function;
pub mod parse;
pub mod plan;
pub mod source;
pub mod block;
pub mod link;
pub(crate) mod subquery;
pub mod walk;

pub use bind::bind;
pub use eval::{Lookup, Scope};
pub use explain::Explained;
pub use plan::{
    Block, Expr, ExprKind, Field, KeyForm, Link, LinkColumn, Output, Plan, Shape, Source, Step, UsedColumn,
};
pub use source::{TransformFile, discover};

/// The known name that a wrong one was most likely meant to be.
pub(crate) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
