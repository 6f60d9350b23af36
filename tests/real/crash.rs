//! What the crash tests share: two tables, one with REPLICA IDENTITY FULL, two transforms, and a random workload that
//! the oracle watches.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::oracle::{Oracle, View};
use crate::support::*;

pub struct Shop {
    // In the order in which they end.
    pub oracle: Oracle,
    pub project: Project,
    pub database: Database,
    pub random: fastrand::Rng,
    next_id: i64,
    /// TRUNCATE waits for a load, and a load that was stopped holds it up for ever: only where there is none.
    pub truncates: bool,
}

pub const ITEM_AVSC: &str = r#"{"type": "record", "name": "Item", "namespace": "test", "fields": [
    {"name": "id", "type": "long"}, {"name": "name", "type": "string"}, {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;

pub const MOVE_AVSC: &str = r#"{"type": "record", "name": "Move", "namespace": "test", "fields": [
    {"name": "part", "type": "string"}, {"name": "no", "type": "int"}, {"name": "qty", "type": ["null", "int"], "default": null}, {"name": "big", "type": "boolean"}]}"#;

impl Shop {
    /// `rows` in each table before anything else; `more` goes to the configuration.
    pub fn new(name: &str, rows: i64, more: &str) -> Shop {
        let database = fresh_database(&format!("crash_{name}"));
        Shop::on(database, name, rows, more)
    }

    pub fn on(database: Database, name: &str, rows: i64, more: &str) -> Shop {
        let mut client = database.client();
        let sql = format!(
            "CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, price numeric(12,2) NOT NULL, note text, hidden int);
             CREATE TABLE move (part text, no int, qty int, hidden int, PRIMARY KEY (part, no));
             ALTER TABLE move REPLICA IDENTITY FULL;
             INSERT INTO item SELECT i, 'item ' || i, i * 1.5, NULL, 0 FROM generate_series(1, {rows}) i;
             INSERT INTO move SELECT 'p' || i % 7, i, i, 0 FROM generate_series(1, {rows}) i"
        );
        client.batch_execute(&sql).expect("tables");
        let project = Project::new(name, &database, more);
        let (item, moves) = (unique("item"), unique("move"));
        let views = vec![
            View {
                topic: item.clone(),
                select: "SELECT id, name, price, note FROM item WHERE price >= 10".into(),
                key: vec!["id".into()],
            },
            View {
                topic: moves.clone(),
                select: "SELECT part, no, qty, coalesce(qty, 0) > 20 AS big FROM move WHERE no <> 3".into(),
                key: vec!["part".into(), "no".into()],
            },
        ];
        let header = |topic: &str, key: &str| format!("/* pgspine\ntopic = \"{topic}\"\nkey = {key}\n*/\n");
        project.transform("item", &(header(&item, "[\"id\"]") + &views[0].select), ITEM_AVSC);
        project.transform("move", &(header(&moves, "[\"part\", \"no\"]") + &views[1].select), MOVE_AVSC);
        let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        eprintln!("{name}: PGSPINE_SEED={seed}");
        let oracle = Oracle::new(&database, views);
        Shop { oracle, project, database, random: fastrand::Rng::with_seed(seed), next_id: rows + 1, truncates: false }
    }

    /// `n` source transactions.
    pub fn work(&mut self, n: usize) {
        for _ in 0..n {
            self.transaction();
        }
    }

