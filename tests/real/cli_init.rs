//! `init`: what it drafts passes `check` and its own tests, and it overwrites nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::cli::{Bench, errors, findings, said};
use crate::support::*;

const SHOP: &str = "CREATE SCHEMA store; CREATE TYPE store.size AS ENUM ('small', 'large');
    CREATE DOMAIN store.code AS text CHECK (VALUE <> '');
    CREATE TABLE store.\"order\" (id bigint PRIMARY KEY, \"Full name\" text NOT NULL, note text, at timestamptz NOT NULL,
        status text NOT NULL CHECK (status IN ('draft', 'placed')), size store.size NOT NULL, code store.code NOT NULL,
        total numeric(12,2) NOT NULL CHECK (total >= 0), price_and numeric GENERATED ALWAYS AS (total * 2) STORED, j jsonb,
        UNIQUE (code, size));
    CREATE TABLE store.line (order_id bigint REFERENCES store.\"order\", sku text, qty int NOT NULL, blob bytea,
        PRIMARY KEY (order_id, sku));
    CREATE TABLE store.message (id uuid PRIMARY KEY, by_order bigint REFERENCES store.\"order\",
        to_order bigint REFERENCES store.\"order\", body text NOT NULL);
    CREATE TABLE store.pair (code store.code, size store.size, n int, PRIMARY KEY (n),
        FOREIGN KEY (code, size) REFERENCES store.\"order\" (code, size));
    CREATE TABLE store.keyless (order_id bigint REFERENCES store.\"order\", body text);
    CREATE TABLE store.note (id int PRIMARY KEY, parent int REFERENCES store.note, body text);
    COMMENT ON TABLE store.\"order\" IS 'What was \"ordered\"'; COMMENT ON COLUMN store.line.qty IS 'pieces';";

/// Every file of the project but the configuration.
fn files(dir: &Path, out: &mut BTreeMap<String, String>, below: &str) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => files(&entry.path(), out, &format!("{name}/")),
            false => drop(out.insert(name, std::fs::read_to_string(entry.path()).expect("a text"))),
        }
    }
}

fn all(bench: &Bench) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    files(bench.project.dir(), &mut out, "");
    out
}

/// A folder with nothing in it, and its database.
fn nothing(name: &str) -> Bench {
    let bench = Bench::empty(name, "");
    bench.sql(SHOP);
    std::fs::remove_file(bench.project.dir().join("pgspine.toml")).expect("a file");
    std::fs::remove_dir(bench.project.dir().join("transforms")).expect("a folder");
    bench
}

