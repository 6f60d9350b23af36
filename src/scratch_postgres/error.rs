//! Why there is no throwaway PostgreSQL.

use std::io;
use std::path::PathBuf;

use crate::capture;

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
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
    /// Not a failure: somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

impl ScratchError {
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> ScratchError {
        let what = what.into();
        move |source| ScratchError::Io { what, source }
    }
}
