//! Where the rows come from: a database, a slot, and connections with the pinned settings.

use super::*;

pub(super) const SETTINGS: &str = "SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; \
     SET extra_float_digits = 1; SET standard_conforming_strings = on; SET client_min_messages = error; SET statement_timeout = '20s'; \
     SET synchronous_commit = off; SET jit = off";

/// One database, one slot and the connections of a run.
pub(super) struct Source {
    pub(super) database: support::Database,
    pub(super) client: Client,
    /// Reads the slot.
    pub(super) reader: Client,
    pub(super) ours: Connection,
    pub(super) context: Arc<Context>,
    pub(super) slot: String,
}

impl Source {
    pub(super) fn new(name: &str) -> Source {
        let database = support::fresh_database(name);
        let mut client = Client::connect(&database.conninfo(), NoTls).expect("PostgreSQL is reachable");
        client.batch_execute(SETTINGS).expect("settings");
        client.batch_execute("CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE TABLE ext.flush (n int)").expect("contrib is installed");
        let mut reader = database.client();
        reader.batch_execute(SETTINGS).expect("settings");
        let slot = database.name.clone();
        reader
            .batch_execute(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"))
            .expect("a slot");
        let options = capture::Options::parse(&format!("{} sslmode=disable", database.conninfo())).expect("options");
        let mut ours = capture::connect(&options, capture::Mode::Sql).expect("PostgreSQL is reachable");
        let case = capture::catalogue::case_map(&mut ours).expect("the case map").unwrap_or_default();
        Source { database, client, reader, ours, context: Arc::new(Context { case }), slot }
    }

    pub(super) fn changes(&mut self, publication: &str) -> Vec<Message> {
        // What is decoded is what is flushed.
        for sql in ["SET synchronous_commit = on", "INSERT INTO ext.flush VALUES (1)", "SET synchronous_commit = off"] {
            self.client.batch_execute(sql).expect("a flush");
        }
        let sql = format!(
            "SELECT (lsn - '0/0')::text, data FROM pg_logical_slot_get_binary_changes('{}', NULL, NULL, \
             'proto_version', '1', 'publication_names', '{publication}', 'messages', 'true')",
            self.slot
        );
        let rows = self.reader.query(&sql, &[]).expect("changes");
        rows.iter().map(|r| Message { lsn: r.get::<_, String>(0).parse().expect("a number"), data: r.get(1) }).collect()
    }

    pub(super) fn advance(&mut self) {
        let sql = format!("SELECT pg_replication_slot_advance('{}', pg_current_wal_insert_lsn())", self.slot);
        self.reader.batch_execute(&sql).expect("the slot moves");
    }
}
