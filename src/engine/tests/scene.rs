//! Engine and state against the model: commits, cut-off parts, crashes, reconciles.

use std::collections::BTreeMap;

use super::model::Model;
use super::plans::{self, Bound};
use super::wire::{Op, TableDef, assemble, messages};
use super::*;
use crate::engine::index::IndexColumns;
use crate::engine::source::{Ways, by_identity, keyed_by_root, sides};

/// Topic key to body; both as they are in Kafka.
type Topic = BTreeMap<Vec<u8>, Vec<u8>>;

/// Collects parts; fails in the middle if told so.
pub struct Parts {
    pub records: Vec<(TopicId, Vec<u8>, Option<Vec<u8>>)>,
    pub done: u64,
    pub fail_at: Option<usize>,
    pub parts: usize,
    /// Bytes that may stay in `out`, and what had to leave it.
    room: usize,
    aside: OutputBatch,
}

impl Parts {
    pub fn new(fail_at: Option<usize>, room: usize) -> Parts {
        Parts { records: vec![], done: 0, fail_at, parts: 0, room, aside: OutputBatch::default() }
    }

    fn take(&mut self, out: &mut OutputBatch) {
        for r in &out.records {
            self.records.push((r.topic, out.key(r).to_vec(), out.value(r).map(<[u8]>::to_vec)));
        }
        out.records.clear();
        out.arena.clear();
    }
}

impl Outlet for Parts {
    fn part(&mut self, out: &mut OutputBatch, first: usize, _: &CommitInfo, part: Part) -> Result<(), EngineError> {
        let mut last = out.split_off(first);
        self.whole(out, first, None)?;
        assert!(last.records.iter().all(|r| r.part == Some((part.number, false))));
        self.take(&mut last);
        assert_eq!(part.done, self.records.len() as u64);
        assert_eq!(part.number as usize, self.parts + 1, "also after a part that failed");
        (self.done, self.parts) = (part.done, self.parts + 1);
        if self.fail_at == Some(self.parts) { Err(EngineError::Outlet) } else { Ok(()) }
    }
    fn room(&self) -> usize {
        self.room
    }
    fn set_aside(&mut self, out: &mut OutputBatch, first: usize) -> Result<(), EngineError> {
        // Only this transaction's own.
        assert_eq!(first, 0);
        let chunk = out.split_off(first);
        let at = self.aside.arena.len() as u32;
        self.aside.arena.extend_from_slice(&chunk.arena);
        let moved = |r: &std::ops::Range<u32>| r.start + at..r.end + at;
        for mut r in chunk.records {
            (r.key, r.value) = (moved(&r.key), r.value.as_ref().map(moved));
            self.aside.records.push(r);
        }
        Ok(())
    }
    fn whole(&mut self, _: &mut OutputBatch, _: usize, _: Option<u32>) -> Result<(), EngineError> {
        let mut aside = std::mem::take(&mut self.aside);
        self.take(&mut aside);
        Ok(())
    }
    fn live_keys(
        &mut self,
        _: &mut OutputBatch,
        _: &Transform,
        _: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError> {
        panic!("every table is stored");
    }
}

/// A bridge without ends: engine, state, model, topics.
pub struct Scene {
    directory: tempfile::TempDir,
    /// None only while it is opened again.
    pub state: Option<State>,
    pub engine: Engine,
    pub model: Model,
    pub topics: Vec<Topic>,
    limits: SplitLimits,
    pub n: u64,
    /// What the state on disk may not have yet.
    log: Vec<(u64, Vec<Vec<u8>>)>,
}

const DEAD: TopicId = TopicId(99);
const HELD: SpaceId = SpaceId(900);
const CACHE: Limits = Limits { cache_bytes: 4096 };

impl Scene {
    pub fn new(defs: Vec<TableDef>, bounds: Vec<Bound>, split: usize) -> Scene {
        let directory = tempfile::tempdir().expect("a folder");
        let state = State::open(directory.path(), "t", CACHE).expect("a state");
        let tables = engine_tables(&defs, &bounds);
        let transforms = bounds.iter().enumerate().map(|(i, b)| transform_of(i, b, &tables)).collect::<Vec<_>>();
        let topics = vec![Topic::new(); transforms.len()];
        let limits = SplitLimits { records: split, bytes: 1 << 20 };
        let rows = vec![vec![]; defs.len()];
        Scene {
            directory,
            state: Some(state),
            engine: Engine::new(tables, transforms, limits),
            model: Model { defs, rows },
            topics,
            limits,
            n: 0,
            log: vec![],
        }
    }

