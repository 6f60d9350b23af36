//! Random against PostgreSQL: random tables, random transforms and contracts over them, transactions of the nasty
//! shapes. After each commit the folded topic must equal the SELECT's answer, and the records must be exactly the
//! difference to the answer before.
//!
//! `PGSPINE_SEED` replays a run, `PGSPINE_RANDOM_CASES` says how many schemas.

mod bridge;
mod canon;
mod expression;
mod kinds;
mod oracle;
mod schema;
mod transform;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use apache_avro::Schema as AvroSchema;
use apache_avro::reader::datum::GenericDatumReader;
use fastrand::Rng;
use pgspine::capture::{self, Connection};
use pgspine::diagnostic::Diagnostic;
use pgspine::encode::{KeySchema, body_of};
use pgspine::engine::{EngineError, Mode, SplitLimits};
use pgspine::runtime::project::{self, Project};
use pgspine::transform::function::Context;
use pgspine::transform::{Shape, bind, source};
use postgres::{Client, NoTls};
use serde_json::Value as Json;

use super::support;
use bridge::{Bridge, Emitted, Message};
use canon::{Canon, from_avro};
use oracle::{Answer, Query};
use workload::{Done, Workload};

const SETTINGS: &str = "SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; \
     SET extra_float_digits = 1; SET standard_conforming_strings = on; SET client_min_messages = error; SET statement_timeout = '20s'; \
     SET synchronous_commit = off";

#[derive(Default, Debug)]
struct Counts {
    transforms: u32,
    refused: u32,
    reasons: BTreeMap<String, u32>,
    transactions: u32,
    records: u32,
    letters: u32,
    halts: u32,
    replays: u32,
    reconciles: u32,
    doubtful: u32,
}

/// One database, one slot and the connections of a run.
struct Source {
    database: support::Database,
    client: Client,
    /// Reads the slot.
    reader: Client,
    ours: Connection,
    context: Arc<Context>,
    slot: String,
}

