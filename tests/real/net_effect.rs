//! The net effect of one source transaction on real streams: at most one record per key, none where nothing differs.

use crate::reconcile_scene::*;

const IDENTITIES: &[(&str, &str)] = &[
    ("default", ""),
    ("full", "ALTER TABLE t REPLICA IDENTITY FULL"),
    ("index", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_u"),
];

/// Two transforms of one table: by its primary key with a filter, and by a deferrable unique key.
fn rows(identity: &(&str, &str)) -> Scene {
    let schema = format!(
        "CREATE TABLE t (id int PRIMARY KEY, k int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED, u int NOT NULL, a text, unused text);
         CREATE UNIQUE INDEX t_u ON t (u); {};
         INSERT INTO t SELECT i, i, i, 'a' || i, 'u' FROM generate_series(1, 12) i",
        identity.1
    );
    let mut s = Scene::new(&format!("net_{}", identity.0), &schema, "");
    s.transform(
        "by_id",
        "",
        1,
        "SELECT t.id, t.k, t.a FROM t AS t WHERE t.a IS DISTINCT FROM 'hidden'",
        &[("id", INT), ("k", INT), ("a", TEXT)],
    );
    s.transform("by_k", "", 1, "SELECT t.k, t.id, t.a FROM t AS t", &[("k", INT), ("id", INT), ("a", TEXT)]);
    s
}

const STEPS: &[&str] = &[
    "INSERT INTO t VALUES (50, 50, 50, 'short', ''); UPDATE t SET a = 'lived' WHERE id = 50; DELETE FROM t WHERE id = 50",
    "INSERT INTO t VALUES (51, 51, 51, 'one', ''); UPDATE t SET a = 'two' WHERE id = 51; UPDATE t SET a = 'three' WHERE id = 51",
    "UPDATE t SET id = id + 100 WHERE id = 1",
    "UPDATE t SET id = 1, u = 900 WHERE id = 101; UPDATE t SET id = 101 WHERE id = 1; UPDATE t SET id = 1, u = 1 WHERE id = 101",
    "UPDATE t SET k = CASE k WHEN 2 THEN 3 ELSE 2 END WHERE k IN (2, 3)",
    "UPDATE t SET k = k + 1",
    "UPDATE t SET k = 4 WHERE id = 5; UPDATE t SET k = 6 WHERE k = 4 AND id <> 5",
    "UPDATE t SET u = u + 1000 WHERE id IN (4, 5); UPDATE t SET u = u - 1000 WHERE id = 4",
    "DELETE FROM t WHERE id = 6; INSERT INTO t VALUES (6, 600, 6, 'again', '')",
    "DELETE FROM t WHERE id = 7; INSERT INTO t SELECT 7, 8, 7, 'a7', 'u'",
    "DELETE FROM t WHERE id = 8; INSERT INTO t VALUES (80, 9, 8, 'a8', 'u')",
    "UPDATE t SET a = a, k = k",
    "UPDATE t SET unused = 'other'",
    "UPDATE t SET a = 'hidden' WHERE id IN (9, 10)",
    "UPDATE t SET a = NULL WHERE id = 9; UPDATE t SET a = 'shown', unused = 'z' WHERE id = 10",
    "UPDATE t SET a = 'back' WHERE id = 9; UPDATE t SET a = NULL WHERE id = 9",
    "UPDATE t SET a = 'x' WHERE id = 11; SAVEPOINT s; UPDATE t SET a = 'y' WHERE id = 11; DELETE FROM t WHERE id = 12; ROLLBACK TO s; INSERT INTO t VALUES (13, 700, 700, 'z', '')",
    "SAVEPOINT s; UPDATE t SET a = 'gone' WHERE id = 11; ROLLBACK TO s",
    "DELETE FROM t; INSERT INTO t SELECT i, i, i, 'a' || i, 'u' FROM generate_series(5, 15) i",
    "TRUNCATE t",
    "INSERT INTO t SELECT i, i, i, 'a' || i, 'u' FROM generate_series(1, 8) i",
    "UPDATE t SET a = 'before' WHERE id = 1; INSERT INTO t VALUES (30, 30, 30, 'before', ''); TRUNCATE t; INSERT INTO t SELECT i, i, i, 'a' || i, 'v' FROM generate_series(2, 4) i; INSERT INTO t VALUES (5, 5, 5, 'other', '')",
    "TRUNCATE t; INSERT INTO t SELECT i, i, i, 'a' || i, 'v' FROM generate_series(2, 4) i; INSERT INTO t VALUES (5, 5, 5, 'other', '')",
    "TRUNCATE t; INSERT INTO t VALUES (2, 2, 2, 'x', ''); TRUNCATE t; INSERT INTO t VALUES (3, 3, 3, 'a3', ''), (9, 9, 9, 'hidden', '')",
    "DELETE FROM t",
];

#[test]
fn nasty_transactions_under_every_identity() {
    for identity in IDENTITIES {
        let mut s = rows(identity);
        s.start(&[]);
        s.sync();
        for (i, step) in STEPS.iter().enumerate() {
            s.commit(step);
            // A replay after a crash must come to the same.
            if i % 9 == 5 {
                s.kill9();
                s.start(&[]);
            }
        }
        let two = "pgspine_net_".to_owned() + &s.prefix;
        s.client
            .batch_execute(&format!(
                "BEGIN; INSERT INTO t VALUES (1, 1, 1, 'prepared', ''); PREPARE TRANSACTION '{two}'"
            ))
            .unwrap();
        s.commit("INSERT INTO t VALUES (2, 2, 2, 'before it', '')");
        s.client.batch_execute(&format!("COMMIT PREPARED '{two}'")).unwrap();
        s.observe("COMMIT PREPARED");
        s.client.batch_execute(&format!("BEGIN; DELETE FROM t; PREPARE TRANSACTION '{two}'")).unwrap();
        s.client.batch_execute(&format!("ROLLBACK PREPARED '{two}'")).unwrap();
        s.observe("ROLLBACK PREPARED");
        s.sync();
        s.stop();
        s.check();
    }
}

#[test]
fn unchanged_toast_values_come_from_what_is_known() {
    for full in ["", "ALTER TABLE b REPLICA IDENTITY FULL"] {
        let schema = format!(
            "CREATE TABLE b (id int PRIMARY KEY, n int, t text, y bytea, j jsonb, r int[]);
             ALTER TABLE b ALTER t SET STORAGE EXTERNAL, ALTER y SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL, ALTER r SET STORAGE EXTERNAL;
             CREATE FUNCTION big(i int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 100) n $$;
             {full};
             INSERT INTO b SELECT i, i, big(i), decode(big(i), 'hex'), jsonb_build_object('v', big(i)), (SELECT array_agg(n + i) FROM generate_series(1, 1500) n)
             FROM generate_series(1, 4) i"
        );
        let mut s = Scene::new("toast", &schema, "");
        let array = "[\"null\", {\"type\": \"array\", \"items\": [\"null\", \"int\"]}], \"default\": null";
        let bytes = "[\"null\", \"bytes\"], \"default\": null";
        let all = [("id", INT), ("n", INT_OR_NULL), ("t", TEXT), ("y", bytes), ("j", TEXT), ("r", array)];
        s.transform("b", "", 1, "SELECT b.id, b.n, b.t, b.y, b.j, b.r FROM b AS b", &all);
        s.transform(
            "length",
            "",
            1,
            "SELECT b.id, length(b.t) AS l FROM b AS b WHERE b.n > 0",
            &[("id", INT), ("l", INT_OR_NULL)],
        );
        s.start(&[]);
        s.sync();
        s.commit("UPDATE b SET n = 10 WHERE id = 1");
        s.commit("UPDATE b SET id = 20 WHERE id = 2");
        s.commit("UPDATE b SET id = 30, n = 5 WHERE id = 3; UPDATE b SET n = 6 WHERE id = 30");
        s.commit("UPDATE b SET t = 'short' WHERE id = 1");
        s.commit("UPDATE b SET n = 11 WHERE id = 1");
        s.commit("INSERT INTO b SELECT 5, 5, big(5), decode(big(5), 'hex'), jsonb_build_object('v', big(5)), '{1,NULL,3}'; UPDATE b SET n = -1 WHERE id = 5");
        s.kill9();
        s.start(&[]);
        s.commit("UPDATE b SET n = 7 WHERE id = 5; UPDATE b SET y = '\\x00ff' WHERE id = 4");
        s.commit("UPDATE b SET n = n WHERE id = 4; DELETE FROM b WHERE id = 20");
        s.sync();
        s.stop();
        s.check();
    }
}

#[test]
fn rows_that_move_between_partitions() {
    let leaves = [
        "",
        "ALTER TABLE p_eu REPLICA IDENTITY FULL",
        "ALTER TABLE p REPLICA IDENTITY FULL; ALTER TABLE p_eu REPLICA IDENTITY FULL; ALTER TABLE p_us REPLICA IDENTITY FULL",
    ];
    for full in leaves {
        let schema = format!(
            "CREATE TABLE p (id int, region text, v text, unused text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
             CREATE TABLE p_us (unused text, v text, region text NOT NULL, id int NOT NULL);
             ALTER TABLE p ATTACH PARTITION p_us FOR VALUES IN ('us', 'ca');
             CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu'); {full};
             INSERT INTO p SELECT i, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' || i FROM generate_series(1, 10) i"
        );
        let mut s = Scene::new("moves", &schema, "");
        s.transform(
            "p",
            "",
            2,
            "SELECT p.id, p.region, p.v FROM p AS p WHERE p.v <> 'hidden'",
            &[("id", INT), ("region", "\"string\""), ("v", TEXT)],
        );
        s.start(&[]);
        s.sync();
        s.commit("UPDATE p SET region = 'eu' WHERE id = 1");
        s.commit("UPDATE p SET region = 'us' WHERE id = 1; UPDATE p SET region = 'eu' WHERE id = 1");
        s.commit("UPDATE p SET region = 'us' WHERE id = 1; UPDATE p SET region = 'ca' WHERE id = 3");
        s.commit("UPDATE p SET unused = 'x'");
        s.commit("UPDATE p SET v = 'hidden' WHERE id = 2; UPDATE p SET region = 'us' WHERE id = 4; UPDATE p SET region = 'eu' WHERE id = 4");
        s.kill9();
        s.start(&[]);
        s.commit("DELETE FROM p WHERE id = 5; INSERT INTO p VALUES (5, 'eu', 'v5')");
        s.commit("UPDATE p SET v = v || '!' WHERE id > 6");
        if !full.contains("p_us") {
            s.commit("TRUNCATE p_us");
            s.commit("INSERT INTO p VALUES (1, 'us', 'a'), (2, 'eu', 'b') ON CONFLICT DO NOTHING; TRUNCATE p_us; INSERT INTO p VALUES (1, 'us', 'c')");
        }
        s.commit("TRUNCATE p; INSERT INTO p VALUES (1, 'us', 'a'), (8, 'eu', 'v8!')");
        s.commit("TRUNCATE p");
        s.sync();
        s.stop();
        s.check();
    }
}

#[test]
fn a_generated_column_is_refused_by_name() {
    let mut s = Scene::new(
        "generated",
        "CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)",
        "",
    );
    s.transform("g", "", 1, "SELECT g.id, g.twice FROM g AS g", &[("id", INT), ("twice", INT_OR_NULL)]);
    s.refused(&[], 2, &["g.sql", "twice", "generated"]);
    s.transform("g", "", 1, "SELECT g.id, g.a * 2 AS twice FROM g AS g", &[("id", INT), ("twice", INT_OR_NULL)]);
    s.start(&[]);
    s.sync();
    s.commit("INSERT INTO g VALUES (1, 4); UPDATE g SET a = 5");
    s.sync();
    s.stop();
    s.check();
}

#[test]
fn a_transaction_beyond_the_limit_goes_out_in_parts_and_exactly_once() {
    const FULL: &str = "ALTER TABLE t REPLICA IDENTITY FULL;";
    for (point, full) in
        [("after_commit:3", ""), ("produced:4", FULL), ("before_commit:2", ""), ("state_durable:1", "")]
    {
        let schema = format!(
            "CREATE TABLE t (id int PRIMARY KEY, a text); {full} INSERT INTO t SELECT i, 'a' FROM generate_series(1, 300) i"
        );
        let mut s = Scene::new("split", &schema, "[commit]\nsplit_records = 50\n");
        s.transform("t", "", 1, "SELECT t.id, t.a FROM t AS t", &[("id", INT), ("a", TEXT)]);
        s.transform("u", "", 1, "SELECT t.id, t.a FROM t AS t WHERE t.id % 2 = 0", &[("id", INT), ("a", TEXT)]);
        s.start(&[]);
        s.sync();
        s.stop();
        s.environment("PGSPINE_FAILPOINT", point);
        s.start(&[]);
        s.commit("UPDATE t SET a = 'b' WHERE id <= 210; DELETE FROM t WHERE id > 290");
        let mut process = s.process.take().unwrap();
        crate::support::wait_for("the failpoint", LIMIT, || process.ended());
        s.environment("PGSPINE_FAILPOINT", "none");
        s.commit("UPDATE t SET a = 'c' WHERE id <= 10");
        s.start(&[]);
        s.commit("UPDATE t SET a = 'd' WHERE id <= 60");
        s.sync();
        s.stop();
        s.check();
        let heard = s.heard("t");
        let large: Vec<_> = heard.iter().filter(|h| h.headers.contains_key("pgspine-part")).collect();
        let parts: std::collections::BTreeSet<_> = large.iter().map(|h| h.headers["pgspine-part"].clone()).collect();
        let mut of_both: Vec<String> =
            s.heard("u").iter().filter_map(|h| h.headers.get("pgspine-part").cloned()).collect();
        of_both.extend(parts.iter().cloned());
        of_both.sort();
        of_both.dedup();
        assert!(
            of_both.iter().filter(|p| p.ends_with("/last")).count() >= 1 && of_both.iter().any(|p| p == "1/more"),
            "{point}: {of_both:?}"
        );
        assert!(of_both.len() >= 6, "{point}: {of_both:?}");
    }
}
