//! The same SELECTs as Avro: under the contract that is drafted for each, every row is rendered, read as plain JSON, and is
//! what `to_jsonb` makes of PostgreSQL's row.

use pgspine::encode::draft::{self, Note};
use pgspine::encode::{Contract, KeySchema, Outcome, RenderOptions, Rendered, Renderer, plain_json};
use serde_json::Value;

use super::*;

const NESTED: &[&str] = &[
    "SELECT c.id, ARRAY(SELECT ARRAY(SELECT x.id FROM customers x WHERE x.id = o.customer_id) FROM orders o WHERE o.customer_id = c.id ORDER BY o.id) AS x FROM customers c",
    "SELECT c.id, ARRAY(SELECT ARRAY(SELECT l.line_no FROM lines l WHERE l.order_id = o.id AND l.line_no < 1 ORDER BY l.line_no) FROM orders o WHERE o.customer_id = c.id ORDER BY o.id) AS x FROM customers c",
    "SELECT o.id, CASE WHEN c.id IS NOT NULL THEN jsonb_build_object('n', c.full_name, 'since', c.since, 'region', CASE WHEN r.id IS NULL THEN NULL ELSE jsonb_build_object('id', r.id, 'name', r.name) END) END AS customer FROM orders o LEFT JOIN customers c ON c.id = o.customer_id LEFT JOIN regions r ON r.id = c.region",
    "SELECT o.id, (SELECT jsonb_build_object('n', c.full_name, 'b', c.balance) FROM customers c WHERE c.id = o.customer_id) AS customer, o.placed_at, o.ref, o.rate FROM orders o",
    "SELECT c.id, (SELECT jsonb_build_object('id', o.id, 'at', o.placed_at) FROM orders o WHERE o.customer_id = c.id) AS only FROM customers c",
    "SELECT c.id, ARRAY(SELECT jsonb_build_object('id', o.id, 'at', o.placed_at, 'ref', o.ref, 'lines', ARRAY(SELECT jsonb_build_object('no', l.line_no, 'price', l.unit_price, 'product', (SELECT jsonb_build_object('sku', p.sku, 'kind', p.kind) FROM products p WHERE p.id = l.product_id)) FROM lines l WHERE l.order_id = o.id ORDER BY l.unit_price DESC NULLS LAST, l.line_no)) FROM orders o WHERE o.customer_id = c.id ORDER BY o.placed_at NULLS FIRST, o.id DESC) AS orders FROM customers c",
    "SELECT o.id, ARRAY(SELECT CASE WHEN l.qty > 0 THEN jsonb_build_object('qty', l.qty, 'note', l.note) END FROM lines l WHERE l.order_id = o.id ORDER BY l.note NULLS FIRST, l.line_no) AS lines, ARRAY(SELECT l.unit_price FROM lines l WHERE l.order_id = o.id ORDER BY l.qty, l.line_no DESC) AS prices FROM orders o",
    "SELECT c.id, ARRAY(SELECT (SELECT jsonb_build_object('sku', p.sku) FROM products p WHERE p.id = l.product_id) FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.customer_id = c.id ORDER BY o.id, l.line_no) AS products FROM customers c",
    "SELECT p.id, ARRAY(SELECT jsonb_build_object('customer', c.full_name, 'balance', c.balance) FROM lines l JOIN orders o ON o.id = l.order_id LEFT JOIN customers c ON c.id = o.customer_id WHERE l.product_id = p.id ORDER BY c.balance DESC, o.id, l.line_no) AS buyers FROM products p",
];

/// Every record, or the SQLSTATE of the first row that has none.
fn rendered(plan: &Plan, memory: &Memory) -> Result<Vec<Value>, String> {
    let note = Note { doc: None, topic: "x.t", column: &|_, _| None, not_null: &[], event_id: None };
    let avsc = draft::contract(plan, &note);
    let contract = Contract::parse(Path::new("t.avsc"), &avsc).unwrap_or_else(|f| panic!("{avsc}: {f:?}"));
    let key = KeySchema::derive(plan, &contract).unwrap();
    let options = RenderOptions { max_record: 1_000_000, ..RenderOptions::default() };
    let renderer = Renderer::new(plan, &contract, &key, &options).unwrap_or_else(|f| panic!("{avsc}: {f:?}"));
    let (context, mut out, mut records) = (Context::default(), Rendered::default(), Vec::new());
    for root in &memory.sources[0] {
        match renderer.render(&context, &borrowed(root), memory, &mut out) {
            Ok(Outcome::Entity) => records.push(plain_json::record(contract.record(), out.body()).unwrap()),
            Ok(Outcome::Filtered) => {}
            Err(e) => return Err(e.sqlstate.unwrap_or_else(|| panic!("{e}")).to_owned()),
        }
    }
    Ok(records)
}

/// Ours in the terms of `theirs`: decimals are strings, times have six digits, jsonb without a record is text.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w)),
        // This reader of JSON rounds its last digit; the digits themselves are compared where expressions are.
        (Value::String(a), Value::Number(b)) => {
            a.parse::<f64>().is_ok_and(|a| b.as_f64().is_some_and(|b| (a - b).abs() <= b.abs() * 1e-14))
        }
        (Value::String(a), Value::Object(_) | Value::Array(_)) => {
            serde_json::from_str::<Value>(a).is_ok_and(|a| a == *theirs)
        }
        (Value::String(a), Value::String(b)) => a == b || a.replace(".000000Z", "+00:00") == *b,
        (a, b) => a == b,
    }
}

fn compare(world: &mut World, key: &str, select: &str) -> Result<(), String> {
    let plan = world.plan(key, select)?;
    let ours = rendered(&plan, &Memory::new(&plan, &world.tables));
    let theirs = ask(&mut world.client, &format!("SELECT to_jsonb(answer) FROM ({select}) AS answer"));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            let mut theirs: Vec<Value> =
                theirs.iter().flatten().flatten().map(|text| serde_json::from_str(text).unwrap()).collect();
            if ours.len() != theirs.len() {
                return Err(format!("{} records, PostgreSQL has {}", ours.len(), theirs.len()));
            }
            for ours in &ours {
                match theirs.iter().position(|theirs| same(ours, theirs)) {
                    Some(place) => drop(theirs.swap_remove(place)),
                    None => return Err(format!("ours {ours}\nis none of {theirs:?}")),
                }
            }
            Ok(())
        }
        (Err(ours), Err(theirs)) if ours == theirs[..5] => Ok(()),
        (ours, theirs) => Err(format!("ours {ours:?}\ntheirs {theirs:?}")),
    }
}

#[test]
fn records_are_what_postgresql_answers() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut failures = Vec::new();
    for round in 0..3 {
        let mut world = World::new("rendered_oracle", &mut Rng::with_seed(seed.wrapping_add(round)));
        for select in SELECTS.iter().chain(NESTED) {
            let lines = select.starts_with("SELECT l.");
            let key = if lines { "\"id\", \"line_no\"" } else { "\"id\"" };
            if let Err(e) = compare(&mut world, key, select) {
                failures.push(format!("{select}\n{e}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
