use super::*;

const FIXTURE: &str = include_str!("../../../tests/golden/progress/v1.json");

fn sample() -> Progress {
    let topic = TopicProgress {
        topic_id: Some("6P_FhvcuTQiLbQgdC1Gz5w".to_owned()),
        partitions: 6,
        key_schema_id: Some(1),
        records: 57,
        ..TopicProgress::default()
    };
    Progress {
        generation: 7,
        instance: "0b2ff9b4-3f0e-4d43-9d1e-6a4f4b0b7a11".to_owned(),
        epoch: 1,
        end_lsn: "0/16B3748".parse().unwrap(),
        commit_time: parse_rfc3339("2026-03-01T12:00:00.000001Z"),
        xid: 742,
        seq: 128,
        prev_lsn: "0/16B3700".parse().unwrap(),
        system_identifier: "7561234567890123456".to_owned(),
        timeline: 1,
        slot: "pgspine_shop".to_owned(),
        revision: "r1".to_owned(),
        topics: [("shop.order.v1".to_owned(), topic)].into(),
        cursor: None,
        fingerprints: Value::Null,
        unknown: serde_json::Map::new(),
    }
}

/// What the first release wrote is read for ever, and written the same.
#[test]
fn the_fixture_is_read_and_written_back() {
    assert_eq!(Progress::from_json(FIXTURE.trim().as_bytes()).unwrap(), sample());
    assert_eq!(String::from_utf8(sample().to_json("shop")).unwrap(), FIXTURE.trim());
}

#[test]
fn unknown_fields_are_kept() {
    let text = FIXTURE
        .trim()
        .replace("\"xid\"", "\"later\":{\"a\":[1]},\"xid\"")
        .replace("\"records\"", "\"more\":2,\"records\"");
    let p = Progress::from_json(text.as_bytes()).unwrap();
    let again = Progress::from_json(&p.to_json("shop")).unwrap();
    assert_eq!(again, p);
    assert_eq!(p.unknown["later"]["a"][0], 1);
    assert_eq!(p.topics["shop.order.v1"].unknown["more"], 2);
}

#[test]
fn cursor_and_fingerprints_come_back() {
    let mut p = sample();
    p.apply(&Edit::ReconcileCursor { topic: "a".to_owned(), cursor: Some(serde_json::json!({"after": "00ff"})) });
    p.apply(&Edit::TransactionCursor(Some(serde_json::json!({"part": 2}))));
    p.apply(&Edit::Fingerprints(serde_json::json!({"t": 1})));
    p.commit_time = None;
    assert_eq!(Progress::from_json(&p.to_json("shop")).unwrap(), p);
    assert!(!p.is_complete("a"));
    p.apply(&Edit::ReconcileCursor { topic: "a".to_owned(), cursor: None });
    assert!(p.cursor.is_some());
    p.apply(&Edit::TransactionCursor(None));
    assert_eq!(p.cursor, None);
}

#[test]
fn an_edit_of_a_topic_keeps_its_count() {
    let mut p = sample();
    let edit = TopicProgress { partitions: 12, ..TopicProgress::default() };
    p.apply(&Edit::Topic { topic: "shop.order.v1".to_owned(), progress: edit });
    assert_eq!((p.topics["shop.order.v1"].partitions, p.topics["shop.order.v1"].records), (12, 57));
    p.apply(&Edit::ForgetTopic { topic: "shop.order.v1".to_owned() });
    assert!(p.topics.is_empty());
}

#[test]
fn what_is_newer_or_broken_is_refused() {
    let refused = |text: &str| Progress::from_json(text.as_bytes()).unwrap_err();
    assert!(matches!(refused(r#"{"version":2,"anything":true}"#), ProgressError::Newer { found: 2 }));
    for text in ["", "{}", "null", r#"{"version":1}"#, r#"{"version":"1"}"#, &FIXTURE[..100]] {
        assert!(matches!(refused(text), ProgressError::Malformed { .. }), "{text}");
    }
    let bad_lsn = FIXTURE.replace("0/16B3748", "nowhere");
    assert!(matches!(refused(&bad_lsn), ProgressError::Field { field: "end_lsn", .. }));
    let bad_time = FIXTURE.replace("2026-03-01T", "2026-03-01 ");
    assert!(matches!(refused(&bad_time), ProgressError::Field { field: "commit_time", .. }));
    assert!(matches!(refused(r#"{"version":0}"#), ProgressError::Field { field: "version", .. }));
}

#[test]
fn a_transform_record_comes_back() {
    let t = TransformRecord {
        topic: "shop.order.v1".to_owned(),
        name: "shop/order".to_owned(),
        sha256: "ab".to_owned(),
        sql: "SELECT 'x\n'".to_owned(),
        avsc: "{}".to_owned(),
    };
    assert_eq!(json::read_transform("shop.order.v1", &t.to_json()).unwrap(), t);
}