    /// Source transactions, one after the other, until the level is there.
    pub fn work_until<T>(&mut self, limit: Duration, mut level: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + limit;
        loop {
            if let Some(answer) = level() {
                return answer;
            }
            assert!(Instant::now() < end, "worked for {limit:?}");
            self.transaction();
            // The load of a modest application, or the comparison has too much to do.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// One transaction of one to four statements, of the shapes that are easy to get wrong.
    pub fn transaction(&mut self) {
        let sql = self.statements();
        self.oracle.commit(&sql);
    }

    pub fn statements(&mut self) -> String {
        let statements: Vec<String> = (0..self.random.usize(1..=4)).map(|_| self.statement()).collect();
        statements.join("; ")
    }

    fn statement(&mut self) -> String {
        let r = &mut self.random;
        let some = r.i64(1..self.next_id);
        let price = r.i64(0..4000) as f64 / 100.0;
        let part = r.u8(0..7);
        if self.truncates && r.u8(0..100) == 0 {
            let table = if r.bool() { "item" } else { "move" };
            return format!(
                "TRUNCATE {table}; INSERT INTO item VALUES ({}, 'new', {price}, NULL, 0) ON CONFLICT DO NOTHING",
                some
            );
        }
        match r.u8(0..16) {
            0..3 => {
                self.next_id += 1;
                format!("INSERT INTO item VALUES ({}, 'new', {price}, NULL, 0)", self.next_id - 1)
            }
            3 => format!("UPDATE item SET price = {price} WHERE id = {some}"),
            4 => format!("UPDATE item SET name = name || 'x', note = 'n{some}' WHERE id % 11 = {some} % 11"),
            5 => format!("UPDATE item SET hidden = hidden + 1 WHERE id = {some}"),
            6 => format!("DELETE FROM item WHERE id = {some}"),
            7 => {
                self.next_id += 1;
                format!("UPDATE item SET id = {} WHERE id = {some}", self.next_id - 1)
            }
            8 => format!(
                "DELETE FROM item WHERE id = {some}; INSERT INTO item VALUES ({some}, 'again', {price}, 'a', 1)"
            ),
            9 => format!("UPDATE item SET note = repeat(md5('{price}'), 100) WHERE id = {some}"),
            10 => format!(
                "INSERT INTO move VALUES ('p{part}', {some}, {some} % 40, 1) ON CONFLICT (part, no) DO UPDATE SET qty = move.qty + 1"
            ),
            11 => format!("UPDATE move SET qty = NULL WHERE no = {some}"),
            12 => format!("UPDATE move SET hidden = hidden + 1 WHERE part = 'p{part}'"),
            13 => format!("DELETE FROM move WHERE part = 'p{part}' AND no % 3 = {some} % 3"),
            14 => format!("UPDATE move SET no = no + 1000 WHERE part = 'p{part}' AND no = {some}"),
            _ => format!(
                "SAVEPOINT s; UPDATE item SET price = price + 1; DELETE FROM move; ROLLBACK TO s; INSERT INTO move VALUES ('p{part}', {some}, 1, 1) ON CONFLICT DO NOTHING"
            ),
        }
    }

    /// All records of the views' topics.
    pub fn topics(&self) -> Vec<Vec<Record>> {
        self.oracle.views.iter().map(|v| read_topic(&v.topic)).collect()
    }

    /// Everything committed goes to Kafka; the process ends with 0.
    pub fn catch_up(&self) {
        let mut process = self.project.spawn(&["run", "--until", "caught-up"], &[]);
        let code = process.code(Duration::from_secs(60));
        assert_eq!(code, 0, "{}", process.log());
    }

    /// Waits until the first load is over and the stream has taken a commit.
    pub fn wait_streaming(&mut self, process: &mut Process) {
        self.wait_reconciled(process, self.oracle.views.len());
    }

    /// The same where not every topic needs it: the stream itself is enough for a table with REPLICA IDENTITY FULL.
    pub fn wait_reconciled(&mut self, process: &mut Process, topics: usize) {
        let limit = Duration::from_secs(60);
        process.until_log("the load", limit, |log| log.matches("reconcile done").count() >= topics);
        self.work(1);
        self.wait_confirmed(process, limit);
    }

    /// Waits until the slot is past the last commit: then Kafka and the state are, too.
    pub fn wait_confirmed(&self, process: &mut Process, limit: Duration) {
        let mut client = self.database.client();
        process.until("the slot to follow", limit, || (confirmed(&mut client) >= self.oracle.lsn()).then_some(()));
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let topics: Vec<String> = self.oracle.views.iter().map(|v| v.topic.clone()).collect();
        crate::reconcile_scene::delete_topics(
            &[topics, vec![format!("pgspine.{}.progress", self.project.name)]].concat(),
        );
    }
}

/// Of the bridge's own slot: a load has another one beside it for a while.
pub fn confirmed(client: &mut postgres::Client) -> u64 {
    let sql = "SELECT (confirmed_flush_lsn - '0/0')::text FROM pg_replication_slots \
               WHERE database = current_database() AND NOT temporary";
    let row = client.query_opt(sql, &[]).expect("PostgreSQL answers");
    row.and_then(|r| r.get::<_, Option<String>>(0)).map_or(0, |t| t.parse().expect("a number"))
}

/// The end of a process that was killed.
pub fn is_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGKILL)
}
