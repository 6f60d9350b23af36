//! The fuse: nothing may empty a topic because something was pointed at the wrong place.

use crate::capture_server::Server;
use crate::reconcile_scene::*;

const ROWS: &str = "CREATE TABLE item (id int PRIMARY KEY, a text); INSERT INTO item SELECT i, 'a' || i FROM generate_series(1, 200) i";
const FIELDS: &[(&str, &str)] = &[("id", INT), ("a", TEXT)];

fn rows(name: &str, more: &str) -> Scene {
    let mut s = Scene::new(name, ROWS, more);
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i", FIELDS);
    s
}

fn word(log: &str, kind: &str) -> String {
    let at = log.find(kind).unwrap_or_else(|| panic!("no {kind} in {log}"));
    log[at..].chars().take_while(|c| !c.is_whitespace() && *c != '`').collect()
}

#[test]
fn a_filter_that_drops_too_much_waits_for_a_word_of_its_own_revision() {
    let mut s = rows("fuse", "");
    s.start(&[]);
    s.sync();
    s.stop();
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i WHERE i.id > 60", FIELDS);
    s.loose("item");
    let log = s.refused(&[], 2, &["PGS8004", "60 tombstones over 200 live keys", "allows 10"]);
    let approval = word(&log, "tombstones:");
    assert!(approval.starts_with(&format!("tombstones:{}@", s.topic("item"))));
    assert_eq!(s.count("item"), 200);
    let other = format!("tombstones:{}@0123456789ab", s.topic("item"));
    s.refused(&["--approve", &other], 2, &["PGS8004", &approval]);
    assert_eq!(s.count("item"), 200);
    s.start(&["--approve", &approval]);
    s.exact();
    s.sync();
    s.stop();
    assert_eq!(s.count("item"), 260);
    s.check();
    // The word in the configuration is as good, and is of no use for the next revision.
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i WHERE i.id > 100", FIELDS);
    let toml = s.project.dir().join("pgspine.toml");
    let before = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, format!("{before}[reconcile]\napprove = [\"{approval}\"]\n")).unwrap();
    let log = s.refused(&[], 2, &["PGS8004"]);
    let next = word(&log, "tombstones:");
    assert_ne!(next, approval);
    std::fs::write(&toml, format!("{before}[reconcile]\napprove = [\"{next}\"]\n")).unwrap();
    s.start(&[]);
    s.sync();
    assert_eq!(s.held("item").len(), 100);
    s.stop();
    // Put back, it needs no word: nothing is deleted.
    std::fs::write(&toml, before).unwrap();
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i", FIELDS);
    s.start(&[]);
    s.sync();
    assert_eq!(s.held("item"), s.answer("item"));
    s.stop();
}

#[test]
fn rows_that_come_back_after_the_fuse_need_no_word() {
    let mut s = rows("refilled", "");
    s.start(&[]);
    s.sync();
    s.stop();
    // Half restored while the state is lost, so that the stream does not tell of it.
    s.client
        .batch_execute("CREATE TABLE aside AS SELECT * FROM item WHERE id <= 150; DELETE FROM item WHERE id <= 150")
        .unwrap();
    s.remove_state();
    s.loose("item");
    s.refused(&[], 2, &["PGS8004", "150 tombstones"]);
    assert_eq!(s.count("item"), 200);
    s.commit("INSERT INTO item SELECT * FROM aside; UPDATE item SET a = 'back' WHERE id = 7");
    s.start(&[]);
    s.exact();
    s.sync();
    s.stop();
    assert_eq!(s.count("item"), 201);
    s.check();
}

#[test]
fn another_database_writes_nothing_without_its_words() {
    let mut s = rows("staging", "");
    s.start(&[]);
    s.sync();
    s.stop();
    let staging = Server::new("", "");
    let conninfo = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", staging.port);
    let mut client = postgres::Client::connect(&conninfo, postgres::NoTls).unwrap();
    client.batch_execute(ROWS).unwrap();
    client
        .batch_execute(
            "DELETE FROM item WHERE id > 100; UPDATE item SET a = 'staged' WHERE id = 1;
             CREATE TABLE tick (id int PRIMARY KEY, n int NOT NULL); INSERT INTO tick VALUES (1, 0)",
        )
        .unwrap();
    s.environment("PGSPINE_POSTGRES__URL", &format!("{conninfo} sslmode=disable"));
    let log = s.refused(&[], 2, &["PGS8003"]);
    let source = word(&log, "source:");
    assert_eq!(s.count("item"), 200);
    s.refused(&["--approve", "source:1"], 2, &["PGS8003"]);
    let log = s.refused(&["--approve", &source], 2, &["PGS8004", "100 tombstones over 200"]);
    let tombstones = word(&log, "tombstones:");
    assert!(crate::support::read_topic(&s.topic("item")).iter().all(|r| r.value.is_some()), "not one tombstone");
    s.client = client;
    s.start(&["--approve", &source, "--approve", &tombstones]);
    s.client.batch_execute("UPDATE item SET a = 'and on' WHERE id = 2").unwrap();
    s.sync();
    assert_eq!(s.held("item").len(), 100);
    let raw = crate::support::read_topic(&s.topic("item"));
    assert_eq!(raw.len(), 201 + 100 + 1);
    let streamed = raw.iter().find(|r| r.headers.get("pgspine-origin").map(String::as_str) == Some("stream")).unwrap();
    assert_eq!(streamed.headers.get("pgspine-epoch").map(String::as_str), Some("2"));
    s.stop();
}
