//! The verdict: one sentence with cause, effect and deadline.
//!
//! [`RULES`] is the precedence: the first rule that has something to say speaks. What can end for good stands above what
//! passes by itself, what stands in the way above what it brings about, and "all is well" last.

use crate::metrics::{BridgeState, WalStatus};
use crate::runtime::failure::Exit;

use super::checks::{self, BEHIND_S, HELD_REMEDY, KAFKA_SLOW_S, State, seconds};
use super::facts::{Facts, Problem, Side};
use super::words::{age, count, duration, of, sentence};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// Not as always, and nothing to do.
    Notice,
    /// Somebody should look at it today.
    Warning,
    /// Somebody has to act now.
    Critical,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub level: Level,
    pub text: String,
    /// Milliseconds since 1970.
    pub since: i64,
    pub deadline: Option<i64>,
    pub remedy: Option<String>,
    pub runbook: Option<&'static str>,
}

type Rule = fn(&Facts, i64) -> Option<Verdict>;

pub const RULES: [(&str, Rule); 21] = [
    ("another instance is the owner", fenced),
    ("the slot is lost", slot_lost),
    ("stopped for another reason", stopped),
    ("SIGTERM", draining),
    ("PostgreSQL is away", source_away),
    ("Kafka is away", kafka_away),
    ("the registry is away", registry_away),
    ("something else is tried again", retrying),
    ("somebody else reads from the slot", waiting_for_slot),
    ("topics are reconciled", reconciling),
    ("tables are loaded", loading),
    ("starting", starting),
    ("paused", paused),
    ("Kafka does not answer", kafka_silent),
    ("the slot's WAL runs out", wal_low),
    ("the source has changed", drifted),
    ("a large transaction", large_transaction),
    ("what is written does not reach Kafka", stalled),
    ("keys are held", held),
    ("the state's disk is nearly full, or a check warns", warned),
    ("streaming", streaming),
];

pub fn of_facts(f: &Facts, now: i64) -> Verdict {
    let spoken = RULES.iter().find_map(|(_, rule)| rule(f, now));
    spoken.unwrap_or_else(|| say(Level::Notice, f.since, "Starting: nothing is emitted yet"))
}

fn say(level: Level, since: i64, text: impl Into<String>) -> Verdict {
    Verdict { level, text: format!("{}.", text.into()), since, deadline: None, remedy: None, runbook: None }
}

impl Verdict {
    fn remedy(mut self, remedy: Option<&str>, runbook: &'static str) -> Verdict {
        self.remedy = remedy.map(str::to_owned);
        self.runbook = Some(runbook);
        self
    }

    /// Nothing is confirmed meanwhile: how long the WAL lasts, and a higher level where that is not long.
    fn while_wal_lasts(mut self, f: &Facts, now: i64) -> Verdict {
        let Some(slot) = &f.slot else { return self };
        if let Some(lasts) = f.exhausted_in() {
            // What the server has written since the look is not known; that the time has passed is.
            let left = (lasts - seconds(slot.at, now)).max(0.0);
            self.text.push_str(&format!(" WAL lasts {} at this rate.", duration(left)));
            self.deadline = Some(slot.at + (lasts * 1000.0) as i64);
            self.level = match left {
                l if l < checks::SOON_S / 4.0 => self.level.max(Level::Critical),
                l if l < checks::SOON_S => self.level.max(Level::Warning),
                _ => self.level,
            };
        } else if slot.wal_status == WalStatus::Unreserved {
            self.text.push_str(" The slot may be lost at any checkpoint.");
            self.level = Level::Critical;
        }
        self
    }
}

fn failed(f: &Facts) -> Option<&Problem> {
    f.problem.as_ref().filter(|p| p.exit.is_some() && f.state == Some(BridgeState::Failed))
}

fn tried(f: &Facts, side: Side) -> Option<&Problem> {
    f.problem.as_ref().filter(|p| p.exit.is_none() && p.side == side)
}

fn ago(since: i64, now: i64) -> String {
    match seconds(since, now) {
        s if s < 1.0 => "just now".to_owned(),
        s => format!("{} ago", age(s)),
    }
}

