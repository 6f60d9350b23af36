//! Every metric with its name, its help and its labels: the one place where they are written.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use std::collections::HashMap;

macro_rules! families {
    ($($field:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        pub(super) struct Families { $(pub $field: $kind),+ }

        impl Families {
            pub fn register(registry: &Registry) -> Families {
                Families { $($field: add(registry, <$kind as Make>::make(concat!("pgspine_", $name), $help, &[$($label),*]))),+ }
            }
        }

        /// Every name with its labels.
        #[cfg(test)]
        pub(super) const NAMES: &[(&str, &[&str])] = &[$((concat!("pgspine_", $name), &[$($label),*])),+];
    };
}

families! {
    build_info: IntGaugeVec "build_info" ["version", "revision"] "1, with what this process was built from.";
    state: IntGaugeVec "state" ["state"] "1 for the state the bridge is in.";
    transform_info: IntGaugeVec "transform_info" ["transform", "topic", "owner", "sha256", "schema_id"] "1, with what a transform is.";
    transform_state: IntGaugeVec "transform_state" ["transform", "state"] "1 for the state a transform is in.";
    quarantined_keys: IntGaugeVec "quarantined_keys" ["transform"] "Keys held at their last good value.";
    slot_active: IntGauge "slot_active" [] "1 while this process holds the slot.";
    slot_wal_status: IntGaugeVec "slot_wal_status" ["status"] "1 for the slot's wal_status.";
    slot_retained_wal: IntGauge "slot_retained_wal_bytes" [] "WAL that the server keeps for the slot.";
    slot_confirmed_lag: IntGauge "slot_confirmed_lag_bytes" [] "WAL between the slot's confirmed position and the server's end.";
    slot_safe_wal: IntGaugeVec "slot_safe_wal_bytes" [] "WAL that can be written before the slot may be lost; absent if unlimited.";
    source_up: IntGauge "source_up" [] "1 while the replication connection stands.";
    source_last_message: Gauge "source_last_message_timestamp_seconds" [] "When the source was last heard.";
    source_wal_bytes: IntCounter "source_wal_bytes_total" [] "Bytes received from the slot.";
    annotations_refused: IntCounter "annotations_refused_total" [] "Messages with the prefix pgspine.annotate that were not understood.";
    source_transactions: IntCounter "source_transactions_total" [] "Source transactions received.";
    source_changes: IntCounterVec "source_changes_total" ["table", "op"] "Row changes received.";
    source_reconnects: IntCounterVec "source_reconnects_total" ["reason"] "Times the replication connection was made anew.";
    received_lsn: IntGauge "received_lsn" [] "The newest position received.";
    emitted_lsn: IntGauge "emitted_lsn" [] "The position up to which everything is committed in Kafka.";
    confirmed_lsn: IntGauge "confirmed_lsn" [] "The position that the slot was told.";
    commit_to_kafka: Histogram "commit_to_kafka_seconds" [] "From the source's commit to the commit in Kafka.";
    last_commit: Gauge "last_commit_timestamp_seconds" [] "Commit time of the newest source transaction in Kafka.";
    transform_evaluations: IntCounterVec "transform_evaluations_total" ["transform"] "Roots evaluated.";
    transform_errors: IntCounterVec "transform_errors_total" ["transform", "reason"] "Rows that could not become a record.";
    records: IntCounterVec "records_total" ["transform", "topic", "kind"] "Records committed in Kafka.";
    records_suppressed: IntCounterVec "records_suppressed_total" ["transform"] "Evaluations that gave what the topic holds already.";
    dead_letter_records: IntCounterVec "dead_letter_records_total" ["transform"] "Dead letters committed in Kafka.";
    schema_drift: IntGaugeVec "schema_drift" ["transform", "kind"] "1 while the source or the registry differs from the plan.";
    kafka_transactions: IntCounterVec "kafka_transactions_total" ["outcome"] "Kafka transactions ended.";
    kafka_transaction_seconds: Histogram "kafka_transaction_seconds" [] "From a Kafka transaction's begin to its end.";
    kafka_transaction_records: Histogram "kafka_transaction_records" [] "Records in a Kafka transaction, without the progress record.";
    fenced: IntCounter "fenced_total" [] "Times another producer fenced this one.";
    snapshot_rows: IntCounterVec "snapshot_rows_total" ["table"] "Rows read by a load.";
    snapshot_tables_remaining: IntGauge "snapshot_tables_remaining" [] "Tables that a load has still to read.";
    transaction_roots_remaining: IntGaugeVec "transaction_roots_remaining" ["transform"] "Roots that the source transaction at hand touches and that are still to be compared; 0 between large ones.";
    reconcile_keys_remaining: IntGaugeVec "reconcile_keys_remaining" ["transform"] "Keys that a reconcile has still to compare.";
    state_bytes: IntGaugeVec "state_bytes" ["table"] "Bytes of a table in the local state.";
    state_entries: IntGaugeVec "state_entries" ["table"] "Rows of a table in the local state.";
    state_disk_free: IntGauge "state_disk_free_bytes" [] "Free space where the local state lies.";
    backpressure: CounterVec "backpressure_seconds_total" ["cause"] "Time the reader was held back.";
}

/// A metric of each kind from its name, help and labels.
trait Make {
    fn make(name: &str, help: &str, labels: &[&str]) -> Self;
}

/// The names and labels are the constants above, and a test makes every one: that none is refused is known there.
const VALID: &str = "a metric's name and labels are valid constants";

macro_rules! make {
    ($($kind:ty: |$opts:ident, $labels:ident| $new:expr;)+) => {$(
        impl Make for $kind {
            fn make(name: &str, help: &str, $labels: &[&str]) -> $kind {
                let $opts = Opts::new(name, help);
                $new.expect(VALID)
            }
        }
    )+};
}

make! {
    IntGauge: |o, _l| IntGauge::with_opts(o);
    Gauge: |o, _l| Gauge::with_opts(o);
    Counter: |o, _l| Counter::with_opts(o);
    IntCounter: |o, _l| IntCounter::with_opts(o);
    IntGaugeVec: |o, l| IntGaugeVec::new(o, l);
    IntCounterVec: |o, l| IntCounterVec::new(o, l);
    CounterVec: |o, l| CounterVec::new(o, l);
    Histogram: |o, _l| {
        let buckets = if o.name.ends_with("_records") { RECORDS } else { SECONDS };
        Histogram::with_opts(HistogramOpts::from(o).buckets(buckets.to_vec()))
    };
}

/// From a commit that is visible at once (1 ms) to a minute behind.
const SECONDS: &[f64] =
    &[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Up to `commit.max_records`' default and beyond.
const RECORDS: &[f64] = &[0.0, 1.0, 10.0, 100.0, 1_000.0, 5_000.0, 20_000.0, 100_000.0, 1_000_000.0];

pub(super) fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect(VALID);
    collector
}

/// `process_*`: memory, CPU, open files of this process.
#[cfg(target_os = "linux")]
pub(super) fn add_process(registry: &Registry) {
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    registry.register(Box::new(collector)).expect(VALID);
}

/// Removes the series whose `label` has this value: what a transform was before a change.
pub(super) fn drop_where(vec: &IntGaugeVec, label: &str, value: &str) {
    for family in vec.collect() {
        for metric in family.get_metric() {
            let labels = metric.get_label();
            if labels.iter().any(|l| l.name() == label && l.value() == value) {
                let all: HashMap<&str, &str> = labels.iter().map(|l| (l.name(), l.value())).collect();
                // Absent already: another thread did the same.
                let _ = vec.remove(&all);
            }
        }
    }
}
