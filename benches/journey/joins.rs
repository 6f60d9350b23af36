//! Joins: changes of several tables, entities that are put together out of the local state.
//!
//! The tables are filled and loaded once per case; the loaded state is copied for the run that throws away, so that both
//! runs of pgspine begin with the same rows on disk and none of them in memory. Rows are chosen at random over the whole
//! tables, by a fixed seed. Everything runs with `[limits] memory = "256MiB"`.

use std::time::Instant;

use crate::Options;
use crate::case::report_line;
use crate::measure::{self, Measured};
use crate::report::{JoinLine, Report, StateLine};
use crate::source::{self, Database, Project};

pub struct Case {
    pub name: &'static str,
    pub title: &'static str,
    shape: Shape,
    orders: u64,
    customers: u64,
    lines_per_order: u64,
    transactions: u64,
    /// One transaction, in PL/pgSQL; `changes` and `entities` count on.
    body: &'static str,
    /// Only the state's size is of interest.
    only_state: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An order with its customer.
    Lookup,
    /// An order with its customer and the array of its lines.
    Nested,
}

/// Of 100 changes 98 go to orders, two to customers, each with about nine orders.
const MIXED: &str = "
    ids := some_of(orders, 98);
    UPDATE orders SET amount = amount + 1, status = 'sent' WHERE id = ANY (ids);
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n; entities := entities + n;
    ids := some_of(customers, 2);
    UPDATE customers SET name = md5(name) WHERE id = ANY (ids);
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n; entities := entities + n * orders / customers;";

/// Four orders with all of their lines, a line that is new, one that goes, and a customer.
const BUSINESS: &str = "
    ids := some_of(orders, 4);
    UPDATE orders SET amount = amount + 1, status = 'sent' WHERE id = ANY (ids);
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n; entities := entities + n;
    UPDATE lines SET quantity = quantity + 1 WHERE order_id = ANY (ids);
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n;
    INSERT INTO lines SELECT ids[1], coalesce(max(line_no), 0) + 1, 'sku-' || i, 1, 9.90 FROM lines WHERE order_id = ids[1];
    DELETE FROM lines WHERE order_id = ids[2] AND line_no = (SELECT max(line_no) FROM lines WHERE order_id = ids[2]);
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + 1 + n;
    ids := some_of(customers, 1);
    UPDATE customers SET name = md5(name) WHERE id = ANY (ids);
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n; entities := entities + n * orders / customers;";

/// The only customer.
const HOT: &str = "
    UPDATE customers SET name = md5(name);
    changes := changes + 1; entities := entities + orders;";

/// A tenth of the orders and of the customers, one tenth after the other.
const AROUND: &str = "
    UPDATE orders SET amount = amount + 1, status = 'sent' WHERE id % 10 = i % 10;
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n; entities := entities + n;
    UPDATE customers SET name = md5(name) WHERE id % 10 = i % 10;
    GET DIAGNOSTICS n = ROW_COUNT; changes := changes + n; entities := entities + n * orders / customers;";

pub fn all() -> Vec<Case> {
    let case = |name, title, shape, orders, customers, transactions, body| Case {
        name,
        title,
        shape,
        orders,
        customers,
        lines_per_order: if shape == Shape::Nested { 3 } else { 0 },
        transactions,
        body,
        only_state: false,
    };
    use Shape::{Lookup, Nested};
    vec![
        case("lookup-1m", "one look-up, 1 M rows", Lookup, 900_000, 100_000, 3_000, MIXED),
        case("nested", "three tables, nested, 430,000 rows", Nested, 100_000, 30_000, 10_000, BUSINESS),
        case("hot", "a look-up row with 100,000 roots", Lookup, 100_000, 1, 10, HOT),
        Case { only_state: true, ..case("history", "the same rows 20 times", Lookup, 50_000, 5_000, 200, AROUND) },
        case("lookup-10m", "one look-up, 10 M rows", Lookup, 9_000_000, 1_000_000, 2_000, MIXED),
    ]
}

