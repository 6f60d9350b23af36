//! A project against a catalogue: plans, contracts, and the tables with what is kept of them.
//!
//! `check`, `explain`, `preview` and `run` all come through here, so they agree on what is wrong.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::capture::watch::Fingerprints;
use crate::catalogue::{Catalogue, QualifiedName};
use crate::config::{Config, Headers, OnError as OnErrorOverride};
use crate::diagnostic::{Diagnostic, Severity};
use crate::encode::{Contract, KeySchema, RenderOptions, Renderer, SourceFile};
use crate::engine;
use crate::engine::source::Ways;
use crate::lsn::EndLsn;
use crate::record::TopicId;
use crate::transform::codes::{EVENT_ID, EVENT_PARTITIONED};
use crate::transform::function::Context;
use crate::transform::source::{self, KeyFormat, Kind, OnError, TransformFile};
use crate::transform::{self, Plan, Source};

use super::codes;
use super::decide::{Event, Wanted};
use super::tables::{TableUse, table_uses};

/// Raised whenever a function, a cast or an encoding answers otherwise than before: topics are then reconciled.
const EVALUATOR: u32 = 2;

pub struct Definition {
    pub file: TransformFile,
    /// With the prefix.
    pub topic: String,
    pub plan: Plan,
    pub contract: Contract,
    pub key: KeySchema,
    pub renderer: Arc<Renderer>,
    pub on_error: OnError,
    /// Digest of SQL, contract, key schema, `on_error` and evaluator: what a topic's records were made by.
    pub revision: String,
}

impl Definition {
    /// For the engine, over its tables.
    pub fn for_engine(&self, index: usize, tables: &[engine::Table], context: &Arc<Context>) -> engine::Transform {
        engine::Transform {
            name: self.file.name.clone(),
            topic: TopicId(index as u16),
            topic_name: self.topic.clone(),
            partitions: 1,
            renderer: Arc::clone(&self.renderer),
            key: self.key.clone(),
            key_columns: self.key_columns(),
            context: Arc::clone(context),
            sources: engine::SourceUse::of(&self.plan, tables, self.ways()),
            keyed_by_root: engine::source::keyed_by_root(&self.plan, tables),
            event: self.is_event(),
            live_from: EndLsn::ZERO,
            on_error: engine::OnError::Halt,
            dead_letter_columns: None,
            counts: engine::Counts::default(),
        }
    }

    pub fn is_event(&self) -> bool {
        self.file.header.kind == Kind::Event
    }

    /// An event's root as the stream's INSERTs are read: the plan's columns and no others.
    pub fn event_root(&self, table: &TableUse, prints: &Fingerprints) -> engine::Table {
        let root = TableUse {
            table: table.table.clone(),
            columns: self.plan.sources[0].columns.clone(),
            identity: None,
            joined: false,
            indexes: Vec::new(),
            inserts_only: true,
        };
        root.for_engine(prints, &[], EndLsn::ZERO)
    }

    /// Whose rows joins look up: of an entity all, for the root is found from them; of an event those beside its root.
    pub(super) fn joined_sources(&self) -> impl Iterator<Item = &Source> {
        let sources = &self.plan.sources[..];
        let joins = sources.len() > 1;
        sources.iter().skip(usize::from(self.is_event())).filter(move |_| joins)
    }

    pub(super) fn ways(&self) -> Ways {
        if self.is_event() { Ways::Down } else { Ways::Both }
    }

    pub fn key_columns(&self) -> Vec<String> {
        self.plan.key.iter().map(|&k| self.plan.outputs[k].name.clone()).collect()
    }
}

pub struct Project {
    pub definitions: Vec<Definition>,
    pub tables: Vec<TableUse>,
    pub warnings: Vec<Diagnostic>,
}

/// What the header allows for the headers of one record: the fixed names with their longest values.
const HEADER_ALLOWANCE: usize = 256;

/// The tables that the files name, as `capture::catalogue::read` wants them.
pub fn tables_named(files: &[TransformFile]) -> Vec<(Option<String>, String)> {
    let mut named = Vec::new();
    for file in files {
        file.select.tables(&mut |t| named.push((t.schema.as_ref().map(|s| s.text.clone()), t.name.text.clone())));
    }
    named.sort();
    named.dedup();
    named
}

