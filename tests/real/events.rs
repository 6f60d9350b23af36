//! `kind = "event"`: every committed INSERT of the root is one record, exactly once, beside the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::crash::is_killed;
use crate::reconcile_scene::*;
use crate::support::*;

const OUTBOX: &str =
    "CREATE TABLE outbox (pad int, seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, \
                      order_id int NOT NULL, payload jsonb, n int);
                      CREATE TABLE item (id int PRIMARY KEY, a text)";

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
        "INSERT INTO outbox (id, order_id) VALUES ('i', 1); ALTER TABLE outbox DROP COLUMN pad; INSERT INTO outbox (id, order_id, n) VALUES ('j', 1, 2)",
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
        e("j", "1", None, Some("2")),
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

/// Each id once, and no other: `sent` keeps them in the database.
fn exactly_once(s: &mut Scene) {
    let mut found = ids(s, "placed");
    found.sort();
    let sent = s.client.query("SELECT id FROM sent ORDER BY id COLLATE \"C\"", &[]).unwrap();
    let sent: Vec<String> = sent.iter().map(|r| r.get(0)).collect();
    let missing: Vec<_> = sent.iter().filter(|i| !found.contains(i)).collect();
    assert!(missing.is_empty(), "missing {missing:?}");
    assert_eq!(found, sent);
}

/// What follows each other in one partition is compared by `heard`; here, that state and events of a transaction are seen
/// together or not at all.
fn together(s: &Scene) {
    let events: BTreeSet<String> = s.heard("placed").into_iter().map(|h| h.headers["pgspine-lsn"].clone()).collect();
    let items: BTreeSet<String> = s.heard("item").into_iter().map(|h| h.headers["pgspine-lsn"].clone()).collect();
    assert_eq!(events, items);
}

fn send(s: &mut Scene, i: i32) {
    let away = if i % 2 == 0 { "; DELETE FROM outbox" } else { "" };
    run(
        s,
        &format!(
            "INSERT INTO item VALUES ({i}, 'x'); INSERT INTO outbox (id, order_id, n) VALUES ('{i}', {}, {i}); \
             INSERT INTO sent VALUES ('{i}'){away}",
            i % 5
        ),
    );
}

#[test]
fn killed_anywhere_each_event_comes_exactly_once_and_with_its_state() {
    let mut s = shop("events_kill", "", "");
    s.client.batch_execute("CREATE TABLE sent (id text)").unwrap();
    s.start(&[]);
    s.sync();
    s.stop();
    let mut i = 0;
    for point in [
        "evaluated:4",
        "produced:3",
        "before_commit:3",
        "after_commit:3",
        "before_state:1",
        "state_written:1",
        "state_durable:1",
        "confirmed:2",
    ] {
        s.environment("PGSPINE_FAILPOINT", point);
        s.start(&[]);
        let mut process = s.process.take().unwrap();
        let ended = wait_for(point, LIMIT, || {
            i += 1;
            send(&mut s, i);
            process.ended()
        });
        assert!(is_killed(ended), "{}", process.log());
        drop(process);
        together(&s);
        s.environment("PGSPINE_FAILPOINT", "none");
        for _ in 0..3 {
            i += 1;
            send(&mut s, i);
        }
        s.start(&[]);
        s.sync();
        s.stop();
        exactly_once(&mut s);
        together(&s);
    }
    s.check();
}

#[test]
fn a_transaction_of_many_events_goes_out_in_parts_and_exactly_once() {
    for point in ["after_commit:3", "before_commit:2"] {
        let mut s = shop("events_split", "", "[commit]\nsplit_records = 50\n");
        s.client.batch_execute("CREATE TABLE sent (id text)").unwrap();
        s.start(&[]);
        s.sync();
        s.stop();
        s.environment("PGSPINE_FAILPOINT", point);
        s.start(&[]);
        run(
            &mut s,
            "SELECT pg_logical_emit_message(true, 'pgspine.annotate', '{\"user\": \"ann\"}');
             INSERT INTO item SELECT i, 'x' FROM generate_series(1, 60) i;
             INSERT INTO outbox (id, order_id) SELECT i, i FROM generate_series(1, 150) i; INSERT INTO sent SELECT id FROM outbox; DELETE FROM outbox",
        );
        let mut process = s.process.take().unwrap();
        assert!(is_killed(wait_for(point, LIMIT, || process.ended())), "{}", process.log());
        drop(process);
        s.environment("PGSPINE_FAILPOINT", "none");
        s.start(&[]);
        s.sync();
        s.stop();
        exactly_once(&mut s);
        let heard = s.heard("placed");
        let parts: BTreeSet<&str> = heard.iter().map(|h| &h.headers["pgspine-part"][..]).collect();
        assert!(parts.len() >= 3, "{parts:?}");
        assert!(heard.iter().all(|h| h.headers["user"] == "ann"));
        s.check();
    }
}

