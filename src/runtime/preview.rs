//! A look at what a transform makes of its source, without Kafka: its rows now, and changes as they are committed.
//!
//! Nothing here touches what belongs to the bridge: the rows come by a plain COPY; to follow, a temporary slot, a state
//! in a folder of its own and the engine of `run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::assemble::{AssembleOptions, Assembler};
use crate::capture::publication::{self, Facts};
use crate::capture::snapshot::{self, LoadTable};
use crate::capture::stream::{self, StreamOptions};
use crate::capture::{self, Mode as ConnectionMode, ReplicationMessage, connect, slot};
use crate::change::CommitInfo;
use crate::clock;
use crate::config::Config;
use crate::encode::readback::body_hash;
use crate::encode::{Outcome, Rendered, body_of, plain_json};
use crate::engine::reconcile::{Steps, Task, upserts};
use crate::engine::{Engine, EngineError, Events, Mode, OnError, Outlet, Part, SplitLimits, Transform};
use crate::http::Health;
use crate::lsn::EndLsn;
use crate::metrics::Metrics;
use crate::record::{OutputBatch, TopicId};
use crate::state::{Limits, SpaceId, State};

use super::failure::Failure;
use super::project::Definition;
use super::shared::Shared;
use super::survey::Survey;
use super::{codes, load, options};
use crate::transform::eval::NoLookup;

/// Takes one record as plain JSON: key, and value (`null`: a tombstone) or error, and the position of a change.
/// False ends it.
pub type Take<'t> = &'t mut dyn FnMut(Value) -> bool;

/// The rows as they are now, in no order.
pub fn rows(config: &Config, survey: &mut Survey, transform: usize, take: Take<'_>) -> Result<(), Failure> {
    let d = &survey.project.definitions[transform];
    if d.plan.sources.len() > 1 {
        return joined_rows(config, survey, transform, take);
    }
    let table = &survey.project.tables[survey.project.table_of(d)];
    let columns = d.plan.sources[0].columns.iter().map(|c| c.name.clone()).collect();
    let wanted =
        LoadTable { oid: table.table.oid, name: table.table.name.clone(), columns, partitioned: table.partitioned() };
    let mut out = Rendered::default();
    let mut failure = None;
    snapshot::peek(&mut survey.sql, &wanted, &mut |row| {
        let shown = match d.renderer.render(&survey.context, row, &NoLookup, &mut out) {
            Ok(Outcome::Filtered) => return true,
            Ok(Outcome::Entity) => {
                key(d, &out.key).and_then(|k| Ok(json!({ "key": k, "value": value(d, &out.value)? })))
            }
            Err(e) => {
                // The key alone may well be told.
                let of =
                    d.renderer.key(&survey.context, row, &NoLookup, &mut out).ok().and_then(|()| key(d, &out.key).ok());
                let error = json!({ "code": e.code.to_string(), "path": e.path, "message": e.message });
                Ok(json!({ "key": of, "error": error }))
            }
        };
        match shown {
            Ok(shown) => take(shown),
            Err(f) => {
                failure = Some(f);
                false
            }
        }
    })?;
    failure.map_or(Ok(()), Err)
}

fn key(d: &Definition, bytes: &[u8]) -> Result<Value, Failure> {
    let columns = d.key_columns();
    let column = columns.first().map_or("", String::as_str);
    d.key.plain_json(column, bytes).map_err(|e| unreadable(&e))
}

fn value(d: &Definition, bytes: &[u8]) -> Result<Value, Failure> {
    plain_json::record(d.contract.record(), body_of(bytes)).map_err(|e| unreadable(&e))
}

fn unreadable(e: &dyn std::error::Error) -> Failure {
    let message = format!("a record that was just made cannot be read: {}", super::failure::chain(e));
    Failure::Findings(vec![crate::diagnostic::Diagnostic::error(codes::INTERNAL, message)])
}

