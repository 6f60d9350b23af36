//! The engine of `run` over decoded bytes, with the topics in memory: the only file of this room that calls it.
//!
//! It begins as `run` does: tables are loaded, every transform is reconciled with its empty topic; then transactions
//! come as the server's messages.

use std::path::Path;

use serde_json::Value;

use super::fold::Fold;
use crate::assemble::{AssembleOptions, Assembler};
use crate::capture::{self, Connection};
use crate::change::CommitInfo;
use crate::clock;
use crate::encode::{body_of, plain_json, readback};
use crate::engine::reconcile::{Steps, Task, upserts};
use crate::engine::{Engine, EngineError, Mode, OnError, Outlet, Part, SplitLimits, Transform};
use crate::http::Health;
use crate::lsn::Lsn;
use crate::metrics::Metrics;
use crate::record::{OutputBatch, TopicId};
use crate::runtime::project::{Definition, Project};
use crate::runtime::{Failure, Shared, load};
use crate::state::{Limits, SpaceId, State};
use crate::transform::function::Context;
use crate::transform::source::{self, Kind};
use std::sync::Arc;

/// One record as it would stand in Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Index into the project's definitions.
    pub transform: usize,
    pub key_bytes: Vec<u8>,
    pub key: Value,
    /// None: a tombstone, or a dead letter.
    pub value: Option<Value>,
    pub framed: Option<Vec<u8>>,
    /// What a dead letter says.
    pub letter: Option<Value>,
}

/// A message of the stream and its place.
pub type Message = (Lsn, Vec<u8>);

pub struct Bridge {
    engine: Engine,
    state: State,
    assembler: Assembler,
    transforms: usize,
}

/// What a bridge is started with.
pub struct Start<'s> {
    pub project: &'s Project,
    pub context: &'s Arc<Context>,
    pub postgres: &'s capture::Options,
    pub sql: &'s mut Connection,
    pub publication: &'s str,
    pub folder: &'s Path,
    pub split: SplitLimits,
    /// Rows that cannot be published are told and passed, whatever the transforms say.
    pub dead_letters: bool,
}

impl Bridge {
    /// Gives what the tables' rows bring.
    pub fn start(start: Start<'_>) -> Result<(Bridge, Vec<Made>), Failure> {
        let Start { project, context, postgres, sql, publication, folder, split, dead_letters } = start;
        std::fs::create_dir(folder).map_err(|e| Failure::Capture(capture::Error::Io(e)))?;
        let mut state = State::temporary(folder, Limits { cache_bytes: 8 << 20 })?;
        let prints = capture::watch::read(sql, publication, &project.columns_used())?;
        let tables: Vec<_> = project.tables.iter().enumerate().map(|(i, t)| (i, t, t.layout(&prints))).collect();
        let quiet = Shared::new("test", Metrics::new("test", "", ""), Health::new());
        let (at, loaded) = load::run(postgres, &tables, |_| Ok(()), &mut state, &quiet)?;
        let spaces = |table: usize| loaded.iter().find(|l| l.table == table).map_or(&[][..], |l| &l.spaces[..]);
        let kept = |table: usize| if project.tables[table].stored() { spaces(table) } else { &[] };
        let tables: Vec<_> =
            project.tables.iter().enumerate().map(|(i, t)| t.for_engine(&prints, kept(i), at)).collect();
        let mut transforms = Vec::new();
        for (i, d) in project.definitions.iter().enumerate() {
            let on_error = match dead_letters || d.on_error == source::OnError::DeadLetter {
                false => OnError::Halt,
                true => OnError::DeadLetter {
                    topic: TopicId((project.definitions.len() + i) as u16),
                    partitions: 1,
                    held: state.new_temporary_space(),
                },
            };
            transforms.push(Transform { live_from: at, on_error, ..d.for_engine(i, &tables, context) });
        }
        let mut engine = Engine::new(tables, transforms, split);
        engine.events = project.events(&prints);
        let mut out = OutputBatch::default();
        let mut taken = Collect { project, folds: &[], made: Vec::new(), failure: None };
        let info = CommitInfo { xid: 0, end_lsn: at, commit_time: clock::now_postgres_micros() };
        for (i, d) in project.definitions.iter().enumerate() {
            if d.file.header.kind == Kind::Event && !d.file.header.backfill {
                continue;
            }
            let task = Task {
                transform: i,
                rows: spaces(project.table_of(d)).first().copied().unwrap_or(SpaceId(0)),
                live: None,
            };
            let begun = upserts(&mut engine, task, &info, &mut 0, &mut state, &mut out, &mut taken);
            taken.settle(begun.map(drop))?;
        }
        state.settle()?;
        let spill = AssembleOptions { spill_above: 64 << 20, spill_directory: folder.to_owned() };
        let bridge = Bridge { engine, state, assembler: Assembler::new(spill), transforms: project.definitions.len() };
        Ok((bridge, taken.made))
    }

