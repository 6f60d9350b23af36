//! `explain NAME`: the plan, what of the tables is kept, and what a change emits again.

use serde_json::{Value, json};

use crate::config::Config;
use crate::runtime::project::{self, Definition, Project, TableUse};
use crate::runtime::{Exit, Failure, unknown_transform};
use crate::transform::bind::types::full_name;
use crate::transform::{Output, Shape, explain as plan_text};

use super::args::Args;
use super::{refused, tables};

pub fn explain(args: &Args, name: &str) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let found = project(&config, name);
    let (project, from) = match found {
        Ok(found) => found,
        Err(failure) => return refused(args, &failure),
    };
    let Some(d) = project.definitions.iter().find(|d| d.file.name == name) else { return Exit::Configuration };
    let table = &project.tables[project.table_of(d)];
    if args.json {
        super::print(&format!("{}\n", document(d, table, &from)));
    } else {
        super::print(&text(d, table, &from));
    }
    Exit::Done
}

/// The project with this transform, and where its tables are from.
fn project(config: &Config, name: &str) -> Result<(Project, String), Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let known: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    if !known.contains(&name) {
        return Err(Failure::Findings(vec![unknown_transform(&known, name)]));
    }
    let tables = tables::either(config, &files)?;
    // What is wrong with the others is not asked here.
    let files = files.into_iter().filter(|f| f.name == name).collect();
    Ok((Project::bind(config, files, &tables.catalogue).map_err(Failure::Findings)?, tables.from))
}

fn text(d: &Definition, table: &TableUse, from: &str) -> String {
    let filter = d.file.select.filter.as_ref().map(|f| {
        let span = f.span;
        d.file.text[span.start as usize..span.end as usize].to_owned()
    });
    let mut out = plan_text(&d.plan, filter.as_deref(), &table.table);
    let mut line = |text: String| out.push_str(&format!("  {text}\n"));
    if !d.is_event() {
        line("a change of one row touches its own record; a change of no column above touches nothing".to_owned());
    }
    line(format!("topic    {}", d.topic));
    line(format!("state    {}", stored(table)));
    line(format!("emits    {}", emits(d, table)));
    line(format!("on error {}", on_error(d)));
    line(format!("tables as in {from}"));
    out
}

fn columns(table: &TableUse) -> Vec<&str> {
    table.columns.iter().map(|c| c.name.as_str()).collect()
}

fn stored(table: &TableUse) -> String {
    let columns = columns(table).join(", ");
    if table.inserts_only {
        return "none: an INSERT carries its row".to_owned();
    }
    match &table.identity {
        None => "none: with REPLICA IDENTITY FULL the stream brings every old row whole".to_owned(),
        Some(identity) => {
            let key: Vec<&str> = identity.iter().map(|&i| table.columns[i].name.as_str()).collect();
            format!("{} by ({}): {columns}", table.table.name, key.join(", "))
        }
    }
}

fn emits(d: &Definition, table: &TableUse) -> String {
    let name = &table.table.name;
    if d.is_event() {
        return format!("each INSERT of a row of {name} is an event; UPDATE, DELETE and TRUNCATE are none");
    }
    let truncate = match table.identity {
        None => "a TRUNCATE reads the topic back for the keys to remove",
        Some(_) => "a TRUNCATE removes every row's key",
    };
    format!("a change of a row of {name} renders that row before and after, and emits only a difference; {truncate}")
}

fn on_error(d: &Definition) -> &'static str {
    match d.on_error {
        crate::transform::source::OnError::Halt => "halt: the bridge stops before the transaction",
        crate::transform::source::OnError::DeadLetter if d.is_event() => "dead_letter: the row becomes a dead letter",
        crate::transform::source::OnError::DeadLetter => "dead_letter: the key keeps its last good value",
    }
}

fn document(d: &Definition, table: &TableUse, from: &str) -> Value {
    let output = |(i, o): (usize, &Output)| {
        let ty = match &o.shape {
            Shape::Scalar(expr) => full_name(&expr.ty),
            Shape::Record { .. } | Shape::One { .. } => "record".to_owned(),
            Shape::List { .. } => "array".to_owned(),
        };
        json!({
            "name": o.name, "type": ty, "nullable": o.shape.nullable(),
            "key": d.plan.key.iter().position(|k| *k == i).map(|p| p + 1),
        })
    };
    let identity = table.identity.as_ref().map(|i| i.iter().map(|&c| &table.columns[c].name).collect::<Vec<_>>());
    json!({
        "transform": d.file.name, "topic": d.topic, "kind": if d.is_event() { "event" } else { "entity" }, "tables": from,
        "root": table.table.name.to_string(),
        "reads": d.plan.sources[0].columns.iter().map(|c| &c.name).collect::<Vec<_>>(),
        "filter": d.file.select.filter.is_some(),
        "outputs": d.plan.outputs.iter().enumerate().map(output).collect::<Vec<_>>(),
        "identity": identity,
        "state": table.identity.is_some().then(|| columns(table)),
        "revision": d.revision,
    })
}
