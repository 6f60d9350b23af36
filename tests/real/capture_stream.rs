//! Connection, slots and stream against a shared server: what comes is what was written, and what is refused has its
//! name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgspine::assemble::{AssembleError, AssembleOptions, Assembler, Transaction};
use pgspine::capture::{
    Connection, CopyError, Error, Mode, Options, ReplicationMessage, Stream, StreamOptions, connect, slot, stream,
    timeline,
};
use pgspine::change::{Change, OldTuple};
use pgspine::lsn::{EndLsn, Lsn};
use pgspine::row::{Cell, Tuple};

/// A database of its own on the shared server, with its slots dropped at the end.
struct Database {
    name: String,
    server: String,
}

impl Database {
    fn new() -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let server =
            std::env::var("PGSPINE_TEST_POSTGRES").expect("PGSPINE_TEST_POSTGRES is not set: `make test` sets it");
        let database = Database { name: format!("pgspine_stream_{}_{n}", std::process::id()), server };
        let mut admin = connect(&Options::parse(&database.server).unwrap(), Mode::Sql).unwrap();
        admin.execute(&format!("CREATE DATABASE {}", database.name)).unwrap();
        database
    }

    fn options(&self) -> Options {
        let text = format!("{} dbname={} application_name='pgspine/test'", self.server, self.name);
        Options { search_path: "public".into(), ..Options::parse(&text).unwrap() }
    }

    fn sql(&self) -> Connection {
        connect(&self.options(), Mode::Sql).unwrap()
    }

    fn walsender(&self) -> Connection {
        connect(&self.options(), Mode::Replication).unwrap()
    }

    /// A slot and a publication for all tables.
    fn slot(&self) -> Lsn {
        self.sql().execute("CREATE PUBLICATION p FOR ALL TABLES").unwrap();
        slot::create(&mut self.walsender(), &self.name, true).unwrap().consistent_point
    }

    fn start(&self, connection: Connection, start: Lsn) -> Result<Stream, Error> {
        stream::start(connection, self.stream_options(start))
    }

    fn stream_options(&self, start: Lsn) -> StreamOptions {
        StreamOptions {
            slot: self.name.clone(),
            publications: vec!["p".into()],
            start,
            confirmed: EndLsn(start),
            queue_bytes: 8 << 20,
            probe: Some(self.options()),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Ok(options) = Options::parse(&self.server) else { return };
        let Ok(mut admin) = connect(&options, Mode::Sql) else { return };
        let name = &self.name;
        let _ = admin.execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        ));
        let end = Instant::now() + Duration::from_secs(10);
        let drop =
            format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{name}'");
        while admin.execute(&drop).is_err() && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let _ = admin.execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}

/// Transactions in their order, until `enough` says so.
fn read(stream: &Stream, spill_above: usize, mut take: impl FnMut(&Transaction) -> bool) {
    let directory = tempfile::tempdir().unwrap();
    let options = AssembleOptions { spill_above, spill_directory: directory.path().into() };
    let mut assembler = Assembler::new(options);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(Instant::now() < deadline, "the stream did not bring what was awaited");
        let Some(chunk) = stream.next(Duration::from_secs(1)).unwrap() else { continue };
        for message in chunk.messages() {
            let ReplicationMessage::XLogData { wal_start, payload, .. } = message.unwrap() else { continue };
            if let Some(transaction) = assembler.push(wal_start, payload).unwrap() {
                if take(&transaction) {
                    return;
                }
                assembler.recycle(transaction);
            }
        }
        stream.recycle(chunk);
    }
}

fn texts(tuple: &Tuple<'_>) -> Vec<Option<String>> {
    tuple
        .cells()
        .map(|cell| match cell {
            Cell::Null => None,
            Cell::Text(t) => Some(String::from_utf8(t.to_vec()).unwrap()),
            Cell::Unchanged => panic!("nothing here is stored out of line"),
        })
        .collect()
}

