//! The ten things that are looked at, each by a function of its own over [`Facts`]; always all, always in this order.
//!
//! A runbook is named like the alert that sends people here: `docs/runbooks/NAME.md`.

use crate::metrics::{BridgeState, WalStatus};
use crate::runtime::failure::Exit;

use super::facts::{Facts, Problem, Side, SlotLook};
use super::words::{age, bytes, duration, of, sentence};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    Warning,
    Critical,
    /// It cannot be told now.
    Unknown,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Critical => "critical",
            State::Unknown => "unknown",
        }
    }
}

/// What a check says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub state: State,
    pub message: String,
    /// Milliseconds since 1970; None: since it was first seen.
    pub since: Option<i64>,
    pub remedy: Option<String>,
    pub runbook: Option<&'static str>,
}

pub struct Check {
    pub name: &'static str,
    pub title: &'static str,
    pub look: fn(&Facts, i64) -> Answer,
}

pub const CHECKS: [Check; 10] = [
    Check { name: "source", title: "PostgreSQL", look: source },
    Check { name: "kafka", title: "Kafka", look: kafka },
    Check { name: "slot", title: "Replication slot", look: slot },
    Check { name: "wal_budget", title: "WAL budget", look: wal_budget },
    Check { name: "progress", title: "Progress", look: progress },
    Check { name: "latency", title: "Latency", look: latency },
    Check { name: "transforms", title: "Transforms", look: transforms },
    Check { name: "dead_letters", title: "Dead letters", look: dead_letters },
    Check { name: "schema", title: "Schema", look: schema },
    Check { name: "state_disk", title: "State disk", look: state_disk },
];

/// A keepalive comes at least every half `wal_sender_timeout`, which is 60 s.
const SILENT_S: f64 = 60.0;
/// The slot is looked at every five seconds; a look that is older than this is of another time.
const SLOT_LOOK_S: f64 = 60.0;
/// Kafka takes a transaction within milliseconds; the emitter gives up after a minute.
pub const KAFKA_SLOW_S: f64 = 10.0;
const KAFKA_AWAY_S: f64 = 60.0;
/// An idle position is progress after 16 s at the latest.
pub const BEHIND_S: f64 = 60.0;
const FAR_BEHIND_S: f64 = 300.0;
const LATE_S: f64 = 10.0;
const VERY_LATE_S: f64 = 60.0;
/// As the alerts have it by default.
const BUDGET_LOW: f64 = 0.2;
const BUDGET_CRITICAL: f64 = 0.05;
pub const SOON_S: f64 = 4.0 * 3600.0;
const VERY_SOON_S: f64 = 1800.0;
const RECENT_ERROR_S: f64 = 600.0;
const DISK_LOW: f64 = 0.1;
/// A large volume has enough with a small share.
const DISK_ENOUGH: u64 = 5_000_000_000;
const DISK_CRITICAL: u64 = 64_000_000;

pub fn seconds(from_ms: i64, now: i64) -> f64 {
    (now - from_ms).max(0) as f64 / 1000.0
}

fn ok(message: impl Into<String>) -> Answer {
    Answer { state: State::Ok, message: message.into(), since: None, remedy: None, runbook: None }
}

fn unknown(message: impl Into<String>) -> Answer {
    Answer { state: State::Unknown, ..ok(message) }
}

fn bad(state: State, message: impl Into<String>, remedy: &str, runbook: &'static str) -> Answer {
    let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
    Answer { state, remedy, runbook: Some(runbook), ..ok(message) }
}

/// The problem itself, where it is of this side.
fn trouble(f: &Facts, sides: &[Side], runbook: &'static str) -> Option<Answer> {
    let p: &Problem = f.problem.as_ref().filter(|p| sides.contains(&p.side))?;
    let help = p.help.as_deref().unwrap_or_default();
    Some(Answer { since: Some(p.since), ..bad(State::Critical, sentence(&p.message), help, runbook) })
}

/// Nothing can be expected of the stream yet.
fn on_the_way(f: &Facts) -> Option<&'static str> {
    match f.state {
        Some(BridgeState::Starting) | None => Some("the bridge is starting"),
        Some(BridgeState::WaitingSlot) => Some("the slot is waited for"),
        Some(BridgeState::Snapshot) => Some("a load is under way"),
        _ => None,
    }
}

fn stopped(f: &Facts) -> bool {
    f.state == Some(BridgeState::Failed)
}

fn fenced(f: &Facts) -> bool {
    f.final_exit() == Some(Exit::Fenced)
}

