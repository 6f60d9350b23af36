//! pgspine: committed changes of a PostgreSQL database as entities on Kafka, exactly once.
//!
//! The modules stand in the order in which one change walks through them:
//!
//! ```text
//!  capture ─ CopyData bytes ─▶ decode ─ LogicalMessage ─▶ assemble ─ Transaction ─▶ transform + state
//!                                                                                        │ EntityChange
//!  slot ◀─ confirm ◀─ Durable ◀─ state ◀─ Committed ◀─ emit ◀─ OutputBatch ◀─ encode ◀───┘
//! ```
//!
//! Data flows one way; the only arrow back is the confirmed position. `decode`, `assemble`, `transform` and `encode`
//! are synchronous and know neither Kafka nor PostgreSQL connections. `ARCHITECTURE.md` has the rules.

// The vocabulary: what every room speaks. It imports nothing else of ours.
pub mod catalogue;
pub mod change;
pub mod credential;
pub mod datum;
pub mod diagnostic;
pub mod lsn;
pub mod record;
pub mod relation;
pub mod row;
mod varint;

// The journey of one change.
pub mod capture;
pub mod decode;
pub mod assemble;
pub mod transform;
pub mod encode;
pub mod emit;
pub mod engine;
pub mod state;
pub mod confirm;

// Around it.
pub mod cli;
pub mod clock;
pub mod config;
pub mod failpoints;
pub mod http;
pub mod metrics;
pub mod registry;
pub mod runtime;
pub mod scratch_postgres;
pub mod testing;