#[test]
fn rows_that_are_there_are_events_if_the_header_says_so() {
    // Killed in the middle; meanwhile rows come and go. Without an id, records are told apart by what they say.
    for (event_id, crash) in [(true, false), (true, true), (false, true)] {
        let mut s = shop("events_backfill", "backfill = true", "");
        if !event_id {
            s.transform(
                "placed",
                "kind = \"event\"\nbackfill = true",
                1,
                "SELECT o.order_id, o.id FROM outbox AS o",
                &[("order_id", INT), ("id", "\"string\"")],
            );
        }
        s.client
            .batch_execute(
                "CREATE TABLE sent (id text); INSERT INTO outbox (id, order_id) SELECT i, i % 7 FROM generate_series(1, 9000) i;
                 INSERT INTO sent SELECT id FROM outbox",
            )
            .unwrap();
        if crash {
            for (point, more) in [("reconcile_step:2", 'a'), ("after_commit:4", 'b')] {
                s.environment("PGSPINE_FAILPOINT", point);
                s.spawn(&[]);
                let mut process = s.process.take().unwrap();
                assert!(is_killed(wait_for(point, LIMIT, || process.ended())), "{}", process.log());
                drop(process);
                // In the stream, and partly still there: no INSERT that follows the begin may be passed over.
                run(
                    &mut s,
                    &format!(
                        "INSERT INTO outbox (id, order_id) VALUES ('{more}1', 1), ('{more}2', 2); DELETE FROM outbox WHERE id = '{more}1'; \
                         INSERT INTO sent VALUES ('{more}1'), ('{more}2')"
                    ),
                );
            }
            s.environment("PGSPINE_FAILPOINT", "none");
        }
        s.start(&[]);
        s.sync();
        run(
            &mut s,
            "INSERT INTO outbox (id, order_id) VALUES ('last', 1); INSERT INTO sent VALUES ('last'); DELETE FROM outbox",
        );
        s.sync();
        s.stop();
        let heard = s.heard("placed");
        if event_id {
            exactly_once(&mut s);
        } else {
            let mut found: Vec<String> = heard.iter().map(|h| h.value.as_ref().unwrap()[0].clone().unwrap()).collect();
            found.sort();
            let sent = s.client.query("SELECT id FROM sent ORDER BY id COLLATE \"C\"", &[]).unwrap();
            assert_eq!(found, sent.iter().map(|r| r.get(0)).collect::<Vec<String>>());
        }
        let origins: BTreeSet<&str> = heard.iter().map(|h| &h.headers["pgspine-origin"][..]).collect();
        assert_eq!(origins, ["reconcile", "stream"].into());
        // Whole: another start does nothing.
        s.start(&[]);
        s.sync();
        s.stop();
        assert_eq!(s.count("placed"), heard.len());
    }
}

#[test]
fn without_backfill_an_event_topic_begins_with_what_comes() {
    let mut s = shop("events_later", "", "");
    s.client.batch_execute("INSERT INTO outbox (id, order_id) VALUES ('old', 1)").unwrap();
    s.start(&[]);
    s.sync();
    assert_eq!(s.count("placed"), 0);
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('a', 1)");
    s.stop();
    // Two more on the same root, added later; one takes what is there.
    for (name, backfill) in [("more", false), ("all", true)] {
        s.transform(
            name,
            &format!("kind = \"event\"\nbackfill = {backfill}\nevent_id = \"event_id\""),
            1,
            "SELECT o.order_id, o.id AS event_id FROM outbox AS o",
            &[("order_id", INT)],
        );
    }
    s.start(&[]);
    s.sync();
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('b', 1)");
    s.sync();
    s.stop();
    let named = |s: &Scene, name: &str| -> Vec<String> {
        s.heard(name).iter().map(|h| h.headers["pgspine-event-id"].clone()).collect()
    };
    assert_eq!(named(&s, "placed"), ["a", "b"]);
    assert_eq!(named(&s, "more"), ["b"]);
    assert_eq!(named(&s, "all"), ["old", "a", "b"]);
    // A changed transform goes on where it was: nothing is passed over, nothing comes again.
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('c', 1)");
    placed(&mut s, "doc = \"changed\"");
    s.remove_state();
    s.start(&[]);
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('d', 1)");
    s.sync();
    s.stop();
    assert_eq!(named(&s, "placed"), ["a", "b", "c", "d"]);
    assert_eq!(named(&s, "all"), ["old", "a", "b", "c", "d"]);
}

