//! `explain NAME`: the plan, what of its tables is kept, what a change emits again, and what it will cost.

mod document;

use crate::capture::statistics::{self, TableStatistics};
use crate::catalogue::Table;
use crate::config::Config;
use crate::runtime::project::{self, Definition, Project};
use crate::runtime::tables::TableUse;
use crate::runtime::{Exit, Failure, unknown_transform};
use crate::transform::Explained;

use super::args::Args;
use super::estimate::{Estimate, about, bytes};
use super::{refused, tables};

pub fn explain(args: &Args, name: &str, live: bool) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let known = match known(&config, name, live) {
        Ok(known) => known,
        Err(failure) => return refused(args, &failure),
    };
    let Some(d) = known.project.definitions.iter().find(|d| d.file.name == name) else { return Exit::Configuration };
    let explained = Explained::of(&d.plan);
    let all: Vec<&Table> = known.project.tables.iter().map(|t| &t.table).collect();
    let subject = Subject {
        d,
        explained: &explained,
        project: &known.project,
        from: &known.from,
        estimate: known.statistics.as_ref().map(|s| Estimate::new(&explained, &all, s)),
    };
    if args.json {
        super::print(&format!("{}\n", subject.document()));
    } else {
        super::print(&subject.text());
    }
    Exit::Done
}

/// The project with this transform, where its tables are from, and what the database knows of their contents.
struct Known {
    project: Project,
    from: String,
    statistics: Option<Vec<TableStatistics>>,
}

fn known(config: &Config, name: &str, live: bool) -> Result<Known, Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    if !names.contains(&name) {
        return Err(Failure::Findings(vec![unknown_transform(&names, name)]));
    }
    let snapshot = if live { None } else { tables::from_file(config).map_err(Failure::Findings)? };
    let (tables, statistics) = match snapshot {
        Some(tables) => (tables, None),
        None => {
            let mut sql = tables::database(config)?;
            let tables = tables::from_database(config, &mut sql, &files)?;
            let oids: Vec<_> = tables.catalogue.tables.iter().map(|t| t.oid).collect();
            (tables, Some(statistics::read(&mut sql, &oids)?))
        }
    };
    // What is wrong with the others is not asked here.
    let files = files.into_iter().filter(|f| f.name == name).collect();
    let project = Project::bind(config, files, &tables.catalogue).map_err(Failure::Findings)?;
    Ok(Known { project, from: tables.from, statistics })
}

/// A transform with all that is known of it.
struct Subject<'a> {
    d: &'a Definition,
    explained: &'a Explained<'a>,
    project: &'a Project,
    from: &'a str,
    estimate: Option<Estimate<'a>>,
}

/// A table of the transform as it stands in the state.
struct Kept<'a> {
    table: &'a TableUse,
    /// The first source that reads it.
    source: u16,
    /// By what its rows are kept; None: by the whole row.
    by: Option<Vec<&'a str>>,
    /// Beside that: the columns by which joins find its rows.
    indexes: Vec<Vec<&'a str>>,
}