fn fenced(f: &Facts, now: i64) -> Option<Verdict> {
    let p = failed(f).filter(|p| p.exit == Some(Exit::Fenced))?;
    let text = format!(
        "Fenced {}: another instance of {} has taken over, and this one writes nothing any more",
        ago(p.since, now),
        f.bridge
    );
    Some(say(Level::Critical, p.since, text).remedy(p.help.as_deref(), "PgspineFenced"))
}

fn slot_lost(f: &Facts, now: i64) -> Option<Verdict> {
    let slot = f.slot.as_ref().filter(|s| s.wal_status == WalStatus::Lost);
    let problem = f.problem.as_ref().filter(|p| p.side == Side::Slot);
    let stop = failed(f).filter(|p| p.exit == Some(Exit::Gap));
    let effect = "no change reaches the topics until a person lets them be reconciled";
    let (since, text) = match (slot, stop, problem) {
        (_, Some(p), _) => (p.since, format!("Stopped {}: {}; {effect}", ago(p.since, now), sentence(&p.message))),
        (Some(s), ..) => {
            let why = s.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
            (f.since, format!("Slot {} is lost{why}: {effect}", s.name))
        }
        (None, None, Some(p)) => (p.since, format!("{}: {effect}", capital(sentence(&p.message)))),
        (None, None, None) => return None,
    };
    let remedy = stop.or(problem).and_then(|p| p.help.as_deref());
    Some(say(Level::Critical, since, text).remedy(remedy, "PgspineSlotLost"))
}

fn stopped(f: &Facts, now: i64) -> Option<Verdict> {
    let p = failed(f)?;
    let runbook = match p.side {
        Side::Schema => "PgspineSchemaDrift",
        Side::Row => "PgspineRowErrors",
        Side::State => "PgspineStateDiskLow",
        _ => "PgspineNotStreaming",
    };
    let whose = match (p.side, f.drift.keys().next()) {
        (Side::Schema, Some((transform, _))) => format!("transform {transform}, "),
        _ => String::new(),
    };
    let text = format!("Stopped {}: {whose}{}", ago(p.since, now), sentence(&p.message));
    Some(say(Level::Critical, p.since, text).remedy(p.help.as_deref(), runbook).while_wal_lasts(f, now))
}

fn draining(f: &Facts, _: i64) -> Option<Verdict> {
    (f.state == Some(BridgeState::Draining)).then(|| {
        say(
            Level::Notice,
            f.since,
            "Ending: what was taken goes to Kafka, then the slot is told; the next start goes on from there",
        )
    })
}

fn away(f: &Facts, now: i64, side: Side, who: &str, effect: &str) -> Option<Verdict> {
    let p = tried(f, side)?;
    let text =
        format!("{who} for {}: {effect}, and it is tried again ({})", age(seconds(p.since, now)), sentence(&p.message));
    // A restart of the other side takes less than a minute.
    let level = if seconds(p.since, now) < 60.0 { Level::Warning } else { Level::Critical };
    Some(say(level, p.since, text).remedy(p.help.as_deref(), "PgspineNotStreaming"))
}

fn source_away(f: &Facts, now: i64) -> Option<Verdict> {
    away(f, now, Side::Source, "PostgreSQL has been away", "nothing is read")
}

fn kafka_away(f: &Facts, now: i64) -> Option<Verdict> {
    Some(away(f, now, Side::Kafka, "Kafka has been away", "nothing is emitted")?.while_wal_lasts(f, now))
}

fn registry_away(f: &Facts, now: i64) -> Option<Verdict> {
    Some(
        away(f, now, Side::Registry, "The schema registry has been away", "nothing is emitted")?
            .while_wal_lasts(f, now),
    )
}

fn retrying(f: &Facts, now: i64) -> Option<Verdict> {
    let p = f.problem.as_ref().filter(|p| p.exit.is_none())?;
    let text = format!(
        "{} (for {}): nothing is emitted, and it is tried again",
        capital(sentence(&p.message)),
        age(seconds(p.since, now))
    );
    let runbook = if p.side == Side::State { "PgspineStateDiskLow" } else { "PgspineNotStreaming" };
    let level = if seconds(p.since, now) < 60.0 && p.side != Side::State { Level::Warning } else { Level::Critical };
    Some(say(level, p.since, text).remedy(p.help.as_deref(), runbook).while_wal_lasts(f, now))
}

