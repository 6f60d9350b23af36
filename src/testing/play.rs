//! One test file from its empty database to its last transaction.
//!
//! Beside what the file expects, three things hold for every test without being asked for: after the setup and after each
//! transaction the records so far are what PostgreSQL answers to the SELECT; each record can be read under its contract
//! by Avro's own library; a second bridge that replays the first half, and splits what comes after it into small parts,
//! makes the same records.

use std::path::Path;

use super::bridge::{Bridge, Made, Message, Start};
use super::compare::{self, Watched};
use super::database::Database;
use super::file::{TestFile, Transaction};
use super::fold::Fold;
use super::server::Server;
use super::{answer, codes};
use crate::capture::{self, Connection, Error};
use crate::catalogue::{Catalogue, quote_literal};
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Span};
use crate::encode::KeySchema;
use crate::engine::{EngineError, SplitLimits};
use crate::lsn::Lsn;
use crate::runtime::project::{Definition, Project};
use crate::runtime::{Failure, survey};
use crate::transform::TransformFile;
use crate::transform::source::Kind;

/// What came of a file.
pub struct Played {
    pub transactions: Vec<Outcome>,
    pub findings: Vec<Diagnostic>,
}

pub struct Outcome {
    pub name: String,
    /// From 1.
    pub line: u32,
    /// None: not reached.
    pub passed: Option<bool>,
}

/// What a file is played against.
pub struct Stage<'s> {
    pub config: &'s Config,
    pub server: &'s Server,
    /// `schema.sql`, for files that make no tables of their own.
    pub schema: Option<(&'s str, &'s Catalogue)>,
    /// The transforms that the file is about.
    pub files: Vec<TransformFile>,
    /// For what the engine keeps.
    pub folder: &'s Path,
    pub stopped: &'s dyn Fn() -> bool,
}

const OURS: &str = "this is an error of pgspine: please report it with this file and the transforms";
const PUBLICATION: &str = "pgspine_test";
const LIMITS: (SplitLimits, SplitLimits) = (
    SplitLimits { records: 100_000, bytes: 64 << 20 },
    // So that nearly every transaction goes out in several parts.
    SplitLimits { records: 2, bytes: 64 << 20 },
);

pub fn play(stage: Stage<'_>, file: &TestFile) -> Result<Played, Failure> {
    let outcome = |t: &Transaction| Outcome { name: t.name.clone(), line: file.place(t.span).line, passed: None };
    let mut played = Played { transactions: file.transactions.iter().map(outcome).collect(), findings: Vec::new() };
    let database = stage.server.database(stage.schema.map(|(_, c)| &c.server))?;
    let mut user = database.connect(&stage.config.postgres.search_path)?;
    if let Err(findings) = set_up(&stage, file, &mut user)? {
        played.findings = findings;
        return Ok(played);
    }
    let mut theatre = match Theatre::open(&stage, file, &database)? {
        Ok(theatre) => theatre,
        Err(findings) => {
            played.findings = findings;
            return Ok(played);
        }
    };
    theatre.answer(file, None, &mut played.findings)?;
    for (i, t) in file.transactions.iter().enumerate() {
        if (stage.stopped)() {
            return Err(Failure::ShutDown);
        }
        let mut findings = Vec::new();
        let goes_on = theatre.transaction(file, t, i, &mut user, &mut findings)?;
        played.transactions[i].passed = Some(findings.is_empty());
        played.findings.append(&mut findings);
        if !goes_on {
            break;
        }
    }
    theatre.close();
    Ok(played)
}

type Checked<T> = Result<Result<T, Vec<Diagnostic>>, Failure>;

fn set_up(stage: &Stage<'_>, file: &TestFile, user: &mut Connection) -> Checked<()> {
    if !file.makes_tables() {
        let Some((schema, _)) = stage.schema else {
            let d = Diagnostic::error(
                codes::TEST_FILE,
                "there are no tables: no CREATE TABLE in -- setup, and no schema.sql",
            );
            let d = d.at(file.place(Span { start: 0, end: 1 }));
            return Ok(Err(vec![
                d.help("run `pgspine schema pull` once and commit the file, or make the tables in -- setup"),
            ]));
        };
        if let Err(e) = user.execute(schema) {
            let Error::Server(e) = e else { return Err(e.into()) };
            let d = Diagnostic::error(codes::STATEMENT, format!("schema.sql cannot be run: {e}"));
            return Ok(Err(vec![d.help("write it anew with `pgspine schema pull`, or make the tables in -- setup")]));
        }
    }
    for &span in &file.setup {
        if let Err(refused) = statement(file, span, user)? {
            return Ok(Err(vec![refused.finding(file, span)]));
        }
    }
    Ok(Ok(()))
}

