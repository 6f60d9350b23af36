//! `run`: the bridge with everything around it: signals, HTTP, control socket.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::args::{self, Args};
use crate::cli::logging::LogLevel;
use crate::cli::termination;
use crate::config::{Config, Gap, OnHalt};
use crate::http::control::{Control, Handler, Request};
use crate::http::{Health, Server};
use crate::metrics::Metrics;
use crate::runtime::decide::Approvals;
use crate::runtime::{self, Bridge, Exit, Failure, Shared, Until, Verdict};
use crate::state::{DiskError, Limits, State, StateError};
use crate::transform::source::Kind;

pub fn run(args: &Args, run: &args::Run, log: &LogLevel) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return ended(exit, "the configuration cannot be used; the findings are above"),
    };
    let metrics = Metrics::new(&config.bridge.name, env!("CARGO_PKG_VERSION"), super::REVISION);
    let shared = Arc::new(Shared::new(&config.bridge.name, metrics.clone(), Health::new()));
    shared.built_from(env!("CARGO_PKG_VERSION"), super::REVISION);
    if let Err(e) = on_signals(&shared) {
        return ended(Exit::Configuration, &format!("signals cannot be caught: {e}"));
    }
    let mut bridge = bridge(config.clone(), Arc::clone(&shared), run);
    // The lock on the state comes first: what lies in its directory is ours from here on.
    let limits = Limits { cache_bytes: (config.limits.memory / 8) as usize };
    let refused = match State::open(&config.bridge.state_dir, &config.bridge.name, limits) {
        Ok(state) => {
            bridge.state = Some(state);
            None
        }
        Err(e) => Some(Failure::State(e)),
    };
    let control = match refused {
        // The directory is not ours, or cannot be written.
        Some(_) => Ok(None),
        None => Control::start(&config.bridge.state_dir, handler(Arc::clone(&shared), log.clone(), &config)).map(Some),
    };
    let (_control, refused) = match control {
        Ok(control) => (control, refused),
        Err(source) => {
            let dir = config.bridge.state_dir.display().to_string();
            (None, Some(Failure::State(StateError::Disk(DiskError::Open { dir, source }))))
        }
    };
    if let (Some(failure), OnHalt::Exit) = (&refused, config.bridge.on_halt)
        && matches!(failure.verdict(), Verdict::Stop(_))
    {
        let exit = super::refused(args, failure);
        return ended(exit, &failure.diagnostic().message);
    }
    let _server = match &config.http.listen {
        None => None,
        Some(listen) => {
            let status = Arc::clone(&shared);
            match Server::start(listen, Arc::clone(&shared.health), metrics, Arc::new(move || status.status())) {
                Ok(server) => {
                    tracing::info!(address = %server.address(), "http");
                    Some(server)
                }
                Err(e) => {
                    let why = runtime::failure::chain(&e);
                    return ended(Exit::Configuration, &format!("http cannot be served: {why}; look at [http] listen"));
                }
            }
        }
    };
    tracing::info!(bridge = config.bridge.name, version = super::version(), "starting");
    let bar = super::bar::Bar::start(Arc::clone(&shared));
    let exit = match refused {
        None => runtime::run(&mut bridge),
        Some(failure) => match failure.verdict() {
            Verdict::Stop(exit) => runtime::refuse(&mut bridge, &failure, exit),
            // Space can be made meanwhile: the session opens it again.
            Verdict::Retry | Verdict::TakeOver | Verdict::ShutDown => runtime::run(&mut bridge),
        },
    };
    drop(bar);
    let (verdict, code) = shared.verdict();
    match exit {
        Exit::Done => {
            tracing::info!(exit = 0, reason = "done: asked to end, or everything asked for is in Kafka", "ended");
            exit
        }
        exit => {
            let code = code.map_or(String::new(), |c| format!("{c}: "));
            let remedy = verdict.remedy.map_or(String::new(), |r| format!(" Remedy: {r}"));
            ended(exit, &format!("{code}{}{remedy}", verdict.text))
        }
    }
}

