//! Why the demo did not come to its end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::capture;
use crate::diagnostic::Diagnostic;
use crate::emit::EmitError;
use crate::registry::RegistryError;
use crate::runtime::Exit;

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(
        "there is no PostgreSQL on this machine: neither in PATH nor in /usr/lib/postgresql/*/bin (on Debian: apt-get install postgresql)"
    )]
    NoPostgres,
    #[error("PostgreSQL does not run as root, and there is no user `postgres` that it could run as")]
    NoUser,
    #[error("{program} failed:\n{output}")]
    Program { program: PathBuf, output: String },
    #[error("{what}")]
    Io { what: String, source: io::Error },
    #[error("PostgreSQL")]
    Postgres(#[from] capture::Error),
    #[error("Kafka")]
    Kafka(#[from] EmitError),
    #[error("the registry")]
    Registry(#[from] RegistryError),
    #[error("the project of the demo has {} findings:\n{}", .0.len(), list(.0))]
    Project(Vec<Diagnostic>),
    #[error("the bridge ended: {why}")]
    Bridge { why: String },
    #[error("the bridge did not catch up within {0:?}")]
    Behind(Duration),
    #[error("a thread ended with a panic")]
    Panic,
    /// Not a failure: somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> DemoError {
        let what = what.into();
        move |source| DemoError::Io { what, source }
    }

    pub fn exit(&self) -> Exit {
        match self {
            DemoError::Interrupted => Exit::Done,
            DemoError::NoPostgres | DemoError::NoUser => Exit::Unreachable,
            _ => Exit::Findings,
        }
    }
}

fn list(all: &[Diagnostic]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}
