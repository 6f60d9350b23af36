//! Transforms over several tables, from the first load through kills and restarts: the topics are PostgreSQL's answers.
//!
//! Three tables: orders and customers by their keys, lines without any key (REPLICA IDENTITY FULL), so that they are stored
//! as a bag. Every transform reads at least two of them. Beside the entities each INSERT of an order is an event, which
//! looks up its customer, its lines and the customer's orders.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::crash::is_killed;
use crate::crash_kills::kills;
use crate::oracle::{Compared, Oracle, Row, Schemas, View, lsn};
use crate::support::*;

struct Scene {
    // In the order in which they end.
    oracle: Oracle,
    project: Project,
    random: fastrand::Rng,
    _database: Database,
    next: i64,
    placed: String,
    /// Per commit where it lies in the WAL, and the events that it is.
    events: Vec<(u64, u64, Vec<Row>)>,
}

const DOCUMENT: &str = "SELECT o.id, o.state, c.name AS customer, b.name AS boss,
        (SELECT count(*) FROM line l WHERE l.order_id = o.id) AS lines,
        (SELECT string_agg(l.sku, ',' ORDER BY l.sku) FROM line l WHERE l.order_id = o.id AND l.qty > 0) AS skus
    FROM ord o LEFT JOIN customer c ON c.id = o.customer_id AND c.name IS NOT NULL LEFT JOIN customer b ON b.id = c.boss
    WHERE o.state <> 'draft'";
const DOCUMENT_AVSC: &str = r#"{"type": "record", "name": "Document", "namespace": "test", "fields": [
    {"name": "id", "type": "long"}, {"name": "state", "type": "string"},
    {"name": "customer", "type": ["null", "string"], "default": null}, {"name": "boss", "type": ["null", "string"], "default": null},
    {"name": "lines", "type": ["null", "long"], "default": null}, {"name": "skus", "type": ["null", "string"], "default": null}]}"#;

const CUSTOMER: &str = "SELECT c.id, c.name,
        EXISTS (SELECT 1 FROM ord o WHERE o.customer_id = c.id AND o.state = 'paid') AS pays,
        (SELECT sum(l.qty) FROM ord o JOIN line l ON l.order_id = o.id WHERE o.customer_id = c.id) AS pieces
    FROM customer c";
const CUSTOMER_AVSC: &str = r#"{"type": "record", "name": "Customer", "namespace": "test", "fields": [
    {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"], "default": null},
    {"name": "pays", "type": ["null", "boolean"], "default": null}, {"name": "pieces", "type": ["null", "long"], "default": null}]}"#;

/// Its key is not the root's identity.
const CODE: &str = "SELECT o.code, c.name AS customer FROM ord o JOIN customer c ON c.id = o.customer_id";
const CODE_AVSC: &str = r#"{"type": "record", "name": "Code", "namespace": "test", "fields": [
    {"name": "code", "type": "string"}, {"name": "customer", "type": ["null", "string"], "default": null}]}"#;

/// An order as it was inserted; `root` is where it is found.
fn placed(root: &str) -> String {
    format!(
        "SELECT o.id AS order_id, o.state, c.name AS customer, o.code AS event_id,
            (SELECT sum(l.qty) FROM line l WHERE l.order_id = o.id) AS pieces,
            (SELECT count(*) FROM ord x WHERE x.customer_id = o.customer_id) AS orders
        FROM {root} o LEFT JOIN customer c ON c.id = o.customer_id
        WHERE o.state <> 'draft'"
    )
}

fn place(project: &Project, topic: &str, on_gap: &str) {
    let header = format!("kind = \"event\"\nkey = [\"order_id\"]\nevent_id = \"event_id\"\non_gap = \"{on_gap}\"");
    let text = format!("/* pgspine\ntopic = \"{topic}\"\n{header}\n*/\n{}", placed("ord"));
    project.transform("placed", &text, PLACED_AVSC);
}

