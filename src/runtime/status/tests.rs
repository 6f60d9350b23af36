//! Each state as the program tells it: the sentence, the checks, the document beside its schema.
//!
//! The documents under `tests/golden/status/` are what these scenes give, byte for byte; the status page is drawn from the
//! same files in its tests. `PGSPINE_RECORD=1 cargo test --lib status` writes them anew.

use serde_json::{Value, json};

use crate::lsn::{EndLsn, Lsn};
use crate::metrics::{BridgeState, SchemaDriftKind, WalStatus};
use crate::runtime::failure::Exit;

use super::checks::{CHECKS, State};
use super::facts::{Facts, Large, Loading, Problem, Side, SlotLook, TopicStatus};
use super::verdict::{self, Level, RULES};
use super::{Since, document};

/// 2026-03-14 02:40:00 UTC
const NOW: i64 = 1_773_456_000_000;
const MIN: i64 = 60_000;
const END: u64 = 0x5F2_A9F8;

fn topic(transform: &str, topic: &str, sources: &[(&str, &[&str])]) -> TopicStatus {
    let names = |c: &[&str]| c.iter().map(|&c| c.to_owned()).collect();
    let mut t = TopicStatus {
        transform: transform.into(),
        topic: topic.into(),
        state: "live",
        sources: sources.iter().map(|(t, c)| ((*t).to_owned(), names(c))).collect(),
        schema_id: 12,
        schema_version: Some(3),
        last_record: Some(NOW - 1000),
        ..TopicStatus::default()
    };
    t.minute.sample(NOW - MIN, [0, 0]);
    t
}

fn count(t: &mut TopicStatus, total: [u64; 2], in_the_last_minute: [u64; 2]) {
    [t.upserts, t.tombstones] = total;
    t.minute = Default::default();
    t.minute.sample(NOW - MIN, [total[0] - in_the_last_minute[0], total[1] - in_the_last_minute[1]]);
}

/// The shop, as it streams at night.
fn streaming() -> Facts {
    let mut order = topic(
        "shop/order",
        "shop.order.v1",
        &[
            ("shop.orders", &["id", "customer_id", "status", "placed_at"]),
            ("crm.customers", &["id", "full_name"]),
            ("shop.order_lines", &["order_id", "line_no", "product_id", "qty", "unit_price"]),
            ("shop.products", &["id", "sku"]),
        ],
    );
    count(&mut order, [184_022, 1204], [612, 3]);
    (order.evaluations, order.suppressed) = (201_334, 16_108);
    let mut customer =
        topic("crm/customer", "crm.customer.v1", &[("crm.customers", &["id", "full_name", "email", "phone"])]);
    count(&mut customer, [20_114, 31], [4, 0]);
    (customer.evaluations, customer.suppressed) = (21_533, 1388);
    let mut placed = topic("shop/order_placed", "shop.order-placed.v1", &[("shop.orders", &["id", "status"])]);
    count(&mut placed, [48_112, 0], [104, 0]);
    (placed.event, placed.evaluations) = (true, 48_112);
    let dead = TopicStatus {
        transform: "shop/order".into(),
        topic: "shop.order.v1.dead-letter".into(),
        dead_letter: true,
        ..TopicStatus::default()
    };
    let mut f = Facts {
        bridge: "shop".into(),
        version: "0.1.0",
        revision: "3f2a9c1",
        started: NOW - 160 * MIN,
        state: Some(BridgeState::Streaming),
        doing: Some(BridgeState::Streaming),
        since: NOW - 98 * MIN,
        generation: 7,
        received: EndLsn(Lsn(END)),
        emitted: EndLsn(Lsn(END - 2096)),
        confirmed: EndLsn(Lsn(END - 3064)),
        slot: Some(SlotLook {
            at: NOW - 2000,
            name: "pgspine_shop".into(),
            active_pid: Some(4711),
            wal_status: WalStatus::Reserved,
            retained: 38_211_584,
            confirmed_lag: 3064,
            safe: Some(10_212_306_944),
            wal_end: Lsn(END),
            reason: None,
        }),
        heard: Some(NOW - 400),
        visible: Some((NOW - 900, 0.21)),
        last_commit: Some(NOW - 900),
        topics: vec![order, customer, placed, dead],
        disk: Some((41_000_000_000, 50_000_000_000)),
        events: [
            json!({"at": document::time(NOW - 160 * MIN), "event": "starting"}),
            json!({"at": document::time(NOW - 159 * MIN), "event": "snapshot"}),
            json!({"at": document::time(NOW - 98 * MIN), "event": "streaming"}),
        ]
        .into(),
        ..Facts::default()
    };
    for n in 0..=60 {
        f.wal.looked(NOW - 2000 - (60 - n) * 5000, END - (60 - n) as u64 * 191_055);
    }
    f
}

