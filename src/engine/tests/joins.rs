//! Joins against a model that recomputes every answer from the tables' rows after every transaction: the topic is that
//! answer, and the records of a transaction are exactly the difference.

use std::collections::BTreeMap;

use super::plans::{self, CUSTOMERS, LINES, ORDERS};
use super::scene::{Parts, Scene};
use super::wire::{Op, Row as Cells, assemble, messages};
use super::*;
use crate::emit::Committed;

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

/// An array without ORDER BY: what the database does with a row's place in the table is none of the topic's business.
#[test]
fn rows_of_no_order_stand_still_when_nothing_changes() {
    for bag in [false, true] {
        let mut s = scene(bag, false, 1000);
        s.commit(
            &[Op::Insert(CUSTOMERS, customer("1", Some("a"))), Op::Insert(ORDERS, order(1, Some("1")))],
            false,
            None,
        );
        let line = |id: &str, sku| cells(&[Some(id), Some("1"), Some("1.0"), Some(sku)]);
        let lines = [line("3", "b"), line("1", "a"), line("2", "b")];
        let all = |op: fn(usize, Cells) -> Op, lines: &[Cells]| -> Vec<Op> {
            lines.iter().map(|l| op(LINES, l.clone())).collect()
        };
        assert!(s.commit(&all(Op::Insert, &lines), false, None) > 0);
        let same: Vec<Op> = lines.iter().map(|l| Op::Update(LINES, l.clone(), l.clone())).collect();
        assert_eq!(s.commit(&same, false, None), 0);
        let mut again = all(Op::Delete, &lines);
        let turned: Vec<Cells> = lines.iter().rev().cloned().collect();
        again.extend(all(Op::Insert, &turned));
        assert_eq!(s.commit(&again, false, None), 0);
    }
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let mut s = scene(false, false, 1000);
    s.commit(&[Op::Insert(CUSTOMERS, customer("1", Some("a"))), Op::Insert(ORDERS, order(1, Some("1")))], false, None);
    // The second change is of a row that is not there.
    let bad =
        [Op::Update(CUSTOMERS, customer("1", Some("a")), customer("1", Some("z"))), Op::Delete(ORDERS, order(9, None))];
    let wire = messages(&s.model.defs, 2, &bad, false);
    let (mut out, mut outlet) = (OutputBatch::default(), Parts::new(None, usize::MAX));
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
    let (mut out, mut outlet) = (OutputBatch::default(), Parts::new(None, usize::MAX));
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
    let (mut out, mut outlet) = (OutputBatch::default(), Parts::new(None, usize::MAX));
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
