//! `init`: a new project, and drafts of transforms from the catalogue.
//!
//! Everything is found out and bound before the first file is written; a file that is there is never touched, but
//! `schema.sql`, which is the database's.

mod sample;
mod select;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::capture::catalogue::{self, Wanted};
use crate::capture::options::Password;
use crate::capture::{Connection, Options};
use crate::catalogue::{Catalogue, QualifiedName, Table};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::encode::draft::{self, Note, plain};
use crate::runtime::project::{self, Project};
use crate::runtime::{Exit, Failure, options};
use crate::transform::{self, TransformFile, source};

use super::args::{Args, Init};
use super::{codes, output, print_findings, print_report, refused, tables};
use select::{Child, Drafted};

/// Where a URL with a password is taken from: no secret is written to a file that is committed.
const URL_VARIABLE: &str = "DATABASE_URL";

pub fn init(args: &Args, wish: &Init) -> Exit {
    let (config, toml) = match configuration(args, wish) {
        Ok(found) => found,
        Err(found) => {
            print_findings(args, &found);
            return Exit::Configuration;
        }
    };
    make(args, wish, &config, toml).unwrap_or_else(|failure| refused(args, &failure))
}

/// The project's configuration; the text of its file where there is none yet.
fn configuration(args: &Args, wish: &Init) -> Result<(Config, Option<String>), Vec<Diagnostic>> {
    let given = [&wish.postgres, &wish.kafka, &wish.registry, &wish.name];
    if args.config.exists() {
        if given.iter().any(|g| g.is_some()) {
            let message = format!("{} exists already: its settings hold", args.config.display());
            return Err(vec![option(
                message,
                "leave --name, --postgres, --kafka and --registry out, or edit the file",
            )]);
        }
        if wish.from_table.is_empty() {
            let message = format!("{} exists already", args.config.display());
            return Err(vec![
                Diagnostic::error(codes::FILE_EXISTS, message)
                    .help("name tables to draft transforms for: pgspine init --from-table shop.orders"),
            ]);
        }
        return Ok((Config::load(&args.config)?, None));
    }
    if !wish.from_table.is_empty() && wish.postgres.is_none() {
        let message = "--from-table asks the database, and there is no configuration that names one";
        return Err(vec![option(message, "add --postgres URL")]);
    }
    let name = wish.name.clone().unwrap_or_else(|| folder_name(&args.config));
    let mut variables: BTreeMap<String, String> =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
    let mut url = wish.postgres.clone().unwrap_or_else(|| format!("postgres://pgspine@localhost:5432/{name}"));
    if !url.contains("${") && matches!(Options::parse(&url), Ok(Options { password: Password::Value(_), .. })) {
        variables.insert(URL_VARIABLE.to_owned(), std::mem::replace(&mut url, format!("${{{URL_VARIABLE}}}")));
    }
    let kafka = wish.kafka.as_deref().unwrap_or("localhost:9092");
    let registry = wish.registry.as_deref().unwrap_or("http://localhost:8081");
    let text = format!(
        "# The keys that have no default; all the others: README.md, \"Configuration\".\n\
         [bridge]\nname = {}\n\n[postgres]\nurl = {}\n\n[kafka]\nbootstrap_servers = {}\n\n[registry]\nurl = {}\n",
        json!(name),
        json!(url),
        json!(kafka),
        json!(registry),
    );
    Ok((Config::from_text(&args.config, text.clone(), variables)?, Some(text)))
}

fn option(message: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic::error(codes::OPTION, message).help(help)
}

/// What a bridge may be called, from the project's folder.
fn folder_name(config: &Path) -> String {
    let folder = config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let name = name.trim_matches(['_', '-']).to_owned();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { "bridge".to_owned() }
}

/// A file to be written.
struct File {
    path: PathBuf,
    text: String,
}