/// The last words: the log's last line, and what Kubernetes shows of a container that has ended.
fn ended(exit: Exit, reason: &str) -> Exit {
    termination::write(exit, reason);
    tracing::error!(exit = exit as u8, reason, "ended");
    exit
}

/// A bridge as the configuration and the command line want it.
pub fn bridge(config: Config, shared: Arc<Shared>, run: &args::Run) -> Bridge {
    let words: BTreeSet<String> =
        config.reconcile.approve.iter().chain(&run.approve).map(ToString::to_string).collect();
    let heal_gaps = config.reconcile.gap == Gap::Heal;
    Bridge {
        shared,
        generation: None,
        approvals: Approvals { words, heal_gaps },
        reconcile: BTreeSet::new(),
        reconcile_names: run.reconcile.iter().cloned().collect(),
        until: run.until.map(|u| match u {
            args::Until::CaughtUp => Until::CaughtUp,
            args::Until::Lsn(lsn) => Until::Lsn(lsn),
        }),
        state: None,
        parked: None,
        part_records: None,
        config,
    }
}

/// From SIGTERM to the end, whatever is under way: calls into librdkafka, the registry or PostgreSQL can take longer
/// when their servers are away. Leaving in the middle of them is safe, as being killed there is.
const LONGEST_END: Duration = Duration::from_secs(7);

/// SIGTERM and SIGINT ask for the end; a second one is not waited for.
fn on_signals(shared: &Arc<Shared>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let shared = Arc::clone(shared);
    let body = move || {
        for signal in signals.forever() {
            if shared.shutdown() {
                tracing::warn!(signal, "ending at once");
                leave(128 + signal);
            }
            tracing::info!(signal, "shutting down");
            shared.shut_down();
            if std::thread::Builder::new().name("deadline".into()).spawn(deadline).is_err() {
                leave(0);
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(body).map(drop)
}

fn deadline() {
    let end = Instant::now() + LONGEST_END;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        // Nobody unparks: the end of the process ends this thread.
        std::thread::park_timeout(left);
    }
    tracing::warn!(
        seconds = LONGEST_END.as_secs(),
        "a call to a server has not come back: leaving as it is, the next start goes on"
    );
    leave(0);
}

/// Ends the process without the libraries' exit handlers: other threads are still in these libraries.
fn leave(code: i32) -> ! {
    use std::io::Write;
    // The end does not wait for a reader of our output.
    let _ = std::io::stdout().flush();
    // SAFETY: takes a number, and does not come back.
    unsafe { libc::_exit(code) }
}

fn handler(shared: Arc<Shared>, log: LogLevel, config: &Config) -> Handler {
    let prefix = config.topics.prefix.clone();
    let transforms = config.bridge.transforms.clone();
    Arc::new(move |request| -> Result<Value, String> {
        match request {
            Request::Status => Ok(shared.status()),
            Request::LogLevel { level } => {
                log.set(&level).map_err(|e| runtime::failure::chain(&e))?;
                tracing::info!(level, "log level");
                Ok(json!({ "level": level }))
            }
            Request::Pause => {
                shared.set_paused(true);
                Ok(json!({ "paused": true }))
            }
            Request::Resume => {
                shared.set_paused(false);
                Ok(json!({ "paused": false }))
            }
            Request::Reconcile { names, rewrite } => {
                if rewrite {
                    return Err("--rewrite is not in this version".to_owned());
                }
                let files = crate::transform::discover(&transforms)
                    .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
                let mut topics = BTreeSet::new();
                for name in &names {
                    let file = files.iter().find(|f| f.name == *name);
                    let file = file.ok_or_else(|| format!("there is no transform {name:?}"))?;
                    if file.header.kind == Kind::Event {
                        return Err(runtime::no_reconcile_of_events(name).to_string());
                    }
                    topics.insert(format!("{prefix}{}", file.header.topic));
                }
                shared.ask_reconcile(topics);
                Ok(json!({ "asked": names }))
            }
        }
    })
}