pub fn files(config: &Config) -> Result<Vec<TransformFile>, Vec<Diagnostic>> {
    source::discover(&config.bridge.transforms)
}

impl Project {
    /// Binds everything; all findings at once.
    pub fn bind(config: &Config, files: Vec<TransformFile>, catalogue: &Catalogue) -> Result<Project, Vec<Diagnostic>> {
        let (mut project, findings) = Project::bind_all(config, files, catalogue);
        if findings.iter().any(|f| f.severity == Severity::Error) {
            return Err(findings);
        }
        project.warnings = findings;
        Ok(project)
    }

    /// What of it can be bound, and all that is wrong: for `check`, which goes on to look at the rest.
    pub fn bind_all(config: &Config, files: Vec<TransformFile>, catalogue: &Catalogue) -> (Project, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let mut definitions = Vec::new();
        for file in files {
            match define(config, file, catalogue) {
                Ok((d, mut warnings)) => {
                    definitions.push(d);
                    findings.append(&mut warnings);
                }
                Err(mut all) => findings.append(&mut all),
            }
        }
        let tables = table_uses(&definitions, catalogue, &mut findings);
        for d in definitions.iter().filter(|d| d.is_event()) {
            let root = &d.plan.sources[0].table;
            if tables.iter().any(|t| t.table.name == *root && t.partitioned()) {
                let message = format!(
                    "{root} is partitioned: an UPDATE that moves a row to another partition is an INSERT in the stream, and \
                     an event"
                );
                findings.push(
                    Diagnostic::warning(EVENT_PARTITIONED, message)
                        .at(d.file.place(d.file.header.kind_span))
                        .help("nothing to do if rows are never moved"),
                );
            }
        }
        (Project { definitions, tables, warnings: Vec::new() }, findings)
    }

    /// The transforms' names.
    pub fn names(&self) -> Vec<&str> {
        self.definitions.iter().map(|d| d.file.name.as_str()).collect()
    }

    /// The root's table.
    pub fn table_of(&self, d: &Definition) -> usize {
        self.tables_of(d).first().copied().unwrap_or_default()
    }

    /// All tables of a transform, the root's first, each once.
    pub fn tables_of(&self, d: &Definition) -> Vec<usize> {
        let mut tables = Vec::new();
        for source in &d.plan.sources {
            let table = self.tables.iter().position(|t| t.table.name == source.table);
            tables.extend(table.filter(|t| !tables.contains(t)));
        }
        tables
    }

    /// As a start decides about it. An event's root is not kept: only what is looked up has to be there.
    pub fn wanted(&self, d: &Definition) -> Wanted {
        let root = self.table_of(d);
        let tables = d.plan.sources.iter().skip(usize::from(d.is_event()));
        let place = |s: &transform::plan::Source| self.tables.iter().position(|t| t.table.name == s.table);
        let header = &d.file.header;
        Wanted {
            topic: d.topic.clone(),
            revision: d.revision.clone(),
            tables: tables.filter_map(place).collect(),
            holds: d.on_error == OnError::DeadLetter && !d.is_event(),
            event: d.is_event().then_some(Event { root, backfill: header.backfill, on_gap: header.on_gap }),
        }
    }

    /// The roots of its event transforms.
    pub fn events(&self, prints: &Fingerprints) -> engine::Events {
        let events = self.definitions.iter().enumerate().filter(|(_, d)| d.is_event());
        let root = |d: &Definition| d.event_root(&self.tables[self.table_of(d)], prints);
        engine::Events::new(events.map(|(i, d)| (i, root(d))).collect())
    }

    /// Used columns per table, as the publication and the watch want them.
    pub fn columns_used(&self) -> Vec<(QualifiedName, Vec<String>)> {
        let names = |t: &TableUse| t.columns.iter().map(|c| c.name.clone()).collect();
        self.tables.iter().map(|t| (t.table.name.clone(), names(t))).collect()
    }

