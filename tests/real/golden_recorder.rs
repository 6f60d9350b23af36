//! Makes the captures in `tests/golden/pgoutput` anew: `PGSPINE_RECORD=1 cargo test --test real -- golden_record`.
//!
//! The bytes are a real server's; the text beside them is what our decoder makes of them, to be read by whoever
//! commits a new capture. Without PGSPINE_RECORD it records to a temporary folder, so that the recorder keeps working.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pgspine::capture::{Connection, Mode, Options, ReplicationMessage, Stream, StreamOptions, connect, slot, stream};
use pgspine::decode::{Message, text::describe};
use pgspine::lsn::{EndLsn, Lsn};

/// Name of the capture, what is done before the slot begins, and what is captured.
struct Scene {
    name: &'static str,
    before: &'static str,
    /// Each is sent as one simple query: several statements of one are one transaction.
    steps: &'static [&'static str],
}

const SCENES: &[Scene] = &[
    Scene {
        name: "identity_default",
        before: "CREATE TABLE t (id int PRIMARY KEY, a text, b text)",
        steps: &[
            "INSERT INTO t VALUES (1, 'a', NULL)",
            "UPDATE t SET a = 'b' WHERE id = 1",
            "UPDATE t SET id = 2 WHERE id = 1",
            "DELETE FROM t WHERE id = 2",
        ],
    },
    Scene {
        name: "identity_full",
        before: "CREATE TABLE t (id int PRIMARY KEY, a text, b text); ALTER TABLE t REPLICA IDENTITY FULL",
        steps: &[
            "INSERT INTO t VALUES (1, 'a', NULL)",
            "UPDATE t SET a = 'b' WHERE id = 1",
            "UPDATE t SET id = 2 WHERE id = 1",
            "DELETE FROM t WHERE id = 2",
        ],
    },
    Scene {
        name: "identity_index",
        before: "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b text); CREATE UNIQUE INDEX i ON t (a); \
                 ALTER TABLE t REPLICA IDENTITY USING INDEX i",
        steps: &[
            "INSERT INTO t VALUES (1, 'a', NULL)",
            "UPDATE t SET b = 'b' WHERE id = 1",
            "UPDATE t SET a = 'c' WHERE id = 1",
            "DELETE FROM t WHERE id = 1",
        ],
    },
    Scene {
        name: "identity_nothing",
        before: "CREATE TABLE t (id int PRIMARY KEY, a text); ALTER TABLE t REPLICA IDENTITY NOTHING",
        steps: &["INSERT INTO t VALUES (1, 'a')"],
    },
    Scene {
        name: "unchanged_toast",
        before: "CREATE TABLE t (id int PRIMARY KEY, n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL; \
                 CREATE TABLE f (id int PRIMARY KEY, n int, big text); ALTER TABLE f ALTER big SET STORAGE EXTERNAL; \
                 ALTER TABLE f REPLICA IDENTITY FULL",
        steps: &[
            "INSERT INTO t VALUES (1, 1, repeat('0123456789', 300)); INSERT INTO f SELECT * FROM t",
            "UPDATE t SET n = 2; UPDATE f SET n = 2",
            "UPDATE t SET id = 2",
            "UPDATE t SET big = 'short'; UPDATE f SET big = NULL",
        ],
    },
    Scene {
        name: "truncate",
        before: "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a); \
                 CREATE TABLE c (id serial PRIMARY KEY)",
        steps: &[
            "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
            "TRUNCATE a CASCADE",
            "TRUNCATE b, c RESTART IDENTITY",
        ],
    },
    Scene {
        name: "generated_columns",
        before: "CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, z text)",
        steps: &["INSERT INTO t (id, n, z) VALUES (1, 2, 'z')", "UPDATE t SET n = 3"],
    },
    Scene {
        name: "types",
        before: "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN positive AS int CHECK (value > 0); \
                 CREATE TYPE pair AS (x int, y text); \
                 CREATE TABLE t (id positive PRIMARY KEY, m mood, ms mood[], n numeric, ns numeric(10,2)[], d date, \
                 ts timestamptz, tl timestamp, ti time, iv interval, b bytea, f float8, c char(5), j jsonb, p pair, \
                 u uuid, bo bool, tt text[])",
        steps: &[
            "INSERT INTO t VALUES (1, 'happy', '{sad,NULL,happy}', 'NaN', '{1.10,NULL}', 'infinity', '-infinity', \
             '0044-03-15 12:00 BC', '24:00', '1 year -2 days 03:04:05.6', '\\x00ff', '-0', 'ab', '{\"a\": [1, null]}', \
             '(1,\"x y\")', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, '[2:3]={\"NULL\",NULL}')",
            "INSERT INTO t (id, n, d, f, b, tt) VALUES (2, 'Infinity', '294276-12-31', 'NaN', '', '{}')",
        ],
    },
    Scene {
        name: "origin",
        before: "CREATE TABLE t (id int PRIMARY KEY); \
                 SELECT pg_replication_origin_create('pgspine_golden_origin')",
        steps: &[
            "SELECT pg_replication_origin_session_setup('pgspine_golden_origin')",
            "BEGIN; SELECT pg_replication_origin_xact_setup('0/ABCDEF', '2020-01-01 00:00:00+00'); \
             INSERT INTO t VALUES (1); COMMIT",
            "SELECT pg_replication_origin_session_reset()",
            "INSERT INTO t VALUES (2)",
        ],
    },
    Scene {
        name: "logical_messages",
        before: "CREATE TABLE t (id int PRIMARY KEY)",
        steps: &[
            "BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'pgspine', 'inside'); COMMIT",
            "SELECT pg_logical_emit_message(true, 'pgspine', 'alone')",
            "SELECT pg_logical_emit_message(false, 'other', '\\x00ff80'::bytea)",
            "BEGIN; SELECT pg_logical_emit_message(true, 'pgspine', 'lost'); \
             SELECT pg_logical_emit_message(false, 'pgspine', 'kept'); ROLLBACK",
            "INSERT INTO t VALUES (2)",
        ],
    },
    Scene {
        name: "savepoints",
        before: "CREATE TABLE t (id int PRIMARY KEY, a text)",
        steps: &[
            "BEGIN; INSERT INTO t VALUES (1, 'a'); SAVEPOINT s; INSERT INTO t VALUES (2, 'gone'); ROLLBACK TO s; \
             INSERT INTO t VALUES (3, 'c'); SAVEPOINT r; UPDATE t SET a = 'd' WHERE id = 3; RELEASE r; COMMIT",
            "BEGIN; INSERT INTO t VALUES (4, 'rolled back'); ROLLBACK",
        ],
    },
    Scene {
        name: "ddl_in_a_transaction",
        before: "CREATE TABLE t (id int PRIMARY KEY, a text)",
        steps: &[
            "BEGIN; INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD b int DEFAULT 7; INSERT INTO t VALUES (2, 'b', 8); \
             ALTER TABLE t DROP a; UPDATE t SET b = 9 WHERE id = 1; COMMIT",
            "INSERT INTO t VALUES (3, 10)",
        ],
    },
    Scene {
        name: "partitions",
        before: "CREATE TABLE t (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
                 CREATE TABLE t_2024 (at date NOT NULL, id int NOT NULL); \
                 ALTER TABLE t ATTACH PARTITION t_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); \
                 CREATE TABLE t_2025 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        steps: &[
            "INSERT INTO t VALUES (1, '2024-05-05'), (2, '2025-05-05'), (3, '2024-07-07')",
            "UPDATE t SET at = '2025-06-06' WHERE id = 1",
            "TRUNCATE t_2025",
            "DELETE FROM t",
        ],
    },
    Scene {
        name: "two_phase",
        before: "CREATE TABLE t (id int PRIMARY KEY)",
        steps: &[
            "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'pgspine_golden_2pc'",
            "INSERT INTO t VALUES (2)",
            "COMMIT PREPARED 'pgspine_golden_2pc'",
            "BEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'pgspine_golden_2pc'",
            "ROLLBACK PREPARED 'pgspine_golden_2pc'",
            "INSERT INTO t VALUES (4)",
        ],
    },
    Scene {
        name: "keys_that_swap",
        before: "CREATE TABLE t (id int PRIMARY KEY, d int UNIQUE DEFERRABLE INITIALLY DEFERRED, a text)",
        steps: &[
            "INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 3) g",
            "BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 1, 'again'); COMMIT",
            "UPDATE t SET id = id + 10",
        ],
    },
    Scene {
        name: "names",
        before: "CREATE SCHEMA \"Üm\"; CREATE TABLE \"Üm\".\"a \"\"b\" (\"Id\" int PRIMARY KEY, \"id\" text)",
        steps: &["INSERT INTO \"Üm\".\"a \"\"b\" VALUES (1, 'ß')"],
    },
];

