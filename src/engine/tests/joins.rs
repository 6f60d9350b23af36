//! Joins against a model that recomputes every answer from the tables' rows after every transaction: the topic is that
//! answer, and the records of a transaction are exactly the difference.

use std::collections::BTreeMap;

use super::plans::{self, Bound, CUSTOMERS, LINES, ORDERS};
use super::wire::{Op, Row as Cells, TableDef, assemble, messages};
use super::*;
use crate::emit::Committed;
use crate::encode::{Outcome, Rendered};
use crate::engine::index::IndexColumns;
use crate::engine::source::{by_identity, keyed_by_root, sides};
use crate::row::Row;
use crate::state::{bag, image};
use crate::transform::eval::{EachRow, Lookup};
use crate::transform::function::EvalError;

/// Topic key to body; both as they are in Kafka.
type Topic = BTreeMap<Vec<u8>, Vec<u8>>;

/// The tables' rows, and nothing else.
struct Model {
    defs: Vec<TableDef>,
    rows: Vec<Vec<Cells>>,
}

impl Model {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert(t, new) => self.rows[*t].push(new.clone()),
            Op::Update(t, old, new) => {
                let at = self.rows[*t].iter().position(|r| r == old).expect("the row");
                self.rows[*t][at] = new.clone();
            }
            Op::Delete(t, old) => {
                let at = self.rows[*t].iter().position(|r| r == old).expect("the row");
                self.rows[*t].remove(at);
            }
            Op::Truncate(all) => all.iter().for_each(|t| self.rows[*t].clear()),
        }
    }

    /// A source's rows in the order of their identities.
    fn source(&self, engine: &Engine, t: &Transform, source: usize) -> Vec<Vec<Option<Vec<u8>>>> {
        let used = &t.sources[source];
        let table = &engine.tables[used.table];
        let mut rows: Vec<(Vec<u8>, Vec<Option<Vec<u8>>>)> = Vec::new();
        for cells in &self.rows[used.table] {
            let def = &self.defs[used.table];
            let place = |name: &str| def.columns.iter().position(|(n, _)| *n == name).expect("a column");
            let of_table: Vec<Option<&[u8]>> =
                table.columns.iter().map(|c| cells[place(&c.name)].as_deref().map(str::as_bytes)).collect();
            let mut key = Vec::new();
            match &table.identity {
                Identity::Key { columns, .. } => image::write(columns.iter().map(|&c| of_table[c]), &mut key),
                _ => {
                    let mut whole = Vec::new();
                    image::write(of_table.iter().copied(), &mut whole);
                    bag::key(&whole, &mut key);
                }
            }
            rows.push((key, used.slots.iter().map(|&s| of_table[s].map(<[u8]>::to_vec)).collect()));
        }
        rows.sort();
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// What the transform's SELECT answers: by key a body, or that the row cannot be told.
    fn answer(&self, engine: &Engine, t: &Transform) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        struct All<'m>(&'m Transform, Vec<Vec<Vec<Option<Vec<u8>>>>>);
        impl Lookup for All<'_> {
            fn rows(&self, source: u16, key: &[u8], each: &mut EachRow<'_>) -> Result<(), EvalError> {
                let link = &self.0.sources[usize::from(source)].link.as_ref().expect("a link").link;
                let mut own = Vec::new();
                for row in &self.1[usize::from(source)] {
                    let row: Vec<Option<&[u8]>> = row.iter().map(Option::as_deref).collect();
                    if link.key_of_own(&row, &mut own) && own == key && each(&row)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
        let all = All(t, (0..t.sources.len()).map(|s| self.source(engine, t, s)).collect());
        let mut answer = BTreeMap::new();
        let mut out = Rendered::default();
        for root in &all.1[0] {
            let root: Row<'_> = &root.iter().map(Option::as_deref).collect::<Vec<_>>();
            let body = match t.renderer.render(&t.context, root, &all, &mut out) {
                Ok(Outcome::Filtered) => continue,
                Ok(Outcome::Entity) => Some(out.value.clone()),
                Err(_) => {
                    t.renderer.key(&t.context, root, &all, &mut out).expect("a key");
                    None
                }
            };
            assert!(answer.insert(out.key.clone(), body).is_none(), "{}: the model has a key twice", t.name);
        }
        answer
    }
}