fn word(log: &str) -> String {
    let at = log.rfind("gap:").unwrap_or_else(|| panic!("no gap: in {log}"));
    log[at..].chars().take_while(|c| !c.is_whitespace() && *c != '`').collect()
}

#[test]
fn after_a_gap_the_header_decides() {
    for (on_gap, expected) in [("halt", vec!["a", "c"]), ("skip", vec!["a", "c"]), ("replay", vec!["a", "kept", "c"])] {
        let mut s = shop("events_gap", &format!("on_gap = {on_gap:?}"), "[reconcile]\ngap = \"heal\"\n");
        s.start(&[]);
        s.sync();
        run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('a', 1)");
        s.sync();
        s.stop();
        let slot = s.slot();
        s.client.execute("SELECT pg_drop_replication_slot($1)", &[&slot]).unwrap();
        run(
            &mut s,
            "INSERT INTO outbox (id, order_id) VALUES ('kept', 1), ('away', 1); DELETE FROM outbox WHERE id = 'away'",
        );
        if on_gap == "halt" {
            // Healing is for entities: of events a person has to say that they may be missing.
            let log = s.refused(&[], 5, &["PGS8002", "on_gap"]);
            let word = word(&log);
            s.start(&["--approve", &word]);
        } else {
            s.start(&[]);
        }
        run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('c', 1)");
        s.sync();
        s.stop();
        assert_eq!(ids(&s, "placed"), expected, "{on_gap}");
        let heard = s.heard("placed");
        let replayed: Vec<_> = heard.iter().filter(|h| h.headers["pgspine-origin"] == "replay").collect();
        assert_eq!(replayed.len(), usize::from(on_gap == "replay"));
        s.start(&[]);
        s.sync();
        s.stop();
        assert_eq!(s.count("placed"), expected.len());
    }
}

#[test]
fn annotations_are_headers_of_all_records_of_their_transaction() {
    let mut s = shop("events_annotate", "", "");
    s.client.batch_execute(include_str!("../../sql/annotate.sql")).unwrap();
    s.start(&[]);
    s.sync();
    let insert = |id: &str| {
        format!(
            "INSERT INTO outbox (id, order_id) VALUES ('{id}', 1); INSERT INTO item VALUES ((SELECT count(*) FROM item), '{id}')"
        )
    };
    run(&mut s, &insert("before"));
    run(&mut s, &format!("{}; SELECT pgspine.annotate('{{\"user\": \"Ännchen\", \"n\": 1.50}}')", insert("a")));
    run(
        &mut s,
        &format!(
            "SELECT pgspine.annotate('{{\"user\": \"ann\"}}'); {}; SAVEPOINT s; SELECT pgspine.annotate('{{\"user\": \"eve\"}}'); ROLLBACK TO s; \
             SELECT pgspine.annotate('{{\"request_id\": \"7\"}}'); SELECT pg_logical_emit_message(true, 'other', 'x')",
            insert("b")
        ),
    );
    // Outside of a transaction it belongs to none.
    s.client.batch_execute("SELECT pg_logical_emit_message(false, 'pgspine.annotate', '{\"user\": \"x\"}')").unwrap();
    run(&mut s, &format!("SELECT pg_logical_emit_message(true, 'pgspine.annotate', 'no json'); {}", insert("c")));
    run(&mut s, &insert("after"));
    for bad in ["[]", "{\"pgspine-lsn\": \"x\"}", "{\"a b\": \"x\"}", "{\"a\": null}"] {
        let refused = s.client.batch_execute(&format!("SELECT pgspine.annotate('{bad}')"));
        assert!(refused.is_err(), "{bad}");
    }
    s.sync();
    s.process.as_mut().unwrap().until_log("the refusal", LIMIT, |log| log.contains("PGS8018"));
    s.stop();
    let own = |h: &Heard| -> Vec<(String, String)> {
        h.headers
            .iter()
            .filter(|(n, _)| !n.starts_with("pgspine-") || n.contains("annotation"))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    };
    let expected: [&[(&str, &str)]; 5] = [
        &[],
        &[("n", "1.50"), ("user", "Ännchen")],
        &[("request_id", "7"), ("user", "ann")],
        &[("pgspine-annotation-error", "no JSON object")],
        &[],
    ];
    for topic in ["placed", "item"] {
        let heard = s.heard(topic);
        assert_eq!(heard.len(), expected.len());
        for (h, e) in heard.iter().zip(expected) {
            let e: Vec<(String, String)> = e.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(own(h), e, "{topic} {h:?}");
        }
    }
}

