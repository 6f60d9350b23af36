//! What the bridge counts, as Prometheus reads it.
//!
//! The rule: a call site names an event and passes numbers and the names of its own things (a table, a transform); no
//! metric name and no fixed label value stands outside this folder. Every series whose labels are known is there with
//! zero from the start, so that an alert on a rate sees the first event. The names are those of the reference and do
//! not change.

mod family;
mod scrape;
#[cfg(test)]
mod tests;
mod words;

use family::Families;
use prometheus::Registry;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
pub use words::{
    BackpressureCause, BridgeState, KafkaOutcome, Operation, Reconnect, RecordKind, RowErrorReason, SchemaDriftKind,
    TransformState, WalStatus,
};

/// A handle that every stage holds a clone of.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    families: Families,
}

/// What is known of a transform when the bridge starts.
#[derive(Clone, Debug, Default)]
pub struct TransformInfo {
    pub name: String,
    pub topic: String,
    pub owner: String,
    pub sha256: String,
    /// The schema id under which values are written.
    pub schema_id: u32,
}

impl Metrics {
    /// A fresh set for the bridge of this name.
    pub fn new(bridge: &str, version: &str, revision: &str) -> Metrics {
        let labels = [("bridge".to_owned(), bridge.to_owned())].into_iter().collect();
        // Names and labels are constants of `Families`: a registration that fails is a mistake in that file, and a test
        // makes every one of them.
        let registry = Registry::new_custom(None, Some(labels)).unwrap_or_default();
        let families = Families::register(&registry);
        #[cfg(target_os = "linux")]
        family::add_process(&registry);
        let metrics = Metrics { inner: Arc::new(Inner { registry, families }) };
        let m = &metrics.inner.families;
        m.build_info.with_label_values(&[version, revision]).set(1);
        metrics.bridge_is(BridgeState::Starting);
        for reason in Reconnect::ALL {
            m.source_reconnects.with_label_values(&[reason.word()]);
        }
        for outcome in KafkaOutcome::ALL {
            m.kafka_transactions.with_label_values(&[outcome.word()]);
        }
        for cause in BackpressureCause::ALL {
            m.backpressure.with_label_values(&[cause.word()]);
        }
        for status in WalStatus::ALL {
            m.slot_wal_status.with_label_values(&[status.word()]);
        }
        metrics
    }

    /// The series of a transform, at zero; again when its contract's schema id or its text has changed.
    pub fn transform_known(&self, t: &TransformInfo, kinds: &[RecordKind]) {
        let m = self.m();
        let id = t.schema_id.to_string();
        family::drop_where(&m.transform_info, "transform", &t.name);
        m.transform_info.with_label_values(&[&t.name, &t.topic, &t.owner, &t.sha256, &id]).set(1);
        m.quarantined_keys.with_label_values(&[&t.name]);
        m.transform_evaluations.with_label_values(&[&t.name]);
        m.records_suppressed.with_label_values(&[&t.name]);
        m.dead_letter_records.with_label_values(&[&t.name]);
        m.reconcile_keys_remaining.with_label_values(&[&t.name]);
        m.transaction_roots_remaining.with_label_values(&[&t.name]);
        for reason in RowErrorReason::ALL {
            m.transform_errors.with_label_values(&[t.name.as_str(), reason.word()]);
        }
        for kind in kinds {
            m.records.with_label_values(&[t.name.as_str(), t.topic.as_str(), kind.word()]);
        }
        for drift in SchemaDriftKind::ALL {
            m.schema_drift.with_label_values(&[t.name.as_str(), drift.word()]);
        }
        for state in TransformState::ALL {
            m.transform_state.with_label_values(&[t.name.as_str(), state.word()]);
        }
    }

    /// The series of a source table, at zero.
    pub fn table_known(&self, table: &str) {
        for operation in Operation::ALL {
            self.m().source_changes.with_label_values(&[table, operation.word()]);
        }
        self.m().snapshot_rows.with_label_values(&[table]);
        self.m().state_bytes.with_label_values(&[table]);
        self.m().state_entries.with_label_values(&[table]);
    }

    // ---- the bridge and its transforms

    pub fn bridge_is(&self, state: BridgeState) {
        for s in BridgeState::ALL {
            self.m().state.with_label_values(&[s.word()]).set(i64::from(*s == state));
        }
    }

    pub fn transform_is(&self, transform: &str, state: TransformState) {
        for s in TransformState::ALL {
            self.m().transform_state.with_label_values(&[transform, s.word()]).set(i64::from(*s == state));
        }
    }

    pub fn keys_quarantined(&self, transform: &str, count: u64) {
        self.m().quarantined_keys.with_label_values(&[transform]).set(clamp(count));
    }

    // ---- the slot

    pub fn slot_held(&self, held: bool) {
        self.m().slot_active.set(i64::from(held));
    }

    /// What `pg_replication_slots` says. `safe_wal_bytes` is NULL there when nothing limits what the slot retains.
    pub fn slot_seen(&self, status: WalStatus, retained: u64, confirmed_lag: u64, safe_wal_bytes: Option<i64>) {
        let m = self.m();
        for s in WalStatus::ALL {
            m.slot_wal_status.with_label_values(&[s.word()]).set(i64::from(*s == status));
        }
        m.slot_retained_wal.set(clamp(retained));
        m.slot_confirmed_lag.set(clamp(confirmed_lag));
        match safe_wal_bytes {
            Some(bytes) => m.slot_safe_wal.with_label_values::<&str>(&[]).set(bytes),
            None => m.slot_safe_wal.reset(),
        }
    }

