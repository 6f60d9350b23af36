//! The commands.

use std::process::ExitCode;

/// Arguments in, exit code out.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
