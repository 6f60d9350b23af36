//! What the bridge says of itself: `/status`, and the same in words.
//!
//! The stages report plain values ([`facts`]); ten checks ([`checks`]) and one sentence ([`verdict`]) are made from them
//! when somebody asks, without waiting for anything. `docs/status.schema.json` describes the document.

pub mod checks;
mod document;
pub mod facts;
mod rates;
pub mod verdict;
mod words;

#[cfg(test)]
mod tests;

pub use document::{Since, document};
pub use facts::{Facts, Large, Loading, Problem, Side, SlotLook, TopicStatus};
pub use verdict::Verdict;
pub use words::{age, bytes, count, duration};
