//! Names, zeros and events, as a scraper sees them.

use super::*;
use std::collections::BTreeSet;

/// The scraped text with each line's labels in alphabetical order.
fn text(metrics: &Metrics) -> String {
    let text = String::from_utf8(metrics.scrape().unwrap()).unwrap();
    let sorted = |line: &str| match (line.find('{'), line.rfind('}')) {
        (Some(from), Some(to)) if !line.starts_with('#') => {
            let mut labels: Vec<&str> = line[from + 1..to].split(',').collect();
            labels.sort_unstable();
            format!("{}{}{}", &line[..=from], labels.join(","), &line[to..])
        }
        _ => line.to_owned(),
    };
    text.lines().map(sorted).collect::<Vec<_>>().join("\n")
}

fn shop() -> Metrics {
    let metrics = Metrics::new("shop", "0.1.0", "abc");
    let order = TransformInfo { name: "shop/order".into(), topic: "t".into(), schema_id: 1, ..Default::default() };
    metrics.transform_known(&order, &[RecordKind::Upsert, RecordKind::Tombstone]);
    metrics.table_known("shop.orders");
    metrics
}

fn check(events: impl Fn(&Metrics), expected: &[&str]) {
    let metrics = shop();
    events(&metrics);
    let text = text(&metrics);
    for line in expected {
        assert!(text.lines().any(|l| l == *line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn every_family_is_there_before_anything_happens() {
    let metrics = shop();
    metrics.state_holds("shop.orders", 0, 0);
    metrics.slot_seen(WalStatus::Reserved, 0, 0, Some(0));
    let text = text(&metrics);
    let present: BTreeSet<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for (name, _) in family::NAMES {
        assert!(present.contains(name), "{name} is absent");
    }
    assert!(present.contains("process_resident_memory_bytes"));
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        assert!(line.contains("bridge=\"shop\""), "{line}");
    }
}

#[test]
fn states_are_one_of_many() {
    check(
        |m| m.bridge_is(BridgeState::Streaming),
        &[
            "pgspine_state{bridge=\"shop\",state=\"streaming\"} 1",
            "pgspine_state{bridge=\"shop\",state=\"starting\"} 0",
        ],
    );
    check(
        |m| m.transform_is("shop/order", TransformState::Live),
        &[
            "pgspine_transform_state{bridge=\"shop\",state=\"live\",transform=\"shop/order\"} 1",
            "pgspine_transform_state{bridge=\"shop\",state=\"loading\",transform=\"shop/order\"} 0",
        ],
    );
}

#[test]
fn counters_start_at_zero_and_count() {
    let line = |n| {
        format!("pgspine_records_total{{bridge=\"shop\",kind=\"upsert\",topic=\"t\",transform=\"shop/order\"}} {n}")
    };
    check(|_| (), &[&line(0), "pgspine_fenced_total{bridge=\"shop\"} 0"]);
    check(|m| m.records_committed("shop/order", "t", RecordKind::Upsert, 3), &[&line(3)]);
    check(
        |m| m.changes_received("shop.orders", Operation::Delete, 2),
        &["pgspine_source_changes_total{bridge=\"shop\",op=\"delete\",table=\"shop.orders\"} 2"],
    );
    check(
        |m| m.kafka_transaction_ended(KafkaOutcome::Committed, Duration::from_millis(3), 7),
        &[
            "pgspine_kafka_transactions_total{bridge=\"shop\",outcome=\"committed\"} 1",
            "pgspine_kafka_transaction_seconds_bucket{bridge=\"shop\",le=\"0.004\"} 1",
            "pgspine_kafka_transaction_records_bucket{bridge=\"shop\",le=\"1\"} 0",
        ],
    );
}

#[test]
fn a_slot_without_limit_has_no_safe_wal() {
    let metrics = shop();
    metrics.slot_seen(WalStatus::Extended, 5, 4, Some(3));
    assert!(text(&metrics).contains("pgspine_slot_safe_wal_bytes{bridge=\"shop\"} 3"));
    metrics.slot_seen(WalStatus::Extended, 5, 4, None);
    assert!(!text(&metrics).contains("pgspine_slot_safe_wal_bytes{"));
}

#[test]
fn a_changed_transform_has_one_info() {
    let metrics = shop();
    let changed = TransformInfo { name: "shop/order".into(), topic: "t".into(), schema_id: 2, ..Default::default() };
    metrics.transform_known(&changed, &[]);
    let infos: Vec<String> =
        text(&metrics).lines().filter(|l| l.starts_with("pgspine_transform_info{")).map(str::to_owned).collect();
    assert_eq!(infos.len(), 1, "{infos:?}");
    assert!(infos[0].contains("schema_id=\"2\""));
}

#[test]
fn the_reference_lists_every_family_with_its_labels() {
    let row = |line: &str| -> Option<(String, String)> {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.trim_end_matches('`').to_owned();
        let labels = cells.nth(1)?.to_owned();
        Some((name, labels))
    };
    let listed: Vec<_> = include_str!("../../docs/metrics.md").lines().filter_map(row).collect();
    let joined = |labels: &[&str]| if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
    let made: Vec<_> = family::NAMES.iter().map(|(name, labels)| ((*name).to_owned(), joined(labels))).collect();
    assert_eq!(listed, made);
}