/// Collects parts; fails in the middle if told so.
struct Parts {
    records: Vec<(TopicId, Vec<u8>, Option<Vec<u8>>)>,
    done: u64,
    fail_at: Option<usize>,
    parts: usize,
}

impl Parts {
    fn take(&mut self, out: &mut OutputBatch) {
        for r in &out.records {
            self.records.push((r.topic, out.key(r).to_vec(), out.value(r).map(<[u8]>::to_vec)));
        }
        out.records.clear();
        out.arena.clear();
    }
}

impl Outlet for Parts {
    fn part(&mut self, out: &mut OutputBatch, first: usize, _: &CommitInfo, done: u64) -> Result<(), EngineError> {
        let mut part = out.split_off(first);
        self.take(&mut part);
        (self.done, self.parts) = (done, self.parts + 1);
        if self.fail_at == Some(self.parts) { Err(EngineError::Outlet) } else { Ok(()) }
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
struct Scene {
    directory: tempfile::TempDir,
    /// None only while it is opened again.
    state: Option<State>,
    engine: Engine,
    model: Model,
    topics: Vec<Topic>,
    limits: SplitLimits,
    n: u64,
    /// What the state on disk may not have yet.
    log: Vec<(u64, Vec<Vec<u8>>)>,
}

const DEAD: TopicId = TopicId(99);
const HELD: SpaceId = SpaceId(900);
const CACHE: Limits = Limits { cache_bytes: 4096 };

impl Scene {
    fn new(defs: Vec<TableDef>, bounds: Vec<Bound>, split: usize) -> Scene {
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

    fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("it is open")
    }

    /// Applies a transaction, which may be cut off after a part, and holds the records against the model.
    fn commit(&mut self, ops: &[Op], toast: bool, cut: Option<usize>) -> usize {
        self.n += 1;
        ops.iter().for_each(|op| self.model.apply(op));
        let wire = messages(&self.model.defs, self.n, ops, toast);
        let mut outlet = Parts { records: vec![], done: 0, fail_at: cut, parts: 0 };
        let mut out = OutputBatch::default();
        let state = self.state.as_mut().expect("it is open");
        let tx = assemble(&wire);
        let mut applied = self.engine.apply(&tx, Mode::Emit { skip: 0 }, state, &mut out, &mut outlet);
        if let Err(EngineError::Outlet) = applied {
            assert!(out.records.is_empty(), "what did not go out is taken back");
            outlet.fail_at = None;
            let mode = Mode::Emit { skip: outlet.done };
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
    fn crash(&mut self) {
        self.state = None;
        let mut state = State::open(self.directory.path(), "t", CACHE).expect("a state");
        self.engine.forget_relations();
        let durable = state.durable().get();
        self.log.retain(|(n, _)| n * 100 + 50 > durable);
        for (_, wire) in &self.log {
            let mut out = OutputBatch::default();
            let mut outlet = Parts { records: vec![], done: 0, fail_at: None, parts: 0 };
            self.engine.limits = SplitLimits::NONE;
            let applied = self.engine.apply(&assemble(wire), Mode::Replay, &mut state, &mut out, &mut outlet);
            applied.expect("a replay");
            assert!(out.records.is_empty());
        }
        self.engine.limits = self.limits;
        self.state = Some(state);
    }

    /// A reconcile of topics that hold nothing gives what the model says.
    fn reconcile(&mut self) {
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
    for side in bounds.iter().flat_map(|b| sides(&b.plan).into_iter().map(move |s| (s, &b.plan))) {
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
        sources: SourceUse::of(&bound.plan, tables),
        keyed_by_root: keyed_by_root(&bound.plan, tables),
        live_from: EndLsn::ZERO,
        on_error: if held { OnError::DeadLetter { topic: DEAD, partitions: 1, held: HELD } } else { OnError::Halt },
        dead_letter_columns: None,
        counts: Counts::default(),
    }
}

fn scene(bag: bool, full: bool, split: usize) -> Scene {
    let defs = plans::tables(bag, full);
    let bounds = plans::all(&defs);
    Scene::new(defs, bounds, split)
}

fn cells(values: &[Option<&str>]) -> Cells {
    values.iter().map(|v| v.map(str::to_owned)).collect()
}

fn order(id: u64, customer: Option<&str>) -> Cells {
    cells(&[Some(&id.to_string()), Some(&format!("c{id}")), customer, Some("n"), None])
}

fn customer(id: &str, name: Option<&str>) -> Cells {
    cells(&[Some(id), name, None, Some("1"), None])
}

#[test]
fn a_look_up_row_reaches_every_root_that_hangs_on_it() {
    let mut s = scene(false, false, 1000);
    let mut first = vec![Op::Insert(CUSTOMERS, customer("1", Some("a")))];
    first.extend((0..50).map(|i| Op::Insert(ORDERS, order(i, (i % 2 == 0).then_some("1")))));
    s.commit(&first, false, None);
    // 25 orders hang on it: in `order`, `document` and `held`; it is a root of `boss`.
    let renamed = Op::Update(CUSTOMERS, customer("1", Some("a")), customer("1", Some("b")));
    assert_eq!(s.commit(&[renamed], false, None), 3 * 25 + 1);
    // A column that nobody reads touches nothing.
    let mut other = customer("1", Some("b"));
    other[4] = Some("x".into());
    let evaluations = |s: &Scene| s.engine.transforms.iter().map(|t| t.counts.evaluations).sum::<u64>();
    let before = evaluations(&s);
    assert_eq!(s.commit(&[Op::Update(CUSTOMERS, customer("1", Some("b")), other.clone())], false, None), 0);
    assert_eq!(evaluations(&s), before);
    // Gone: NULL under LEFT JOIN, a tombstone under JOIN and for the root itself, in `customer` and `boss`.
    assert_eq!(s.commit(&[Op::Delete(CUSTOMERS, other)], false, None), 3 * 25 + 2);
}

#[test]
fn children_and_moved_keys_touch_both_parents() {
    let mut s = scene(false, false, 1000);
    let line = |id: &str, order: Option<&str>| cells(&[Some(id), order, Some("1.0"), Some("sku")]);
    s.commit(
        &[Op::Insert(CUSTOMERS, customer("1", Some("a"))), Op::Insert(CUSTOMERS, customer("2", Some("b")))],
        false,
        None,
    );
    s.commit(&[Op::Insert(ORDERS, order(1, Some("1"))), Op::Insert(ORDERS, order(2, Some("2")))], false, None);
    // The line itself; `document` of order 1; `customer` of customer 1, and both by their rank.
    assert_eq!(s.commit(&[Op::Insert(LINES, line("7", Some("1")))], false, None), 4);
    // Two orders, two customers, the line's customer.
    assert_eq!(s.commit(&[Op::Update(LINES, line("7", Some("1")), line("7", Some("2")))], false, None), 5);
    // To nowhere and back within one transaction.
    let there_and_back = [
        Op::Update(LINES, line("7", Some("2")), line("7", None)),
        Op::Update(LINES, line("7", None), line("7", Some("2"))),
    ];
    assert_eq!(s.commit(&there_and_back, false, None), 0);
    assert_eq!(s.commit(&[Op::Truncate(vec![LINES])], false, None), 4);
    s.commit(&[Op::Truncate(vec![CUSTOMERS, ORDERS])], false, None);
    assert!(s.topics.iter().all(BTreeMap::is_empty));
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let mut s = scene(false, false, 1000);
    s.commit(&[Op::Insert(CUSTOMERS, customer("1", Some("a"))), Op::Insert(ORDERS, order(1, Some("1")))], false, None);
    // The second change is of a row that is not there.
    let bad =
        [Op::Update(CUSTOMERS, customer("1", Some("a")), customer("1", Some("z"))), Op::Delete(ORDERS, order(9, None))];
    let wire = messages(&s.model.defs, 2, &bad, false);
    let (mut out, mut outlet) = (OutputBatch::default(), Parts { records: vec![], done: 0, fail_at: None, parts: 0 });
    let state = s.state.as_mut().expect("it is open");
    let failed = s.engine.apply(&assemble(&wire), Mode::Emit { skip: 0 }, state, &mut out, &mut outlet);
    assert!(matches!(failed, Err(EngineError::MissingRow { .. })));
    assert!(out.records.is_empty());
    // What follows is held against the rows as they were.
    s.commit(&[Op::Update(CUSTOMERS, customer("1", Some("a")), customer("1", Some("b")))], false, None);
}

/// The same where a row cannot be told, which is found when everything is staged.
#[test]
fn a_transaction_that_halts_leaves_nothing() {
    let mut s = scene(false, false, 1000);
    s.commit(&[Op::Insert(CUSTOMERS, customer("1", Some("a"))), Op::Insert(ORDERS, order(1, Some("1")))], false, None);
    let long = "x".repeat(5000);
    let bad = [
        Op::Update(CUSTOMERS, customer("1", Some("a")), customer("1", Some(&long))),
        Op::Insert(LINES, cells(&[Some("3"), Some("1"), Some("1"), Some("sku")])),
    ];
    let wire = messages(&s.model.defs, 2, &bad, false);
    let (mut out, mut outlet) = (OutputBatch::default(), Parts { records: vec![], done: 0, fail_at: None, parts: 0 });
    let state = s.state.as_mut().expect("it is open");
    let failed = s.engine.apply(&assemble(&wire), Mode::Emit { skip: 0 }, state, &mut out, &mut outlet);
    assert!(matches!(failed, Err(EngineError::Row { .. })));
    assert!(out.records.is_empty());
    // Neither the name nor the line is there.
    s.commit(&[Op::Insert(ORDERS, order(2, Some("1")))], false, None);
    s.commit(&[Op::Update(ORDERS, order(1, Some("1")), order(1, None))], false, None);
    s.reconcile();
}

#[test]
fn rows_that_are_alike_are_counted() {
    let mut s = scene(true, true, 1000);
    let line = || cells(&[Some("0"), Some("1"), Some("1"), Some("sku")]);
    s.commit(&[Op::Insert(CUSTOMERS, customer("1", Some("a"))), Op::Insert(ORDERS, order(1, Some("1")))], false, None);
    for _ in 0..3 {
        // `document`, and `customer`.
        assert_eq!(s.commit(&[Op::Insert(LINES, line())], false, None), 2);
    }
    s.crash();
    assert_eq!(s.commit(&[Op::Delete(LINES, line()), Op::Delete(LINES, line())], false, None), 2);
    assert_eq!(s.commit(&[Op::Insert(LINES, line()), Op::Delete(LINES, line())], false, None), 0);
    s.commit(&[Op::Delete(LINES, line())], false, None);
    let gone = messages(&s.model.defs, s.n + 1, &[Op::Delete(LINES, line())], false);
    let (mut out, mut outlet) = (OutputBatch::default(), Parts { records: vec![], done: 0, fail_at: None, parts: 0 });
    let state = s.state.as_mut().expect("it is open");
    let failed = s.engine.apply(&assemble(&gone), Mode::Emit { skip: 0 }, state, &mut out, &mut outlet);
    assert!(matches!(failed, Err(EngineError::MissingRow { .. })));
}

/// Random transactions over every plan, with flushes, crashes, parts, and parts that are cut off.
#[test]
fn every_commit_is_the_answer_of_the_model() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut seeds = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds() {
        let mut rng = fastrand::Rng::with_seed(seeds.u64(..));
        let (bag, full) = (rng.bool(), rng.bool());
        let split = if rng.bool() { 4 } else { 1000 };
        let mut s = scene(bag, full, split);
        let mut kafka = 0;
        for _ in 0..60 {
            let ops = random::transaction(&mut rng, &s.model);
            let cut = rng.bool().then(|| rng.usize(1..4));
            s.commit(&ops, rng.bool(), cut);
            match rng.u8(..12) {
                0..4 => {
                    kafka = rng.u64(kafka..=s.n);
                    let (committed, freeze) = (Committed::in_test(EndLsn::new(kafka * 100 + 50)), rng.bool());
                    s.state().step(committed, freeze).expect("a step");
                }
                4 => {
                    kafka = s.n;
                    s.state().flush(Committed::in_test(EndLsn::new(kafka * 100 + 50))).expect("a flush");
                }
                5 => s.crash(),
                6 => s.reconcile(),
                _ => {}
            }
        }
    }
}

/// `PGSPINE_ROUNDS` for a longer run.
fn rounds() -> u32 {
    std::env::var("PGSPINE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

mod random {
    use super::*;
    use fastrand::Rng;

    pub fn transaction(rng: &mut Rng, model: &Model) -> Vec<Op> {
        let mut now = Model { defs: model.defs.clone(), rows: model.rows.clone() };
        let mut ops = Vec::new();
        let many = if rng.u8(..10) == 0 { 40 } else { 6 };
        for _ in 0..rng.usize(1..many) {
            for op in step(rng, &now) {
                now.apply(&op);
                ops.push(op);
            }
        }
        ops
    }

    fn step(rng: &mut Rng, now: &Model) -> Vec<Op> {
        let table = rng.usize(..3);
        let row = rng.choice(&now.rows[table]).cloned();
        let op = match (rng.u8(..100), row) {
            (0..2, _) => {
                let mut all = vec![table];
                if rng.bool() {
                    all.push((table + 1) % 3);
                }
                return vec![Op::Truncate(all)];
            }
            (2..10, _) => return swap(rng, now),
            (10..45, Some(old)) => {
                let mut new = fresh(rng, now, table, Some(&old));
                for i in 0..new.len() {
                    // Most columns stay; the key does mostly.
                    if rng.u8(..10) < if i == 0 { 9 } else { 6 } {
                        new[i] = old[i].clone();
                    }
                }
                Op::Update(table, old, new)
            }
            (45..60, Some(old)) => Op::Delete(table, old),
            _ => Op::Insert(table, fresh(rng, now, table, None)),
        };
        match &op {
            // The table is full.
            Op::Insert(_, new) | Op::Update(_, _, new) if new[0].is_none() => vec![],
            _ => vec![op],
        }
    }

    /// Two orders change their codes: for a while both have the same.
    fn swap(rng: &mut Rng, now: &Model) -> Vec<Op> {
        let orders = &now.rows[ORDERS];
        if orders.len() < 2 {
            return vec![];
        }
        let (a, b) = (rng.usize(..orders.len()), rng.usize(..orders.len()));
        if a == b {
            return vec![];
        }
        let (mut new_a, mut new_b) = (orders[a].clone(), orders[b].clone());
        std::mem::swap(&mut new_a[1], &mut new_b[1]);
        vec![Op::Update(ORDERS, orders[a].clone(), new_a), Op::Update(ORDERS, orders[b].clone(), new_b)]
    }

    fn fresh(rng: &mut Rng, now: &Model, table: usize, old: Option<&Cells>) -> Cells {
        let rows = &now.rows[table];
        let unused = |rng: &mut Rng, column: usize, prefix: &str| -> Option<String> {
            let mut all: Vec<String> = (0..14).map(|i| format!("{prefix}{i}")).collect();
            all.retain(|v| rows.iter().all(|r| r[column].as_ref() != Some(v)));
            rng.choice(all).or_else(|| old.and_then(|o| o[column].clone()))
        };
        let id = |rng: &mut Rng| {
            let id = rng.u8(..14).to_string();
            (rng.u8(..6) > 0).then_some(id)
        };
        let word = |rng: &mut Rng, long: bool| {
            let word = ["a", "b", "c", ""][rng.usize(..4)].to_owned();
            match rng.u8(..8) {
                0 => None,
                1 if long => Some("a name that is too long for one".to_owned()),
                _ => Some(word),
            }
        };
        let number = |rng: &mut Rng| Some(["1", "1.0", "1.00", "2.50", "2.5", "10"][rng.usize(..6)].to_owned());
        match table {
            ORDERS => {
                let (key, code) = (unused(rng, 0, ""), unused(rng, 1, "k"));
                let key = key.filter(|_| code.is_some());
                vec![key, code, id(rng), word(rng, false), word(rng, false)]
            }
            CUSTOMERS => {
                vec![unused(rng, 0, ""), word(rng, true), id(rng), number(rng).filter(|_| rng.bool()), word(rng, false)]
            }
            _ if now.defs[LINES].keyed => vec![unused(rng, 0, ""), id(rng), number(rng), word(rng, false)],
            // Rows that are alike.
            _ if rng.bool() && !rows.is_empty() => rng.choice(rows).cloned().unwrap_or_default(),
            _ => vec![Some("0".into()), Some(rng.u8(..4).to_string()), number(rng), word(rng, false)],
        }
    }
}
