//! Random transactions over the scene's tables, of the shapes that are easy to get wrong.

use fastrand::Rng;

use super::model::Model;
use super::plans::{CUSTOMERS, LINES, ORDERS};
use super::wire::{Op, Row as Cells};

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