    /// The records of the transactions that the messages make; with `emit` false Kafka has them already.
    pub fn apply(
        &mut self,
        messages: &[Message],
        emit: bool,
        project: &Project,
        folds: &[Fold],
    ) -> Result<Vec<Made>, Failure> {
        debug_assert_eq!(self.transforms, folds.len());
        let mode = if emit { Mode::Emit { skip: 0 } } else { Mode::Replay };
        let mut taken = Collect { project, folds, made: Vec::new(), failure: None };
        for (at, payload) in messages {
            let Some(tx) = self.assembler.push(*at, payload)? else { continue };
            let mut out = OutputBatch::default();
            let applied = self.engine.apply(&tx, mode, &mut self.state, &mut out, &mut taken);
            taken.settle(applied)?;
            taken.records(&mut out)?;
            self.state.settle()?;
            self.assembler.recycle(tx);
        }
        Ok(taken.made)
    }
}

/// Takes records as they come.
struct Collect<'c> {
    project: &'c Project,
    folds: &'c [Fold],
    made: Vec<Made>,
    failure: Option<Failure>,
}

impl Collect<'_> {
    fn records(&mut self, out: &mut OutputBatch) -> Result<(), Failure> {
        let count = self.project.definitions.len();
        for r in &out.records {
            let topic = usize::from(r.topic.0);
            let d = &self.project.definitions[topic % count];
            let mut made = Made {
                transform: topic % count,
                key_bytes: out.key(r).to_vec(),
                key: key(d, out.key(r))?,
                value: None,
                framed: None,
                letter: None,
            };
            match out.value(r) {
                Some(letter) if topic >= count => {
                    made.letter = Some(serde_json::from_slice(letter).map_err(|e| unreadable(d, &e))?);
                }
                Some(framed) => {
                    readback::check(d.contract.text(), body_of(framed)).map_err(|e| unreadable(d, &e))?;
                    let value = plain_json::record(d.contract.record(), body_of(framed));
                    made.value = Some(value.map_err(|e| unreadable(d, &e))?);
                    made.framed = Some(framed.to_vec());
                }
                None => {}
            }
            self.made.push(made);
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

    fn settle(&mut self, result: Result<(), EngineError>) -> Result<(), Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => result.map_err(Failure::Engine),
        }
    }
}

fn key(d: &Definition, bytes: &[u8]) -> Result<Value, Failure> {
    let columns = d.key_columns();
    d.key.plain_json(columns.first().map_or("", String::as_str), bytes).map_err(|e| unreadable(d, &e))
}

fn unreadable(d: &Definition, e: &dyn std::error::Error) -> Failure {
    use crate::diagnostic::Diagnostic;
    let why = crate::runtime::failure::chain(e);
    let message = format!("a record of {} cannot be read under its contract: {why}", d.file.name);
    Failure::Findings(vec![Diagnostic::error(super::codes::NOT_REPEATED, message)])
}

impl Steps for Collect<'_> {
    fn step(&mut self, out: &mut OutputBatch, _done: u64, _last_key: &[u8]) -> Result<(), EngineError> {
        let told = self.records(out);
        self.keep(told)
    }
}

impl Outlet for Collect<'_> {
    fn part(&mut self, out: &mut OutputBatch, first: usize, _: &CommitInfo, _: Part) -> Result<(), EngineError> {
        let mut part = out.split_off(first);
        let told = self.records(out).and_then(|()| self.records(&mut part));
        self.keep(told)
    }

    fn live_keys(
        &mut self,
        _out: &mut OutputBatch,
        transform: &Transform,
        f: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError> {
        if let Some(fold) = self.folds.get(usize::from(transform.topic.0)) {
            fold.hashes(f);
        }
        Ok(())
    }
}