fn make(args: &Args, wish: &Init, config: &Config, toml: Option<String>) -> Result<Exit, Failure> {
    let mut files: Vec<File> = toml.into_iter().map(|text| File { path: args.config.clone(), text }).collect();
    let mut notes = Vec::new();
    if !wish.from_table.is_empty() {
        let mut sql = tables::database(config)?;
        for table in &wish.from_table {
            draft(config, &mut sql, table, wish.nested, &mut files, &mut notes)?;
        }
    }
    write(&files, &config.bridge.transforms).map_err(Failure::Findings)?;
    let mut written: Vec<String> = files.iter().map(|f| f.path.display().to_string()).collect();
    if !wish.from_table.is_empty() {
        let path = super::schema::snapshot(config)?.0;
        written.push(path.display().to_string());
        if let Some(tables) = tables::from_file(config).map_err(Failure::Findings)? {
            let files = project::files(config).map_err(Failure::Findings)?;
            notes.extend(Project::bind_all(config, files, &tables.catalogue).1);
        }
    }
    let next = if wish.from_table.is_empty() {
        "draft a transform next: pgspine init --from-table SCHEMA.TABLE"
    } else {
        "look at the drafts, then: pgspine check --live"
    };
    let secret = files.iter().any(|f| f.path == args.config && f.text.contains(URL_VARIABLE));
    let next = match secret {
        true => format!("set {URL_VARIABLE} to the URL: it holds a password, which no file should\n{next}"),
        false => next.to_owned(),
    };
    let lead = format!("written: {}\n{next}", written.join(", "));
    print_report(args, Some(&lead), &notes, json!({ "written": written }));
    Ok(if output::has_errors(&notes) { Exit::Findings } else { Exit::Done })
}

type Bound = Result<(TransformFile, transform::Plan), Vec<Diagnostic>>;

/// The files of one transform.
fn draft(
    config: &Config,
    sql: &mut Connection,
    table: &str,
    nested: bool,
    files: &mut Vec<File>,
    notes: &mut Vec<Diagnostic>,
) -> Result<(), Failure> {
    let path = options::search_path(config);
    let wanted = wanted(table);
    let mut known = catalogue::read(sql, std::slice::from_ref(&wanted), &path)?;
    let Some(root) = known.tables.first().cloned() else {
        let message = format!("--from-table {table}: there is no such table");
        return Err(Failure::Findings(vec![option(message, "write schema.table, in double quotes as in SQL")]));
    };
    let Some(key) = select::key(&root) else {
        let message = format!("{} has no primary key, nor another unique key without NULLs", root.name);
        return Err(Failure::Findings(vec![option(message, "an entity needs a key: add one to the table")]));
    };
    let topic = topic(&root.name);
    let name = transform_name(&root.name);
    let keys = if nested { catalogue::foreign_keys(sql, root.oid)? } else { Vec::new() };
    let also: Vec<Wanted> = std::iter::once(&root.name)
        .chain(keys.iter().map(|k| &k.child))
        .map(|n| (Some(n.schema.clone()), n.name.clone()))
        .collect();
    if nested {
        known = catalogue::read(sql, &also, &path)?;
    }
    let folder = &config.bridge.transforms;
    let sql_path = folder.join(format!("{name}.sql"));
    let bind = |drafted: &Drafted| -> Bound {
        let file = source::parse_text(folder, &sql_path, drafted.text.clone())?;
        let plan = transform::bind(&file, &known)?;
        Ok((file, plan))
    };
    let mut children = Vec::new();
    for by in &keys {
        let Some(child) = known.table(Some(&by.child.schema), &by.child.name) else { continue };
        children.push(Child { table: child, by });
        if let Err(why) = fits(&children, &root, key, &topic, &bind) {
            children.pop();
            let message = format!("{} ({}) is left out: {why}", by.child, by.columns.join(", "));
            notes.push(Diagnostic::warning(codes::LEFT_OUT, message).help("write its subquery by hand"));
        }
    }
    let drafted = select::transform(&root, key, &children, &topic);
    let (file, plan) = bind(&drafted).map_err(Failure::Findings)?;
    let avsc = contract(&known, &root, &file, &plan);
    match sample::test(sql, &name, &root, &drafted) {
        Some(text) => files.push(File { path: sql_path.with_extension("test.sql"), text }),
        None => {
            let message = format!(
                "no test is drafted for {name}: no row that the table takes, with a key of integers or text, could be made up"
            );
            notes.push(Diagnostic::warning(codes::LEFT_OUT, message).help("docs/testing.md has the form"));
        }
    }
    files.push(File { path: sql_path.with_extension("avsc"), text: avsc });
    files.push(File { path: sql_path.clone(), text: drafted.text });
    Ok(())
}