fn is(f: &mut Facts, state: BridgeState, since: i64) {
    (f.state, f.since) = (Some(state), since);
    f.events.push_back(json!({ "at": document::time(since), "event": state.word() }));
}

/// Nothing moves since then; the server goes on writing.
fn still(f: &mut Facts, since: i64) {
    f.last_commit = Some(since);
    f.visible = Some((since, 0.21));
    f.heard = Some(since);
    for t in &mut f.topics {
        t.minute = Default::default();
        t.last_record = t.last_record.map(|_| since);
    }
}

/// As long as the server wrote since then: 825 kB a second, a WAL that lasts for three hours and ten minutes.
fn wal_grows(f: &mut Facts, since: i64) {
    f.wal = Default::default();
    let seconds = (NOW - since) / 1000;
    for n in 0..=seconds / 5 {
        f.wal.looked(since - 2000 + n * 5000, END + (n * 5) as u64 * 824_561);
    }
    let slot = f.slot.as_mut().unwrap();
    let wrote = seconds as u64 * 824_561;
    slot.wal_end = Lsn(END + wrote);
    (slot.retained, slot.confirmed_lag, slot.safe) = (38_211_584 + wrote, 3064 + wrote, Some(9_403_000_000));
}

fn problem(f: &mut Facts, side: Side, code: &str, message: &str, help: &str, since: i64, exit: Option<Exit>) {
    f.events.push_back(json!({ "at": document::time(since), "event": "problem", "code": code, "message": message }));
    let (code, message, help) = (code.into(), message.into(), Some(help.into()));
    f.problem = Some(Problem { side, code, message, help, since, exit });
    if exit.is_some() {
        f.topics.iter_mut().for_each(|t| t.state = "stopped");
        is(f, BridgeState::Failed, since);
    } else {
        is(f, BridgeState::Starting, since);
    }
    still(f, since - 10_000);
}