/// What PostgreSQL said to a statement.
struct Refused(Box<capture::ServerError>);

fn statement(file: &TestFile, span: Span, user: &mut Connection) -> Result<Result<(), Refused>, Failure> {
    run(user, file.sql(span))
}

fn run(user: &mut Connection, sql: &str) -> Result<Result<(), Refused>, Failure> {
    match user.execute(sql) {
        Ok(()) => Ok(Ok(())),
        Err(Error::Server(e)) if e.severity == "ERROR" => Ok(Err(Refused(e))),
        Err(e) => Err(e.into()),
    }
}

impl Refused {
    fn finding(&self, file: &TestFile, span: Span) -> Diagnostic {
        let sql = file.sql(span);
        // Characters from 1.
        let at = self.0.position.and_then(|p| sql.char_indices().nth((p as usize).saturating_sub(1)));
        let place = match at {
            Some((i, c)) => {
                let word = sql[i..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum();
                let start = span.start + i as u32;
                Span { start, end: start + usize::max(word, c.len_utf8()) as u32 }
            }
            None => span,
        };
        let d = Diagnostic::error(codes::STATEMENT, format!("PostgreSQL refuses this: {}", self.0));
        d.at(file.place(place))
            .help(format!("if this is meant, write -- error: {} {}", self.0.sqlstate, self.0.message))
    }
}

/// A project over a database, with two bridges that look on.
struct Theatre<'t> {
    project: Project,
    files: &'t [TransformFile],
    /// For the slot.
    sql: Connection,
    /// For the SELECTs, with the project's search_path.
    oracle: Connection,
    bridge: Bridge,
    second: Bridge,
    /// Transactions before this one the second bridge only replays.
    middle: usize,
    folds: Vec<Fold>,
    /// The SELECT is asked no more once it has differed.
    differs: bool,
}

