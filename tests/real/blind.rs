//! Going blind shows: what changes without a sign in the stream ends the bridge within the watch's interval, and the next
//! start repairs exactly.

use std::time::{Duration, Instant};

use crate::reconcile_scene::*;

const SCHEMA: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE item (id int PRIMARY KEY, a text, n int, e mood, unused text);
    INSERT INTO item SELECT i, 'a' || i, i, 'ok' FROM generate_series(1, 10) i;
    CREATE TABLE other (id int PRIMARY KEY, b text); INSERT INTO other VALUES (1, 'x')";
const ITEM: &str = "SELECT i.id, i.a, i.n, i.e FROM item AS i";
const LONG_OR_NULL: &str = "[\"null\", \"long\"], \"default\": null";
const FIELDS: &[(&str, &str)] = &[("id", INT), ("a", TEXT), ("n", LONG_OR_NULL), ("e", TEXT)];

fn watched(name: &str, schema: &str, more: &str) -> Scene {
    let mut s = Scene::new(name, schema, more);
    s.environment("PGSPINE_WATCH_SECONDS", "0.2");
    s
}

impl Scene {
    /// The change ends the running bridge with `code` in good time; what is in the tables then, a start repairs.
    fn blinded(&mut self, what: &str, ddl: &str, code: i32, words: &[&str]) {
        self.loose(what);
        let begun = Instant::now();
        self.client.batch_execute(ddl).unwrap_or_else(|e| panic!("{ddl}: {e:?}"));
        self.ends(code, words);
        assert!(begun.elapsed() < Duration::from_secs(15), "{ddl}: seen after {:?}", begun.elapsed());
    }

    fn repaired(&mut self, after: &str) {
        self.start(&[]);
        self.exact();
        self.sync();
        self.commit(after);
        self.sync();
    }
}

#[test]
fn tables_that_are_replaced_or_leave_the_publication() {
    for full in ["", "ALTER TABLE item REPLICA IDENTITY FULL;"] {
        let mut s = watched("replaced", &format!("{SCHEMA};{full}"), "");
        s.transform("item", "", 1, ITEM, FIELDS);
        s.transform("other", "", 1, "SELECT o.id, o.b FROM other AS o", &[("id", INT), ("b", TEXT)]);
        s.start(&[]);
        s.sync();
        // Nobody's business.
        s.commit("ALTER TABLE item ADD COLUMN more int DEFAULT 5; ALTER TABLE item DROP COLUMN unused; UPDATE item SET n = 3 WHERE id = 1");
        s.client.batch_execute("ALTER TYPE mood ADD VALUE 'glad'").unwrap();
        s.commit("UPDATE item SET e = 'glad' WHERE id = 2");
        s.sync();
        s.blinded(
            "item",
            &format!(
                "BEGIN; CREATE TABLE kept AS SELECT * FROM item; DROP TABLE item; CREATE TABLE item (id int PRIMARY KEY, a text, n int, e mood); {full}
                 INSERT INTO item SELECT id, a, n, e FROM kept WHERE id <> 3; UPDATE item SET a = 'anew' WHERE id = 4; DROP TABLE kept; COMMIT"
            ),
            6,
            &["PGS8006", "item"],
        );
        s.commit("UPDATE item SET a = 'away' WHERE id = 5; UPDATE other SET b = 'exact'");
        s.repaired("UPDATE item SET n = 0 WHERE id = 4");
        s.blinded(
            "item",
            &format!(
                "BEGIN; CREATE TABLE swapped (LIKE item INCLUDING ALL); INSERT INTO swapped SELECT id, a, n + 1, e FROM item WHERE id <> 6;
                 ALTER TABLE item RENAME TO item_old; ALTER TABLE swapped RENAME TO item; {full} COMMIT; DROP TABLE item_old"
            ),
            6,
            &["PGS8006", "another table"],
        );
        s.repaired("DELETE FROM item WHERE id = 1");
        let publication = s.slot();
        s.blinded(
            "item",
            &format!(
                "ALTER PUBLICATION {publication} DROP TABLE item; UPDATE item SET a = 'unseen' WHERE id = 2;
                 ALTER PUBLICATION {publication} ADD TABLE item"
            ),
            6,
            &["PGS8006", "left the publication"],
        );
        s.repaired("UPDATE item SET a = 'seen' WHERE id = 2");
        s.blinded("item", "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", 6, &["PGS8006", "fine"]);
        s.repaired("UPDATE item SET e = 'sad' WHERE id = 2");
        s.stop();
        s.check();
    }
}

