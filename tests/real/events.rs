//! `kind = "event"`: every committed INSERT of the root is one record, exactly once, beside the state.

use std::collections::BTreeMap;

use crate::reconcile_scene::*;
use crate::support::*;

const OUTBOX: &str =
    "CREATE TABLE outbox (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, \
                      order_id int NOT NULL, payload jsonb, n int);
                      CREATE TABLE item (id int PRIMARY KEY, a text)";
const STRING: &str = "\"string\"";

/// An outbox whose events have an id, and an entity.
fn shop(name: &str, header: &str, more: &str) -> Scene {
    let mut s = Scene::new(name, OUTBOX, more);
    placed(&mut s, header);
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i", &[("id", INT), ("a", TEXT)]);
    s
}

fn placed(s: &mut Scene, header: &str) {
    s.transform(
        "placed",
        &format!("kind = \"event\"\nevent_id = \"event_id\"\n{header}"),
        1,
        "SELECT o.order_id, o.payload, o.n, o.id AS event_id FROM outbox AS o WHERE o.n IS DISTINCT FROM -1",
        &[("order_id", INT), ("payload", TEXT), ("n", INT_OR_NULL)],
    );
}

/// (event id, key, payload, n) in the order of versions.
fn events(s: &Scene, name: &str) -> Vec<(String, String, Option<String>, Option<String>)> {
    let text = |h: &Heard, name: &str| h.headers.get(name).cloned().unwrap_or_default();
    let all = s.heard(name);
    for h in &all {
        assert!(h.value.is_some(), "a tombstone: {h:?}");
        assert!(h.headers.contains_key("pgspine-committed-at"), "{h:?}");
    }
    let value = |h: &Heard| h.value.clone().unwrap();
    all.iter()
        .map(|h| {
            let v = value(h);
            (text(h, "pgspine-event-id"), h.key[0].clone().unwrap(), v[0].clone(), v.get(1).cloned().flatten())
        })
        .collect()
}

fn ids(s: &Scene, name: &str) -> Vec<String> {
    events(s, name).into_iter().map(|e| e.0).collect()
}

fn run(s: &mut Scene, sql: &str) {
    s.client.batch_execute(&format!("BEGIN; {sql}; COMMIT")).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
}

#[test]
fn every_insert_is_an_event_and_nothing_else_is() {
    let mut s = shop("events", "", "");
    s.start(&[]);
    s.sync();
    // An outbox that stays empty.
    run(&mut s, "INSERT INTO outbox (id, order_id, payload) VALUES ('a', 1, '{\"x\": 1}'); DELETE FROM outbox");
    // Keys that are not unique; the row as it was inserted.
    run(
        &mut s,
        "INSERT INTO outbox (id, order_id, n) VALUES ('b', 1, 5), ('c', 1, 6); UPDATE outbox SET n = 50, id = id || id, order_id = 9",
    );
    run(&mut s, "UPDATE outbox SET n = 7; DELETE FROM outbox WHERE id = 'bb'");
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('gone', 1); ROLLBACK; BEGIN");
    run(
        &mut s,
        "SAVEPOINT s; INSERT INTO outbox (id, order_id) VALUES ('gone', 1); ROLLBACK TO s; INSERT INTO outbox (id, order_id) VALUES ('d', 2)",
    );
    run(&mut s, "INSERT INTO outbox (id, order_id, n) VALUES ('filtered', 1, -1)");
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('d', 3) ON CONFLICT (id) DO UPDATE SET order_id = 4");
    run(
        &mut s,
        "INSERT INTO outbox (id, order_id) VALUES ('e', 2); TRUNCATE outbox; INSERT INTO outbox (id, order_id) VALUES ('f', 2)",
    );
    run(&mut s, "COPY outbox (id, order_id) FROM PROGRAM 'printf ''g\\t3\\nh\\t3\\n'''");
    // The same once more is an event once more: nothing is suppressed.
    run(&mut s, "DELETE FROM outbox; INSERT INTO outbox (id, order_id, n) VALUES ('b', 1, 5)");
    // The columns change in the middle of a transaction.
    run(
        &mut s,
        "INSERT INTO outbox (id, order_id) VALUES ('i', 1); ALTER TABLE outbox ADD COLUMN more int; INSERT INTO outbox (id, order_id, more) VALUES ('j', 1, 2)",
    );
    run(
        &mut s,
        "INSERT INTO item VALUES (1, 'x'); INSERT INTO outbox (id, order_id) VALUES ('k', 1); UPDATE item SET a = 'y'",
    );
    s.sync();
    s.stop();
    let found = events(&s, "placed");
    let e = |id: &str, key: &str, payload: Option<&str>, n: Option<&str>| {
        (id.to_owned(), key.to_owned(), payload.map(str::to_owned), n.map(str::to_owned))
    };
    let expected = [
        e("a", "1", Some("{\"x\": 1}"), None),
        e("b", "1", None, Some("5")),
        e("c", "1", None, Some("6")),
        e("d", "2", None, None),
        e("e", "2", None, None),
        e("f", "2", None, None),
        e("g", "3", None, None),
        e("h", "3", None, None),
        e("b", "1", None, Some("5")),
        e("i", "1", None, None),
        e("j", "1", None, None),
        e("k", "1", None, None),
    ];
    assert_eq!(found, expected);
    // State and event of one transaction have one LSN, and numbers that follow each other.
    let (event, item) = (s.heard("placed").pop().unwrap(), s.heard("item").pop().unwrap());
    assert_eq!(event.headers["pgspine-lsn"], item.headers["pgspine-lsn"]);
    let numbers: BTreeMap<&str, &str> =
        [(&event.headers["pgspine-seq"][..], "event"), (&item.headers["pgspine-seq"][..], "item")].into();
    assert_eq!(numbers, [("0", "item"), ("1", "event")].into());
    // Nothing of it comes again.
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(ids(&s, "placed").len(), expected.len());
    assert_eq!(partitions(&s.topic("placed")), 3);
}
