//! Many bridges beside each other: a process, a slot and a publication each, on one database and one Kafka.
//!
//! Three of them read the same two tables and say different things of them; one after the other is killed and started
//! again while transactions go on. Each topic is PostgreSQL's answer at every commit, and no bridge fences another.

use std::time::Duration;

use crate::crash::is_killed;
use crate::oracle::{Oracle, View};
use crate::support::*;

const AVSC: &str = r#"{"type": "record", "name": "Answer", "namespace": "test", "fields": [
    {"name": "id", "type": "long"}, {"name": "what", "type": ["null", "string"], "default": null}]}"#;

const SELECTS: [&str; 3] = [
    "SELECT o.id, o.state AS what FROM ord o WHERE o.state <> 'draft'",
    "SELECT o.id, c.name AS what FROM ord o LEFT JOIN customer c ON c.id = o.customer_id",
    "SELECT c.id, (SELECT string_agg(o.state, ',' ORDER BY o.id) FROM ord o WHERE o.customer_id = c.id) AS what FROM customer c",
];

#[test]
fn three_on_one_database_and_one_kafka() {
    let database = fresh_database("bridges");
    let sql = "CREATE TABLE customer (id bigint PRIMARY KEY, name text);
        CREATE TABLE ord (id bigint PRIMARY KEY, customer_id bigint, state text NOT NULL);
        INSERT INTO customer SELECT i, 'customer ' || i FROM generate_series(1, 10) i;
        INSERT INTO ord SELECT i, 1 + i % 10, 'placed' FROM generate_series(1, 200) i";
    database.client().batch_execute(sql).expect("tables");
    let mut projects = Vec::new();
    let mut views = Vec::new();
    for (n, select) in SELECTS.iter().enumerate() {
        let project = Project::new(&format!("bridge{n}"), &database, "");
        let topic = unique(&format!("bridges{n}"));
        project.transform("answer", &format!("/* pgspine\ntopic = \"{topic}\"\nkey = [\"id\"]\n*/\n{select}"), AVSC);
        views.push(View { topic, select: (*select).into(), key: vec!["id".into()] });
        projects.push(project);
    }
    let mut oracle = Oracle::new(&database, views);
    oracle.apart = true;
    let catch_up = |project: &Project| {
        let mut process = project.spawn(&["run", "--until", "caught-up"], &[]);
        assert_eq!(process.code(Duration::from_secs(120)), 0, "{}", process.log());
    };
    projects.iter().for_each(catch_up);
    let slots = database
        .client()
        .query_one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()", &[])
        .expect("the slots");
    assert_eq!(slots.get::<_, i64>(0), 3, "each has its own");

    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("bridges: PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let start = |project: &Project| {
        let mut process = project.spawn(&["run"], &[]);
        process.until_log("the take-over", Duration::from_secs(60), |log| log.contains("took over"));
        process
    };
    let mut running: Vec<Process> = projects.iter().map(start).collect();
    for round in 0..60 {
        let (order, customer) = (random.u32(1..220), random.u32(1..12));
        oracle.commit(&match random.u8(0..5) {
            0 => format!("UPDATE ord SET state = 'state {round}' WHERE id % 7 = {}", order % 7),
            1 => format!("DELETE FROM ord WHERE id = {order}"),
            2 => format!("UPDATE customer SET name = 'name {round}' WHERE id = {customer}"),
            3 => format!("UPDATE ord SET customer_id = {customer}, state = 'draft' WHERE id = {order}"),
            _ => format!(
                "INSERT INTO ord VALUES ({order}, {customer}, 'new') ON CONFLICT (id) DO UPDATE SET state = 'again'"
            ),
        });
        if round % 6 == 5 {
            let n = random.usize(0..running.len());
            running[n].kill9();
            assert!(running[n].ended().is_some_and(is_killed), "{}", running[n].log());
            running[n] = start(&projects[n]);
        }
    }
    for process in &mut running {
        assert!(process.ended().is_none(), "nobody was fenced: {}", process.log());
        process.kill9();
    }
    projects.iter().for_each(catch_up);
    let compared = oracle.verify();
    assert!(compared.records > 0, "{compared:?}");
    eprintln!("{compared:?}");
}
