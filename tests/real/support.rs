//! What the themes share: where the services are, things that clean up after themselves, the program as a process.
//!
//! The rule: a test waits for a level with a limit ([`wait_for`]), uses names of its own ([`unique`]), and leaves no
//! database, slot or process behind, also when it fails.
#![allow(dead_code, reason = "each theme uses its part")]

use postgres::{Client, NoTls};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// `host=127.0.0.1 port=… user=postgres`
pub fn postgres_conninfo() -> String {
    service("PGSPINE_TEST_POSTGRES")
}

/// `127.0.0.1:…`
pub fn kafka() -> String {
    service("PGSPINE_TEST_KAFKA")
}

/// `http://127.0.0.1:…/apis/ccompat/v7`
pub fn registry() -> String {
    service("PGSPINE_TEST_REGISTRY")
}

pub fn service(name: &str) -> String {
    if let Some(own) = OWN.with_borrow(|own| own.get(name).cloned()) {
        return own;
    }
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: `make test` starts the services and sets it, or eval \"$(dev/services up)\"")
    })
}

thread_local! {
    /// Services that this test has started for itself.
    static OWN: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// Services of one test's own, which it may kill: on the test's thread they take the place of the common ones.
pub struct Services {
    dir: tempfile::TempDir,
}

impl Services {
    /// `postgres`, `kafka`, `registry`
    pub fn start(names: &[&str]) -> Services {
        let services = Services { dir: tempfile::tempdir().expect("a folder") };
        services.up(names);
        services
    }

    /// Starts what is not running, where it was before.
    pub fn up(&self, names: &[&str]) {
        let lines = self.command("up", names);
        for (name, value) in lines.lines().filter_map(|l| l.strip_prefix("export ")?.split_once('=')) {
            OWN.with_borrow_mut(|own| own.insert(name.to_owned(), value.trim_matches('\'').to_owned()));
        }
    }

    /// SIGKILL; the data stays.
    pub fn kill(&self, name: &str) {
        self.command("kill", &[name]);
    }

    /// SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one. Gives how long it took to be gone.
    pub fn stop(&self, name: &str, signal: i32, limit: Duration) -> Duration {
        let text = std::fs::read_to_string(self.dir.path().join("services.json")).expect("services.json");
        let kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let pid = kept[name]["pid"].as_i64().expect("a pid") as i32;
        let begun = Instant::now();
        // SAFETY: kill(2) takes two numbers; the process is one of ours.
        unsafe { libc::kill(pid, signal) };
        wait_for(&format!("{name} to be gone"), limit, || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
        begun.elapsed()
    }

    fn command(&self, command: &str, names: &[&str]) -> String {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/services");
        let run = Command::new(program).arg("--dir").arg(self.dir.path()).arg(command).args(names).output();
        let output = run.expect("dev/services starts");
        assert!(output.status.success(), "{command} {names:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

/// On this test's thread, that server takes the place of the common PostgreSQL; until the end of the test.
pub fn use_postgres(conninfo: String) {
    OWN.with_borrow_mut(|own| own.insert("PGSPINE_TEST_POSTGRES".to_owned(), conninfo));
}

impl Drop for Services {
    fn drop(&mut self) {
        OWN.with_borrow_mut(BTreeMap::clear);
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/services");
        let _ = Command::new(program).arg("--dir").arg(self.dir.path()).arg("down").output();
    }
}

/// A name that no other test, run or machine user has: letters, digits and underscores, good for a database, a slot
/// and a topic.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() % 100_000_000;
    format!("{name}_{}_{since}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `level` answers, and returns the answer; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut level: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = level() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A database of the test's own. Dropping it ends its sessions and drops its slots with it.
pub struct Database {
    pub name: String,
}

pub fn fresh_database(name: &str) -> Database {
    let name = unique(name);
    admin().batch_execute(&format!("CREATE DATABASE {name}")).expect("CREATE DATABASE");
    Database { name }
}

fn admin() -> Client {
    Client::connect(&format!("{} dbname=postgres", postgres_conninfo()), NoTls).expect("PostgreSQL is reachable")
}

impl Database {
    /// The keyword string for this database.
    pub fn conninfo(&self) -> String {
        format!("{} dbname={}", postgres_conninfo(), self.name)
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.conninfo(), NoTls).expect("PostgreSQL is reachable")
    }

    /// The end of WAL after everything committed so far.
    pub fn lsn(&self) -> u64 {
        let row = self.client().query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::text", &[]).expect("LSN");
        row.get::<_, String>(0).parse().expect("a number")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut admin = match Client::connect(&format!("{} dbname=postgres", postgres_conninfo()), NoTls) {
            Ok(admin) => admin,
            Err(e) => return eprintln!("{} is left behind: {e}", self.name),
        };
        let name = &self.name;
        let end = Instant::now() + Duration::from_secs(10);
        // A slot cannot be dropped while its walsender lives, and a database not while it has a slot.
        loop {
            let left = admin
                .query("SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = $1", &[name])
                .unwrap_or_default();
            if left.is_empty() || Instant::now() > end {
                break;
            }
            for row in left {
                let slot: String = row.get(0);
                if let Some(pid) = row.get::<_, Option<i32>>(1) {
                    let _ = admin.execute("SELECT pg_terminate_backend($1)", &[&pid]);
                }
                let _ = admin.execute("SELECT pg_drop_replication_slot($1)", &[&slot]);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        if let Err(e) = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")) {
            eprintln!("{name} is left behind: {e}");
        }
    }
}

/// One record as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    /// `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

/// How many partitions a topic has; 0 when it does not exist.
pub fn partitions(topic: &str) -> i32 {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", kafka()).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30)).expect("Kafka is reachable");
    metadata.topics().iter().map(|t| t.partitions().len() as i32).sum()
}

/// Everything committed in a topic, up to each partition's last stable offset as of now.
pub fn read_topic(topic: &str) -> Vec<Record> {
    read_topic_as(topic, "read_committed")
}

/// The same under another isolation level: aborted and open transactions show under `read_uncommitted`.
pub fn read_topic_as(topic: &str, isolation: &str) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka())
        .set("group.id", unique("reader"))
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let limit = Duration::from_secs(30);
    let partitions: Vec<i32> = (0..partitions(topic)).collect();
    let mut assignment = TopicPartitionList::new();
    for &partition in &partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&assignment).expect("assign");
    let mut records = Vec::new();
    let mut at_end = std::collections::BTreeSet::new();
    let end = Instant::now() + limit;
    while at_end.len() < partitions.len() {
        assert!(Instant::now() < end, "{topic} was not read in {limit:?}");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => records.push(record(&message)),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                at_end.insert(partition);
            }
            Some(Err(e)) => panic!("{topic}: {e}"),
            None => {}
        }
    }
    records
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().into_iter().flat_map(|h| h.iter()).map(|h| (h.key.to_owned(), text(h.value)));
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.collect(),
    }
}

