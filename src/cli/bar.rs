//! How far a load and a reconcile are, as one line that is drawn again and again: for people who watch `run` on a terminal.
//!
//! The line ends with a carriage return, so that what is logged next takes its place.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::runtime::Shared;

/// Draws until it is dropped. Nothing is drawn where stderr is no terminal.
pub struct Bar {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const EVERY: Duration = Duration::from_millis(200);
const WIDTH: u64 = 30;

impl Bar {
    pub fn start(shared: Arc<Shared>) -> Bar {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let draw = move || {
            while !stopped.load(Ordering::Acquire) {
                if let Some(line) = line(&shared.status()) {
                    // A terminal that is gone is no reason to end.
                    let _ = write!(std::io::stderr(), "\x1b[2K{line}\r");
                }
                // Only `drop` unparks.
                std::thread::park_timeout(EVERY);
            }
        };
        let thread =
            std::io::stderr().is_terminal().then(|| std::thread::Builder::new().name("bar".into()).spawn(draw));
        Bar { stop, thread: thread.and_then(Result::ok) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// What the status says of a load, a reconcile, or a large transaction; None where nothing of it is under way.
fn line(status: &Value) -> Option<String> {
    let remaining = |t: &Value| t["reconcile_keys_remaining"].as_u64();
    let waiting: u64 = status["transforms"].as_object().into_iter().flatten().filter_map(|(_, t)| remaining(t)).sum();
    if waiting > 0 {
        return Some(format!("reconciling: {waiting} roots remain"));
    }
    let large = &status["transaction"];
    if let (Some(what), Some(done)) = (large["what"].as_str(), large["done"].as_u64()) {
        return Some(match large["of"].as_u64().filter(|all| *all > 0) {
            Some(all) => format!("a large transaction, {what} {} {done} of {all}", bar(done, all)),
            None => format!("a large transaction, {what} {done}"),
        });
    }
    let loading = &status["loading"];
    let (table, rows) = (loading["table"].as_str()?, loading["rows"].as_u64()?);
    Some(match loading["estimated_rows"].as_u64().filter(|all| *all > 0) {
        Some(all) => format!("loading {table} {} {rows} of about {all} rows", bar(rows, all)),
        None => format!("loading {table} {rows} rows"),
    })
}

fn bar(done: u64, all: u64) -> String {
    let full = (done.min(all) * WIDTH / all) as usize;
    format!("[{}{}] {:3} %", "#".repeat(full), " ".repeat(WIDTH as usize - full), done.min(all) * 100 / all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_load_a_reconcile_and_neither() {
        let load = json!({ "loading": { "table": "shop.orders", "rows": 500, "estimated_rows": 1000 } });
        assert_eq!(
            line(&load).as_deref(),
            Some("loading shop.orders [###############               ]  50 % 500 of about 1000 rows")
        );
        let unknown = json!({ "loading": { "table": "t", "rows": 7, "estimated_rows": null } });
        assert_eq!(line(&unknown).as_deref(), Some("loading t 7 rows"));
        let transforms = json!({ "a": { "reconcile_keys_remaining": 3 }, "b": { "reconcile_keys_remaining": 0 } });
        let reconcile = json!({ "loading": null, "transforms": transforms });
        assert_eq!(line(&reconcile).as_deref(), Some("reconciling: 3 roots remain"));
        assert_eq!(line(&json!({ "loading": null, "transforms": { "a": { "reconcile_keys_remaining": 0 } } })), None);
        let large = json!({ "transaction": { "what": "comparing roots", "done": 10, "of": 40 } });
        assert_eq!(
            line(&large).as_deref(),
            Some("a large transaction, comparing roots [#######                       ]  25 % 10 of 40")
        );
    }

    #[test]
    fn more_rows_than_were_estimated_fill_the_bar() {
        assert_eq!(bar(15, 10), format!("[{}] 100 %", "#".repeat(30)));
    }
}
