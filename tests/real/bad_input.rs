//! Bad input: for each mistake the program's own words, with a code, a place and the fix, and the exit code.
//!
//! What needs no running bridge is asked of `check`; for what a start must refuse, `run` is started.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use serde_json::Value;

use crate::capture_server::Server;
use crate::cli::{Bench, ITEM_AVSC, ITEM_SQL, Role, errors, findings, registry_options, remove, said};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

/// One mistake: what is asked, and the words that the finding must have.
struct Case {
    name: &'static str,
    select: &'static str,
    avsc: String,
    code: &'static str,
    says: &'static str,
    help: &'static str,
}

fn case(
    name: &'static str,
    select: &'static str,
    avsc: impl Into<String>,
    code: &'static str,
    says: &'static str,
    help: &'static str,
) -> Case {
    Case { name, select, avsc: avsc.into(), code, says, help }
}

fn one(name: &str, ty: &str) -> String {
    format!(
        r#"{{"type": "record", "name": "R", "fields": [{{"name": "id", "type": "long"}}, {{"name": "{name}", "type": {ty}}}]}}"#
    )
}

#[test]
fn transforms_and_contracts() {
    let bench = Bench::new("bad_files", "");
    assert_eq!(bench.project.output(&["schema", "pull"]).status.code(), Some(0));
    let text = one("name", "\"string\"");
    #[rustfmt::skip]
    let cases = [
        case("two statements", "SELECT id, name FROM shop.item; SELECT 1", &text, "PGS1011", "second statement", "one SELECT"),
        case("a star", "SELECT * FROM shop.item", &text, "PGS1013", "*", "name"),
        case("a volatile function", "SELECT id, now()::text AS name FROM shop.item", &text, "PGS1033", "now", ""),
        case("an unknown column", "SELECT id, nmae AS name FROM shop.item", &text, "PGS1021", "nmae", "did you mean name?"),
        case("an unknown table", "SELECT id, name FROM shop.itme", &text, "PGS1020", "shop.itme", "shop.item"),
        case("a view", "SELECT id, 'x' AS name FROM shop.seen", &text, "PGS1022", "view", "tables behind"),
        case("a field without output", "SELECT id FROM shop.item", &text, "PGS2010", "name", ""),
        case("an output without field", "SELECT id, name, note FROM shop.item", &text, "PGS2011", "note", ""),
        case(
            "null into non-null",
            "SELECT id, note AS name FROM shop.item",
            &text,
            "PGS2012",
            "may be NULL",
            "COALESCE",
        ),
        case(
            "a type that does not fit",
            "SELECT id, name FROM shop.item",
            one("name", "\"long\""),
            "PGS2013",
            "cannot become",
            "string",
        ),
        case(
            "a lossy mapping",
            "SELECT id, at FROM shop.item",
            one("at", r#"{"type": "long", "logicalType": "timestamp-millis"}"#),
            "PGS2014",
            "would lose",
            "pgspine.lossy",
        ),
        case(
            "a key that is not unique",
            "SELECT length(name) AS id, name FROM shop.item",
            &text,
            "PGS1041",
            "unique",
            "",
        ),
        case("a contract that is no JSON", "SELECT id, name FROM shop.item", "{", "PGS2001", "", ""),
    ];
    let mut wrong = Vec::new();
    for c in cases {
        bench.item(c.select, &c.avsc);
        let (code, found) = findings(&bench.project, &["check"]);
        let Some(finding) = found.iter().find(|f| f["code"] == c.code) else {
            wrong.push(format!("{}: no {} in {found:#?}", c.name, c.code));
            continue;
        };
        let says = |key: &str, part: &str| part.is_empty() || finding[key].as_str().is_some_and(|t| t.contains(part));
        let placed = finding["line"].is_u64() && finding["file"].is_string();
        if code != 1 || !placed || !says("message", c.says) || !says("help", c.help) {
            wrong.push(format!("{}: exit {code}: {finding:#}", c.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A table whose rows nothing identifies would refuse the application's own UPDATEs.
    bench.project.transform("shop/item", &bench.header("[\"u\"]", "SELECT u, v FROM shop.bare"), &text);
    let avsc = r#"{"type": "record", "name": "R", "fields": [{"name": "u", "type": "int"}, {"name": "v", "type": ["null", "string"]}]}"#;
    bench.project.transform("shop/item", &bench.header("[\"u\"]", "SELECT u, v FROM shop.bare"), avsc);
    bench.project.transform("shop/pulled", &bench.header("[\"id\"]", ITEM_SQL), ITEM_AVSC);
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!(code, 1);
    let codes = errors(&found);
    // And two transforms may not write one topic.
    assert!(codes.contains(&"PGS4059") && codes.contains(&"PGS1004"), "{found:#?}");
    let identity = found.iter().find(|f| f["code"] == "PGS4059").unwrap();
    assert!(identity["help"].as_str().is_some_and(|h| h.contains("REPLICA IDENTITY FULL")), "{identity}");

    std::fs::remove_dir_all(bench.project.dir().join("transforms/shop")).unwrap();
    for command in [&["check"][..], &["run"]] {
        let (code, text) = said(&bench.project.output(command));
        assert!(text.contains("PGS1005"), "{text}");
        assert_eq!(code, if command == ["run"] { 2 } else { 1 }, "{text}");
    }
}

#[test]
fn header_and_configuration() {
    let bench = Bench::new("bad_toml", "");
    bench.project.transform("shop/item", &bench.header("[\"id\"]\non_eror = \"halt\"", ITEM_SQL), ITEM_AVSC);
    let (code, text) = said(&bench.project.output(&["check"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("item.sql:4:1: error[PGS1002]") && text.contains("on_error"), "{text}");
    bench.edit("[kafka]\nbootstrap_servers", "[kafka]\nbootstrap_server = \"x\"\nbootstrap_servers");
    for command in [&["check"][..], &["run"], &["status"], &["preview", "x"]] {
        let (code, text) = said(&bench.project.output(command));
        assert_eq!(code, 2, "{text}");
        assert!(
            text.contains("pgspine.toml:") && text.contains("PGS3003") && text.contains("bootstrap_servers"),
            "{text}"
        );
    }
}

/// `run` ends by itself with this code and says all of these.
fn refused(bench: &Bench, arguments: &[&str], code: i32, says: &[&str]) -> String {
    let arguments: Vec<&str> = ["run"].iter().chain(arguments).copied().collect();
    let mut process = bench.project.spawn(&arguments, &[]);
    let ended = process.code(LIMIT);
    let log = process.log();
    assert_eq!(ended, code, "{log}");
    for part in says {
        assert!(log.contains(part), "{part}: {log}");
    }
    log
}

#[test]
fn slots_of_somebody_else() {
    let bench = Bench::new("bad_slot", "");
    let slot = format!("pgspine_{}", bench.project.name);
    bench.sql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')"));
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS4009"]), "{found:#?}");
    refused(&bench, &[], 2, &["PGS4009", "test_decoding", "[postgres] slot"]);
    bench.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));

    let other = fresh_database("bad_slot_other");
    other.client().batch_execute(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")).unwrap();
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS4010"]), "{found:#?}");
    refused(&bench, &[], 2, &["PGS4010", &other.name]);
}

#[test]
fn rights_that_are_missing() {
    let bench = Bench::new("bad_rights", "");
    let role = Role(unique("rightless"));
    bench.sql(&format!(
        "CREATE ROLE {0} LOGIN; GRANT USAGE ON SCHEMA shop TO {0}; GRANT SELECT ON shop.item TO {0}",
        role.0
    ));
    bench.edit("user=postgres", &format!("user={}", role.0));
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert!(code == 1 && errors(&found).contains(&"PGS4006"), "{found:#?}");
    let fix = found.iter().find(|f| f["code"] == "PGS4006").unwrap();
    assert!(fix["help"].as_str().is_some_and(|h| h.contains("REPLICATION")), "{fix}");
    refused(&bench, &[], 2, &["REPLICATION"]);

    // Row-level security: the stream has all rows, the role would read some of them.
    bench.sql("ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY");
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    let finding = found.iter().find(|f| f["code"] == "PGS1022").unwrap_or_else(|| panic!("{found:#?}"));
    assert!(code == 1 && finding["help"].as_str().is_some_and(|h| h.contains("BYPASSRLS")), "{finding}");
    bench.sql(&format!("ALTER ROLE {} REPLICATION", role.0));
    refused(&bench, &[], 2, &["PGS1022", "BYPASSRLS"]);
    bench.sql(&format!("DROP OWNED BY {}", role.0));
}

#[test]
fn a_server_that_cannot_stream() {
    let server = Server::new("wal_level=replica\nmax_replication_slots=1\nmax_wal_senders=1", "");
    let bench = Bench::new("bad_server", "");
    let own = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port);
    let mut client = postgres::Client::connect(&own, postgres::NoTls).unwrap();
    client.batch_execute(crate::cli::TABLES).unwrap();
    client.batch_execute("SELECT pg_create_physical_replication_slot('taken')").unwrap();
    bench.edit(&bench.database.conninfo(), &own);
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    let codes = errors(&found);
    assert_eq!(code, 1, "{found:#?}");
    assert!(codes.contains(&"PGS4005") && codes.contains(&"PGS4007"), "{found:#?}");
    for (code, part) in [("PGS4005", "wal_level = 'logical'"), ("PGS4007", "max_replication_slots")] {
        let help = found.iter().filter(|f| f["code"] == code).find_map(|f| f["help"].as_str()).unwrap_or_default();
        assert!(help.contains(part), "{code}: {help}");
    }
    refused(&bench, &[], 2, &["PGS4005", "logical"]);
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", kafka()).create().expect("an admin client")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

#[test]
fn topics_that_do_not_fit() {
    let bench = Bench::new("bad_topic", "");
    let made = NewTopic::new(&bench.topic, 2, TopicReplication::Fixed(1)).set("cleanup.policy", "delete");
    wait(admin().create_topics([&made], &AdminOptions::new())).unwrap();
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS5012"]), "{found:#?}");
    assert!(
        found[0]["help"].as_str().is_some_and(|h| h.contains("--add-config cleanup.policy=compact")),
        "{}",
        found[0]
    );
    refused(&bench, &[], 2, &["PGS5012", "cleanup.policy=delete"]);
    remove(&[&bench.topic]);

    // In "verify" mode nothing is made; the progress topic is there since the refused start.
    bench.edit("[topics]", "[topics]\nmode = \"verify\"");
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS5010"]), "{found:#?}");
    bench.edit("[topics]\nmode = \"verify\"", "[topics]");

    // Once keys lie in their partitions, another count would put them elsewhere.
    let mut process = bench.project.spawn(&["run", "--until", "caught-up"], &[]);
    assert_eq!(process.code(LIMIT), 0, "{}", process.log());
    wait(admin().create_partitions([&NewPartitions::new(&bench.topic, 5)], &AdminOptions::new())).unwrap();
    wait_for("five partitions", LIMIT, || (partitions(&bench.topic) == 5).then_some(()));
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS5011"]), "{found:#?}");
    refused(&bench, &[], 2, &["PGS5011", "5 partitions where 3 are expected"]);
}

#[test]
fn what_the_registry_refuses() {
    let bench = Bench::new("bad_schema", "");
    let client = pgspine::registry::Client::new(&registry_options()).unwrap();
    let subject = format!("{}-value", bench.topic);
    let before =
        r#"{"type": "record", "name": "Item", "namespace": "test", "fields": [{"name": "id", "type": "long"}]}"#;
    client.set_level(&subject, "FULL_TRANSITIVE").unwrap();
    client.register(&subject, before).unwrap();
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS6003"]), "{found:#?}");
    let log = refused(&bench, &[], 2, &["PGS6003", &subject]);
    assert!(log.contains("incompatible"), "{log}");
    // The level is looked at before anything is registered under the subject.
    client.set_level(&subject, "NONE").unwrap();
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS6006"]), "{found:#?}");
    bench.edit("[topics]", "mode = \"verify\"\n[topics]");
    let (code, found) = findings(&bench.project, &["check", "--live"]);
    assert_eq!((code, errors(&found)), (1, vec!["PGS6005"]), "{found:#?}");
    refused(&bench, &[], 2, &["PGS6005", "[registry] mode"]);
}

#[test]
fn a_state_directory_that_is_not_ours() {
    let bench = Bench::new("bad_state", "");
    let mut process = bench.project.spawn(&["run"], &[]);
    process.until("the lock", LIMIT, || process_log_has(&bench, "starting"));
    // Locked.
    refused(&bench, &[], 2, &["PGS7001", "state"]);
    assert_eq!(process.stop(), 0);
    // Another bridge's.
    let other = Bench::new("bad_state_other", "");
    let dir = bench.project.dir().join("state");
    other.edit("[postgres]", &format!("state_dir = {:?}\n[postgres]", dir.display().to_string()));
    refused(&other, &[], 2, &["PGS7001", &format!("belongs to bridge \"{}\"", bench.project.name)]);
}

fn process_log_has(bench: &Bench, part: &str) -> Option<()> {
    std::fs::read_to_string(bench.project.dir().join("log.0")).ok().filter(|l| l.contains(part)).map(drop)
}

/// 8 MiB that end: needs the right to mount, which `make test` has as root.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(path: std::path::PathBuf, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir_all(&path).expect("a folder");
        let size = format!("size={size}");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        mount.status().is_ok_and(|s| s.success()).then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_waited_for() {
    let bench = Bench::new("bad_disk", "");
    let Some(_disk) = SmallDisk::new(bench.project.dir().join("state"), "96m") else {
        return eprintln!("not shown: no right to mount a small disk");
    };
    // The store needs some room for itself; a file takes the rest before the rows come.
    let mut process = bench.project.spawn(&["run"], &[]);
    process.until("streaming", LIMIT, || process_log_has(&bench, "reconcile done"));
    let ballast = bench.project.dir().join("state/ballast");
    let _ = std::fs::write(&ballast, vec![7; 200 << 20]);
    bench.sql("INSERT INTO shop.item (id, name, note, price) SELECT i, 'x', repeat(md5(i::text), 30), i FROM generate_series(1, 2000) i");
    process.until("the finding", LIMIT, || process_log_has(&bench, "PGS7002"));
    assert!(process.log().contains("[bridge] state_dir"), "{}", process.log());
    // Room is made while it runs; nothing is lost.
    std::fs::remove_file(&ballast).unwrap();
    process.until("the rows", LIMIT, || (fold(&read_topic(&bench.topic)).len() == 2000).then_some(()));
    assert_eq!(process.stop(), 0);
}

#[test]
fn a_record_over_max_record_halts_or_goes_to_the_dead_letters() {
    let bench = Bench::new("bad_large", "");
    let header = |more: &str| bench.header(&format!("[\"id\"]\nmax_record = \"1KB\"{more}"), ITEM_SQL);
    bench.project.transform("shop/item", &header(""), ITEM_AVSC);
    bench.sql("INSERT INTO shop.item (id, name, note, price) VALUES (1, 'a', repeat('secret-row-value', 100), 1), (2, 'b', NULL, 2)");
    let log = refused(&bench, &["--until", "caught-up"], 6, &["PGS8007", "max_record", "dead_letter"]);
    assert!(!log.contains("secret-row-value"), "{log}");
    assert!(read_topic(&bench.topic).is_empty());
    bench.project.transform("shop/item", &header("\non_error = \"dead_letter\""), ITEM_AVSC);
    let mut process = bench.project.spawn(&["run", "--until", "caught-up"], &[]);
    assert_eq!(process.code(LIMIT), 0, "{}", process.log());
    assert_eq!(fold(&read_topic(&bench.topic)).len(), 1);
    let letters = read_topic(&format!("{}.dead-letter", bench.topic));
    let letter: Value = serde_json::from_slice(letters[0].value.as_ref().unwrap()).unwrap();
    assert_eq!((letters.len(), &letter["code"], &letter["transform"]), (1, &"PGS2106".into(), &"shop/item".into()));
    assert!(!letter.to_string().contains("secret"), "{letter}");
}

#[test]
fn an_approval_of_another_revision_approves_nothing() {
    let bench = Bench::new("bad_word", "");
    bench.sql("INSERT INTO shop.item (id, name, price) SELECT i, 'a', i FROM generate_series(1, 200) i");
    let mut process = bench.project.spawn(&["run", "--until", "caught-up"], &[]);
    assert_eq!(process.code(LIMIT), 0, "{}", process.log());
    let revision = |log: &str| -> String {
        let at = log.find(&format!("tombstones:{}@", bench.topic)).unwrap_or_else(|| panic!("no word: {log}"));
        log[at..].split(['`', ' ', '"', '\\']).next().unwrap_or_default().to_owned()
    };
    bench.item("SELECT id, upper(name) AS name, note, price, at FROM shop.item WHERE id > 100", ITEM_AVSC);
    let old = revision(&refused(&bench, &[], 2, &["PGS8004"]));
    bench.item("SELECT id, upper(name) AS name, note, price, at FROM shop.item WHERE id > 150", ITEM_AVSC);
    let new = revision(&refused(&bench, &["--approve", &old], 2, &["PGS8004"]));
    assert_ne!(old, new);
    assert_eq!(fold(&read_topic(&bench.topic)).len(), 200, "nothing was deleted");
    let mut process = bench.project.spawn(&["run", "--until", "caught-up", "--approve", &new], &[]);
    assert_eq!(process.code(LIMIT), 0, "{}", process.log());
    assert_eq!(fold(&read_topic(&bench.topic)).len(), 50);
}