/// The last value per key; a key whose last record is a tombstone is absent.
pub fn fold(records: &[Record]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut live = BTreeMap::new();
    for r in records {
        let key = r.key.clone().unwrap_or_default();
        match &r.value {
            Some(value) => live.insert(key, value.clone()),
            None => live.remove(&key),
        };
    }
    live
}

/// A project folder with its `pgspine.toml` for this run's services, removed at the end.
pub struct Project {
    dir: tempfile::TempDir,
    pub name: String,
    processes: AtomicU32,
}

impl Project {
    /// `more` is appended to the configuration: whole sections that are not written here (`[commit]`, `[reconcile]`…).
    pub fn new(name: &str, database: &Database, more: &str) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("transforms")).expect("a folder");
        let name = unique(name);
        let toml = format!(
            "[bridge]\nname = \"{name}\"\n[postgres]\nurl = \"{} sslmode=disable\"\n[kafka]\nbootstrap_servers = \"{}\"\n\
             [registry]\nurl = \"{}\"\n[topics]\npartitions = 3\nreplication_factor = 1\n[http]\nlisten = \"\"\n{more}",
            database.conninfo(),
            kafka(),
            registry()
        );
        std::fs::write(dir.path().join("pgspine.toml"), toml).expect("a file");
        Project { dir, name, processes: AtomicU32::new(0) }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `name` without ending, below `transforms/`.
    pub fn transform(&self, name: &str, sql: &str, avsc: &str) {
        let path = self.dir().join("transforms").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path.with_extension("sql"), sql).expect("a file");
        std::fs::write(path.with_extension("avsc"), avsc).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // By hand, another build of the program.
        let program = std::env::var("PGSPINE_TEST_PROGRAM");
        let mut command = Command::new(program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_pgspine")));
        command.args(arguments).current_dir(self.dir()).stdin(Stdio::null());
        command
    }

    /// A command that ends by itself.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// A command that goes on, its output in a file; killed when the handle is dropped.
    pub fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        let log = self.dir().join(format!("log.{number}"));
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        Process::start(command, log)
    }
}

/// The program, running.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with its output in the file.
    pub fn start(mut command: Command, log: PathBuf) -> Process {
        let out = std::fs::File::create(&log).expect("a log");
        let child = command.stdout(out.try_clone().expect("a log")).stderr(out).spawn().expect("the program starts");
        Process { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process can be waited for")
    }

    /// Waits for a level while the process runs; panics with its log if it ends first.
    pub fn until<T>(&mut self, what: &str, limit: Duration, mut level: impl FnMut() -> Option<T>) -> T {
        wait_for(what, limit, || {
            let answer = level();
            if answer.is_none()
                && let Some(status) = self.ended()
            {
                panic!("ended with {status} before {what}:\n{}", self.log());
            }
            answer
        })
    }

    /// Waits for something in its log.
    pub fn until_log(&mut self, what: &str, limit: Duration, level: impl Fn(&str) -> bool) {
        let log = self.log.clone();
        self.until(what, limit, || level(&std::fs::read_to_string(&log).unwrap_or_default()).then_some(()));
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, SIGSTOP, SIGCONT…
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        // SAFETY: kill(2) takes two numbers; the pid is our own child's, which was not waited for yet.
        unsafe { libc::kill(pid, signal) };
    }

    /// Its exit code, within the limit.
    pub fn code(&mut self, limit: Duration) -> i32 {
        let status = wait_for("the process to end", limit, || self.ended());
        status.code().unwrap_or_else(|| panic!("ended by a signal: {status}:\n{}", self.log()))
    }

    /// SIGTERM and its exit code, within 10 s as promised.
    pub fn stop(&mut self) -> i32 {
        self.signal(libc::SIGTERM);
        self.code(Duration::from_secs(10))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
        self.kill9();
    }
}