    pub fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("it is open")
    }

    /// Applies a transaction, which may be cut off after a part, and holds the records against the model.
    pub fn commit(&mut self, ops: &[Op], toast: bool, cut: Option<usize>) -> usize {
        self.n += 1;
        ops.iter().for_each(|op| self.model.apply(op));
        let wire = messages(&self.model.defs, self.n, ops, toast);
        let room = [usize::MAX, 1, 200, 1000][self.n as usize % 4];
        let mut outlet = Parts::new(cut, room);
        let mut out = OutputBatch::default();
        let state = self.state.as_mut().expect("it is open");
        let tx = assemble(&wire);
        let mut applied = self.engine.apply(&tx, Mode::Emit { skip: 0 }, state, &mut out, &mut outlet);
        if let Err(EngineError::Outlet) = applied {
            assert!(out.records.is_empty(), "what did not go out is taken back");
            outlet.fail_at = None;
            outlet.aside = OutputBatch::default();
            let mode = Mode::Resume { skip: outlet.done, parts: outlet.parts as u32 };
            applied = self.engine.apply(&tx, mode, state, &mut out, &mut outlet);
        }
        applied.unwrap_or_else(|e| panic!("transaction {} {ops:?}: {e}", self.n));
        outlet.take(&mut out);
        self.log.push((self.n, wire));
        self.check(outlet.records, ops)
    }

    fn check(&mut self, records: Vec<(TopicId, Vec<u8>, Option<Vec<u8>>)>, ops: &[Op]) -> usize {
        let total = records.len();
        let mut got: Vec<BTreeMap<Vec<u8>, Option<Vec<u8>>>> = vec![BTreeMap::new(); self.topics.len()];
        for (topic, key, value) in records {
            if topic == DEAD {
                continue;
            }
            let twice = got[usize::from(topic.0)].insert(key, value);
            assert!(twice.is_none(), "transaction {} writes a key twice: {ops:?}", self.n);
        }
        for (i, got) in got.into_iter().enumerate() {
            let t = &self.engine.transforms[i];
            let mut now = Topic::new();
            for (key, body) in self.model.answer(&self.engine, t) {
                // What cannot be told stays as it was.
                let body = body.or_else(|| self.topics[i].get(&key).cloned());
                body.map(|body| now.insert(key, body));
            }
            let before = &self.topics[i];
            let mut expected = BTreeMap::new();
            for key in before.keys().chain(now.keys()) {
                if before.get(key) != now.get(key) {
                    expected.insert(key.clone(), now.get(key).cloned());
                }
            }
            assert_eq!(got, expected, "{} after transaction {}: {ops:?}", t.name, self.n);
            self.topics[i] = now;
        }
        total
    }

    /// The process ends, and starts again from what is on disk; Kafka has everything.
    pub fn crash(&mut self) {
        self.state = None;
        let mut state = State::open(self.directory.path(), "t", CACHE).expect("a state");
        self.engine.forget_relations();
        let durable = state.durable().get();
        self.log.retain(|(n, _)| n * 100 + 50 > durable);
        for (_, wire) in &self.log {
            let mut out = OutputBatch::default();
            let mut outlet = Parts::new(None, usize::MAX);
            self.engine.limits = SplitLimits::NONE;
            let applied = self.engine.apply(&assemble(wire), Mode::Replay, &mut state, &mut out, &mut outlet);
            applied.expect("a replay");
            assert!(out.records.is_empty());
        }
        self.engine.limits = self.limits;
        self.state = Some(state);
    }

