//! `slot drop`: loudly, because what the slot has not sent is lost to this bridge.

use std::io::{BufRead, IsTerminal, Write};

use serde_json::json;

use crate::capture::{self, Connection, slot};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::{Exit, Failure};

use super::args::Args;
use super::{codes, print_findings, refused, tables};

pub fn drop(args: &Args, yes: bool) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match run(args, &config, yes) {
        Ok(exit) => exit,
        Err(failure) => refused(args, &failure),
    }
}

fn run(args: &Args, config: &Config, yes: bool) -> Result<Exit, Failure> {
    let mut conn = tables::database(config)?;
    let name = &config.postgres.slot;
    let Some(state) = slot::read(&mut conn, name)? else {
        say(args, &format!("slot {name} does not exist: nothing to do"), json!({ "slot": name, "dropped": false }));
        return Ok(Exit::Done);
    };
    if let Some(pid) = state.active_pid {
        let active = capture::Error::SlotActive { slot: name.clone(), pid: Some(pid) };
        let d = Diagnostic { help: Some("stop the bridge first (SIGTERM)".into()), ..active.diagnostic() };
        print_findings(args, &[d]);
        return Ok(Exit::Configuration);
    }
    let lag = lag(&mut conn, name)?;
    let plugin = state.plugin.as_deref().unwrap_or("physical replication");
    let confirmed = state.confirmed_flush.map_or_else(|| "nothing".to_owned(), |l| l.to_string());
    if !args.json {
        super::print(&format!(
            "slot       {name} ({plugin}, database {})\nconfirmed  {confirmed}\nbehind     {lag} bytes of WAL, which this bridge will never read\n\
             The next `pgspine run` finds a gap: it stops with 5 and names the word that lets it reconcile.\n",
            state.database.as_deref().unwrap_or("-")
        ));
    }
    if !yes && !confirmed_by_hand(args, name) {
        return Ok(Exit::Configuration);
    }
    slot::drop(&mut conn, name)?;
    let document = json!({ "slot": name, "dropped": true, "confirmed": confirmed, "behind_bytes": lag });
    say(args, &format!("slot {name} is dropped"), document);
    Ok(Exit::Done)
}

fn say(args: &Args, words: &str, document: serde_json::Value) {
    let text = if args.json { document.to_string() } else { words.to_owned() };
    super::print(&format!("{text}\n"));
}

/// The slot's name, typed in.
fn confirmed_by_hand(args: &Args, name: &str) -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || args.json {
        let message = "slot drop was not confirmed, and there is no terminal to ask on".to_owned();
        print_findings(args, &[Diagnostic::error(codes::NOT_CONFIRMED, message).help("say --yes if it is meant")]);
        return false;
    }
    super::print("type the slot's name to drop it: ");
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let typed = stdin.lock().read_line(&mut line).is_ok() && line.trim() == name;
    if !typed {
        super::print("not dropped\n");
    }
    typed
}

fn lag(conn: &mut Connection, name: &str) -> Result<u64, Failure> {
    let rows = conn.query(&format!(
        "SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint AS lag \
         FROM pg_replication_slots WHERE slot_name = {}",
        crate::catalogue::quote_literal(name)
    ))?;
    let lag: Option<i64> = rows.first().map(|r| r.parse("lag")).transpose()?;
    Ok(lag.unwrap_or(0).max(0) as u64)
}
