//! `setup --sql`: what the owner of the database runs once, as psql takes it.
//!
//! The role gets what it needs and no more: REPLICATION, CONNECT, USAGE on the schemas, SELECT on the used columns.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::publication::WantedTable;
use crate::catalogue::{always_quote_ident, quote_literal};

pub struct Setup<'a> {
    pub role: &'a str,
    pub database: &'a str,
    pub publication: &'a str,
    pub tables: &'a [WantedTable],
    /// Of `publication::changes`.
    pub publication_statements: &'a [String],
}

pub fn sql(setup: &Setup<'_>) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(setup, &mut out);
    out
}

fn write(setup: &Setup<'_>, out: &mut String) -> std::fmt::Result {
    let role = always_quote_ident(setup.role);
    let create = format!("CREATE ROLE {role} LOGIN REPLICATION");
    writeln!(
        out,
        "-- Run as superuser, or as the tables' owner with the right to create roles, in database {}.",
        one_line(setup.database)
    )?;
    writeln!(out, "-- The server needs wal_level = logical and two free replication slots and walsenders.")?;
    writeln!(out, "-- It can be run again: what is there already stays.\n")?;
    writeln!(out, "BEGIN;\n")?;
    writeln!(out, "-- The role. It gets no password here: set one with \\password, or use certificates.")?;
    writeln!(
        out,
        "DO {} LANGUAGE plpgsql;",
        quote_literal(&format!(
            "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {0}) THEN EXECUTE {1}; \
             ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {0} AND (rolreplication OR rolsuper)) \
             THEN EXECUTE {2}; END IF; END",
            quote_literal(setup.role),
            quote_literal(&create),
            quote_literal(&format!("ALTER ROLE {role} REPLICATION"))
        ))
    )?;
    writeln!(out, "GRANT CONNECT ON DATABASE {} TO {role};\n", always_quote_ident(setup.database))?;
    writeln!(out, "-- Reading the tables: the used columns, for the first load.")?;
    let schemas: BTreeSet<&str> = setup.tables.iter().map(|t| t.name.schema.as_str()).collect();
    for schema in schemas {
        writeln!(out, "GRANT USAGE ON SCHEMA {} TO {role};", always_quote_ident(schema))?;
    }
    for table in setup.tables {
        let columns: Vec<String> = table.columns.iter().map(|c| always_quote_ident(c)).collect();
        writeln!(out, "GRANT SELECT ({}) ON {} TO {role};", columns.join(", "), table.name.to_sql())?;
    }
    if setup.publication_statements.is_empty() {
        writeln!(out, "\n-- Publication {} is as it has to be.", one_line(setup.publication))?;
    } else {
        writeln!(
            out,
            "\n-- What the stream sends: these tables, all four operations, partitions under their own names."
        )?;
        for statement in setup.publication_statements {
            writeln!(out, "{statement};")?;
        }
    }
    writeln!(
        out,
        "COMMENT ON PUBLICATION {} IS 'read by pgspine; dropping or re-creating it loses changes';",
        always_quote_ident(setup.publication)
    )?;
    writeln!(out, "\nCOMMIT;")
}

/// A name inside a comment must not end it.
fn one_line(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}
