//! A transaction's records held against what PostgreSQL answered before and after it.

use super::*;
use pgspine::encode::codes::ROW_TOO_LARGE;

/// Applies the stream and compares after each commit. `true`: a transform halted, as it had to.
pub(super) fn compare(
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
        bridge.last.clear();
        // What a TRUNCATE took away is read back from the topic, before anything of the transaction is in it.
        if let (Ok(records), false) = (&applied, this.done.statements.iter().any(|s| s.starts_with("TRUNCATE"))) {
            bridge.last.clone_from(records);
        }
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

pub(super) fn note(report: &mut String, done: &Done) {
    writeln!(report, "-- transaction {:?}\n{};", done.xid, done.statements.join(";\n")).expect("a string");
}

/// A transaction that the stream does not bring changes nothing.
pub(super) fn quiet(e: &Expected, subjects: &[Subject]) -> Result<(), String> {
    for (answer, s) in e.answers.iter().zip(subjects) {
        let (fold, errors) = next(answer, &s.fold);
        if fold != s.fold || errors != s.errors {
            return Err(format!("{}: the answer changed without a transaction in the stream", s.written.name));
        }
    }
    if let Some(h) = e.happened.iter().flatten().next() {
        return Err(format!("an INSERT without a transaction in the stream: {h:?}"));
    }
    Ok(())
}

/// The topic after a commit: rows with errors leave their key as it was.
pub(super) fn next(answer: &Answer, before: &BTreeMap<Canon, Canon>) -> (BTreeMap<Canon, Canon>, BTreeSet<Canon>) {
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

/// What a topic must hear to come from one fold to the other.
pub(super) fn changes<'a>(
    before: &'a BTreeMap<Canon, Canon>,
    after: &'a BTreeMap<Canon, Canon>,
) -> BTreeMap<&'a Canon, Option<&'a Canon>> {
    let came = after.iter().filter(|(k, v)| before.get(k) != Some(v)).map(|(k, v)| (k, Some(v)));
    came.chain(before.keys().filter(|k| !after.contains_key(k)).map(|k| (k, None))).collect()
}

pub(super) fn step(
    bridge: &mut Bridge,
    this: &Expected,
    applied: Result<Vec<Emitted>, EngineError>,
    subjects: &mut [Subject],
    counts: &mut Counts,
) -> Result<bool, String> {
    let after: Vec<_> = this.answers.iter().zip(&*subjects).map(|(a, s)| next(a, &s.fold)).collect();
    let must_halt = after.iter().zip(&*subjects).any(|((_, errors), s)| !s.written.dead_letter && !errors.is_empty())
        || event::must_halt(this, subjects).is_some();
    // A record has a bound, which a SELECT has not: PostgreSQL's answer shows that it is passed.
    let large = || after.iter().any(|(fold, _)| fold.values().any(|v| format!("{v:?}").len() > 500_000));
    let told = |r: &Emitted| r.topic >= subjects.len() && r.value.as_deref().is_some_and(is_too_large);
    let too_large = match &applied {
        Ok(records) => records.iter().any(told),
        Err(EngineError::Row { source, .. }) => source.code == ROW_TOO_LARGE,
        Err(_) => false,
    };
    if too_large && large() {
        counts.doubtful += 1;
        return Ok(true);
    }
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
            let (name, keys) = at
                .map(|((_, e), s)| (s.written.name.clone(), format!("{e:?}")))
                .or_else(|| event::must_halt(this, subjects))
                .unwrap_or_default();
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
    if event::compare(this, &records, subjects, counts)? {
        return Ok(true);
    }
    let mut letters = subjects.len();
    for (i, s) in subjects.iter_mut().enumerate() {
        if s.written.event {
            letters += usize::from(s.written.dead_letter);
            continue;
        }
        let (fold, errors) = &after[i];
        let wanted = changes(&s.fold, fold);
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
            let told = records.iter().any(|r| r.topic == letters);
            let failed = told || !errors.is_empty() || !s.errors.is_empty();
            if s.written.dead_letter && failed && doubtful_sql(s) {
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
            if (missing.is_some() || stray.is_some()) && doubtful_sql(s) {
                counts.doubtful += 1;
                return Ok(true);
            }
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
fn is_too_large(letter: &[u8]) -> bool {
    serde_json::from_slice::<Json>(letter).is_ok_and(|l| l["code"] == ROW_TOO_LARGE.to_string())
}

pub(super) fn doubtful_sql(s: &Subject) -> bool {
    let sql = s.written.sql();
    [" AND ", " OR ", " IN ", " JOIN ", "(SELECT"].iter().any(|w| sql.contains(w))
}

pub(super) fn doubtful(subjects: &[Subject], name: &str) -> bool {
    subjects.iter().any(|s| s.written.name == name && doubtful_sql(s))
}

/// Numbers from 0 on, parts marked.
pub(super) fn in_order(records: &[Emitted]) -> Result<(), String> {
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

pub(super) fn decode(schema: &AvroSchema, body: &[u8]) -> Result<Canon, String> {
    let mut rest = body;
    let reader = GenericDatumReader::builder(schema).build().map_err(|e| e.to_string())?;
    let value = reader.read_value(&mut rest).map_err(|e| format!("not Avro: {e}"))?;
    if rest.is_empty() { Ok(from_avro(&value)) } else { Err(format!("{} bytes are left over", rest.len())) }
}

pub(super) fn decode_key(s: &Subject, key: &[u8]) -> Result<Canon, String> {
    let Some(schema) = &s.key else {
        return Ok(Canon::List(vec![Canon::Text(String::from_utf8(key.to_vec()).map_err(|e| e.to_string())?)]));
    };
    let Canon::Map(fields) = decode(schema, body_of(key))? else { return Err("a key is a record".into()) };
    Ok(Canon::List(s.written.key.iter().map(|k| fields.get(k).cloned().unwrap_or(Canon::Null)).collect()))
}

pub(super) fn difference(got: &BTreeMap<&Canon, Option<&Canon>>, wanted: &BTreeMap<&Canon, Option<&Canon>>) -> String {
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
