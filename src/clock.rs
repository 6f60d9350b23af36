//! Time, handed in so that tests can hold it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds between 1970-01-01 and 2000-01-01, the zero of PostgreSQL's clock.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Milliseconds since 1970.
pub fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as i64
}

/// Microseconds since 2000-01-01, as PostgreSQL counts.
pub fn now_postgres_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as i64 - POSTGRES_EPOCH_MICROS
}
