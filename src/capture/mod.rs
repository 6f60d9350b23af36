//! 1: bytes from the slot. The only room that knows PostgreSQL connections.
//!
//! `connection` speaks the protocol (on `socket`, `wire`, `auth`); `slot` makes and looks at slots; `timeline` decides
//! whether a server goes on where it stopped; `stream` starts replication and runs the `reader` thread, which paces
//! itself (`pace`), answers keepalives (`feedback`) and hands over whole buffers (`chunk`).

pub mod catalogue;
pub mod catalogue_codes;
pub mod codes;
pub mod connection;
pub mod error;
pub mod options;
pub mod preflight;
pub mod publication;
pub mod rows;
pub mod schema_sql;
pub mod server_error;
pub mod setup;
pub mod slot;
pub mod snapshot;
pub mod watch;

mod ask;
mod auth;
mod socket;
mod wire;

pub use connection::{CancelToken, Connection, CopyError, Mode, connect};
pub use error::{Error, ProtocolError};
pub use options::Options;
pub use rows::{ResultRow, Rows};
pub use server_error::ServerError;
