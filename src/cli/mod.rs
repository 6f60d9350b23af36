//! The commands.

pub mod args;
pub mod logging;
pub mod output;

use std::process::ExitCode;
use std::sync::LazyLock;

/// The revision this was built from; the build sets it.
pub const REVISION: &str = match option_env!("PGSPINE_REVISION") {
    Some(revision) if !revision.is_empty() => revision,
    _ => "unknown",
};

/// `0.1.0 (3f2a9c1)`: the package's version and the revision.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{} ({REVISION})", env!("CARGO_PKG_VERSION")));
    &TEXT
}

/// Arguments in, exit code out.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