fn source(f: &Facts, now: i64) -> Answer {
    if let Some(answer) = trouble(f, &[Side::Source], "PgspineNotStreaming") {
        return answer;
    }
    if stopped(f) {
        return Answer {
            since: Some(f.since),
            ..bad(State::Warning, "not read: the bridge has stopped", "", "PgspineNotStreaming")
        };
    }
    match (f.state, f.heard.map(|at| seconds(at, now))) {
        (Some(BridgeState::Snapshot), _) => ok("a load is reading"),
        (Some(BridgeState::Streaming | BridgeState::Paused | BridgeState::Draining), Some(s)) if s >= SILENT_S => {
            let said = format!("connected, but nothing was heard for {}", age(s));
            bad(
                State::Warning,
                said,
                "look at the network between the two, and at pg_stat_replication",
                "PgspineNotStreaming",
            )
        }
        (Some(BridgeState::Streaming | BridgeState::Paused | BridgeState::Draining), Some(s)) => {
            ok(format!("connected, last heard {} ago", age(s)))
        }
        (Some(BridgeState::Streaming), None) => ok("connected"),
        _ => unknown("not connected yet"),
    }
}

fn kafka(f: &Facts, now: i64) -> Answer {
    if fenced(f) {
        let help = f.problem.as_ref().and_then(|p| p.help.as_deref()).unwrap_or_default();
        return Answer {
            since: Some(f.since),
            ..bad(State::Critical, "fenced: another instance is the owner", help, "PgspineFenced")
        };
    }
    if let Some(answer) = trouble(f, &[Side::Kafka, Side::Registry], "PgspineNotStreaming") {
        return answer;
    }
    let owed = f.kafka_owes_since.map(|since| (since, seconds(since, now)));
    if let Some((since, s)) = owed.filter(|(_, s)| *s >= KAFKA_SLOW_S) {
        let state = if s >= KAFKA_AWAY_S { State::Critical } else { State::Warning };
        let said = format!("a transaction has waited {} for an answer", age(s));
        return Answer {
            since: Some(since),
            ..bad(state, said, "look at the brokers and at their log", "PgspineKafkaAborts")
        };
    }
    match f.last_commit {
        Some(at) => ok(format!("the last transaction was committed {} ago", age(seconds(at, now)))),
        None if f.generation > 0 => ok("the producer is initialised"),
        None => unknown("not asked yet"),
    }
}

const MAKE_ANEW: &str = "let the gap be reconciled (the problem names the word), and raise max_slot_wal_keep_size";

fn slot(f: &Facts, now: i64) -> Answer {
    if let Some(answer) = trouble(f, &[Side::Slot], "PgspineSlotLost") {
        return answer;
    }
    let Some(s) = &f.slot else { return unknown("not looked at yet") };
    let name = &s.name;
    if s.wal_status == WalStatus::Lost {
        let why = s.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
        return bad(State::Critical, format!("{name} is lost{why}"), MAKE_ANEW, "PgspineSlotLost");
    }
    if let Some(old) = stale(s, now) {
        return unknown(old);
    }
    if s.wal_status == WalStatus::Unreserved {
        let said = format!("{name} is unreserved: the next checkpoint may remove its WAL");
        return bad(State::Critical, said, RAISE, "PgspineSlotUnreserved");
    }
    match (f.state, s.active_pid) {
        (_, Some(pid)) if fenced(f) => bad(
            State::Warning,
            format!("{name} is active for PID {pid}, which is not this process"),
            "",
            "PgspineFenced",
        ),
        (Some(BridgeState::WaitingSlot | BridgeState::Starting), Some(pid)) => {
            let said = format!("{name} is active for PID {pid}");
            bad(
                State::Warning,
                said,
                "end the other reader; a connection that died is freed after wal_sender_timeout",
                "PgspineSlotInactive",
            )
        }
        (_, None) if on_the_way(f).is_some() && f.problem.is_none() => {
            ok(format!("{name} is not read yet, its WAL is {}", s.wal_status.word()))
        }
        // The look is from before it was taken.
        (Some(BridgeState::Streaming), None) if s.at < f.since => ok(format!("{name} is taken")),
        (_, None) => bad(State::Warning, format!("{name} is held by nobody"), "", "PgspineSlotInactive"),
        (_, Some(_)) => ok(format!("{name} is held, its WAL is {}", s.wal_status.word())),
    }
}

const RAISE: &str = "bring the bridge to stream again, or raise max_slot_wal_keep_size (a reload is enough)";

fn stale(s: &SlotLook, now: i64) -> Option<String> {
    let old = seconds(s.at, now);
    (old >= SLOT_LOOK_S).then(|| format!("last looked at {} ago", age(old)))
}