impl Source {
    fn new() -> Source {
        let database = support::fresh_database("random");
        let mut client = Client::connect(&database.conninfo(), NoTls).expect("PostgreSQL is reachable");
        client.batch_execute(SETTINGS).expect("settings");
        client.batch_execute("CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE TABLE ext.flush (n int)").expect("contrib is installed");
        let mut reader = database.client();
        reader.batch_execute(SETTINGS).expect("settings");
        let slot = database.name.clone();
        reader
            .batch_execute(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"))
            .expect("a slot");
        let options = capture::Options::parse(&format!("{} sslmode=disable", database.conninfo())).expect("options");
        let mut ours = capture::connect(&options, capture::Mode::Sql).expect("PostgreSQL is reachable");
        let case = capture::catalogue::case_map(&mut ours).expect("the case map").unwrap_or_default();
        Source { database, client, reader, ours, context: Arc::new(Context { case }), slot }
    }

    fn changes(&mut self, publication: &str) -> Vec<Message> {
        // What is decoded is what is flushed.
        for sql in ["SET synchronous_commit = on", "INSERT INTO ext.flush VALUES (1)", "SET synchronous_commit = off"] {
            self.client.batch_execute(sql).expect("a flush");
        }
        let sql = format!(
            "SELECT (lsn - '0/0')::text, data FROM pg_logical_slot_get_binary_changes('{}', NULL, NULL, \
             'proto_version', '1', 'publication_names', '{publication}', 'messages', 'true')",
            self.slot
        );
        let rows = self.reader.query(&sql, &[]).expect("changes");
        rows.iter().map(|r| Message { lsn: r.get::<_, String>(0).parse().expect("a number"), data: r.get(1) }).collect()
    }

    fn advance(&mut self) {
        let sql = format!("SELECT pg_replication_slot_advance('{}', pg_current_wal_insert_lsn())", self.slot);
        self.reader.batch_execute(&sql).expect("the slot moves");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|s| s.parse().ok())
}

#[test]
fn topics_are_what_postgresql_answers() {
    let seed = number("PGSPINE_SEED");
    let cases = number("PGSPINE_RANDOM_CASES").unwrap_or(if seed.is_some() { 1 } else { 40 });
    let first = seed.unwrap_or_else(|| fastrand::u64(..1 << 40));
    eprintln!("PGSPINE_SEED={first}, {cases} cases");
    let mut source = Source::new();
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for n in 0..cases {
        let seed = first + n;
        let mut report = String::new();
        let run = catch_unwind(AssertUnwindSafe(|| case(seed, &mut source, &mut counts, &mut report)));
        let wrong = match run {
            Ok(Ok(())) => continue,
            Ok(Err(wrong)) => wrong,
            Err(panic) => panic
                .downcast_ref::<String>()
                .cloned()
                .or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default(),
        };
        eprintln!("=== PGSPINE_SEED={seed}\n{report}--- {wrong}\n");
        failures.push(format!("PGSPINE_SEED={seed}: {wrong}"));
        let _ = source.client.batch_execute("ROLLBACK");
        if failures.len() >= number("PGSPINE_RANDOM_FAILURES").unwrap_or(3) as usize {
            break;
        }
    }
    let share = f64::from(counts.refused) / f64::from(counts.transforms.max(1)) * 100.0;
    let mut reasons: Vec<_> = std::mem::take(&mut counts.reasons).into_iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    reasons.truncate(12);
    eprintln!("{counts:?}; refused {share:.1} %: {reasons:?}");
    drop(source.database);
    assert!(failures.is_empty(), "{} of {cases} cases differ:\n{}", failures.len(), failures.join("\n"));
    assert!(share < 25.0, "the generator writes what is refused: {share:.1} %");
}

/// What one transform must be held against.
struct Subject {
    query: Query,
    written: transform::Transform,
    value: AvroSchema,
    key: Option<AvroSchema>,
    /// What PostgreSQL and the topic hold.
    fold: BTreeMap<Canon, Canon>,
    errors: BTreeSet<Canon>,
}

/// What must be so after a transaction, by transform.
struct Expected {
    done: Done,
    answers: Vec<Answer>,
}

fn case(seed: u64, source: &mut Source, counts: &mut Counts, report: &mut String) -> Result<(), String> {
    let rng = &mut Rng::with_seed(seed);
    let name = format!("s{seed}");
    let schema = schema::random(rng, &name);
    for sql in &schema.sql {
        writeln!(report, "{sql};").expect("a string");
        source.client.batch_execute(sql).map_err(|e| format!("{e}: {:?}: {sql}", e.as_db_error()))?;
    }
    let tables: Vec<String> = schema.tables.iter().map(|t| t.name.clone()).collect();
    let publish = format!("CREATE PUBLICATION {name} FOR TABLE {}", tables.join(", "));
    source.client.batch_execute(&publish).map_err(|e| format!("{e}: {:?}", e.as_db_error()))?;
    let result = within(rng, &schema, source, counts, report);
    let _ = source.client.batch_execute("ROLLBACK");
    let clean = format!("DROP PUBLICATION {name}; DROP SCHEMA {name} CASCADE; RESET search_path");
    source.client.batch_execute(&clean).map_err(|e| e.to_string())?;
    result
}

fn within(
    rng: &mut Rng,
    schema: &schema::Schema,
    source: &mut Source,
    counts: &mut Counts,
    report: &mut String,
) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a folder");
    let (project, mut subjects) = project(rng, schema, source, counts, report, dir.path())?;
    if subjects.is_empty() {
        return Ok(());
    }
    let prints =
        capture::watch::read(&mut source.ours, &schema.name, &project.columns_used()).map_err(|e| e.to_string())?;
    let limits = match rng.u32(..3) {
        0 => SplitLimits { records: rng.usize(1..4), bytes: 1 << 20 },
        _ => SplitLimits { records: 1 << 20, bytes: 1 << 20 },
    };
    let mut bridge = Bridge::new(&project, &prints, &source.context, limits);
    source.advance();
    let mut history: Vec<Vec<Message>> = Vec::new();
    for _ in 0..rng.usize(2..6) {
        let mut expected = Vec::new();
        for _ in 0..rng.usize(1..12) {
            let Some(done) = Workload::new(rng, &mut source.client, schema).transaction() else { continue };
            counts.transactions += 1;
            let answers = subjects.iter().map(|s| s.query.ask(&mut source.client)).collect();
            expected.push(Expected { done, answers });
        }
        let messages = source.changes(&schema.name);
        if rng.u32(..3) == 0 && !history.is_empty() {
            // The state is gone: everything comes again, and Kafka has it already.
            counts.replays += 1;
            let live = std::mem::take(&mut bridge.live);
            bridge = Bridge::new(&project, &prints, &source.context, limits);
            bridge.live = live;
            for m in history.iter().flatten() {
                if let Some((_, Err(e))) = bridge.push(m, Mode::Replay) {
                    return Err(format!("replay: {}", chain(&e)));
                }
            }
            for (i, s) in subjects.iter().enumerate() {
                if bridge.held(i) != s.errors.len() && s.written.dead_letter {
                    return Err(format!(
                        "{}: {} keys are held after a replay, {} rows have errors",
                        s.written.name,
                        bridge.held(i),
                        s.errors.len()
                    ));
                }
            }
        }
        bridge.reconnected();
        let halted = compare(&mut bridge, &messages, expected, &mut subjects, counts, report)?;
        if halted {
            return Ok(());
        }
        history.push(messages);
    }
    for i in 0..subjects.len() {
        reconcile(rng, i, &mut bridge, &project, &mut source.client, &mut subjects[i], counts)?;
    }
    Ok(())
}

