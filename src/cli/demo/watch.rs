//! What happens, drawn while it happens: the load as a bar, then rates, lag and totals.
//!
//! It only looks: at the bridge's own status, at the workload's counters, and at the end of the server's WAL.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::capture::Connection;
use crate::lsn::Lsn;
use crate::runtime::Shared;

use super::error::DemoError;
use super::screen::{Screen, bar, bytes, grouped};
use super::workload::Counters;

/// What the load has to do, counted beforehand.
pub struct Totals {
    /// In the order in which the bridge reads them.
    pub tables: Vec<(String, u64)>,
    /// Records that the load is going to publish, over all topics.
    pub records: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Loading,
    Streaming,
}

pub struct Watch<'a> {
    shared: &'a Shared,
    workload: Arc<Counters>,
    sql: Connection,
    totals: Totals,
    last_drawn: Option<Instant>,
    /// When the end of WAL was where, as far as Kafka does not have it yet.
    ends: VecDeque<(Instant, Lsn)>,
    /// How long the oldest such end had to wait, over about a second.
    lags: VecDeque<(Instant, Duration)>,
    /// The newest samples of the counters, over about a second.
    counters: VecDeque<(Instant, u64, u64)>,
    rows_read: u64,
    phase: Phase,
    now: Look,
}

/// What `/status` says of one.
#[derive(Clone)]
struct OfTopic {
    topic: String,
    state: String,
    /// Of a topic of events; the others are then 0.
    events: Option<u64>,
    upserts: u64,
    tombstones: u64,
}

impl OfTopic {
    fn records(&self) -> u64 {
        self.events.unwrap_or(0) + self.upserts + self.tombstones
    }
}

/// One look at everything.
#[derive(Clone, Default)]
struct Look {
    state: String,
    records: u64,
    transforms: Vec<OfTopic>,
    problem: Option<String>,
    reading: Option<(String, u64)>,
    end: Lsn,
    emitted: Lsn,
    lag: Duration,
}

const TERMINAL_EVERY: Duration = Duration::from_millis(100);
const PLAIN_EVERY: Duration = Duration::from_secs(1);
/// Over how long rates are counted.
const WINDOW: Duration = Duration::from_secs(1);

