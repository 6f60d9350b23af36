//! A project against a catalogue: plans, contracts, and the tables with what is kept of them.
//!
//! `check`, `explain`, `preview` and `run` all come through here, so they agree on what is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::capture::watch::Fingerprints;
use crate::catalogue::{Catalogue, Index, QualifiedName, ReplicaIdentity, Table, TableKind};
use crate::config::{Config, Headers, OnError as OnErrorOverride};
use crate::diagnostic::{Diagnostic, Severity};
use crate::encode::{Contract, KeySchema, RenderOptions, Renderer, SourceFile};
use crate::engine;
use crate::engine::index::IndexColumns;
use crate::engine::source::{Side, Ways, by_identity, sides};
use crate::lsn::EndLsn;
use crate::record::TopicId;
use crate::state::SpaceId;
use crate::transform::codes::{EVENT_ID, EVENT_PARTITIONED};
use crate::transform::function::Context;
use crate::transform::source::{self, KeyFormat, Kind, OnError, TransformFile};
use crate::transform::{self, KeyForm, Plan, Source, UsedColumn};

use super::codes;
use super::decide::{Event, Wanted};

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

/// A table that transforms read.
pub struct TableUse {
    pub table: Table,
    /// What transforms use and the identity, by attnum.
    pub columns: Vec<UsedColumn>,
    /// Indexes into `columns`; None: REPLICA IDENTITY FULL, and nothing is kept, or whole rows (`bag`).
    pub identity: Option<Vec<usize>>,
    /// Transforms with several sources look its rows up: it is stored in any case.
    pub joined: bool,
    /// By which columns (of `columns`) joins find its rows.
    pub indexes: Vec<IndexColumns>,
    /// Only events read it, as their root: nothing is kept, and nothing but its INSERTs counts.
    pub inserts_only: bool,
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
    fn joined_sources(&self) -> impl Iterator<Item = &Source> {
        let sources = &self.plan.sources[..];
        let joins = sources.len() > 1;
        sources.iter().skip(usize::from(self.is_event())).filter(move |_| joins)
    }