/// Random transforms that bind, with contracts; what is refused is counted.
fn project(
    rng: &mut Rng,
    schema: &schema::Schema,
    source: &mut Source,
    counts: &mut Counts,
    report: &mut String,
    dir: &Path,
) -> Result<(Project, Vec<Subject>), String> {
    let folder = dir.join("transforms/x");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = vec![schema.name.clone(), "public".to_owned()];
    let mut kept = Vec::new();
    for n in 0..rng.usize(1..6) {
        let t = transform::random(rng, schema, &schema.name, n);
        let text = t.file();
        let at = folder.join(format!("t{n}.sql"));
        counts.transforms += 1;
        let parsed = source::parse_text(&dir.join("transforms"), &at, text.clone());
        let planned = parsed.and_then(|file| {
            let catalogue =
                capture::catalogue::read(&mut source.ours, &project::tables_named(std::slice::from_ref(&file)), &path);
            bind(&file, &catalogue.unwrap_or_else(|e| panic!("{e}")))
        });
        let plan = match planned {
            Ok(plan) => plan,
            Err(findings) => {
                counts.refused += 1;
                *counts.reasons.entry(format!("{}: {}", findings[0].code, findings[0].message)).or_default() += 1;
                continue;
            }
        };
        writeln!(report, "{text}").expect("a string");
        described(&t, &plan, source)?;
        let contract = transform::contract(rng, &t, &plan);
        writeln!(report, "{contract}").expect("a string");
        std::fs::write(&at, text).expect("a file");
        std::fs::write(at.with_extension("avsc"), contract.to_string()).expect("a file");
        kept.push((t, contract));
    }
    if kept.is_empty() {
        return Ok((Project { definitions: Vec::new(), tables: Vec::new(), warnings: Vec::new() }, Vec::new()));
    }
    let config = bridge::config(dir, &schema.name);
    let files = project::files(&config).map_err(|d| shown(&d))?;
    let catalogue =
        capture::catalogue::read(&mut source.ours, &project::tables_named(&files), &path).map_err(|e| e.to_string())?;
    let project =
        Project::bind(&config, files, &catalogue).map_err(|d| format!("the contract is refused: {}", shown(&d)))?;
    let mut subjects = Vec::new();
    for d in &project.definitions {
        let (t, contract) = kept.iter().find(|(t, _)| t.topic == d.topic).expect("a transform");
        let key: Option<Json> = match &d.key {
            KeySchema::Avro { text, .. } => Some(serde_json::from_str(text).expect("a key schema")),
            KeySchema::String => None,
        };
        let query = Query::new(t, &schema.tables[t.table].name, &d.plan, contract, key.as_ref());
        subjects.push(Subject {
            query,
            written: t.clone(),
            value: AvroSchema::parse_str(d.contract.text()).expect("a schema"),
            key: d.key.text().map(|k| AvroSchema::parse_str(k).expect("a schema")),
            fold: BTreeMap::new(),
            errors: BTreeSet::new(),
        });
    }
    Ok((project, subjects))
}

