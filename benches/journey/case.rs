//! Streaming: WAL that is there already, read as fast as it goes.

use crate::Options;
use crate::measure::{self, Measured};
use crate::report::Report;
use crate::source::{self, Database, Project};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Four small columns.
    Narrow,
    /// Thirty columns, about 750 bytes.
    Wide,
}

pub struct Case {
    pub name: &'static str,
    pub title: &'static str,
    pub shape: Shape,
    pub rows_per_transaction: u64,
    pub changes: u64,
    pub filter: Option<&'static str>,
    pub work: Work,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// INSERTs into a table with REPLICA IDENTITY FULL: nothing is stored.
    Insert,
    /// UPDATEs of this many rows, one after the other and around again, of a table with its primary key as identity:
    /// images come from the local state.
    Update { rows: u64 },
}

pub fn all() -> Vec<Case> {
    let case = |name, title, shape, rows_per_transaction, changes| Case {
        name,
        title,
        shape,
        rows_per_transaction,
        changes,
        filter: None,
        work: Work::Insert,
    };
    use Shape::{Narrow, Wide};
    vec![
        case("narrow-100", "narrow, 100-row transactions", Narrow, 100, 600_000),
        case("narrow-1", "narrow, 1-row transactions", Narrow, 1, 200_000),
        case("wide-100", "wide, 100-row transactions", Wide, 100, 200_000),
        case("wide-1", "wide, 1-row transactions", Wide, 1, 100_000),
        Case {
            filter: Some("t.status <> 'void' AND t.customer_id >= 10"),
            ..case("where", "narrow, 100-row, WHERE that 90 % pass", Narrow, 100, 400_000)
        },
        Case {
            work: Work::Update { rows: 20_000 },
            ..case("state", "narrow, 100-row, UPDATEs, identity DEFAULT, rows cached", Narrow, 100, 300_000)
        },
        Case {
            work: Work::Update { rows: 200_000 },
            ..case("state-cold", "narrow, 100-row, UPDATEs, identity DEFAULT, each row once", Narrow, 100, 200_000)
        },
    ]
}

pub fn run(case: &Case, options: &Options, report: &mut Report) {
    eprintln!("{}", case.title);
    let changes = options.scaled(case.changes);
    let mut db = Database::new(&format!("bench_{}", case.name));
    db.client.batch_execute(&case.shape.table()).expect("the table");
    match case.work {
        Work::Insert => db.client.batch_execute("ALTER TABLE t REPLICA IDENTITY FULL").expect("the identity"),
        Work::Update { rows } => {
            let insert = case.shape.insert("1", &rows.to_string());
            db.client.batch_execute(&insert).expect("rows");
        }
    }
    let select = case.shape.select(case.filter);
    let project = |to: &str| Project::new(&format!("{}_{to}", case.name), &db.name, &select, &case.shape.contract());
    // What throws away confirms nothing, so its slot can be read again; local state cannot.
    let discarding: Vec<Project> = match (options.runs("discard"), case.work) {
        (false, _) => Vec::new(),
        (true, Work::Insert) => vec![project("discard")],
        (true, Work::Update { .. }) => (0..options.repeat).map(|i| project(&format!("discard{i}"))).collect(),
    };
    let kafka = options.runs("kafka").then(|| project("kafka"));
    // A broker that has just started runs uncompiled code: the first WAL goes through it once before it counts.
    let warm_up = (kafka.is_some() && report.is_empty()).then(|| project("warm"));
    discarding.iter().chain(&kafka).chain(&warm_up).for_each(Project::prepare);
    // pg_recvlogical reads the publication of a bridge, or one like it.
    db.client.batch_execute("CREATE PUBLICATION bench FOR TABLE t").expect("a publication");
    for slot in ["first", "last"] {
        db.throwaway_slot(&format!("{}_{slot}", db.name));
    }
    make_wal(&mut db, case, changes);
    let until = db.settle();

    if let Some(p) = warm_up {
        let status = p.spawn(&[], Some(&until), false).wait().expect("it can be waited for");
        assert!(status.success(), "{}", p.log());
    }
    let recv = |db: &mut Database, which: &str| {
        let slot = format!("{}_{which}", db.name);
        let mut child = source::recvlogical(&db.name, &slot, "bench", &until);
        let m = measure::until_it_ends(&mut child, db, &slot);
        report_line(&format!("pg_recvlogical {which}"), changes, &m);
        m
    };
    let first = options.runs("recv").then(|| recv(&mut db, "first"));
    let mut discarded: Vec<Measured> = Vec::new();
    let mut cache = None;
    for i in 0..options.repeat as usize {
        let Some(p) = discarding.get(i.min(discarding.len().saturating_sub(1))) else { break };
        let mut child = p.spawn(&options.wrap, Some(&until), true);
        let m = measure::until_it_ends(&mut child, &mut db, &p.slot);
        report_line("pgspine, discarded", changes, &m);
        cache = p.row_cache().or(cache);
        discarded.push(m);
    }
    let kafka = kafka.map(|p| {
        let mut child = p.spawn(&options.wrap, Some(&until), false);
        let m = measure::until_it_ends(&mut child, &mut db, &p.slot);
        report_line("pgspine, Apache Kafka", changes, &m);
        m
    });
    let last = options.runs("recv").then(|| recv(&mut db, "last"));
    discarded.sort_by_key(|m| m.wall);
    let discarded = (!discarded.is_empty()).then(|| discarded[discarded.len() / 2].clone());
    report.case(case, changes, first.into_iter().chain(last).collect(), discarded, kafka, cache);
}