#[test]
fn a_new_project_passes_check_and_its_own_tests() {
    let bench = nothing("init_new");
    let url = format!("{} sslmode=disable", bench.database.conninfo());
    let (kafka, registry, postgres) = (kafka(), registry(), postgres_conninfo());
    let mut arguments = vec!["init", "--name", "store", "--postgres", &url, "--kafka", &kafka, "--registry", &registry];
    arguments.extend([
        "--from-table",
        "store.order",
        "--from-table",
        "Store.note",
        "--from-table",
        "shop.item",
        "--nested",
    ]);
    let (code, text) = said(&bench.project.output(&arguments));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("PGS3016") && text.contains("store.keyless (order_id) is left out: it has no key"), "{text}");
    let files = all(&bench);
    let sql = &files["transforms/store/order.sql"];
    for part in [
        "topic = \"store.order.v1\"",
        "o.\"Full name\" AS \"Full_name\"",
        "WHERE l.order_id = o.id\n    ORDER BY l.sku COLLATE \"C\"",
        "AS message_by_by_order",
        "AS message_by_to_order",
        "p.code = o.code AND p.size = o.size",
        "FROM store.\"order\" AS o;",
    ] {
        assert!(
            sql.contains(part) || part.starts_with("FROM") && sql.contains("FROM store.order AS o;"),
            "{part}\n{sql}"
        );
    }
    assert!(!sql.contains("price_and"), "generated columns are not in the stream\n{sql}");
    let avsc: Value = serde_json::from_str(&files["transforms/store/order.avsc"]).expect("JSON");
    assert_eq!(avsc["doc"], "What was \"ordered\"");
    assert!(files["transforms/store/order.avsc"].contains("\"doc\":\"pieces\""), "{avsc}");
    assert!(
        files["transforms/store/note.sql"].contains("WHERE no.parent = n.id"),
        "{}",
        files["transforms/store/note.sql"]
    );

    // PostgreSQL takes each SELECT as it stands; check and the tests pass.
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".sql") && name.starts_with("transforms")) {
        if !name.ends_with(".test.sql") {
            bench.database.client().simple_query(text).unwrap_or_else(|e| panic!("{name}: {e:?}\n{text}"));
        }
    }
    let (code, found) = findings(&bench.project, &["check"]);
    assert_eq!((code, errors(&found)), (0, vec![]), "{found:#?}");
    let (code, text) = said(&bench.project.output(&["test", "--postgres", &postgres]));
    assert_eq!(code, 0, "{text}\n{files:#?}");
    assert!(text.contains("6 transactions passed in 3 files"), "{text}");

    // Nothing is overwritten, and nothing is written beside it.
    let (code, text) =
        said(&bench.project.output(&["init", "--from-table", "store.pair", "--from-table", "store.order"]));
    assert!(code == 2 && text.contains("PGS3015") && text.contains("order.sql exists already"), "{code} {text}");
    assert_eq!(all(&bench), files);
    let (code, text) = said(&bench.project.output(&["init"]));
    assert!(code == 2 && text.contains("PGS3015"), "{code} {text}");
    let (code, text) = said(&bench.project.output(&["init", "--kafka", "other:9092", "--from-table", "store.pair"]));
    assert!(code == 2 && text.contains("PGS3014") && text.contains("its settings hold"), "{code} {text}");
    // One more, without what refers to it.
    let (code, text) = said(&bench.project.output(&["init", "--from-table", "store.pair"]));
    assert_eq!(code, 0, "{text}");
    assert!(bench.project.dir().join("transforms/store/pair.avsc").exists());
    assert_eq!(findings(&bench.project, &["check"]).0, 0);
}

#[test]
fn what_cannot_be_drafted_is_said_and_nothing_is_written() {
    let bench = nothing("init_refused");
    let url = format!("{} sslmode=disable", bench.database.conninfo());
    for (table, expected) in [
        ("store.nothing", "there is no such table"),
        ("store.keyless", "store.keyless has no primary key"),
        ("shop.seen", "shop.seen"),
    ] {
        let (code, text) = said(&bench.project.output(&["init", "--postgres", &url, "--from-table", table]));
        assert!(code != 0 && text.contains(expected), "{code} {text}");
        assert_eq!(all(&bench), BTreeMap::new(), "{table}");
    }
    let (code, text) = said(&bench.project.output(&["init", "--from-table", "store.order"]));
    assert!(code == 2 && text.contains("add --postgres URL"), "{code} {text}");
    let (code, text) =
        said(&bench.project.output(&["init", "--postgres", "host=127.0.0.1 port=1 user=u", "--from-table", "t"]));
    assert_eq!((code, all(&bench)), (3, BTreeMap::new()), "{text}");
}

#[test]
fn without_tables_there_is_a_configuration_and_no_secret_in_it() {
    let bench = nothing("init_bare");
    let (code, text) =
        said(&bench.project.output(&["init", "--name", "a-b", "--postgres", "postgres://u:s3cret@db/x"]));
    assert_eq!(code, 0, "{text}");
    let toml = &all(&bench)["pgspine.toml"];
    assert!(toml.contains("url = \"${DATABASE_URL}\"") && toml.contains("name = \"a-b\""), "{toml}");
    assert!(!toml.contains("s3cret") && !text.contains("s3cret"), "{toml}{text}");
    assert!(text.contains("DATABASE_URL"), "{text}");
    let (code, found) = findings(&bench.project, &["check"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS1005", "PGS3010"]), "{found:#?}");
}
