//! The same through the real process, Kafka and registry: load, stream, kill -9, stream, and what a reader finds.

use std::time::Duration;

use super::*;
use crate::support::{Project as Folder, Record, read_topic};

/// Where a commit lies in the WAL, and what it must have written.
struct Commit {
    after: u64,
    upto: u64,
    expected: Expected,
}

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_process_answers_as_postgresql_does() {
    let seed = number("PGSPINE_SEED");
    let cases = number("PGSPINE_RANDOM_PROCESSES").unwrap_or(if seed.is_some() { 1 } else { 2 });
    let first = seed.unwrap_or_else(|| fastrand::u64(..1 << 40));
    for seed in first..first + cases {
        eprintln!("PGSPINE_SEED={seed}");
        let mut report = String::new();
        let mut source = Source::new("random_process");
        let result = catch_unwind(AssertUnwindSafe(|| case(seed, &mut source, &mut report)));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(wrong)) => panic!("=== PGSPINE_SEED={seed}\n{report}--- {wrong}\n"),
            Err(panic) => {
                eprintln!("=== PGSPINE_SEED={seed}\n{report}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn case(seed: u64, source: &mut Source, report: &mut String) -> Result<(), String> {
    let rng = &mut Rng::with_seed(seed);
    let counts = &mut Counts::default();
    let schema = schema::random(rng, "public");
    for sql in &schema.sql {
        writeln!(report, "{sql};").expect("a string");
        source.client.batch_execute(sql).map_err(|e| format!("{e}: {:?}: {sql}", e.as_db_error()))?;
    }
    let folder = Folder::new("random", &source.database, "");
    let (project, mut subjects) = project(rng, &schema, source, counts, report, folder.dir(), &folder.name)?;
    if subjects.is_empty() {
        return Ok(());
    }
    source.client.batch_execute("SET synchronous_commit = on").expect("a setting");
    for _ in 0..rng.usize(..12) {
        let done = Workload::new(rng, &mut source.client, &schema).transaction();
        done.iter().for_each(|d| note(report, d));
    }
    // Rows that a transform which halts cannot publish would end the load: not this test's matter.
    let mut commits: Vec<Commit> = Vec::new();
    for s in &mut subjects {
        let answer = s.query.ask(&mut source.client);
        if !s.written.dead_letter && answer.values().any(Option::is_none) {
            return Ok(());
        }
        (s.fold, s.errors) = next(&answer, &BTreeMap::new());
    }
    let begun = lsn(source);
    let loaded = folder.output(&["run", "--until", "caught-up"]);
    let shown = |o: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
    };
    if loaded.status.code() != Some(0) {
        return Err(format!("the load ended with {}: {}", loaded.status, shown(&loaded)));
    }
    let mut folds: Vec<_> = subjects.iter().map(|s| s.fold.clone()).collect();
    let mut process = folder.spawn(&["run"], &[]);
    let mut halts = false;
    for part in 0..2 {
        for _ in 0..rng.usize(4..20) {
            let after = lsn(source);
            let Some(done) = Workload::new(rng, &mut source.client, &schema).transaction() else { continue };
            note(report, &done);
            let answers: Vec<Answer> = subjects.iter().map(|s| s.query.ask(&mut source.client)).collect();
            for ((s, a), fold) in subjects.iter().zip(&answers).zip(&mut folds) {
                let (new, errors) = next(a, fold);
                *fold = new;
                halts |= !s.written.dead_letter && !errors.is_empty();
            }
            commits.push(Commit { after, upto: lsn(source), expected: Expected { done, answers } });
            if halts {
                break;
            }
        }
        if part == 0 && !halts {
            process.kill9();
            process = folder.spawn(&["run"], &[]);
        }
        if halts {
            break;
        }
    }
    if halts {
        let code = process.code(LIMIT);
        if code != 6 {
            return Err(format!("a row cannot be published, and the process ends with {code}:\n{}", process.log()));
        }
        commits.pop();
    } else {
        process.kill9();
        let ended = folder.output(&["run", "--until", "caught-up"]);
        if ended.status.code() != Some(0) {
            return Err(format!("the last run ended with {}: {}", ended.status, shown(&ended)));
        }
    }
    for (i, s) in subjects.iter_mut().enumerate() {
        let records = read_topic(&s.written.topic);
        topic(i, s, begun, &commits, &records).map_err(|e| format!("{}: {e}", s.written.name))?;
    }
    let tables = project.tables.len();
    let commits = commits.len();
    eprintln!(
        "  {} transforms over {tables} tables, {commits} commits{}",
        subjects.len(),
        if halts { ", halted" } else { "" }
    );
    Ok(())
}

fn lsn(source: &mut Source) -> u64 {
    let row = source.client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::text", &[]).expect("an LSN");
    row.get::<_, String>(0).parse().expect("a number")
}

/// First the load, one record for each key, then per commit exactly the difference.
fn topic(i: usize, s: &mut Subject, begun: u64, commits: &[Commit], records: &[Record]) -> Result<(), String> {
    let mut by_lsn: BTreeMap<u64, BTreeMap<Canon, Option<Canon>>> = BTreeMap::new();
    let mut loaded = BTreeMap::new();
    for r in records {
        let header = |name: &str| r.headers.get(name).map(String::as_str).unwrap_or_default();
        let (high, low) = header("pgspine-lsn").split_once('/').ok_or("a record without an LSN")?;
        let number = |t: &str| u64::from_str_radix(t, 16).map_err(|e| e.to_string());
        let lsn = number(high)? << 32 | number(low)?;
        let key = decode_key(s, r.key.as_deref().unwrap_or_default())?;
        let value = r.value.as_ref().map(|v| decode(&s.value, body_of(v))).transpose()?;
        let of = match header("pgspine-origin") {
            "reconcile" => &mut loaded,
            "stream" if lsn > begun => by_lsn.entry(lsn).or_default(),
            origin => {
                return Err(format!("a record of {origin:?} at {lsn:x}, where the first commit is after {begun:x}"));
            }
        };
        if of.insert(key.clone(), value).is_some() {
            return Err(format!("two records for {key:?} at {lsn:x}"));
        }
    }
    let base: BTreeMap<Canon, Option<Canon>> = s.fold.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
    if loaded != base {
        return Err(format!("the load: {}", difference(&view(&loaded), &view(&base))));
    }
    for (n, c) in commits.iter().enumerate() {
        let here: Vec<u64> = by_lsn.keys().copied().filter(|l| *l > c.after && *l <= c.upto).collect();
        let got = match here[..] {
            [] => BTreeMap::new(),
            [one] => by_lsn.remove(&one).unwrap_or_default(),
            _ => return Err(format!("commit {n} has records at {here:x?}")),
        };
        let (fold, errors) = next(&c.expected.answers[i], &s.fold);
        let wanted = changes(&s.fold, &fold);
        if view(&got) != wanted {
            let why = difference(&view(&got), &wanted);
            return Err(format!("commit {n} (transaction {:?}): {why}", c.expected.done.xid));
        }
        drop(wanted);
        (s.fold, s.errors) = (fold, errors);
    }
    match by_lsn.first_key_value() {
        Some((lsn, records)) => Err(format!("records of no commit at {lsn:x}: {records:?}")),
        None => Ok(()),
    }
}

fn view(of: &BTreeMap<Canon, Option<Canon>>) -> BTreeMap<&Canon, Option<&Canon>> {
    of.iter().map(|(k, v)| (k, v.as_ref())).collect()
}