/// The server's types of the outputs are the derived ones.
fn described(t: &transform::Transform, plan: &pgspine::transform::Plan, source: &mut Source) -> Result<(), String> {
    let path = format!("SET search_path = {}, public", t.topic.split('.').next().unwrap_or(""));
    source.ours.execute(&path).map_err(|e| e.to_string())?;
    let columns = capture::preflight::describe(&mut source.ours, &t.sql());
    source.ours.execute("SET search_path = ''").map_err(|e| e.to_string())?;
    let columns = columns.map_err(|e| format!("the server refuses what we take: {}", chain(&e)))?;
    for (column, output) in columns.iter().zip(&plan.outputs) {
        let name = source
            .client
            .query_one(
                "SELECT format_type(CASE WHEN typtype = 'd' THEN typbasetype ELSE oid END, NULL) FROM pg_type WHERE oid = $1",
                &[&column.type_oid],
            )
            .map_err(|e| e.to_string())?;
        let theirs: String = name.get(0);
        let ours = match &output.shape {
            Shape::Scalar(e) => pgspine::transform::bind::types::sql_name(&e.ty.ty),
            Shape::Record { .. } => "jsonb".into(),
        };
        let bare = |s: &str| s.rsplit('.').next().unwrap_or(s).trim_matches('"').replace("varbit", "bit varying");
        if bare(&ours) != bare(&theirs) && ours != theirs {
            return Err(format!("{}: {} is {theirs}, derived as {ours}", t.name, output.name));
        }
        if let Shape::Scalar(e) = &output.shape
            && e.ty.domain.is_none()
            && column.typmod != e.ty.typmod
            // The planner knows more of an expression than the parser.
            && e.ty.typmod >= 0
        {
            return Err(format!(
                "{}: {} ({theirs}) has typmod {}, derived {}",
                t.name, output.name, column.typmod, e.ty.typmod
            ));
        }
    }
    Ok(())
}

/// Applies the stream and compares after each commit. `true`: a transform halted, as it had to.
fn compare(
    bridge: &mut Bridge,
    messages: &[Message],
    expected: Vec<Expected>,
    subjects: &mut [Subject],
    counts: &mut Counts,
    report: &mut String,
) -> Result<bool, String> {
    let mut expected = expected.into_iter();
    let mut pending: Option<Expected> = None;
    for m in messages {
        let Some((xid, applied)) = bridge.push(m, Mode::Emit { skip: 0 }) else { continue };
        let mut unseen = Ok(());
        let this = expected.by_ref().find(|e| {
            note(report, &e.done);
            let this = e.done.xid == Some(xid);
            if !this && unseen.is_ok() {
                unseen = quiet(e, subjects);
            }
            this
        });
        unseen?;
        let Some(this) = this else { return Err(format!("transaction {xid} is not one of ours")) };
        if step(bridge, &this, applied, subjects, counts)? {
            return Ok(true);
        }
        pending = Some(this);
    }
    drop(pending);
    for e in expected {
        note(report, &e.done);
        quiet(&e, subjects)?;
    }
    Ok(false)
}

fn note(report: &mut String, done: &Done) {
    writeln!(report, "-- transaction {:?}\n{};", done.xid, done.statements.join(";\n")).expect("a string");
}

/// A transaction that the stream does not bring changes nothing.
fn quiet(e: &Expected, subjects: &[Subject]) -> Result<(), String> {
    for (answer, s) in e.answers.iter().zip(subjects) {
        let (fold, errors) = next(answer, &s.fold);
        if fold != s.fold || errors != s.errors {
            return Err(format!("{}: the answer changed without a transaction in the stream", s.written.name));
        }
    }
    Ok(())
}

/// The topic after a commit: rows with errors leave their key as it was.
fn next(answer: &Answer, before: &BTreeMap<Canon, Canon>) -> (BTreeMap<Canon, Canon>, BTreeSet<Canon>) {
    let mut fold = BTreeMap::new();
    let mut errors = BTreeSet::new();
    for (key, value) in answer {
        match value {
            Some(value) => drop(fold.insert(key.clone(), value.clone())),
            None => {
                errors.insert(key.clone());
                if let Some(last) = before.get(key) {
                    fold.insert(key.clone(), last.clone());
                }
            }
        }
    }
    (fold, errors)
}

