//! Writes `schema.sql`: the used tables and types as plain SQL, so that `check` needs no database.
//!
//! psql runs it on an empty database, and the catalogue read from there is the same value. The order is fixed, so that
//! a diff of two snapshots shows what changed.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::catalogue::{
    Catalogue, CollationProvider, Column, ColumnType, Index, QualifiedName, ReplicaIdentity, Table, TableKind, Type,
    always_quote_ident, quote_literal,
};

mod type_name;

use type_name::type_name;

pub fn write(catalogue: &Catalogue) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(catalogue, &mut out);
    out
}

fn write_all(catalogue: &Catalogue, out: &mut String) -> std::fmt::Result {
    let server = &catalogue.server;
    let provider = match server.provider {
        CollationProvider::Libc => "libc",
        CollationProvider::Icu => "icu",
        CollationProvider::Builtin => "builtin",
    };
    write!(out, "-- pgspine server={}.{}", server.version_num / 10_000, server.version_num % 10_000)?;
    write!(out, " collate={} provider={provider}", server.collate)?;
    if server.ctype != server.collate {
        write!(out, " ctype={}", server.ctype)?;
    }
    if server.encoding != "UTF8" {
        write!(out, " encoding={}", server.encoding)?;
    }
    writeln!(out, "\n-- Written by `pgspine schema pull`: the tables and types that transforms use.")?;

    let mut used = Used::default();
    let mut tables: Vec<&Table> = catalogue.tables.iter().collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    for table in &tables {
        used.schema(&table.name);
        table.leaves.iter().for_each(|leaf| used.schema(&leaf.name));
        table.columns.iter().for_each(|c| used.column_type(&c.ty));
    }
    catalogue.user_functions.iter().for_each(|f| used.schema(f));
    used.write(out)?;
    for f in &catalogue.user_functions {
        writeln!(out, "\n-- A function by the name of a built-in one: calls by that name could mean it.")?;
        writeln!(out, "CREATE FUNCTION {}() RETURNS integer LANGUAGE sql AS 'SELECT 1';", f.to_sql())?;
    }
    tables.iter().try_for_each(|t| write_table(t, out))
}

/// Types, schemas, extensions and collations to be made first. Types in the order in which they need each other.
#[derive(Default)]
struct Used {
    schemas: BTreeSet<String>,
    extensions: BTreeSet<&'static str>,
    collations: BTreeSet<String>,
    seen: BTreeSet<QualifiedName>,
    types: Vec<String>,
}

impl Used {
    fn schema(&mut self, name: &QualifiedName) {
        if name.schema != "public" && name.schema != "pg_catalog" {
            self.schemas.insert(name.schema.clone());
        }
    }

    fn column_type(&mut self, ty: &ColumnType) {
        self.ty(&ty.ty);
        if let Some(collation) = ty.collation.as_ref().filter(|c| c.contains('.') && !c.starts_with("C.")) {
            self.collations.insert(collation.clone());
        }
        if let Some(domain) = &ty.domain
            && self.seen.insert(domain.clone())
        {
            self.schema(domain);
            let base = ColumnType { domain: None, collation: None, ..ty.clone() };
            self.types.push(format!("CREATE DOMAIN {} AS {};", domain.to_sql(), type_name(&base)));
        }
    }

    fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Citext => {
                self.extensions.insert("citext");
            }
            Type::Array(element) => self.ty(element),
            Type::Enum(e) if self.seen.insert(e.name.clone()) => {
                self.schema(&e.name);
                let labels: Vec<String> = e.labels.iter().map(|l| quote_literal(l)).collect();
                self.types.push(format!("CREATE TYPE {} AS ENUM ({});", e.name.to_sql(), labels.join(", ")));
            }
            Type::Composite(c) if self.seen.insert(c.name.clone()) => {
                self.schema(&c.name);
                c.fields.iter().for_each(|(_, field)| self.column_type(field));
                let fields: Vec<String> =
                    c.fields.iter().map(|(name, ty)| format!("{} {}", always_quote_ident(name), typed(ty))).collect();
                self.types.push(format!("CREATE TYPE {} AS ({});", c.name.to_sql(), fields.join(", ")));
            }
            Type::Other(o) if o.name.schema != "pg_catalog" && self.seen.insert(o.name.clone()) => {
                self.schema(&o.name);
                match extension(&o.name.name) {
                    Some(extension) => {
                        self.extensions.insert(extension);
                    }
                    // Only its name and that it is none of ours matter; any range type says that.
                    None => self.types.push(format!("CREATE TYPE {} AS RANGE (subtype = integer);", o.name.to_sql())),
                }
            }
            _ => {}
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        if !self.schemas.is_empty() {
            writeln!(out)?;
        }
        for schema in &self.schemas {
            writeln!(out, "CREATE SCHEMA {};", always_quote_ident(schema))?;
        }
        for extension in &self.extensions {
            writeln!(out, "\nCREATE EXTENSION IF NOT EXISTS {extension};")?;
        }
        for collation in &self.collations {
            writeln!(out, "\n-- Stands for a collation of your own: it is known by its name alone.")?;
            writeln!(out, "CREATE COLLATION {collation} (provider = icu, locale = 'und', deterministic = false);")?;
        }
        for ty in &self.types {
            writeln!(out, "\n{ty}")?;
        }
        Ok(())
    }
}

/// Extensions of PostgreSQL's own distribution whose types are known by their names.
fn extension(ty: &str) -> Option<&'static str> {
    Some(match ty {
        "hstore" => "hstore",
        "ltree" | "lquery" | "ltxtquery" => "ltree",
        "cube" => "cube",
        "seg" => "seg",
        "isbn" | "isbn13" | "issn" | "issn13" | "ismn" | "ismn13" | "ean13" | "upc" => "isn",
        _ => return None,
    })
}