#[test]
fn a_row_that_cannot_be_an_event_halts_or_is_a_dead_letter() {
    let schema = "CREATE TABLE outbox (id int PRIMARY KEY, k text, n int)";
    let (select, fields) = ("SELECT o.k, o.n FROM outbox AS o", [("k", "\"string\""), ("n", "\"int\"")]);
    for on_error in ["halt", "dead_letter"] {
        let mut s = Scene::new("events_dead", schema, "");
        let header = format!("kind = \"event\"\nnot_null = [\"k\", \"n\"]\non_error = {on_error:?}");
        s.transform("out", &header, 1, select, &fields);
        s.start(&[]);
        s.sync();
        run(&mut s, "INSERT INTO outbox VALUES (1, 'a', 1), (2, 'a', 2)");
        run(
            &mut s,
            "INSERT INTO outbox VALUES (3, 'b', 3), (4, 'b', NULL), (5, 'b', 5); DELETE FROM outbox WHERE id = 4",
        );
        let values = |s: &Scene| -> Vec<String> {
            s.heard("out").iter().map(|h| h.value.as_ref().unwrap()[0].clone().unwrap()).collect()
        };
        if on_error == "halt" {
            s.ends(6, &["PGS8007", "out", "NULL"]);
            assert_eq!(values(&s), ["1", "2"]);
            continue;
        }
        // Nor does a row without a key stop it.
        run(&mut s, "INSERT INTO outbox VALUES (6, NULL, 6), (7, 'b', 7)");
        s.sync();
        let held = s.status().map(|s| s["transforms"]["out"]["quarantined_keys"].clone());
        assert_eq!(held, Some(serde_json::json!(0)));
        s.stop();
        assert_eq!(values(&s), ["1", "2", "3", "5", "7"]);
        let letters = read_topic(&format!("{}.dead-letter", s.topic("out")));
        assert_eq!(letters.len(), 2);
        let keyed =
            letters.iter().find(|l| !l.key.as_deref().unwrap_or_default().is_empty()).expect("one with its key");
        assert!(s.heard("out").iter().any(|h| h.key == [Some("b".to_owned())]));
        let letter: serde_json::Value = serde_json::from_slice(keyed.value.as_deref().unwrap()).unwrap();
        assert_eq!(letter["path"], "n");
    }
}

#[test]
fn an_outbox_without_a_key_needs_a_bridge_of_events_alone() {
    let schema = "CREATE TABLE outbox (id text NOT NULL, k int NOT NULL)";
    let mut s = Scene::new("events_alone", schema, "");
    let header = "kind = \"event\"\nevent_id = \"id\"";
    s.transform("out", header, 1, "SELECT o.k, o.id FROM outbox AS o", &[("k", INT)]);
    // Beside an entity its DELETEs would be published, and PostgreSQL would refuse them.
    s.refused(&[], 2, &["PGS4059", "outbox", "bridge of their own"]);
    s.remove("tick");
    s.start(&[]);
    let first = s.lsn();
    s.level("it follows", |st| {
        let emitted: pgspine::lsn::Lsn = st["positions"]["emitted"].as_str()?.parse().ok()?;
        (emitted.0 >= first).then_some(())
    });
    run(&mut s, "INSERT INTO outbox VALUES ('a', 1); DELETE FROM outbox; INSERT INTO outbox VALUES ('b', 1)");
    run(&mut s, "UPDATE outbox SET k = 2; DELETE FROM outbox; TRUNCATE outbox");
    let caught_up = |s: &mut Scene| {
        let mark = s.lsn();
        s.level("everything to be in Kafka", |st| {
            let emitted: pgspine::lsn::Lsn = st["positions"]["emitted"].as_str()?.parse().ok()?;
            (emitted.0 >= mark).then_some(())
        });
    };
    caught_up(&mut s);
    s.kill9();
    run(&mut s, "INSERT INTO outbox VALUES ('c', 1)");
    s.start(&[]);
    caught_up(&mut s);
    let row =
        s.client.query_one("SELECT pubinsert, pubupdate OR pubdelete OR pubtruncate FROM pg_publication", &[]).unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, bool>(1)), (true, false));
    s.stop();
    let found: Vec<String> = s.heard("out").iter().map(|h| h.headers["pgspine-event-id"].clone()).collect();
    assert_eq!(found, ["a", "b", "c"]);
}

