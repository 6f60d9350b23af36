//! One row that very many roots hang on: one source transaction writes as many records, in one Kafka transaction or in
//! parts, and a kill -9 anywhere in it changes nothing of what readers see.
//!
//! `PGSPINE_ROOTS` says how many hang on it; some ten thousand by default, a million by hand (`PGSPINE_ROOTS=1000000 cargo
//! test --release --features demo,failpoints --test real -- huge --nocapture`, which shows time and memory), and
//! `PGSPINE_KILLS` how often each is killed at a random moment.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crash::is_killed;
use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

fn roots() -> i64 {
    std::env::var("PGSPINE_ROOTS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000)
}

struct Scene {
    project: Project,
    topic: String,
    random: fastrand::Rng,
    database: Database,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let progress = format!("pgspine.{}.progress", self.project.name);
        crate::reconcile_scene::delete_topics(&[self.topic.clone(), progress]);
    }
}

impl Scene {
    /// All orders are of customer 1.
    fn new(name: &str, more: &str) -> Scene {
        let database = fresh_database(name);
        let sql = format!(
            "CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL);
             CREATE TABLE ord (id bigint PRIMARY KEY, customer_id bigint NOT NULL);
             INSERT INTO customer SELECT i, 'customer ' || i FROM generate_series(1, 3) i;
             INSERT INTO ord SELECT i, 1 FROM generate_series(1, {}) i",
            roots()
        );
        database.client().batch_execute(&sql).expect("tables");
        let project = Project::new(name, &database, more);
        let topic = unique(name);
        let sql = "SELECT o.id, c.name FROM ord o JOIN customer c ON c.id = o.customer_id";
        project.transform(
            "order",
            &format!("/* pgspine\ntopic = \"{topic}\"\nkey = [\"id\"]\n*/\n{sql}"),
            r#"{"type": "record", "name": "Order", "namespace": "test", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]}"#,
        );
        let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        eprintln!("{name}: PGSPINE_SEED={seed}");
        let scene = Scene { project, topic, random: fastrand::Rng::with_seed(seed), database };
        scene.catch_up();
        scene
    }

    fn sql(&self, sql: &str) {
        self.database.client().batch_execute(sql).expect("SQL");
    }

    fn catch_up(&self) {
        let begun = Instant::now();
        let mut process = self.project.spawn(&["run", "--until", "caught-up"], &[]);
        let mut peak = 0;
        let status = wait_for("the end", LONG, || {
            peak = peak.max(peak_mib(process.pid()).unwrap_or(0));
            process.ended()
        });
        assert_eq!(status.code(), Some(0), "{}", process.log());
        eprintln!("caught up in {:?}, at most {peak} MiB", begun.elapsed());
    }

    fn run_until_killed(&self, failpoint: &str) {
        let mut process = self.project.spawn(&["run"], &[("PGSPINE_FAILPOINT", failpoint)]);
        let status = wait_for(failpoint, LONG, || process.ended());
        assert!(is_killed(status), "{failpoint}: {}", process.log());
    }

    /// At whatever moment after the take-over.
    fn run_and_kill(&mut self) {
        let mut process = self.project.spawn(&["run"], &[]);
        process.until_log("the take-over", LONG, |log| log.contains("took over"));
        let end = Instant::now() + Duration::from_micros(self.random.u64(0..1 + roots() as u64 * 40));
        process.until("a random moment", LONG, || (Instant::now() >= end).then_some(()));
        process.kill9();
    }

    /// The fold is PostgreSQL's answer, no version is there twice, and the last transaction came in so many parts.
    fn verify(&self, parts: u32) {
        let (mut fold, mut at) = (HashMap::new(), HashMap::<i64, (u64, u64)>::new());
        let mut streamed = BTreeMap::<u64, Vec<(u64, Option<String>)>>::new();
        for r in read_topic(&self.topic) {
            let id = long(&mut &r.key.as_deref().expect("a key")[5..]);
            let lsn = lsn(&r.headers["pgspine-lsn"]);
            let seq = r.headers["pgspine-seq"].parse().expect("a number");
            let before = at.insert(id, (lsn, seq));
            assert!(before < Some((lsn, seq)), "{id}: {:?} comes after {before:?}", (lsn, seq));
            if r.headers["pgspine-origin"] == "stream" {
                streamed.entry(lsn).or_default().push((seq, r.headers.get("pgspine-part").cloned()));
            }
            match r.value {
                Some(value) => fold.insert(id, value),
                None => fold.remove(&id),
            };
        }
        let rows =
            self.database.client().query("SELECT o.id, c.name FROM ord o JOIN customer c ON c.id = o.customer_id", &[]);
        let rows = rows.expect("the answer");
        assert_eq!(fold.len(), rows.len());
        for row in rows {
            let (id, name): (i64, String) = (row.get(0), row.get(1));
            let mut value = &fold[&id][5..];
            assert_eq!(long(&mut value), id);
            assert_eq!(long(&mut value), name.len() as i64, "order {id}");
            assert_eq!(value, name.as_bytes(), "order {id}");
        }
        let (_, last) = streamed.pop_last().expect("a transaction");
        check_parts(last, parts);
    }

    fn kafka_has_it(&self, name: &str) -> bool {
        read_topic(&self.topic).iter().any(|r| r.value.as_deref().is_some_and(|v| v.ends_with(name.as_bytes())))
    }
}