type Table = BTreeMap<String, Vec<Option<String>>>;

fn apply(table: &mut Table, transaction: &Transaction) {
    let key = |row: &[Option<String>]| row[0].clone().unwrap();
    transaction
        .for_each(|change| {
            match change {
                Change::Insert { new, .. } => {
                    let row = texts(&new);
                    assert!(table.insert(key(&row), row).is_none(), "inserted twice");
                }
                Change::Update { old, new, .. } => {
                    let row = texts(&new);
                    let old = match old {
                        OldTuple::Absent => key(&row),
                        OldTuple::Key(t) | OldTuple::Full(t) => key(&texts(&t)),
                    };
                    table.remove(&old).expect("an update of a row that is there");
                    table.insert(key(&row), row);
                }
                Change::Delete { old: OldTuple::Key(t) | OldTuple::Full(t), .. } => {
                    table.remove(&key(&texts(&t))).expect("a delete of a row that is there");
                }
                Change::Truncate { .. } => table.clear(),
                _ => {}
            }
            Ok::<(), AssembleError>(())
        })
        .unwrap();
}

#[test]
fn what_is_streamed_is_what_was_written() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let database = Database::new();
    let mut sql = database.sql();
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, a text, b numeric, at timestamptz); CREATE TABLE done (id int)")
        .unwrap();
    let start = database.slot();
    let stream = database.start(database.walsender(), start).unwrap();

    let writer = std::thread::spawn(move || {
        for n in 0..1500 {
            let mut script = String::from("BEGIN;");
            for _ in 0..random.usize(1..=8) {
                let id = random.u32(0..60);
                script += &match random.u32(0..20) {
                    0..=8 => format!(
                        "INSERT INTO t VALUES ({id}, repeat('é{n}', {}), {n}.50, now()) ON CONFLICT (id) DO UPDATE SET a = NULL;",
                        random.u32(0..30)
                    ),
                    9..=13 => format!("UPDATE t SET b = b + 1, at = 'infinity' WHERE id = {id};"),
                    14 => format!(
                        "UPDATE t SET id = id + 1000 WHERE id = {id} AND NOT EXISTS (SELECT FROM t WHERE id = {});",
                        id + 1000
                    ),
                    15..=16 => format!("DELETE FROM t WHERE id % 60 = {id};"),
                    17 => format!("SAVEPOINT s; DELETE FROM t WHERE id < {id}; ROLLBACK TO s;"),
                    18 if random.u32(0..20) == 0 => "TRUNCATE t;".into(),
                    _ => format!("DELETE FROM t WHERE id = {id};"),
                };
            }
            script += if random.u32(0..10) == 0 { "ROLLBACK" } else { "COMMIT" };
            sql.execute(&script).unwrap();
        }
        // One transaction that spills.
        sql.execute("INSERT INTO t SELECT g, repeat('x', 100), g, now() FROM generate_series(5000, 25000) g").unwrap();
        sql.execute("INSERT INTO done VALUES (1)").unwrap();
        sql
    });

    let (mut table, mut last, mut spilled) = (Table::new(), EndLsn::ZERO, 0);
    read(&stream, 1 << 20, |transaction| {
        let mut done = false;
        transaction
            .for_each(|change| {
                done |= matches!(&change, Change::Relation(r) if r.name.name == "done");
                Ok::<(), AssembleError>(())
            })
            .unwrap();
        assert!(transaction.info.end_lsn > last);
        last = transaction.info.end_lsn;
        spilled += u32::from(transaction.is_spilled());
        if !done {
            apply(&mut table, transaction);
        }
        done
    });
    let mut sql = writer.join().unwrap();
    let rows = sql.query("SELECT id, a, b, at FROM t").unwrap();
    let expected: Table = rows.iter().map(|r| (r.text("id").unwrap().to_owned(), r.cells().to_vec())).collect();
    assert_eq!(table.len(), expected.len());
    assert!(table == expected, "the folded stream is not the table");
    assert_eq!(spilled, 1);

    // What is confirmed reaches the slot, and a second stream goes on behind it.
    let feedback = stream.feedback();
    feedback.confirm(last);
    stream.stop();
    let state = slot::read(&mut sql, &database.name).unwrap().unwrap();
    assert_eq!(state.confirmed_flush, Some(last.0));
    sql.execute("TRUNCATE t").unwrap();
    let again = wait_free(&database, || database.start(database.walsender(), start));
    read(&again, 1 << 20, |transaction| {
        assert!(transaction.info.end_lsn > last, "the server goes forward to what was confirmed");
        true
    });
}