const PLACED_AVSC: &str = r#"{"type": "record", "name": "Placed", "namespace": "test", "fields": [
    {"name": "order_id", "type": "long"}, {"name": "state", "type": "string"}, {"name": "customer", "type": ["null", "string"], "default": null},
    {"name": "pieces", "type": ["null", "long"], "default": null}, {"name": "orders", "type": "long"}]}"#;

impl Scene {
    fn new(name: &str, orders: i64, more: &str) -> Scene {
        Scene::with(
            name,
            orders,
            more,
            "CREATE TABLE customer (id bigint PRIMARY KEY, name text, boss bigint, hidden int)",
        )
    }

    fn with(name: &str, orders: i64, more: &str, customer: &str) -> Scene {
        let database = fresh_database(&format!("joins_{name}"));
        let sql = format!(
            "{customer};
             CREATE TABLE ord (id bigint PRIMARY KEY, code text NOT NULL UNIQUE, customer_id bigint, state text NOT NULL, hidden int);
             CREATE TABLE line (order_id bigint, sku text, qty int, hidden int);
             ALTER TABLE line REPLICA IDENTITY FULL;
             INSERT INTO customer SELECT i, 'customer ' || i, i - 1, 0 FROM generate_series(1, 20) i;
             INSERT INTO ord SELECT i, 'code' || i, 1 + i % 2, 'paid', 0 FROM generate_series(1, {orders}) i;
             INSERT INTO line SELECT i % 100, 'sku' || i % 3, i % 4, 0 FROM generate_series(1, 300) i;
             CREATE UNLOGGED TABLE inserted (LIKE ord, number bigint GENERATED ALWAYS AS IDENTITY);
             CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO inserted VALUES (NEW.*); RETURN NULL; END $$;
             CREATE TRIGGER keep AFTER INSERT ON ord FOR EACH ROW EXECUTE FUNCTION keep()"
        );
        database.client().batch_execute(&sql).expect("tables");
        let project = Project::new(name, &database, more);
        let mut views = Vec::new();
        for (file, select, avsc, key) in [
            ("document", DOCUMENT, DOCUMENT_AVSC, "id"),
            ("customer", CUSTOMER, CUSTOMER_AVSC, "id"),
            ("code", CODE, CODE_AVSC, "code"),
        ] {
            let topic = unique(file);
            let header = format!("/* pgspine\ntopic = \"{topic}\"\nkey = [\"{key}\"]\n*/\n");
            project.transform(file, &(header + select), avsc);
            views.push(View { topic, select: select.into(), key: vec![key.into()] });
        }
        let topic = unique("placed");
        place(&project, &topic, "halt");
        let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        eprintln!("{name}: PGSPINE_SEED={seed}");
        let oracle = Oracle::new(&database, views);
        let random = fastrand::Rng::with_seed(seed);
        Scene { oracle, project, random, _database: database, next: orders + 1, placed: topic, events: Vec::new() }
    }

    fn topics(&self) -> Vec<Vec<Record>> {
        self.oracle.views.iter().map(|v| read_topic(&v.topic)).collect()
    }

    fn catch_up(&self) {
        let mut process = self.project.spawn(&["run", "--until", "caught-up"], &[]);
        let code = process.code(Duration::from_secs(120));
        assert_eq!(code, 0, "{}", process.log());
    }

    fn commit(&mut self, sql: &str) {
        let before = self.oracle.lsn();
        self.oracle.commit(sql);
        let select = format!("{} ORDER BY o.number; DELETE FROM inserted", placed("inserted"));
        let messages = self.oracle.client().simple_query(&select).expect("PostgreSQL answers");
        let rows = messages.iter().filter_map(|m| match m {
            postgres::SimpleQueryMessage::Row(row) => {
                let texts = row.columns().iter().enumerate();
                Some(texts.map(|(i, c)| (c.name().to_owned(), row.get(i).map(str::to_owned))).collect())
            }
            _ => None,
        });
        self.events.push((before, self.oracle.lsn(), rows.collect()));
    }

