//! What other threads may know and ask of the bridge: status, metrics, pause, shutdown, requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::catalogue::QualifiedName;
use crate::clock;
use crate::emit::Commit;
use crate::emit::progress::rfc3339;
use crate::http::{Health, Pulse};
use crate::lsn::EndLsn;
use crate::metrics::{
    BackpressureCause, BridgeState, KafkaOutcome, Metrics, RecordKind, RowErrorReason, SchemaDriftKind, TransformInfo,
    TransformState,
};

use super::failure::Failure;

pub struct Shared {
    pub metrics: Metrics,
    pub health: Arc<Health>,
    bridge: String,
    shutdown: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// While the pipeline's loop has to turn.
    pulse: Mutex<Option<Pulse>>,
}

#[derive(Default)]
struct Inner {
    /// What the bridge does, or would do were it not paused.
    doing: Option<BridgeState>,
    /// What is shown.
    state: Option<BridgeState>,
    since: i64,
    paused: bool,
    slot: Value,
    /// From the newest source commit that became visible to that moment.
    lag: Option<Duration>,
    reconcile: BTreeSet<String>,
    finding: Option<Failure>,
    /// By `record::TopicId`.
    topics: Vec<TopicStatus>,
    received: EndLsn,
    emitted: EndLsn,
    confirmed: EndLsn,
    last_commit: Option<i64>,
    problem: Option<Problem>,
    loading: Option<Value>,
    transaction: Option<Large>,
    events: std::collections::VecDeque<Value>,
    generation: u64,
}

/// A source transaction that takes long, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Large {
    pub end_lsn: EndLsn,
    pub what: &'static str,
    pub transform: Option<String>,
    pub done: u64,
    /// None: it is not known before the end.
    pub of: Option<u64>,
    /// Parts of it that went to Kafka.
    pub parts: u32,
}

#[derive(Clone, Debug)]
struct Problem {
    code: String,
    message: String,
    help: Option<String>,
    since: i64,
    retrying: bool,
}

/// One topic that is written to.
#[derive(Clone, Debug, Default)]
pub struct TopicStatus {
    pub transform: String,
    pub topic: String,
    pub dead_letter: bool,
    /// Its records are events.
    pub event: bool,
    pub upserts: u64,
    pub tombstones: u64,
    pub state: &'static str,
    pub remaining: u64,
    pub tables: Vec<String>,
    pub held: u64,
    pub evaluations: u64,
    pub suppressed: u64,
    pub errors: u64,
}

/// Ends the watch over the pipeline's loop.
pub struct WatchedPipeline(Arc<Shared>);

impl Drop for WatchedPipeline {
    fn drop(&mut self) {
        *locked(&self.0.pulse) = None;
    }
}

/// The loop waits for nothing longer than for Kafka, whose answers have limits of 60 s; two of them can follow each other.
const PIPELINE_LIMIT: Duration = Duration::from_secs(150);

fn pipeline_limit() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(seconds) = std::env::var("PGSPINE_PIPELINE_LIMIT").ok().and_then(|s| s.parse().ok()) {
        return Duration::from_secs(seconds);
    }
    PIPELINE_LIMIT
}

/// A panic elsewhere leaves plain values behind, which are still worth showing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// How many events `/status` shows.
const EVENTS: usize = 50;

impl Shared {
    pub fn new(bridge: &str, metrics: Metrics, health: Arc<Health>) -> Shared {
        let shared = Shared {
            metrics,
            health,
            bridge: bridge.to_owned(),
            shutdown: AtomicBool::new(false),
            inner: Mutex::default(),
            changed: Condvar::new(),
            pulse: Mutex::new(None),
        };
        shared.is(BridgeState::Starting);
        shared
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        locked(&self.inner)
    }

    pub fn is(&self, state: BridgeState) {
        self.lock().doing = Some(state);
        self.show_state();
    }

