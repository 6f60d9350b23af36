//! What a server of one's own is needed for: its shutdown, its authentication, its limits, slots that it loses.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pgspine::capture::{Connection, Error, Mode, Options, Stream, StreamOptions, connect, slot, stream};
use pgspine::lsn::{EndLsn, Lsn};

/// A PostgreSQL server that ends with the test.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub port: u16,
}

impl Server {
    /// `settings` are lines of postgresql.conf, `hba` those of pg_hba.conf.
    pub fn new(settings: &str, hba: &str) -> Server {
        let folder = tempfile::Builder::new().prefix("pgspine-pg").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Server { folder, port };
        if is_root() {
            let parent = server.folder.path().display().to_string();
            assert!(Command::new("chown").args(["postgres", &parent]).status().unwrap().success());
        }
        let data = server.data();
        server
            .program("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "-E", "UTF8", "-N"]);
        let data_folder = Path::new(&data);
        let conf = format!(
            "\nport={port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{0}'\nwal_level=logical\nfsync=off\n{settings}\n",
            server.folder.path().display()
        );
        append(&data_folder.join("postgresql.conf"), &conf);
        if !hba.is_empty() {
            std::fs::write(data_folder.join("pg_hba.conf"), hba).unwrap();
        }
        server.program("pg_ctl", &["-D", &data, "-l", &format!("{data}/log"), "-w", "-t", "60", "start"]);
        server
    }

    pub fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn options(&self) -> Options {
        self.options_with("user=postgres")
    }

    fn options_with(&self, more: &str) -> Options {
        Options::parse(&format!("host=127.0.0.1 port={} dbname=postgres {more}", self.port)).unwrap()
    }

    fn sql(&self) -> Connection {
        connect(&Options { search_path: "public".into(), ..self.options() }, Mode::Sql).unwrap()
    }

    fn walsender(&self) -> Connection {
        connect(&self.options(), Mode::Replication).unwrap()
    }

    /// A table, a publication and a slot `s`.
    fn prepare(&self) -> Lsn {
        self.sql().execute("CREATE TABLE t (id serial PRIMARY KEY, a text)").unwrap();
        self.sql().execute("CREATE PUBLICATION p FOR ALL TABLES").unwrap();
        slot::create(&mut self.walsender(), "s", false).unwrap().consistent_point
    }

    fn stream(&self, start: Lsn, confirmed: EndLsn, queue_bytes: usize) -> Result<Stream, Error> {
        let options = StreamOptions {
            slot: "s".into(),
            publications: vec!["p".into()],
            start,
            confirmed,
            queue_bytes,
            probe: Some(self.options()),
        };
        stream::start(self.walsender(), options)
    }

    pub fn program(&self, name: &str, args: &[&str]) {
        let done = self.command(name, args).status().unwrap();
        assert!(done.success(), "{name} {args:?}: {done}");
    }

    fn command(&self, name: &str, args: &[&str]) -> Command {
        let program = binaries().join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(args).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// `pg_ctl stop -m fast`, in the background.
    pub fn stop_fast(&self) -> std::process::Child {
        self.command("pg_ctl", &["-D", &self.data(), "-m", "fast", "-w", "-t", "60", "stop"]).spawn().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).status();
    }
}

fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// PGSPINE_TEST_PG_BIN, or the newest of Debian's folders.
fn binaries() -> PathBuf {
    if let Some(folder) = std::env::var_os("PGSPINE_TEST_PG_BIN") {
        return folder.into();
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PGSPINE_TEST_PG_BIN is not set and /usr/lib/postgresql is not there")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("no initdb below /usr/lib/postgresql")
}

fn append(path: &Path, text: &str) {
    let old = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, old + text).unwrap();
}

fn wait_for(what: &str, limit: Duration, mut level: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !level() {
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Takes chunks until the stream ends; gives the error and when it came.
fn drain(stream: &Stream) -> Error {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match stream.next(Duration::from_millis(200)) {
            Ok(Some(chunk)) => stream.recycle(chunk),
            Ok(None) => assert!(Instant::now() < end, "the stream does not end"),
            Err(e) => return e,
        }
    }
}

#[test]
fn a_fast_shutdown_ends_though_nothing_is_confirmed() {
    let server = Server::new("", "");
    let start = server.prepare();
    let stream = server.stream(start, EndLsn(start), 1 << 20).unwrap();
    server.sql().execute("INSERT INTO t (a) SELECT g FROM generate_series(1, 1000) g").unwrap();
    wait_for("the rows", Duration::from_secs(20), || {
        while let Some(chunk) = stream.next(Duration::ZERO).unwrap() {
            stream.recycle(chunk);
        }
        stream.counters().messages.load(std::sync::atomic::Ordering::Relaxed) > 1000
    });
    let feedback = stream.feedback();
    let (began, mut stopping) = (Instant::now(), server.stop_fast());
    let statuses = || stream.counters().statuses.load(std::sync::atomic::Ordering::Relaxed);
    let before = statuses();
    let end = drain(&stream);
    assert!(matches!(end, Error::ServerShutdown { .. }), "{end}");
    assert!(end.is_transient());
    assert!(feedback.shutdown_requested().is_some());
    assert!(stopping.wait().unwrap().success());
    let took = began.elapsed();
    println!("stopped after {took:?}, {} statuses", statuses() - before);
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(statuses() - before < 1000, "the flood is answered, not fed");
}

#[test]
fn a_confirmation_ends_a_shutdown_at_once() {
    let server = Server::new("", "");
    let start = server.prepare();
    let stream = server.stream(start, EndLsn(start), 1 << 20).unwrap();
    server.sql().execute("INSERT INTO t (a) VALUES ('a')").unwrap();
    let mut stopping = server.stop_fast();
    let feedback = stream.feedback();
    let end = loop {
        match stream.next(Duration::from_millis(10)) {
            Ok(Some(chunk)) => stream.recycle(chunk),
            Ok(None) => {}
            Err(e) => break e,
        }
        if let Some(demanded) = feedback.shutdown_requested() {
            feedback.confirm(EndLsn(demanded));
        }
    };
    // The server has ended the stream by itself.
    assert!(matches!(end, Error::Closed | Error::Server(_)), "{end}");
    assert!(stopping.wait().unwrap().success());
}

#[test]
fn a_busy_pipeline_keeps_the_connection_and_never_a_shutdown() {
    let server = Server::new("wal_sender_timeout = '2s'", "");
    let start = server.prepare();
    let stream = server.stream(start, EndLsn(start), 256 << 10).unwrap();
    let mut sql = server.sql();
    sql.execute("INSERT INTO t (a) SELECT repeat('x', 1000) FROM generate_series(1, 60000) g").unwrap();
    // Nobody takes a chunk: the queue and the socket fill, and the walsender cannot send. It lives by our statuses.
    let lived = "SELECT extract(epoch FROM reply_time - $0)::int AS lived, pid FROM pg_stat_replication";
    let since = sql.query("SELECT quote_literal(now()) AS n").unwrap().single().unwrap().text("n").unwrap().to_owned();
    wait_for("three timeouts to pass", Duration::from_secs(30), || {
        let rows = sql.query(&lived.replace("$0", &since)).unwrap();
        rows.single().expect("the walsender has gone").parse::<i64>("lived").unwrap() >= 6
    });
    assert!(stream.waiting_bytes() > 0);
    drop(sql);
    let (began, mut stopping) = (Instant::now(), server.stop_fast());
    assert!(stopping.wait().unwrap().success());
    let took = began.elapsed();
    println!("stopped after {took:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    let end = drain(&stream);
    assert!(matches!(end, Error::ServerShutdown { .. }), "{end}");
}

#[test]
fn a_slot_whose_wal_is_gone_is_lost() {
    let server = Server::new("max_slot_wal_keep_size = '1MB'\nmax_wal_size = '32MB'\nmin_wal_size = '32MB'\n", "");
    let start = server.prepare();
    let mut sql = server.sql();
    wait_for("the slot to be lost", Duration::from_secs(60), || {
        for _ in 0..3 {
            sql.execute("INSERT INTO t (a) VALUES ('a')").unwrap();
            sql.execute("SELECT pg_switch_wal()").unwrap();
        }
        sql.execute("CHECKPOINT").unwrap();
        slot::read(&mut sql, "s").unwrap().unwrap().wal_status.as_deref() == Some("lost")
    });
    let e = slot::read(&mut sql, "s").unwrap().unwrap().check("postgres").unwrap_err();
    assert!(matches!(e, Error::SlotLost { .. }) && !e.is_transient(), "{e}");
    let e = server.stream(start, EndLsn(start), 1 << 20).unwrap_err();
    assert!(matches!(e, Error::SlotLost { .. }) && !e.is_transient(), "{}", e.diagnostic());
}

#[test]
fn passwords_are_proved_by_each_method() {
    let hba = "host all postgres 127.0.0.1/32 trust\nhost all plain 127.0.0.1/32 password\n\
               host all old 127.0.0.1/32 md5\nhost all scram 127.0.0.1/32 scram-sha-256\n\
               host replication,postgres all 127.0.0.1/32 trust\nlocal all all scram-sha-256\n";
    let server = Server::new("", hba);
    server
        .sql()
        .execute(
            "SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'pä ss'; \
             SET password_encryption = 'scram-sha-256'; CREATE ROLE plain LOGIN PASSWORD 'pä ss'; \
             CREATE ROLE scram LOGIN PASSWORD 'pä ss'",
        )
        .unwrap();
    let file = server.folder.path().join("password");
    std::fs::write(&file, "pä ss\n").unwrap();
    for role in ["plain", "old", "scram"] {
        let right = server.options_with(&format!("user={role} password='pä ss'"));
        let who = connect(&right, Mode::Sql).unwrap().query("SELECT current_user AS u").unwrap();
        assert_eq!(who.single().unwrap().text("u").unwrap(), role);
        let from_file = Options { password: pgspine::capture::options::Password::File(file.clone()), ..right.clone() };
        connect(&from_file, Mode::Sql).unwrap();
        let socket = server.folder.path().display().to_string();
        let by_socket =
            Options::parse(&format!("host={socket} port={} user=scram password='pä ss' dbname=postgres", server.port));
        connect(&by_socket.unwrap(), Mode::Sql).unwrap();
        let wrong = connect(&server.options_with(&format!("user={role} password=wrong")), Mode::Sql).unwrap_err();
        assert!(
            matches!(&wrong, Error::Server(e) if e.sqlstate == "28P01") && !wrong.is_transient(),
            "{role}: {wrong}"
        );
        assert_eq!(wrong.diagnostic().code.to_string(), "PGS4004");
        if std::env::var_os("PGPASSWORD").is_none() {
            let none = connect(&server.options_with(&format!("user={role}")), Mode::Sql).unwrap_err();
            assert!(matches!(none, Error::NoPassword), "{none}");
        }
    }
}

#[test]
fn what_the_server_lacks_is_named_with_its_fix() {
    let server = Server::new("max_replication_slots = 1\nmax_wal_senders = 3\nwal_level = replica\n", "");
    let mut sql = server.sql();
    let e = slot::check_server(&mut sql).unwrap_err();
    assert_eq!(e.to_string(), "wal_level is replica, and must be logical");
    let e = slot::create(&mut server.walsender(), "s", false).unwrap_err();
    assert_eq!(e.diagnostic().code.to_string(), "PGS4005", "{e}");

    sql.execute("CREATE ROLE app LOGIN").unwrap();
    let e = connect(&server.options_with("user=app"), Mode::Replication).unwrap_err();
    assert!(matches!(e, Error::NoReplicationRight { .. }) && !e.is_transient(), "{e}");
    assert_eq!(e.diagnostic().help.as_deref(), Some("ALTER ROLE app REPLICATION;"));

    let all: Vec<Connection> = (0..3).map(|_| server.walsender()).collect();
    let e = connect(&server.options(), Mode::Replication).unwrap_err();
    assert!(matches!(e, Error::NoFreeSlot(_)) && e.is_transient(), "{e}");
    drop(all);

    sql.execute("ALTER SYSTEM SET wal_level = logical").unwrap();
    drop(sql);
    let data = server.data();
    server.program("pg_ctl", &["-D", &data, "-l", &format!("{data}/log"), "-m", "fast", "-w", "restart"]);
    slot::create(&mut server.walsender(), "s", false).unwrap();
    let e = slot::create(&mut server.walsender(), "s2", false).unwrap_err();
    assert!(matches!(e, Error::NoFreeSlot(_)) && !e.is_transient(), "{e}");
}

#[test]
fn a_promoted_copy_has_a_history() {
    let server = Server::new("", "");
    let mut walsender = server.walsender();
    let before = pgspine::capture::timeline::identify(&mut walsender).unwrap();
    drop(walsender);
    let data = server.data();
    server.program("pg_ctl", &["-D", &data, "-m", "fast", "-w", "stop"]);
    std::fs::write(Path::new(&data).join("standby.signal"), "").unwrap();
    server.program("pg_ctl", &["-D", &data, "-l", &format!("{data}/log"), "-w", "start"]);
    server.program("pg_ctl", &["-D", &data, "-w", "promote"]);
    let mut walsender = server.walsender();
    let after = pgspine::capture::timeline::identify(&mut walsender).unwrap();
    assert_eq!((after.identifier, after.timeline), (before.identifier, before.timeline + 1));
    let history = pgspine::capture::timeline::history(&mut walsender, after.timeline).unwrap();
    assert_eq!(history.len(), 1);
    let check = |lsn| pgspine::capture::timeline::check_continuity(lsn, before.timeline, after.timeline, &history);
    check(before.flushed).unwrap();
    let e = check(Lsn(history[0].end.0 + 1)).unwrap_err();
    assert!(matches!(e, Error::TimelineBreak { .. }) && !e.is_transient(), "{e}");
}
