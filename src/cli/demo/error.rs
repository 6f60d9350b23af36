//! Why the demo did not come to its end.

use std::io;
use std::time::Duration;

use crate::capture;
use crate::diagnostic::Diagnostic;
use crate::emit::EmitError;
use crate::registry::RegistryError;
use crate::runtime::Exit;
use crate::scratch_postgres::ScratchError;

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Scratch(ScratchError),
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
            DemoError::Scratch(ScratchError::NoPostgres | ScratchError::NoUser) => Exit::Unreachable,
            _ => Exit::Findings,
        }
    }
}

impl From<ScratchError> for DemoError {
    fn from(e: ScratchError) -> DemoError {
        match e {
            ScratchError::Interrupted => DemoError::Interrupted,
            e => DemoError::Scratch(e),
        }
    }
}

fn list(all: &[Diagnostic]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}
