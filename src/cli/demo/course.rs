//! The demo from its beginning to its end.
//!
//! The rule: whatever fails or whoever asks for the end, everything that was started is stopped and removed on the way
//! out. The values here are dropped in the order of their dependence: bridge, workload, registry, server, folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cli::args;
use crate::config::Config;
use crate::emit;
use crate::http::Health;
use crate::metrics::Metrics;
use crate::registry::{self, memory};
use crate::runtime::{self, Exit, Shared, failure::chain, project};
use crate::scratch_postgres::{Cluster, Folder};
use crate::transform::source::TransformFile;

use super::error::DemoError;
use super::held::Difference;
use super::interrupt::Interrupt;
use super::proof::{self, Proof, select};
use super::screen::{Screen, grouped};
use super::shop;
use super::watch::{Phase, Totals, Watch};
use super::workload::Workload;

/// How often counters are looked at.
const TICK: Duration = Duration::from_millis(20);
/// After the workload has ended.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

pub fn run(duration: Duration) -> Exit {
    let mut screen = Screen::new();
    let result = Interrupt::watch().and_then(|interrupt| course(duration, &interrupt, &mut screen));
    match result {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Findings,
        Err(DemoError::Interrupted) => {
            screen.line("interrupted: nothing was compared; everything is stopped and removed");
            Exit::Done
        }
        Err(e) => {
            screen.line(&screen.bad(&format!("the demo failed: {}", chain(&e))));
            e.exit()
        }
    }
}

/// Whether every topic was equal.
fn course(duration: Duration, interrupt: &Interrupt, screen: &mut Screen) -> Result<bool, DemoError> {
    let begun = Instant::now();
    let scratch = Folder::new("demo")?;
    let cluster = Cluster::start(scratch.path(), &[], &|| interrupt.asked())?;
    let registry = memory::spawn().map_err(DemoError::io("the registry cannot be started"))?;
    let kafka = noida::kafka::spawn("127.0.0.1:0").map_err(DemoError::io("the broker cannot be started"))?;
    let mut sql = cluster.connect()?;
    let version = sql.parameter("server_version").unwrap_or_default().to_owned();
    screen.line(&format!(
        "PostgreSQL {version} on 127.0.0.1:{}, Kafka on {kafka} and a registry on {} inside this process",
        cluster.port(),
        registry.url
    ));
    shop::fill(&mut sql)?;
    interrupt.check()?;
    let config = shop::project(scratch.path(), &cluster.url(), &kafka.to_string(), &registry.url)?;
    let files = project::files(&config).map_err(DemoError::Project)?;
    let totals = totals(&files, &mut sql)?;
    let (rows, records) = (totals.tables.iter().map(|t| t.1).sum(), totals.records);
    screen.line(&format!(
        "{} rows in {} tables, {} records in {} topics; ready after {:.1} s. Ctrl-C ends it at any time",
        grouped(rows),
        totals.tables.len(),
        grouped(records),
        files.len(),
        begun.elapsed().as_secs_f64()
    ));
    let mut workload = Workload::start(cluster.connect()?)?;
    let bridge = Running::start(config.clone())?;
    let watcher = cluster.connect()?;
    follow(duration, interrupt, screen, &bridge, &mut workload, watcher, totals)?;
    bridge.stop()?;
    prove(&config, &files, interrupt, screen, &mut sql)
}

/// Load and stream, to the point where Kafka has everything.
fn follow(
    duration: Duration,
    interrupt: &Interrupt,
    screen: &mut Screen,
    bridge: &Running,
    workload: &mut Workload,
    sql: crate::capture::Connection,
    totals: Totals,
) -> Result<(), DemoError> {
    let shared = Arc::clone(&bridge.shared);
    let mut watch = Watch::new(&shared, workload.counters(), sql, totals);
    let begun = Instant::now();
    let mut end = None;
    loop {
        let left = end.map(|end: Instant| end.saturating_duration_since(Instant::now()));
        let phase = watch.tick(screen, left)?;
        bridge.check()?;
        if workload.ended() {
            // It ends by itself with an error only.
            workload.stop()?;
        }
        match (phase, end) {
            // Half a load is nothing to compare.
            (Phase::Loading, None) => interrupt.check()?,
            (Phase::Streaming, None) => {
                let seconds = begun.elapsed().as_secs_f64();
                screen.line(&format!("loaded  {} records after {seconds:.1} s", grouped(watch.records())));
                end = Some(Instant::now() + duration);
            }
            (_, Some(end)) if Instant::now() >= end || interrupt.asked() => break,
            _ => {}
        }
        std::thread::park_timeout(TICK);
    }
    workload.stop()?;
    if interrupt.asked() {
        screen.line("interrupted: the workload has ended; what is there is compared");
    }
    let goal = watch.end_of_wal()?;
    let limit = Instant::now() + CATCH_UP_LIMIT;
    while watch.emitted() < goal {
        if interrupt.insisted() {
            return Err(DemoError::Interrupted);
        }
        if Instant::now() >= limit {
            return Err(DemoError::Behind(CATCH_UP_LIMIT));
        }
        bridge.check()?;
        watch.tick(screen, None)?;
        std::thread::park_timeout(TICK);
    }
    watch.finish(screen);
    let (transactions, changes) = (workload.counters().transactions(), workload.counters().changes());
    screen.line(&format!(
        "stopped {} transactions with {} changes; Kafka has everything up to {goal}",
        grouped(transactions),
        grouped(changes)
    ));
    Ok(())
}

