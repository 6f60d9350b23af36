//! The bridge within the test's process: pgoutput bytes in, records out, no Kafka.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pgspine::assemble::{AssembleOptions, Assembler};
use pgspine::capture::watch::Fingerprints;
use pgspine::change::CommitInfo;
use pgspine::encode::{body_hash, body_of};
use pgspine::engine::reconcile::{Steps, Task};
use pgspine::engine::{Engine, EngineError, Mode, OnError, Outlet, Part, SplitLimits, Table, Transform, reconcile};
use pgspine::lsn::{EndLsn, Lsn};
use pgspine::record::{OutputBatch, TopicId};
use pgspine::runtime::project::Project;
use pgspine::state::{Limits, SpaceId, State, image};
use pgspine::transform::function::Context;
use pgspine::transform::source::OnError as Written;

/// What a topic holds: raw key to raw value.
pub type Topic = BTreeMap<Vec<u8>, Vec<u8>>;

pub struct Bridge {
    engine: Engine,
    state: State,
    assembler: Assembler,
    _dir: tempfile::TempDir,
    /// By transform, as it was before the transaction that is applied.
    pub live: Vec<Topic>,
    /// The records of the last transaction, if it may go out in parts.
    pub last: Vec<Emitted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Place in the list of topics: transforms first, then dead letters.
    pub topic: usize,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    pub seq: u64,
    pub lsn: u64,
    pub part: Option<(u32, bool)>,
    /// `pgspine-event-id`
    pub id: Option<String>,
}

/// A message of pgoutput as the server's function gave it.
#[derive(Clone)]
pub struct Message {
    pub lsn: u64,
    pub data: Vec<u8>,
}

/// All records of a transaction, also those that went out in parts before its end.
struct Collect<'a> {
    live: &'a [Topic],
    records: Vec<Emitted>,
}

fn take(out: &mut OutputBatch, records: &mut Vec<Emitted>) {
    for r in &out.records {
        records.push(Emitted {
            topic: r.topic.0 as usize,
            key: out.key(r).to_vec(),
            value: out.value(r).map(<[u8]>::to_vec),
            seq: r.seq,
            lsn: r.lsn.0,
            part: r.part,
            id: r
                .event_id
                .as_ref()
                .map(|id| String::from_utf8_lossy(&out.arena[id.start as usize..id.end as usize]).into_owned()),
        });
    }
    out.records.clear();
    out.arena.clear();
}

