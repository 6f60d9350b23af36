//! Gaps in the WAL: exit 5 with the word that approves healing, and healing that writes exactly the difference.

use crate::capture_server::Server;
use crate::reconcile_scene::*;

fn items(name: &str, more: &str) -> Scene {
    let schema = "CREATE TABLE item (id int PRIMARY KEY, a text); INSERT INTO item SELECT i, 'a' || i FROM generate_series(1, 20) i;
                  CREATE TABLE whole (id int PRIMARY KEY, a text); ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 'x')";
    let mut s = Scene::new(name, schema, more);
    s.transform("item", "", 1, "SELECT i.id, i.a FROM item AS i", &[("id", INT), ("a", TEXT)]);
    s.transform("whole", "", 1, "SELECT w.id, w.a FROM whole AS w", &[("id", INT), ("a", TEXT)]);
    s
}

fn word(log: &str) -> String {
    let at = log.rfind("gap:").unwrap_or_else(|| panic!("no gap: in {log}"));
    log[at..].chars().take_while(|c| !c.is_whitespace() && *c != '`').collect()
}

const WHILE_AWAY: &str =
    "UPDATE item SET a = 'away' WHERE id < 3; DELETE FROM item WHERE id = 5; INSERT INTO whole VALUES (2, 'y')";

#[test]
fn a_dropped_slot_is_healed_by_its_word() {
    let mut s = items("dropped", "");
    s.start(&[]);
    s.sync();
    s.stop();
    let slot = s.slot();
    s.client.execute("SELECT pg_drop_replication_slot($1)", &[&slot]).unwrap();
    s.all_loose();
    s.commit(WHILE_AWAY);
    let log = s.refused(&[], 5, &["PGS8002", "does not exist"]);
    let approval = word(&log);
    s.refused(&["--approve", "gap:0/1"], 5, &["PGS8002"]);
    assert_eq!(s.count("item"), 20);
    s.start(&["--approve", &approval]);
    s.exact();
    s.sync();
    s.commit("UPDATE item SET a = 'on' WHERE id = 1; UPDATE whole SET a = 'on'");
    s.sync();
    s.stop();
    s.check();
    s.start(&[]);
    s.sync();
    s.stop();
    s.check();
}

#[test]
fn a_slot_that_somebody_advanced_is_a_gap_and_heal_needs_no_word() {
    let mut s = items("advanced", "[reconcile]\ngap = \"stop\"\n");
    s.start(&[]);
    s.sync();
    s.stop();
    s.all_loose();
    s.commit(WHILE_AWAY);
    let slot = s.slot();
    s.client.execute("SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())", &[&slot]).unwrap();
    s.refused(&[], 5, &["PGS8002", "by somebody else", "gap:"]);
    s.environment("PGSPINE_RECONCILE__GAP", "heal");
    s.start(&[]);
    s.exact();
    s.sync();
    s.stop();
    s.check();
}

#[test]
fn a_slot_lost_by_its_server_is_a_gap() {
    let server = Server::new("max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n", "");
    let conninfo = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port);
    let mut s = items("lost", "");
    s.environment("PGSPINE_POSTGRES__URL", &format!("{conninfo} sslmode=disable"));
    s.client = postgres::Client::connect(&conninfo, postgres::NoTls).unwrap();
    s.client
        .batch_execute(
            "CREATE TABLE tick (id int PRIMARY KEY, n int NOT NULL); INSERT INTO tick VALUES (1, 0);
             CREATE TABLE item (id int PRIMARY KEY, a text); INSERT INTO item SELECT i, 'a' || i FROM generate_series(1, 20) i;
             CREATE TABLE whole (id int PRIMARY KEY, a text); ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 'x')",
        )
        .unwrap();
    s.start(&[]);
    s.sync();
    s.stop();
    s.all_loose();
    s.commit(WHILE_AWAY);
    for _ in 0..4 {
        s.client.batch_execute("SELECT pg_switch_wal(); UPDATE tick SET n = n + 1; CHECKPOINT").unwrap();
    }
    let log = s.refused(&[], 5, &["PGS8002", "is lost"]);
    let approval = word(&log);
    s.start(&["--approve", &approval]);
    s.exact();
    s.sync();
    s.stop();
    s.check();
}

#[test]
fn a_temporary_slot_loads_at_every_start() {
    let mut s = items("temporary", "");
    s.environment("PGSPINE_POSTGRES__TEMPORARY_SLOT", "true");
    s.start(&[]);
    s.sync();
    s.commit("UPDATE item SET a = 'first' WHERE id = 1");
    s.sync();
    s.stop();
    let left = s.client.query("SELECT FROM pg_replication_slots WHERE slot_name = $1", &[&s.slot()]).unwrap();
    assert!(left.is_empty());
    s.all_loose();
    s.commit(WHILE_AWAY);
    for round in ["second", "third"] {
        s.start(&[]);
        s.exact();
        s.sync();
        s.commit(&format!("UPDATE item SET a = '{round}' WHERE id = 9"));
        s.sync();
        s.kill9();
        s.all_loose();
    }
    s.check();
}

#[test]
fn a_slot_of_another_plugin_or_database_is_refused_and_stays() {
    let mut s = items("foreign", "");
    let slot = s.slot();
    s.client.execute("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", &[&slot]).unwrap();
    s.refused(&[], 2, &["test_decoding"]);
    s.client.execute("SELECT pg_drop_replication_slot($1)", &[&slot]).unwrap();
    s.client.execute("SELECT pg_create_physical_replication_slot($1)", &[&slot]).unwrap();
    s.refused(&[], 2, &["physical"]);
    s.client.execute("SELECT pg_drop_replication_slot($1)", &[&slot]).unwrap();
    let other = crate::support::fresh_database("elsewhere");
    other.client().execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).unwrap();
    s.refused(&[], 2, &[&other.name]);
    let left = s.client.query("SELECT FROM pg_replication_slots WHERE slot_name = $1", &[&slot]).unwrap();
    assert_eq!(left.len(), 1);
}