fn prove(
    config: &Config,
    files: &[TransformFile],
    interrupt: &Interrupt,
    screen: &mut Screen,
    sql: &mut crate::capture::Connection,
) -> Result<bool, DemoError> {
    screen.line("each topic, read back with a read_committed consumer, against what PostgreSQL answers to its SELECT:");
    let consumer = emit::Options::new("demo.consumer", &config.kafka.bootstrap_servers);
    let options = registry::ClientOptions { url: config.registry.urls.join(","), ..Default::default() };
    let client = registry::Client::new(&options)?;
    let mut equal = true;
    for file in files {
        let proof = proof::topic(&consumer, &client, file, sql, interrupt)?;
        equal &= proof.difference.is_none();
        show(screen, &proof);
    }
    Ok(equal)
}

fn show(screen: &mut Screen, proof: &Proof) {
    let Proof { topic, records, keys, difference } = proof;
    let word = match difference {
        None => screen.good("equal"),
        Some(_) => screen.bad("differs"),
    };
    screen.line(&format!("  {topic:<22} {word}  {} keys  ({} records)", grouped(*keys), grouped(*records)));
    match difference {
        None => {}
        Some(Difference::Missing { key }) => screen.line(&format!("    {key}: PostgreSQL has it, the topic has not")),
        Some(Difference::Extra { key }) => screen.line(&format!("    {key}: the topic has it, PostgreSQL has not")),
        Some(Difference::Field { key, path, topic, answer }) => {
            screen.line(&format!("    {key}, {path}: the topic has {topic}, PostgreSQL answers {answer}"));
        }
        Some(Difference::Unreadable { key, why }) => screen.line(&format!("    {key}: {why}")),
    }
}

/// Counts what is there before the bridge begins.
fn totals(files: &[TransformFile], sql: &mut crate::capture::Connection) -> Result<Totals, DemoError> {
    let mut count = |from: &str| -> Result<u64, DemoError> {
        Ok(sql.query(&format!("SELECT count(*) AS n FROM {from}"))?.single()?.parse("n")?)
    };
    let mut tables = BTreeMap::new();
    let mut records = 0;
    for file in files {
        let crate::transform::parse::ast::Relation::Table(from) = &file.select.from.relation else { continue };
        let schema = from.schema.as_ref().map_or(String::new(), |s| format!("{}.", s.text));
        let name = format!("{schema}{}", from.name.text);
        if !tables.contains_key(&name) {
            tables.insert(name.clone(), count(&name)?);
        }
        records += count(&format!("(\n{}\n) AS t", select(file)))?;
    }
    Ok(Totals { tables: tables.into_iter().collect(), records })
}

/// The bridge on a thread of its own, as `run` runs it.
struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Exit>>,
}

impl Running {
    fn start(config: Config) -> Result<Running, DemoError> {
        let name = config.bridge.name.clone();
        let metrics = Metrics::new(&name, env!("CARGO_PKG_VERSION"), crate::cli::REVISION);
        let shared = Arc::new(Shared::new(&name, metrics, Health::new()));
        let options = args::Run { until: None, approve: Vec::new(), reconcile: Vec::new() };
        let mut bridge = crate::cli::run::bridge(config, Arc::clone(&shared), &options);
        let thread = std::thread::Builder::new()
            .name("pipeline".into())
            .spawn(move || runtime::run(&mut bridge))
            .map_err(DemoError::io("a thread cannot be started"))?;
        Ok(Running { shared, thread: Some(thread) })
    }

    /// An error if it has ended by itself.
    fn check(&self) -> Result<(), DemoError> {
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => Err(self.problem()),
        }
    }

    fn problem(&self) -> DemoError {
        let status = self.shared.status();
        let why = status["problem"]["message"].as_str().unwrap_or("no reason given");
        DemoError::Bridge { why: why.to_owned() }
    }

    fn stop(mut self) -> Result<(), DemoError> {
        self.shared.shut_down();
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(Exit::Done)) | None => Ok(()),
            Some(Ok(_)) => Err(self.problem()),
            Some(Err(_)) => Err(DemoError::Panic),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.shut_down();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed.
            let _ = thread.join();
        }
    }
}