const DATABASE: &str = "pgspine_golden";

#[test]
fn golden_record() {
    let server = std::env::var("PGSPINE_TEST_POSTGRES").expect("PGSPINE_TEST_POSTGRES is not set: `make test` sets it");
    let temporary = tempfile::tempdir().unwrap();
    let folder = match std::env::var_os("PGSPINE_RECORD") {
        Some(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pgoutput"),
        None => temporary.path().to_path_buf(),
    };
    std::fs::create_dir_all(&folder).unwrap();
    let mut admin = connect(&Options::parse(&server).unwrap(), Mode::Sql).unwrap();
    for scene in SCENES {
        let database = format!("{DATABASE}_{}", std::process::id());
        admin.execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).unwrap();
        admin.execute(&format!("CREATE DATABASE {database}")).unwrap();
        let _ = admin.execute("SELECT pg_replication_origin_drop('pgspine_golden_origin')");
        let recorded = record(&format!("{server} dbname={database}"), scene);
        admin.execute(&format!("DROP DATABASE {database} WITH (FORCE)")).unwrap();
        assert!(!recorded.is_empty(), "{}: nothing came", scene.name);
        write(&folder, scene.name, &recorded);
    }
    let _ = admin.execute("SELECT pg_replication_origin_drop('pgspine_golden_origin')");
}