fn step(
    bridge: &mut Bridge,
    this: &Expected,
    applied: Result<Vec<Emitted>, EngineError>,
    subjects: &mut [Subject],
    counts: &mut Counts,
) -> Result<bool, String> {
    let after: Vec<_> = this.answers.iter().zip(&*subjects).map(|(a, s)| next(a, &s.fold)).collect();
    let must_halt = after.iter().zip(&*subjects).any(|((_, errors), s)| !s.written.dead_letter && !errors.is_empty());
    let records = match (applied, must_halt) {
        (Ok(records), false) => records,
        (Err(EngineError::Row { .. }), true) => {
            counts.halts += 1;
            return Ok(true);
        }
        (Err(EngineError::Row { transform, source, .. }), false) if doubtful(subjects, &transform) => {
            let _ = source;
            counts.doubtful += 1;
            return Ok(true);
        }
        (Err(e), _) => return Err(format!("the transaction is refused: {}", chain(&e))),
        (Ok(_), true) => {
            let at = after.iter().zip(&*subjects).find(|((_, e), s)| !s.written.dead_letter && !e.is_empty());
            let (name, keys) = at.map(|((_, e), s)| (s.written.name.clone(), format!("{e:?}"))).unwrap_or_default();
            if doubtful(subjects, &name) {
                counts.doubtful += 1;
                return Ok(true);
            }
            return Err(format!(
                "{name}: PostgreSQL has an error (or a value that the contract cannot hold), we have none; keys {keys}"
            ));
        }
    };
    in_order(&records)?;
    let mut letters = subjects.len();
    for (i, s) in subjects.iter_mut().enumerate() {
        let (fold, errors) = &after[i];
        let wanted: BTreeMap<&Canon, Option<&Canon>> = fold
            .iter()
            .filter(|(k, v)| s.fold.get(k) != Some(v))
            .map(|(k, v)| (k, Some(v)))
            .chain(s.fold.keys().filter(|k| !fold.contains_key(k)).map(|k| (k, None)))
            .collect();
        let mut got = BTreeMap::new();
        for r in records.iter().filter(|r| r.topic == i) {
            counts.records += 1;
            let key = decode_key(s, &r.key)?;
            let value = r.value.as_ref().map(|v| decode(&s.value, body_of(v))).transpose()?;
            match &r.value {
                Some(v) => bridge.live[i].insert(r.key.clone(), v.clone()),
                None => bridge.live[i].remove(&r.key),
            };
            if got.insert(key.clone(), value).is_some() {
                return Err(format!("{}: two records for {key:?} in one transaction", s.written.name));
            }
        }
        let got: BTreeMap<&Canon, Option<&Canon>> = got.iter().map(|(k, v)| (k, v.as_ref())).collect();
        if got != wanted {
            if s.written.dead_letter && doubtful_sql(s) {
                counts.doubtful += 1;
                return Ok(true);
            }
            return Err(format!("{}: {}", s.written.name, difference(&got, &wanted)));
        }
        if s.written.dead_letter {
            let mut told = BTreeSet::new();
            for r in records.iter().filter(|r| r.topic == letters) {
                counts.letters += 1;
                told.insert(decode_key(s, &r.key)?);
            }
            letters += 1;
            let missing = errors.iter().find(|k| !s.errors.contains(k) && !told.contains(k));
            let stray = told.iter().find(|k| !errors.contains(k));
            if missing.is_some() || stray.is_some() {
                return Err(format!(
                    "{}: dead letter missing for {missing:?}, without a reason for {stray:?}",
                    s.written.name
                ));
            }
            if bridge.held(i) != errors.len() {
                return Err(format!(
                    "{}: {} keys are held, {} rows have errors: {errors:?}",
                    s.written.name,
                    bridge.held(i),
                    errors.len()
                ));
            }
        }
        s.fold.clone_from(fold);
        s.errors.clone_from(errors);
    }
    Ok(false)
}

/// PostgreSQL promises no order for AND and OR: which error is met first, or none, is open.
fn doubtful_sql(s: &Subject) -> bool {
    let sql = s.written.sql();
    [" AND ", " OR ", " IN "].iter().any(|w| sql.contains(w))
}

fn doubtful(subjects: &[Subject], name: &str) -> bool {
    subjects.iter().any(|s| s.written.name == name && doubtful_sql(s))
}

/// Numbers from 0 on, parts marked.
fn in_order(records: &[Emitted]) -> Result<(), String> {
    for (i, r) in records.iter().enumerate() {
        if r.seq != i as u64 || r.lsn != records[0].lsn {
            return Err(format!("record {i} has number {} and LSN {}", r.seq, r.lsn));
        }
    }
    let parts: Vec<_> = records.iter().map(|r| r.part).collect();
    if parts.iter().all(Option::is_none) {
        return Ok(());
    }
    let last = parts.last().copied().flatten();
    let steady = parts.is_sorted_by_key(|p| p.map(|p| p.0));
    let end = last.is_some_and(|(n, is_last)| is_last && parts.iter().flatten().all(|p| p.1 == (p.0 == n)));
    if steady && end && parts.iter().all(Option::is_some) { Ok(()) } else { Err(format!("parts are {parts:?}")) }
}