fn scene(name: &str) -> Facts {
    let mut f = streaming();
    let ago = |minutes: i64| NOW - minutes * MIN;
    match name {
        "streaming" => {}
        "starting" => {
            let (bridge, version, revision) = (f.bridge, f.version, f.revision);
            f = Facts { bridge, version, revision, started: NOW - 3000, ..Facts::default() };
            is(&mut f, BridgeState::Starting, NOW - 3000);
        }
        "loading" => {
            (f.started, f.generation, f.visible, f.last_commit, f.heard) = (ago(4) - 5000, 1, None, None, None);
            (f.received, f.emitted, f.confirmed) = (EndLsn::ZERO, EndLsn::ZERO, EndLsn::ZERO);
            f.slot.as_mut().unwrap().active_pid = None;
            f.topics.clear();
            f.events.clear();
            is(&mut f, BridgeState::Starting, ago(4) - 5000);
            is(&mut f, BridgeState::Snapshot, ago(4));
            let (rows, estimate) = (1_240_000, Some(5_100_000));
            f.loading = Some(Loading { table: "shop.order_lines".into(), rows, estimate, since: NOW - 40_000 });
            f.tables_remaining = 2;
        }
        "kafka-away" => {
            let (message, help) = (
                "Kafka at kafka:9092 is not reachable: Connection refused",
                "check [kafka] bootstrap_servers, the listeners the broker advertises, and TLS or SASL in [kafka.properties]",
            );
            problem(&mut f, Side::Kafka, "PGS5003", message, help, ago(12), None);
            wal_grows(&mut f, ago(12));
            f.slot.as_mut().unwrap().active_pid = None;
        }
        "postgres-away" => {
            let message = "cannot connect to db:5432: Connection refused (os error 111)";
            problem(
                &mut f,
                Side::Source,
                "PGS2001",
                message,
                "check [postgres] url and that the server runs",
                ago(3),
                None,
            );
            f.slot.as_mut().unwrap().at = ago(3);
        }
        "slot-lost" => {
            let message = "the WAL has a gap: slot pgspine_shop is lost (wal_removed); progress stands at 0/5F2A1C8";
            let help = "changes in between cannot be streamed any more; if this is meant, run once with `--approve gap:0/5F2A1C8` or put the word into [reconcile] approve, or set gap = \"heal\": a new slot, and every topic is reconciled with its SELECT";
            problem(&mut f, Side::Slot, "PGS8002", message, help, ago(12), Some(Exit::Gap));
            wal_grows(&mut f, ago(12));
            let slot = f.slot.as_mut().unwrap();
            (slot.wal_status, slot.safe, slot.retained, slot.active_pid) = (WalStatus::Lost, None, 0, None);
        }
        "fenced" => {
            let message = "generation 8 of this bridge has taken over; ours is 7";
            let help = "another pgspine with the same [kafka] transactional_id is running; stop one of the two";
            problem(&mut f, Side::Kafka, "PGS5001", message, help, ago(2), Some(Exit::Fenced));
        }
        "drift" => {
            let message =
                "table crm.customers changed before the transaction that ends at 0/5F2AA30: column phone was dropped";
            let help = "adapt the transform and start again: what the change touches is loaded anew and reconciled";
            problem(&mut f, Side::Schema, "PGS8009", message, help, ago(12), Some(Exit::Halted));
            f.drifted("crm/customer", SchemaDriftKind::Column, ago(12));
            wal_grows(&mut f, ago(12));
        }
        "paused" => {
            f.paused = true;
            is(&mut f, BridgeState::Paused, ago(12));
            still(&mut f, ago(12));
            wal_grows(&mut f, ago(12));
            f.heard = Some(NOW - 1000);
            f.slot.as_mut().unwrap().safe = Some(90_000_000_000);
        }
        "dead-letters" => {
            (f.topics[0].errors, f.topics[0].held, f.topics[0].held_since) = (4, 3, Some(ago(19)));
            f.topics[3].upserts = 4;
            f.row_error = Some(ago(17));
        }
        other => panic!("no scene {other}"),
    }
    f
}

const SCENES: [&str; 10] = [
    "starting",
    "loading",
    "streaming",
    "kafka-away",
    "postgres-away",
    "slot-lost",
    "fenced",
    "drift",
    "paused",
    "dead-letters",
];

#[test]
fn each_state_has_its_document() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/status");
    for name in SCENES {
        let mut since = Since::default();
        let f = scene(name);
        // The checks were seen before.
        since.see(&f, f.since);
        let text = format!("{:#}\n", document(&f, &mut since, NOW));
        let path = folder.join(name).with_extension("json");
        if std::env::var_os("PGSPINE_RECORD").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "{name} is not what {} holds; it says {}",
            path.display(),
            verdict::of_facts(&f, NOW).text
        );
    }
}

/// What is done to a bridge that streams, and what it says then.
fn check(change: impl Fn(&mut Facts), level: Level, text: &str, runbook: Option<&str>) {
    let mut f = streaming();
    change(&mut f);
    let v = verdict::of_facts(&f, NOW);
    assert_eq!((v.text.as_str(), v.level, v.runbook), (text, level, runbook));
}

#[test]
fn the_verdict_of_each_scene() {
    for (name, level, text) in [
        ("streaming", Level::Ok, "Streaming: 0.2 s behind, 3 transforms live, 723 records in the last minute."),
        (
            "starting",
            Level::Notice,
            "Starting for 3 s: PostgreSQL, the registry and Kafka are asked, nothing is emitted yet.",
        ),
        (
            "loading",
            Level::Notice,
            "Loading for 4 min: shop.order_lines, 1,240,000 of about 5,100,000 rows, 2 min 5 s left for it; 1 table to come. WAL lasts 3 d 2 h at this rate.",
        ),
        (
            "kafka-away",
            Level::Critical,
            "Kafka has been away for 12 min: nothing is emitted, and it is tried again (Kafka at kafka:9092 is not reachable: Connection refused). WAL lasts 3 h 10 min at this rate.",
        ),
        (
            "postgres-away",
            Level::Critical,
            "PostgreSQL has been away for 3 min: nothing is read, and it is tried again (cannot connect to db:5432: Connection refused (os error 111)).",
        ),
        (
            "slot-lost",
            Level::Critical,
            "Stopped 12 min ago: the WAL has a gap: slot pgspine_shop is lost (wal_removed); progress stands at 0/5F2A1C8; no change reaches the topics until a person lets them be reconciled.",
        ),
        (
            "fenced",
            Level::Critical,
            "Fenced 2 min ago: another instance of shop has taken over, and this one writes nothing any more.",
        ),
        (
            "drift",
            Level::Critical,
            "Stopped 12 min ago: transform crm/customer, table crm.customers changed before the transaction that ends at 0/5F2AA30: column phone was dropped. WAL lasts 3 h 10 min at this rate.",
        ),
        (
            "paused",
            Level::Notice,
            "Paused 12 min ago: nothing is emitted, and the slot keeps the WAL. WAL lasts 1 d 6 h at this rate.",
        ),
        (
            "dead-letters",
            Level::Warning,
            "Streaming, but 3 keys of shop/order have kept their last good value for 19 min: the rows cannot be published as they are.",
        ),
    ] {
        let v = verdict::of_facts(&scene(name), NOW);
        assert_eq!((v.text.as_str(), v.level), (text, level), "{name}");
    }
}