pub fn run(case: &Case, options: &Options, report: &mut Report) {
    eprintln!("{}", case.title);
    let mut db = Database::new(&format!("bench_{}", case.name));
    let rows = case.fill(&mut db, options);
    let (select, contract) = (case.shape.select(), case.shape.contract());
    let project = Project::new(case.name, &db.name, &select, &contract);
    let begun = Instant::now();
    project.prepare();
    let load = begun.elapsed();
    let loaded = project.state_bytes();
    eprintln!("  loaded in {load:.1?}, {} MiB on disk, of them journal {}", loaded.all >> 20, loaded.journal >> 20);
    db.client.batch_execute(case.shape.publication()).expect("a publication");
    for slot in ["first", "last"] {
        db.throwaway_slot(&format!("{}_{slot}", db.name));
    }
    let (changes, entities) = case.make_wal(&mut db, options);
    let until = db.settle();
    eprintln!("  {changes} changes, {entities} entities");

    let recv = |db: &mut Database, which: &str| {
        let slot = format!("{}_{which}", db.name);
        let mut child = source::recvlogical(&db.name, &slot, "bench", &until);
        let m = measure::until_it_ends(&mut child, db, &slot);
        report_line(&format!("pg_recvlogical {which}"), changes, &m);
        m
    };
    let ours = |db: &mut Database, p: &Project, discard: bool| {
        let mut child = p.spawn(&options.wrap, Some(&until), discard);
        let m = measure::until_it_ends(&mut child, db, &p.slot);
        report_line(if discard { "pgspine, discarded" } else { "pgspine, Apache Kafka" }, changes, &m);
        eprintln!("    {:.2} µs per entity, {:?}", m.reader.as_secs_f64() * 1e6 / entities as f64, p.row_cache());
        m
    };
    // A handful of changes is read before the slot is seen taken.
    let wants_recv = options.runs("recv") && !case.only_state && changes >= 1000;
    let first = wants_recv.then(|| recv(&mut db, "first"));
    let mut after = loaded;
    let mut discarded: Vec<(Measured, Option<(u64, u64)>)> = Vec::new();
    for _ in 0..if options.runs("discard") { options.repeat } else { 0 } {
        let copy = project.copy();
        let m = ours(&mut db, &copy, true);
        after = copy.state_bytes();
        discarded.push((m, copy.row_cache()));
    }
    let kafka = (options.runs("kafka") && !case.only_state).then(|| {
        let m = ours(&mut db, &project, false);
        after = project.state_bytes();
        m
    });
    let last = wants_recv.then(|| recv(&mut db, "last"));
    eprintln!("  {} MiB on disk, of them journal {}", after.all >> 20, after.journal >> 20);
    discarded.sort_by_key(|(m, _)| m.reader);
    let discarded = (!discarded.is_empty()).then(|| discarded.swap_remove(discarded.len() / 2));
    report.state(StateLine { title: case.title, rows, load, loaded, changes, after });
    if !case.only_state {
        let recv = first.into_iter().chain(last).collect();
        report.join(JoinLine { title: case.title, changes, entities, recv, discarded, kafka });
    }
}

impl Case {
    /// Makes the tables; says how many rows they have.
    fn fill(&self, db: &mut Database, options: &Options) -> u64 {
        let (orders, customers) = self.sizes(options);
        let lines = self.lines_per_order;
        let script = format!(
            "CREATE TABLE customers(id bigint NOT NULL, name text NOT NULL, country text NOT NULL); \
             CREATE TABLE orders(id bigint NOT NULL, customer_id bigint NOT NULL, status text NOT NULL, amount numeric(12,2) NOT NULL); \
             CREATE TABLE lines(order_id bigint NOT NULL, line_no int NOT NULL, sku text NOT NULL, quantity int NOT NULL, price numeric(12,2) NOT NULL); \
             INSERT INTO customers SELECT n, md5(n::text), (ARRAY['de', 'fr', 'it'])[n % 3 + 1] FROM generate_series(1::bigint, {customers}) AS n; \
             INSERT INTO orders SELECT n, n * 7919 % {customers} + 1, (ARRAY['open', 'paid', 'sent'])[n % 3 + 1], (n % 100000) * 0.25 FROM generate_series(1::bigint, {orders}) AS n; \
             INSERT INTO lines SELECT o, l, 'sku-' || (o * 31 + l) % 5000, o % 5 + l, (o % 1000) * 0.05 FROM generate_series(1::bigint, {orders}) AS o, generate_series(1, {lines}) AS l; \
             ALTER TABLE customers ADD PRIMARY KEY (id); ALTER TABLE orders ADD PRIMARY KEY (id); ALTER TABLE lines ADD PRIMARY KEY (order_id, line_no); \
             CREATE FUNCTION some_of(most bigint, how_many int) RETURNS bigint[] LANGUAGE sql VOLATILE AS \
             $$ SELECT array_agg(1 + floor(random() * most)::bigint) FROM generate_series(1, how_many) $$"
        );
        db.client.batch_execute(&script).expect("the tables");
        db.client.batch_execute("VACUUM (ANALYZE)").expect("VACUUM");
        orders + customers + orders * lines
    }