/// How much of what the slot may hold is still free: 0 to 1.
fn budget_left(s: &SlotLook) -> Option<f64> {
    let safe = s.safe?.max(0) as f64;
    Some(safe / (safe + s.retained as f64).max(1.0))
}

fn wal_budget(f: &Facts, now: i64) -> Answer {
    let Some(s) = &f.slot else { return unknown("not looked at yet") };
    if s.wal_status == WalStatus::Lost {
        return bad(State::Critical, "used up: the slot is lost", MAKE_ANEW, "PgspineSlotLost");
    }
    if let Some(old) = stale(s, now) {
        return unknown(old);
    }
    let held = format!("{} of WAL held for the slot", bytes(s.retained));
    let (Some(safe), Some(left)) = (s.safe, budget_left(s)) else {
        return ok(format!("{held}, without a limit: the disk is the limit"));
    };
    if safe <= 0 || s.wal_status == WalStatus::Unreserved {
        return bad(
            State::Critical,
            format!("{held}, nothing left: the slot may be lost at any checkpoint"),
            RAISE,
            "PgspineSlotUnreserved",
        );
    }
    let lasts = f.exhausted_in();
    let rate = f.wal.rate().unwrap_or_default() as u64;
    let until = lasts.map_or(String::new(), |l| format!(": {} at {}/s", duration(l), bytes(rate)));
    let said = format!("{held}, {} left{until}", bytes(safe.max(0) as u64));
    // A slot that moves on gives its WAL back: the deadline is one only where it stands.
    let lasts = lasts.filter(|_| !flows(f, now));
    match (left, lasts) {
        (left, _) if left < BUDGET_CRITICAL => bad(State::Critical, said, RAISE, "PgspineWalBudgetLow"),
        (_, Some(l)) if l < VERY_SOON_S => bad(State::Critical, said, RAISE, "PgspineWalExhaustedSoon"),
        (left, _) if left < BUDGET_LOW => bad(State::Warning, said, RAISE, "PgspineWalBudgetLow"),
        (_, Some(l)) if l < SOON_S => bad(State::Warning, said, RAISE, "PgspineWalExhaustedSoon"),
        _ => ok(said),
    }
}

/// How long what is written waits to be in Kafka.
pub fn behind(f: &Facts) -> Option<f64> {
    f.seconds_between(f.wal_end()?, f.emitted.get())
}

/// It streams, and Kafka has what was written lately.
pub fn flows(f: &Facts, now: i64) -> bool {
    f.state == Some(BridgeState::Streaming)
        && behind(f).is_some_and(|s| s < BEHIND_S)
        && f.slot.as_ref().is_some_and(|s| stale(s, now).is_none())
}

fn progress(f: &Facts, now: i64) -> Answer {
    let emitted = f.emitted;
    let idle_ms = f.last_commit.unwrap_or(f.since);
    if stopped(f) {
        let runbook = if fenced(f) { "PgspineFenced" } else { "PgspineStalled" };
        let help = f.problem.as_ref().and_then(|p| p.help.as_deref()).unwrap_or_default();
        return Answer { since: Some(f.since), ..bad(State::Critical, format!("stopped at {emitted}"), help, runbook) };
    }
    if f.paused {
        let said = format!("paused at {emitted}");
        return Answer { since: Some(f.since), ..bad(State::Warning, said, "pgspine resume", "PgspineStalled") };
    }
    if let Some(p) = &f.problem {
        let stands = seconds(idle_ms, now);
        let said = match f.last_commit {
            Some(_) => format!("nothing has reached Kafka for {}", age(stands)),
            None => "nothing has reached Kafka yet".to_owned(),
        };
        let state = if stands >= BEHIND_S { State::Critical } else { State::Warning };
        return Answer {
            since: Some(p.since),
            ..bad(state, said, "see what stands in the way: the other checks", "PgspineStalled")
        };
    }
    if let Some(why) = on_the_way(f) {
        return ok(why);
    }
    let Some(wal) = f.wal_end() else { return unknown("the server's WAL end is not known yet") };
    let distance = bytes(wal.saturating_sub(emitted.get()));
    match behind(f) {
        Some(s) if s >= BEHIND_S => {
            let state = if s >= FAR_BEHIND_S { State::Critical } else { State::Warning };
            let said = format!("{emitted} is in Kafka, {distance} or {} behind the server's WAL end", age(s));
            let runbook = if f.received > f.emitted { "PgspineStalled" } else { "PgspineIdleNotAdvancing" };
            bad(state, said, "a large transaction shows below; else look at CPU, Kafka and the log", runbook)
        }
        _ => ok(format!("{emitted} is in Kafka, {distance} behind the server's WAL end")),
    }
}