/// Every number once, and the parts in their order.
fn check_parts(mut records: Vec<(u64, Option<String>)>, parts: u32) {
    records.sort();
    assert!(records.iter().map(|(seq, _)| *seq).eq(0..records.len() as u64), "each number once");
    let mut found: Vec<Option<String>> = records.into_iter().map(|(_, part)| part).collect();
    found.dedup();
    let word = |n| if n == parts { "last" } else { "more" };
    let expected = match parts {
        1 => vec![None],
        _ => (1..=parts).map(|n| Some(format!("{n}/{}", word(n)))).collect(),
    };
    assert_eq!(found, expected);
}

/// Avro's zigzag.
fn long(from: &mut &[u8]) -> i64 {
    let (mut n, mut shift) = (0u64, 0);
    loop {
        let (byte, rest) = from.split_first().expect("a byte");
        *from = rest;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (n >> 1) as i64 ^ -((n & 1) as i64);
        }
    }
}

fn lsn(text: &str) -> u64 {
    let (high, low) = text.split_once('/').expect("an LSN");
    (u64::from_str_radix(high, 16).expect("hex") << 32) + u64::from_str_radix(low, 16).expect("hex")
}

fn peak_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}

/// Memory for few of the records: most of them wait on disk.
fn small(split: i64) -> String {
    let memory = if roots() > 200_000 { "256MiB" } else { "16MiB" };
    format!("[commit]\nsplit_records = {split}\n[limits]\nmemory = \"{memory}\"\n")
}

/// Random kills after those at failpoints.
fn kills() -> usize {
    std::env::var("PGSPINE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

#[test]
fn in_one_kafka_transaction() {
    let mut s = Scene::new("huge_one", &small(2 * roots()));
    s.sql("UPDATE customer SET name = 'new' WHERE id = 1");
    let mut failpoints = vec!["set_aside:3", "piece:2", "before_commit:2"];
    if kills() == 1 {
        // Each start costs a while: one of them in each run.
        failpoints = vec![failpoints[s.random.usize(0..3)]];
    }
    for failpoint in failpoints {
        s.run_until_killed(failpoint);
        assert!(!s.kafka_has_it("new"), "{failpoint}: readers see all of it or nothing");
    }
    for _ in 0..kills() {
        s.run_and_kill();
    }
    s.catch_up();
    s.verify(1);
}

#[test]
fn in_parts() {
    let mut s = Scene::new("huge_parts", &small(roots() / 4));
    s.sql("UPDATE customer SET name = 'new' WHERE id = 1");
    s.run_until_killed("after_commit:3");
    assert!(s.kafka_has_it("new"), "two parts, after the take-over");
    if kills() > 1 {
        s.run_until_killed("piece:2");
    }
    for _ in 0..kills() {
        s.run_and_kill();
    }
    s.catch_up();
    s.verify(4);
}

/// Metrics and status say how far it is, and SIGTERM does not wait for its end.
#[test]
fn how_far_it_is() {
    let s = Scene::new("huge_shown", &small(2 * roots()));
    s.sql("UPDATE customer SET name = 'new' WHERE id = 1");
    let hold = s.project.dir().join("hold");
    std::fs::write(&hold, "").expect("a file");
    let hang = format!("set_aside:{}", hold.display());
    let environment = [("PGSPINE_HANG", hang.as_str()), ("PGSPINE_HTTP__LISTEN", "127.0.0.1:0")];
    let mut process = s.project.spawn(&["run"], &environment);
    let address = process_address(&mut process);
    let transaction = process.until("the transaction in /status", LONG, || {
        let status: Value = serde_json::from_str(&get(&address, "/status")?).ok()?;
        let at = status["transaction"].clone();
        (at["what"] == "comparing roots").then_some(at)
    });
    let (done, of) = (transaction["done"].as_i64(), transaction["of"].as_i64());
    assert_eq!((transaction["transform"].as_str(), of), (Some("order"), Some(roots())));
    assert!(done > Some(0) && done < of, "{transaction}");
    let left = || -> Option<i64> {
        let text = get(&address, "/metrics")?;
        let line = text.lines().find(|l| l.starts_with("pgspine_transaction_roots_remaining{"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    process.until("the gauge", LONG, || (left()? > 0 && left()? < roots()).then_some(()));
    process.signal(libc::SIGTERM);
    std::fs::remove_file(&hold).expect("the file is there");
    let begun = Instant::now();
    let status = wait_for("the end", LONG, || process.ended());
    assert_eq!(status.code(), Some(0), "{}", process.log());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!s.kafka_has_it("new"));

    let mut process = s.project.spawn(&["run"], &environment);
    let address = process_address(&mut process);
    let left = || -> Option<f64> {
        let text = get(&address, "/metrics")?;
        let find = |name: &str| text.lines().find(|l| l.starts_with(name))?.rsplit(' ').next()?.parse::<f64>().ok();
        let upserts = text.lines().find(|l| l.starts_with("pgspine_records_total{") && l.contains("upsert"))?;
        let upserts: f64 = upserts.rsplit(' ').next()?.parse().ok()?;
        (upserts >= roots() as f64).then(|| find("pgspine_transaction_roots_remaining{")).flatten()
    };
    process.until("all of it", LONG, || (left()? == 0.0).then_some(()));
    assert_eq!(process.stop(), 0, "{}", process.log());
    s.verify(1);
}

fn process_address(process: &mut Process) -> String {
    let found = |log: &str| {
        let line: Value = serde_json::from_str(log.lines().find(|l| l.contains("\"message\":\"http\""))?).ok()?;
        line["address"].as_str().map(str::to_owned)
    };
    process.until_log("the address", LONG, |log| found(log).is_some());
    found(&process.log()).expect("it is there")
}

fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