impl<'a> Subject<'a> {
    fn root(&self) -> &'a TableUse {
        &self.project.tables[self.project.table_of(self.d)]
    }

    /// The tables that are stored, each once.
    fn kept(&self) -> Vec<Kept<'a>> {
        let stored = self.project.tables_of(self.d).into_iter().map(|t| &self.project.tables[t]);
        let kept = stored.filter(|t| t.stored()).filter_map(|table| {
            let name = |c: &usize| table.columns[*c].name.as_str();
            let source = self.d.plan.sources.iter().position(|s| s.table == table.table.name)?;
            Some(Kept {
                table,
                source: source as u16,
                by: table.identity.as_ref().map(|i| i.iter().map(name).collect()),
                indexes: table.indexes.iter().map(|i| i.iter().map(|(c, _)| name(c)).collect()).collect(),
            })
        });
        kept.collect()
    }

    fn text(&self) -> String {
        let d = self.d;
        let filter = d.file.select.filter.as_ref().map(|f| {
            let span = f.span;
            d.file.text[span.start as usize..span.end as usize].to_owned()
        });
        let mut out = self.explained.text(filter.as_deref(), &self.root().table);
        if !d.is_event() {
            out.push_str(&self.explained.touches_text());
        }
        let mut line = |text: String| out.push_str(&format!("  {text}\n"));
        line(format!("topic    {}", d.topic));
        let kept = self.kept();
        if self.root().inserts_only {
            line(format!("state    none of {}: an INSERT carries its row", self.root().table.name));
        } else if kept.is_empty() {
            line("state    none: with REPLICA IDENTITY FULL the stream brings every old row whole".to_owned());
        }
        for kept in &kept {
            line(format!("state    {}", self.stored(kept)));
        }
        for source in (1..d.plan.sources.len() as u16).filter(|_| !d.is_event()) {
            if let Some(text) = self.fan_out(source) {
                line(format!("fan-out  {text}"));
            }
        }
        line(format!("emits    {}", self.emits()));
        line(format!("on error {}", on_error(d)));
        line(format!("tables as in {}", self.from));
        out
    }

    fn stored(&self, kept: &Kept<'_>) -> String {
        let columns: Vec<&str> = kept.table.columns.iter().map(|c| c.name.as_str()).collect();
        let mut text = match &kept.by {
            Some(by) => format!("{} by ({}): {}", kept.table.table.name, by.join(", "), columns.join(", ")),
            None => format!("{} by the whole row: {}", kept.table.table.name, columns.join(", ")),
        };
        for index in &kept.indexes {
            text.push_str(&format!("; found by ({})", index.join(", ")));
        }
        if let Some(estimate) = &self.estimate {
            text.push_str(&match size(estimate, kept) {
                Some(size) => format!("; about {} rows, {}", about(size.rows), bytes(size.bytes)),
                None => "; ANALYZE has not counted its rows".to_owned(),
            });
        }
        text
    }

    fn fan_out(&self, source: u16) -> Option<String> {
        let fan_out = self.estimate.as_ref()?.fan_out(source)?;
        if fan_out.most <= 1.0 {
            return Some(format!("a row of {} is in one record at most", self.explained.named(source)));
        }
        Some(format!(
            "a row of {} is in about {} records, at most in about {}",
            self.explained.named(source),
            about(fan_out.mean),
            about(fan_out.most)
        ))
    }

    fn emits(&self) -> String {
        if self.d.is_event() {
            let (name, joined) = (&self.root().table.name, self.d.plan.sources.len() > 1);
            let joined = if joined { ", with what is looked up as of its commit" } else { "" };
            return format!("each INSERT of a row of {name} is an event{joined}; UPDATE, DELETE and TRUNCATE are none");
        }
        if self.d.plan.sources.len() > 1 {
            return "a transaction evaluates each record that it touches once, and emits only a difference".to_owned();
        }
        let table = self.root();
        let name = &table.table.name;
        let truncate = match table.identity {
            None => "a TRUNCATE reads the topic back for the keys to remove",
            Some(_) => "a TRUNCATE removes every row's key",
        };
        format!(
            "a change of a row of {name} renders that row before and after, and emits only a difference; {truncate}"
        )
    }
}

fn size(estimate: &Estimate<'_>, kept: &Kept<'_>) -> Option<super::estimate::Size> {
    let whole: Vec<&str> = kept.table.columns.iter().map(|c| c.name.as_str()).collect();
    estimate.size(kept.source, kept.by.as_ref().unwrap_or(&whole), &whole, &kept.indexes)
}

fn on_error(d: &Definition) -> &'static str {
    match d.on_error {
        crate::transform::source::OnError::Halt => "halt: the bridge stops before the transaction",
        crate::transform::source::OnError::DeadLetter if d.is_event() => "dead_letter: the row becomes a dead letter",
        crate::transform::source::OnError::DeadLetter if d.is_event() => "dead_letter: the row becomes a dead letter",
        crate::transform::source::OnError::DeadLetter => "dead_letter: the key keeps its last good value",
    }
}
