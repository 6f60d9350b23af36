//! The configuration as data: what is read, and what is refused where.

use super::*;

const LEAST: &str = r#"[bridge]
name = "shop-eu"
[postgres]
url = "postgres://pgspine:hunter2@db/shop"
[kafka]
bootstrap_servers = "kafka:9092"
[registry]
url = "http://a:8081, http://b:8081/"
"#;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Diagnostic>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pgspine.toml");
    std::fs::write(&path, text).unwrap();
    Config::load_with(&path, variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

/// One finding: its code, its line (0: none), and a part of its text.
fn check_refused(text: &str, variables: &[(&str, &str)], expected: &[(u16, u32, &str)]) {
    let findings = load(text, variables).expect_err(text);
    let found: Vec<(u16, u32)> = findings.iter().map(|d| (d.code.0, d.place.as_ref().map_or(0, |p| p.line))).collect();
    let printed: Vec<String> = findings.iter().map(Diagnostic::to_string).collect();
    assert_eq!(found, expected.iter().map(|e| (e.0, e.1)).collect::<Vec<_>>(), "{printed:#?}");
    for (shown, (_, _, part)) in printed.iter().zip(expected) {
        assert!(shown.contains(part), "{shown:?} does not say {part:?}");
        assert!(!shown.contains("hunter2"), "{shown:?} shows a secret");
    }
}

#[test]
fn the_defaults_and_the_derived_names() {
    let c = load(LEAST, &[]).unwrap();
    assert_eq!((c.postgres.slot.as_str(), c.postgres.publication.as_str()), ("pgspine_shop_eu", "pgspine_shop_eu"));
    assert_eq!(c.kafka.transactional_id, "pgspine.shop-eu");
    assert_eq!(c.kafka.progress_topic, "pgspine.shop-eu.progress");
    assert!(c.bridge.transforms.ends_with("transforms") && c.bridge.transforms.is_absolute());
    assert_eq!(c.registry.urls, ["http://a:8081", "http://b:8081"]);
    assert_eq!((c.registry.mode, c.registry.compatibility.as_str()), (Mode::Manage, "FULL_TRANSITIVE"));
    assert_eq!((c.topics.partitions, c.topics.replication_factor), (6, -1));
    assert_eq!(c.topics.entity["cleanup.policy"], "compact");
    assert_eq!(c.commit.interval, Duration::from_millis(50));
    assert_eq!((c.commit.max_bytes, c.commit.split_bytes), (16 << 20, 512 << 20));
    assert_eq!((c.commit.max_records, c.commit.split_records), (20_000, 1_000_000));
    assert_eq!((c.reconcile.max_tombstones, c.reconcile.gap), (Percent::whole(5), Gap::Stop));
    assert_eq!(c.limits.memory, 256 << 20);
    assert_eq!(c.http.listen.as_deref(), Some("127.0.0.1:8080"));
    assert_eq!((c.bridge.on_halt, c.kafka.headers), (OnHalt::Exit, Headers::Standard));
    assert_eq!(c.postgres.password, PasswordSource::Absent);
    assert!(c.postgres.failover_slot && !c.postgres.temporary_slot);
    assert!(!format!("{c:?}").contains("hunter2"), "Debug shows a secret");
}

#[test]
fn every_key_can_be_written() {
    let text = r#"
[bridge]
name = "shop"
transforms = "/etc/pgspine/transforms"
state_dir = "s"
on_halt = "stay"
[postgres]
url = "host=${HOST} dbname=shop"
password = "${PASSWORD}"
slot = "a_slot"
temporary_slot = true
failover_slot = false
publication = "A publication"
publication_mode = "verify"
publication_columns = "used"
search_path = "shop, public"
[kafka]
bootstrap_servers = "a:1,b:2"
transactional_id = "t"
progress_topic = "p"
headers = "full"
[kafka.properties]
"compression.type" = "zstd"
"sasl.password" = "${PASSWORD}"
"linger.ms" = 5
[registry]
url = "https://r"
mode = "verify"
compatibility = "BACKWARD_TRANSITIVE"
username = "u"
password = "p"
ca = "ca.pem"
cert = "cert.pem"
key = "key.pem"
[topics]
mode = "verify"
prefix = "pr42."
partitions = 12
replication_factor = 3
[topics.entity]
"segment.ms" = "1"
[topics.event]
"retention.ms" = 2
[topic."shop.order.v1"]
partitions = 1
replication_factor = 1
config = { "segment.ms" = "3" }
on_error = "dead_letter"
dead_letter_rows = true
[commit]
interval = "20ms"
max_records = 1
max_bytes = "1MB"
split_records = 2
split_bytes = "2MiB"
[reconcile]
max_tombstones = "0.5%"
approve = ["adopt:t", "gap:0/10"]
gap = "heal"
[limits]
memory = "1GiB"
[http]
listen = ""
"#;
    let c = load(text, &[("HOST", "h"), ("PASSWORD", "pw")]).unwrap();
    assert_eq!(c.postgres.url.resolve().unwrap().expose(), "host=h dbname=shop");
    assert_eq!(c.postgres.password.resolve().unwrap().unwrap().expose(), "pw");
    assert_eq!(c.postgres.publication, "A publication");
    assert_eq!(c.kafka.properties["sasl.password"].resolve().unwrap().expose(), "pw");
    assert_eq!(c.kafka.properties["linger.ms"].resolve().unwrap().expose(), "5");
    assert_eq!((c.topics.entity["segment.ms"].as_str(), c.topics.entity["cleanup.policy"].as_str()), ("1", "compact"));
    let one = c.topic_override("shop.order.v1").unwrap();
    assert_eq!((one.partitions, one.on_error, one.dead_letter_rows), (Some(1), Some(OnError::DeadLetter), true));
    assert_eq!(one.config["segment.ms"], "3");
    assert_eq!(c.reconcile.approve.len(), 2);
    assert_eq!(c.http.listen, None);
    assert!(c.registry.ca.unwrap().is_absolute(), "relative to the file");
}

#[test]
fn variables_override_every_kind_of_key() {
    let text = format!("{LEAST}[topic.\"shop.order.v1\"]\npartitions = 2\n");
    let c = load(
        &text,
        &[
            ("PGSPINE_POSTGRES__URL", "postgres://other/db"),
            ("PGSPINE_POSTGRES__TEMPORARY_SLOT", "true"),
            ("PGSPINE_TOPICS__PARTITIONS", "3"),
            ("PGSPINE_TOPIC__SHOP_ORDER_V1__PARTITIONS", "9"),
            ("PGSPINE_KAFKA__PROPERTIES__SASL_MECHANISM", "PLAIN"),
            ("PGSPINE_RECONCILE__APPROVE", "adopt:a, adopt:b"),
            ("PGSPINE_TEST_POSTGRES", "no double underscore: not looked at"),
            ("PGPASSWORD", "pw"),
        ],
    )
    .unwrap();
    assert_eq!(c.postgres.url.resolve().unwrap().expose(), "postgres://other/db");
    assert!(c.postgres.temporary_slot);
    assert_eq!((c.topics.partitions, c.topic["shop.order.v1"].partitions), (3, Some(9)));
    assert_eq!(c.kafka.properties["sasl.mechanism"].resolve().unwrap().expose(), "PLAIN");
    assert_eq!(c.reconcile.approve.len(), 2);
    assert_eq!(c.postgres.password.resolve().unwrap().unwrap().expose(), "pw");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    check_refused(&format!("{LEAST}mod = \"verify\"\n"), &[], &[(3003, 9, "the nearest known key is `mode`")]);
    check_refused(&format!("{LEAST}pasword = \"hunter2\"\n"), &[], &[(3003, 9, "`password`")]);
    check_refused(&format!("{LEAST}[comit]\ninterval = \"1s\"\n"), &[], &[(3003, 9, "section is `commit`")]);
    check_refused(&format!("{LEAST}[topic.\"t\"]\nonerror = \"halt\"\n"), &[], &[(3003, 10, "`on_error`")]);
    check_refused(LEAST, &[("PGSPINE_POSTGRES__URI", "x")], &[(3008, 0, "PGSPINE_POSTGRES__URI: unknown key")]);
    check_refused(LEAST, &[("PGSPINE_KAFKA__", "x")], &[(3008, 0, "PGSPINE_KAFKA__ names no key")]);
    check_refused(LEAST, &[("PGSPINE_BRIDGE__NAME__X", "x")], &[(3008, 0, "name is no section")]);
}

#[test]
fn bad_values_are_refused_where_they_stand() {
    for (line, code, part) in [
        ("[commit]\ninterval = \"50\"", 3005, "commit.interval: \"50\" is not a duration"),
        ("[commit]\ninterval = \"1h\"", 3005, "more than 30s"),
        ("[commit]\nmax_bytes = \"0B\"", 3005, "leaves no room"),
        ("[commit]\nmax_records = 0", 3005, "commit.max_records: 0 is not at least 1"),
        ("[commit]\nmax_records = \"1\"", 3004, "commit.max_records is an integer, not a string"),
        ("[commit]\nmax_records = 1.5", 3004, "not a float"),
        ("[topics]\npartitions = 3000000000", 3005, "3000000000 is not"),
        ("[topics]\nreplication_factor = 0", 3005, "-1 (the broker's default)"),
        ("[topics]\nprefix = \"a b\"", 3005, "is not a topic name"),
        ("[reconcile]\nmax_tombstones = \"5\"", 3005, "is not a percentage"),
        ("[reconcile]\ngap = \"hope\"", 3005, "\"hope\" is not one of \"stop\", \"heal\""),
        ("[reconcile]\napprove = [\"yes\"]", 3005, "is not an approval word"),
        ("[reconcile]\napprove = \"adopt:t\"", 3004, "is an array of strings"),
        ("[limits]\nmemory = \"1KB\"", 3005, "less than 16MiB"),
        ("[http]\nlisten = \":8080\"", 3005, "is not HOST:PORT"),
        ("[http]\nlisten = \"${NOWHERE}\"", 3007, "http.listen: the environment variable NOWHERE is not set"),
        ("[http]\nlisten = \"${\"", 3005, "no closing"),
    ] {
        check_refused(&format!("{LEAST}{line}\n"), &[], &[(code, 10, part)]);
    }
}

#[test]
fn everything_wrong_is_found_at_once() {
    check_refused(
        "[bridge]\nname = \"Shop\"\n[postgres]\npassword = \"hunter2\"\npassword_file = \"f\"\nslot = \"A\"\n[kafka]\n",
        &[],
        &[
            (3006, 0, "registry.url is required"),
            (3005, 2, "\"Shop\" is not a name"),
            (3009, 3, "exclude each other"),
            (3006, 3, "postgres.url is required"),
            (3005, 6, "is not a slot name"),
            (3006, 7, "kafka.bootstrap_servers is required"),
        ],
    );
    check_refused("[postgres]\npassword = \"hunter2\n", &[], &[(3002, 2, "not TOML")]);
    check_refused("[postgres]\npassword = hunter2\n", &[], &[(3002, 2, "not TOML")]);
    check_refused("[postgres]\npassword = \"\"\"\nhunter2\n", &[], &[(3002, 4, "not TOML")]);
    check_refused(&format!("{LEAST}password = [\"hunter2\"]\n"), &[], &[(3004, 9, "is a string, not an array")]);
    check_refused("[kafka]\na = 1\na = 2\n", &[], &[(3002, 3, "duplicate key")]);
    check_refused(
        &format!("registry = 1\n{}", LEAST.split("[registry]").next().unwrap()),
        &[],
        &[(3006, 1, "registry.url is required"), (3004, 1, "registry is a table, not an integer")],
    );
}

#[test]
fn a_missing_file_is_a_finding() {
    let findings = Config::load(Path::new("/nowhere/pgspine.toml")).unwrap_err();
    assert_eq!(findings[0].code.0, 3001);
}

/// Random edits of a good file: findings or a configuration, never a panic.
#[test]
fn damaged_files_are_findings() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..2_000 {
        let mut text: Vec<char> = LEAST.chars().collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..text.len().max(1));
            match random.u8(..3) {
                0 if at < text.len() => drop(text.remove(at)),
                1 => text
                    .insert(at, *random.choice(&['"', '[', ']', '=', '\n', '{', '$', 'é', '\t', '1', '\\']).unwrap()),
                _ => text.truncate(at),
            }
        }
        let text: String = text.into_iter().collect();
        let _ = read::read(Path::new("pgspine.toml"), text, BTreeMap::new());
    }
}
