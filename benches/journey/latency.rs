//! Commit → visible to a `read_committed` consumer, at 1,000 transactions a second, `synchronous_commit = on`.
//!
//! Measured in this process: from the moment at which COMMIT has answered to the moment at which the consumer has the
//! record. The first seconds do not count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::Options;
use crate::measure;
use crate::report::{LatencyLine, Report};
use crate::source::{Database, Project, connect, service};

const RATE: u64 = 1000;
const WRITERS: u64 = 4;
const WARM_UP: u64 = 3;
const SECONDS: u64 = 10;

const TABLE: &str = "CREATE TABLE t(id bigint PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, amount numeric(12,2) NOT NULL)";

pub fn run(options: &Options, report: &mut Report) {
    eprintln!("latency");
    let seconds = WARM_UP + if options.quick { 3 } else { SECONDS };
    let count = RATE * seconds;
    let mut db = Database::new("bench_latency");
    db.client.batch_execute(TABLE).expect("the table");
    // The key as text: the consumer finds the row without a decoder.
    let select = "SELECT t.id, t.customer_id, t.status, t.amount FROM public.t AS t";
    let contract = crate::case::Shape::Narrow.contract();
    let project = Project::new("latency", &db.name, select, &contract);
    project.prepare();
    let mut child = project.spawn(&[], None, false);
    let limit = Instant::now() + Duration::from_secs(30);
    while db.slot_pid(&project.slot).is_none() {
        assert!(Instant::now() < limit, "{}", project.log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let consumer = consumer(&project.topic);
    let begun = Instant::now();
    let micros = || begun.elapsed().as_micros() as u64;
    let committed: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
    let mut seen: Vec<u64> = vec![0; count as usize];
    let (cpu, broker) = (measure::cpu(child.id()), measure::broker().map(measure::cpu).unwrap_or_default());
    std::thread::scope(|scope| {
        for w in 0..WRITERS {
            let (committed, name) = (&committed, db.name.clone());
            scope.spawn(move || {
                let mut client = connect(&name);
                let insert = client.prepare("INSERT INTO t VALUES ($1, 1, 'open', 1.25)").expect("a statement");
                for id in (w..count).step_by(WRITERS as usize) {
                    let due = Duration::from_micros(1_000_000 / RATE * id);
                    while let Some(left) = due.checked_sub(begun.elapsed()).filter(|d| !d.is_zero()) {
                        std::thread::park_timeout(left);
                    }
                    client.execute(&insert, &[&(id as i64)]).expect("INSERT");
                    committed[id as usize].store(micros(), Ordering::Relaxed);
                }
            });
        }
        let limit = Instant::now() + Duration::from_secs(seconds + 20);
        let mut left = count;
        while left > 0 {
            assert!(Instant::now() < limit, "{left} records did not come\n{}", project.log());
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.expect("a record");
            let id = key(message.key().unwrap_or_default()) as usize;
            if seen[id] == 0 {
                seen[id] = micros();
                left -= 1;
            }
        }
    });
    let spent = measure::cpu(child.id()) - cpu;
    let spent_broker = measure::broker().map(measure::cpu).unwrap_or_default() - broker;
    let threads = measure::threads(child.id());
    // SAFETY: kill takes two numbers; the pid is our own child's, which was not waited for yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert!(child.wait().expect("it can be waited for").success(), "{}", project.log());
    let first = (WARM_UP * RATE) as usize;
    let mut latencies: Vec<u64> =
        (first..count as usize).map(|i| seen[i].saturating_sub(committed[i].load(Ordering::Relaxed))).collect();
    latencies.sort_unstable();
    let at = |p: f64| Duration::from_micros(latencies[((latencies.len() - 1) as f64 * p) as usize]);
    let per = |d: Duration| d.as_secs_f64() * 1e6 / count as f64;
    let line = LatencyLine { p50: at(0.5), p99: at(0.99), max: at(1.0), cpu: per(spent), broker: per(spent_broker) };
    eprintln!("  {line:?} {threads:?}");
    report.latency(line);
}

/// A frame of five bytes, then the id as Avro's zigzag.
fn key(bytes: &[u8]) -> u64 {
    let (mut n, mut shift) = (0u64, 0);
    for byte in &bytes[5..] {
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    n >> 1
}

fn consumer(topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", service("PGSPINE_TEST_KAFKA"))
        .set("group.id", "bench")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..3 {
        partitions.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&partitions).expect("assign");
    consumer
}