impl<'t> Theatre<'t> {
    fn open(stage: &'t Stage<'_>, file: &TestFile, database: &Database) -> Checked<Theatre<'t>> {
        let mut sql = database.connect("")?;
        let catalogue = survey::catalogue(stage.config, &mut sql, &stage.files)?;
        let project = match Project::bind(stage.config, stage.files.clone(), &catalogue) {
            Ok(project) => project,
            Err(findings) => return Ok(Err(findings)),
        };
        let context = stage.server.context(&mut sql, &project)?;
        let tables: Vec<String> = project.tables.iter().map(|t| t.table.name.to_sql()).collect();
        sql.execute(&format!("CREATE PUBLICATION {PUBLICATION} FOR TABLE {}", tables.join(", ")))?;
        sql.execute(&format!(
            "SELECT pg_catalog.pg_create_logical_replication_slot('{PUBLICATION}_' || pg_catalog.pg_backend_pid(), 'pgoutput', true)"
        ))?;
        let postgres = database.options("");
        let mut start = |name: &str, split: SplitLimits| {
            Bridge::start(Start {
                project: &project,
                context: &context,
                postgres: &postgres,
                sql: &mut sql,
                publication: PUBLICATION,
                folder: &stage.folder.join(format!("{}.{name}", file.name.replace('/', "."))),
                split,
                dead_letters: file.expects_row_errors(),
            })
        };
        let (whole, parts) = LIMITS;
        let started = start("first", whole).and_then(|first| Ok((first, start("second", parts)?)));
        let ((bridge, made), (second, _)) = match started {
            Ok(started) => started,
            // A row of the setup.
            Err(Failure::Engine(e)) => return Ok(Err(vec![row_finding(&e, file, Span { start: 0, end: 1 })])),
            Err(e) => return Err(e),
        };
        if let Some(bad) = made.iter().find(|m| m.letter.is_some()) {
            let d = &project.definitions[bad.transform];
            let message = format!("a row of the setup that {} cannot publish: key {}", d.file.name, bad.key);
            let d = Diagnostic::error(codes::OTHER_ERROR, message).at(file.place(Span { start: 0, end: 1 }));
            return Ok(Err(vec![d.help("write it in a transaction, with -- error: below it")]));
        }
        let mut folds: Vec<Fold> = project.definitions.iter().map(|_| Fold::default()).collect();
        made.iter().for_each(|m| folds[m.transform].take(m));
        let oracle = database.connect(&stage.config.postgres.search_path)?;
        let middle = file.transactions.len() / 2;
        let files = &stage.files;
        Ok(Ok(Theatre { project, files, sql, oracle, bridge, second, middle, folds, differs: false }))
    }

    /// Plays one; false: what comes after it cannot be played.
    fn transaction(
        &mut self,
        file: &TestFile,
        t: &Transaction,
        index: usize,
        user: &mut Connection,
        findings: &mut Vec<Diagnostic>,
    ) -> Result<bool, Failure> {
        if !source_transaction(file, t, user, findings)? {
            return Ok(false);
        }
        let messages = self.messages()?;
        let made = match self.bridge.apply(&messages, true, &self.project, &self.folds) {
            Ok(made) => made,
            Err(Failure::Engine(e)) => {
                findings.push(row_finding(&e, file, t.span));
                return Ok(false);
            }
            // A record that cannot be read under its contract.
            Err(Failure::Findings(all)) => {
                findings.extend(all.into_iter().map(|d| d.at(file.place(t.span))));
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        let watched: Vec<Watched<'_>> = self.project.definitions.iter().map(watched).collect();
        findings.extend(compare::compare(file, t, &made, &watched));
        let goes_on = self.again(file, t, index, &messages, &made, findings)?;
        made.iter().for_each(|m| self.folds[m.transform].take(m));
        self.answer(file, Some(t.span), findings)?;
        Ok(goes_on)
    }

    /// What the slot has since the last time: the bytes that `run` would get.
    fn messages(&mut self) -> Result<Vec<Message>, Failure> {
        let rows = self.sql.query(&format!(
            "SELECT lsn, pg_catalog.encode(data, 'hex') AS data FROM pg_catalog.pg_logical_slot_get_binary_changes(\
             '{PUBLICATION}_' || pg_catalog.pg_backend_pid(), NULL, NULL, 'proto_version', '1', \
             'publication_names', {}, 'messages', 'true')",
            quote_literal(PUBLICATION)
        ))?;
        rows.iter()
            .map(|row| {
                let at: Lsn = row.parse("lsn")?;
                let text = row.text("data")?;
                let wrong = || Error::Answer { column: "data".into(), value: Some(text.to_owned()) };
                let pairs = text.as_bytes().chunks(2).map(|pair| {
                    std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or_else(wrong)
                });
                Ok((at, pairs.collect::<Result<_, _>>()?))
            })
            .collect()
    }

    /// The second bridge over the same bytes; false: it cannot go on.
    fn again(
        &mut self,
        file: &TestFile,
        t: &Transaction,
        index: usize,
        messages: &[Message],
        made: &[Made],
        findings: &mut Vec<Diagnostic>,
    ) -> Result<bool, Failure> {
        let emits = index >= self.middle;
        let mut report = |message: String| {
            let d = Diagnostic::error(codes::NOT_REPEATED, message);
            findings.push(d.at(file.place(t.span)).help(OURS));
        };
        let again = match self.second.apply(messages, emits, &self.project, &self.folds) {
            Ok(again) => again,
            Err(Failure::Engine(e)) => {
                let why = crate::runtime::failure::chain(&e);
                report(format!("a bridge that replayed up to transaction {} fails: {why}", self.middle));
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        let Some(name) = self.project.definitions.iter().enumerate().find_map(|(i, d)| {
            let of = |all: &[Made]| -> Vec<(Vec<u8>, Option<Vec<u8>>, bool)> {
                let own = all.iter().filter(|m| m.transform == i);
                own.map(|m| (m.key_bytes.clone(), m.framed.clone(), m.letter.is_some())).collect()
            };
            (of(&again) != if emits { of(made) } else { Vec::new() }).then_some(&d.file.name)
        }) else {
            return Ok(true);
        };
        report(format!("{name}: a bridge that replayed up to transaction {} makes other records", self.middle));
        Ok(true)
    }

    /// The records so far against PostgreSQL's answers.
    fn answer(&mut self, file: &TestFile, span: Option<Span>, findings: &mut Vec<Diagnostic>) -> Result<(), Failure> {
        if self.differs {
            return Ok(());
        }
        for (i, d) in self.project.definitions.iter().enumerate() {
            if d.file.header.kind == Kind::Event {
                continue;
            }
            let select = self.files.iter().find(|f| f.name == d.file.name).map_or("", |f| f.text.as_str());
            let Some(what) = difference(d, select, &self.folds[i], &mut self.oracle)? else { continue };
            self.differs = true;
            let when = if span.is_some() { "after this transaction" } else { "after the setup" };
            let message = format!("{when} the topic of {} is not what PostgreSQL answers: {what}", d.file.name);
            let at = span.unwrap_or(Span { start: 0, end: 1 });
            findings.push(Diagnostic::error(codes::NOT_THE_ANSWER, message).at(file.place(at)).help(OURS));
        }
        Ok(())
    }

    /// The slot keeps the database from being dropped.
    fn close(mut self) {
        let sql =
            format!("SELECT pg_catalog.pg_drop_replication_slot('{PUBLICATION}_' || pg_catalog.pg_backend_pid())");
        if let Err(e) = self.sql.execute(&sql) {
            tracing::debug!("the slot goes with its connection: {e}");
        }
    }
}

fn watched(d: &Definition) -> Watched<'_> {
    Watched { name: &d.file.name, event: d.file.header.kind == Kind::Event }
}

/// Runs the statements; false: something went wrong that leaves nothing to compare.
fn source_transaction(
    file: &TestFile,
    t: &Transaction,
    user: &mut Connection,
    findings: &mut Vec<Diagnostic>,
) -> Result<bool, Failure> {
    user.execute("BEGIN")?;
    let mut refused = None;
    for &span in &t.statements {
        if let Err(e) = statement(file, span, user)? {
            refused = Some((e, span));
            break;
        }
    }
    if refused.is_some() || t.rolls_back {
        user.execute("ROLLBACK")?;
    } else if let Err(e) = run(user, "COMMIT")? {
        // A deferred constraint has no statement of its own.
        refused = Some((e, t.span));
    }
    let expected = t.errors.iter().find(|e| !e.of_a_row());
    match (refused, expected) {
        (None, None) => {}
        (None, Some(e)) => {
            let d = Diagnostic::error(codes::OTHER_ERROR, format!("{} {} did not come", e.code, e.message));
            findings.push(d.at(file.place(e.span)).help("PostgreSQL took every statement of this transaction"));
        }
        (Some((Refused(came), _)), Some(e)) if came.sqlstate == e.code && came.message.contains(&e.message) => {}
        (Some((came, span)), expected) => {
            let mut d = came.finding(file, span);
            if let Some(e) = expected {
                d.code = codes::OTHER_ERROR;
                d.message = format!("{}; {} {} is expected", d.message, e.code, e.message);
            }
            findings.push(d);
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bridge stops here.
fn row_finding(e: &EngineError, file: &TestFile, span: Span) -> Diagnostic {
    let message = crate::runtime::failure::chain(e);
    let help = match e {
        EngineError::Row { source, .. } => {
            format!("the bridge would stop here; if this is meant, write -- error: {} {}", source.code, source.path)
                .trim_end()
                .to_owned()
        }
        _ => "the bridge would stop here".to_owned(),
    };
    Diagnostic::error(codes::OTHER_ERROR, message).at(file.place(span)).help(help)
}

/// The first difference between a topic and its SELECT, in words.
fn difference(d: &Definition, text: &str, fold: &Fold, oracle: &mut Connection) -> Result<Option<String>, Failure> {
    let select = text.trim_end().trim_end_matches(';');
    let sql = format!("SELECT t.*, pg_catalog.to_jsonb(t)::pg_catalog.text AS \"{ROW}\" FROM (\n{select}\n) AS t");
    let rows = match oracle.query(&sql) {
        Ok(rows) => rows,
        // It has no answer while a row is held that it cannot evaluate.
        Err(Error::Server(_)) if fold.holds_any() => return Ok(None),
        Err(Error::Server(e)) => return Ok(Some(format!("it refuses the SELECT: {e}"))),
        Err(e) => return Err(e.into()),
    };
    let contract = d.contract.record();
    let mut live: std::collections::BTreeMap<String, &serde_json::Value> =
        fold.live().map(|l| (l.key.to_string(), &l.value)).collect();
    for row in rows.iter() {
        let json = row.text(ROW)?;
        let text = |name: &str| row.get(name).ok().flatten();
        let key = match &d.key {
            KeySchema::Avro { record, .. } => answer::row(record, json, &text),
            KeySchema::String => {
                let name = d.key_columns().into_iter().next().unwrap_or_default();
                serde_json::json!({ name.as_str(): text(&name) })
            }
        };
        let key = key.to_string();
        if fold.is_held(&key) {
            live.remove(&key);
            continue;
        }
        let Some(value) = live.remove(&key) else { return Ok(Some(format!("{key} is missing"))) };
        let (mut ours, mut theirs) = (value.clone(), answer::row(contract, json, &text));
        answer::undecided(contract, &d.file.header.from_default, [&mut ours, &mut theirs]);
        if let Some((path, topic, answer)) = answer::difference("", &ours, &theirs) {
            return Ok(Some(format!("{key}: {path} is {topic}, PostgreSQL says {answer}")));
        }
    }
    Ok(live.keys().find(|key| !fold.is_held(key)).map(|key| format!("{key} is there, and no row of the answer is it")))
}

/// A name that no output has.
const ROW: &str = "pgspine: the row";