fn decode(schema: &AvroSchema, body: &[u8]) -> Result<Canon, String> {
    let mut rest = body;
    let reader = GenericDatumReader::builder(schema).build().map_err(|e| e.to_string())?;
    let value = reader.read_value(&mut rest).map_err(|e| format!("not Avro: {e}"))?;
    if rest.is_empty() { Ok(from_avro(&value)) } else { Err(format!("{} bytes are left over", rest.len())) }
}

fn decode_key(s: &Subject, key: &[u8]) -> Result<Canon, String> {
    let Some(schema) = &s.key else {
        return Ok(Canon::List(vec![Canon::Text(String::from_utf8(key.to_vec()).map_err(|e| e.to_string())?)]));
    };
    let Canon::Map(fields) = decode(schema, body_of(key))? else { return Err("a key is a record".into()) };
    Ok(Canon::List(s.written.key.iter().map(|k| fields.get(k).cloned().unwrap_or(Canon::Null)).collect()))
}

fn difference(got: &BTreeMap<&Canon, Option<&Canon>>, wanted: &BTreeMap<&Canon, Option<&Canon>>) -> String {
    let mut text = String::new();
    for key in got.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
        let (g, w) = (got.get(*key), wanted.get(*key));
        if g == w {
            continue;
        }
        let show = |v: Option<&Option<&Canon>>| match v {
            None => "no record".to_owned(),
            Some(None) => "a tombstone".to_owned(),
            Some(Some(v)) => format!("{v:?}").chars().take(1500).collect(),
        };
        write!(text, "\nkey {key:?}\n  got    {}\n  wanted {}", show(g), show(w)).expect("a string");
    }
    text
}

/// A reconcile of what is right emits nothing; of what is not, exactly the difference.
fn reconcile(
    rng: &mut Rng,
    i: usize,
    bridge: &mut Bridge,
    project: &Project,
    client: &mut Client,
    s: &mut Subject,
    counts: &mut Counts,
) -> Result<(), String> {
    counts.reconciles += 1;
    let images = |client: &mut Client| {
        let t = &project.tables[project.table_of(&project.definitions[i])];
        let mut columns: Vec<String> =
            t.columns.iter().map(|c| format!("\"{}\"", c.name.replace('"', "\"\""))).collect();
        if t.partitioned() {
            columns.push("tableoid".into());
        }
        let rows = oracle::rows(client, &format!("SELECT {} FROM {}", columns.join(", "), t.table.name.to_sql()))
            .expect("rows");
        rows.into_iter().map(|r| r.into_iter().map(|v| v.map(String::into_bytes)).collect()).collect::<Vec<Vec<_>>>()
    };
    let mut live = bridge.live[i].clone();
    // Some keys are lost, some hold something else, one should not be there.
    let mut wrong = BTreeSet::new();
    if rng.bool() {
        for key in bridge.live[i].keys() {
            match rng.u32(..4) {
                0 => drop(live.remove(key)),
                1 => drop(live.insert(key.clone(), vec![0, 0, 0, 0, 0, 99, 99])),
                _ => continue,
            }
            wrong.insert(key.clone());
        }
        live.insert(vec![0, 0, 0, 0, 0, 1, 1, 1], vec![0, 0, 0, 0, 0, 1]);
        wrong.insert(vec![0, 0, 0, 0, 0, 1, 1, 1]);
    }
    let images = match bridge.stored(i) {
        Some(_) if rng.bool() => None,
        _ => Some(images(client)),
    };
    let emitted = bridge.reconcile(i, &live, images).map_err(|e| format!("reconcile: {}", chain(&e)))?;
    let mut seen = BTreeSet::new();
    for r in emitted.iter().filter(|r| r.topic == i) {
        let right = bridge.live[i].get(&r.key);
        if !wrong.contains(&r.key) || right != r.value.as_ref() || !seen.insert(r.key.clone()) {
            return Err(format!("{}: the reconcile emits {r:?}", s.written.name));
        }
    }
    let held: BTreeSet<&Canon> = s.errors.iter().collect();
    for key in wrong.iter().filter(|k| !seen.contains(*k)) {
        // What a held key's last good value was is not known to a reconcile.
        if !decode_key(s, key).is_ok_and(|k| held.contains(&k)) {
            return Err(format!("{}: the reconcile leaves {key:?}", s.written.name));
        }
    }
    Ok(())
}

fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(e) = source {
        write!(text, ": {e}").expect("a string");
        source = e.source();
    }
    text
}

fn shown(findings: &[Diagnostic]) -> String {
    findings.iter().map(|d| format!("{} {} {:?}", d.code, d.message, d.help)).collect::<Vec<_>>().join("; ")
}
