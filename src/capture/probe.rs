//! Does the server shut down? Asked on a connection of its own, for a reader that cannot see it in the stream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Mode, connect};
use super::error::Error;
use super::options::Options;

/// A pipeline that is behind for less than this is nothing to ask about; and between two questions.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Probe {
    /// None: never asks.
    options: Option<Arc<Options>>,
    last: Option<Instant>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    running: bool,
    shutting_down_since: Option<Instant>,
}

impl Probe {
    pub fn new(options: Option<Options>) -> Probe {
        let short = |o: Options| Arc::new(Options { connect_timeout: o.connect_timeout.min(2 * PAUSE), ..o });
        Probe { options: options.map(short), last: None, shared: Arc::default() }
    }

    /// Asks, on a thread of its own, if the reader has been blocked for a while and has not asked just now.
    pub fn run(&mut self, blocked_since: Instant) {
        let Some(options) = &self.options else { return };
        let now = Instant::now();
        let due = self.last.unwrap_or(blocked_since) + PAUSE <= now && blocked_since + PAUSE <= now;
        if !due || std::mem::replace(&mut lock(&self.shared).running, true) {
            return;
        }
        self.last = Some(now);
        let (options, shared) = (Arc::clone(options), Arc::clone(&self.shared));
        let asked = std::thread::Builder::new().name("pgspine-probe".into()).spawn(move || {
            let answer = connect(&options, Mode::Sql);
            let mut shared = lock(&shared);
            shared.running = false;
            // 57P03 is also "starting up", which a server with a live walsender is not.
            match answer {
                Err(Error::Server(e)) if e.sqlstate == "57P03" => {
                    shared.shutting_down_since.get_or_insert_with(Instant::now);
                }
                _ => shared.shutting_down_since = None,
            }
        });
        if asked.is_err() {
            lock(&self.shared).running = false;
        }
    }

    pub fn shutting_down_since(&self) -> Option<Instant> {
        lock(&self.shared).shutting_down_since
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
