//! Progress: what stands in Kafka about how far we are.
//!
//! [`Progress`] is the record under the bridge's name: it is the last record of every Kafka transaction (DESIGN I3),
//! so whatever it covers is committed with it. Its JSON form is fixed by the interface, versioned, and lives in
//! [`json`]; finding the newest one is [`read`]'s.

mod json;
mod read;
mod time;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::lsn::EndLsn;

pub use json::ProgressError;
pub use read::{newest, newest_at_true_end, transforms};
pub use time::{parse_rfc3339, rfc3339};

/// How far the topics are, and what that was computed from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Rises by one with each take-over; the highest owns the bridge.
    pub generation: u64,
    /// One per take-over: a UUID.
    pub instance: String,
    /// Rises when the LSN line is not continued.
    pub epoch: u32,
    /// 0/0: nothing was ever emitted.
    pub end_lsn: EndLsn,
    /// Microseconds since 2000-01-01 of the last covered source transaction; None: there was none yet.
    pub commit_time: Option<i64>,
    pub xid: u32,
    /// Records of the last covered source transaction or reconcile so far: the next `pgspine-seq` of a split one.
    pub seq: u64,
    /// `end_lsn` of the progress record before this one.
    pub prev_lsn: EndLsn,
    pub system_identifier: String,
    pub timeline: u32,
    pub slot: String,
    /// Digest of the definitions and of the evaluator's semantic version.
    pub revision: String,
    pub topics: BTreeMap<String, TopicProgress>,
    pub cursor: Option<Cursor>,
    /// What the catalogue watch compares (DESIGN I9); its shape is the watch's own.
    pub fingerprints: Value,
    /// Fields of the same version that we do not know are written back as they were.
    pub unknown: serde_json::Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicProgress {
    /// Kafka's own id of the topic, base64 as Kafka prints it: a topic deleted and made again has another.
    pub topic_id: Option<String>,
    pub partitions: i32,
    /// None: string keys.
    pub key_schema_id: Option<i32>,
    /// Records committed to it by this bridge so far; counted by the emitter.
    pub records: u64,
    /// Digest of what the records were made by: transform, contract, evaluator.
    pub revision: Option<String>,
    pub unknown: serde_json::Map<String, Value>,
}

/// What is not yet whole at `end_lsn`. A topic under `reconcile` is complete only when its entry is gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cursor {
    /// Of a source transaction that goes out in several Kafka transactions.
    pub transaction: Option<Value>,
    /// By topic.
    pub reconcile: BTreeMap<String, Value>,
}

/// The record under `<bridge>/<topic>`: what the topic was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformRecord {
    pub topic: String,
    pub name: String,
    pub sha256: String,
    pub sql: String,
    pub avsc: String,
}

/// Changes of the progress beside the position, in the order given. They commit with the batch that carries them.
#[derive(Debug, Default, PartialEq)]
pub struct ProgressUpdate {
    pub edits: Vec<Edit>,
}

#[derive(Debug, PartialEq)]
pub enum Edit {
    /// Which database, slot and definitions the positions belong to.
    Source {
        epoch: u32,
        system_identifier: String,
        timeline: u32,
        slot: String,
        revision: String,
    },
    /// Another database or line: `end_lsn` may go back. Otherwise it never does.
    Rebase(EndLsn),
    /// `records` is kept from the entry that is there.
    Topic {
        topic: String,
        progress: TopicProgress,
    },
    ForgetTopic {
        topic: String,
    },
    TransactionCursor(Option<Value>),
    ReconcileCursor {
        topic: String,
        cursor: Option<Value>,
    },
    Fingerprints(Value),
    /// Written as a record of its own.
    Transform(TransformRecord),
    /// A tombstone for `<bridge>/<topic>`.
    ForgetTransform {
        topic: String,
    },
}

impl Progress {
    pub fn from_json(bytes: &[u8]) -> Result<Progress, ProgressError> {
        json::read(bytes)
    }

    pub fn to_json(&self, bridge: &str) -> Vec<u8> {
        json::write(self, bridge)
    }

    /// Whether the topic holds everything up to `end_lsn`.
    pub fn is_complete(&self, topic: &str) -> bool {
        self.topics.contains_key(topic) && self.cursor.as_ref().is_none_or(|c| !c.reconcile.contains_key(topic))
    }

    /// Applies one edit; those that are records of their own do not touch it.
    pub(super) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Source { epoch, system_identifier, timeline, slot, revision } => {
                self.epoch = *epoch;
                self.system_identifier.clone_from(system_identifier);
                self.timeline = *timeline;
                self.slot.clone_from(slot);
                self.revision.clone_from(revision);
            }
            Edit::Rebase(lsn) => self.end_lsn = *lsn,
            Edit::Topic { topic, progress } => {
                let there = self.topics.remove(topic).unwrap_or_default();
                let kept = TopicProgress { records: there.records, unknown: there.unknown, ..progress.clone() };
                self.topics.insert(topic.clone(), kept);
            }
            Edit::ForgetTopic { topic } => {
                self.topics.remove(topic);
            }
            Edit::TransactionCursor(cursor) => self.edit_cursor(|c| c.transaction = cursor.clone()),
            Edit::ReconcileCursor { topic, cursor: Some(cursor) } => self.edit_cursor(|c| {
                c.reconcile.insert(topic.clone(), cursor.clone());
            }),
            Edit::ReconcileCursor { topic, cursor: None } => self.edit_cursor(|c| {
                c.reconcile.remove(topic);
            }),
            Edit::Fingerprints(value) => self.fingerprints = value.clone(),
            Edit::Transform(_) | Edit::ForgetTransform { .. } => {}
        }
    }

    fn edit_cursor(&mut self, edit: impl FnOnce(&mut Cursor)) {
        let mut cursor = self.cursor.take().unwrap_or_default();
        edit(&mut cursor);
        self.cursor = (cursor != Cursor::default()).then_some(cursor);
    }
}

impl TransformRecord {
    pub(super) fn to_json(&self) -> Vec<u8> {
        json::write_transform(self)
    }
}

#[cfg(test)]
mod tests;
