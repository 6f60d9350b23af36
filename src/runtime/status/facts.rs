//! What is known of the bridge, as the stages report it: plain values, from which verdict, checks and document are made.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::lsn::{EndLsn, Lsn};
use crate::metrics::{BridgeState, SchemaDriftKind, WalStatus};
use crate::runtime::failure::Exit;

use super::rates::{Minute, WalHistory};

/// Times are milliseconds since 1970.
#[derive(Clone, Default)]
pub struct Facts {
    pub bridge: String,
    pub version: &'static str,
    pub revision: &'static str,
    pub started: i64,
    /// What the bridge does, or would do were it not paused.
    pub doing: Option<BridgeState>,
    /// What is shown.
    pub state: Option<BridgeState>,
    pub since: i64,
    pub paused: bool,
    pub generation: u64,
    pub received: EndLsn,
    pub emitted: EndLsn,
    pub confirmed: EndLsn,
    pub slot: Option<SlotLook>,
    pub wal: WalHistory,
    /// Whoever holds the slot that is waited for.
    pub slot_waits_for: Option<u32>,
    /// When the source was last heard, by any message.
    pub heard: Option<i64>,
    /// When the newest source commit became visible, and how long that took.
    pub visible: Option<(i64, f64)>,
    pub last_commit: Option<i64>,
    /// Since when a Kafka transaction waits for an answer.
    pub kafka_owes_since: Option<i64>,
    pub problem: Option<Problem>,
    pub loading: Option<Loading>,
    pub tables_remaining: u64,
    pub transaction: Option<Large>,
    /// By `record::TopicId`.
    pub topics: Vec<TopicStatus>,
    /// By transform and kind, since when.
    pub drift: BTreeMap<(String, &'static str), i64>,
    /// When a row last could not become a record.
    pub row_error: Option<i64>,
    /// Free and all bytes where the state lies.
    pub disk: Option<(u64, u64)>,
    pub events: VecDeque<Value>,
}

/// The slot as the server shows it.
#[derive(Clone, Debug)]
pub struct SlotLook {
    pub at: i64,
    pub name: String,
    pub active_pid: Option<u32>,
    pub wal_status: WalStatus,
    pub retained: u64,
    pub confirmed_lag: u64,
    pub safe: Option<i64>,
    pub wal_end: Lsn,
    /// Why it is lost, where the server says it.
    pub reason: Option<String>,
}

/// What stands in the way.
#[derive(Clone, Debug)]
pub struct Problem {
    pub side: Side,
    pub code: String,
    pub message: String,
    pub help: Option<String>,
    pub since: i64,
    /// None: it is tried again.
    pub exit: Option<Exit>,
}

/// Whose trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Kafka,
    Registry,
    Slot,
    Schema,
    Row,
    State,
    Other,
}

#[derive(Clone, Debug)]
pub struct Loading {
    pub table: String,
    pub rows: u64,
    pub estimate: Option<u64>,
    pub since: i64,
}

/// A source transaction that takes long, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Large {
    pub end_lsn: EndLsn,
    pub what: &'static str,
    pub transform: Option<String>,
    pub done: u64,
    /// None: it is not known before the end.
    pub of: Option<u64>,
    /// Parts of it that went to Kafka.
    pub parts: u32,
}

/// One topic that is written to.
#[derive(Clone, Debug, Default)]
pub struct TopicStatus {
    pub transform: String,
    pub topic: String,
    pub dead_letter: bool,
    /// Its records are events.
    pub event: bool,
    pub upserts: u64,
    pub tombstones: u64,
    pub state: &'static str,
    pub remaining: u64,
    /// What `remaining` began with.
    pub to_reconcile: u64,
    /// Tables with the columns that are read.
    pub sources: Vec<(String, Vec<String>)>,
    pub schema_id: u32,
    pub schema_version: Option<u32>,
    pub last_record: Option<i64>,
    pub held: u64,
    pub held_since: Option<i64>,
    pub evaluations: u64,
    pub suppressed: u64,
    pub errors: u64,
    pub minute: Minute,
}

impl Facts {
    /// The server's end of WAL: the stream may have brought more than the last look saw.
    pub fn wal_end(&self) -> Option<u64> {
        self.slot.as_ref().map(|s| s.wal_end.0.max(self.received.get()))
    }

    pub fn final_exit(&self) -> Option<Exit> {
        self.problem.as_ref().and_then(|p| p.exit)
    }

    /// Until the slot's WAL is used up, if nothing more is confirmed.
    pub fn exhausted_in(&self) -> Option<f64> {
        let slot = self.slot.as_ref()?;
        let (safe, rate) = (slot.safe?, self.wal.rate()?);
        // Less than a byte a second: it lasts longer than anybody plans.
        (rate >= 1.0 && slot.wal_status != WalStatus::Lost).then(|| safe.max(0) as f64 / rate)
    }

    /// The topics of transforms, without dead letters.
    pub fn live_topics(&self) -> impl Iterator<Item = &TopicStatus> {
        self.topics.iter().filter(|t| !t.dead_letter)
    }

    pub fn dead_letters(&self, transform: &str) -> u64 {
        self.topics.iter().find(|d| d.dead_letter && d.transform == transform).map_or(0, |d| d.upserts)
    }

    pub fn drifted(&mut self, transform: &str, kind: SchemaDriftKind, now: i64) {
        self.drift.entry((transform.to_owned(), kind.word())).or_insert(now);
    }

    /// Seconds between two positions on the server's line of WAL.
    pub fn seconds_between(&self, ahead: u64, behind: u64) -> Option<f64> {
        if ahead == behind {
            return Some(0.0);
        }
        let (ahead, behind) = (self.wal.written_at(ahead)?, self.wal.written_at(behind)?);
        Some((ahead - behind).max(0) as f64 / 1000.0)
    }
}
