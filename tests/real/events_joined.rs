//! Events that look something up: the row as its INSERT wrote it, everything else as its commit left it.
//!
//! The oracle is PostgreSQL: each inserted row is written down in `sent` by the statement that inserts it; after the
//! commit the event's SELECT is asked of those rows in the place of the root.

use crate::crash::is_killed;
use crate::reconcile_scene::*;
use crate::support::*;

const SCHEMA: &str = "CREATE TABLE customer (id int PRIMARY KEY, name text, hidden int);
    CREATE TABLE outbox (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL, customer_id int, kind text);
    CREATE TABLE line (outbox_id text, sku text, qty int);
    ALTER TABLE line REPLICA IDENTITY FULL;
    CREATE TABLE sent (n bigint GENERATED ALWAYS AS IDENTITY, tx int, seq bigint, id text, customer_id int, kind text);
    CREATE TABLE expected (n bigint GENERATED ALWAYS AS IDENTITY, transform text, told text)";

const INNER: &str = "SELECT c.id AS customer_id, o.kind, c.name, o.id AS event_id FROM outbox AS o JOIN customer AS c ON c.id = o.customer_id";
const DOCUMENT: &str = "SELECT coalesce(o.customer_id, 0) AS customer_id, o.kind, c.name,
        (SELECT count(*) FROM line l WHERE l.outbox_id = o.id)::int AS lines,
        (SELECT string_agg(l.sku, ',' ORDER BY l.sku) FROM line l WHERE l.outbox_id = o.id AND l.qty > 0) AS skus,
        (SELECT count(*) FROM outbox p WHERE p.customer_id = o.customer_id)::int AS peers, o.id AS event_id
    FROM outbox AS o LEFT JOIN customer AS c ON c.id = o.customer_id AND c.name <> 'nobody' WHERE o.kind IS DISTINCT FROM 'hidden'";
const EVENTS: [(&str, &str); 2] = [("inner", INNER), ("document", DOCUMENT)];

fn scene(name: &str, header: &str, more: &str) -> Scene {
    let mut s = Scene::new(name, SCHEMA, more);
    let header = format!("kind = \"event\"\nevent_id = \"event_id\"\n{header}");
    let fields = [("customer_id", INT), ("kind", TEXT), ("name", TEXT)];
    s.transform("inner", &header, 1, INNER, &fields);
    let more = [("lines", INT_OR_NULL), ("skus", TEXT), ("peers", INT_OR_NULL)];
    s.transform("document", &header, 1, DOCUMENT, &[&fields[..], &more].concat());
    // An entity reads the same tables, and the root of the events among them.
    s.transform(
        "customer",
        "",
        1,
        "SELECT c.id, c.name, (SELECT max(o.id) FROM outbox o WHERE o.customer_id = c.id) AS newest FROM customer AS c",
        &[("id", INT), ("name", TEXT), ("newest", TEXT)],
    );
    s
}

/// `SELECT … FROM outbox …` over the rows that this transaction inserted.
fn over_sent(select: &str, tx: i32) -> String {
    select.replacen("FROM outbox AS o", &format!("FROM (SELECT * FROM sent WHERE tx = {tx}) AS o"), 1)
}

/// One transaction, and what its events must say.
fn transaction(s: &mut Scene, tx: i32, statements: &[String]) {
    s.commit(&statements.join("; "));
    for (name, select) in EVENTS {
        let told = over_sent(select, tx);
        let sql = format!(
            "INSERT INTO expected (transform, told) SELECT '{name}', q::text FROM ({told}) AS q JOIN sent ON sent.id = q.event_id AND sent.tx = {tx} ORDER BY sent.n"
        );
        s.client.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }
}

fn inserted(tx: i32, id: &str, customer: &str, kind: &str) -> String {
    format!(
        "WITH n AS (INSERT INTO outbox (id, customer_id, kind) VALUES ('{id}', {customer}, {kind}) RETURNING *) \
         INSERT INTO sent (tx, seq, id, customer_id, kind) SELECT {tx}, n.* FROM n"
    )
}