fn waiting_for_slot(f: &Facts, now: i64) -> Option<Verdict> {
    if f.state != Some(BridgeState::WaitingSlot) {
        return None;
    }
    let waited = seconds(f.since, now);
    let level = if waited < 60.0 { Level::Notice } else { Level::Warning };
    let (who, remedy) = match f.slot_waits_for {
        Some(pid) => (
            format!("it is active for PID {pid}"),
            Some("end the other reader; a connection that died is freed after wal_sender_timeout"),
        ),
        None => ("it is made or taken, which waits for older transactions".to_owned(), None),
    };
    let text = format!("Waiting for the slot for {}: {who}; nothing is emitted yet", age(waited));
    let spoken = say(level, f.since, text).while_wal_lasts(f, now);
    Some(Verdict { remedy: remedy.map(str::to_owned), runbook: remedy.map(|_| "PgspineSlotInactive"), ..spoken })
}

fn loading(f: &Facts, now: i64) -> Option<Verdict> {
    if f.state != Some(BridgeState::Snapshot) {
        return None;
    }
    let begun = age(seconds(f.since, now));
    let text = match &f.loading {
        None => format!("Loading for {begun}: tables are read, nothing is emitted yet"),
        Some(l) => {
            let of = l.estimate.map_or(String::new(), |n| format!(" of about {}", count(n)));
            let left = eta(f, now).map_or(String::new(), |(_, left)| format!(", {} left for it", duration(left)));
            let tables = match f.tables_remaining.saturating_sub(1) {
                0 => String::new(),
                n => format!("; {} to come", self::of(n, "table")),
            };
            format!("Loading for {begun}: {}, {}{of} rows{left}{tables}", l.table, count(l.rows))
        }
    };
    Some(say(Level::Notice, f.since, text).while_wal_lasts(f, now))
}

/// Rows per second of the table that is loaded, and the seconds that are left for it.
pub fn eta(f: &Facts, now: i64) -> Option<(f64, f64)> {
    let l = f.loading.as_ref()?;
    let rate = l.rows as f64 / seconds(l.since, now).max(0.001);
    let left = l.estimate?.saturating_sub(l.rows) as f64;
    (l.rows > 0).then_some((rate, left / rate))
}

fn starting(f: &Facts, now: i64) -> Option<Verdict> {
    if !matches!(f.state, None | Some(BridgeState::Starting)) {
        return None;
    }
    let asked = age(seconds(f.since, now));
    let text = format!("Starting for {asked}: PostgreSQL, the registry and Kafka are asked, nothing is emitted yet");
    let level = if seconds(f.since, now) < 60.0 { Level::Notice } else { Level::Warning };
    Some(say(level, f.since, text).while_wal_lasts(f, now))
}

fn reconciling(f: &Facts, _: i64) -> Option<Verdict> {
    let first = f.live_topics().find(|t| t.state == "reconciling")?;
    if f.paused || f.loading.is_some() {
        return None;
    }
    let at_it: Vec<_> = f.live_topics().filter(|t| t.state == "reconciling" || t.state == "loading").collect();
    let more =
        if at_it.len() > 1 { format!("; {} to come", of(at_it.len() as u64 - 1, "topic")) } else { String::new() };
    let text = format!(
        "Reconciling {}: {} of {} keys compared{more}",
        first.topic,
        count(first.to_reconcile.saturating_sub(first.remaining)),
        count(first.to_reconcile),
    );
    Some(say(Level::Notice, f.since, text))
}

fn paused(f: &Facts, now: i64) -> Option<Verdict> {
    if !f.paused {
        return None;
    }
    let text = format!("Paused {}: nothing is emitted, and the slot keeps the WAL", ago(f.since, now));
    let spoken = say(Level::Notice, f.since, text).while_wal_lasts(f, now);
    Some(Verdict { remedy: Some("pgspine resume".to_owned()), ..spoken })
}

fn kafka_silent(f: &Facts, now: i64) -> Option<Verdict> {
    let since = f.kafka_owes_since.filter(|since| seconds(*since, now) >= KAFKA_SLOW_S)?;
    let text = format!(
        "Kafka has not answered for {}: a transaction waits, and what comes after it",
        age(seconds(since, now))
    );
    Some(
        say(Level::Warning, since, text)
            .remedy(Some("look at the brokers and at their log"), "PgspineKafkaAborts")
            .while_wal_lasts(f, now),
    )
}