#[test]
fn the_verdict_beside_the_scenes() {
    let quiet = |f: &mut Facts| f.topics.iter_mut().for_each(|t| t.minute = Default::default());
    let failing = |f: &mut Facts, side, message: &str| problem(f, side, "PGS0", message, "help", NOW - 90_000, None);
    check(
        |f| {
            quiet(f);
            f.visible = Some((NOW - 7_200_000, 0.1));
        },
        Level::Ok,
        "Streaming: idle, 3 transforms live, the last commit was 2 h ago.",
        None,
    );
    check(
        |f| {
            quiet(f);
            f.visible = None;
        },
        Level::Ok,
        "Streaming: idle, 3 transforms live, nothing was committed since the start.",
        None,
    );
    check(
        |f| {
            is(f, BridgeState::WaitingSlot, NOW - 20_000);
            f.slot_waits_for = Some(4711);
        },
        Level::Notice,
        "Waiting for the slot for 20 s: it is active for PID 4711; nothing is emitted yet. WAL lasts 3 d 2 h at this rate.",
        Some("PgspineSlotInactive"),
    );
    check(
        |f| {
            // Before the stream begins, after a load.
            f.state = Some(BridgeState::Snapshot);
            f.topics[1].state = "reconciling";
            (f.topics[1].to_reconcile, f.topics[1].remaining) = (20_114, 5_000);
        },
        Level::Notice,
        "Reconciling crm.customer.v1: 15,114 of 20,114 keys compared.",
        None,
    );
    check(
        |f| is(f, BridgeState::Draining, NOW),
        Level::Notice,
        "Ending: what was taken goes to Kafka, then the slot is told; the next start goes on from there.",
        None,
    );
    check(
        |f| failing(f, Side::Registry, "no answer from http://registry"),
        Level::Critical,
        "The schema registry has been away for 1 min: nothing is emitted, and it is tried again (no answer from http://registry). WAL lasts 3 d 2 h at this rate.",
        Some("PgspineNotStreaming"),
    );
    check(
        |f| failing(f, Side::State, "the disk of the state directory is full"),
        Level::Critical,
        "The disk of the state directory is full (for 1 min): nothing is emitted, and it is tried again. WAL lasts 3 d 2 h at this rate.",
        Some("PgspineStateDiskLow"),
    );
    check(
        |f| failing(f, Side::Slot, "slot pgspine_shop does not exist"),
        Level::Critical,
        "Slot pgspine_shop does not exist: no change reaches the topics until a person lets them be reconciled.",
        Some("PgspineSlotLost"),
    );
    check(
        |f| {
            problem(
                f,
                Side::Row,
                "PGS8007",
                "row {\"id\":1} of shop/order cannot be encoded: price: NaN",
                "help",
                NOW - 5_000,
                Some(Exit::Halted),
            )
        },
        Level::Critical,
        "Stopped 5 s ago: row {\"id\":1} of shop/order cannot be encoded: price: NaN. WAL lasts 3 d 2 h at this rate.",
        Some("PgspineRowErrors"),
    );
    check(
        |f| {
            problem(
                f,
                Side::Other,
                "PGS8004",
                "a reconcile would write 900 tombstones",
                "approve",
                NOW,
                Some(Exit::Configuration),
            )
        },
        Level::Critical,
        "Stopped just now: a reconcile would write 900 tombstones. WAL lasts 3 d 2 h at this rate.",
        Some("PgspineNotStreaming"),
    );
    check(
        |f| f.kafka_owes_since = Some(NOW - 14_000),
        Level::Warning,
        "Kafka has not answered for 14 s: a transaction waits, and what comes after it. WAL lasts 3 d 2 h at this rate.",
        Some("PgspineKafkaAborts"),
    );
    check(
        |f| f.slot.as_mut().unwrap().wal_status = WalStatus::Unreserved,
        Level::Critical,
        "Streaming, but WAL budget: 38 MB of WAL held for the slot, nothing left: the slot may be lost at any checkpoint.",
        Some("PgspineSlotUnreserved"),
    );
    check(
        |f| f.slot.as_mut().unwrap().safe = Some(9_000_000),
        Level::Warning,
        "Streaming, but WAL budget: 38 MB of WAL held for the slot, 9.0 MB left: 3 min 56 s at 38 kB/s.",
        Some("PgspineWalBudgetLow"),
    );
    check(
        |f| f.drifted("crm/customer", SchemaDriftKind::Column, NOW - MIN),
        Level::Warning,
        "Streaming, but Schema: crm/customer: a column that it reads has changed.",
        Some("PgspineSchemaDrift"),
    );
    check(
        |f| {
            let (end_lsn, what) = (EndLsn(Lsn(END)), "comparing");
            f.transaction = Some(Large { end_lsn, what, transform: None, done: 40_000, of: Some(1_000_000), parts: 2 });
        },
        Level::Notice,
        "Working on a large transaction that ends at 0/5F2A9F8: comparing 40,000 of 1,000,000, 2 parts in Kafka; later ones wait.",
        None,
    );
    check(
        |f| f.emitted = EndLsn(Lsn(END - 30 * 191_055)),
        Level::Warning,
        "Streaming, but 2 min behind: what the database commits reaches Kafka late. WAL lasts 3 d 2 h at this rate.",
        Some("PgspineStalled"),
    );
    check(
        |f| f.disk = Some((900_000_000, 50_000_000_000)),
        Level::Warning,
        "Streaming, but State disk: 900 MB of 50 GB free.",
        Some("PgspineStateDiskLow"),
    );
    check(
        |f| f.visible = Some((NOW - 1000, 14.0)),
        Level::Warning,
        "Streaming, but Latency: 14 s from commit to Kafka.",
        Some("PgspineLatencyHigh"),
    );
}