    fn show_state(&self) {
        let mut inner = self.lock();
        let state = match (inner.doing, inner.paused) {
            // Whatever else it does, it goes on doing; only the stream waits.
            (Some(BridgeState::Streaming), true) => BridgeState::Paused,
            (doing, _) => doing.unwrap_or(BridgeState::Starting),
        };
        if inner.state != Some(state) {
            inner.state = Some(state);
            inner.since = clock::now_millis();
            let event = json!({ "at": now(), "event": state.word() });
            push(&mut inner, event);
        }
        drop(inner);
        self.metrics.bridge_is(state);
        match state {
            // Paused, it holds slot and producer all the same.
            BridgeState::Streaming | BridgeState::Paused => self.health.ready(),
            other => self.health.unready(other.word()),
        }
    }

    /// From now on `beat` has to be called again and again, or `/livez` says that it is not.
    pub fn watch_pipeline(self: &Arc<Shared>) -> WatchedPipeline {
        *locked(&self.pulse) = Some(self.health.watch("pipeline", pipeline_limit()));
        WatchedPipeline(Arc::clone(self))
    }

    /// The pipeline's loop has turned.
    pub fn beat(&self) {
        if let Some(pulse) = &*locked(&self.pulse) {
            pulse.beat();
        }
    }

    pub fn held_back(&self, cause: BackpressureCause, for_: Duration) {
        // A call that did not wait takes microseconds.
        if for_ >= Duration::from_millis(1) {
            self.metrics.held_back(cause, for_);
        }
    }

    /// The newest source transaction that can be read from Kafka; microseconds since 2000 of its commit.
    pub fn visible(&self, commit_time: i64) {
        let late = SystemTime::now().duration_since(super::counting::time(commit_time));
        self.lock().lag = Some(late.unwrap_or_default());
    }

    /// What the server says of the slot.
    pub fn slot(&self, slot: Value) {
        self.lock().slot = slot;
    }

    /// A table is not what plans were bound against; `None`: the publication.
    pub fn drifted(&self, table: Option<&QualifiedName>, kind: SchemaDriftKind) {
        let name = table.map(ToString::to_string);
        for t in self.lock().topics.iter().filter(|t| name.as_ref().is_none_or(|n| t.tables.contains(n))) {
            self.metrics.schema_drifted(&t.transform, kind, true);
        }
    }