impl<'a> Watch<'a> {
    pub fn new(shared: &'a Shared, workload: &Arc<Counters>, sql: Connection, totals: Totals) -> Watch<'a> {
        Watch {
            shared,
            workload: Arc::clone(workload),
            sql,
            totals,
            last_drawn: None,
            ends: VecDeque::new(),
            lags: VecDeque::new(),
            counters: VecDeque::new(),
            rows_read: 0,
            phase: Phase::Loading,
            now: Look::default(),
        }
    }

    /// Looks, and draws when it is time; `left` is shown beside the stream.
    pub fn tick(&mut self, screen: &mut Screen, left: Option<Duration>) -> Result<Phase, DemoError> {
        self.look()?;
        let phase = if self.loaded() { Phase::Streaming } else { Phase::Loading };
        if phase != self.phase {
            // What the load did is no rate of the stream.
            self.phase = phase;
            self.counters.drain(..self.counters.len().saturating_sub(1));
        }
        let every = if screen.is_terminal() { TERMINAL_EVERY } else { PLAIN_EVERY };
        if self.last_drawn.is_none_or(|at| at.elapsed() >= every) {
            self.last_drawn = Some(Instant::now());
            self.show(screen, phase, left);
        }
        Ok(phase)
    }

    /// The last look, with the totals.
    pub fn finish(&self, screen: &mut Screen) {
        self.show(screen, Phase::Streaming, None);
        if !screen.is_terminal() {
            self.transforms().iter().for_each(|line| screen.line(line));
        }
    }

    /// Kafka has everything up to here.
    pub fn emitted(&self) -> Lsn {
        self.now.emitted
    }

    pub fn records(&self) -> u64 {
        self.now.records
    }

    /// The end of the server's WAL.
    pub fn end_of_wal(&mut self) -> Result<Lsn, DemoError> {
        Ok(self.sql.query("SELECT pg_current_wal_insert_lsn() AS lsn")?.single()?.parse("lsn")?)
    }

    fn loaded(&self) -> bool {
        self.now.state == "streaming" && self.now.transforms.iter().all(|t| t.state == "live")
    }

    fn look(&mut self) -> Result<(), DemoError> {
        let end = self.end_of_wal()?;
        let now = Instant::now();
        let status = self.shared.status();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let transforms: Vec<_> = status["transforms"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, t)| {
                let count = |name: &str| t[name].as_u64().unwrap_or(0);
                OfTopic {
                    topic: text(&t["topic"]),
                    state: text(&t["state"]),
                    events: t["events"].as_u64(),
                    upserts: count("upserts"),
                    tombstones: count("tombstones"),
                }
            })
            .collect();
        let emitted: Lsn = status["positions"]["emitted"].as_str().and_then(|l| l.parse().ok()).unwrap_or_default();
        self.ends.push_back((now, end));
        // The longest wait that ended now, or that goes on.
        let waited = self.ends.front().map_or(Duration::ZERO, |(at, _)| now.duration_since(*at));
        while self.ends.front().is_some_and(|(_, lsn)| *lsn <= emitted) {
            self.ends.pop_front();
        }
        self.lags.push_back((now, waited));
        while self.lags.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.lags.pop_front();
        }
        let records = transforms.iter().map(OfTopic::records).sum();
        self.counters.push_back((now, self.workload.changes(), records));
        while self.counters.len() > 2 && now.duration_since(self.counters[1].0) > WINDOW {
            self.counters.pop_front();
        }
        self.now = Look {
            state: text(&status["state"]),
            records,
            transforms,
            problem: status["problem"]["message"].as_str().map(str::to_owned),
            reading: status["loading"]["table"]
                .as_str()
                .map(|t| (t.to_owned(), status["loading"]["rows"].as_u64().unwrap_or(0))),
            end,
            emitted,
            lag: self.lags.iter().map(|(_, lag)| *lag).max().unwrap_or_default(),
        };
        if let Some((table, rows)) = &self.now.reading {
            // Tables are read one after the other: those before it are done.
            let before: u64 = self.totals.tables.iter().take_while(|(name, _)| name != table).map(|(_, n)| n).sum();
            self.rows_read = self.rows_read.max(before + rows);
        }
        if records > 0 || self.now.transforms.iter().any(|t| t.state == "reconciling") {
            self.rows_read = self.rows_in_all();
        }
        Ok(())
    }

    fn rows_in_all(&self) -> u64 {
        self.totals.tables.iter().map(|(_, n)| n).sum()
    }

    /// Per second, over the window: changes and records.
    fn rates(&self) -> (u64, u64) {
        let (Some(first), Some(last)) = (self.counters.front(), self.counters.back()) else { return (0, 0) };
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        let rate = |n: u64| if seconds > 0.0 { (n as f64 / seconds).round() as u64 } else { 0 };
        (rate(last.1 - first.1), rate(last.2.saturating_sub(first.2)))
    }

    fn show(&self, screen: &mut Screen, phase: Phase, left: Option<Duration>) {
        let headline = match phase {
            Phase::Loading => self.load(screen.is_terminal()),
            Phase::Streaming => self.stream(left),
        };
        if !screen.is_terminal() {
            screen.line(&headline);
            if let Some(problem) = &self.now.problem {
                screen.line(&format!("trouble  {problem}"));
            }
            return;
        }
        let mut lines = vec![headline];
        lines.extend(self.transforms());
        // Always there, so that the drawing keeps its height.
        lines.push(self.now.problem.as_ref().map_or(String::new(), |p| format!("  trouble: {p}")));
        screen.draw(&lines);
    }

    fn transforms(&self) -> Vec<String> {
        let line = |t: &OfTopic| {
            let counted = match t.events {
                Some(events) => format!("{:>9} events", grouped(events)),
                None => format!("{:>9} upserts {:>7} tombstones", grouped(t.upserts), grouped(t.tombstones)),
            };
            format!("  {:<22} {:<11} {counted}", t.topic, t.state)
        };
        self.now.transforms.iter().map(line).collect()
    }

    fn load(&self, draw: bool) -> String {
        let (rows, of_rows) = (self.rows_read, self.rows_in_all());
        let records = self.now.records.min(self.totals.records);
        let share = (rows + records) as f64 / (of_rows + self.totals.records).max(1) as f64;
        let percent = format!("{:>3.0} %", share * 100.0);
        let (rows, records) = (grouped(rows), grouped(records));
        match (&self.now.reading, self.now.records, draw) {
            // Within 80 columns.
            (_, _, true) if self.rows_read > 0 => {
                format!("load    {} {percent}  {rows} rows read, {records} records published", bar(share, 16))
            }
            (_, _, true) => format!("load    {} {percent}  {}", bar(share, 16), self.now.state.replace('_', " ")),
            (reading, records_now, false) => {
                let what = match (reading, records_now) {
                    (Some((table, _)), 0) => format!("reading {table}"),
                    (_, 0) => self.now.state.replace('_', " "),
                    _ => "publishing".to_owned(),
                };
                let (of_rows, of_records) = (grouped(of_rows), grouped(self.totals.records));
                format!("load    {percent}  {rows} of {of_rows} rows, {records} of {of_records} records  {what}")
            }
        }
    }

    fn stream(&self, left: Option<Duration>) -> String {
        let (changes, records) = self.rates();
        let left = match left {
            Some(left) => format!("{:>4.1} s left", left.as_secs_f64()),
            None => "catching up".to_owned(),
        };
        format!(
            "stream  {left}  {:>6} changes/s  {:>6} records/s  lag {:>8}, {:>4} ms",
            grouped(changes),
            grouped(records),
            bytes(self.now.end.0.saturating_sub(self.now.emitted.0)),
            self.now.lag.as_millis()
        )
    }
}