    fn ways(&self) -> Ways {
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

fn table_uses(definitions: &[Definition], catalogue: &Catalogue, findings: &mut Vec<Diagnostic>) -> Vec<TableUse> {
    let mut used: BTreeMap<&QualifiedName, BTreeMap<i16, UsedColumn>> = BTreeMap::new();
    for d in definitions {
        for s in &d.plan.sources {
            let columns = used.entry(&s.table).or_default();
            columns.extend(s.columns.iter().map(|c| (c.attnum, c.clone())));
        }
    }
    let mut uses = Vec::new();
    for (name, mut columns) in used {
        let Some(table) = catalogue.table(Some(&name.schema), &name.name) else { continue };
        let joined = definitions.iter().any(|d| d.joined_sources().any(|s| s.table == *name));
        let inserts_only = is_inserts_only(definitions, name);
        let identity = match (identity(table), joined) {
            _ if inserts_only => Identity::Full,
            // A join needs its rows. With FULL the old tuple has every column: any unique index will do.
            (Identity::Full, true) => unique_columns(table).map_or(Identity::Full, Identity::Columns),
            (identity, _) => identity,
        };
        let identity = match identity {
            Identity::Full => None,
            Identity::Columns(names) => {
                for c in table.columns.iter().filter(|c| names.contains(&c.name)) {
                    let used =
                        UsedColumn { name: c.name.clone(), attnum: c.attnum, ty: c.ty.clone(), not_null: c.not_null };
                    columns.entry(c.attnum).or_insert(used);
                }
                let place = |n: &String| columns.values().position(|c| c.name == *n);
                Some(names.iter().filter_map(place).collect())
            }
            Identity::None => {
                findings.push(
                    Diagnostic::error(
                        crate::capture::catalogue_codes::NO_IDENTITY,
                        format!(
                            "{name} has no replica identity: once it is published, its UPDATEs and DELETEs would fail"
                        ),
                    )
                    .help(format!("give it a primary key, or run ALTER TABLE {name} REPLICA IDENTITY FULL")),
                );
                continue;
            }
        };
        let columns = columns.into_values().collect();
        uses.push(TableUse { table: table.clone(), columns, identity, joined, indexes: Vec::new(), inserts_only });
    }
    for d in definitions {
        for side in sides(&d.plan, d.ways()) {
            let source = &d.plan.sources[side.source];
            if let Some(table) = uses.iter_mut().find(|t| t.table.name == source.table) {
                table.need_index(&side, source);
            }
        }
    }
    // A publication that sends more than INSERTs asks an identity of every table in it.
    if uses.iter().any(|u| !u.inserts_only) {
        for u in uses.iter().filter(|u| u.inserts_only && matches!(identity(&u.table), Identity::None)) {
            let name = &u.table.name;
            findings.push(
                Diagnostic::error(
                    crate::capture::catalogue_codes::NO_IDENTITY,
                    format!(
                        "{name} has no replica identity: its events need none, but entities of this bridge have UPDATEs and \
                         DELETEs published, and PostgreSQL would refuse those of {name}"
                    ),
                )
                .help(format!(
                    "give it a primary key, run ALTER TABLE {name} REPLICA IDENTITY FULL, or give the events a bridge of \
                     their own: its publication sends only INSERTs"
                )),
            );
        }
    }
    uses
}

fn is_inserts_only(definitions: &[Definition], name: &QualifiedName) -> bool {
    definitions.iter().all(|d| {
        let mut sources = d.plan.sources.iter();
        let root = sources.next().is_some_and(|s| s.table == *name);
        (d.is_event() || !root) && sources.all(|s| s.table != *name)
    })
}

enum Identity {
    Full,
    Columns(Vec<String>),
    None,
}

/// Of a partitioned table the leaves' identities count: they are what the stream sends.
fn identity(table: &Table) -> Identity {
    if table.kind == TableKind::Partitioned && !table.leaves.is_empty() {
        if table.leaves.iter().all(|l| l.replica_identity == ReplicaIdentity::Full) {
            return Identity::Full;
        }
        let by_key = Table { replica_identity: ReplicaIdentity::Default, ..table.clone() };
        return by_key.identity_columns().map_or(Identity::None, |c| Identity::Columns(c.to_vec()));
    }
    match (&table.replica_identity, table.identity_columns()) {
        (ReplicaIdentity::Full, _) => Identity::Full,
        (_, Some(columns)) => Identity::Columns(columns.to_vec()),
        (_, None) => Identity::None,
    }
}

/// The columns of an index that tells rows apart at every moment, the primary key's before others'.
fn unique_columns(table: &Table) -> Option<Vec<String>> {
    let not_null = |name: &String| table.column(name).is_some_and(|c| c.not_null);
    let usable = |i: &&Index| {
        i.unique && i.immediate && i.valid && !i.partial && !i.columns.is_empty() && i.columns.iter().all(not_null)
    };
    let mut indexes = table.indexes.iter().filter(usable);
    let first = table.indexes.iter().filter(usable).find(|i| i.primary).or_else(|| indexes.next());
    first.map(|i| i.columns.clone())
}

impl TableUse {
    /// Whether its rows are kept.
    pub fn stored(&self) -> bool {
        self.identity.is_some() || self.joined
    }

    fn need_index(&mut self, side: &Side, source: &Source) {
        let place = |c: usize| self.columns.iter().position(|t| t.attnum == source.columns[c].attnum);
        let columns: Option<IndexColumns> = side.columns.iter().map(|&(c, form)| Some((place(c)?, form))).collect();
        let Some(columns) = columns else { return };
        let is_identity = self.identity.as_ref().is_some_and(|i| by_identity(&columns, i).is_some());
        if !is_identity && !self.indexes.contains(&columns) {
            self.indexes.push(columns);
        }
    }

    pub fn partitioned(&self) -> bool {
        self.table.kind == TableKind::Partitioned
    }

    /// `pg_attribute`'s types of the columns, as the fingerprints have them.
    pub fn types(&self, prints: &Fingerprints) -> Vec<(u32, i32)> {
        let name = &self.table.name;
        let found = prints
            .tables
            .iter()
            .find(|t| t.schema == name.schema && t.name == name.name)
            .and_then(|t| t.found.as_ref());
        let of = |c: &UsedColumn| {
            found.and_then(|f| f.columns.get(&c.name)).map_or((0, -1), |(_, oid, typmod)| (*oid, *typmod))
        };
        self.columns.iter().map(of).collect()
    }

    /// How many spaces it takes in the state: of its rows and of its indexes.
    pub fn spaces(&self) -> usize {
        1 + self.indexes.len()
    }

    /// For the engine; `spaces` hold its rows and its indexes. None: nothing is kept.
    pub fn for_engine(&self, prints: &Fingerprints, spaces: &[SpaceId], loaded_at: EndLsn) -> engine::Table {
        let identity = match (&self.identity, spaces.first()) {
            _ if self.inserts_only => engine::Identity::Inserts,
            (Some(columns), Some(&space)) => engine::Identity::Key { columns: columns.clone(), space },
            (None, Some(&space)) if self.joined => engine::Identity::Bag { space },
            _ => engine::Identity::Full,
        };
        engine::Table {
            oid: self.table.oid,
            name: self.table.name.clone(),
            partitioned: self.partitioned(),
            leaves: self.table.leaves.iter().map(|l| l.oid).collect(),
            columns: self.columns.clone(),
            types: self.types(prints),
            identity,
            indexes: self.indexes(spaces),
            loaded_at,
        }
    }

    /// Its indexes; `spaces` are those of its rows and of its indexes.
    pub fn indexes(&self, spaces: &[SpaceId]) -> Vec<engine::Index> {
        let spaces = spaces.iter().skip(1);
        self.indexes.iter().zip(spaces).map(|(c, &space)| engine::Index { columns: c.clone(), space }).collect()
    }

    /// What must be equal for stored rows to be of use.
    pub fn layout(&self, prints: &Fingerprints) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .zip(self.types(prints))
            .map(|(c, (oid, typmod))| format!("{} {} {oid} {typmod}", c.name, c.attnum))
            .collect();
        let whole = match (self.joined, self.inserts_only) {
            (true, _) => "bag",
            (_, true) => "inserts",
            _ => "full",
        };
        let identity = self.identity.as_ref().map_or(whole.to_owned(), |i| format!("{i:?}"));
        let leaf = if self.partitioned() { " leaf" } else { "" };
        let index = |columns: &IndexColumns| {
            let columns: Vec<String> = columns.iter().map(|(c, form)| format!("{c} {}", form_word(*form))).collect();
            format!("; index {}", columns.join(", "))
        };
        let indexes: String = self.indexes.iter().map(index).collect();
        format!("{}; {identity}{leaf}{indexes}", columns.join(", "))
    }
}

/// As layouts have it: never another word for the same form.
fn form_word(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Text => "text",
        KeyForm::Number => "number",
        KeyForm::Padded => "padded",
    }
}
