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
    event::happened(&subjects, &mut source.client);
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
            let expected = Expected::of(done, &subjects, &mut source.client);
            halts |= event::must_halt(&expected, &subjects).is_some();
            for ((s, a), fold) in subjects.iter().zip(&expected.answers).zip(&mut folds) {
                let (new, errors) = next(a, fold);
                *fold = new;
                halts |= !s.written.dead_letter && !errors.is_empty();
            }
            commits.push(Commit { after, upto: lsn(source), expected });
            if halts {
                break;
            }
        }
        if part == 0 && !halts {
            process.kill9();
            together(&subjects, begun, &commits)?;
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
    for (i, s) in subjects.iter().enumerate() {
        topic(i, s, begun, &commits, &read_topic(&s.written.topic)).map_err(|e| format!("{}: {e}", s.written.name))?;
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

/// After a kill: of the last commit that any topic tells of, and of all before it, every topic tells everything.
fn together(subjects: &[Subject], begun: u64, commits: &[Commit]) -> Result<(), String> {
    // The broker may still be ending what the process committed last: then a topic shows it a moment later.
    let end = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match together_now(subjects, begun, commits) {
            Err(_) if std::time::Instant::now() < end => {}
            result => return result,
        }
    }
}

fn together_now(subjects: &[Subject], begun: u64, commits: &[Commit]) -> Result<(), String> {
    let topics: Vec<Vec<Record>> = subjects.iter().map(|s| read_topic(&s.written.topic)).collect();
    let mut last = begun;
    for r in topics.iter().flatten() {
        last = last.max(position(r)?);
    }
    let there = commits.partition_point(|c| c.after < last);
    for (i, (s, records)) in subjects.iter().zip(&topics).enumerate() {
        topic(i, s, begun, &commits[..there], records)
            .map_err(|e| format!("{}, killed after {there} commits: {e}", s.written.name))?;
    }
    Ok(())
}

fn header<'r>(r: &'r Record, name: &str) -> &'r str {
    r.headers.get(name).map(String::as_str).unwrap_or_default()
}

fn position(r: &Record) -> Result<u64, String> {
    let (high, low) = header(r, "pgspine-lsn").split_once('/').ok_or("a record without an LSN")?;
    let number = |t: &str| u64::from_str_radix(t, 16).map_err(|e| e.to_string());
    Ok(number(high)? << 32 | number(low)?)
}

/// `pgspine-seq`, key, value, id.
type Numbered = (u64, Option<Canon>, Option<Canon>, Option<String>);

/// Per commit each INSERT, in its place, and nothing else.
fn events(i: usize, s: &Subject, begun: u64, commits: &[Commit], records: &[Record]) -> Result<(), String> {
    let mut by_lsn: BTreeMap<u64, Vec<Numbered>> = BTreeMap::new();
    for r in records {
        let lsn = position(r)?;
        if header(r, "pgspine-origin") != "stream" || lsn <= begun {
            return Err(format!("an event of {:?} at {lsn:x}", header(r, "pgspine-origin")));
        }
        let seq = header(r, "pgspine-seq").parse().map_err(|e| format!("pgspine-seq: {e}"))?;
        let key = decode_key(s, r.key.as_deref().unwrap_or_default())?;
        let value = decode(&s.value, body_of(r.value.as_ref().ok_or("a tombstone")?))?;
        let id = r.headers.get("pgspine-event-id").cloned();
        by_lsn.entry(lsn).or_default().push((seq, Some(key), Some(value), id));
    }
    for (n, c) in commits.iter().enumerate() {
        let mut got = Vec::new();
        let here: Vec<u64> = by_lsn.keys().copied().filter(|l| *l > c.after && *l <= c.upto).collect();
        got.extend(here.iter().filter_map(|lsn| by_lsn.remove(lsn)));
        if got.len() > 1 {
            return Err(format!("commit {n} has events at {} positions", got.len()));
        }
        let mut got = got.pop().unwrap_or_default();
        got.sort_by_key(|(seq, ..)| *seq);
        let got: Vec<_> = got.into_iter().map(|(_, key, value, id)| (key, value, id)).collect();
        let published = c.expected.happened[i].iter().filter(|h| h.value.is_some());
        let wanted: Vec<_> = published.map(|h| (h.key.clone(), h.value.clone(), h.id.clone())).collect();
        if got != wanted {
            return Err(format!(
                "commit {n} (transaction {:?})\n  got    {got:?}\n  wanted {wanted:?}",
                c.expected.done.xid
            ));
        }
    }
    match by_lsn.first_key_value() {
        Some((lsn, events)) => Err(format!("events of no commit at {lsn:x}: {events:?}")),
        None => Ok(()),
    }
}

/// First the load, one record for each key, then per commit exactly the difference.
fn topic(i: usize, s: &Subject, begun: u64, commits: &[Commit], records: &[Record]) -> Result<(), String> {
    if s.written.event {
        return events(i, s, begun, commits, records);
    }
    let mut by_lsn: BTreeMap<u64, BTreeMap<Canon, Option<Canon>>> = BTreeMap::new();
    let mut loaded = BTreeMap::new();
    for r in records {
        let lsn = position(r)?;
        let key = decode_key(s, r.key.as_deref().unwrap_or_default())?;
        let value = r.value.as_ref().map(|v| decode(&s.value, body_of(v))).transpose()?;
        let of = match header(r, "pgspine-origin") {
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
    let mut before = s.fold.clone();
    for (n, c) in commits.iter().enumerate() {
        let here: Vec<u64> = by_lsn.keys().copied().filter(|l| *l > c.after && *l <= c.upto).collect();
        let got = match here[..] {
            [] => BTreeMap::new(),
            [one] => by_lsn.remove(&one).unwrap_or_default(),
            _ => return Err(format!("commit {n} has records at {here:x?}")),
        };
        let (fold, _) = next(&c.expected.answers[i], &before);
        let wanted = changes(&before, &fold);
        if view(&got) != wanted {
            let why = difference(&view(&got), &wanted);
            return Err(format!("commit {n} (transaction {:?}): {why}", c.expected.done.xid));
        }
        drop(wanted);
        before = fold;
    }
    match by_lsn.first_key_value() {
        Some((lsn, records)) => Err(format!("records of no commit at {lsn:x}: {records:?}")),
        None => Ok(()),
    }
}

fn view(of: &BTreeMap<Canon, Option<Canon>>) -> BTreeMap<&Canon, Option<&Canon>> {
    of.iter().map(|(k, v)| (k, v.as_ref())).collect()
}
