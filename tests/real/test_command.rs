//! `pgspine test`: what passes, and what is said of each thing that does not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::*;

const SCHEMA: &str = "-- pgspine server=15.18 collate=C.UTF-8 provider=libc
CREATE TABLE \"public\".\"item\" (
    \"id\" bigint NOT NULL,
    \"name\" text NOT NULL,
    \"price\" numeric NOT NULL,
    \"at\" timestamp with time zone,
    \"tags\" text[],
    \"j\" jsonb,
    \"f\" real,
    CONSTRAINT \"item_pkey\" PRIMARY KEY (\"id\")
);
";

const ITEM_SQL: &str = "/* pgspine
topic = \"item\"
key = [\"id\"]
*/
SELECT id, '<' || name || '>' AS name, price, at, at AS at_text, tags, j, f FROM item WHERE name <> 'hidden';
";

const ITEM_AVSC: &str = r#"{"type": "record", "name": "Item", "fields": [
    {"name": "id", "type": "long"},
    {"name": "name", "type": "string"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
    {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
    {"name": "at_text", "type": ["null", "string"]},
    {"name": "tags", "type": ["null", {"type": "array", "items": ["null", "string"]}]},
    {"name": "j", "type": ["null", "string"]},
    {"name": "f", "type": ["null", "float"]}]}"#;

/// A project with the transform `item`, and no service but PostgreSQL.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a folder");
        let bench = Bench { dir };
        // None of these is ever asked.
        bench.write(
            "pgspine.toml",
            "[bridge]\nname = \"t\"\n[postgres]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n\
             [kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:1\"\n",
        );
        bench.write("schema.sql", SCHEMA);
        bench.write("transforms/item.sql", ITEM_SQL);
        bench.write("transforms/item.avsc", ITEM_AVSC);
        bench
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// With the test file `item.test.sql`; gives the exit code and everything printed.
    fn test(&self, text: &str) -> (i32, String) {
        self.write("transforms/item.test.sql", text);
        self.run(&[])
    }

    fn run(&self, more: &[&str]) -> (i32, String) {
        let url = format!("{} dbname=postgres", postgres_conninfo());
        let arguments: Vec<&str> = ["test", "--postgres", &url].into_iter().chain(more.iter().copied()).collect();
        said(&run_in(self.dir.path(), &arguments))
    }
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let program = std::env::var("PGSPINE_TEST_PROGRAM");
    let program = PathBuf::from(program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_pgspine")));
    Command::new(program).args(arguments).current_dir(folder).output().expect("the program starts")
}

fn said(output: &Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

fn databases() -> Vec<String> {
    let conninfo = format!("{} dbname=postgres", postgres_conninfo());
    let mut client = postgres::Client::connect(&conninfo, postgres::NoTls).expect("PostgreSQL is reachable");
    let sql = "SELECT datname::text FROM pg_database WHERE datname LIKE 'pgspine_test_%'";
    client.query(sql, &[]).expect("names").iter().map(|r| r.get(0)).collect()
}

#[track_caller]
fn check(text: &str, code: i32, parts: &[&str]) {
    let (came, printed) = Bench::new().test(text);
    assert_eq!(came, code, "{printed}");
    for part in parts {
        assert!(printed.contains(part), "{part:?} is not in\n{printed}");
    }
}

#[test]
fn the_shipped_transforms_pass_their_tests_on_a_server_of_their_own() {
    let output = run_in(Path::new(env!("CARGO_MANIFEST_DIR")), &["test", "--json"]);
    let (code, text) = said(&output);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!((code, &report["findings"]), (0, &json!([])), "{text}");
    let tests = report["tests"].as_array().expect("a list");
    let transforms: Vec<_> = tests.iter().map(|t| t["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(transforms, ["shop/customer", "shop/order", "shop/order_event", "shop/order_line", "shop/product"]);
    let results = tests.iter().flat_map(|t| t["transactions"].as_array().cloned().unwrap_or_default());
    assert!(results.clone().count() >= 15 && results.into_iter().all(|t| t["result"] == "passed"), "{text}");
    assert!(report["postgres"].as_str().is_some_and(|p| p.contains("started for the tests")), "{text}");
}

#[test]
fn every_form_of_a_test_passes() {
    let bench = Bench::new();
    let (code, printed) = bench.test(
        r#"-- setup
INSERT INTO item VALUES (1, 'there before', 1, NULL, NULL, NULL);

-- transaction: values of every kind
BEGIN;
INSERT INTO item VALUES
  (2, 'a;''b', 12.5, '1969-12-31 23:59:59.5+00', ARRAY['x', NULL, 'y"z'], '{"b": 1.50, "a": [null]}', 0.1);
COMMIT;
-- expect item {"id": 2} => {
--   "id": 2, "name": "<a;'b>", "price": "12.50", "at": "1969-12-31T23:59:59.500000Z",
--   "at_text": "1969-12-31 23:59:59.5+00",
--   "tags": ["x", null, "y\"z"], "j": "{\"a\": [null], \"b\": 1.50}",
--   "f": 0.1
-- }

-- transaction: taken back
DELETE FROM item;
ROLLBACK;
-- expect nothing

-- transaction: a savepoint
INSERT INTO item VALUES (3, 'three', 3);
SAVEPOINT a;
DELETE FROM item;
ROLLBACK TO SAVEPOINT a;
-- expect item {"id":3} => {"name": "<three>", ...}

-- transaction: refused
INSERT INTO item VALUES (1, 'again', 1);
-- error: 23505 item_pkey

-- transaction: a block with semicolons
DO $$ BEGIN FOR i IN 4..5 LOOP INSERT INTO item VALUES (i, 'n' || i, i); END LOOP; END $$;
-- expect item {"id":5} => {"name": "<n5>", ...}
-- expect item {"id":4} => {"name": "<n4>", ...}

-- transaction: all of them go
TRUNCATE item;
INSERT INTO item VALUES (5, 'n5', 5), (6, 'hidden', 6);
-- expect item {"id":1} => null
-- expect item {"id":2} => null
-- expect item {"id":3} => null
-- expect item {"id":4} => null
"#,
    );
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("item                             6 transactions   ok\n"), "{printed}");
    assert!(printed.contains("6 transactions passed in 1 file, 0 failed; PostgreSQL "), "{printed}");
}

#[test]
fn a_file_can_make_its_own_tables() {
    let bench = Bench::new();
    std::fs::remove_file(bench.dir.path().join("schema.sql")).expect("a file");
    let text = "-- setup\nCREATE TABLE item (id int8 PRIMARY KEY, name text NOT NULL, price numeric NOT NULL, \
                at timestamptz, tags text[], j jsonb, f real);\nALTER TABLE item REPLICA IDENTITY FULL;\n\
                INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 2);\n\
                -- transaction: gone\nTRUNCATE item;\n\
                -- expect item {\"id\":1} => null\n-- expect item {\"id\":2} => null\n";
    let (code, printed) = bench.test(text);
    assert_eq!(code, 0, "{printed}");
    let (code, printed) = bench.test("-- transaction: a\nSELECT 1;\n-- expect nothing\n");
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("PGS3021") && printed.contains("pgspine schema pull"), "{printed}");
}

#[test]
fn wrong_expectations_are_shown_as_a_difference() {
    let insert = "-- transaction: one\nINSERT INTO item VALUES (1, 'a', 2, NULL, '{x,y}');\n";
    check(
        &format!("{insert}-- expect item {{\"id\":1}} => {{\"name\": \"B\", \"tags\": [\"x\"], ...}}\n"),
        1,
        &[
            "item                             1 transaction    FAILED\n",
            "0 transactions passed in 1 file, 1 failed",
            "transforms/item.test.sql:3:1: error[PGS3023]: item {\"id\":1} came with other values\n",
            "help: - is expected, + came\n        - name: \"B\"\n        + name: \"<a>\"\n        + tags[1]: \"y\"\n\n1 error",
        ],
    );
    check(
        &format!("{insert}-- expect nothing\n"),
        1,
        &[
            "transforms/item.test.sql:3:1: error[PGS3023]: item {\"id\":1} came, and is not expected\n",
            "if they are right, write\n        -- expect item {\"id\":1} => {\n        --   \"id\": 1,\n        --   \"name\": \"<a>\",\n",
        ],
    );
    check(
        &format!("{insert}-- expect item {{\"id\":2}} => {{...}}\n-- expect item {{\"id\":1}} => {{...}}\n"),
        1,
        &["item.test.sql:3:1: error[PGS3023]: item {\"id\":2} did not come\n", "of item came: {\"id\":1}\n"],
    );
    check(
        &format!("{insert}-- expect item {{\"id\":1}} => null\n"),
        1,
        &["item.test.sql:3:1: error[PGS3023]: item {\"id\":1} came with a value, a tombstone is expected\n"],
    );
}

#[test]
fn a_refused_statement_is_shown_with_what_postgres_says() {
    check(
        "-- transaction: one\nINSERT INTO item (id, nme) VALUES (1, 'a');\n-- expect nothing\n\n\
         -- transaction: two\nSELECT 1;\n-- expect nothing\n",
        1,
        &[
            "transforms/item.test.sql:2:23: error[PGS3022]: PostgreSQL refuses this: ERROR 42703: column \"nme\" of relation \"item\" does not exist\n",
            "\n  |                       ^^^\n",
            "write -- error: 42703 column",
            "1 failed, 1 not reached",
        ],
    );
    check(
        "-- setup\nINSERT INTO item VALUES (1, 'a', 1), (1, 'a', 1);\n-- transaction: two\nSELECT 1;\n-- expect nothing\n",
        1,
        &["transforms/item.test.sql:2:1: error[PGS3022]: PostgreSQL refuses this: ERROR 23505"],
    );
    check(
        "-- transaction: one\nINSERT INTO item VALUES (1, 'a', 1);\n-- error: 23505 item_pkey\n",
        1,
        &["transforms/item.test.sql:3:1: error[PGS3024]: 23505 item_pkey did not come\n"],
    );
    check(
        "-- transaction: one\nINSERT INTO item VALUES (1, NULL, 1);\n-- error: 23505 item_pkey\n",
        1,
        &["transforms/item.test.sql:2:1: error[PGS3024]: ", "23502", "; 23505 item_pkey is expected\n"],
    );
}

#[test]
fn a_row_that_cannot_be_published_is_expected_or_told() {
    check(
        "-- transaction: one\nINSERT INTO item VALUES (1, 'a', 12345678);\n-- expect nothing\n\n\
         -- transaction: two\nSELECT 1;\n-- expect nothing\n",
        1,
        &[
            "transforms/item.test.sql:1:1: error[PGS3024]: a row that item cannot publish",
            "-- error: PGS2103 price",
            "1 not reached",
        ],
    );
    // The key keeps its last good value until the row can be published.
    check(
        "-- setup\nINSERT INTO item VALUES (1, 'a', 1);\n\
         -- transaction: too large\nUPDATE item SET price = 12345678;\n-- error: PGS2103 price\n\
         -- transaction: small again\nUPDATE item SET price = 2;\n-- expect item {\"id\":1} => {\"price\": \"2.00\", ...}\n",
        0,
        &["2 transactions passed"],
    );
    check(
        "-- setup\nINSERT INTO item VALUES (1, 'a', 1);\n\
         -- transaction: too large\nUPDATE item SET price = 12345678;\n-- error: PGS2101 price\n",
        1,
        &[
            "item.test.sql:5:1: error[PGS3024]: PGS2101 price did not come\n",
            "item.test.sql:3:1: error[PGS3024]: item {\"id\":1} cannot be published: price: ",
        ],
    );
}

#[test]
fn a_topic_that_is_not_the_answer_is_found_without_being_asked_for() {
    // A change that the stream does not carry: nobody expects a record, and PostgreSQL has the row.
    check(
        "-- transaction: unseen\nALTER PUBLICATION pgspine_test DROP TABLE item;\nINSERT INTO item VALUES (1, 'a', 1);\n\
         -- expect nothing\n",
        1,
        &[
            "transforms/item.test.sql:1:1: error[PGS3025]: after this transaction the topic of item is not what PostgreSQL answers: {\"id\":1} is missing\n",
        ],
    );
}

#[test]
fn names_that_are_not_there_are_usage_errors() {
    let bench = Bench::new();
    let expect = |more: &[&str], code: i32, parts: &[&str]| {
        let (came, printed) = bench.run(more);
        assert_eq!(came, code, "{printed}");
        parts.iter().for_each(|part| assert!(printed.contains(part), "{part:?} is not in\n{printed}"));
    };
    expect(&["itm"], 2, &["error[PGS8013]: there is no transform \"itm\"", "did you mean \"item\"?"]);
    expect(&[], 2, &["error[PGS3020]: there is no test in transforms\n", "docs/testing.md"]);
    expect(&["item"], 2, &["error[PGS3020]: there is no test of item\n", "write transforms/item.test.sql"]);
    bench.write("transforms/item.more.test.sql", "-- transaction: a\nSELECT 1;\n-- expect itm {\"id\":1} => null\n");
    expect(&["item"], 1, &["transforms/item.more.test.sql:3:1: error[PGS8013]: there is no transform \"itm\""]);
    bench.write("transforms/flow.test.sql", "-- transaction: a\nSELECT 1\n");
    expect(
        &[],
        1,
        &["PGS8013", "transforms/flow.test.sql:2:1: error[PGS3021]: this statement does not end\n", "2 errors"],
    );
}

#[test]
fn a_server_that_does_not_answer_is_3_and_a_used_one_is_left_clean() {
    let bench = Bench::new();
    bench.write("transforms/item.test.sql", "-- transaction: a\nSELECT 1;\n-- expect nothing\n");
    let (code, printed) =
        said(&run_in(bench.dir.path(), &["test", "--postgres", "postgres://x@127.0.0.1:1/x?sslmode=disable"]));
    assert_eq!(code, 3, "{printed}");
    let (code, printed) = bench.run(&[]);
    assert_eq!(code, 0, "{printed}");
    // Tests beside this one have theirs for a moment.
    let limit = std::time::Duration::from_secs(60);
    let ours: Vec<String> = databases();
    wait_for("the databases to be dropped", limit, || {
        let left = databases();
        ours.iter().all(|d| !left.contains(d)).then_some(())
    });
}