/// Why the last child cannot be read beside the others.
fn fits(
    children: &[Child<'_>],
    root: &Table,
    key: &[String],
    topic: &str,
    bind: &dyn Fn(&Drafted) -> Bound,
) -> Result<(), String> {
    if children.last().is_some_and(|c| select::key(c.table).is_none()) {
        return Err("it has no key to order its rows by".to_owned());
    }
    match bind(&select::transform(root, key, children, topic)) {
        Ok(_) => Ok(()),
        Err(found) => Err(found.first().map_or_else(String::new, |f| f.message.clone())),
    }
}

fn contract(known: &Catalogue, root: &Table, file: &TransformFile, plan: &transform::Plan) -> String {
    let column = |table: &QualifiedName, column: &str| {
        known.table(Some(&table.schema), &table.name)?.column(column)?.comment.clone()
    };
    let note = Note {
        doc: root.comment.clone(),
        topic: &file.header.topic,
        column: &column,
        not_null: &file.header.not_null,
        event_id: file.header.event_id.as_deref(),
    };
    draft::contract(plan, &note)
}

/// `shop.orders`, `orders`, `"My shop"."Orders"`.
fn wanted(written: &str) -> Wanted {
    let (mut schema, mut name) = (None, String::new());
    let mut quoted = false;
    let mut rest = written.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted && schema.is_none() => schema = Some(std::mem::take(&mut name)),
            c => name.push(if quoted { c } else { c.to_ascii_lowercase() }),
        }
    }
    (schema, name)
}

/// The path below `transforms/`: the schema's folder, but not for `public`.
fn transform_name(table: &QualifiedName) -> String {
    let name = plain(&table.name);
    if table.schema == "public" { name } else { format!("{}/{name}", plain(&table.schema)) }
}

fn topic(table: &QualifiedName) -> String {
    format!("{}.v1", transform_name(table).replace('/', "."))
}

/// All of them, or none where one is there already.
fn write(files: &[File], folder: &Path) -> Result<(), Vec<Diagnostic>> {
    let there = files.iter().filter(|f| f.path.exists()).map(|f| {
        Diagnostic::error(codes::FILE_EXISTS, format!("{} exists already", f.path.display()))
            .help("move it away, or draft another table")
    });
    let there: Vec<Diagnostic> = there.collect();
    if !there.is_empty() {
        return Err(there);
    }
    let failed = |path: &Path, e: std::io::Error| {
        vec![Diagnostic::error(codes::FILE_EXISTS, format!("{} cannot be written: {e}", path.display()))]
    };
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    for file in files {
        if let Some(parent) = file.path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| failed(parent, e))?;
        }
        std::fs::write(&file.path, &file.text).map_err(|e| failed(&file.path, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_as_in_sql() {
        let check = |written: &str, schema: Option<&str>, name: &str| {
            assert_eq!(wanted(written), (schema.map(str::to_owned), name.to_owned()), "{written}");
        };
        check("orders", None, "orders");
        check("Shop.Orders", Some("shop"), "orders");
        check("\"My shop\".\"Or.der\"\"s\"", Some("My shop"), "Or.der\"s");
    }

    #[test]
    fn public_has_no_folder() {
        assert_eq!(transform_name(&QualifiedName::new("public", "orders")), "orders");
        assert_eq!(topic(&QualifiedName::new("My shop", "Or ders")), "My_shop.Or_ders.v1");
    }
}