    // ---- the source

    pub fn source_connected(&self, up: bool) {
        self.m().source_up.set(i64::from(up));
    }

    pub fn source_reconnected(&self, reason: Reconnect) {
        self.m().source_reconnects.with_label_values(&[reason.word()]).inc();
    }

    /// A message of any kind, keepalives too.
    pub fn source_heard(&self, at: SystemTime, wal_bytes: u64, received_lsn: u64) {
        let m = self.m();
        m.source_last_message.set(seconds(at));
        m.source_wal_bytes.inc_by(wal_bytes);
        m.received_lsn.set(clamp(received_lsn));
    }

    pub fn transactions_received(&self, count: u64) {
        self.m().source_transactions.inc_by(count);
    }

    pub fn annotations_refused(&self, count: u64) {
        self.m().annotations_refused.inc_by(count);
    }

    pub fn changes_received(&self, table: &str, operation: Operation, count: u64) {
        self.m().source_changes.with_label_values(&[table, operation.word()]).inc_by(count);
    }

    // ---- transforms

    pub fn roots_evaluated(&self, transform: &str, count: u64) {
        self.m().transform_evaluations.with_label_values(&[transform]).inc_by(count);
    }

    /// Evaluated, and equal to what is in the topic.
    pub fn records_suppressed(&self, transform: &str, count: u64) {
        self.m().records_suppressed.with_label_values(&[transform]).inc_by(count);
    }

    pub fn rows_failed(&self, transform: &str, reason: RowErrorReason, count: u64) {
        self.m().transform_errors.with_label_values(&[transform, reason.word()]).inc_by(count);
    }

    pub fn schema_drifted(&self, transform: &str, kind: SchemaDriftKind, present: bool) {
        self.m().schema_drift.with_label_values(&[transform, kind.word()]).set(i64::from(present));
    }

    // ---- Kafka

    /// Records of a transform whose Kafka transaction has committed.
    pub fn records_committed(&self, transform: &str, topic: &str, kind: RecordKind, count: u64) {
        self.m().records.with_label_values(&[transform, topic, kind.word()]).inc_by(count);
    }

    pub fn dead_letters_committed(&self, transform: &str, count: u64) {
        self.m().dead_letter_records.with_label_values(&[transform]).inc_by(count);
    }

    /// A Kafka transaction has ended; `records` without the progress record.
    pub fn kafka_transaction_ended(&self, outcome: KafkaOutcome, took: Duration, records: u64) {
        let m = self.m();
        m.kafka_transactions.with_label_values(&[outcome.word()]).inc();
        m.kafka_transaction_seconds.observe(took.as_secs_f64());
        m.kafka_transaction_records.observe(records as f64);
    }

    /// One that has not, or of which nothing is known; what is in the topics is counted by none of these.
    pub fn kafka_transaction_failed(&self, outcome: KafkaOutcome) {
        self.m().kafka_transactions.with_label_values(&[outcome.word()]).inc();
    }

    /// A source transaction is visible to readers: how long after its own commit.
    pub fn commit_visible(&self, committed_at: SystemTime, now: SystemTime) {
        let m = self.m();
        // The database's clock may be ahead of ours.
        m.commit_to_kafka.observe(now.duration_since(committed_at).unwrap_or_default().as_secs_f64());
        m.last_commit.set(seconds(committed_at));
    }

    pub fn emitted_up_to(&self, lsn: u64) {
        self.m().emitted_lsn.set(clamp(lsn));
    }

    pub fn confirmed_up_to(&self, lsn: u64) {
        self.m().confirmed_lsn.set(clamp(lsn));
    }

    pub fn fenced(&self) {
        self.m().fenced.inc();
    }

    // ---- load, reconcile, state

    pub fn snapshot_rows_read(&self, table: &str, count: u64) {
        self.m().snapshot_rows.with_label_values(&[table]).inc_by(count);
    }

    pub fn snapshot_tables_remain(&self, count: u64) {
        self.m().snapshot_tables_remaining.set(clamp(count));
    }

    /// Of a source transaction that touches many.
    pub fn transaction_roots_remain(&self, transform: &str, count: u64) {
        self.m().transaction_roots_remaining.with_label_values(&[transform]).set(clamp(count));
    }

    pub fn reconcile_keys_remain(&self, transform: &str, count: u64) {
        self.m().reconcile_keys_remaining.with_label_values(&[transform]).set(clamp(count));
    }

    pub fn state_holds(&self, table: &str, entries: u64, bytes: u64) {
        self.m().state_entries.with_label_values(&[table]).set(clamp(entries));
        self.m().state_bytes.with_label_values(&[table]).set(clamp(bytes));
    }

    pub fn state_disk_free(&self, bytes: u64) {
        self.m().state_disk_free.set(clamp(bytes));
    }

    pub fn held_back(&self, cause: BackpressureCause, for_: Duration) {
        self.m().backpressure.with_label_values(&[cause.word()]).inc_by(for_.as_secs_f64());
    }

    fn m(&self) -> &Families {
        &self.inner.families
    }
}

/// Gauges are signed.
fn clamp(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
