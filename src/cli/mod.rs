//! The commands.

pub mod args;
mod ask;
mod bar;
mod check;
pub mod codes;
mod demo;
mod estimate;
mod explain;
mod init;
mod live;
pub mod logging;
pub mod output;
mod preview;
mod run;
mod schema;
mod setup;
mod slot;
mod status;
mod tables;
mod termination;
mod test;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::http::control::Request;
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
    let log = match logging::start(if matches!(args.command, Command::Run(_)) { "info" } else { "warn" }) {
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
        Command::Init(wish) => init::init(args, wish),
        Command::Check { live } => check::check(args, *live),
        Command::Setup { sql } => setup::setup(args, *sql),
        Command::Run(options) => run::run(args, options, log),
        Command::Preview { name, key, limit, follow } => {
            preview::preview(args, &preview::Wish { name, key: key.as_deref(), limit: *limit, follow: *follow })
        }
        Command::Explain { name, live } => explain::explain(args, name, *live),
        Command::Test { names, postgres } => test::test(args, names, postgres.as_deref()),
        Command::Status => ask::ask(args, Request::Status),
        Command::LogLevel { level } => ask::ask(args, Request::LogLevel { level: level.clone() }),
        Command::Pause => ask::ask(args, Request::Pause),
        Command::Resume => ask::ask(args, Request::Resume),
        Command::Reconcile { names } => ask::ask(args, Request::Reconcile { names: names.clone(), rewrite: false }),
        Command::Schema(command) => schema::schema(args, command),
        Command::Slot(args::Slot::Drop { yes }) => slot::drop(args, *yes),
        Command::Demo { duration } => demo::run(*duration),
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
    print_report(args, None, all, serde_json::json!({}));
}

/// Findings under a line of their own, or as one document with `more`.
fn print_report(args: &Args, lead: Option<&str>, all: &[Diagnostic], more: serde_json::Value) {
    let mut out = std::io::stdout().lock();
    if let Some(lead) = lead.filter(|_| !args.json) {
        let _ = writeln!(out, "{lead}\n");
    }
    // A reader that has gone away is not our trouble.
    let _ = output::findings(&mut out, args.json, all, more);
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
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
