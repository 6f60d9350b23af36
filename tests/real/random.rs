//! Random against PostgreSQL: random tables, random transforms and contracts over them, transactions of the nasty
//! shapes. After each commit the folded topic must equal the SELECT's answer, and the records must be exactly the
//! difference to the answer before.
//!
//! `PGSPINE_SEED` replays a run, `PGSPINE_RANDOM_CASES` says how many schemas, `PGSPINE_RANDOM_SECONDS` how long at
//! most: on a slow machine there are fewer. A seed means the same only until the generator changes: what was found stays
//! as a SELECT in `select_oracle.rs`, or as a test of its own beside what was wrong.

mod bridge;
mod canon;
mod compare;
mod contract;
mod coverage;
mod event;
mod expression;
mod joins;
mod kinds;
mod mend;
mod oracle;
mod process;
mod project;
mod replay;
mod schema;
mod source;
mod transform;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apache_avro::Schema as AvroSchema;
use apache_avro::reader::datum::GenericDatumReader;
use fastrand::Rng;
use pgspine::capture::{self, Connection};
use pgspine::diagnostic::Diagnostic;
use pgspine::encode::{KeySchema, body_of};
use pgspine::engine::{EngineError, Mode, SplitLimits};
use pgspine::runtime::project::{self as bound, Project};
use pgspine::transform::function::Context;
use pgspine::transform::{Shape, bind, source as files};
use postgres::{Client, NoTls};
use serde_json::Value as Json;

use super::support;
use bridge::{Bridge, Emitted, Message};
use canon::{Canon, from_avro};
use compare::{changes, compare, decode, decode_key, difference, next, note};
use mend::reconcile;
use oracle::{Answer, Happened, Query};
use project::project;
use source::Source;
use workload::{Done, Workload};

#[derive(Default, Debug)]
struct Counts {
    transforms: u32,
    /// Those over several tables, and those with a typed list.
    joined: u32,
    lists: u32,
    events: u32,
    happened: u32,
    refused: u32,
    reasons: BTreeMap<String, u32>,
    transactions: u32,
    records: u32,
    letters: u32,
    halts: u32,
    replays: u32,
    /// Of these, the last transaction was in Kafka in part.
    resumed: u32,
    reconciles: u32,
    doubtful: u32,
    /// What the generator really made.
    coverage: coverage::Coverage,
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
    let mut source = Source::new("random");
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    // Who says how many waits for them.
    let seconds = if number("PGSPINE_RANDOM_CASES").is_some() { u64::from(u32::MAX) } else { 30 };
    let limit = Duration::from_secs(number("PGSPINE_RANDOM_SECONDS").unwrap_or(seconds));
    let begun = Instant::now();
    let mut run = 0;
    for n in 0..cases {
        if begun.elapsed() > limit {
            break;
        }
        run += 1;
        if run % 50 == 0 {
            eprintln!("{run} cases, {:?}", begun.elapsed());
        }
        let seed = first + n;
        let mut report = String::new();
        let result = catch_unwind(AssertUnwindSafe(|| case(seed, &mut source, &mut counts, &mut report)));
        let wrong = match result {
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
    let shown = std::mem::take(&mut counts.coverage).to_string();
    eprintln!("{run} cases, {:?}: {counts:?}; refused {share:.1} %: {reasons:?}", begun.elapsed());
    eprintln!("{shown}");
    drop(source.database);
    assert!(failures.is_empty(), "{} of {run} cases differ:\n{}", failures.len(), failures.join("\n"));
    // Of a few transforms it says nothing.
    assert!(counts.transforms < 100 || share < 25.0, "the generator writes what is refused: {share:.1} %");
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
    /// What INSERTs must have become.
    happened: Vec<Vec<Happened>>,
}

impl Expected {
    fn of(done: Done, subjects: &[Subject], client: &mut Client) -> Expected {
        let answers = subjects.iter().map(|s| s.query.ask(client)).collect();
        Expected { done, answers, happened: event::happened(subjects, client) }
    }
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
    let (project, mut subjects) = project(rng, schema, source, counts, report, dir.path(), &schema.name)?;
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
    counts.coverage.schema(schema);
    source.advance();
    let mut history: Vec<Vec<Message>> = Vec::new();
    let filled = rng.u32(..4) > 0;
    for round in 0..rng.usize(2..6) {
        let mut expected = Vec::new();
        for n in 0..rng.usize(1..12) {
            let mut workload = Workload::new(rng, &mut source.client, schema);
            let done = if filled && round + n == 0 { workload.fill() } else { workload.transaction() };
            let Some(done) = done else { continue };
            counts.transactions += 1;
            counts.coverage.shapes(&done.shapes);
            expected.push(Expected::of(done, &subjects, &mut source.client));
        }
        let messages = source.changes(&schema.name);
        if rng.u32(..3) == 0 && !history.is_empty() {
            // The state is gone: everything comes again, and Kafka has it already.
            counts.replays += 1;
            let (live, last) = (std::mem::take(&mut bridge.live), std::mem::take(&mut bridge.last));
            bridge = Bridge::new(&project, &prints, &source.context, limits);
            bridge.live = live;
            counts.resumed += u32::from(!last.is_empty());
            replay::again(rng, &mut bridge, &history, &last)?;
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
        counts.coverage.references(schema, &mut source.client);
        bridge.reconnected();
        let halted = compare(&mut bridge, &messages, expected, &mut subjects, counts, report)?;
        if halted {
            return Ok(());
        }
        history.push(messages);
    }
    #[allow(clippy::needless_range_loop)] // The index is part of what is made.
    for i in 0..subjects.len() {
        reconcile(rng, i, &mut bridge, &project, &mut source.client, &mut subjects[i], counts)?;
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
