//! The source database of one case, and the bridges that read it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, NoTls};

pub fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make bench`"))
}

pub fn conninfo() -> String {
    service("PGSPINE_TEST_POSTGRES")
}

/// `port` and the like of the connection string.
pub fn part(name: &str) -> String {
    let info = conninfo();
    let found = info.split(' ').find_map(|p| p.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {info}")).to_owned()
}

/// Topics and progress outlive a case: no name comes twice.
fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)).replace('-', "_")
}

pub struct Database {
    pub name: String,
    pub client: Client,
}

impl Database {
    pub fn new(name: &str) -> Database {
        let name = unique(name);
        admin().batch_execute(&format!("CREATE DATABASE {name}")).expect("CREATE DATABASE");
        let client = connect(&name);
        Database { name, client }
    }

    /// WAL up to here is on disk, and no checkpoint comes soon.
    pub fn settle(&mut self) -> String {
        self.client.batch_execute("CHECKPOINT").expect("CHECKPOINT");
        let row = self.client.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).expect("LSN");
        row.get(0)
    }

    pub fn slot_pid(&mut self, slot: &str) -> Option<u32> {
        let rows = self
            .client
            .query("SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", &[&slot])
            .expect("slots");
        rows.first().and_then(|r| r.get::<_, Option<i32>>(0)).map(|p| p as u32)
    }

    pub fn throwaway_slot(&mut self, slot: &str) {
        self.client.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).expect("a slot");
    }
}

pub fn connect(database: &str) -> Client {
    Client::connect(&format!("{} dbname={database}", conninfo()), NoTls).expect("PostgreSQL is reachable")
}

fn admin() -> Client {
    connect("postgres")
}

/// Slots go with the database, or their WAL would burden what is measured next.
impl Drop for Database {
    fn drop(&mut self) {
        let mut admin = admin();
        let slots = admin
            .query("SELECT slot_name::text, active_pid FROM pg_replication_slots WHERE database = $1", &[&self.name]);
        for row in slots.unwrap_or_default() {
            let slot: String = row.get(0);
            if let Some(pid) = row.get::<_, Option<i32>>(1) {
                let _ = admin.execute("SELECT pg_terminate_backend($1, 5000)", &[&pid]);
            }
            let _ = admin.execute("SELECT pg_drop_replication_slot($1)", &[&slot]);
        }
        if let Err(e) = admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("{} is left behind: {e}", self.name);
        }
    }
}

/// A project folder with one transform.
pub struct Project {
    dir: tempfile::TempDir,
    pub slot: String,
    pub topic: String,
}

impl Project {
    pub fn new(name: &str, database: &str, select: &str, avsc: &str) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        let name = unique(name);
        let topic = format!("{name}.entity");
        let toml = format!(
            "[bridge]\nname = \"{name}\"\n[postgres]\nurl = \"{} dbname={database} sslmode=disable\"\nslot = \"{name}\"\npublication = \"{name}\"\n\
             [kafka]\nbootstrap_servers = \"{}\"\n[registry]\nurl = \"{}\"\n[topics]\npartitions = 3\nreplication_factor = 1\n[http]\nlisten = \"\"\n[limits]\nmemory = \"256MiB\"\n",
            conninfo(),
            service("PGSPINE_TEST_KAFKA"),
            service("PGSPINE_TEST_REGISTRY"),
        );
        let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
        write(&dir.path().join("pgspine.toml"), &toml);
        std::fs::create_dir(dir.path().join("transforms")).expect("a folder");
        let header = format!("/* pgspine\ntopic = \"{topic}\"\nkey = [\"id\"]\n*/\n");
        write(&dir.path().join("transforms/entity.sql"), &format!("{header}{select}\n"));
        write(&dir.path().join("transforms/entity.avsc"), avsc);
        Project { dir, slot: name, topic }
    }

    pub fn spawn(&self, wrap: &[String], until: Option<&str>, discard: bool) -> Child {
        let binary = env!("CARGO_BIN_EXE_pgspine").to_owned();
        let mut words = wrap.iter().chain([&binary]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg("run");
        if let Some(until) = until {
            command.args(["--until", until]);
        }
        if discard {
            command.env("PGSPINE_BENCH_DISCARD", "1");
        }
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).expect("a log");
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        command.spawn().expect("the program starts")
    }

    /// Runs until the source's end: slot, load, reconcile.
    pub fn prepare(&self) {
        let status = self.spawn(&[], Some("caught-up"), false).wait().expect("it can be waited for");
        assert!(status.success(), "{}", self.log());
    }

    /// The same bridge once more, with the rows that it has on disk now.
    pub fn copy(&self) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        let status = Command::new("cp").arg("-a").arg(self.dir.path().join(".")).arg(dir.path()).status();
        assert!(status.expect("cp starts").success());
        Project { dir, slot: self.slot.clone(), topic: self.topic.clone() }
    }

    pub fn state_bytes(&self) -> StateBytes {
        let mut sum = StateBytes::default();
        sum.add(&self.dir.path().join("state"));
        sum
    }

    /// Hits and misses, as the program says at its end under the feature `bench`.
    pub fn row_cache(&self) -> Option<(u64, u64)> {
        let log = self.log();
        let line = log.lines().rev().find_map(|l| l.strip_prefix("bench: row cache hits "))?;
        let (hits, misses) = line.split_once(" misses ")?;
        Some((hits.parse().ok()?, misses.parse().ok()?))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }
}

/// Blocks of the state's folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateBytes {
    pub all: u64,
    /// The store's journal, which it cuts off at a fixed size.
    pub journal: u64,
}

impl StateBytes {
    fn add(&mut self, path: &Path) {
        use std::os::unix::fs::MetadataExt;
        let Ok(metadata) = path.symlink_metadata() else { return };
        self.all += metadata.blocks() * 512;
        if path.extension().is_some_and(|e| e == "jnl") {
            self.journal += metadata.blocks() * 512;
        }
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            self.add(&entry.path());
        }
    }
}

/// `pg_recvlogical` over TCP to /dev/null.
pub fn recvlogical(database: &str, slot: &str, publication: &str, until: &str) -> Child {
    Command::new("pg_recvlogical")
        .args([
            "-h",
            &part("host"),
            "-p",
            &part("port"),
            "-U",
            &part("user"),
            "-d",
            database,
            "--slot",
            slot,
            "--start",
            "--no-loop",
        ])
        .args(["-o", "proto_version=1", "-o", &format!("publication_names={publication}"), "-o", "messages=true"])
        .args(["--endpos", until, "-f", "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pg_recvlogical starts")
}