fn record(server: &str, scene: &Scene) -> Vec<Vec<u8>> {
    let mut options = Options::parse(server).unwrap();
    options.search_path = "public".into();
    let mut sql = connect(&options, Mode::Sql).unwrap();
    sql.execute(scene.before).unwrap();
    sql.execute("CREATE PUBLICATION golden FOR ALL TABLES").unwrap();
    let slot_name = format!("pgspine_golden_{}", std::process::id());
    let made = slot::create_temporary(connect(&options, Mode::Replication).unwrap(), &slot_name).unwrap();
    for step in scene.steps {
        sql.execute(step).unwrap_or_else(|e| panic!("{}: {step}: {}", scene.name, e.diagnostic()));
    }
    let end = current_lsn(&mut sql);
    let stream = stream::start(
        made.connection,
        StreamOptions {
            slot: slot_name,
            publications: vec!["golden".into()],
            start: made.consistent_point,
            confirmed: EndLsn::ZERO,
            queue_bytes: 1 << 24,
            probe: None,
        },
    )
    .unwrap();
    until(&stream, end)
}

pub fn current_lsn(sql: &mut Connection) -> Lsn {
    // Asynchronous commit leaves the last record unflushed; the walsender sends flushed WAL only.
    sql.query("SELECT pg_current_wal_insert_lsn() AS l").unwrap().single().unwrap().parse("l").unwrap()
}

/// Payloads up to the keepalive that says: everything before `end` has been sent.
pub fn until(stream: &Stream, end: Lsn) -> Vec<Vec<u8>> {
    let (mut out, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    loop {
        assert!(Instant::now() < deadline, "the stream did not reach {end}");
        let Some(chunk) = stream.next(Duration::from_secs(1)).unwrap() else { continue };
        for message in chunk.messages() {
            match message.unwrap() {
                ReplicationMessage::XLogData { payload, .. } => out.push(payload.to_vec()),
                ReplicationMessage::Keepalive { wal_end, .. } if wal_end >= end => return out,
                ReplicationMessage::Keepalive { .. } => {}
            }
        }
        stream.recycle(chunk);
    }
}

fn write(folder: &Path, name: &str, payloads: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    let mut text = String::new();
    for payload in payloads {
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        bytes.extend_from_slice(payload);
        text.push_str(&describe(&Message::parse(payload).unwrap()));
        text.push('\n');
    }
    let path: PathBuf = folder.join(name);
    std::fs::write(path.with_extension("bin"), bytes).unwrap();
    std::fs::write(path.with_extension("txt"), text).unwrap();
}
