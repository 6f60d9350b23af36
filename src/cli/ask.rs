//! Commands that ask the running bridge over its control socket.

use std::time::Duration;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::http::control::{AskError, Request, ask as ask_bridge};
use crate::runtime::Exit;
use crate::runtime::failure::chain;

use super::args::Args;
use super::{codes, print_findings, status};

/// The bridge answers from memory.
const LIMIT: Duration = Duration::from_secs(10);

pub fn ask(args: &Args, request: Request) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match ask_bridge(&config.bridge.state_dir, &request, LIMIT) {
        Ok(answer) if args.json => super::print(&format!("{answer}\n")),
        Ok(answer) => super::print(&words(&request, &answer)),
        Err(e) => {
            let (code, help, exit) = match &e {
                AskError::NotRunning { .. } | AskError::Io { .. } => (
                    codes::NOT_RUNNING,
                    "start it with `pgspine run`; the command must run on the same machine, as the same user, with the same [bridge] state_dir",
                    Exit::Unreachable,
                ),
                AskError::Answer(_) => (codes::NOT_RUNNING, "use the version that runs", Exit::Unreachable),
                AskError::Refused(_) => (codes::REFUSED, "nothing was changed", Exit::Configuration),
            };
            print_findings(args, &[Diagnostic::error(code, chain(&e)).help(help)]);
            return exit;
        }
    }
    Exit::Done
}

fn words(request: &Request, answer: &Value) -> String {
    match request {
        Request::Status => status::words(answer),
        Request::LogLevel { level } => format!("log level {level}\n"),
        Request::Pause => {
            "paused: nothing is emitted, the slot stays held and keeps WAL; `pgspine resume` goes on\n".into()
        }
        Request::Resume => "resumed\n".into(),
        Request::Reconcile { names, .. } => {
            format!("asked for a reconcile of {}; `pgspine status` shows how it goes\n", names.join(", "))
        }
    }
}
