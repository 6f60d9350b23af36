//! Numbers, comparisons and casts against PostgreSQL.

use pgspine::transform::function::signatures;

use crate::differential::{Oracle, Subject, value};

#[test]
fn every_overload_with_types_of_its_own_answers_as_postgres() {
    let mut oracle = Oracle::connect();
    let _ = (&mut oracle, Subject::of, value, signatures::implemented().count());
}
