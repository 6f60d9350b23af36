//! `*.test.sql`: transactions as people write them, and what each of them must bring to the topics.
//!
//! `file` reads a test (`scan` splits the SQL, `expectation` reads the comments that are more than comments), `find`
//! finds them below `transforms/`. `server` and `database` are a throwaway place to run one; `bridge` is the engine of
//! `run` over real decoded bytes, without Kafka; `watch` plays one file and `compare` says what differs. `answer` is the
//! other way to the same records, from what PostgreSQL answers to the SELECT.
//!
//! The rule: a test passes because PostgreSQL and its author agree with the engine, never because the engine agrees
//! with itself.

pub mod answer;
mod bridge;
pub mod codes;
mod compare;
mod database;
mod expectation;
mod file;
mod find;
mod fold;
mod play;
mod scan;
mod server;

pub use file::TestFile;
pub use find::{Found, find};
pub use play::{Outcome, Played, Stage, play};
pub use server::{Server, ServerError};