#[test]
fn the_last_rule_speaks_of_every_bridge() {
    let (_, last) = RULES[RULES.len() - 1];
    for name in SCENES {
        assert!(last(&scene(name), NOW).is_some(), "{name}");
    }
}

#[test]
fn the_deadline_goes_on_where_the_look_was_long_ago() {
    let mut f = scene("drift");
    let v = verdict::of_facts(&f, NOW);
    let deadline = v.deadline.unwrap();
    assert_eq!((deadline - NOW) / MIN, 190);
    f.slot.as_mut().unwrap().at = NOW - 3 * 60 * MIN;
    assert!(verdict::of_facts(&f, NOW).text.ends_with("WAL lasts 10 min at this rate."));
    // Without a limit there is no deadline.
    f.slot.as_mut().unwrap().safe = None;
    assert_eq!(verdict::of_facts(&f, NOW).deadline, None);
}

#[test]
fn each_check_in_each_of_its_states() {
    let at = |name: &str, f: &Facts| {
        let answer = (CHECKS.iter().find(|c| c.name == name).unwrap().look)(f, NOW);
        assert_eq!(
            answer.runbook.is_some(),
            matches!(answer.state, State::Warning | State::Critical),
            "{name}: {answer:?}"
        );
        answer.state
    };
    for check in &CHECKS {
        assert_eq!(at(check.name, &streaming()), State::Ok, "{}", check.name);
    }
    type Change = fn(&mut Facts);
    let cases: [(&str, Change, State); 24] = [
        ("source", |f| f.heard = Some(NOW - 2 * MIN), State::Warning),
        ("source", |f| *f = scene("postgres-away"), State::Critical),
        ("source", |f| *f = scene("starting"), State::Unknown),
        ("kafka", |f| f.kafka_owes_since = Some(NOW - 20_000), State::Warning),
        ("kafka", |f| f.kafka_owes_since = Some(NOW - 2 * MIN), State::Critical),
        ("kafka", |f| *f = scene("fenced"), State::Critical),
        ("slot", |f| f.slot.as_mut().unwrap().active_pid = None, State::Warning),
        ("slot", |f| (f.slot.as_mut().unwrap().active_pid, f.since) = (None, NOW - 1000), State::Ok),
        ("slot", |f| f.slot.as_mut().unwrap().wal_status = WalStatus::Unreserved, State::Critical),
        ("slot", |f| f.slot.as_mut().unwrap().at = NOW - 2 * MIN, State::Unknown),
        ("slot", |f| *f = scene("slot-lost"), State::Critical),
        ("wal_budget", |f| *f = scene("drift"), State::Warning),
        ("wal_budget", |f| f.slot.as_mut().unwrap().safe = Some(1_000_000), State::Critical),
        ("wal_budget", |f| f.slot.as_mut().unwrap().safe = None, State::Ok),
        ("progress", |f| f.emitted = EndLsn(Lsn(END - 30 * 191_055)), State::Warning),
        ("progress", |f| *f = scene("kafka-away"), State::Critical),
        ("latency", |f| f.visible = Some((NOW, 100.0)), State::Critical),
        ("latency", |f| f.visible = Some((NOW - 3 * MIN, 100.0)), State::Ok),
        ("transforms", |f| *f = scene("drift"), State::Critical),
        ("transforms", |f| (f.topics[0].errors, f.row_error) = (1, Some(NOW - 1000)), State::Warning),
        ("dead_letters", |f| f.topics[0].held = 1, State::Warning),
        ("schema", |f| *f = scene("drift"), State::Critical),
        ("state_disk", |f| f.disk = Some((1_000_000, 50_000_000_000)), State::Critical),
        ("state_disk", |f| f.disk = Some((90_000_000, 1_000_000_000)), State::Warning),
    ];
    for (n, (name, change, state)) in cases.into_iter().enumerate() {
        let mut f = streaming();
        change(&mut f);
        assert_eq!(at(name, &f), state, "case {n} of {name}");
    }
}

