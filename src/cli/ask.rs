//! Commands that ask the running bridge over its control socket.

use std::time::Duration;

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::http::control::{AskError, Request, ask as ask_bridge};
use crate::runtime::Exit;
use crate::runtime::failure::chain;

use super::args::Args;
use super::{codes, print_findings};

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
        Request::Status => status(answer),
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

/// `/status` for people.
fn status(s: &Value) -> String {
    let text =
        |v: &Value| v.as_str().map_or_else(|| if v.is_null() { "-".to_owned() } else { v.to_string() }, str::to_owned);
    let mut out = format!("{}  {} since {}\n", text(&s["bridge"]), text(&s["state"]), text(&s["since"]));
    let mut line = |what: &str, value: String| out.push_str(&format!("  {what:<12}{value}\n"));
    let p = &s["positions"];
    line(
        "positions",
        format!(
            "received {}, emitted {}, confirmed {}",
            text(&p["received"]),
            text(&p["emitted"]),
            text(&p["confirmed"])
        ),
    );
    let slot = &s["slot"];
    if !slot.is_null() {
        let safe = if slot["safe_wal_bytes"].is_null() {
            String::new()
        } else {
            format!(", {} bytes safe", slot["safe_wal_bytes"])
        };
        line(
            "slot",
            format!(
                "{} {}, {} bytes of WAL held, {} bytes behind{safe}",
                text(&slot["name"]),
                text(&slot["wal_status"]),
                text(&slot["retained_wal_bytes"]),
                text(&slot["confirmed_lag_bytes"])
            ),
        );
    }
    line("last commit", format!("{}, {} s behind its source", text(&s["last_commit"]), text(&s["lag_seconds"])));
    if !s["loading"].is_null() {
        let l = &s["loading"];
        line(
            "loading",
            format!("{}: {} of about {} rows", text(&l["table"]), text(&l["rows"]), text(&l["estimated_rows"])),
        );
    }
    if !s["transaction"].is_null() {
        let t = &s["transaction"];
        let of = if t["of"].is_null() { String::new() } else { format!(" of {}", t["of"]) };
        let at =
            format!("{}: {} {}{of}, {} parts in Kafka", text(&t["end_lsn"]), text(&t["what"]), t["done"], t["parts"]);
        line("transaction", at);
    }
    for (name, t) in s["transforms"].as_object().into_iter().flatten() {
        let counted = match &t["events"] {
            Value::Null => format!(
                "{} upserts, {} tombstones, {} suppressed, {} errors, {} keys held",
                t["upserts"], t["tombstones"], t["suppressed"], t["errors"], t["quarantined_keys"]
            ),
            events => format!("{events} events, {} errors, {} dead letters", t["errors"], t["dead_letters"]),
        };
        line(name, format!("{} on {}: {counted}", text(&t["state"]), text(&t["topic"])));
        if t["reconcile_keys_remaining"] != json!(0) {
            line("", format!("{} keys to reconcile", t["reconcile_keys_remaining"]));
        }
    }
    let problem = &s["problem"];
    if problem.is_null() {
        line("problem", "none".into());
    } else {
        let retried = if problem["retrying"] == json!(true) { ", tried again" } else { "" };
        line(
            "problem",
            format!(
                "{} {} (since {}{retried})",
                text(&problem["code"]),
                text(&problem["message"]),
                text(&problem["since"])
            ),
        );
        line("  remedy", text(&problem["help"]));
    }
    out
}