/// Statements of every kind in any order: look-ups before and after the INSERT that sees them.
fn random_transaction(random: &mut fastrand::Rng, tx: i32) -> Vec<String> {
    let customer = |random: &mut fastrand::Rng| match random.u8(0..8) {
        0 => "NULL".to_owned(),
        _ => random.i32(1..6).to_string(),
    };
    let mut ids = 0;
    (0..random.usize(1..7))
        .map(|_| match random.u8(0..14) {
            0..=3 => {
                ids += 1;
                let kind = ["'a'", "'b'", "'hidden'", "NULL"][random.usize(0..4)];
                inserted(tx, &format!("{tx}-{ids}"), &customer(random), kind)
            }
            4 => format!("DELETE FROM outbox WHERE id LIKE '{tx}-%'"),
            5 => format!("UPDATE outbox SET kind = 'later', customer_id = {} WHERE id LIKE '{tx}-%'", customer(random)),
            6 => "DELETE FROM outbox".into(),
            7 => format!(
                "INSERT INTO customer VALUES ({}, 'c{tx}') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                random.i32(1..6)
            ),
            8 => format!("DELETE FROM customer WHERE id = {}", random.i32(1..6)),
            9 => format!("UPDATE customer SET name = 'nobody' WHERE id = {}", random.i32(1..6)),
            10 => "UPDATE customer SET hidden = 1".into(),
            11 | 12 => format!(
                "INSERT INTO line VALUES ('{tx}-{}', 's{}', {})",
                random.u8(1..3),
                random.u8(0..4),
                random.i32(-1..3)
            ),
            _ => format!("UPDATE line SET qty = qty + 1 WHERE outbox_id LIKE '{tx}-%'"),
        })
        .collect()
}

/// What a topic has said, as PostgreSQL writes the same row.
fn told(s: &mut Scene, name: &str) -> Vec<String> {
    let heard = s.heard(name);
    let quoted = |v: &Option<String>| v.clone().map(|v| if v.contains(',') { format!("\"{v}\"") } else { v });
    heard
        .into_iter()
        .map(|h| {
            let values = h.value.expect("no tombstones");
            let all = h.key.iter().chain(&values).map(quoted);
            let id = h.headers["pgspine-event-id"].clone();
            let all: Vec<String> = all.chain([Some(id)]).map(Option::unwrap_or_default).collect();
            format!("({})", all.join(","))
        })
        .collect()
}

fn expected(s: &mut Scene, name: &str) -> Vec<String> {
    let rows = s.client.query("SELECT told FROM expected WHERE transform = $1 ORDER BY n", &[&name]).unwrap();
    rows.iter().map(|r| r.get(0)).collect()
}

fn compare(s: &mut Scene) {
    for (name, _) in EVENTS {
        assert_eq!(told(s, name), expected(s, name), "{name}");
    }
    s.check();
}

#[test]
fn look_ups_are_those_of_the_commit() {
    let mut s = scene("events_joined", "", "");
    s.start(&[]);
    s.sync();
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    for tx in 0..120 {
        let statements = random_transaction(&mut random, tx);
        transaction(&mut s, tx, &statements);
    }
    s.sync();
    s.stop();
    compare(&mut s);
    assert!(expected(&mut s, "inner").len() > 20 && expected(&mut s, "document").len() > 40);
}

#[test]
fn killed_at_any_time_each_event_comes_once_with_the_look_ups_of_its_commit() {
    let mut s = scene("events_joined_kill", "", "[commit]\nsplit_records = 4\n");
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    s.start(&[]);
    s.sync();
    s.stop();
    let mut tx = 0;
    for point in
        ["evaluated:6", "before_commit:4", "after_commit:4", "before_state:1", "state_written:1", "confirmed:2"]
    {
        s.environment("PGSPINE_FAILPOINT", point);
        s.start(&[]);
        let mut process = s.process.take().unwrap();
        let ended = wait_for(point, LIMIT, || {
            let statements = random_transaction(&mut random, tx);
            transaction(&mut s, tx, &statements);
            tx += 1;
            process.ended()
        });
        assert!(is_killed(ended), "{}", process.log());
        drop(process);
        s.environment("PGSPINE_FAILPOINT", "none");
        for _ in 0..5 {
            let statements = random_transaction(&mut random, tx);
            transaction(&mut s, tx, &statements);
            tx += 1;
        }
    }
    s.start(&[]);
    s.sync();
    s.stop();
    compare(&mut s);
}

fn seed() -> u64 {
    let seed =
        std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("PGSPINE_SEED={seed}");
    seed
}

