//! `schema pull`, `schema check`, `schema draft`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use crate::capture::schema_sql;
use crate::catalogue::Catalogue;
use crate::catalogue::QualifiedName;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::encode::draft::{self, Note};
use crate::runtime::project::{self, Project};
use crate::runtime::{Exit, Failure, unknown_transform};
use crate::transform::parse::schema;
use crate::transform::{self, TransformFile};

use super::args::{Args, Schema};
use super::{codes, output, print_report, refused, tables};

pub fn schema(args: &Args, command: &Schema) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let result = match command {
        Schema::Pull => pull(args, &config),
        Schema::Check => check(args, &config),
        Schema::Draft { name } => draft(&config, name),
    };
    result.unwrap_or_else(|failure| refused(args, &failure))
}

fn pull(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let (path, catalogue, missing) = snapshot(config)?;
    let names: Vec<String> = catalogue.tables.iter().map(|t| t.name.to_string()).collect();
    let lead = format!("{} written: {}", path.display(), names.join(", "));
    print_report(args, Some(&lead), &missing, json!({ "file": path.display().to_string(), "tables": names }));
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Findings })
}

/// Writes `schema.sql`: where it is, what it holds, and what the transforms name beyond it.
pub(super) fn snapshot(config: &Config) -> Result<(PathBuf, Catalogue, Vec<Diagnostic>), Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let tables = tables::from_database(config, &mut tables::database(config)?, &files)?;
    let missing = missing(&files, &tables.catalogue);
    let path = tables::file(config);
    // Under another name first: a reader never sees half of it.
    let part = path.with_extension("sql.part");
    let written =
        std::fs::write(&part, schema_sql::write(&tables.catalogue)).and_then(|()| std::fs::rename(&part, &path));
    if let Err(e) = written {
        let message = format!("{} cannot be written: {e}", path.display());
        return Err(Failure::Findings(vec![Diagnostic::error(codes::SCHEMA_FILE, message)]));
    }
    Ok((path, tables.catalogue, missing))
}

/// Tables that the transforms name and the database does not have: the binder says where.
fn missing(files: &[TransformFile], catalogue: &Catalogue) -> Vec<Diagnostic> {
    let found = files.iter().filter_map(|f| transform::bind(f, catalogue).err()).flatten();
    found.filter(|d| d.code == transform::codes::UNKNOWN_TABLE).collect()
}

fn check(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let now = tables::from_database(config, &mut tables::database(config)?, &files)?;
    let path = tables::file(config);
    let mut findings = match std::fs::read_to_string(&path) {
        Err(e) => {
            let message = format!("{} cannot be read: {e}", path.display());
            vec![Diagnostic::error(codes::SCHEMA_FILE, message).help("`pgspine schema pull` writes it")]
        }
        Ok(text) => {
            // A file that cannot be read at all is worth its place.
            match schema::read(&text) {
                Err(e) => vec![transform::source::from_parse(&path, &text, e)],
                Ok(_) => differences(&text, &schema_sql::write(&now.catalogue)),
            }
        }
    };
    findings.extend(Project::bind_all(config, files, &now.catalogue).1);
    print_report(args, None, &findings, json!({}));
    Ok(if output::has_errors(&findings) { Exit::Findings } else { Exit::Done })
}

/// Statement by statement; a table's lines one by one.
fn differences(file: &str, database: &str) -> Vec<Diagnostic> {
    let (file, database) = (statements(file), statements(database));
    let mut findings = Vec::new();
    let names: BTreeSet<&String> = file.iter().chain(&database).map(|(name, _)| name).collect();
    for name in names {
        let of = |all: &[(String, BTreeSet<String>)]| -> BTreeSet<String> {
            all.iter().filter(|(n, _)| n == name).flat_map(|(_, lines)| lines.clone()).collect()
        };
        let (old, new) = (of(&file), of(&database));
        let gone = old.difference(&new).map(|l| format!("-{l}"));
        let came = new.difference(&old).map(|l| format!("+{l}"));
        let lines: Vec<String> = gone.chain(came).collect();
        if !lines.is_empty() {
            findings.push(
                Diagnostic::error(
                    codes::SCHEMA_DIFFERS,
                    format!("{name}: schema.sql (-) and the database (+) differ: {}", lines.join(" ")),
                )
                .help("`pgspine schema pull` takes the database's; then look at what `pgspine check` says"),
            );
        }
    }
    findings
}

/// By what they are about: the words up to the name, `CREATE TABLE "shop"."orders"`.
fn statements(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut all = Vec::new();
    if let Some(head) = text.lines().next() {
        // A minor release changes no answer.
        let head = head
            .split_whitespace()
            .map(|w| w.split_once('.').filter(|_| w.starts_with("server=")).map_or(w, |(major, _)| major));
        all.push(("server".to_owned(), head.map(str::to_owned).collect()));
    }
    for statement in text.split(";\n") {
        let lines: Vec<&str> =
            statement.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("--")).collect();
        let Some(first) = lines.first() else { continue };
        let name = first.trim_end_matches('(').trim_end();
        let lines = if lines.len() > 1 { &lines[1..] } else { &lines[..] };
        all.push((name.to_owned(), lines.iter().map(|l| l.trim_end_matches(',').to_owned()).collect()));
    }
    all
}

fn draft(config: &Config, name: &str) -> Result<Exit, Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let known: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    let Some(file) = files.iter().find(|f| f.name == name) else {
        return Err(Failure::Findings(vec![unknown_transform(&known, name)]));
    };
    let tables = tables::either(config, &files)?;
    let plan = transform::bind(file, &tables.catalogue).map_err(Failure::Findings)?;
    let root = tables.catalogue.table(Some(&plan.sources[0].table.schema), &plan.sources[0].table.name);
    let comment = |table: &QualifiedName, column: &str| {
        tables.catalogue.table(Some(&table.schema), &table.name)?.column(column)?.comment.clone()
    };
    let doc = file.header.doc.clone().or_else(|| root.and_then(|t| t.comment.clone()));
    let note = Note {
        doc,
        topic: &file.header.topic,
        column: &comment,
        not_null: &file.header.not_null,
        event_id: file.header.event_id.as_deref(),
    };
    super::print(&draft::contract(&plan, &note));
    Ok(Exit::Done)
}
