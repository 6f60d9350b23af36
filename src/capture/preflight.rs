//! Everything on the server that would keep us from running, all at once: for `check --live`.

use std::collections::BTreeMap;

use super::ask::{Line, Question, ReadError, question};
use super::publication::{Columns, Facts, Mode, WantedTable, plan};
use super::{Connection, catalogue_codes, codes};
use crate::catalogue::{Oid, QualifiedName, always_quote_ident};
use crate::diagnostic::Diagnostic;

const PREFLIGHT: Question = question!("preflight");

/// The oldest major version whose pgoutput and catalogue we know.
const OLDEST: u32 = 140_000;
/// One slot to stream from and one for a load; each with its walsender.
const NEEDED: i64 = 2;

/// What is going to be used.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    pub slot: &'a str,
    pub publication: &'a str,
    pub publication_mode: Mode,
    pub publication_columns: Columns,
    pub tables: &'a [WantedTable],
}

pub fn check(conn: &mut Connection, wish: &Wish<'_>) -> Result<Vec<Diagnostic>, ReadError> {
    let tables: BTreeMap<String, &[String]> =
        wish.tables.iter().map(|t| (t.oid.to_string(), t.columns.as_slice())).collect();
    let tables = serde_json::json!(tables).to_string();
    let answer = PREFLIGHT.ask(conn, &[("slot", wish.slot), ("tables", &tables)])?;
    let missing = ReadError::Answer { query: answer.query, column: "version_num", value: None };
    let line = answer.lines().next().ok_or(missing)?;

    let mut findings = Vec::new();
    server(line, &mut findings)?;
    slots(line, wish.slot, &mut findings)?;
    privileges(line, &mut findings)?;
    // The queries for a publication are those of versions that we know.
    if line.number::<u32>("version_num")? >= OLDEST {
        let facts = Facts::read(conn, wish.publication, wish.tables)?;
        let plan = plan(wish.publication_mode, wish.publication_columns, wish.publication, wish.tables, &facts);
        findings.extend(plan.findings);
    }
    Ok(findings)
}

fn server(line: Line<'_>, findings: &mut Vec<Diagnostic>) -> Result<(), ReadError> {
    let version = line.number::<u32>("version_num")?;
    if version < OLDEST {
        let message = format!("the server is PostgreSQL {}.{}", version / 10_000, version % 10_000);
        findings.push(
            Diagnostic::error(catalogue_codes::SERVER_TOO_OLD, message).help("PostgreSQL 14 is the oldest that works"),
        );
    }
    let wal_level = line.text("wal_level")?;
    if wal_level != "logical" {
        findings.push(
            Diagnostic::error(codes::WAL_LEVEL, format!("wal_level is {wal_level}, and must be logical"))
                .help("ALTER SYSTEM SET wal_level = 'logical'; then restart the server"),
        );
    }
    if line.text("wal_sender_timeout")? == "0" {
        findings.push(
            Diagnostic::warning(
                codes::NO_WAL_SENDER_TIMEOUT,
                "wal_sender_timeout is 0: streaming is slower, and a dead connection keeps the slot",
            )
            .help("ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();"),
        );
    }
    let encoding = line.text("encoding")?;
    if encoding != "UTF8" {
        let message = format!("the database's encoding is {encoding}, and must be UTF8");
        findings.push(
            Diagnostic::error(catalogue_codes::ENCODING, message)
                .help("lengths and order of text differ in other encodings: move the data to a UTF8 database"),
        );
    }
    Ok(())
}