#[test]
fn rows_that_are_there_are_joined_with_what_is_there() {
    let mut s = scene("events_joined_backfill", "backfill = true", "");
    s.all_loose();
    let rows = [inserted(0, "a", "1", "'x'"), inserted(0, "b", "2", "NULL"), inserted(0, "c", "NULL", "'hidden'")];
    let mut statements = vec!["INSERT INTO customer VALUES (1, 'ann')".to_owned()];
    statements.extend(rows);
    statements.push("INSERT INTO line VALUES ('a', 's1', 1), ('a', 's2', 1)".into());
    transaction(&mut s, 0, &statements);
    s.start(&[]);
    s.exact();
    s.sync();
    transaction(&mut s, 1, &["UPDATE customer SET name = 'eve'".into(), inserted(1, "d", "1", "'x'")]);
    s.sync();
    s.stop();
    compare(&mut s);
    // Whole: another start does nothing.
    s.start(&[]);
    s.sync();
    s.stop();
    compare(&mut s);
}

fn word(log: &str) -> String {
    let at = log.rfind("gap:").unwrap_or_else(|| panic!("no gap: in {log}"));
    log[at..].chars().take_while(|c| !c.is_whitespace() && *c != '`').collect()
}

/// Without its state a bridge does not know what the look-ups were at the commits it has missed.
#[test]
fn look_ups_that_are_lost_are_a_gap_and_the_header_decides() {
    for (on_gap, kept) in [("halt", &["a", "c"][..]), ("skip", &["a", "c"]), ("replay", &["a", "b", "c"])] {
        let mut s = scene("events_joined_gap", &format!("on_gap = {on_gap:?}"), "");
        s.start(&[]);
        s.sync();
        transaction(&mut s, 0, &["INSERT INTO customer VALUES (1, 'ann')".into(), inserted(0, "a", "1", "'x'")]);
        s.sync();
        s.stop();
        s.remove_state();
        s.all_loose();
        transaction(&mut s, 1, &[inserted(1, "b", "1", "'x'"), inserted(1, "away", "1", "'x'")]);
        transaction(&mut s, 2, &["DELETE FROM outbox WHERE id = 'away'".into()]);
        match on_gap {
            "halt" => {
                let log = s.refused(&[], 5, &["on_gap", "the rows of public.customer, which they look up"]);
                s.start(&["--approve", &word(&log)]);
            }
            _ => s.start(&[]),
        }
        s.exact();
        s.sync();
        transaction(&mut s, 3, &[inserted(3, "c", "1", "'x'")]);
        s.sync();
        s.stop();
        let ids: Vec<String> = s.heard("inner").iter().map(|h| h.headers["pgspine-event-id"].clone()).collect();
        assert_eq!(ids, kept, "{on_gap}");
        s.check();
    }
}

/// One event stands for one row: what multiplies it is the row's error, as of an entity.
#[test]
fn a_join_that_multiplies_an_event_is_an_error_of_its_row() {
    let mut s = Scene::new("events_multiply", SCHEMA, "");
    s.transform(
        "sold",
        "kind = \"event\"\non_error = \"dead_letter\"\nnot_null = [\"id\"]",
        1,
        "SELECT o.id, l.sku FROM outbox AS o JOIN line AS l ON l.outbox_id = o.id",
        &[("id", "\"string\""), ("sku", TEXT)],
    );
    s.start(&[]);
    s.sync();
    let sql = "INSERT INTO line VALUES ('one', 's', 1), ('two', 's', 1), ('two', 't', 1);
               INSERT INTO outbox (id) VALUES ('two'), ('one'), ('none')";
    s.client.batch_execute(sql).unwrap();
    s.sync();
    s.stop();
    let heard: Vec<_> = s.heard("sold").into_iter().map(|h| (h.key[0].clone().unwrap(), h.value)).collect();
    assert_eq!(heard, [("one".to_owned(), Some(vec![Some("s".to_owned())]))]);
    let letters = read_topic(&format!("{}.dead-letter", s.topic("sold")));
    assert_eq!(letters.len(), 1);
    let letter: serde_json::Value = serde_json::from_slice(letters[0].value.as_ref().unwrap()).unwrap();
    assert!(letter.to_string().contains("PGS"), "{letter}");
}