/// The first rows, and from there each change as it is committed, until `take` or `stop` says no.
pub fn follow(
    config: &Config,
    survey: &mut Survey,
    transform: usize,
    first: u64,
    stop: &AtomicBool,
    take: Take<'_>,
) -> Result<(), Failure> {
    let pg = options::postgres(config)?;
    published(config, survey)?;
    // The slot first: what happens while the rows are read is in the stream, and skipped there.
    let name = temporary_name();
    let slot = slot::create_temporary(connect(&pg, ConnectionMode::Replication)?, &name)?;
    let folder = Folder::new(&name).map_err(|e| Failure::Capture(capture::Error::Io(e)))?;
    let mut looked = Looked::load(config, survey, &pg, transform, &folder)?;
    let d = &survey.project.definitions[transform];
    let mut out = OutputBatch::default();
    let alive = (!looked.stored).then(BTreeMap::new);
    let mut show = Show { d, take, left: first, alive, ended: false, failure: None };
    looked.roots(&mut out, &mut show)?;
    let Looked { mut engine, mut state, .. } = looked;
    state.settle()?;

    let options = StreamOptions {
        slot: name,
        publications: vec![config.postgres.publication.clone()],
        start: slot.consistent_point,
        confirmed: EndLsn::ZERO,
        queue_bytes: 8 << 20,
        probe: None,
    };
    let stream = stream::start(slot.connection, options)?;
    let feedback = stream.feedback();
    let mut assembler = Assembler::new(AssembleOptions { spill_above: 64 << 20, spill_directory: folder.0.clone() });
    while !stop.load(Ordering::Acquire) && !show.ended {
        let Some(chunk) = stream.next(LOOK_AROUND)? else { continue };
        for message in chunk.messages() {
            match message.map_err(capture::Error::Protocol)? {
                ReplicationMessage::XLogData { wal_start, payload, .. } => {
                    let Some(tx) = assembler.push(wal_start, payload)? else { continue };
                    let applied = engine.apply(&tx, Mode::Emit { skip: 0 }, &mut state, &mut out, &mut show);
                    show.settle(applied)?;
                    show.records(&mut out, true)?;
                    state.settle()?;
                    // Nothing is resumed from here: the server may forget it.
                    feedback.confirm(tx.info.end_lsn);
                    assembler.recycle(tx);
                }
                ReplicationMessage::Keepalive { wal_end, .. } => {
                    if !assembler.has_open_transaction() {
                        engine.advance(EndLsn(wal_end), &mut state, &mut out);
                        feedback.confirm(EndLsn(wal_end));
                    }
                }
            }
            if show.ended {
                break;
            }
        }
        stream.recycle(chunk);
    }
    stream.stop();
    Ok(())
}

fn temporary_name() -> String {
    format!("pgspine_preview_{}_{}", std::process::id(), clock::now_millis() % 1_000_000)
}

/// The rows of a transform that joins tables: they are loaded, and joined here.
fn joined_rows(config: &Config, survey: &mut Survey, transform: usize, take: Take<'_>) -> Result<(), Failure> {
    let folder = Folder::new(&temporary_name()).map_err(|e| Failure::Capture(capture::Error::Io(e)))?;
    let mut looked = Looked::load(config, survey, &options::postgres(config)?, transform, &folder)?;
    let d = &survey.project.definitions[transform];
    let mut show = Show { d, take, left: u64::MAX, alive: None, ended: false, failure: None };
    looked.roots(&mut OutputBatch::default(), &mut show)
}

/// A transform's tables under one snapshot, in a state of their own, and an engine over them.
struct Looked {
    engine: Engine,
    state: State,
    /// The root's rows.
    rows: SpaceId,
    /// They follow the stream.
    stored: bool,
    at: EndLsn,
}

impl Looked {
    fn load(
        config: &Config,
        survey: &mut Survey,
        pg: &capture::Options,
        transform: usize,
        folder: &Folder,
    ) -> Result<Looked, Failure> {
        let mut state = State::temporary(&folder.0, Limits { cache_bytes: 8 << 20 })?;
        let columns = survey.project.columns_used();
        let prints = capture::watch::read(&mut survey.sql, &config.postgres.publication, &columns)?;
        let quiet = Shared::new(&config.bridge.name, Metrics::new(&config.bridge.name, "", ""), Health::new());
        let project = &survey.project;
        let d = &project.definitions[transform];
        let wanted: Vec<_> = project
            .tables_of(d)
            .into_iter()
            .map(|i| (i, &project.tables[i], project.tables[i].layout(&prints)))
            .collect();
        let (at, loaded) = load::run(pg, &wanted, |_| Ok(()), &mut state, &quiet)?;
        let held = state.new_temporary_space();
        let mut tables = Vec::new();
        for (l, (_, table, _)) in loaded.iter().zip(&wanted) {
            tables.push(table.for_engine(&prints, if l.kept { &l.spaces } else { &[] }, at));
        }
        let shown = Transform {
            live_from: at,
            // A row that cannot be told is told as such, and the next one follows.
            on_error: OnError::DeadLetter { topic: TopicId(1), partitions: 1, held },
            ..d.for_engine(0, &tables, &survey.context)
        };
        let limits = SplitLimits { records: 100_000, bytes: 64 << 20 };
        let root = loaded.get(shown.root());
        let (rows, stored) = root.map_or((SpaceId(0), false), |l| (l.spaces[0], l.kept));
        let mut engine = Engine::new(tables, vec![shown], limits);
        if d.is_event() {
            engine.events = Events::new(vec![(0, d.event_root(&project.tables[project.table_of(d)], &prints))]);
        }
        Ok(Looked { engine, state, rows, stored, at })
    }