pub fn report_line(what: &str, changes: u64, m: &Measured) {
    let per = |d: std::time::Duration| d.as_secs_f64() * 1e6 / changes as f64;
    let mut threads: Vec<_> = m.threads.iter().filter(|(_, d)| per(**d) >= 0.02).collect();
    threads.sort_by_key(|(_, d)| std::cmp::Reverse(**d));
    let threads: Vec<String> = threads.iter().map(|(n, d)| format!("{n} {:.2}", per(**d))).collect();
    eprintln!(
        "  {what:24} {:7.0}/s  walsender {:.2}  reader {:.2}  broker {:.2} µs  {} MiB  [{}]",
        changes as f64 / m.wall.as_secs_f64(),
        per(m.walsender),
        per(m.reader),
        per(m.broker),
        m.peak_kib / 1024,
        threads.join(", ")
    );
}

fn make_wal(db: &mut Database, case: &Case, changes: u64) {
    let per = case.rows_per_transaction;
    let body = match case.work {
        Work::Insert => case.shape.insert(&format!("i * {per} + 1"), &format!("i * {per} + {per}")),
        Work::Update { rows } => format!(
            "UPDATE t SET amount = amount + 1, status = 'open' WHERE id > (i * {per}) % {rows} AND id <= (i * {per}) % {rows} + {per};"
        ),
    };
    let script = format!(
        "SET synchronous_commit = off; \
         CREATE PROCEDURE make() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 0..{} LOOP {body} COMMIT; END LOOP; END $$",
        changes / per - 1
    );
    db.client.batch_execute(&script).expect("the work");
    db.client.batch_execute("CALL make()").expect("the work");
}

impl Shape {
    fn wide_columns() -> Vec<(String, &'static str, &'static str, &'static str)> {
        // Name, type, value of row n, Avro type: together about 750 bytes of text.
        let mut columns = Vec::new();
        for c in 0..13 {
            columns.push((format!("t{c}"), "text", "repeat(md5(n::text), 1) || 'abcdef'", r#""string""#));
        }
        for c in 0..5 {
            columns.push((format!("i{c}"), "int", "(n % 1000000)::int", r#""int""#));
            columns.push((format!("b{c}"), "bigint", "n * 1000003", r#""long""#));
        }
        for c in 0..3 {
            let avro = r#"{"type": "bytes", "logicalType": "decimal", "precision": 14, "scale": 2}"#;
            columns.push((format!("d{c}"), "numeric(14,2)", "(n % 100000) * 1.25", avro));
        }
        for c in 0..2 {
            let avro = r#"{"type": "long", "logicalType": "timestamp-micros"}"#;
            columns.push((
                format!("z{c}"),
                "timestamptz",
                "'2026-01-01 00:00:00+00'::timestamptz + n * interval '1 second'",
                avro,
            ));
        }
        columns.push(("f".to_owned(), "boolean", "n % 2 = 0", r#""boolean""#));
        columns
    }

    pub fn table(self) -> String {
        match self {
            Shape::Narrow => "CREATE TABLE t(id bigint PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, amount numeric(12,2) NOT NULL)".into(),
            Shape::Wide => {
                let columns: Vec<String> = Shape::wide_columns().iter().map(|(n, t, ..)| format!("{n} {t} NOT NULL")).collect();
                format!("CREATE TABLE t(id bigint PRIMARY KEY, {})", columns.join(", "))
            }
        }
    }

    /// INSERTs the rows `from` to `to`.
    pub fn insert(self, from: &str, to: &str) -> String {
        let values = match self {
            Shape::Narrow => {
                "n, (n % 100)::int, (ARRAY['open', 'paid', 'sent'])[n % 3 + 1], (n % 100000) * 0.25".to_owned()
            }
            Shape::Wide => {
                let values: Vec<&str> = Shape::wide_columns().iter().map(|(_, _, v, _)| *v).collect();
                format!("n, {}", values.join(", "))
            }
        };
        format!("INSERT INTO t SELECT {values} FROM generate_series(({from})::bigint, ({to})::bigint) AS n;")
    }

    fn columns(self) -> Vec<(String, &'static str)> {
        match self {
            Shape::Narrow => vec![
                ("id".into(), r#""long""#),
                ("customer_id".into(), r#""int""#),
                ("status".into(), r#""string""#),
                ("amount".into(), r#"{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}"#),
            ],
            Shape::Wide => std::iter::once(("id".to_owned(), r#""long""#))
                .chain(Shape::wide_columns().into_iter().map(|(n, _, _, a)| (n, a)))
                .collect(),
        }
    }

    pub fn select(self, filter: Option<&str>) -> String {
        let columns: Vec<String> = self.columns().iter().map(|(n, _)| format!("t.{n}")).collect();
        let filter = filter.map(|f| format!(" WHERE {f}")).unwrap_or_default();
        format!("SELECT {} FROM public.t AS t{filter}", columns.join(", "))
    }

    pub fn contract(self) -> String {
        let fields: Vec<String> =
            self.columns().iter().map(|(n, t)| format!(r#"{{"name": "{n}", "type": {t}}}"#)).collect();
        format!(r#"{{"type": "record", "name": "Row", "namespace": "bench", "fields": [{}]}}"#, fields.join(", "))
    }
}
