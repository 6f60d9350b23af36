//! Replication slots: looking at them, making them, and naming what keeps them from being used.
//!
//! A slot is made with the replication command, which gives the consistent point and the snapshot together
//! (the manual, "Streaming Replication Protocol": CREATE_REPLICATION_SLOT). A lost slot is never made anew here:
//! that is a gap, and a person's decision.

use super::connection::Connection;
use super::error::Error;
use super::server_error::ServerError;
use crate::catalogue::quote_literal;
use crate::lsn::Lsn;

pub const PLUGIN: &str = "pgoutput";

/// A row of `pg_replication_slots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    pub name: String,
    /// None for a physical slot.
    pub plugin: Option<String>,
    pub database: Option<String>,
    pub temporary: bool,
    pub active_pid: Option<u32>,
    pub confirmed_flush: Option<Lsn>,
    pub restart: Option<Lsn>,
    /// reserved, extended, unreserved or lost.
    pub wal_status: Option<String>,
    /// Bytes of WAL that may still be written before the slot is in danger; None if there is no limit.
    pub safe_wal_size: Option<i64>,
    pub invalidation_reason: Option<String>,
    pub failover: bool,
    pub two_phase: bool,
}

/// The answer of CREATE_REPLICATION_SLOT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub consistent_point: Lsn,
    /// Only of a slot made with an exported snapshot.
    pub snapshot: Option<String>,
}

/// A temporary slot with its exported snapshot. Both end with the connection, and the snapshot already with the
/// connection's next command.
#[derive(Debug)]
pub struct TemporarySlot {
    pub name: String,
    pub connection: Connection,
    pub consistent_point: Lsn,
    pub snapshot: String,
}

/// A transaction that the creation of a slot waits for. Without `pg_read_all_stats` only our own role's are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// None for a prepared transaction, which has no process.
    pub pid: Option<u32>,
    /// `application_name`, or the prepared transaction's gid.
    pub name: String,
    pub state: String,
    pub xact_start: String,
}

/// The slot of this name, if there is one.
pub fn read(connection: &mut Connection, name: &str) -> Result<Option<SlotState>, Error> {
    let version = connection.server_version_num();
    let since = |first: u32, column: &str, instead: &str| {
        if version >= first { column.to_owned() } else { format!("{instead} AS {column}") }
    };
    let sql = format!(
        "SELECT slot_name, plugin, database, temporary, active_pid, confirmed_flush_lsn, restart_lsn, wal_status, \
         safe_wal_size, two_phase, {}, {} FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        since(170_000, "failover", "false"),
        since(170_000, "invalidation_reason", "NULL"),
        quote_literal(name)
    );
    let rows = connection.query(&sql)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let text = |column| row.get(column).map(|c| c.map(str::to_owned));
    Ok(Some(SlotState {
        name: row.text("slot_name")?.to_owned(),
        plugin: text("plugin")?,
        database: text("database")?,
        temporary: row.bool("temporary")?,
        active_pid: row.maybe("active_pid")?,
        confirmed_flush: row.maybe("confirmed_flush_lsn")?,
        restart: row.maybe("restart_lsn")?,
        wal_status: text("wal_status")?,
        safe_wal_size: row.maybe("safe_wal_size")?,
        invalidation_reason: text("invalidation_reason")?,
        failover: row.bool("failover")?,
        two_phase: row.bool("two_phase")?,
    }))
}

impl SlotState {
    /// Ours to stream from: pgoutput, this database, and its WAL is still there. Says nothing about who reads from it.
    pub fn check(&self, database: &str) -> Result<(), Error> {
        let slot = self.name.clone();
        match self.plugin.as_deref() {
            Some(PLUGIN) => {}
            Some(other) => return Err(Error::SlotPlugin { slot, plugin: format!("plugin {other}") }),
            None => return Err(Error::SlotPlugin { slot, plugin: "physical replication".into() }),
        }
        if self.database.as_deref() != Some(database) {
            let found = self.database.clone().unwrap_or_default();
            return Err(Error::SlotDatabase { slot, found, wanted: database.to_owned() });
        }
        match (&self.invalidation_reason, self.wal_status.as_deref()) {
            (Some(reason), _) => Err(Error::SlotLost { slot, reason: reason.clone() }),
            (None, Some("lost")) => Err(Error::SlotLost { slot, reason: "wal_status = lost".into() }),
            _ => Ok(()),
        }
    }
}

