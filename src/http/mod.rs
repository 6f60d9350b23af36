//! What the outside asks the process: HTTP for probes, metrics and status, a unix socket for commands.
//!
//! The rule: an answer never waits for PostgreSQL, Kafka or the pipeline. Everything served is a value that others put
//! here beforehand, or a closure that only reads such values. No secret and no row value is served.

pub mod control;
mod connections;
mod health;
mod policy;
mod server;

pub use health::{Health, Pulse};
pub use server::{HttpError, Server};

use std::sync::Arc;

/// The content of `/status`, read at each request.
pub type StatusSource = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;
