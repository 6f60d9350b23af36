//! Rows that cannot be published: the bridge halts before them, or their keys keep the last good value.

use crate::reconcile_scene::*;
use crate::support::{Record, read_topic};

const ROWS: &str =
    "CREATE TABLE v (id int PRIMARY KEY, d int NOT NULL); INSERT INTO v SELECT i, 2 FROM generate_series(1, 6) i;
    CREATE TABLE item (id int PRIMARY KEY, a text); INSERT INTO item VALUES (1, 'x')";
const DIVIDED: &str = "SELECT v.id, 10 / v.d AS q FROM v AS v";
const FIELDS: &[(&str, &str)] = &[("id", INT), ("q", INT_OR_NULL)];

fn divided(name: &str, on_error: &str, full: bool) -> Scene {
    let mut s = Scene::new(name, ROWS, "");
    if full {
        s.client.batch_execute("ALTER TABLE v REPLICA IDENTITY FULL").unwrap();
    }
    s.transform("v", &format!("on_error = \"{on_error}\""), 1, DIVIDED, FIELDS);
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i", &[("id", INT), ("a", TEXT)]);
    s
}

impl Scene {
    fn go(&mut self, sql: &str) {
        self.client.batch_execute(&format!("BEGIN; {sql}; COMMIT")).unwrap();
    }

    /// Until the tick after everything so far is in Kafka; no SELECT is asked.
    fn drained(&mut self) {
        let mark = self.lsn();
        self.client.batch_execute("UPDATE tick SET n = n + 1").unwrap();
        self.level("everything to be in Kafka", |s| {
            let emitted: pgspine::lsn::Lsn = s["positions"]["emitted"].as_str()?.parse().ok()?;
            (emitted.0 > mark).then_some(())
        });
    }

    /// (key, first value) of every record of `v` after the first `from`.
    fn told(&self, from: usize) -> Vec<(i32, Option<String>)> {
        let heard = self.heard("v");
        heard[from..]
            .iter()
            .map(|h| (h.key[0].as_ref().unwrap().parse().unwrap(), h.value.as_ref().map(|v| v[0].clone().unwrap())))
            .collect()
    }

    fn letters(&self, name: &str) -> Vec<(Record, serde_json::Value)> {
        let mut all: Vec<_> = read_topic(&format!("{}.dead-letter", self.topic(name)))
            .into_iter()
            .map(|r| {
                let json: serde_json::Value =
                    serde_json::from_slice(r.value.as_deref().expect("a letter")).expect("JSON");
                (r, json)
            })
            .collect();
        all.sort_by_key(|(_, j)| (j["lsn"].as_str().unwrap().parse::<pgspine::lsn::Lsn>().unwrap(), j["seq"].as_u64()));
        all
    }
}

fn some(id: i32, q: &str) -> (i32, Option<String>) {
    (id, Some(q.to_owned()))
}