/// A walsender that has just ended holds its slot for a moment.
fn wait_free(_: &Database, mut start: impl FnMut() -> Result<Stream, Error>) -> Stream {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match start() {
            Err(Error::SlotActive { .. }) if Instant::now() < end => {
                std::thread::park_timeout(Duration::from_millis(20))
            }
            done => return done.unwrap(),
        }
    }
}

#[test]
fn a_connection_pins_what_decides_text_forms() {
    let database = Database::new();
    let mut sql = database.sql();
    sql.execute(&format!(
        "ALTER DATABASE {0} SET datestyle = 'German'; ALTER DATABASE {0} SET timezone = 'Asia/Tokyo'; \
         ALTER DATABASE {0} SET intervalstyle = 'postgres'; ALTER DATABASE {0} SET statement_timeout = 1234; \
         ALTER DATABASE {0} SET bytea_output = 'escape'; ALTER DATABASE {0} SET extra_float_digits = 0",
        database.name
    ))
    .unwrap();
    for mut connection in [database.sql(), database.walsender()] {
        let rows = connection
            .query("SELECT '2024-05-06 07:08:09+00'::timestamptz AS t, '1 day 2h'::interval AS i, '\\x00ff'::bytea AS b, 0.1::float8 + 0.2 AS f, NULL AS n")
            .unwrap();
        let row = rows.single().unwrap();
        let cells: Vec<_> = row.cells().iter().map(|c| c.as_deref()).collect();
        assert_eq!(
            cells,
            [Some("2024-05-06 07:08:09+00"), Some("P1DT2H"), Some("\\x00ff"), Some("0.30000000000000004"), None]
        );
        assert_eq!(rows.columns()[0].type_oid, 1184);
        for (setting, value) in [("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_session_timeout", "0")] {
            assert_eq!(
                connection.query(&format!("SHOW {setting}")).unwrap().single().unwrap().text(setting).unwrap(),
                value
            );
        }
        let version: u32 =
            connection.query("SHOW server_version_num").unwrap().single().unwrap().parse("server_version_num").unwrap();
        assert_eq!(connection.server_version_num(), version);
        let pid: u32 = connection.query("SELECT pg_backend_pid() AS p").unwrap().single().unwrap().parse("p").unwrap();
        assert_eq!(connection.backend_pid(), pid);
    }
}

