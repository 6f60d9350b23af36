//! 1: bytes from the slot. The only room that knows PostgreSQL connections.
//!
//! `connection` speaks the protocol (on `socket`, `tls`, `wire`, `auth`, `passfile`); `slot` makes and looks at slots; `timeline` decides
//! whether a server goes on where it stopped; `stream` starts replication and runs the `reader` thread, which paces
//! itself (`pace`), answers keepalives (`feedback`) and hands over whole buffers (`chunk`).
//!
//! `catalogue` reads tables and types, `publication` keeps what is sent, `snapshot` loads tables as of one position,
//! `watch` finds what the stream does not tell; `preflight`, `setup` and `schema_sql` are for people.

pub mod catalogue;
pub mod catalogue_codes;
pub mod chunk;
pub mod codes;
pub mod connection;
pub mod error;
pub mod feedback;
pub mod options;
pub mod preflight;
pub mod publication;
pub mod rows;
pub mod schema_sql;
pub mod server_error;
pub mod setup;
pub mod slot;
pub mod snapshot;
pub mod statistics;
pub mod stream;
pub mod timeline;
pub mod watch;

mod ask;
mod auth;
mod keepalive;
mod pace;
mod passfile;
mod probe;
mod queue;
mod reader;
mod socket;
mod tls;
mod wire;

pub use ask::ReadError;
pub use chunk::{Chunk, ReplicationMessage};
pub use connection::{CancelToken, Connection, CopyError, Mode, connect};
pub use error::{Error, ProtocolError};
pub use feedback::{Counters, Feedback};
pub use options::Options;
pub use rows::{ResultRow, Rows};
pub use server_error::ServerError;
pub use stream::{Stream, StreamOptions};
pub use tls::TlsError;