fn slots(line: Line<'_>, slot: &str, findings: &mut Vec<Diagnostic>) -> Result<(), ReadError> {
    let exists = line.bool("slot_exists")?;
    if exists {
        let plugin = line.optional("slot_plugin")?.unwrap_or("physical replication");
        let (database, ours) = (line.optional("slot_database")?.unwrap_or("no database"), line.text("database")?);
        let help = "name another one in [postgres] slot: slot names are unique per server";
        if plugin != "pgoutput" {
            let message = format!("slot {slot} exists, and is for {plugin} instead of pgoutput");
            findings.push(Diagnostic::error(codes::SLOT_PLUGIN, message).help(help));
        } else if database != ours {
            let message = format!("slot {slot} exists in database {database}, and ours is {ours}");
            findings.push(Diagnostic::error(codes::SLOT_DATABASE, message).help(help));
        }
    }
    // A slot that is ours already has its place; its walsender may or may not be there.
    let needed = NEEDED - i64::from(exists);
    for (what, setting, max, used) in [
        ("replication slots", "max_replication_slots", "max_slots", "slots"),
        ("walsenders", "max_wal_senders", "max_senders", "senders"),
    ] {
        let (max, used) = (line.number::<i64>(max)?, line.number::<i64>(used)?);
        if max - used < needed {
            let message = format!("{needed} free {what} are needed, and {used} of {max} are in use");
            findings.push(Diagnostic::error(codes::NO_FREE_SLOT, message).help(format!(
                "ALTER SYSTEM SET {setting} = {}; then restart the server; or drop slots that nobody reads \
                 (pg_replication_slots)",
                used + NEEDED
            )));
        }
    }
    Ok(())
}

fn privileges(line: Line<'_>, findings: &mut Vec<Diagnostic>) -> Result<(), ReadError> {
    let role = always_quote_ident(line.text("role")?);
    if !line.bool("may_replicate")? {
        findings.push(
            Diagnostic::error(codes::NO_REPLICATION_RIGHT, format!("role {role} may not use replication"))
                .help(format!("ALTER ROLE {role} REPLICATION;")),
        );
    }
    let unreadable: Option<Vec<(String, String, Vec<String>)>> = line.json("unreadable")?;
    for (schema, name, columns) in unreadable.unwrap_or_default() {
        let table = QualifiedName { schema, name };
        let columns: Vec<String> = columns.iter().map(|c| always_quote_ident(c)).collect();
        let columns = columns.join(", ");
        let schema = always_quote_ident(&table.schema);
        findings.push(
            Diagnostic::error(catalogue_codes::NO_SELECT, format!("role {role} may not read {columns} of {table}"))
                .help(format!(
                    "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ({columns}) ON {} TO {role};",
                    table.to_sql()
                )),
        );
    }
    Ok(())
}

/// A result column of a SELECT as the server types it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    pub type_oid: Oid,
    pub typmod: i32,
}

/// The result columns of one SELECT, without running it: what our own types must agree with.
pub fn describe(conn: &mut Connection, select: &str) -> Result<Vec<Described>, ReadError> {
    let select = without_end(select);
    let sql = format!("SELECT * FROM (\n{select}\n) AS q LIMIT 0");
    let rows = conn.query(&sql).map_err(|e| ReadError::Query { query: "describe", source: Box::new(e) })?;
    let column =
        |c: &super::rows::ResultColumn| Described { name: c.name.clone(), type_oid: c.type_oid, typmod: c.typmod };
    Ok(rows.columns().iter().map(column).collect())
}

/// The statement without the semicolon, blanks and comments behind it.
fn without_end(sql: &str) -> &str {
    let (mut at, mut end) = (0, 0);
    while let Some(rest) = sql.get(at..).filter(|r| !r.is_empty()) {
        let after = |close: &str, from: usize| rest[from..].find(close).map_or(rest.len(), |i| from + i + close.len());
        if rest.starts_with("--") {
            at += after("\n", 2);
        } else if rest.starts_with("/*") {
            at += block_comment(rest);
        } else if rest.starts_with([' ', '\n', '\t', '\r', ';']) {
            at += 1;
        } else {
            // Inside quotes nothing is a comment. A doubled quote reads as two strings side by side, which is as good.
            at += match rest.as_bytes()[0] {
                quote @ (b'\'' | b'"') => after(if quote == b'"' { "\"" } else { "'" }, 1),
                _ => rest.chars().next().map_or(1, char::len_utf8),
            };
            end = at;
        }
    }
    &sql[..end]
}

/// The length of a block comment; PostgreSQL nests them.
fn block_comment(sql: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(i) = sql[at..].find(['/', '*']) {
        at += i;
        match sql.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    sql.len()
}