fn write_table(table: &Table, out: &mut String) -> std::fmt::Result {
    let name = &table.name.to_sql();
    match table.kind {
        TableKind::Ordinary | TableKind::Partitioned => {}
        // What stands behind it does not matter: neither can be read from the stream.
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign => return write_view(table, out),
    }
    let mut parts: Vec<String> = table.columns.iter().map(column).collect();
    if let Some(key) = table.indexes.iter().find(|i| i.primary) {
        let deferrable = if key.immediate { "" } else { " DEFERRABLE" };
        parts.push(format!("CONSTRAINT {} PRIMARY KEY ({}){deferrable}", always_quote_ident(&key.name), columns(key)));
    }
    for index in table.indexes.iter().filter(|i| !i.primary && i.unique && !i.immediate) {
        parts.push(format!("CONSTRAINT {} UNIQUE ({}) DEFERRABLE", always_quote_ident(&index.name), columns(index)));
    }
    let (later, now): (Vec<_>, Vec<_>) = table.checks.iter().partition(|c| c.definition.ends_with(" NOT VALID"));
    for check in now {
        parts.push(format!("CONSTRAINT {} {}", always_quote_ident(&check.name), check.definition));
    }
    // The key by which it was partitioned is not ours to know; any column of a partitioned table's keys will do.
    let partitioned = if table.kind == TableKind::Partitioned {
        let column = table.indexes.iter().find(|i| i.unique).and_then(|i| i.columns.first());
        let column = column.or_else(|| table.columns.first().map(|c| &c.name));
        column.map_or(String::new(), |c| format!(" PARTITION BY LIST ({})", always_quote_ident(c)))
    } else {
        String::new()
    };
    writeln!(out, "\nCREATE TABLE {name} (\n    {}\n){partitioned};", parts.join(",\n    "))?;
    for check in later {
        writeln!(out, "ALTER TABLE {name} ADD CONSTRAINT {} {};", always_quote_ident(&check.name), check.definition)?;
    }
    for (i, leaf) in table.leaves.iter().enumerate() {
        writeln!(out, "CREATE TABLE {} PARTITION OF {name} FOR VALUES IN ('{}');", leaf.name.to_sql(), i + 1)?;
        write_identity(&leaf.name.to_sql(), &leaf.replica_identity, out)?;
    }
    for index in table.indexes.iter().filter(|i| !i.primary && (!i.unique || i.immediate)) {
        write_index(name, index, out)?;
    }
    write_identity(name, &table.replica_identity, out)?;
    if let Some(comment) = &table.comment {
        writeln!(out, "COMMENT ON TABLE {name} IS {};", quote_literal(comment))?;
    }
    write_column_comments(table, out)
}

fn write_column_comments(table: &Table, out: &mut String) -> std::fmt::Result {
    for c in &table.columns {
        if let Some(comment) = &c.comment {
            writeln!(
                out,
                "COMMENT ON COLUMN {}.{} IS {};",
                table.name.to_sql(),
                always_quote_ident(&c.name),
                quote_literal(comment)
            )?;
        }
    }
    Ok(())
}

fn write_view(table: &Table, out: &mut String) -> std::fmt::Result {
    let word = if table.kind == TableKind::MaterializedView { "MATERIALIZED VIEW" } else { "VIEW" };
    let columns: Vec<String> =
        table.columns.iter().map(|c| format!("NULL::{} AS {}", typed(&c.ty), always_quote_ident(&c.name))).collect();
    writeln!(out, "\nCREATE {word} {} AS SELECT {};", table.name.to_sql(), columns.join(", "))
}

fn write_index(table: &str, index: &Index, out: &mut String) -> std::fmt::Result {
    // Expressions and conditions are not known here, nor of any use to us but that they are there.
    if index.columns.is_empty() || !index.valid {
        return Ok(());
    }
    let unique = if index.unique { "UNIQUE " } else { "" };
    // Which rows it holds is not ours to know, only that it does not hold all.
    let partial = match index.columns.first() {
        Some(column) if index.partial => format!(" WHERE {} IS NOT NULL", always_quote_ident(column)),
        _ => String::new(),
    };
    writeln!(out, "CREATE {unique}INDEX {} ON {table} ({}){partial};", always_quote_ident(&index.name), columns(index))
}

fn write_identity(table: &str, identity: &ReplicaIdentity, out: &mut String) -> std::fmt::Result {
    let identity = match identity {
        ReplicaIdentity::Default => return Ok(()),
        ReplicaIdentity::Nothing => "NOTHING".to_owned(),
        ReplicaIdentity::Full => "FULL".to_owned(),
        ReplicaIdentity::Index(index) => format!("USING INDEX {}", always_quote_ident(index)),
    };
    writeln!(out, "ALTER TABLE {table} REPLICA IDENTITY {identity};")
}

fn column(c: &Column) -> String {
    let not_null = if c.not_null { " NOT NULL" } else { "" };
    // Its expression is not known here; a generated column is used by nothing but its name.
    let generated = if c.generated { " GENERATED ALWAYS AS (NULL) STORED" } else { "" };
    format!("{} {}{generated}{not_null}", always_quote_ident(&c.name), typed(&c.ty))
}

fn typed(ty: &ColumnType) -> String {
    match &ty.collation {
        None => type_name(ty),
        Some(c) if c.contains('.') && !c.starts_with("C.") => format!("{} COLLATE {c}", type_name(ty)),
        Some(c) => format!("{} COLLATE {}", type_name(ty), always_quote_ident(c)),
    }
}

fn columns(index: &Index) -> String {
    index.columns.iter().map(|c| always_quote_ident(c)).collect::<Vec<_>>().join(", ")
}