    /// A reconcile of topics that hold nothing gives what the model says.
    pub fn reconcile(&mut self) {
        struct All;
        impl reconcile::Steps for All {
            fn step(&mut self, _: &mut OutputBatch, _: u64, _: &[u8]) -> Result<(), EngineError> {
                Ok(())
            }
        }
        for i in 0..self.engine.transforms.len() {
            if self.engine.transforms[i].on_error != OnError::Halt {
                continue;
            }
            let space = self.engine.tables[self.engine.transforms[i].root()].identity.space().expect("it is stored");
            let task = reconcile::Task { transform: i, rows: space, live: None };
            let info = CommitInfo { xid: 0, end_lsn: EndLsn::new(self.n * 100 + 50), commit_time: 0 };
            let mut out = OutputBatch::default();
            let state = self.state.as_mut().expect("it is open");
            reconcile::upserts(&mut self.engine, task, &info, &mut 0, state, &mut out, &mut All).expect("a reconcile");
            let got: Topic =
                out.records.iter().map(|r| (out.key(r).to_vec(), out.value(r).expect("an upsert").to_vec())).collect();
            assert_eq!(got, self.topics[i], "{} by reconcile", self.engine.transforms[i].name);
        }
    }
}

fn engine_tables(defs: &[TableDef], bounds: &[Bound]) -> Vec<Table> {
    let mut next = 0;
    let mut space = || {
        next += 1;
        SpaceId(next)
    };
    let mut tables: Vec<Table> = Vec::new();
    for def in defs {
        let used = |name: &str| {
            let sources = bounds.iter().flat_map(|b| &b.plan.sources);
            sources.filter(|s| s.table_oid == def.oid).any(|s| s.columns.iter().any(|c| c.name == name))
        };
        let identity = |name: &str| def.keyed && name == "id";
        let kept = def.columns.iter().filter(|(name, _)| used(name) || identity(name));
        let columns: Vec<UsedColumn> = kept.map(|(name, _)| plans::column(def, name)).collect();
        let types = columns.iter().map(|c| (def.columns[c.attnum as usize - 1].1, -1)).collect();
        let space = space();
        tables.push(Table {
            oid: def.oid,
            name: QualifiedName::new("public", def.name),
            partitioned: false,
            leaves: vec![],
            columns,
            types,
            identity: if def.keyed { Identity::Key { columns: vec![0], space } } else { Identity::Bag { space } },
            indexes: vec![],
            loaded_at: EndLsn::ZERO,
        });
    }
    for side in bounds.iter().flat_map(|b| sides(&b.plan, Ways::Both).into_iter().map(move |s| (s, &b.plan))) {
        let (side, plan) = side;
        let source = &plan.sources[side.source];
        let table = tables.iter_mut().find(|t| t.oid == source.table_oid).expect("a table");
        let place = |c: usize| table.columns.iter().position(|t| t.name == source.columns[c].name).expect("a column");
        let columns: IndexColumns = side.columns.iter().map(|&(c, form)| (place(c), form)).collect();
        let identity = match &table.identity {
            Identity::Key { columns: i, .. } => by_identity(&columns, i).is_some(),
            _ => false,
        };
        if !identity && table.indexes.iter().all(|i| i.columns != columns) {
            table.indexes.push(Index { columns, space: space() });
        }
    }
    tables
}

fn transform_of(i: usize, bound: &Bound, tables: &[Table]) -> Transform {
    let held = plans::is_held(&bound.plan);
    Transform {
        name: bound.plan.name.clone(),
        topic: TopicId(i as u16),
        topic_name: bound.plan.name.clone(),
        partitions: 3,
        renderer: Arc::clone(&bound.renderer),
        key: bound.key.clone(),
        key_columns: vec![],
        context: Arc::new(Context::default()),
        sources: SourceUse::of(&bound.plan, tables, Ways::Both),
        keyed_by_root: keyed_by_root(&bound.plan, tables),
        event: false,
        live_from: EndLsn::ZERO,
        on_error: if held { OnError::DeadLetter { topic: DEAD, partitions: 1, held: HELD } } else { OnError::Halt },
        dead_letter_columns: None,
        counts: Counts::default(),
    }
}