    /// All roots, as they were loaded.
    fn roots(&mut self, out: &mut OutputBatch, show: &mut Show<'_>) -> Result<(), Failure> {
        let info = CommitInfo { xid: 0, end_lsn: self.at, commit_time: clock::now_postgres_micros() };
        let task = Task { transform: 0, rows: self.rows, live: None };
        let begun = upserts(&mut self.engine, task, &info, &mut 0, &mut self.state, out, show);
        show.settle(begun)
    }
}

/// How long a wait for the stream lasts before `stop` is looked at.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A table that is not in the publication would be silent.
fn published(config: &Config, survey: &mut Survey) -> Result<(), Failure> {
    let name = &config.postgres.publication;
    let facts = Facts::read(&mut survey.sql, name, &survey.wanted)?;
    let columns = options::publication_columns(config);
    let plan = publication::plan(publication::Mode::Verify, columns, name, &survey.wanted, &facts);
    if plan.is_refused() { Err(Failure::Findings(plan.findings)) } else { Ok(()) }
}

struct Show<'s> {
    d: &'s Definition,
    take: Take<'s>,
    /// Of the first rows, how many are still wanted.
    left: u64,
    /// Keys with the hashes of their bodies, for a TRUNCATE of a table that is not stored.
    alive: Option<BTreeMap<Box<[u8]>, u128>>,
    ended: bool,
    failure: Option<Failure>,
}

impl Show<'_> {
    /// Tells the records of `out` and takes them from it.
    fn records(&mut self, out: &mut OutputBatch, change: bool) -> Result<(), Failure> {
        for r in &out.records {
            let bytes = |range: &std::ops::Range<u32>| &out.arena[range.start as usize..range.end as usize];
            let key_bytes = bytes(&r.key);
            let mut record = json!({ "key": key(self.d, key_bytes)? });
            match (&r.value, r.topic) {
                (Some(letter), TopicId(1)) => {
                    record["error"] = serde_json::from_slice(bytes(letter)).unwrap_or_default();
                }
                (Some(v), _) => record["value"] = value(self.d, bytes(v))?,
                (None, _) => record["value"] = Value::Null,
            }
            if let (Some(alive), TopicId(0)) = (&mut self.alive, r.topic) {
                match &r.value {
                    Some(v) => drop(alive.insert(key_bytes.into(), body_hash(body_of(bytes(v))))),
                    None => drop(alive.remove(key_bytes)),
                }
            }
            if change {
                record["lsn"] = json!(r.lsn.to_string());
            } else if self.left == 0 {
                continue;
            } else {
                self.left -= 1;
            }
            if !self.ended && !(self.take)(record) {
                self.ended = true;
            }
        }
        out.records.clear();
        out.arena.clear();
        Ok(())
    }

    fn keep(&mut self, result: Result<(), Failure>) -> Result<(), EngineError> {
        result.map_err(|failure| {
            self.failure = Some(failure);
            EngineError::Outlet
        })
    }

    /// The engine's answer, with what happened behind it.
    fn settle<T>(&mut self, result: Result<T, EngineError>) -> Result<(), Failure> {
        match (result, self.failure.take()) {
            (_, Some(failure)) => Err(failure),
            (Err(EngineError::Outlet), None) => Ok(()),
            (result, None) => result.map(drop).map_err(Failure::Engine),
        }
    }
}

impl Steps for Show<'_> {
    fn step(&mut self, out: &mut OutputBatch, _done: u64, _last_key: &[u8]) -> Result<(), EngineError> {
        let told = self.records(out, false);
        self.keep(told)?;
        // Only what a TRUNCATE needs is read to its end.
        if self.alive.is_none() && (self.left == 0 || self.ended) { Err(EngineError::Outlet) } else { Ok(()) }
    }
}

impl Outlet for Show<'_> {
    fn part(&mut self, out: &mut OutputBatch, first: usize, _: &CommitInfo, _: Part) -> Result<(), EngineError> {
        let mut part = out.split_off(first);
        let told = self.records(out, true).and_then(|()| self.records(&mut part, true));
        self.keep(told)
    }

    fn live_keys(
        &mut self,
        out: &mut OutputBatch,
        _transform: &Transform,
        f: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError> {
        let told = self.records(out, true);
        self.keep(told)?;
        self.alive.iter().flatten().for_each(|(key, hash)| f(key, *hash));
        Ok(())
    }
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> std::io::Result<Folder> {
        let path: PathBuf = std::env::temp_dir().join(name);
        make_private(&path)?;
        Ok(Folder(path))
    }
}

/// Rows lie in it: nobody else's to read.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
