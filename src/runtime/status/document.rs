//! The document, version 1: a key that is there stays, with its meaning.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock;
use crate::emit::progress::rfc3339;
use crate::metrics::BridgeState;

use super::checks::{Answer, CHECKS, State};
use super::facts::{Facts, TopicStatus};
use super::verdict::{self, Verdict};

/// Since when each check says what it says.
#[derive(Default)]
pub struct Since([Option<(State, i64)>; CHECKS.len()]);

pub fn document(f: &Facts, since: &mut Since, now: i64) -> Value {
    let transforms: BTreeMap<&str, Value> =
        f.live_topics().map(|t| (t.transform.as_str(), transform(t, f.dead_letters(&t.transform), now))).collect();
    json!({
        "version": 1,
        "bridge": f.bridge,
        "build": { "version": f.version, "revision": f.revision },
        "started": time(f.started),
        "now": time(now),
        "state": f.state.unwrap_or(BridgeState::Starting).word(),
        "since": time(f.since),
        "verdict": spoken(&verdict::of_facts(f, now)),
        "checks": checks(f, since, now),
        "generation": f.generation,
        "positions": {
            "wal": f.wal_end().map(|l| crate::lsn::Lsn(l).to_string()),
            "received": f.received.to_string(),
            "emitted": f.emitted.to_string(),
            "confirmed": f.confirmed.to_string(),
        },
        "distances": {
            "wal_received": distance(f, f.wal_end(), f.received.get()),
            "received_emitted": distance(f, Some(f.received.get()), f.emitted.get()),
            "emitted_confirmed": distance(f, Some(f.emitted.get()), f.confirmed.get()),
        },
        "slot": slot(f),
        "paused": f.paused,
        "lag_seconds": f.visible.map(|(_, lag)| lag),
        "loading": f.loading.as_ref().map(|l| json!({
            "table": l.table, "rows": l.rows, "estimated_rows": l.estimate,
            "rows_per_second": verdict::eta(f, now).map(|(rate, _)| tenths(rate)),
            "seconds_left": verdict::eta(f, now).map(|(_, left)| tenths(left)),
            "tables_remaining": f.tables_remaining, "since": time(l.since),
        })),
        "transaction": f.transaction.as_ref().map(|t| json!({
            "end_lsn": t.end_lsn.to_string(), "what": t.what, "transform": t.transform,
            "done": t.done, "of": t.of, "parts": t.parts,
        })),
        "last_commit": f.last_commit.map(time),
        "problem": f.problem.as_ref().map(|p| json!({
            "code": p.code, "message": p.message, "help": p.help, "retrying": p.exit.is_none(), "since": time(p.since),
            "exit": p.exit.map(|e| e as u8),
        })),
        "transforms": transforms,
        "events": f.events,
    })
}

fn spoken(v: &Verdict) -> Value {
    json!({
        "level": v.level.word(), "text": v.text, "since": time(v.since), "deadline": v.deadline.map(time),
        "remedy": v.remedy, "runbook": v.runbook,
    })
}

impl Since {
    /// Looks without anybody asking, so that a change is noticed when it comes.
    pub fn see(&mut self, f: &Facts, now: i64) {
        for (check, known) in CHECKS.iter().zip(&mut self.0) {
            remember(&(check.look)(f, now), known, now);
        }
    }
}

/// Since when it says this.
fn remember(answer: &Answer, known: &mut Option<(State, i64)>, now: i64) -> i64 {
    let at = match (answer.since, *known) {
        (Some(at), _) => at,
        (None, Some((state, at))) if state == answer.state => at,
        (None, _) => now,
    };
    *known = Some((answer.state, at));
    at
}

fn checks(f: &Facts, since: &mut Since, now: i64) -> Vec<Value> {
    let of = |(check, known): (&super::checks::Check, &mut Option<(State, i64)>)| {
        let answer = (check.look)(f, now);
        let at = remember(&answer, known, now);
        json!({
            "name": check.name, "title": check.title, "state": answer.state.word(), "since": time(at),
            "message": answer.message, "remedy": answer.remedy, "runbook": answer.runbook,
        })
    };
    CHECKS.iter().zip(&mut since.0).map(of).collect()
}

/// Before the first position there is no distance.
fn distance(f: &Facts, ahead: Option<u64>, behind: u64) -> Value {
    let ahead = ahead.filter(|_| behind > 0);
    json!({
        "bytes": ahead.map(|a| a.saturating_sub(behind)),
        "seconds": ahead.and_then(|a| f.seconds_between(a.max(behind), behind)),
    })
}

fn slot(f: &Facts) -> Value {
    let Some(s) = &f.slot else { return Value::Null };
    let exhausted = f.exhausted_in();
    json!({
        "name": s.name, "active": s.active_pid.is_some(), "wal_status": s.wal_status.word(),
        "retained_wal_bytes": s.retained, "confirmed_lag_bytes": s.confirmed_lag, "safe_wal_bytes": s.safe,
        "wal_bytes_per_second": f.wal.rate().map(tenths),
        "exhausted_in_seconds": exhausted.map(f64::round),
        // Beyond a year it is no date that anybody plans with.
        "exhausted_at": exhausted.filter(|s| *s < 31_536_000.0).map(|l| time(s.at + (l * 1000.0) as i64)),
        "looked_at": time(s.at),
    })
}

fn transform(t: &TopicStatus, dead_letters: u64, now: i64) -> Value {
    let [upserts, tombstones] = t.minute.since(now, [t.upserts, t.tombstones]);
    let of_kind = |event: bool, n: u64| if t.event == event { n } else { 0 };
    json!({
        "topic": t.topic, "state": t.state,
        "tables": t.sources.iter().map(|(table, _)| table).collect::<Vec<_>>(),
        "sources": t.sources.iter().map(|(table, columns)| json!({ "table": table, "columns": columns })).collect::<Vec<_>>(),
        "contract": { "subject": format!("{}-value", t.topic), "version": t.schema_version, "schema_id": t.schema_id },
        "events": t.event.then_some(t.upserts),
        "upserts": of_kind(false, t.upserts), "tombstones": t.tombstones,
        "upserts_per_minute": of_kind(false, upserts), "tombstones_per_minute": tombstones,
        "events_per_minute": of_kind(true, upserts),
        "evaluations": t.evaluations, "suppressed": t.suppressed, "errors": t.errors,
        "quarantined_keys": t.held, "dead_letters": dead_letters,
        "reconcile_keys_remaining": t.remaining, "reconcile_keys": t.to_reconcile,
        "last_record": t.last_record.map(time),
    })
}

fn tenths(n: f64) -> f64 {
    (n * 10.0).round() / 10.0
}

/// From milliseconds since 1970.
pub fn time(ms: i64) -> String {
    rfc3339(ms.saturating_mul(1000).saturating_sub(clock::POSTGRES_EPOCH_MICROS))
}
