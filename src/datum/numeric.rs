//! `numeric`: a decimal number with its display scale, or NaN, or an infinity.

#[derive(Clone, Debug)]
pub struct Numeric {}