    /// Entities and events.
    fn verify(&self) -> Compared {
        let mut schemas = Schemas::default();
        let mut by_lsn: BTreeMap<u64, BTreeMap<u64, Row>> = BTreeMap::new();
        for r in read_topic(&self.placed) {
            let mut row = schemas.row(r.value.as_deref().expect("an event is no tombstone"));
            assert_eq!(row["order_id"].as_deref(), Some(&schemas.key(r.key.as_deref().expect("a key"))[0][..]));
            assert_eq!(r.headers["pgspine-origin"], "stream");
            row.insert("event_id".into(), r.headers.get("pgspine-event-id").cloned());
            let seq = r.headers["pgspine-seq"].parse().expect("a number");
            let twice = by_lsn.entry(lsn(&r.headers["pgspine-lsn"])).or_default().insert(seq, row);
            assert!(twice.is_none(), "number {seq} twice: {twice:?}");
        }
        for (before, after, wanted) in &self.events {
            let here: Vec<u64> = by_lsn.keys().copied().filter(|l| l > before && l <= after).collect();
            assert!(here.len() < 2, "{here:x?}");
            let got: Vec<Row> = here.iter().filter_map(|l| by_lsn.remove(l)).flat_map(BTreeMap::into_values).collect();
            assert_eq!(got, *wanted, "after {before:x}");
        }
        assert!(by_lsn.is_empty(), "events of no commit: {by_lsn:?}");
        self.oracle.verify()
    }

    /// How many records each position has, over all topics.
    fn told(&self) -> BTreeMap<u64, usize> {
        let mut told = BTreeMap::new();
        for r in self.topics().iter().chain([&read_topic(&self.placed)]).flatten() {
            *told.entry(lsn(&r.headers["pgspine-lsn"])).or_default() += 1;
        }
        told
    }

    fn work(&mut self, transactions: usize) {
        for _ in 0..transactions {
            let statements: Vec<String> = (0..self.random.usize(1..=4)).map(|_| self.statement()).collect();
            self.commit(&statements.join("; "));
        }
    }