fn latency(f: &Facts, now: i64) -> Answer {
    let Some((at, lag)) = f.visible else { return unknown("no commit has reached Kafka yet") };
    let ago = seconds(at, now);
    let said = format!("{} from commit to Kafka", duration(lag));
    let remedy = "look at what it waits for: rate(pgspine_backpressure_seconds_total)";
    match (ago < BEHIND_S, lag) {
        (true, l) if l >= VERY_LATE_S => bad(State::Critical, said, remedy, "PgspineLatencyHigh"),
        (true, l) if l >= LATE_S => bad(State::Warning, said, remedy, "PgspineLatencyHigh"),
        (true, _) => ok(said),
        (false, _) => ok(format!("{said}, at the last commit {} ago", age(ago))),
    }
}

fn transforms(f: &Facts, now: i64) -> Answer {
    if let Some(answer) = trouble(f, &[Side::Row], "PgspineRowErrors") {
        return answer;
    }
    let count = f.live_topics().count() as u64;
    let all = of(count, "transform");
    if stopped(f) {
        return Answer {
            since: Some(f.since),
            ..bad(State::Critical, format!("{all} stopped"), "", "PgspineNotStreaming")
        };
    }
    if count == 0 {
        return unknown("not read yet");
    }
    let errors: u64 = f.live_topics().map(|t| t.errors).sum();
    let worked: Vec<String> =
        f.live_topics().filter(|t| t.state != "live").map(|t| format!("{} is {}", t.transform, t.state)).collect();
    let live = match worked.as_slice() {
        [] => format!("{all} live"),
        [one] => format!("{all}, {one}"),
        many => format!("{all}, {} of them loading or reconciling", many.len()),
    };
    match (errors, f.row_error.map(|at| seconds(at, now))) {
        (0, _) => ok(format!("{live}, no row errors")),
        (n, Some(s)) if s < RECENT_ERROR_S => {
            let said = format!("{live}, {} since the start, the last {} ago", of(n, "row error"), age(s));
            bad(State::Warning, said, "the log and the dead-letter topic name the rows and why", "PgspineRowErrors")
        }
        (n, _) => ok(format!("{live}, {} since the start", of(n, "row error"))),
    }
}

pub const HELD_REMEDY: &str =
    "the dead-letter topic says which and why; a key is free as soon as its row can be published or is gone";

fn dead_letters(f: &Facts, _: i64) -> Answer {
    let letters: u64 = f.topics.iter().filter(|t| t.dead_letter).map(|t| t.upserts).sum();
    let held: Vec<String> = f
        .live_topics()
        .filter(|t| t.held > 0)
        .map(|t| format!("{}: {} held at the last good value", t.transform, of(t.held, "key")))
        .collect();
    if held.is_empty() {
        return ok(match letters {
            0 => "no key is held, no dead letters".to_owned(),
            n => format!("no key is held, {} since the start", of(n, "dead letter")),
        });
    }
    let since = f.live_topics().filter_map(|t| t.held_since).min();
    let said = format!("{}; {} since the start", held.join("; "), of(letters, "dead letter"));
    Answer { since, ..bad(State::Warning, said, HELD_REMEDY, "PgspineQuarantinedKeys") }
}

fn schema(f: &Facts, _: i64) -> Answer {
    if let Some(answer) = trouble(f, &[Side::Schema], "PgspineSchemaDrift") {
        return answer;
    }
    if let Some(((transform, kind), since)) = f.drift.iter().next() {
        let more = if f.drift.len() > 1 { format!(", and {} more", f.drift.len() - 1) } else { String::new() };
        let said = format!("{transform}: a {kind} that it reads has changed{more}");
        return Answer {
            since: Some(*since),
            ..bad(State::Warning, said, "pgspine check --live says what does not fit", "PgspineSchemaDrift")
        };
    }
    match f.topics.is_empty() {
        true => unknown("not looked at yet"),
        false => ok("the tables are as the transforms were planned"),
    }
}

fn state_disk(f: &Facts, _: i64) -> Answer {
    if let Some(answer) = trouble(f, &[Side::State], "PgspineStateDiskLow") {
        return answer;
    }
    let Some((free, all)) = f.disk else { return unknown("not looked at yet") };
    let said = format!("{} of {} free", bytes(free), bytes(all));
    let remedy = "enlarge the volume of [bridge] state_dir";
    if free < DISK_CRITICAL {
        bad(State::Critical, said, remedy, "PgspineStateDiskLow")
    } else if (free as f64) < all as f64 * DISK_LOW && free < DISK_ENOUGH {
        bad(State::Warning, said, remedy, "PgspineStateDiskLow")
    } else {
        ok(said)
    }
}