    /// Whether a transform may map letters: the names stand in its text, if only in a comment.
    pub fn uses_case(&self) -> bool {
        let words = ["upper", "lower", "initcap", "ilike", "~~*"];
        self.definitions.iter().any(|d| {
            let text = d.file.text.to_ascii_lowercase();
            words.iter().any(|w| text.contains(w))
        })
    }

    /// Digest over all definitions, for the progress record.
    pub fn revision(&self) -> String {
        let parts: Vec<&str> = self.definitions.iter().flat_map(|d| [d.topic.as_str(), d.revision.as_str()]).collect();
        digest(&parts)
    }
}

/// A transform, and what is worth a word though it can be run.
fn define(
    config: &Config,
    file: TransformFile,
    catalogue: &Catalogue,
) -> Result<(Definition, Vec<Diagnostic>), Vec<Diagnostic>> {
    let contract = read_contract(&file);
    let plan = transform::bind::bind_with_warnings(&file, catalogue);
    let ((plan, warnings), contract) = match (plan, contract) {
        (Ok(plan), Ok(contract)) => (plan, contract),
        (plan, contract) => {
            let mut all = plan.map_or_else(|findings| findings, |(_, warnings)| warnings);
            all.extend(contract.err().unwrap_or_default());
            return Err(all);
        }
    };
    let key_text = match &file.key_avsc_path {
        Some(path) => Some((path, std::fs::read_to_string(path).map_err(|e| vec![unreadable(path, &e)])?)),
        None => None,
    };
    let key = match (file.header.key_format, &key_text) {
        (KeyFormat::String, _) => KeySchema::String,
        (KeyFormat::Avro, Some((path, text))) => KeySchema::from_file(path, text)?,
        (KeyFormat::Avro, None) => KeySchema::derive(&plan, &contract)?,
    };
    let options = RenderOptions {
        max_record: file.header.max_record as usize,
        header_allowance: HEADER_ALLOWANCE,
        from_default: file.header.from_default.clone(),
        not_null: file.header.not_null.clone(),
        header_outputs: file.header.event_id.iter().cloned().collect(),
        sql: Some(SourceFile { path: file.path.clone(), text: file.text.clone() }),
    };
    let renderer = Arc::new(Renderer::new(&plan, &contract, &key, &options)?);
    if file.header.event_id.is_some() && config.kafka.headers == Headers::None {
        return Err(vec![
            Diagnostic::error(EVENT_ID, "event_id becomes a header, and [kafka] headers = \"none\" leaves headers out")
                .at(file.place(file.header.event_id_span))
                .help("write headers = \"standard\", or make the id a field"),
        ]);
    }
    let topic = format!("{}{}", config.topics.prefix, file.header.topic);
    let on_error = match config.topic_override(&file.header.topic).and_then(|o| o.on_error) {
        Some(OnErrorOverride::Halt) => OnError::Halt,
        Some(OnErrorOverride::DeadLetter) => OnError::DeadLetter,
        None => file.header.on_error,
    };
    let key_part = key.text().unwrap_or("string");
    let errors = match on_error {
        OnError::Halt => "halt",
        OnError::DeadLetter => "dead_letter",
    };
    let revision = digest(&[&file.text, contract.text(), key_part, errors, &EVALUATOR.to_string()]);
    Ok((Definition { file, topic, plan, contract, key, renderer, on_error, revision }, warnings))
}

fn read_contract(file: &TransformFile) -> Result<Contract, Vec<Diagnostic>> {
    let path = &file.avsc_path;
    let text = std::fs::read_to_string(path).map_err(|e| vec![unreadable(path, &e)])?;
    Contract::parse(path, &text)
}

fn unreadable(path: &std::path::Path, e: &std::io::Error) -> Diagnostic {
    Diagnostic::error(codes::CONTRACT_UNREADABLE, format!("{} cannot be read: {e}", path.display()))
        .help("every transform needs its contract beside it: NAME.avsc, or the header's `contract`")
}

/// Twelve hexadecimal digits: enough to tell revisions apart, short enough to type.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
}
