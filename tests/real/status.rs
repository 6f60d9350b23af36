//! The running bridge as others see it: probes, metrics, status, pause; and what must not be seen.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Bench, said, stdout};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "hunter2-planted-password";

/// A bridge with HTTP on a port of its own.
pub struct Running {
    pub process: Process,
    address: String,
}

impl Running {
    pub fn start(bench: &Bench, environment: &[(&str, &str)]) -> Running {
        let environment: Vec<_> =
            [("PGSPINE_HTTP__LISTEN", "127.0.0.1:0")].iter().chain(environment).copied().collect();
        let process = bench.project.spawn(&["run"], &environment);
        let log = |p: &str| {
            let line = p.lines().find(|l| l.contains("\"message\":\"http\""))?;
            let line: Value = serde_json::from_str(line).ok()?;
            line["address"].as_str().map(str::to_owned)
        };
        let address = wait_for("the address", LIMIT, || log(&process.log()));
        Running { process, address }
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(&self.address).expect("HTTP is served");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let code = answer.split(' ').nth(1).and_then(|c| c.parse().ok()).expect("a code");
        (code, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").1).expect("JSON")
    }

    /// A sample by its name and the labels that it must have.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = self.get("/metrics").1;
        let line = text.lines().find(|l| {
            l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|(k, v)| l.contains(&format!("{k}=\"{v}\"")))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub fn wait_metric(&self, name: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) -> f64 {
        wait_for(&format!("{name} {labels:?}"), LIMIT, || self.metric(name, labels).filter(|v| wanted(*v)))
    }

    pub fn ready(&self) {
        wait_for("readiness", LIMIT, || (self.get("/readyz").0 == 200).then_some(()));
    }
}

#[test]
fn what_happens_is_counted_and_shown() {
    let bench = Bench::new("status", "[topic.TOPIC]\non_error = \"dead_letter\"\n");
    bench.edit("TOPIC", &format!("{:?}", bench.topic));
    bench.edit("user=postgres", &format!("user=postgres password={PASSWORD}"));
    bench.sql(
        "INSERT INTO shop.item (id, name, price) SELECT i, 'secret-row-value-' || i, i FROM generate_series(1, 5) i",
    );
    let bridge = Running::start(&bench, &[("PGSPINE_LOG", "trace")]);
    assert_eq!(bridge.get("/livez").0, 200);
    bridge.ready();
    let table = [("table", "shop.item")];
    let transform = [("transform", "shop/item")];
    let kind = |kind: &'static str| [("transform", "shop/item"), ("kind", kind)];
    bridge.wait_metric("pgspine_records_total", &kind("upsert"), |v| v == 5.0);
    assert_eq!(bridge.metric("pgspine_snapshot_rows_total", &table), Some(5.0));

    // One transaction each, so that nothing cancels out.
    bench.sql("INSERT INTO shop.item (id, name, price) VALUES (6, 'secret-row-value-6', 6)");
    bench.sql("UPDATE shop.item SET price = 7 WHERE id = 6");
    bench.sql("UPDATE shop.item SET name = upper(name) WHERE id = 6");
    bench.sql("DELETE FROM shop.item WHERE id = 6");
    bench.sql("INSERT INTO shop.item (id, name, price) VALUES (7, 'secret-row-value-7', 'NaN')");
    let op = |op: &'static str| [("table", "shop.item"), ("op", op)];
    for (name, labels, value) in [
        ("pgspine_source_changes_total", &op("insert")[..], 2.0),
        ("pgspine_source_changes_total", &op("update"), 2.0),
        ("pgspine_source_changes_total", &op("delete"), 1.0),
        ("pgspine_source_changes_total", &op("truncate"), 0.0),
        ("pgspine_records_total", &kind("upsert"), 7.0),
        ("pgspine_records_total", &kind("tombstone"), 1.0),
        ("pgspine_records_suppressed_total", &transform, 1.0),
        ("pgspine_dead_letter_records_total", &transform, 1.0),
        ("pgspine_transform_errors_total", &[("transform", "shop/item"), ("reason", "encode")], 1.0),
        ("pgspine_quarantined_keys", &transform, 1.0),
        ("pgspine_transform_state", &[("transform", "shop/item"), ("state", "live")], 1.0),
        ("pgspine_state", &[("state", "streaming")], 1.0),
        ("pgspine_source_up", &[], 1.0),
        ("pgspine_slot_active", &[], 1.0),
        ("pgspine_slot_wal_status", &[("status", "reserved")], 1.0),
        ("pgspine_snapshot_tables_remaining", &[], 0.0),
        ("pgspine_reconcile_keys_remaining", &transform, 0.0),
        ("pgspine_schema_drift", &[("transform", "shop/item"), ("kind", "column")], 0.0),
        ("pgspine_fenced_total", &[], 0.0),
        // Of the stream alone: the first load has no commit to be late after.
        ("pgspine_commit_to_kafka_seconds_count", &[], 4.0),
    ] {
        bridge.wait_metric(name, labels, |v| v == value);
    }
    for (name, labels) in [
        ("pgspine_source_transactions_total", &[][..]),
        ("pgspine_source_wal_bytes_total", &[]),
        ("pgspine_source_last_message_timestamp_seconds", &[]),
        ("pgspine_received_lsn", &[]),
        ("pgspine_emitted_lsn", &[]),
        ("pgspine_confirmed_lsn", &[]),
        ("pgspine_last_commit_timestamp_seconds", &[]),
        ("pgspine_transform_evaluations_total", &transform),
        ("pgspine_kafka_transactions_total", &[("outcome", "committed")]),
        ("pgspine_kafka_transaction_seconds_count", &[]),
        ("pgspine_state_disk_free_bytes", &[]),
        ("pgspine_slot_retained_wal_bytes", &[]),
        ("pgspine_process_resident_memory_bytes", &[]),
    ] {
        let name = if name.contains("process_") { "process_resident_memory_bytes" } else { name };
        bridge.wait_metric(name, labels, |v| v > 0.0);
    }
    let latency = bridge.metric("pgspine_commit_to_kafka_seconds_sum", &[]).unwrap();
    assert!((0.0..20.0).contains(&latency), "{latency} s for four transactions");

    let status = bridge.status();
    let t = &status["transforms"]["shop/item"];
    assert_eq!(
        (&status["state"], &status["problem"], &status["version"]),
        (&json!("streaming"), &Value::Null, &json!(1))
    );
    assert_eq!(
        (
            &t["state"],
            &t["upserts"],
            &t["tombstones"],
            &t["suppressed"],
            &t["errors"],
            &t["quarantined_keys"],
            &t["dead_letters"]
        ),
        (&json!("live"), &json!(7), &json!(1), &json!(1), &json!(1), &json!(1), &json!(1)),
        "{status:#}"
    );
    assert!(status["slot"]["retained_wal_bytes"].is_u64() && status["lag_seconds"].is_f64(), "{status:#}");

    says_what_it_is(&bench, &bridge, &status);
    every_metric_of_the_reference_is_there(&bridge);

    // The same over the control socket, in words too.
    let (code, text) = said(&bench.project.output(&["status"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("7 upserts") && text.contains("1 tombstones") && text.contains("problem     none"), "{text}");
    let again: Value = serde_json::from_str(&stdout(&bench.project.output(&["status", "--json"]))).unwrap();
    assert_eq!(again["transforms"], status["transforms"]);
    assert_eq!(said(&bench.project.output(&["log-level", "warn"])).0, 0);
    assert_eq!(said(&bench.project.output(&["log-level", "a=b=c"])).0, 2);

    // Neither rows nor secrets are seen anywhere.
    let Running { mut process, .. } = bridge_seen(bridge);
    assert_eq!(process.stop(), 0);
    not_seen(&process.log());
}

fn says_what_it_is(bench: &Bench, bridge: &Running, status: &Value) {
    fits_the_schema(status);
    let t = &status["transforms"]["shop/item"];
    assert_eq!(
        t["sources"],
        json!([{ "table": "shop.item", "columns": ["id", "name", "note", "price", "at"] }]),
        "{status:#}"
    );
    let contract = &t["contract"];
    assert_eq!(
        (&contract["subject"], &contract["version"]),
        (&json!(format!("{}-value", bench.topic)), &json!(1)),
        "{status:#}"
    );
    assert!(contract["schema_id"].as_u64() > Some(0) && t["last_record"].is_string(), "{status:#}");
    assert_eq!((&status["verdict"]["level"], &status["build"]["version"]), (&json!("warning"), &json!("0.1.0")));
    let said = status["verdict"]["text"].as_str().unwrap();
    assert!(said.starts_with("Streaming, but 1 key of shop/item has kept its last good value for "), "{said}");
    // The slot and the server's WAL are looked at beside the stream; records of the last minute are counted.
    let looked = wait_for("a rate", LIMIT, || {
        let s = bridge.status();
        (s["slot"]["wal_bytes_per_second"].is_number()
            && s["transforms"]["shop/item"]["upserts_per_minute"] != json!(0))
        .then_some(s)
    });
    for check in ["source", "kafka", "slot", "wal_budget", "progress", "schema"] {
        let found = looked["checks"].as_array().unwrap().iter().find(|c| c["name"] == check).unwrap();
        assert_eq!(found["state"], "ok", "{found:#}");
    }
    let position = |p: &str| looked["positions"][p].as_str().unwrap().parse::<pgspine::lsn::Lsn>().unwrap();
    assert!(position("wal") >= position("received") && position("received") >= position("emitted"));
    fits_the_schema(&looked);
}

/// The keys of every object: types are held beside the code.
fn fits_the_schema(status: &Value) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/status.schema.json")).unwrap();
    fn keys(schema: &Value, value: &Value, path: &str) {
        for item in value.as_array().into_iter().flatten() {
            keys(&schema["items"], item, path);
        }
        let Some(object) = value.as_object() else { return };
        for (key, inner) in object {
            let known =
                schema["properties"].get(key).or(Some(&schema["additionalProperties"]).filter(|s| s.is_object()));
            keys(known.unwrap_or_else(|| panic!("{path}.{key} is not in the schema")), inner, &format!("{path}.{key}"));
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(object.contains_key(key), "{path}.{key} is missing");
        }
    }
    keys(&serde_json::from_str(&text).unwrap(), status, "status");
}

fn every_metric_of_the_reference_is_there(bridge: &Running) {
    let scraped = bridge.get("/metrics").1;
    let reference = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let mut listed = 0;
    for line in reference.lines().filter_map(|l| l.strip_prefix("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (name, kind) = (cells[0].trim_end_matches('`'), cells[1]);
        listed += 1;
        // The server of this test sets no limit.
        if name == "pgspine_slot_safe_wal_bytes" {
            continue;
        }
        assert!(scraped.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
        let sample = scraped
            .lines()
            .find(|l| l.starts_with(name) && l[name.len()..].starts_with(['{', '_']))
            .unwrap_or_else(|| panic!("no sample of {name}"));
        for label in cells[2].split(", ").filter(|l| *l != "–").chain(["bridge"]) {
            assert!(sample.contains(&format!("{label}=\"")), "{label} in {sample}");
        }
    }
    assert!(listed > 40, "{listed}");
    for line in
        reference.split("From the operating system").nth(1).unwrap().split('`').filter(|w| w.starts_with("process_"))
    {
        assert!(scraped.contains(&format!("# TYPE {line} ")), "{line}");
    }
}

/// Nothing that HTTP serves has a row's value or a password.
fn bridge_seen(bridge: Running) -> Running {
    for path in ["/metrics", "/status", "/", "/readyz", "/livez"] {
        not_seen(&bridge.get(path).1);
    }
    bridge
}

fn not_seen(text: &str) {
    for planted in [PASSWORD, "secret-row-value"] {
        if let Some(at) = text.to_lowercase().find(planted) {
            panic!("{planted} is seen: {}", &text[at.saturating_sub(300)..(at + 100).min(text.len())]);
        }
    }
}

#[test]
fn a_pause_holds_the_slot_and_goes_on_exactly() {
    let bench = Bench::new("pause", "");
    bench.sql("INSERT INTO shop.item (id, name, price) VALUES (1, 'a', 1)");
    let mut bridge = Running::start(&bench, &[]);
    bridge.ready();
    let upserts = [("transform", "shop/item"), ("kind", "upsert")];
    bridge.wait_metric("pgspine_records_total", &upserts, |v| v == 1.0);
    let (code, text) = said(&bench.project.output(&["pause"]));
    assert_eq!(code, 0, "{text}");
    bridge.wait_metric("pgspine_state", &[("state", "paused")], |v| v == 1.0);
    let before = bridge.status();
    let mut client = bench.database.client();
    let lsn: String = client.query_one("SELECT pg_current_wal_lsn()::text", &[]).unwrap().get(0);
    bench.sql("INSERT INTO shop.item (id, name, price) SELECT i, 'b', i FROM generate_series(2, 100) i");
    bench.sql("UPDATE shop.item SET price = price + 1 WHERE id = 1; DELETE FROM shop.item WHERE id = 50");
    // The server hears from us while nothing is taken: its reply time moves on past the changes.
    let sent =
        "SELECT reply_time > now() - interval '1 second' AND now() > $1::text::timestamptz + interval '3 seconds'
        FROM pg_stat_replication WHERE application_name LIKE '%' || $2::text";
    let since: String = client.query_one("SELECT now()::text", &[]).unwrap().get(0);
    wait_for("keepalives", LIMIT, || {
        let row =
            client.query_opt(sent, &[&since, &bench.project.name]).expect("a query").expect("the walsender lives");
        row.get::<_, Option<bool>>(0).filter(|alive| *alive)
    });
    let during = bridge.status();
    assert_eq!(during["state"], "paused");
    assert_eq!(during["transforms"], before["transforms"]);
    let emitted: pgspine::lsn::Lsn = during["positions"]["emitted"].as_str().unwrap().parse().unwrap();
    assert!(emitted <= lsn.parse().unwrap(), "{emitted} is past {lsn}, where the pause began");
    assert_eq!((bridge.get("/livez").0, bridge.get("/readyz").0), (200, 200));
    assert!(during["verdict"]["text"].as_str().unwrap().starts_with("Paused "), "{during:#}");
    assert_eq!((&during["verdict"]["remedy"], &during["paused"]), (&json!("pgspine resume"), &json!(true)));
    assert_eq!(fold(&read_topic(&bench.topic)).len(), 1);
    // From anywhere on the machine, by the configuration's path.
    let toml = bench.project.dir().join("pgspine.toml");
    let anywhere = |command: &str| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_pgspine"));
        said(&program.arg("-c").arg(&toml).arg(command).current_dir("/").output().expect("the program starts"))
    };
    let (code, text) = anywhere("status");
    assert!(code == 0 && text.contains("  Paused ") && text.contains("remedy      pgspine resume"), "{text}");
    assert_eq!(anywhere("resume").0, 0);
    wait_for("the stream", LIMIT, || (bridge.status()["paused"] == json!(false)).then_some(()));
    bridge.wait_metric("pgspine_records_total", &upserts, |v| v == 101.0);

    assert_eq!(said(&bench.project.output(&["resume"])).0, 0);
    bridge.wait_metric("pgspine_records_total", &upserts, |v| v == 101.0);
    bridge.wait_metric("pgspine_state", &[("state", "streaming")], |v| v == 1.0);
    let records = read_topic(&bench.topic);
    // Each change once: 1 + 99 inserted, one updated, one deleted.
    assert_eq!((records.len(), fold(&records).len()), (102, 99));

    // A reconcile is asked for by name, and finds nothing to do.
    let (code, text) = said(&bench.project.output(&["reconcile", "shop/nope"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("PGS8021"), "{text}");
    assert_eq!(said(&bench.project.output(&["reconcile", "shop/item"])).0, 0);
    wait_for("the reconcile", LIMIT, || bridge.process.log().contains("\"unchanged\":99").then_some(()));
    assert_eq!(read_topic(&bench.topic).len(), 102);

    // SIGTERM while paused ends it within its time.
    bridge.ready();
    assert_eq!(said(&bench.project.output(&["pause"])).0, 0);
    assert_eq!(bridge.process.stop(), 0);
}

#[test]
fn a_pipeline_that_stands_still_is_not_alive() {
    let bench = Bench::new("hang", "");
    let file = bench.project.dir().join("hang");
    let hang = format!("turn:{}", file.display());
    let bridge = Running::start(&bench, &[("PGSPINE_HANG", &hang), ("PGSPINE_PIPELINE_LIMIT", "1")]);
    bridge.ready();
    assert_eq!(bridge.get("/livez").0, 200);
    std::fs::write(&file, "").unwrap();
    let red = wait_for("a red /livez", LIMIT, || Some(bridge.get("/livez")).filter(|(code, _)| *code == 503));
    assert!(red.1.contains("pipeline has not turned"), "{}", red.1);
    std::fs::remove_file(&file).unwrap();
    wait_for("a green /livez", LIMIT, || (bridge.get("/livez").0 == 200).then_some(()));
}

#[test]
fn a_broker_that_is_away_leaves_the_process_alive_and_the_reason_in_the_status() {
    let bench = Bench::new("away", "");
    bench.edit(&kafka(), "127.0.0.1:1");
    bench.edit("user=postgres", &format!("user=postgres password={PASSWORD}"));
    let mut bridge = Running::start(&bench, &[]);
    let status = wait_for("the problem", LIMIT, || Some(bridge.status()).filter(|s| !s["problem"].is_null()));
    assert_eq!(
        (&status["problem"]["code"], &status["problem"]["retrying"]),
        (&json!("PGS5003"), &json!(true)),
        "{status:#}"
    );
    assert_eq!((bridge.get("/livez").0, bridge.get("/readyz").0), (200, 503));
    fits_the_schema(&status);
    assert!(status["verdict"]["text"].as_str().unwrap().starts_with("Kafka has been away for "), "{status:#}");
    let (_, text) = said(&bench.project.output(&["status"]));
    assert!(text.contains("PGS5003") && text.contains("bootstrap_servers"), "{text}");
    assert_eq!(bridge.process.stop(), 0);
    not_seen(&bridge.process.log());
}

#[test]
fn a_halt_that_stays_answers_until_it_is_ended() {
    let bench = Bench::new("stays", "");
    bench.edit("[postgres]", "on_halt = \"stay\"\n[postgres]");
    // A walsender that hears nothing for a second ends.
    bench.sql(&format!("ALTER DATABASE {} SET wal_sender_timeout = '1s'", bench.database.name));
    let mut bridge = Running::start(&bench, &[]);
    wait_for("the stream", LIMIT, || Some(bridge.status()).filter(|s| s["state"] == "streaming"));
    bench.sql("INSERT INTO shop.item (id, name, price) VALUES (1, 'secret-row-value', 'NaN')");
    let status = wait_for("the halt", LIMIT, || Some(bridge.status()).filter(|s| s["state"] == "failed"));
    assert_eq!(
        (&status["problem"]["code"], &status["problem"]["retrying"]),
        (&json!("PGS8007"), &json!(false)),
        "{status:#}"
    );
    assert_eq!((bridge.get("/livez").0, bridge.get("/readyz").0), (200, 503));
    bridge.wait_metric("pgspine_transform_errors_total", &[("transform", "shop/item"), ("reason", "encode")], |v| {
        v == 1.0
    });
    not_seen(&bridge.process.log());
    not_seen(&bridge.get("/status").1);
    // The slot's keepalives go on: the same walsender is alive long after its time.
    let mut sql = bench.database.client();
    let mut replied = |since: &str| {
        let row = sql.query_opt(
            "SELECT r.pid, r.reply_time::text, r.reply_time > $1::text::timestamptz + interval '3 s' \
             FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.database = current_database()",
            &[&since],
        );
        row.expect("the view").map(|r| (r.get::<_, i32>(0), r.get::<_, String>(1), r.get::<_, bool>(2)))
    };
    let (pid, first, _) = replied("2020-01-01").expect("the slot is held");
    let later = wait_for("answers three seconds on", LIMIT, || replied(&first).filter(|(_, _, late)| *late));
    assert_eq!(later.0, pid);
    bridge.process.signal(libc::SIGTERM);
    assert_eq!(bridge.process.code(LIMIT), 6);
}