fn a_key_is_held(full: bool) {
    let mut s = divided("held", "dead_letter", full);
    s.start(&[]);
    s.drained();
    assert_eq!(s.told(0).len(), 6);
    s.go("UPDATE v SET d = 0 WHERE id = 1; UPDATE v SET d = 5 WHERE id = 2");
    s.drained();
    assert_eq!(s.told(6), [some(2, "2")], "1 keeps its value");
    let letters = s.letters("v");
    assert_eq!(letters.len(), 1);
    let (record, letter) = &letters[0];
    let names: Vec<&str> = letter.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["version", "transform", "code", "path", "lsn", "seq", "message"]);
    assert_eq!((&letter["version"], &letter["transform"]), (&1.into(), &"v".into()));
    assert!(
        letter["code"].as_str().unwrap().starts_with("PGS") && letter["message"].as_str().unwrap().contains("zero"),
        "{letter}"
    );
    let key = read_topic(&s.topic("v")).into_iter().find(|r| r.key == record.key);
    assert!(key.is_some(), "the same key bytes");
    assert_eq!(record.headers.get("pgspine-lsn").map(String::as_str), letter["lsn"].as_str());
    // Killed at once: what the state has not, the replay brings.
    s.kill9();
    s.start(&[]);
    s.drained();
    assert_eq!((s.told(6).len(), s.letters("v").len()), (1, 1), "nothing twice");
    s.go("UPDATE v SET d = 2 WHERE id = 1");
    s.drained();
    assert_eq!(s.told(7), [], "the value that the topic has");
    s.go("UPDATE v SET d = 0 WHERE id IN (1, 3)");
    s.drained();
    s.kill9();
    s.start(&[]);
    s.go("UPDATE v SET d = 1 WHERE id = 1; DELETE FROM v WHERE id = 3; INSERT INTO v VALUES (7, 0)");
    s.drained();
    assert_eq!(s.told(7), [some(1, "10"), (3, None)]);
    s.kill9();
    s.start(&[]);
    // Never published: gone without a word. Held again and back to what stands in the topic: without a word.
    s.go("DELETE FROM v WHERE id = 7; INSERT INTO v VALUES (8, 0)");
    s.go("UPDATE v SET d = 0 WHERE id = 1");
    s.go("UPDATE v SET d = 1 WHERE id = 1; UPDATE v SET d = 3 WHERE id = 8");
    s.drained();
    assert_eq!(s.told(9), [some(8, "3")]);
    // A held key, and the state is lost.
    s.go("UPDATE v SET d = 0 WHERE id IN (4, 8)");
    s.drained();
    let letters = s.letters("v").len();
    s.stop();
    s.remove_state();
    s.start(&[]);
    s.drained();
    assert_eq!(s.told(10), []);
    assert_eq!(s.letters("v").len(), letters + 2, "the reconcile says it again");
    s.go("DELETE FROM v WHERE id = 4; UPDATE v SET d = 10 WHERE id = 8");
    s.drained();
    assert_eq!(s.told(10), [some(8, "1"), (4, None)]);
    s.go("UPDATE v SET d = 0 WHERE id = 5");
    s.drained();
    s.kill9();
    s.start(&[]);
    s.go("TRUNCATE v; INSERT INTO v VALUES (1, 1), (2, 0)");
    s.drained();
    let mut truncated = s.told(12);
    truncated.sort();
    assert_eq!(truncated, [(5, None), (6, None), (8, None)], "1 has its value, 2 is held");
    s.kill9();
    s.start(&[]);
    s.go("DELETE FROM v; INSERT INTO v VALUES (5, 1)");
    s.drained();
    let mut end = s.told(15);
    end.sort();
    assert_eq!(end, [(1, None), (2, None), some(5, "10")]);
    s.stop();
}

#[test]
fn a_held_key_keeps_its_value_until_it_can_be_told_or_is_gone() {
    a_key_is_held(false);
}

#[test]
fn a_held_key_of_a_table_that_is_not_stored() {
    a_key_is_held(true);
}

#[test]
fn a_halt_writes_nothing_of_its_transaction_and_a_repaired_row_can_be_passed() {
    for full in [false, true] {
        let mut s = divided("halted", "halt", full);
        s.start(&[]);
        s.sync();
        s.commit("UPDATE v SET d = 5 WHERE id = 1; UPDATE item SET a = 'before'");
        s.go("UPDATE v SET d = 1 WHERE id = 2; UPDATE v SET d = 0 WHERE id = 3; UPDATE item SET a = 'with it'");
        let log = s.ends(6, &["PGS8007", "v", "zero", "--reconcile"]);
        assert!(log.contains("\\\"id\\\":3") || log.contains("\"id\":3"), "the key is named: {log}");
        let mut told = s.told(6);
        assert_eq!(told, [some(1, "2")]);
        s.spawn(&[]);
        s.ends(6, &["PGS8007"]);
        s.loose("v");
        s.commit("UPDATE v SET d = 2 WHERE id = 3; UPDATE item SET a = 'after'");
        s.spawn(&[]);
        s.ends(6, &["PGS8007"]);
        s.start(&["--reconcile", "v"]);
        s.exact();
        s.sync();
        s.commit("DELETE FROM v WHERE id = 3; UPDATE item SET a = 'on'");
        s.sync();
        s.stop();
        told = s.told(7);
        assert_eq!(told, [some(2, "10"), (3, None)]);
        // The other transform has heard of every commit.
        let heard: Vec<_> = s.heard("item").into_iter().filter_map(|h| h.value?[0].clone()).collect();
        assert_eq!(heard, ["x", "before", "with it", "after", "on"]);
        s.start(&[]);
        s.sync();
        s.stop();
        assert_eq!(s.told(9), []);
    }
}