#[test]
fn server_errors_are_typed_and_leave_the_connection_usable() {
    let database = Database::new();
    let mut sql = database.sql();
    let Err(Error::Server(e)) = sql.query("SELECT 1; SELECT nothing FROM nowhere") else { panic!("no server error") };
    assert_eq!((e.sqlstate.as_str(), e.position, e.severity.as_str()), ("42P01", Some(31), "ERROR"));
    assert!(!e.is_transient());
    assert_eq!(sql.query("SELECT 7 AS n").unwrap().single().unwrap().parse::<i32>("n").unwrap(), 7);
    assert!(sql.query("").unwrap().is_empty());
    assert!(matches!(sql.query("SELECT '\0'"), Err(Error::Options(_))));

    // A statement that is cancelled from elsewhere.
    let token = sql.cancel_token();
    let canceller = std::thread::spawn(move || token.cancel().unwrap());
    let Err(Error::Server(e)) = sql.query("SELECT pg_sleep(20)").and_then(|_| sql.query("SELECT pg_sleep(20)")) else {
        panic!("not cancelled")
    };
    canceller.join().unwrap();
    assert_eq!(e.sqlstate, "57014");

    // A time limit leaves the answer half read: the connection says so.
    sql.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(matches!(sql.query("SELECT pg_sleep(5)"), Err(Error::ReadTimeout)));
    assert!(matches!(sql.query("SELECT 1"), Err(Error::Broken)));

    let nowhere = Options::parse("host=127.0.0.1 port=1 user=postgres").unwrap();
    let e = connect(&nowhere, Mode::Sql).unwrap_err();
    assert!(e.is_transient());
    assert!(
        e.diagnostic().to_string().starts_with("error[PGS4003]: cannot connect to 127.0.0.1:1: Connection refused")
    );
    let no_database = Options { database: "pgspine no such".into(), ..database.options() };
    let Err(Error::Server(e)) = connect(&no_database, Mode::Sql) else { panic!("connected") };
    assert_eq!(e.sqlstate, "3D000");
}

#[test]
fn copy_gives_a_call_for_each_row() {
    let database = Database::new();
    let mut sql = database.sql();
    let mut rows = Vec::new();
    let count = sql
        .copy_out::<std::io::Error>(
            "COPY (SELECT g, NULL, E'a\\tb' FROM generate_series(1, 30000) g) TO STDOUT",
            &mut |row| {
                rows.push(String::from_utf8(row.to_vec()).unwrap());
                Ok(())
            },
        )
        .unwrap();
    assert_eq!((count, rows.len()), (30_000, 30_000));
    assert_eq!(rows[29_999], "30000\t\\N\ta\\tb\n");
    let failed = sql
        .copy_out::<std::io::Error>("COPY (SELECT 1/(g-5) FROM generate_series(1, 10) g) TO STDOUT", &mut |_| Ok(()));
    assert!(matches!(failed, Err(CopyError::Connection(Error::Server(e))) if e.sqlstate == "22012"));
    let refused = sql.copy_out("COPY (SELECT 1) TO STDOUT", &mut |_| Err(std::io::Error::other("full")));
    assert!(matches!(refused, Err(CopyError::Sink(_))));
    assert!(sql.is_broken());
}

#[test]
fn a_terminated_walsender_is_a_transient_error() {
    let database = Database::new();
    let start = database.slot();
    let stream = database.start(database.walsender(), start).unwrap();
    let e = database.start(database.walsender(), start).unwrap_err();
    assert!(matches!(&e, Error::SlotActive { pid: Some(pid), .. } if *pid == stream.backend_pid()), "{e}");
    assert!(e.is_transient());
    database.sql().execute(&format!("SELECT pg_terminate_backend({})", stream.backend_pid())).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    let e = loop {
        match stream.next(Duration::from_secs(1)) {
            Ok(_) => assert!(Instant::now() < end, "still running"),
            Err(e) => break e,
        }
    };
    assert!(matches!(&e, Error::Server(s) if s.sqlstate == "57P01"), "{e}");
    assert!(e.is_transient());
    assert!(matches!(stream.next(Duration::ZERO), Err(Error::Stopped)), "the error comes once");
}