#[test]
fn what_an_event_cannot_be_is_refused_by_name() {
    let mut s = shop("events_refused", "", "[kafka.properties]\n");
    s.refused(&["--reconcile", "placed"], 2, &["PGS8017", "placed"]);
    s.start(&[]);
    let output = s.project.output(&["reconcile", "placed"]);
    assert!(!output.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("PGS8017"), "{said}");
    s.stop();
    let toml = s.project.dir().join("pgspine.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, text.replace("[kafka]\n", "[kafka]\nheaders = \"none\"\n")).unwrap();
    s.refused(&[], 2, &["PGS1008", "headers"]);
}

/// What a reader hears of one event: id, key, n, and who annotated its transaction.
type Told = (String, String, Option<String>, Option<String>);

/// Statements of one transaction at random; gives the rows that it inserts.
fn transaction(rng: &mut fastrand::Rng, next: &mut u32) -> (Vec<String>, Vec<Told>) {
    let (mut statements, mut told) = (Vec::new(), Vec::new());
    let user = (rng.u32(..3) == 0).then(|| format!("u{next}"));
    if let Some(user) = &user {
        statements
            .push(format!("SELECT pg_logical_emit_message(true, 'pgspine.annotate', '{{\"user\": \"{user}\"}}')"));
    }
    for _ in 0..rng.usize(1..6) {
        let begin = told.len();
        let rolled_back = rng.u32(..5) == 0;
        if rolled_back {
            statements.push("SAVEPOINT s".into());
        }
        for _ in 0..rng.usize(1..4) {
            let item = rng.u32(..20);
            statements.push(match rng.u32(..9) {
                0..=2 => {
                    let rows: Vec<String> = (0..rng.usize(1..4))
                        .map(|_| {
                            *next += 1;
                            let (key, n) = (rng.u32(..4), rng.u32(..3));
                            let n = if n == 0 { -1 } else { *next as i32 };
                            // WHERE lets these through.
                            if n != -1 {
                                told.push((next.to_string(), key.to_string(), Some(n.to_string()), user.clone()));
                            }
                            format!("('{next}', {key}, {n})")
                        })
                        .collect();
                    format!("INSERT INTO outbox (id, order_id, n) VALUES {}", rows.join(", "))
                }
                3 => "UPDATE outbox SET n = n + 1000, order_id = order_id + 10".into(),
                4 => "DELETE FROM outbox".into(),
                5 => "DELETE FROM outbox WHERE seq % 2 = 0".into(),
                6 if rng.u32(..4) == 0 => "TRUNCATE outbox".into(),
                7 => format!("DELETE FROM item WHERE id = {item}"),
                _ => {
                    format!("INSERT INTO item VALUES ({item}, '{next}') ON CONFLICT (id) DO UPDATE SET a = excluded.a")
                }
            });
        }
        if rolled_back {
            statements.push("ROLLBACK TO s".into());
            told.truncate(begin);
        }
    }
    (statements, told)
}