#[test]
fn a_halt_passes_under_dead_letter_or_another_select() {
    let mut s = divided("widened", "halt", false);
    s.start(&[]);
    s.sync();
    s.go("UPDATE v SET d = 0 WHERE id = 3");
    s.ends(6, &["PGS8007"]);
    s.transform("v", "on_error = \"dead_letter\"", 1, DIVIDED, FIELDS);
    s.start(&[]);
    s.drained();
    assert_eq!((s.told(6), s.letters("v").len()), (vec![], 1));
    s.stop();
    s.transform("v", "", 1, "SELECT v.id, 10 / nullif(v.d, 0) AS q FROM v AS v", FIELDS);
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(s.held("v"), s.answer("v"));
    assert_eq!(s.count("v"), 7);
}

#[test]
fn a_bad_row_in_the_first_load_halts_and_passes_once_it_is_repaired() {
    let mut s = divided("first", "halt", false);
    s.go("UPDATE v SET d = 0 WHERE id = 4");
    s.refused(&[], 6, &["PGS8007"]);
    s.refused(&[], 6, &["PGS8007"]);
    s.go("UPDATE v SET d = 1 WHERE id = 4");
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(s.held("v"), s.answer("v"));
    assert_eq!(s.count("v"), 6);
}

#[test]
fn every_kind_of_value_that_does_not_fit_is_held() {
    let schema = "CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE v (id int PRIMARY KEY, n numeric, t timestamptz, e mood, w text, big text);
        INSERT INTO v VALUES (1, 1.5, '2024-01-01 00:00:00+00', 'ok', 'a', 'short')";
    let mut s = Scene::new("kinds", schema, "");
    let decimal = "[\"null\", {\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": 6, \"scale\": 2}], \"default\": null";
    let micros = "[\"null\", {\"type\": \"long\", \"logicalType\": \"timestamp-micros\"}], \"default\": null";
    let mood =
        "[\"null\", {\"type\": \"enum\", \"name\": \"Mood\", \"symbols\": [\"sad\", \"ok\"]}], \"default\": null";
    let letter =
        "[\"null\", {\"type\": \"enum\", \"name\": \"Letter\", \"symbols\": [\"a\", \"b\"]}], \"default\": null";
    let held = "on_error = \"dead_letter\"";
    s.transform("n", held, 1, "SELECT v.id, v.n FROM v AS v", &[("id", INT), ("n", decimal)]);
    s.transform("t", held, 1, "SELECT v.id, v.t FROM v AS v", &[("id", INT), ("t", micros)]);
    s.transform("e", held, 1, "SELECT v.id, v.e FROM v AS v", &[("id", INT), ("e", mood)]);
    s.transform("w", held, 1, "SELECT v.id, v.w FROM v AS v", &[("id", INT), ("w", letter)]);
    s.transform(
        "big",
        "on_error = \"dead_letter\"\nmax_record = \"1KB\"",
        1,
        "SELECT v.id, v.big FROM v AS v",
        &[("id", INT), ("big", TEXT)],
    );
    s.start(&[]);
    s.sync();
    // What the contract lacks at the start is refused there.
    s.client.batch_execute("ALTER TYPE mood ADD VALUE 'glad'").unwrap();
    let bad = [
        ("n", "n = 'NaN'"),
        ("n", "n = 123456.78"),
        ("n", "n = 1.005"),
        ("t", "t = 'infinity'"),
        ("t", "t = '-infinity'"),
        ("e", "e = 'glad'"),
        ("w", "w = 'c'"),
        ("big", "big = repeat('x', 2000)"),
    ];
    for (_, set) in bad {
        s.go(&format!("UPDATE v SET {set} WHERE id = 1"));
    }
    s.drained();
    for name in ["n", "t", "e", "w", "big"] {
        let letters = s.letters(name);
        let wanted = bad.iter().filter(|(n, _)| *n == name).count();
        // Said again only when something else is wrong, not with every change of the row.
        assert!((1..=wanted).contains(&letters.len()), "{name}: {letters:?}");
        let mut said: Vec<String> = letters.iter().map(|(_, l)| format!("{} {}", l["code"], l["message"])).collect();
        said.dedup();
        assert_eq!(said.len(), letters.len(), "{name}: {said:?}");
        for (_, l) in &letters {
            assert!(l["code"].as_str().is_some_and(|c| c.starts_with("PGS")), "{l}");
            assert!(name == "big" || l["path"] == name, "{l}");
        }
        assert_eq!(s.count(name), 1, "{name}");
    }
    let status = s.status().expect("it runs");
    assert_eq!(status["transforms"]["n"]["dead_letters"], s.letters("n").len());
    s.go("UPDATE v SET n = 2.25, t = '2025-01-01 00:00:00+00', e = 'sad', w = 'b', big = 'fits'");
    s.drained();
    for name in ["n", "t", "e", "w", "big"] {
        assert_eq!(s.held(name), s.answer(name), "{name}");
        assert_eq!(s.count(name), 2, "{name}");
    }
    s.go("UPDATE v SET n = 'NaN', t = 'infinity', e = 'glad', w = 'c', big = repeat('x', 2000)");
    s.go("DELETE FROM v");
    s.drained();
    for name in ["n", "t", "e", "w", "big"] {
        assert!(s.held(name).is_empty(), "{name}");
        assert_eq!(s.count(name), 3, "{name}");
    }
    s.stop();
}

