//! The commands beside `run`: what they print, what they leave with, and that they leave nothing behind.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::*;

/// Tables, a project over them with one good transform, and names that are removed at the end.
pub struct Bench {
    pub topic: String,
    pub project: Project,
    pub database: Database,
}

pub const TABLES: &str = "CREATE SCHEMA shop; CREATE TYPE shop.kind AS ENUM ('new', 'old');
    CREATE TABLE shop.item (id bigint PRIMARY KEY, name text NOT NULL, note text, price numeric(12,2) NOT NULL,
        kind shop.kind, at timestamptz NOT NULL DEFAULT '2024-05-06 07:08:09.123456+00', tags text[], j jsonb, n int UNIQUE);
    CREATE TABLE shop.full_item (a int NOT NULL, b text NOT NULL, PRIMARY KEY (a, b), c text);
    ALTER TABLE shop.full_item REPLICA IDENTITY FULL;
    CREATE TABLE shop.bare (u int NOT NULL UNIQUE, v text);
    CREATE VIEW shop.seen AS SELECT id FROM shop.item;
    COMMENT ON TABLE shop.item IS 'What is sold'; COMMENT ON COLUMN shop.item.price IS 'in \"crowns\"';";

pub const ITEM_SQL: &str = "SELECT id, upper(name) AS name, note, price, at FROM shop.item WHERE name <> 'hidden'";
pub const ITEM_AVSC: &str = r#"{"type": "record", "name": "Item", "namespace": "test", "fields": [
    {"name": "id", "type": "long"},
    {"name": "name", "type": "string"},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}"#;

impl Bench {
    pub fn new(name: &str, more: &str) -> Bench {
        let bench = Bench::empty(name, more);
        bench.item(ITEM_SQL, ITEM_AVSC);
        bench
    }

    /// Without a transform.
    pub fn empty(name: &str, more: &str) -> Bench {
        let database = fresh_database(name);
        database.client().batch_execute(TABLES).expect("tables");
        Bench { topic: unique(name), project: Project::new(name, &database, more), database }
    }

    /// The transform `shop/item`.
    pub fn item(&self, select: &str, avsc: &str) {
        self.project.transform("shop/item", &self.header("[\"id\"]", select), avsc);
    }

    pub fn header(&self, key: &str, select: &str) -> String {
        format!("/* pgspine\ntopic = \"{}\"\nkey = {key}\n*/\n{select};\n", self.topic)
    }

    pub fn sql(&self, sql: &str) {
        self.database.client().batch_execute(sql).expect(sql);
    }

    /// The configuration with a text replaced.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.project.dir().join("pgspine.toml");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        std::fs::write(path, text.replace(from, to)).expect("a file");
    }

    pub fn slots(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
        self.database.client().query_one(sql, &[]).expect("a count").get(0)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let dead = format!("{}.dead-letter", self.topic);
        let progress = format!("pgspine.{}.progress", self.project.name);
        remove(&[&self.topic, &dead, &progress]);
    }
}

/// Topics and their subjects.
pub fn remove(topics: &[&str]) {
    let options = pgspine::emit::Options::new("test", &kafka());
    if let Err(e) = pgspine::emit::topics::delete(&options, topics) {
        eprintln!("{topics:?} are left behind: {e}");
    }
    let client = pgspine::registry::Client::new(&registry_options()).expect("a client");
    for topic in topics {
        let _ = client.delete_subject(&format!("{topic}-key"));
        let _ = client.delete_subject(&format!("{topic}-value"));
    }
}