/// What every slot needs of the server: `wal_level = logical`. `connection` may be of either mode.
pub fn check_server(connection: &mut Connection) -> Result<(), Error> {
    let rows = connection.query("SHOW wal_level")?;
    match rows.single()?.text("wal_level")? {
        "logical" => Ok(()),
        other => Err(Error::WalLevel(other.to_owned())),
    }
}

/// Makes a slot that stays. `connection` is a walsender. Waits for every transaction that is open now
/// (`blockers` lists them); a cancel token ends the waiting.
pub fn create(connection: &mut Connection, name: &str, failover: bool) -> Result<Created, Error> {
    check_name(name)?;
    let command = if connection.server_version_num() >= 150_000 {
        let failover = if failover && connection.server_version_num() >= 170_000 { ", FAILOVER true" } else { "" };
        format!("CREATE_REPLICATION_SLOT {name} LOGICAL {PLUGIN} (SNAPSHOT 'nothing'{failover})")
    } else {
        format!("CREATE_REPLICATION_SLOT {name} LOGICAL {PLUGIN} NOEXPORT_SNAPSHOT")
    };
    run_create(connection, name, &command)
}

/// Makes a slot that ends with the connection, and exports the snapshot of its consistent point.
pub fn create_temporary(mut connection: Connection, name: &str) -> Result<TemporarySlot, Error> {
    check_name(name)?;
    let command = if connection.server_version_num() >= 150_000 {
        format!("CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL {PLUGIN} (SNAPSHOT 'export')")
    } else {
        format!("CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL {PLUGIN} EXPORT_SNAPSHOT")
    };
    let created = run_create(&mut connection, name, &command)?;
    let no_snapshot = || Error::Answer { column: "snapshot_name".into(), value: None };
    Ok(TemporarySlot {
        name: name.to_owned(),
        connection,
        consistent_point: created.consistent_point,
        snapshot: created.snapshot.ok_or_else(no_snapshot)?,
    })
}

/// Drops a slot that nobody reads from. `connection` may be of either mode.
pub fn drop(connection: &mut Connection, name: &str) -> Result<(), Error> {
    let sql = format!("SELECT pg_catalog.pg_drop_replication_slot({})", quote_literal(name));
    connection.execute(&sql).map_err(|e| classify(e, name))
}