    fn sizes(&self, options: &Options) -> (u64, u64) {
        (options.scaled(self.orders), options.scaled(self.customers).max(1))
    }

    /// How many rows were changed, and how many entities that concerns.
    fn make_wal(&self, db: &mut Database, options: &Options) -> (u64, u64) {
        let (orders, customers) = self.sizes(options);
        let transactions = options.scaled(self.transactions).max(1);
        let script = format!(
            "SET synchronous_commit = off; SELECT setseed(0.5); \
             CREATE PROCEDURE make(orders bigint, customers bigint, INOUT changes bigint, INOUT entities bigint) LANGUAGE plpgsql AS $$ \
             #variable_conflict use_variable
             DECLARE n bigint; ids bigint[]; \
             BEGIN FOR i IN 1..{transactions} LOOP {} COMMIT; END LOOP; END $$",
            self.body
        );
        db.client.batch_execute(&script).expect("the work");
        let row = db.client.query_one(&format!("CALL make({orders}, {customers}, 0, 0)"), &[]).expect("the work");
        (row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64)
    }
}

impl Shape {
    fn publication(self) -> &'static str {
        match self {
            Shape::Lookup => "CREATE PUBLICATION bench FOR TABLE orders, customers",
            Shape::Nested => "CREATE PUBLICATION bench FOR TABLE orders, customers, lines",
        }
    }

    fn select(self) -> String {
        let lines = match self {
            Shape::Lookup => "",
            Shape::Nested => {
                ", ARRAY(SELECT jsonb_build_object('line_no', l.line_no, 'sku', l.sku, 'quantity', l.quantity, 'price', l.price) \
                 FROM public.lines AS l WHERE l.order_id = o.id ORDER BY l.line_no) AS lines"
            }
        };
        format!(
            "SELECT o.id, o.status, o.amount, jsonb_build_object('id', c.id, 'name', c.name, 'country', c.country) AS customer{lines} \
             FROM public.orders AS o JOIN public.customers AS c ON c.id = o.customer_id"
        )
    }

    fn contract(self) -> String {
        let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}"#;
        let lines = match self {
            Shape::Lookup => String::new(),
            Shape::Nested => format!(
                r#", {{"name": "lines", "type": {{"type": "array", "items": {{"type": "record", "name": "Line", "fields": [
                   {{"name": "line_no", "type": "int"}}, {{"name": "sku", "type": "string"}}, {{"name": "quantity", "type": "int"}},
                   {{"name": "price", "type": {decimal}}}]}}}}}}"#
            ),
        };
        format!(
            r#"{{"type": "record", "name": "Row", "namespace": "bench", "fields": [
               {{"name": "id", "type": "long"}}, {{"name": "status", "type": "string"}}, {{"name": "amount", "type": {decimal}}},
               {{"name": "customer", "type": {{"type": "record", "name": "Customer", "fields": [
                 {{"name": "id", "type": "long"}}, {{"name": "name", "type": "string"}}, {{"name": "country", "type": "string"}}]}}}}{lines}]}}"#
        )
    }
}