/// What a check says, as the verdict of a bridge that streams.
fn but(f: &Facts, now: i64, name: &str) -> Option<Verdict> {
    let check = checks::CHECKS.iter().find(|c| c.name == name)?;
    let answer = (check.look)(f, now);
    let level = match answer.state {
        State::Ok | State::Unknown => return None,
        State::Warning => Level::Warning,
        State::Critical => Level::Critical,
    };
    let spoken = say(
        level,
        answer.since.unwrap_or(f.since),
        format!("Streaming, but {}: {}", check.title, sentence(&answer.message)),
    );
    Some(Verdict { remedy: answer.remedy, runbook: answer.runbook, ..spoken })
}

fn wal_low(f: &Facts, now: i64) -> Option<Verdict> {
    let spoken = but(f, now, "wal_budget").or_else(|| but(f, now, "slot"))?;
    let deadline = f.slot.as_ref().zip(f.exhausted_in()).map(|(s, l)| s.at + (l * 1000.0) as i64);
    Some(Verdict { deadline, ..spoken })
}

fn drifted(f: &Facts, now: i64) -> Option<Verdict> {
    but(f, now, "schema")
}

fn large_transaction(f: &Facts, _: i64) -> Option<Verdict> {
    // Until something has been counted it may be a small one that waits for Kafka.
    let t = f.transaction.as_ref().filter(|t| t.done > 0 || t.of.is_some())?;
    let of = t.of.map_or(String::new(), |n| format!(" of {}", count(n)));
    let parts = if t.parts > 0 { format!(", {} in Kafka", self::of(t.parts.into(), "part")) } else { String::new() };
    let text = format!(
        "Working on a large transaction that ends at {}: {} {}{of}{parts}; later ones wait",
        t.end_lsn,
        t.what,
        count(t.done)
    );
    Some(say(Level::Notice, f.since, text))
}

fn stalled(f: &Facts, now: i64) -> Option<Verdict> {
    let late = checks::behind(f).filter(|s| *s >= BEHIND_S)?;
    let spoken = but(f, now, "progress")?;
    let text = format!("Streaming, but {} behind: what the database commits reaches Kafka late", age(late));
    Some(Verdict { text: format!("{text}."), ..spoken }.while_wal_lasts(f, now))
}

fn held(f: &Facts, now: i64) -> Option<Verdict> {
    let keys: u64 = f.live_topics().map(|t| t.held).sum();
    let first = f.live_topics().find(|t| t.held > 0)?;
    let since = f.live_topics().filter_map(|t| t.held_since).min().unwrap_or(f.since);
    let others = f.live_topics().filter(|t| t.held > 0).count() as u64 - 1;
    let and = if others > 0 { format!(" and {}", of(others, "other transform")) } else { String::new() };
    let have = if keys == 1 { "has kept its" } else { "have kept their" };
    let text = format!(
        "Streaming, but {} of {}{and} {have} last good value for {}: the rows cannot be published as they are",
        of(keys, "key"),
        first.transform,
        age(seconds(since, now))
    );
    Some(say(Level::Warning, since, text).remedy(Some(HELD_REMEDY), "PgspineQuarantinedKeys"))
}

fn warned(f: &Facts, now: i64) -> Option<Verdict> {
    ["state_disk", "source", "latency", "transforms"].into_iter().find_map(|name| but(f, now, name))
}

fn streaming(f: &Facts, now: i64) -> Option<Verdict> {
    let live = of(f.live_topics().count() as u64, "transform");
    let records: u64 = f.live_topics().flat_map(|t| t.minute.since(now, [t.upserts, t.tombstones])).sum();
    let text = match (records, f.visible) {
        (0, None) => format!("Streaming: idle, {live} live, nothing was committed since the start"),
        (0, Some((at, _))) => format!("Streaming: idle, {live} live, the last commit was {}", ago(at, now)),
        (n, Some((_, lag))) => {
            format!("Streaming: {} behind, {live} live, {} in the last minute", duration(lag), of(n, "record"))
        }
        (n, None) => format!("Streaming: {live} live, {} in the last minute", of(n, "record")),
    };
    Some(say(Level::Ok, f.since, text))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