#[test]
fn a_bridge_that_stays_says_why_it_halted() {
    let mut s = divided("stays", "halt", false);
    s.environment("PGSPINE_BRIDGE__ON_HALT", "stay");
    s.environment("PGSPINE_HTTP__LISTEN", "127.0.0.1:0");
    s.start(&[]);
    s.sync();
    s.go("UPDATE v SET d = 0 WHERE id = 3");
    let problem = s.level("the halt", |s| (s["state"] == "failed").then(|| s["problem"].clone()));
    assert_eq!(problem["code"], "PGS8007");
    assert_eq!(problem["retrying"], false);
    assert!(problem["help"].as_str().unwrap().contains("--reconcile"));
    let log = s.process.as_ref().unwrap().log();
    let address = log.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    let get = |path: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("http://{address}{path}")).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    assert_eq!(get("/readyz").0, 503);
    assert_eq!(get("/livez").0, 200);
    assert!(get("/status").1.contains("PGS8007"));
    let mut process = s.process.take().unwrap();
    assert!(process.ended().is_none());
    process.signal(libc::SIGTERM);
    assert_eq!(process.code(std::time::Duration::from_secs(10)), 6);
}

#[test]
fn a_dead_letter_shows_the_row_where_it_is_asked_for() {
    let mut s = divided("shown", "dead_letter", false);
    let file = s.project.dir().join("pgspine.toml");
    let more = format!("\n[topic.\"{}\"]\ndead_letter_rows = true\n", s.topic("v"));
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &more).unwrap();
    s.start(&[]);
    s.drained();
    s.go("UPDATE v SET d = 0 WHERE id = 1");
    s.drained();
    let letters = s.letters("v");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].1["row"], serde_json::json!({ "id": "1", "d": "0" }));
}