#[test]
fn slots_that_cannot_be_used_are_named() {
    let (database, other) = (Database::new(), Database::new());
    let mut sql = database.sql();
    slot::check_server(&mut sql).unwrap();
    assert_eq!(slot::read(&mut sql, &database.name).unwrap(), None);
    let e = database.start(database.walsender(), Lsn::ZERO).unwrap_err();
    assert!(matches!(e, Error::SlotMissing { .. }), "{e}");

    let start = database.slot();
    let state = slot::read(&mut sql, &database.name).unwrap().unwrap();
    state.check(&database.name).unwrap();
    assert_eq!((state.confirmed_flush, state.wal_status.as_deref()), (Some(start), Some("reserved")));
    assert!(matches!(state.check(&other.name), Err(Error::SlotDatabase { .. })));
    let e = slot::create(&mut database.walsender(), "No-Name", false).unwrap_err();
    assert!(matches!(e, Error::SlotName { .. }));
    let Err(Error::Server(e)) = slot::create(&mut database.walsender(), &database.name, false) else { panic!("twice") };
    assert_eq!(e.sqlstate, "42710");

    let foreign = format!("{}_t", database.name);
    sql.execute(&format!("SELECT pg_create_logical_replication_slot('{foreign}', 'test_decoding')")).unwrap();
    let state = slot::read(&mut sql, &foreign).unwrap().unwrap();
    let e = state.check(&database.name).unwrap_err();
    assert_eq!(e.to_string(), format!("slot {foreign} belongs to plugin test_decoding, not to pgoutput"));
    slot::drop(&mut sql, &foreign).unwrap();
    assert!(matches!(slot::drop(&mut sql, &foreign), Err(Error::SlotMissing { .. })));
}

#[test]
fn a_temporary_slot_has_a_snapshot_that_ends_with_the_next_command() {
    let database = Database::new();
    let mut sql = database.sql();
    sql.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE PUBLICATION p FOR ALL TABLES")
        .unwrap();
    let made = slot::create_temporary(database.walsender(), &database.name).unwrap();
    sql.execute("INSERT INTO t VALUES (2)").unwrap();
    let seen = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'; SELECT count(*) AS n FROM t; COMMIT",
        made.snapshot
    );
    // The rows of the last statement that has any: COMMIT has none.
    assert_eq!(sql.query(&seen).unwrap().single().unwrap().parse::<u32>("n").unwrap(), 1);
    let stream = database.start(made.connection, made.consistent_point).unwrap();
    let mut table = Table::new();
    read(&stream, 1 << 20, |transaction| {
        apply(&mut table, transaction);
        true
    });
    assert_eq!(table.keys().collect::<Vec<_>>(), ["2"], "the stream begins where the snapshot ends");
    assert!(sql.query(&seen).is_err(), "the snapshot is gone");
}

#[test]
fn who_keeps_a_slot_from_being_made_is_listed() {
    let database = Database::new();
    let mut writer = database.sql();
    writer.execute("CREATE TABLE t (id int); BEGIN; INSERT INTO t VALUES (1)").unwrap();
    let mut walsender = database.walsender();
    let token = walsender.cancel_token();
    let name = database.name.clone();
    let making = std::thread::spawn(move || slot::create(&mut walsender, &name, false));
    let blockers = slot::blockers(&mut database.sql()).unwrap();
    let blocker = blockers.iter().find(|b| b.pid == Some(writer.backend_pid())).expect("our writer");
    assert_eq!((blocker.state.as_str(), blocker.name.as_str()), ("idle in transaction", "pgspine/test"));
    // Until it is made to end, it waits.
    let end = Instant::now() + Duration::from_secs(20);
    while !making.is_finished() {
        assert!(Instant::now() < end, "a cancelled creation goes on");
        token.cancel().unwrap();
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let Err(Error::Server(e)) = making.join().unwrap() else { panic!("made beside an open transaction") };
    assert_eq!(e.sqlstate, "57014");
    writer.execute("COMMIT").unwrap();
}

#[test]
fn the_system_is_identified() {
    let database = Database::new();
    let mut walsender = database.walsender();
    let system = timeline::identify(&mut walsender).unwrap();
    assert_eq!(system.database.as_deref(), Some(database.name.as_str()));
    let control = database.sql().query("SELECT system_identifier FROM pg_control_system()").unwrap();
    assert_eq!(control.single().unwrap().parse::<u64>("system_identifier").unwrap(), system.identifier);
    let history = timeline::history(&mut walsender, system.timeline).unwrap();
    assert_eq!(history.len() as u32, system.timeline - 1);
}