impl Outlet for Collect<'_> {
    fn part(&mut self, out: &mut OutputBatch, _: usize, _: &CommitInfo, _: Part) -> Result<(), EngineError> {
        take(out, &mut self.records);
        Ok(())
    }

    fn live_keys(
        &mut self,
        out: &mut OutputBatch,
        transform: &Transform,
        f: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError> {
        assert!(out.records.is_empty() && self.records.is_empty(), "records of a transaction leave before its end");
        for (key, value) in &self.live[transform.topic.0 as usize] {
            f(key, body_hash(body_of(value)));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Stepped(Vec<Emitted>);

impl Steps for Stepped {
    fn step(&mut self, out: &mut OutputBatch, _: u64, _: &[u8]) -> Result<(), EngineError> {
        take(out, &mut self.0);
        Ok(())
    }
}

impl Bridge {
    pub fn new(project: &Project, prints: &Fingerprints, context: &Arc<Context>, limits: SplitLimits) -> Bridge {
        let dir = tempfile::tempdir().expect("a folder");
        let mut state =
            State::open(&dir.path().join("state"), "random", Limits { cache_bytes: 1 << 20 }).expect("a state");
        let tables = project.tables.iter().map(|t| {
            let kept = if t.stored() { t.spaces() } else { 0 };
            let spaces: Vec<SpaceId> = (0..kept).map(|_| state.new_temporary_space()).collect();
            t.for_engine(prints, &spaces, EndLsn::ZERO)
        });
        let tables: Vec<Table> = tables.collect();
        let mut dead = project.definitions.len();
        let mut transforms = Vec::new();
        for (i, d) in project.definitions.iter().enumerate() {
            let on_error = match d.on_error {
                Written::Halt => OnError::Halt,
                Written::DeadLetter => {
                    dead += 1;
                    OnError::DeadLetter {
                        topic: TopicId(dead as u16 - 1),
                        partitions: 1,
                        held: state.new_temporary_space(),
                    }
                }
            };
            transforms.push(Transform { partitions: 3, on_error, ..d.for_engine(i, &tables, context) });
        }
        let spill = AssembleOptions { spill_above: 1 << 16, spill_directory: dir.path().to_owned() };
        let live = vec![Topic::new(); transforms.len()];
        let mut engine = Engine::new(tables, transforms, limits);
        engine.events = project.events(prints);
        Bridge { engine, state, assembler: Assembler::new(spill), _dir: dir, live, last: Vec::new() }
    }

    /// The server describes its relations again.
    pub fn reconnected(&mut self) {
        self.engine.forget_relations();
    }

    /// Takes one message; at a Commit the transaction is applied: its xid and its records.
    pub fn push(&mut self, m: &Message, mode: Mode) -> Option<(u32, Result<Vec<Emitted>, EngineError>)> {
        let tx = self.assembler.push(Lsn(m.lsn), &m.data).expect("the stream is sound")?;
        let mut out = OutputBatch::default();
        let mut outlet = Collect { live: &self.live, records: Vec::new() };
        let applied = self.engine.apply(&tx, mode, &mut self.state, &mut out, &mut outlet);
        let mut records = outlet.records;
        take(&mut out, &mut records);
        Some((tx.info.xid, applied.map(|()| records)))
    }

    /// Which table's rows stand in the state.
    pub fn stored(&self, transform: usize) -> Option<SpaceId> {
        self.engine.tables[self.engine.transforms[transform].root()].identity.space()
    }

    /// Whether its rows stand there with how often they are there.
    pub fn counted(&self, transform: usize) -> bool {
        let root = &self.engine.tables[self.engine.transforms[transform].root()];
        matches!(root.identity, pgspine::engine::Identity::Bag { .. })
    }

    /// Whether a key of the topic is held.
    pub fn held(&mut self, transform: usize) -> usize {
        let OnError::DeadLetter { held, .. } = self.engine.transforms[transform].on_error else { return 0 };
        let mut n = 0;
        let count = |_: &[u8], _: &[u8]| {
            n += 1;
            std::ops::ControlFlow::Continue(())
        };
        self.state.scan(held, b"", count).expect("the state can be read");
        n
    }

    /// A reconcile of a topic that holds `live`, over the stored rows or these images: upserts, then tombstones.
    pub fn reconcile(
        &mut self,
        transform: usize,
        live: &Topic,
        images: Option<Vec<Vec<Option<Vec<u8>>>>>,
    ) -> Result<Vec<Emitted>, EngineError> {
        let rows = match (self.stored(transform), images) {
            (Some(space), None) => space,
            (_, images) => {
                let space = self.state.new_temporary_space();
                let mut load = self.state.load();
                for (i, row) in images.unwrap_or_default().iter().enumerate() {
                    let mut bytes = Vec::new();
                    image::write(row.iter().map(|v| v.as_deref()), &mut bytes);
                    load.put(space, &(i as u32).to_be_bytes(), &bytes).expect("written");
                }
                load.finish().expect("written");
                space
            }
        };
        let space = self.state.new_temporary_space();
        let mut load = self.state.load();
        for (key, value) in live {
            load.put(space, key, &body_hash(body_of(value)).to_be_bytes()).expect("written");
        }
        load.finish().expect("written");
        let task = Task { transform, rows, live: Some(space) };
        let info = CommitInfo { xid: 0, end_lsn: self.state.applied(), commit_time: 0 };
        let (mut seq, mut out, mut steps) = (0, OutputBatch::default(), Stepped::default());
        reconcile::upserts(&mut self.engine, task, &info, &mut seq, &mut self.state, &mut out, &mut steps)?;
        let left = reconcile::left_over(task, &self.state)?;
        let done =
            reconcile::tombstones(&mut self.engine, task, &info, &mut seq, &mut self.state, &mut out, &mut steps)?;
        assert_eq!(left, done);
        take(&mut out, &mut steps.0);
        Ok(steps.0)
    }
}

/// The configuration of a project that never meets Kafka.
pub fn config(dir: &Path, transforms: &Path, schema: &str) -> pgspine::config::Config {
    std::fs::create_dir_all(dir).expect("a folder");
    let toml = format!(
        "[bridge]\nname = \"random\"\ntransforms = \"{1}\"\nstate_dir = \"{0}/state\"\n[postgres]\nurl = \"host=localhost\"\n\
         search_path = \"{schema}, public\"\n[kafka]\nbootstrap_servers = \"localhost:1\"\n[registry]\nurl = \"http://localhost:1\"\n",
        dir.display(),
        transforms.display()
    );
    let path = dir.join("pgspine.toml");
    std::fs::write(&path, toml).expect("a file");
    pgspine::config::Config::load_with(&path, BTreeMap::new()).unwrap_or_else(|d| panic!("{d:?}"))
}
