//! A small shop at work: transactions of every kind, one after the other, over one ordinary connection.
//!
//! Also those that publish nothing or less than it seems: rolled back, to a savepoint, columns that no transform uses,
//! updates that change nothing, a key that goes and comes back. A fixed seed: every run asks for the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::capture::Connection;

use super::error::DemoError;
use super::shop::{CUSTOMERS, ORDERS, PRODUCTS};

pub struct Workload {
    told: Arc<Counters>,
    thread: Option<JoinHandle<Result<(), DemoError>>>,
}

/// What was committed so far.
#[derive(Default)]
pub struct Counters {
    stop: AtomicBool,
    transactions: AtomicU64,
    changes: AtomicU64,
}

impl Counters {
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Rows that statements inserted, updated or deleted; not those of a cascade.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

/// Between two transactions: a shop, not a benchmark.
const PAUSE: Duration = Duration::from_millis(4);

impl Workload {
    pub fn start(conn: Connection) -> Result<Workload, DemoError> {
        let told = Arc::new(Counters::default());
        let shared = Arc::clone(&told);
        let thread = std::thread::Builder::new()
            .name("workload".into())
            .spawn(move || work(conn, &shared))
            .map_err(DemoError::io("a thread cannot be started"))?;
        Ok(Workload { told, thread: Some(thread) })
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.told
    }

    /// Before it was stopped: something failed.
    pub fn ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Nothing is written any more when this returns.
    pub fn stop(&mut self) -> Result<(), DemoError> {
        self.told.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.thread().unpark();
        thread.join().map_err(|_| DemoError::Panic)?
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // An error of its own comes second here: the demo is on its way out with another one.
        let _ = self.stop();
    }
}

fn work(mut conn: Connection, told: &Counters) -> Result<(), DemoError> {
    let mut dice = Dice(0x5EED);
    while !told.stop.load(Ordering::Acquire) {
        let (sql, commits) = transaction(&mut dice);
        let changes = conn.changes(&sql)?;
        if commits {
            told.transactions.fetch_add(1, Ordering::Relaxed);
            told.changes.fetch_add(changes, Ordering::Relaxed);
        }
        std::thread::park_timeout(PAUSE);
    }
    Ok(())
}

/// One transaction, and whether its changes stay.
fn transaction(dice: &mut Dice) -> (String, bool) {
    let order = 1 + dice.below(ORDERS);
    let customer = 1 + dice.below(CUSTOMERS);
    let product = 1 + dice.below(PRODUCTS);
    let qty = 1 + dice.below(9);
    let (sql, stays) = match dice.below(100) {
        // An order with its lines, as an application writes it.
        0..25 => (
            format!(
                "BEGIN;
                 INSERT INTO shop.orders (customer_id, note, ship_city, ship_country)
                 VALUES ({customer}, 'no {qty}', 'Gent', 'be');
                 INSERT INTO shop.order_lines SELECT lastval(), n, {product}, {qty}, {qty} * 3.19 FROM generate_series(1, 1 + {qty} % 3) AS n;
                 UPDATE shop.orders SET status = 'placed', total = (SELECT sum(qty * unit_price) FROM shop.order_lines WHERE order_id = orders.id)
                 WHERE id = lastval();
                 INSERT INTO shop.order_events (order_id, event, detail)
                 SELECT id, status, jsonb_build_object('total', total) FROM shop.orders WHERE id = lastval();
                 COMMIT"
            ),
            true,
        ),
        25..45 => (
            format!(
                "WITH moved AS (
                   UPDATE shop.orders
                   SET status = CASE status WHEN 'draft' THEN 'placed' WHEN 'placed' THEN 'paid' WHEN 'paid' THEN 'shipped' ELSE 'cancelled' END
                   WHERE id = {order} RETURNING id, status, total
                 )
                 INSERT INTO shop.order_events (order_id, event, detail)
                 SELECT id, status, CASE status WHEN 'cancelled' THEN '{{\"reason\": \"no {qty}\"}}' ELSE jsonb_build_object('total', total) END
                 FROM moved"
            ),
            true,
        ),
        // What no transform uses, and what changes nothing.
        45..50 => (format!("UPDATE shop.orders SET internal = '{{\"seen\": {qty}}}' WHERE id = {order}"), true),
        50..53 => (format!("UPDATE shop.customers SET full_name = full_name WHERE id = {customer}"), true),
        53..60 => (
            format!("INSERT INTO shop.customers (full_name, email) VALUES ('Someone {customer}', 'S{customer}@Example.com')"),
            true,
        ),
        60..68 => (format!("UPDATE shop.customers SET points = points + 100 * {qty} WHERE id = {customer}"), true),
        // In and out of the WHERE.
        68..72 => (
            format!("UPDATE shop.customers SET closed_at = CASE WHEN closed_at IS NULL THEN now() END WHERE id = {customer}"),
            true,
        ),
        72..75 => (format!("UPDATE shop.products SET discontinued = NOT discontinued WHERE id = {product}"), true),
        75..80 => (
            format!(
                "UPDATE shop.products SET tags = tags[1:2] || 'seen {qty}'::text, attributes = attributes || '{{\"n\": {qty}.50}}', weight_kg = {qty} / 3.0::float8
                 WHERE id = {product}"
            ),
            true,
        ),
        // A price list: hundreds of rows at once.
        80..82 => (
            format!("UPDATE shop.products SET price = round(price * 1.01, 2) WHERE id % 12 = {qty} AND price < 1000000"),
            true,
        ),
        // The lines go with the order.
        82..86 => (format!("DELETE FROM shop.orders WHERE id = {order}"), true),
        // A key that changes, and one that goes and comes back within its transaction.
        86..89 => (format!("UPDATE shop.order_lines SET line_no = line_no + 10 WHERE order_id = {order}"), true),
        89..92 => (
            format!(
                "BEGIN;
                 CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM shop.order_lines WHERE order_id = {order};
                 DELETE FROM shop.order_lines WHERE order_id = {order};
                 INSERT INTO shop.order_lines SELECT order_id, line_no, product_id, {qty}, unit_price FROM kept;
                 COMMIT"
            ),
            true,
        ),
        92..96 => (
            format!(
                "BEGIN;
                 UPDATE shop.orders SET note = 'kept' WHERE id = {order};
                 SAVEPOINT before;
                 DELETE FROM shop.orders WHERE id BETWEEN {order} AND {order} + 10;
                 ROLLBACK TO before;
                 UPDATE shop.orders SET ship_city = 'Roma', ship_country = 'it' WHERE id = {order};
                 COMMIT"
            ),
            true,
        ),
        _ => (format!("BEGIN; DELETE FROM shop.order_lines WHERE order_id BETWEEN {order} AND {order} + 20; ROLLBACK"), false),
    };
    (sql, stays)
}

/// SplitMix64: enough to choose by.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}