    fn statement(&mut self) -> String {
        let r = &mut self.random;
        let (order, customer, sku) = (r.i64(1..self.next), r.i64(1..25), r.u8(0..4));
        let state = ["draft", "paid", "sent"][r.usize(0..3)];
        match r.u8(0..21) {
            0 | 1 => {
                self.next += 1;
                let id = self.next - 1;
                format!(
                    "INSERT INTO ord VALUES ({id}, 'code{id}', {customer}, '{state}', 0); INSERT INTO line VALUES ({id}, 'new', 1, 0)"
                )
            }
            2 => format!("UPDATE ord SET state = '{state}' WHERE id = {order}"),
            3 => format!("UPDATE ord SET customer_id = {customer} WHERE id % 13 = {order} % 13"),
            4 => format!("UPDATE ord SET customer_id = NULL WHERE id = {order}"),
            5 => format!("DELETE FROM ord WHERE id = {order}"),
            6 => format!(
                "UPDATE ord SET code = 'swap' WHERE id = {order}; UPDATE ord SET code = 'code' || id WHERE id = {order}"
            ),
            7 => format!("UPDATE customer SET name = name || 'x' WHERE id = {customer}"),
            8 => format!("UPDATE customer SET name = NULL WHERE id = {customer}"),
            9 => format!("UPDATE customer SET boss = {} WHERE id = {customer}", r.i64(1..25)),
            10 => format!(
                "DELETE FROM customer WHERE id = {customer}; INSERT INTO customer VALUES ({customer}, 'again', {sku}, 0)"
            ),
            11 => format!(
                "UPDATE customer SET hidden = hidden + 1; UPDATE line SET hidden = hidden + 1 WHERE sku = 'sku{sku}'"
            ),
            12 => format!("INSERT INTO line SELECT {order}, 'sku{sku}', {sku}, 0 FROM generate_series(1, 3)"),
            13 => format!(
                "UPDATE line SET order_id = {order} WHERE ctid IN (SELECT ctid FROM line WHERE sku = 'sku{sku}' LIMIT 2)"
            ),
            14 => format!("DELETE FROM line WHERE order_id = {order}"),
            15 => format!("UPDATE line SET qty = qty + 1 WHERE order_id % 7 = {sku}"),
            16 => {
                self.next += 1;
                let id = self.next - 1;
                format!(
                    "INSERT INTO ord VALUES ({id}, 'code{id}', {customer}, 'paid', 0); DELETE FROM ord WHERE id = {id}"
                )
            }
            17 => {
                self.next += 2;
                let id = self.next - 2;
                format!(
                    "INSERT INTO ord SELECT i, 'code' || i, {customer}, 'sent', 0 FROM generate_series({id}, {id} + 1) i; \
                     UPDATE ord SET state = '{state}', customer_id = NULL WHERE id = {id}; UPDATE customer SET name = 'new' WHERE id = {customer}"
                )
            }
            18 => format!(
                "INSERT INTO ord VALUES ({order}, 'code{order}', {customer}, 'paid', 0) ON CONFLICT (id) DO UPDATE SET hidden = 7"
            ),
            19 => format!(
                "SAVEPOINT s; INSERT INTO ord VALUES (-1, 'none', {customer}, 'paid', 0); ROLLBACK TO s; INSERT INTO line VALUES ({order}, 'x', 1, 0)"
            ),
            _ => format!(
                "SAVEPOINT s; DELETE FROM customer; ROLLBACK TO s; UPDATE customer SET id = id + 100 WHERE id = {customer} AND NOT EXISTS (SELECT 1 FROM customer WHERE id = {customer} + 100)"
            ),
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let topics: Vec<String> = self.oracle.views.iter().map(|v| v.topic.clone()).collect();
        crate::reconcile_scene::delete_topics(
            &[topics, vec![self.placed.clone(), format!("pgspine.{}.progress", self.project.name)]].concat(),
        );
    }
}

/// Everything as of every commit, over restarts and kills at whatever moment.
#[test]
fn random_transactions_with_kills() {
    let mut s = Scene::new("joins_kills", 200, "");
    s.catch_up();
    for round in 0..6 {
        let mut process = s.project.spawn(&["run"], &[]);
        process.until_log("the take-over", Duration::from_secs(60), |log| log.contains("took over"));
        s.work(25);
        if round % 3 == 2 {
            assert_eq!(process.stop(), 0, "{}", process.log());
        } else {
            process.kill9();
        }
    }
    s.work(3);
    s.commit("TRUNCATE line");
    s.work(3);
    s.commit("TRUNCATE customer, ord");
    s.catch_up();
    eprintln!("{:?}", s.verify());
}

/// Killed again and again (`PGSPINE_KILLS`), and what each kill leaves is whole transactions, over all topics.
#[test]
fn killed_under_load() {
    let mut s = Scene::new("joins_load_kills", 200, "");
    s.catch_up();
    let (mut left, mut streamed) = (Vec::new(), 0);
    for n in 1..=kills() {
        let mut process = s.project.spawn(&["run"], &[]);
        let begun = Instant::now();
        let more = Duration::from_millis(s.random.u64(0..1500));
        let mut end = (s.random.u8(0..4) == 0).then(|| begun + more);
        while end.is_none_or(|end| Instant::now() < end) {
            assert!(process.ended().is_none() && begun.elapsed() < Duration::from_secs(60), "{}", process.log());
            if end.is_none() && process.log().contains("took over") {
                end = Some(Instant::now() + more);
            }
            s.work(1);
        }
        process.kill9();
        streamed += usize::from(process.log().contains("took over"));
        if n % 4 == 1 {
            // The broker may still be ending what was committed last.
            let mut told = s.told();
            left.push(wait_for("what is left", Duration::from_secs(60), || {
                let again = s.told();
                (std::mem::replace(&mut told, again.clone()) == again).then_some(again)
            }));
        }
        if n % 50 == 0 {
            s.catch_up();
            eprintln!("{n} kills: {:?}", s.verify());
        }
    }
    s.catch_up();
    let compared = s.verify();
    let whole = s.told();
    for left in left {
        let last = left.keys().next_back().copied().unwrap_or_default();
        assert_eq!(left, whole.range(..=last).map(|(l, n)| (*l, *n)).collect(), "up to {last:x}");
    }
    let events: usize = s.events.iter().map(|e| e.2.len()).sum();
    eprintln!("{} kills, {streamed} after the take-over: {compared:?}, {events} events", kills());
    assert!(compared.records > 0 && events > 0);
}

/// The rows are loaded anew from the source, and give what the stream gave.
#[test]
fn a_lost_state_directory_is_rebuilt() {
    let mut s = Scene::new("joins_lost", 100, "");
    s.catch_up();
    s.work(20);
    s.catch_up();
    let before: usize = s.topics().iter().map(Vec::len).sum();
    std::fs::remove_dir_all(s.project.dir().join("state")).expect("the state directory");
    // What an INSERT meanwhile would have looked up is not known any more.
    let out = s.project.output(&["run", "--until", "caught-up"]);
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(5), "{log}");
    assert!(log.contains("which they look up, have to be loaded anew; events of"), "{log}");
    place(&s.project, &s.placed, "skip");
    s.catch_up();
    assert_eq!(s.topics().iter().map(Vec::len).sum::<usize>(), before, "nothing differs");
    s.work(10);
    s.catch_up();
    s.verify();
}

