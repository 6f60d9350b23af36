//! What can go wrong between us and the server, and which of it may pass by itself.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::codes;
use super::options::OptionsError;
use super::server_error::ServerError;
use super::tls::TlsError;
use crate::diagnostic::Diagnostic;
use crate::lsn::Lsn;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the connection options cannot be used")]
    Options(#[from] OptionsError),
    #[error("cannot connect to {address}")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the password file {} cannot be read", .path.display())]
    PasswordFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the server asks for authentication by {method}, which is not supported; use scram-sha-256")]
    AuthenticationMethod { method: String },
    #[error("the server asks for a password, and none is set")]
    NoPassword,
    #[error("the server's part of the SCRAM exchange does not hold")]
    Scram(#[source] io::Error),
    #[error("channel_binding=require, and {0}")]
    NoChannelBinding(&'static str),
    #[error("require_auth does not allow {method}, by which the server authenticates")]
    MethodNotAllowed { method: &'static str },
    #[error("no TLS connection to the server")]
    Tls(#[from] TlsError),
    #[error("the server does not take this connection without TLS")]
    TlsDemanded(#[source] Box<ServerError>),
    #[error("the server demands a client certificate")]
    ClientCertificate(#[source] Box<ServerError>),
    #[error("the server answered with an error")]
    Server(#[from] Box<ServerError>),
    #[error("the server's message does not fit the protocol")]
    Protocol(#[from] ProtocolError),
    #[error("the connection failed")]
    Io(#[source] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("no answer within the time limit")]
    ReadTimeout,
    #[error("an earlier failure left this connection in an unknown state")]
    Broken,
    #[error("the answer has no column {column}, or its value {value:?} is not what it should be")]
    Answer { column: String, value: Option<String> },
    #[error("{count} rows came where one was expected")]
    RowCount { count: usize },
    #[error("wal_level is {0}, and must be logical")]
    WalLevel(String),
    #[error("role {role} may not use replication")]
    NoReplicationRight {
        role: String,
        #[source]
        source: Box<ServerError>,
    },
    #[error("no replication slot or walsender is free")]
    NoFreeSlot(#[source] Box<ServerError>),
    #[error("{name:?} is not a slot name: 1 to 63 of a-z, 0-9 and _")]
    SlotName { name: String },
    #[error("slot {slot} belongs to {plugin}, not to pgoutput")]
    SlotPlugin { slot: String, plugin: String },
    #[error("slot {slot} belongs to database {found}, not to {wanted}")]
    SlotDatabase { slot: String, found: String, wanted: String },
    #[error("slot {slot} does not exist")]
    SlotMissing { slot: String },
    #[error("slot {slot} is in use{}", .pid.map(|p| format!(" by the server process {p}")).unwrap_or_default())]
    SlotActive { slot: String, pid: Option<u32> },
    #[error("slot {slot} is lost: {reason}")]
    SlotLost { slot: String, reason: String },
    #[error("the server is on timeline {timeline} since {switch}, and {received} was received from timeline {from}")]
    TimelineBreak { from: u32, timeline: u32, switch: Lsn, received: Lsn },
    #[error("the server shuts down, and {demanded} could not be confirmed within {waited:?}")]
    ServerShutdown { demanded: Lsn, waited: Duration },
    #[error("the stream was stopped")]
    Stopped,
}

/// A message that a PostgreSQL server does not send.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProtocolError {
    #[error("message {} announces {len} bytes", tag_name(.tag))]
    Length { tag: u8, len: usize },
    #[error("message {} ends too early", tag_name(.tag))]
    Short { tag: u8 },
    #[error("message {} holds text that is not UTF-8", tag_name(.tag))]
    NotUtf8 { tag: u8 },
    #[error("message {} while {state}", tag_name(.tag))]
    Unexpected { tag: u8, state: &'static str },
    #[error("CopyData of the unknown kind {}", tag_name(.tag))]
    UnknownCopyData { tag: u8 },
}

fn tag_name(tag: &u8) -> String {
    if tag.is_ascii_graphic() { format!("'{}'", *tag as char) } else { format!("{tag:#04x}") }
}

impl Error {
    /// A failed read or write: a timeout is told apart from a broken connection.
    pub fn from_io(e: io::Error) -> Error {
        match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::ReadTimeout,
            _ => match e.downcast::<rustls::Error>() {
                Ok(tls) => Error::Tls(tls.into()),
                Err(e) => Error::Io(e),
            },
        }
    }

    /// True when a new connection, later, may go well without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Connect { .. } | Error::Io(_) | Error::Closed | Error::ReadTimeout | Error::Broken => true,
            Error::SlotActive { .. } | Error::ServerShutdown { .. } => true,
            Error::Server(e) => e.is_transient(),
            // A secret that is just being replaced is away for a moment.
            Error::PasswordFile { .. } => true,
            Error::Options(_) | Error::AuthenticationMethod { .. } | Error::NoPassword | Error::Scram(_) => false,
            Error::NoChannelBinding(_) | Error::MethodNotAllowed { .. } => false,
            // The network can end a handshake; a certificate has to be replaced by somebody.
            Error::Tls(TlsError::ClosedInHandshake) => true,
            Error::Tls(_) | Error::TlsDemanded(_) | Error::ClientCertificate(_) => false,
            Error::Protocol(_) | Error::Answer { .. } | Error::RowCount { .. } => false,
            Error::WalLevel(_) | Error::NoReplicationRight { .. } => false,
            // A walsender or temporary slot of a dead connection is freed by itself; slots that stay are not.
            Error::NoFreeSlot(e) => e.is_transient(),
            Error::SlotName { .. } | Error::SlotPlugin { .. } | Error::SlotDatabase { .. } => false,
            Error::SlotMissing { .. } | Error::SlotLost { .. } | Error::TimelineBreak { .. } => false,
            Error::Stopped => false,
        }
    }

    /// True when a secret or certificate that is being replaced, here or on the server, explains it: both sides of a
    /// rotation are seldom there at the same moment.
    pub fn is_credentials(&self) -> bool {
        match self {
            Error::Tls(_) | Error::ClientCertificate(_) | Error::NoPassword | Error::Scram(_) => true,
            Error::Server(e) => e.sqlstate.starts_with("28"),
            _ => false,
        }
    }

    /// The finding for people: one line with the chain of causes, and what to do.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = self.code_and_help();
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(e) = source {
            message = format!("{message}: {e}");
            source = e.source();
        }
        Diagnostic::error(code, message).help(help)
    }

    fn code_and_help(&self) -> (crate::diagnostic::Code, String) {
        let (code, help) = match self {
            Error::Tls(e) => e.code_and_help(),
            Error::TlsDemanded(_) => {
                (codes::TLS_DEMANDED, "use sslmode=verify-full, or add a line for this role and address to pg_hba.conf")
            }
            Error::ClientCertificate(_) => (
                codes::CLIENT_CERTIFICATE,
                "set sslcert and sslkey to a certificate of an authority in the server's ssl_ca_file",
            ),
            Error::NoChannelBinding(_) => {
                (codes::WEAK_AUTHENTICATION, "use TLS and a scram-sha-256 password, or channel_binding=prefer")
            }
            Error::MethodNotAllowed { .. } => (
                codes::WEAK_AUTHENTICATION,
                "change the method in the server's pg_hba.conf, or the list in require_auth",
            ),
            Error::Options(_) => (codes::BAD_OPTIONS, "write it as postgres://user@host:5432/database"),
            Error::Connect { .. } => {
                (codes::NOT_REACHABLE, "check host, port, listen_addresses and the network between")
            }
            Error::PasswordFile { .. } | Error::NoPassword => (
                codes::AUTHENTICATION,
                "set password_file, password or PGPASSWORD to the role's password, or write it into ~/.pgpass",
            ),
            Error::AuthenticationMethod { .. } | Error::Scram(_) => {
                (codes::AUTHENTICATION, "check pg_hba.conf and password_encryption on the server")
            }
            Error::Server(e) if e.sqlstate.starts_with("28") => {
                (codes::AUTHENTICATION, "check the role, its password and pg_hba.conf")
            }
            Error::Server(_) => (codes::SERVER, "see the server's log"),
            Error::Protocol(_) | Error::Answer { .. } | Error::RowCount { .. } => {
                (codes::PROTOCOL, "check that the address is a PostgreSQL server and not a pooler or another service")
            }
            Error::Io(_)
            | Error::Closed
            | Error::ReadTimeout
            | Error::Broken
            | Error::Stopped
            | Error::ServerShutdown { .. } => {
                (codes::CONNECTION_LOST, "it is tried again; see the server's log for why it ended")
            }
            Error::WalLevel(_) => {
                (codes::WAL_LEVEL, "set wal_level = logical in postgresql.conf and restart the server")
            }
            Error::NoReplicationRight { role, .. } => {
                return (
                    codes::NO_REPLICATION_RIGHT,
                    format!("ALTER ROLE {} REPLICATION;", crate::catalogue::quote_ident(role)),
                );
            }
            Error::NoFreeSlot(_) => (
                codes::NO_FREE_SLOT,
                "raise max_replication_slots and max_wal_senders, or drop slots that nobody reads (pg_replication_slots)",
            ),
            Error::SlotName { .. } => (codes::SLOT_NAME, "choose another name in [postgres] slot"),
            Error::SlotPlugin { .. } => (codes::SLOT_PLUGIN, "choose another name in [postgres] slot"),
            Error::SlotDatabase { .. } => {
                (codes::SLOT_DATABASE, "slot names are unique per server: choose another name in [postgres] slot")
            }
            Error::SlotMissing { .. } => {
                (codes::SLOT_MISSING, "if it was dropped, WAL since then is gone for us: approve the gap")
            }
            Error::SlotActive { .. } => {
                (codes::SLOT_ACTIVE, "stop the other reader; a connection that died is freed after wal_sender_timeout")
            }
            Error::SlotLost { .. } => {
                (codes::SLOT_LOST, "raise max_slot_wal_keep_size, then approve the gap; the slot is made anew")
            }
            Error::TimelineBreak { .. } => {
                (codes::TIMELINE_BREAK, "the server lost commits that were published: approve the gap to reconcile")
            }
        };
        (code, help.to_owned())
    }
}
