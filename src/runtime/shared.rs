//! What other threads may know and ask of the bridge: status, metrics, pause, shutdown, requests.

use std::collections::BTreeSet;
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
    TransformState, WalStatus,
};

use super::failure::{Exit, Failure};
use super::status::{self, Facts, Loading, Problem, Since, SlotLook, Verdict};
pub use super::status::{Large, TopicStatus};

pub struct Shared {
    pub metrics: Metrics,
    pub health: Arc<Health>,
    shutdown: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// While the pipeline's loop has to turn.
    pulse: Mutex<Option<Pulse>>,
}

#[derive(Default)]
struct Inner {
    facts: Facts,
    since: Since,
    reconcile: BTreeSet<String>,
    finding: Option<Failure>,
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
            shutdown: AtomicBool::new(false),
            inner: Mutex::default(),
            changed: Condvar::new(),
            pulse: Mutex::new(None),
        };
        {
            let facts = &mut shared.lock().facts;
            facts.bridge = bridge.to_owned();
            facts.started = clock::now_millis();
        }
        shared.is(BridgeState::Starting);
        shared
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        locked(&self.inner)
    }

    /// What this process was built from.
    pub fn built_from(&self, version: &'static str, revision: &'static str) {
        let facts = &mut self.lock().facts;
        (facts.version, facts.revision) = (version, revision);
    }

    pub fn is(&self, state: BridgeState) {
        {
            let facts = &mut self.lock().facts;
            facts.doing = Some(state);
            if state == BridgeState::Snapshot {
                // All sides have answered before a load: what stood in the way has passed.
                facts.problem = None;
            }
        }
        self.show_state();
    }

    fn show_state(&self) {
        let mut inner = self.lock();
        let f = &mut inner.facts;
        let state = match (f.doing, f.paused) {
            // Whatever else it does, it goes on doing; only the stream waits.
            (Some(BridgeState::Streaming), true) => BridgeState::Paused,
            (doing, _) => doing.unwrap_or(BridgeState::Starting),
        };
        if f.state != Some(state) {
            f.state = Some(state);
            f.since = clock::now_millis();
            push(f, json!({ "at": now(), "event": state.word() }));
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
        self.lock().facts.visible = Some((clock::now_millis(), late.unwrap_or_default().as_secs_f64()));
    }

    /// Since when Kafka owes an answer; None: it owes none.
    pub fn kafka_owes(&self, owes: bool) {
        let facts = &mut self.lock().facts;
        match (owes, facts.kafka_owes_since) {
            (true, None) => facts.kafka_owes_since = Some(clock::now_millis()),
            (true, Some(_)) => {}
            (false, _) => facts.kafka_owes_since = None,
        }
    }

    /// What the server says of the slot.
    pub fn slot(&self, look: SlotLook) {
        self.metrics.slot_seen(look.wal_status, look.retained, look.confirmed_lag, look.safe);
        let mut inner = self.lock();
        let facts = &mut inner.facts;
        facts.wal.looked(look.at, look.wal_end.0);
        // A look from before the state says nothing of it; and whoever holds the slot while we do not stream is not us.
        if look.at >= facts.since {
            if look.active_pid.is_none() {
                self.metrics.slot_held(false);
            } else if matches!(facts.state, Some(BridgeState::Streaming | BridgeState::Paused)) {
                self.metrics.slot_held(true);
            }
        }
        facts.slot = Some(look);
    }

    /// It was there and is not any more: somebody has dropped it.
    pub fn slot_gone(&self, at: i64) {
        let facts = &mut self.lock().facts;
        // A start makes it anew, or says what it needs for that.
        let settled = matches!(facts.state, Some(BridgeState::Streaming | BridgeState::Paused | BridgeState::Failed));
        if let Some(slot) = facts.slot.as_mut().filter(|_| settled && at >= facts.since) {
            *slot = SlotLook {
                at,
                active_pid: None,
                wal_status: WalStatus::Lost,
                retained: 0,
                confirmed_lag: 0,
                safe: None,
                reason: Some("it does not exist any more".into()),
                ..slot.clone()
            };
            self.metrics.slot_seen(WalStatus::Lost, 0, 0, None);
            self.metrics.slot_held(false);
        }
    }

    /// Who reads from the slot that is waited for.
    pub fn slot_waits_for(&self, pid: Option<u32>) {
        self.lock().facts.slot_waits_for = pid;
    }

    /// Where the state lies: free and all bytes.
    pub fn disk(&self, free: u64, all: u64) {
        self.metrics.state_disk_free(free);
        self.lock().facts.disk = Some((free, all));
    }

    /// A table is not what plans were bound against; `None`: the publication.
    pub fn drifted(&self, table: Option<&QualifiedName>, kind: SchemaDriftKind) {
        let name = table.map(ToString::to_string);
        let facts = &mut self.lock().facts;
        let reads = |t: &&TopicStatus| {
            name.as_ref().is_none_or(|n| t.sources.iter().any(|(table, _)| table == n)) && !t.dead_letter
        };
        let hit: Vec<String> = facts.topics.iter().filter(reads).map(|t| t.transform.clone()).collect();
        for transform in hit {
            self.metrics.schema_drifted(&transform, kind, true);
            facts.drifted(&transform, kind, clock::now_millis());
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
        self.lock().facts.paused = paused;
        self.changed.notify_all();
        self.show_state();
    }

    pub fn paused(&self) -> bool {
        self.lock().facts.paused
    }

    /// A step of waiting while paused.
    pub fn wait_unpaused(&self, step: Duration) {
        let inner = self.lock();
        if inner.facts.paused {
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
        for (table, _) in topics.iter().flat_map(|t| &t.sources) {
            self.metrics.table_known(table);
        }
        let mut inner = self.lock();
        inner.finding = None;
        let facts = &mut inner.facts;
        let old = std::mem::replace(&mut facts.topics, topics);
        for t in &mut facts.topics {
            if let Some(o) = old.iter().find(|o| o.topic == t.topic) {
                (t.upserts, t.tombstones, t.evaluations, t.suppressed, t.errors) =
                    (o.upserts, o.tombstones, o.evaluations, o.suppressed, o.errors);
                (t.held, t.held_since, t.last_record, t.minute) =
                    (o.held, o.held_since, o.last_record, o.minute.clone());
            }
        }
        // What comes before the first tick counts too.
        for t in &mut facts.topics {
            t.minute.sample(clock::now_millis(), [t.upserts, t.tombstones]);
        }
        facts.generation = generation;
        facts.drift.clear();
    }

    pub fn transform_is(&self, name: &str, state: TransformState) {
        self.metrics.transform_is(name, state);
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name) {
            t.state = state.word();
        }
    }

    pub fn reconciling(&self, name: &str, remaining: u64) {
        self.transform_is(name, TransformState::Reconciling);
        self.well();
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name) {
            t.to_reconcile = remaining;
        }
        self.reconcile_remaining(name, remaining);
    }

    /// How far a large source transaction is; None: it is done, or over.
    pub fn transaction(&self, at: Option<Large>) {
        let left = |t: &Large| Some((t.transform.clone()?, t.of?.saturating_sub(t.done)));
        let (before, now) = (self.lock().facts.transaction.take(), at.as_ref().and_then(left));
        if let Some((transform, _)) = before.as_ref().and_then(left)
            && now.as_ref().is_none_or(|(t, _)| *t != transform)
        {
            self.metrics.transaction_roots_remain(&transform, 0);
        }
        if let Some((transform, left)) = now {
            self.metrics.transaction_roots_remain(&transform, left);
        }
        self.lock().facts.transaction = at;
    }

    pub fn reconcile_remaining(&self, name: &str, remaining: u64) {
        self.metrics.reconcile_keys_remain(name, remaining);
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name) {
            t.remaining = remaining;
        }
    }

    pub fn transform_live(&self, name: &str) {
        self.reconcile_remaining(name, 0);
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name) {
            t.to_reconcile = 0;
        }
        self.transform_is(name, TransformState::Live);
    }

    /// Tables that a load has still to read, the one at hand included.
    pub fn tables_remain(&self, tables: u64) {
        self.metrics.snapshot_tables_remain(tables);
        let facts = &mut self.lock().facts;
        facts.tables_remaining = tables;
        if tables == 0 {
            facts.loading = None;
        }
    }

    /// Rows of a table that a load has read so far.
    pub fn loading(&self, table: &str, rows: u64, estimate: Option<u64>) {
        let facts = &mut self.lock().facts;
        let since = facts.loading.take().filter(|l| l.table == table).map_or_else(clock::now_millis, |l| l.since);
        facts.loading = Some(Loading { table: table.to_owned(), rows, estimate, since });
    }

    /// Loads and reconciles are done.
    pub fn reconciled(&self) {
        self.lock().facts.loading = None;
    }

    /// More of them than before.
    pub fn evaluated(&self, name: &str, evaluations: u64, suppressed: u64) {
        if evaluations + suppressed == 0 {
            return;
        }
        self.metrics.roots_evaluated(name, evaluations);
        self.metrics.records_suppressed(name, suppressed);
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name && !t.dead_letter) {
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
        self.lock().facts.row_error = Some(clock::now_millis());
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name && !t.dead_letter) {
            t.errors += count;
        }
    }

    /// How many keys keep their last good value now.
    pub fn held(&self, name: &str, keys: u64) {
        self.metrics.keys_quarantined(name, keys);
        for t in self.lock().facts.topics.iter_mut().filter(|t| t.transform == name && !t.dead_letter) {
            t.held = keys;
            t.held_since = (keys > 0).then(|| t.held_since.unwrap_or_else(clock::now_millis));
        }
    }

    /// The position, and when the source was last heard, by any message.
    pub fn received(&self, lsn: EndLsn, heard: SystemTime) {
        let heard = heard.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let facts = &mut self.lock().facts;
        facts.received = lsn;
        facts.heard = i64::try_from(heard).ok();
    }

    pub fn committed(&self, c: &Commit) {
        self.metrics.kafka_transaction_ended(KafkaOutcome::Committed, c.duration, c.records);
        self.metrics.emitted_up_to(c.committed.end_lsn().get());
        let now = clock::now_millis();
        let facts = &mut self.lock().facts;
        facts.emitted = c.committed.end_lsn();
        facts.last_commit = Some(now);
        for (t, counts) in facts.topics.iter_mut().zip(&c.topics) {
            t.upserts += counts.upserts;
            t.tombstones += counts.tombstones;
            if counts.upserts + counts.tombstones > 0 {
                t.last_record = Some(now);
            }
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
        self.lock().facts.confirmed = lsn;
    }

    /// What stands in the way, until `well`; without an exit code it is tried again.
    pub fn trouble(&self, failure: &Failure, exit: Option<Exit>) {
        let (d, side) = (failure.diagnostic(), failure.side());
        let facts = &mut self.lock().facts;
        let since = match &facts.problem {
            // One trouble has many messages while it lasts.
            Some(p) if p.side == side && exit.is_none() => p.since,
            _ => clock::now_millis(),
        };
        let code = d.code.to_string();
        let again = facts.problem.as_ref().is_some_and(|p| p.code == code && p.exit == exit && p.message == d.message);
        if !again {
            push(facts, json!({ "at": now(), "event": "problem", "code": code, "message": d.message }));
        }
        facts.kafka_owes_since = None;
        facts.problem = Some(Problem { side, code, message: d.message, help: d.help, since, exit });
        if exit.is_some() {
            for t in &mut facts.topics {
                t.state = TransformState::Stopped.word();
                self.metrics.transform_is(&t.transform, TransformState::Stopped);
            }
        }
    }

    pub fn well(&self) {
        self.lock().facts.problem = None;
    }

    /// Once a second, beside everything else: what is known over time.
    pub fn tick(&self) {
        let now = clock::now_millis();
        let mut inner = self.lock();
        for t in &mut inner.facts.topics {
            t.minute.sample(now, [t.upserts, t.tombstones]);
        }
        let Inner { facts, since, .. } = &mut *inner;
        since.see(facts, now);
    }

    /// The one sentence, and the problem's code if there is a problem.
    pub fn verdict(&self) -> (Verdict, Option<String>) {
        let inner = self.lock();
        let code = inner.facts.problem.as_ref().map(|p| p.code.clone());
        (status::verdict::of_facts(&inner.facts, clock::now_millis()), code)
    }

    /// `/status`, version 1.
    pub fn status(&self) -> Value {
        let Inner { facts, since, .. } = &mut *self.lock();
        status::document(facts, since, clock::now_millis())
    }
}

fn push(facts: &mut Facts, event: Value) {
    if facts.events.len() == EVENTS {
        facts.events.pop_front();
    }
    facts.events.push_back(event);
}

fn now() -> String {
    rfc3339(clock::now_postgres_micros())
}