/// The transactions with an xid that are open now, oldest first. For the log while a slot is being made.
pub fn blockers(connection: &mut Connection) -> Result<Vec<Blocker>, Error> {
    let sql = "SELECT * FROM (SELECT pid, application_name AS name, coalesce(state, '') AS state, xact_start \
               FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid() \
               UNION ALL SELECT NULL, gid, 'prepared', prepared FROM pg_catalog.pg_prepared_xacts) b \
               ORDER BY xact_start";
    let rows = connection.query(sql)?;
    rows.iter()
        .map(|row| {
            Ok(Blocker {
                pid: row.maybe("pid")?,
                name: row.text("name")?.to_owned(),
                state: row.text("state")?.to_owned(),
                xact_start: row.get("xact_start")?.unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

/// PostgreSQL's rule (ReplicationSlotValidateName): so the name needs no quotes in a replication command.
pub fn check_name(name: &str) -> Result<(), Error> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && (1..=63).contains(&name.len()) { Ok(()) } else { Err(Error::SlotName { name: name.to_owned() }) }
}

fn run_create(connection: &mut Connection, name: &str, command: &str) -> Result<Created, Error> {
    let rows = connection.query(command).map_err(|e| classify(e, name))?;
    let row = rows.single()?;
    Ok(Created {
        consistent_point: row.parse("consistent_point")?,
        snapshot: row.get("snapshot_name")?.map(str::to_owned),
    })
}

/// Gives a server error about a slot its own name. Messages may be translated, so the SQLSTATE decides first, and
/// where one SQLSTATE means many things, the C function that raised it or the English text.
pub(super) fn classify(error: Error, slot: &str) -> Error {
    let Error::Server(e) = error else { return error };
    let says = |text: &str| e.message.contains(text);
    let slot = slot.to_owned();
    match e.sqlstate.as_str() {
        "55006" => Error::SlotActive { slot, pid: last_number(&e.message) },
        "53400" => Error::NoFreeSlot(e),
        "42704" if says("replication slot") || e.routine.as_deref() == Some("ReplicationSlotAcquire") => {
            Error::SlotMissing { slot }
        }
        "55000" if says("wal_level") => Error::WalLevel("not logical".into()),
        "55000"
            if says("can no longer access replication slot")
                || says("cannot read from logical replication slot")
                || says("can no longer get changes from replication slot") =>
        {
            Error::SlotLost { slot, reason: lost_reason(&e) }
        }
        "58P01" if says("requested WAL segment") || e.routine.as_deref() == Some("WalSndSegmentOpen") => {
            Error::SlotLost { slot, reason: lost_reason(&e) }
        }
        _ => Error::Server(e),
    }
}

fn lost_reason(e: &ServerError) -> String {
    match &e.detail {
        Some(detail) => format!("{}: {detail}", e.message),
        None => e.message.clone(),
    }
}

fn last_number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).rfind(|n| !n.is_empty())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(sqlstate: &str, message: &str) -> Error {
        Error::Server(Box::new(ServerError {
            severity: "ERROR".into(),
            sqlstate: sqlstate.into(),
            message: message.into(),
            ..Default::default()
        }))
    }

    #[test]
    fn server_errors_about_slots_get_their_names() {
        let class = |state, message| format!("{:?}", classify(server(state, message), "s"));
        assert_eq!(
            class("55006", "replication slot \"s1\" is active for PID 4711"),
            "SlotActive { slot: \"s\", pid: Some(4711) }"
        );
        assert!(class("58P01", "requested WAL segment 0001 has already been removed").starts_with("SlotLost"));
        assert!(class("55000", "can no longer access replication slot \"s\"").starts_with("SlotLost"));
        assert!(class("55000", "cannot read from logical replication slot \"s\"").starts_with("SlotLost"));
        assert!(class("53400", "all replication slots are in use").starts_with("NoFreeSlot"));
        assert!(class("42704", "replication slot \"s\" does not exist").starts_with("SlotMissing"));
        assert!(class("42501", "permission denied").starts_with("Server"));
    }

    #[test]
    fn names_are_postgres_own() {
        for good in ["a", "pgspine_shop", "0"] {
            assert!(check_name(good).is_ok());
        }
        for bad in ["", "A", "a-b", "a b", "ä", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slot_that_is_not_ours_is_named() {
        let ours = SlotState {
            name: "s".into(),
            plugin: Some("pgoutput".into()),
            database: Some("shop".into()),
            temporary: false,
            active_pid: None,
            confirmed_flush: None,
            restart: None,
            wal_status: Some("reserved".into()),
            safe_wal_size: None,
            invalidation_reason: None,
            failover: false,
            two_phase: false,
        };
        assert!(ours.check("shop").is_ok());
        let says = |state: SlotState| state.check("shop").unwrap_err().to_string();
        assert_eq!(
            says(SlotState { plugin: Some("wal2json".into()), ..ours.clone() }),
            "slot s belongs to plugin wal2json, not to pgoutput"
        );
        assert_eq!(
            says(SlotState { database: Some("x".into()), ..ours.clone() }),
            "slot s belongs to database x, not to shop"
        );
        assert_eq!(
            says(SlotState { wal_status: Some("lost".into()), ..ours.clone() }),
            "slot s is lost: wal_status = lost"
        );
        assert_eq!(
            says(SlotState { invalidation_reason: Some("idle_timeout".into()), ..ours }),
            "slot s is lost: idle_timeout"
        );
    }
}