/// A look-up row on which thousands of roots hang goes out in parts; killed between two of them, nothing is written twice.
#[test]
fn a_hot_look_up_row_is_split_and_killed() {
    let mut s = Scene::new("joins_hot", 4000, "[commit]\nsplit_records = 500\n");
    s.catch_up();
    let mut process = s.project.spawn(&["run"], &[("PGSPINE_FAILPOINT", "after_commit:4")]);
    process.until_log("the take-over", Duration::from_secs(60), |log| log.contains("took over"));
    s.commit("UPDATE customer SET name = 'hot' WHERE id = 1; DELETE FROM customer WHERE id = 2");
    let killed = wait_for("the kill", Duration::from_secs(60), || process.ended());
    assert!(is_killed(killed), "{}", process.log());
    assert!(s.oracle.compare(&s.topics()).is_err(), "it is in Kafka only in part");
    s.work(2);
    s.catch_up();
    eprintln!("{:?}", s.verify());
    // Parts are numbered on, as if nothing had happened: in that transaction, and in one of the workload's that is large.
    let mut split: BTreeMap<u64, BTreeMap<u64, String>> = BTreeMap::new();
    for r in s.topics().iter().flatten() {
        if let Some(part) = r.headers.get("pgspine-part") {
            let seq = r.headers["pgspine-seq"].parse().expect("a number");
            split.entry(lsn(&r.headers["pgspine-lsn"])).or_default().insert(seq, part.clone());
        }
    }
    for parts in split.values() {
        let mut parts: Vec<&String> = parts.values().collect();
        parts.dedup();
        let wanted = (1..=parts.len()).map(|n| format!("{n}/{}", if n == parts.len() { "last" } else { "more" }));
        assert_eq!(parts, wanted.collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }
    assert!(split.values().any(|parts| parts.len() > 2000), "{:?}", split.values().map(BTreeMap::len));
}

/// Rows move between partitions, and one partition alone is emptied.
#[test]
fn a_look_up_table_in_partitions() {
    let customer =
        "CREATE TABLE customer (id bigint PRIMARY KEY, name text, boss bigint, hidden int) PARTITION BY HASH (id);
        CREATE TABLE customer_0 PARTITION OF customer FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE customer_1 PARTITION OF customer FOR VALUES WITH (MODULUS 2, REMAINDER 1)";
    let mut s = Scene::with("joins_partitions", 100, "", customer);
    s.catch_up();
    s.work(40);
    s.commit("TRUNCATE customer_0; INSERT INTO customer VALUES (300, 'new', 1, 0), (301, 'new', 1, 0)");
    s.work(20);
    s.catch_up();
    eprintln!("{:?}", s.verify());
}

#[test]
fn a_preview_joins_what_it_reads() {
    let s = Scene::new("joins_preview", 5, "");
    let out = s.project.output(&["preview", "document", "--limit", "10"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("\"customer\":\"customer 2\"") && text.contains("\"skus\":"), "{text}");
}
