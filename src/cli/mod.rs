//! The commands.

pub mod args;
pub mod logging;
pub mod output;
mod demo;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::{Exit, Failure, Verdict};
use args::{Args, Command};
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
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // What could not be printed cannot be reported either.
            let _ = e.print();
            return ExitCode::from(e.exit_code() as u8);
        }
    };
    let log = match logging::start() {
        Ok(log) => log,
        Err(e) => {
            eprintln!("{e}");
            return Exit::Configuration.into();
        }
    };
    dispatch(&args, &log).into()
}

fn dispatch(args: &Args, log: &logging::LogLevel) -> Exit {
    match &args.command {
        Command::Run(options) => run::run(args, options, log),
        Command::Demo { duration } => demo::run(*duration, log),
        _ => Exit::Configuration,
    }
}

/// The configuration, or its findings on stdout.
fn load_config(args: &Args) -> Result<Config, Exit> {
    Config::load(&args.config).map_err(|all| {
        print_findings(args, &all);
        Exit::Configuration
    })
}

fn print_findings(args: &Args, all: &[Diagnostic]) {
    // A reader that has gone away is not our trouble.
    let _ = output::findings(&mut std::io::stdout().lock(), args.json, all);
}

/// A failure before anything ran.
fn refused(args: &Args, failure: &Failure) -> Exit {
    print_findings(args, &failure.diagnostics());
    match failure.verdict() {
        Verdict::Stop(exit) => exit,
        Verdict::Retry | Verdict::TakeOver => Exit::Unreachable,
        Verdict::ShutDown => Exit::Done,
    }
}