#[test]
fn random_transactions_of_state_and_events_under_random_kills() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("PGSPINE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let more = format!("[commit]\nsplit_records = {}\n", [5, 1000][rng.usize(..2)]);
    let mut s = shop("events_random", "", &more);
    if rng.bool() {
        s.client.batch_execute("ALTER TABLE outbox REPLICA IDENTITY FULL").unwrap();
    }
    // The outbox is an entity's root too, now and then.
    if rng.bool() {
        let select = "SELECT o.id, o.n FROM outbox AS o";
        s.transform("kept", "", 1, select, &[("id", "\"string\""), ("n", INT_OR_NULL)]);
    }
    s.start(&[]);
    s.sync();
    let (mut next, mut expected) = (0, Vec::new());
    for _ in 0..6 {
        for _ in 0..rng.usize(3..15) {
            let (statements, told) = transaction(&mut rng, &mut next);
            if rng.u32(..8) == 0 {
                s.client.batch_execute(&format!("BEGIN; {}; ROLLBACK", statements.join("; "))).unwrap();
                continue;
            }
            s.commit(&statements.join("; "));
            expected.extend(told);
        }
        match rng.u32(..3) {
            0 => s.sync(),
            1 => {
                s.kill9();
                s.start(&[]);
            }
            _ => {
                s.stop();
                let point = ["evaluated", "produced", "before_commit", "after_commit", "before_state"][rng.usize(..5)];
                s.environment("PGSPINE_FAILPOINT", point);
                s.spawn(&[]);
                let mut process = s.process.take().unwrap();
                let ended = wait_for(point, LIMIT, || {
                    next += 1;
                    s.commit(&format!("INSERT INTO outbox (id, order_id, n) VALUES ('{next}', 1, {next})"));
                    expected.push((next.to_string(), "1".to_owned(), Some(next.to_string()), None));
                    process.ended()
                });
                assert!(is_killed(ended), "{}", process.log());
                s.environment("PGSPINE_FAILPOINT", "none");
                s.start(&[]);
            }
        }
    }
    s.sync();
    s.stop();
    s.check();
    let heard = s.heard("placed").into_iter().map(|h| {
        let value = h.value.as_ref().unwrap();
        (
            h.headers["pgspine-event-id"].clone(),
            h.key[0].clone().unwrap(),
            value[1].clone(),
            h.headers.get("user").cloned(),
        )
    });
    assert_eq!(heard.collect::<Vec<Told>>(), expected, "PGSPINE_SEED={seed}");
    assert!(expected.len() > 10);
}

#[test]
fn a_partitioned_root_asks_for_replay_when_a_partition_comes() {
    let schema = "CREATE TABLE outbox (id int NOT NULL, k int NOT NULL, PRIMARY KEY (id, k)) PARTITION BY RANGE (id);
                  CREATE TABLE outbox_1 PARTITION OF outbox FOR VALUES FROM (0) TO (100)";
    let mut s = Scene::new("events_parts", schema, "");
    let header = "kind = \"event\"\nevent_id = \"id\"\non_gap = \"replay\"";
    s.transform("out", header, 1, "SELECT o.k, o.id FROM outbox AS o", &[("k", INT)]);
    s.start(&[]);
    s.sync();
    run(&mut s, "INSERT INTO outbox VALUES (1, 1)");
    run(
        &mut s,
        "CREATE TABLE outbox_2 PARTITION OF outbox FOR VALUES FROM (100) TO (200); INSERT INTO outbox VALUES (100, 1), (2, 1)",
    );
    s.ends(6, &["PGS8006", "outbox_2"]);
    run(&mut s, "INSERT INTO outbox VALUES (101, 1), (3, 1); DELETE FROM outbox WHERE id = 3");
    s.start(&[]);
    run(&mut s, "INSERT INTO outbox VALUES (102, 1); DELETE FROM outbox");
    s.sync();
    s.stop();
    let mut found: Vec<u32> = s.heard("out").iter().map(|h| h.headers["pgspine-event-id"].parse().unwrap()).collect();
    found.sort();
    assert_eq!(found, [1, 2, 3, 100, 101, 102]);
}

#[test]
fn a_preview_follows_events() {
    let mut s = shop("events_preview", "", "");
    s.client.batch_execute("INSERT INTO outbox (id, order_id) VALUES ('there', 1)").unwrap();
    assert_eq!(s.project.output(&["setup"]).status.code(), Some(0));
    let preview = s.project.spawn(&["preview", "placed", "--follow"], &[]);
    let lines = || preview.log().lines().filter(|l| l.starts_with("{\"key\"")).count();
    wait_for("the row that is there", LIMIT, || (lines() == 1).then_some(()));
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('a', 7); DELETE FROM outbox");
    run(&mut s, "INSERT INTO outbox (id, order_id) VALUES ('b', 8)");
    wait_for("the events", LIMIT, || (lines() == 3).then_some(()));
    let log = preview.log();
    assert!(
        log.contains("\"order_id\":7") && log.contains("\"order_id\":8") && !log.contains("\"value\":null"),
        "{log}"
    );
}