    /// SIGTERM, or the end of a command.
    pub fn shut_down(&self) {
        self.shutdown.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    pub fn shutdown(&self) -> bool {
        self.shutdown.load(Ordering::Acquire)
    }

    /// Waits, but not longer than until a shutdown is asked for.
    pub fn wait(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut inner = self.lock();
        while !self.shutdown() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // Shutdown is set outside of the lock: a short step bounds what a missed wake-up costs.
            let step = left.min(Duration::from_millis(100));
            inner = self.changed.wait_timeout(inner, step).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    pub fn set_paused(&self, paused: bool) {
        self.lock().paused = paused;
        self.changed.notify_all();
        self.show_state();
    }

    pub fn paused(&self) -> bool {
        self.lock().paused
    }

    /// A step of waiting while paused.
    pub fn wait_unpaused(&self, step: Duration) {
        let inner = self.lock();
        if inner.paused {
            drop(self.changed.wait_timeout(inner, step));
        }
    }

    /// Asks for a reconcile of these topics: the session begins anew.
    pub fn ask_reconcile(&self, topics: BTreeSet<String>) {
        self.lock().reconcile.extend(topics);
    }

    pub fn take_reconcile(&self) -> Option<BTreeSet<String>> {
        let mut inner = self.lock();
        (!inner.reconcile.is_empty()).then(|| std::mem::take(&mut inner.reconcile))
    }

    /// The watch has found something that ends the session.
    pub fn report(&self, finding: Failure) {
        self.lock().finding.get_or_insert(finding);
    }

    pub fn take_finding(&self) -> Option<Failure> {
        self.lock().finding.take()
    }

    /// A session begins: what it writes to.
    /// `infos`: each with whether its records are events.
    pub fn session(&self, generation: u64, topics: Vec<TopicStatus>, infos: &[(TransformInfo, bool)]) {
        for (info, event) in infos {
            let kinds: &[RecordKind] = match event {
                true => &[RecordKind::Event],
                false => &[RecordKind::Upsert, RecordKind::Tombstone],
            };
            self.metrics.transform_known(info, kinds);
            // It was bound just now, against what is there.
            for kind in SchemaDriftKind::ALL {
                self.metrics.schema_drifted(&info.name, *kind, false);
            }
        }
        for table in topics.iter().flat_map(|t| &t.tables) {
            self.metrics.table_known(table);
        }
        let mut inner = self.lock();
        let old = std::mem::replace(&mut inner.topics, topics);
        for t in &mut inner.topics {
            if let Some(o) = old.iter().find(|o| o.topic == t.topic) {
                (t.upserts, t.tombstones, t.evaluations, t.suppressed, t.errors) =
                    (o.upserts, o.tombstones, o.evaluations, o.suppressed, o.errors);
            }
        }
        inner.generation = generation;
        inner.finding = None;
    }

    pub fn transform_is(&self, name: &str, state: TransformState) {
        self.metrics.transform_is(name, state);
        for t in self.lock().topics.iter_mut().filter(|t| t.transform == name) {
            t.state = state.word();
        }
    }

    pub fn reconciling(&self, name: &str, remaining: u64) {
        self.transform_is(name, TransformState::Reconciling);
        self.reconcile_remaining(name, remaining);
    }

    /// How far a large source transaction is; None: it is done, or over.
    pub fn transaction(&self, at: Option<Large>) {
        let left = |t: &Large| Some((t.transform.clone()?, t.of?.saturating_sub(t.done)));
        let (before, now) = (self.lock().transaction.take(), at.as_ref().and_then(left));
        if let Some((transform, _)) = before.as_ref().and_then(left)
            && now.as_ref().is_none_or(|(t, _)| *t != transform)
        {
            self.metrics.transaction_roots_remain(&transform, 0);
        }
        if let Some((transform, left)) = now {
            self.metrics.transaction_roots_remain(&transform, left);
        }
        self.lock().transaction = at;
    }

    pub fn reconcile_remaining(&self, name: &str, remaining: u64) {
        self.metrics.reconcile_keys_remain(name, remaining);
        for t in self.lock().topics.iter_mut().filter(|t| t.transform == name) {
            t.remaining = remaining;
        }
    }

    pub fn transform_live(&self, name: &str) {
        self.reconcile_remaining(name, 0);
        self.transform_is(name, TransformState::Live);
    }

    /// Rows of a table that a load has read so far.
    pub fn loading(&self, table: &str, rows: u64, estimate: Option<u64>) {
        let event = json!({ "table": table, "rows": rows, "estimated_rows": estimate });
        self.lock().loading = (Some(rows) != estimate).then_some(event);
    }

    /// Loads and reconciles are done.
    pub fn reconciled(&self) {
        self.lock().loading = None;
    }

    /// More of them than before.
    pub fn evaluated(&self, name: &str, evaluations: u64, suppressed: u64) {
        if evaluations + suppressed == 0 {
            return;
        }
        self.metrics.roots_evaluated(name, evaluations);
        self.metrics.records_suppressed(name, suppressed);
        for t in self.lock().topics.iter_mut().filter(|t| t.transform == name && !t.dead_letter) {
            t.evaluations += evaluations;
            t.suppressed += suppressed;
        }
    }

    /// More rows that could not be told.
    pub fn failed(&self, name: &str, reason: RowErrorReason, count: u64) {
        if count == 0 {
            return;
        }
        self.metrics.rows_failed(name, reason, count);
        for t in self.lock().topics.iter_mut().filter(|t| t.transform == name && !t.dead_letter) {
            t.errors += count;
        }
    }

    /// How many keys keep their last good value now.
    pub fn held(&self, name: &str, keys: u64) {
        self.metrics.keys_quarantined(name, keys);
        for t in self.lock().topics.iter_mut().filter(|t| t.transform == name && !t.dead_letter) {
            t.held = keys;
        }
    }

    pub fn received(&self, lsn: EndLsn) {
        self.lock().received = lsn;
    }

    pub fn committed(&self, c: &Commit) {
        self.metrics.kafka_transaction_ended(KafkaOutcome::Committed, c.duration, c.records);
        self.metrics.emitted_up_to(c.committed.end_lsn().get());
        let mut inner = self.lock();
        inner.emitted = c.committed.end_lsn();
        inner.last_commit = Some(clock::now_millis());
        for (t, counts) in inner.topics.iter_mut().zip(&c.topics) {
            t.upserts += counts.upserts;
            t.tombstones += counts.tombstones;
            if t.dead_letter {
                self.metrics.dead_letters_committed(&t.transform, counts.upserts);
            } else if t.event {
                self.metrics.records_committed(&t.transform, &t.topic, RecordKind::Event, counts.upserts);
            } else {
                self.metrics.records_committed(&t.transform, &t.topic, RecordKind::Upsert, counts.upserts);
                self.metrics.records_committed(&t.transform, &t.topic, RecordKind::Tombstone, counts.tombstones);
            }
        }
    }

    pub fn confirmed(&self, lsn: EndLsn) {
        self.metrics.confirmed_up_to(lsn.get());
        self.lock().confirmed = lsn;
    }

    /// What stands in the way, until `well`.
    pub fn trouble(&self, failure: &Failure, retrying: bool) {
        let d = failure.diagnostic();
        let mut inner = self.lock();
        let since = match &inner.problem {
            Some(p) if p.code == d.code.to_string() => p.since,
            _ => clock::now_millis(),
        };
        let event = json!({ "at": now(), "event": "problem", "code": d.code.to_string(), "message": d.message });
        push(&mut inner, event);
        inner.problem = Some(Problem { code: d.code.to_string(), message: d.message, help: d.help, since, retrying });
    }

    pub fn well(&self) {
        self.lock().problem = None;
    }

    /// `/status`, version 1.
    pub fn status(&self) -> Value {
        let inner = self.lock();
        let mut transforms: BTreeMap<&str, Value> = BTreeMap::new();
        for t in inner.topics.iter().filter(|t| !t.dead_letter) {
            let dead = inner.topics.iter().find(|d| d.dead_letter && d.transform == t.transform);
            transforms.insert(
                &t.transform,
                json!({
                    "topic": t.topic, "state": t.state, "tables": t.tables,
                    "events": t.event.then_some(t.upserts),
                    "upserts": if t.event { 0 } else { t.upserts }, "tombstones": t.tombstones,
                    "evaluations": t.evaluations, "suppressed": t.suppressed, "errors": t.errors,
                    "quarantined_keys": t.held, "dead_letters": dead.map_or(0, |d| d.upserts),
                    "reconcile_keys_remaining": t.remaining,
                }),
            );
        }
        let problem = inner.problem.as_ref().map(|p| {
            json!({ "code": p.code, "message": p.message, "help": p.help, "retrying": p.retrying, "since": millis(p.since) })
        });
        json!({
            "version": 1,
            "bridge": self.bridge,
            "state": inner.state.map(BridgeState::word),
            "since": millis(inner.since),
            "generation": inner.generation,
            "positions": {
                "received": inner.received.to_string(),
                "emitted": inner.emitted.to_string(),
                "confirmed": inner.confirmed.to_string(),
            },
            "slot": inner.slot,
            "paused": inner.paused,
            "lag_seconds": inner.lag.map(|l| l.as_secs_f64()),
            "loading": inner.loading,
            "transaction": inner.transaction.as_ref().map(|t| json!({
                "end_lsn": t.end_lsn.to_string(), "what": t.what, "transform": t.transform,
                "done": t.done, "of": t.of, "parts": t.parts,
            })),
            "last_commit": inner.last_commit.map(millis),
            "problem": problem,
            "transforms": transforms,
            "events": inner.events,
        })
    }
}

fn push(inner: &mut Inner, event: Value) {
    if inner.events.len() == EVENTS {
        inner.events.pop_front();
    }
    inner.events.push_back(event);
}

fn now() -> String {
    rfc3339(clock::now_postgres_micros())
}

fn millis(ms: i64) -> String {
    rfc3339(ms * 1000 - clock::POSTGRES_EPOCH_MICROS)
}