/// Enough of JSON Schema for ours: every key is described, none is missing, types and words hold.
fn fits(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    if let Some(constant) = schema.get("const") {
        if constant != value {
            wrong.push(format!("{path} is {value}, not {constant}"));
        }
        return;
    }
    let of = |v: &Value| match v {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = of(value);
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        other => panic!("{path}: the schema's type is {other}"),
    };
    let whole = is == "integer" && types.contains(&"number");
    if !types.contains(&is) && !whole {
        wrong.push(format!("{path} is {is}, not {types:?}"));
    }
    if let (Some(words), false) = (schema["enum"].as_array(), value.is_null())
        && !words.contains(value)
    {
        wrong.push(format!("{path} is {value}, not one of {words:?}"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Some(text) = value.as_str()
        && !regex_lite::Regex::new(pattern).unwrap().is_match(text)
    {
        wrong.push(format!("{path} is {text}, which {pattern} does not match"));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&schema["items"], item, &format!("{path}[{n}]"), wrong);
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                wrong.push(format!("{path}.{key} is missing"));
            }
        }
        for (key, inner) in object {
            let more = &schema["additionalProperties"];
            match schema["properties"].get(key) {
                Some(known) => fits(known, inner, &format!("{path}.{key}"), wrong),
                None if more.is_object() => fits(more, inner, &format!("{path}.{key}"), wrong),
                None => wrong.push(format!("{path}.{key} is not in the schema")),
            }
        }
    }
}

#[test]
fn the_documents_fit_the_schema() {
    let text = include_str!("../../../docs/status.schema.json");
    let schema: Value = serde_json::from_str(text).unwrap();
    let told = |value: &Value| {
        let mut wrong = Vec::new();
        fits(&schema, value, "status", &mut wrong);
        wrong
    };
    for name in SCENES {
        let value = document(&scene(name), &mut Since::default(), NOW);
        assert_eq!(told(&value), Vec::<String>::new(), "{name}");
        // And the test can fail.
        let mut other = value.clone();
        other["verdict"]["colour"] = json!("red");
        other["state"] = json!("dancing");
        other.as_object_mut().unwrap().remove("slot");
        assert_eq!(told(&other).len(), 3, "{name}");
    }
}