#[test]
fn a_used_column_changes_its_type_or_is_gone() {
    for full in ["", "ALTER TABLE item REPLICA IDENTITY FULL;"] {
        let mut s = watched("columns", &format!("{SCHEMA};{full}"), "");
        s.transform("item", "", 1, ITEM, FIELDS);
        s.start(&[]);
        s.sync();
        s.blinded(
            "item",
            "ALTER TABLE item ALTER COLUMN n TYPE bigint; UPDATE item SET n = 5000000000 WHERE id = 1",
            6,
            &["n"],
        );
        s.repaired("UPDATE item SET n = 6 WHERE id = 2");
        s.blinded("item", "ALTER TABLE item DROP COLUMN n; INSERT INTO item VALUES (11, 'eleven', 'sad')", 6, &["n"]);
        s.refused(&[], 2, &["item.sql", "n"]);
        s.transform("item", "", 1, "SELECT i.id, i.a, i.id + 1 AS n, i.e FROM item AS i", FIELDS);
        s.repaired("UPDATE item SET a = 'on' WHERE id = 11");
        s.stop();
        s.check();
    }
}

#[test]
fn a_listed_column_that_takes_its_table_along() {
    let mut s = watched("listed", SCHEMA, "");
    s.environment("PGSPINE_POSTGRES__PUBLICATION_COLUMNS", "used");
    s.transform("item", "", 1, ITEM, FIELDS);
    s.start(&[]);
    s.sync();
    s.commit("UPDATE item SET unused = 'x', n = 7 WHERE id = 2");
    s.blinded(
        "item",
        "ALTER TABLE item DROP COLUMN n CASCADE; UPDATE item SET a = 'unseen' WHERE id = 3",
        6,
        &["item"],
    );
    s.refused(&[], 2, &["item.sql"]);
    s.transform("item", "", 1, "SELECT i.id, i.a, i.id + 1 AS n, i.e FROM item AS i", FIELDS);
    s.repaired("UPDATE item SET a = 'on' WHERE id = 4");
    s.stop();
    s.check();
}

#[test]
fn a_publication_that_is_made_anew_is_a_gap() {
    let mut s = watched("republished", SCHEMA, "");
    s.transform("item", "", 1, ITEM, FIELDS);
    s.start(&[]);
    s.sync();
    s.loose("item");
    let publication = s.slot();
    s.client
        .batch_execute(&format!(
            "DROP PUBLICATION {publication}; UPDATE item SET a = 'unseen' WHERE id = 3;
             CREATE PUBLICATION {publication} FOR TABLE item, tick"
        ))
        .unwrap();
    s.ends(5, &["PGS800"]);
    let log = s.refused(&[], 5, &["PGS8002", "gap:"]);
    let at = log.rfind("gap:").unwrap();
    let word: String = log[at..].chars().take_while(|c| !c.is_whitespace() && *c != '`').collect();
    s.start(&["--approve", &word]);
    s.exact();
    s.sync();
    s.commit("UPDATE item SET a = 'seen' WHERE id = 3");
    s.sync();
    s.stop();
    s.check();
}

const PARTITIONS: &str =
    "CREATE TABLE p (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu'); CREATE TABLE p_us PARTITION OF p FOR VALUES IN ('us');
    INSERT INTO p SELECT i, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' || i FROM generate_series(1, 10) i";
const P: &str = "SELECT p.id, p.region, p.v FROM p AS p";
const P_FIELDS: &[(&str, &str)] = &[("id", INT), ("region", "\"string\""), ("v", TEXT)];

#[test]
fn partitions_that_come_and_go() {
    for full in ["", "ALTER TABLE p_eu REPLICA IDENTITY FULL; ALTER TABLE p_us REPLICA IDENTITY FULL;"] {
        let mut s = watched("partitions", &format!("{PARTITIONS};{full}"), "");
        s.transform("p", "", 2, P, P_FIELDS);
        s.start(&[]);
        s.sync();
        s.blinded("p", "ALTER TABLE p DETACH PARTITION p_us", 6, &["PGS8006", "p_us"]);
        s.repaired("UPDATE p SET v = 'on' WHERE id = 2");
        s.blinded(
            "p",
            "UPDATE p_us SET v = 'aside' WHERE id = 1; ALTER TABLE p ATTACH PARTITION p_us FOR VALUES IN ('us')",
            6,
            &["PGS8006", "p_us"],
        );
        s.repaired("UPDATE p SET v = 'again' WHERE id = 1");
        if full.is_empty() {
            s.commit("TRUNCATE p_us");
            s.sync();
        } else {
            // Nothing is stored: which keys lay in the leaf cannot be told.
            s.blinded("p", "TRUNCATE p_us", 6, &["PGS8010"]);
            s.spawn(&[]);
            s.ends(6, &["PGS8010"]);
            s.start(&["--reconcile", "p"]);
            s.exact();
            s.sync();
        }
        s.commit("INSERT INTO p VALUES (20, 'us', 'new')");
        s.sync();
        s.stop();
        s.check();
    }
}