pub fn registry_options() -> pgspine::registry::ClientOptions {
    pgspine::registry::ClientOptions { url: registry(), ..Default::default() }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Its code, and what it printed on both.
pub fn said(output: &Output) -> (i32, String) {
    let text = format!("{}{}", stdout(output), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

/// The findings of a command under `--json`.
pub fn findings(project: &Project, arguments: &[&str]) -> (i32, Vec<Value>) {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = project.output(&arguments);
    let text = stdout(&output);
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {:?}", said(&output)));
    (output.status.code().unwrap_or(-1), document["findings"].as_array().cloned().unwrap_or_default())
}

/// Errors only, as `PGSnnnn`.
pub fn errors(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter(|f| f["severity"] == "error").filter_map(|f| f["code"].as_str()).collect()
}

#[test]
fn without_a_schema_check_says_what_to_do_and_a_pulled_one_is_enough() {
    let bench = Bench::new("cli_pull", "");
    let (code, text) = said(&bench.project.output(&["check"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("PGS3010") && text.contains("pgspine schema pull") && text.contains("--live"), "{text}");

    let (code, text) = said(&bench.project.output(&["schema", "pull"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("shop.item"), "{text}");
    // From here on no database is needed.
    bench.edit("dbname=", "connect_timeout=1 host=127.0.0.1 port=1 dbname=");
    let (code, text) = said(&bench.project.output(&["check"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("tables as in") && text.contains("schema.sql (PostgreSQL "), "{text}");

    // Everything at once, each with its place.
    bench.item("SELECT id, nam AS name, note, price, at, now() AS x FROM shop.item", ITEM_AVSC);
    bench.project.transform(
        "shop/other",
        "/* pgspine\ntopik = \"t\"\nkey = [\"id\"]\n*/\nSELECT * FROM shop.item",
        "{}",
    );
    let (code, found) = findings(&bench.project, &["check"]);
    assert_eq!(code, 1);
    for (finding, line) in [("PGS1002", 2), ("PGS1013", 5), ("PGS1021", 5), ("PGS1033", 5)] {
        let f = found.iter().find(|f| f["code"] == finding).unwrap_or_else(|| panic!("{finding}: {found:#?}"));
        assert_eq!(f["line"], line, "{f}");
        assert!(f["file"].as_str().is_some_and(|p| p.ends_with(".sql")) && f["column"].is_u64(), "{f}");
        assert!(f["help"].is_string(), "{f}");
    }
    let (_, text) = said(&bench.project.output(&["check"]));
    assert!(text.contains("item.sql:5:12: error[PGS1021]") && text.contains("^^^"), "{text}");
}

#[test]
fn check_live_looks_at_all_three_and_changes_nothing() {
    let bench = Bench::new("cli_live", "");
    let (code, text) = said(&bench.project.output(&["check", "--live"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("tables as in the database"), "{text}");
    assert_eq!(bench.slots(), 0);
    assert_eq!(partitions(&bench.topic), 0, "the topic was made");
    let client = pgspine::registry::Client::new(&registry_options()).unwrap();
    assert!(client.versions(&format!("{}-value", bench.topic)).unwrap().is_empty(), "the schema was registered");
    let publications = "SELECT count(*) FROM pg_publication";
    assert_eq!(bench.database.client().query_one(publications, &[]).unwrap().get::<_, i64>(0), 0);
    assert!(!bench.project.dir().join("state").exists());

    // Who is away is named, and the others are asked all the same.
    bench.edit(&kafka(), "127.0.0.1:1");
    bench.edit(&registry(), "http://127.0.0.1:1");
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (3, vec!["PGS5003", "PGS6001"]), "{found:#?}");
    bench.edit("dbname=", "port=1 password=hunter2-planted dbname=");
    let (code, text) = said(&bench.project.output(&["check", "--live"]));
    assert_eq!(code, 3, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("PGS4003") && text.contains("PGS5003") && text.contains("PGS6001"), "{text}");
    assert_eq!(bench.project.output(&["schema", "pull"]).status.code(), Some(3));
}

#[test]
fn our_types_are_those_of_the_server() {
    let bench = Bench::empty("cli_types", "");
    bench.sql(
        "CREATE DOMAIN shop.label AS text; CREATE DOMAIN shop.tag AS shop.label;
         ALTER TABLE shop.item ADD label shop.label, ADD labels shop.tag[]",
    );
    let select =
        "SELECT id, name || 'x' AS a, price * 2 AS b, price + 1 AS c, id + n AS d, kind, at, tags, j -> 'a' AS e,
        j ->> 'a' AS f, coalesce(note, name) AS g, 'x' AS h, CASE WHEN n > 1 THEN price END AS i, n / 2.0 AS k,
        length(name) AS l, at::date AS m, jsonb_build_object('p', price) AS o, upper(name)::varchar(3) AS p,
        round(price, 1) AS q, date_trunc('day', at) AS r, n::numeric(5,1) AS s, label,
        labels, ARRAY(SELECT o.label FROM shop.item o WHERE o.id = item.id ORDER BY o.id) AS t FROM shop.item";
    bench.item(select, ITEM_AVSC);
    // The contract is drafted, fits, and the server agrees.
    let draft = bench.project.output(&["schema", "draft", "shop/item"]);
    assert_eq!(draft.status.code(), Some(0), "{:?}", said(&draft));
    let text = stdout(&draft);
    assert!(text.contains("\"doc\": \"What is sold\"") && text.contains("\"name\": \"Item\""), "{text}");
    bench.item(select, &text);
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (0, vec![]), "{found:#?}");
}

#[test]
fn schema_check_names_what_differs() {
    let bench = Bench::new("cli_schema", "");
    let (code, text) = said(&bench.project.output(&["schema", "check"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("PGS3011"), "{text}");
    assert_eq!(bench.project.output(&["schema", "pull"]).status.code(), Some(0));
    assert_eq!(said(&bench.project.output(&["schema", "check"])).0, 0);
    bench.sql("ALTER TABLE shop.item ADD added int; ALTER TABLE shop.item ALTER note SET NOT NULL");
    let (code, text) = said(&bench.project.output(&["schema", "check"]));
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("PGS3012") && text.contains("+\"added\" integer") && text.contains("-\"note\" text"),
        "{text}"
    );
    // What the contract cannot take any more is found as well.
    bench.sql("ALTER TABLE shop.item ALTER price DROP NOT NULL");
    let (_, found) = findings(&bench.project, &["schema", "check"]);
    assert!(errors(&found).contains(&"PGS2012"), "{found:#?}");
}

#[test]
fn setup_prints_what_makes_a_plain_role_enough() {
    let bench = Bench::new("cli_setup", "");
    let role = unique("plain_role");
    bench.edit("user=postgres", &format!("user={role}"));
    bench.sql(&format!("CREATE ROLE {role} LOGIN"));
    let role = Role(role);
    // It may do nothing yet; each right is asked for by name.
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    let codes = errors(&found);
    assert_eq!(code, 1, "{found:#?}");
    assert!(codes.contains(&"PGS4006") && codes.contains(&"PGS4052") && codes.contains(&"PGS4065"), "{found:#?}");
    let (code, text) = said(&bench.project.output(&["setup"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("pgspine setup --sql"), "{text}");

    let printed = bench.project.output(&["setup", "--sql"]);
    assert_eq!(printed.status.code(), Some(0), "{:?}", said(&printed));
    let sql = stdout(&printed);
    bench.sql(&sql);
    // The owner made the publication: we only look at it.
    bench.edit("[kafka]", "publication_mode = \"verify\"\n[kafka]");
    let (code, text) = said(&bench.project.output(&["check", "--live"]));
    assert_eq!(code, 0, "{text}");
    bench.sql(&stdout(&bench.project.output(&["setup", "--sql"])));
    bench.sql(&format!("DROP OWNED BY {}", role.0));
}

/// A role that goes away; what it was granted in a database has to be gone before.
pub struct Role(pub String);

impl Drop for Role {
    fn drop(&mut self) {
        let admin = postgres::Client::connect(&format!("{} dbname=postgres", postgres_conninfo()), postgres::NoTls);
        let dropped = admin.and_then(|mut a| {
            // CONNECT on a database is held there until the database goes.
            a.batch_execute(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.0))
        });
        if let Err(e) = dropped {
            eprintln!("{} is left behind: {e}", self.0);
        }
    }
}

#[test]
fn setup_as_the_owner_makes_the_publication_once() {
    let bench = Bench::new("cli_owner", "");
    let (code, text) = said(&bench.project.output(&["setup"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("CREATE PUBLICATION"), "{text}");
    let (code, text) = said(&bench.project.output(&["setup"]));
    assert_eq!((code, text.as_str()), (0, "nothing to do\n"));
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

#[test]
fn preview_tells_rows_without_kafka() {
    let bench = Bench::new("cli_preview", "");
    bench.sql(
        "INSERT INTO shop.item (id, name, price) SELECT i, 'n' || i, i FROM generate_series(1, 30) i;
         INSERT INTO shop.item (id, name, price) VALUES (99, 'hidden', 1), (100, 'nan', 'NaN')",
    );
    bench.edit(&kafka(), "127.0.0.1:1");
    bench.edit(&registry(), "http://127.0.0.1:1");
    let ten = bench.project.output(&["preview", "shop/item"]);
    assert_eq!(ten.status.code(), Some(0), "{:?}", said(&ten));
    assert_eq!(lines(&stdout(&ten)).len(), 10);
    let one = lines(&stdout(&bench.project.output(&["preview", "shop/item", "--key", "7"])));
    let value = json!({"id": 7, "name": "N7", "note": null, "price": "7.00", "at": "2024-05-06T07:08:09.123456Z"});
    assert_eq!(one, [json!({"key": {"id": 7}, "value": value})]);
    let same = bench.project.output(&["preview", "shop/item", "--key", "{\"id\":7}"]);
    assert_eq!(lines(&stdout(&same)), one);
    // A row that cannot be told is told as such.
    let all = bench.project.output(&["preview", "shop/item", "--limit", "1000"]);
    assert_eq!(all.status.code(), Some(1), "{:?}", said(&all));
    let all = lines(&stdout(&all));
    assert_eq!(all.len(), 31, "the hidden one is not among them");
    let bad = all.iter().find(|r| !r["error"].is_null()).unwrap();
    assert_eq!(
        (&bad["key"], &bad["error"]["code"], &bad["error"]["path"]),
        (&json!({"id": 100}), &json!("PGS2102"), &json!("price"))
    );
    let (code, text) = said(&bench.project.output(&["preview", "shop/itme"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("did you mean \"shop/item\"?"), "{text}");
    assert_eq!(bench.project.output(&["preview", "shop/item", "--key", "{\"x\":7}"]).status.code(), Some(2));
    assert_eq!(bench.slots(), 0);
}

#[test]
fn preview_follows_the_commits() {
    let bench = Bench::new("cli_follow", "");
    let full = "/* pgspine\ntopic = \"unused\"\nkey = [\"a\", \"b\"]\n*/\nSELECT a, b, c FROM shop.full_item";
    let avsc = r#"{"type": "record", "name": "F", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"},
        {"name": "c", "type": ["null", "string"], "default": null}]}"#;
    bench.project.transform("shop/full", full, avsc);
    let (code, text) = said(&bench.project.output(&["preview", "shop/item", "--follow"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("PGS4054") && text.contains("setup"), "{text}");
    assert_eq!(bench.project.output(&["setup"]).status.code(), Some(0));
    bench.sql(
        "INSERT INTO shop.item (id, name, price) VALUES (1, 'a', 1), (2, 'b', 2);
         INSERT INTO shop.full_item VALUES (1, 'x', 'c'), (2, 'y', 'd')",
    );
    let limit = Duration::from_secs(60);
    let mut item = bench.project.spawn(&["preview", "shop/item", "--follow"], &[]);
    let mut full = bench.project.spawn(&["preview", "shop/full", "--follow"], &[]);
    let count = |p: &crate::support::Process| p.log().lines().filter(|l| l.starts_with("{\"key\"")).count();
    wait_for("the first rows", limit, || (count(&item) == 2 && count(&full) == 2).then_some(()));
    bench.sql("UPDATE shop.item SET n = 5 WHERE id = 1");
    bench.sql("UPDATE shop.item SET name = 'z' WHERE id = 1; DELETE FROM shop.item WHERE id = 2; UPDATE shop.full_item SET c = NULL WHERE a = 1");
    bench.sql("INSERT INTO shop.item (id, name, price) VALUES (3, 'bad', 'NaN')");
    bench.sql("TRUNCATE shop.item, shop.full_item");
    wait_for("the changes", limit, || (count(&item) == 6 && count(&full) == 5).then_some(()));
    for p in [&item, &full] {
        p.signal(libc::SIGINT);
    }
    let told = |text: String| -> Vec<Value> {
        let mut all = lines(&text.lines().filter(|l| l.starts_with("{\"key\"")).collect::<Vec<_>>().join("\n"));
        let mut changes = all.split_off(2);
        assert!(changes.iter().all(|c| c["lsn"].is_string() && c.as_object().unwrap().len() == 3), "{changes:?}");
        changes.sort_by_key(|c| c["lsn"].as_str().unwrap().to_owned());
        changes
    };
    assert_eq!((item.code(limit), full.code(limit)), (1, 0), "{}\n{}", item.log(), full.log());
    let changes = told(item.log());
    assert_eq!((&changes[0]["key"]["id"], &changes[0]["value"]["name"]), (&json!(1), &json!("Z")), "{changes:?}");
    assert_eq!((&changes[1]["key"]["id"], &changes[1]["value"]), (&json!(2), &Value::Null));
    assert_eq!((&changes[2]["key"]["id"], &changes[2]["error"]["code"]), (&json!(3), &json!("PGS2102")));
    assert_eq!((&changes[3]["key"]["id"], &changes[3]["value"]), (&json!(1), &Value::Null), "{changes:?}");
    let changes = told(full.log());
    assert_eq!(changes[0]["value"], json!({"a": 1, "b": "x", "c": null}), "{changes:?}");
    assert!(changes[1]["value"].is_null() && changes[2]["value"].is_null());
    assert_eq!(bench.slots(), 0);
    assert!(!bench.project.dir().join("state").exists());
}

#[test]
fn explain_tells_what_is_kept() {
    let bench = Bench::new("cli_explain", "");
    let full = "/* pgspine\ntopic = \"unused\"\nkey = [\"a\", \"b\"]\n*/\nSELECT a, b FROM shop.full_item";
    let avsc =
        r#"{"type": "record", "name": "F", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"}]}"#;
    bench.project.transform("shop/full", full, avsc);
    let (code, text) = said(&bench.project.output(&["explain", "shop/item"]));
    assert_eq!(code, 0, "{text}");
    for part in
        [&bench.topic, "shop.item by (id): id, name, note, price, at", "name <> 'hidden'", "id bigint not null  key 1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, text) = said(&bench.project.output(&["explain", "shop/full"]));
    assert!(text.contains("none: with REPLICA IDENTITY FULL"), "{text}");
    let document: Value =
        serde_json::from_str(&stdout(&bench.project.output(&["explain", "shop/item", "--json"]))).unwrap();
    assert_eq!((&document["identity"], &document["root"]), (&json!(["id"]), &json!("shop.item")));
    assert_eq!(document["outputs"][1], json!({"name": "name", "type": "text", "nullable": false, "key": null}));
    assert_eq!(bench.project.output(&["explain", "nope"]).status.code(), Some(2));
}

#[test]
fn a_slot_is_dropped_loudly() {
    let bench = Bench::new("cli_slot", "");
    let (code, text) = said(&bench.project.output(&["slot", "drop"]));
    assert_eq!(code, 0, "{text}");
    let slot = format!("pgspine_{}", bench.project.name);
    bench.sql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
    let (code, text) = said(&bench.project.output(&["slot", "drop"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(&slot) && text.contains("bytes of WAL") && text.contains("PGS3013"), "{text}");
    assert_eq!(bench.slots(), 1);
    let (code, text) = said(&bench.project.output(&["slot", "drop", "--yes"]));
    assert_eq!(code, 0, "{text}");
    assert_eq!(bench.slots(), 0);
}

#[test]
fn without_a_bridge_nobody_can_be_asked() {
    let bench = Bench::empty("cli_ask", "");
    for command in [&["status"][..], &["pause"], &["resume"], &["log-level", "debug"], &["reconcile", "shop/item"]] {
        let (code, text) = said(&bench.project.output(command));
        assert_eq!(code, 3, "{command:?}: {text}");
        assert!(text.contains("PGS8020") && text.contains("pgspine run"), "{text}");
    }
}
