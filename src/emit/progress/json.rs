//! The JSON of the progress topic, version 1, with types of its own: what is written there outlives this program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::{parse_rfc3339, rfc3339};
use super::{Cursor, Progress, TopicProgress, TransformRecord};

const VERSION: u64 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    #[error("version {found} is newer than the {VERSION} that this program knows")]
    Newer { found: u64 },
    #[error("not a progress record")]
    Malformed { source: serde_json::Error },
    #[error("field {field} holds {value:?}")]
    Field { field: &'static str, value: String },
    #[error("a progress record without a value")]
    Empty,
}

#[derive(Serialize, Deserialize)]
struct ProgressJson {
    version: u64,
    #[serde(default)]
    bridge: String,
    instance: String,
    generation: u64,
    epoch: u32,
    end_lsn: String,
    commit_time: Option<String>,
    xid: u32,
    seq: u64,
    prev_lsn: String,
    system_identifier: String,
    timeline: u32,
    slot: String,
    revision: String,
    topics: BTreeMap<String, TopicJson>,
    cursor: Option<CursorJson>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    fingerprints: Value,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct TopicJson {
    topic_id: Option<String>,
    partitions: i32,
    key_schema_id: Option<i32>,
    records: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct CursorJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction: Option<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reconcile: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct TransformJson {
    version: u64,
    name: String,
    sha256: String,
    sql: String,
    avsc: String,
}

/// The version is looked at before anything else: a newer one need not have our fields.
fn check_version(bytes: &[u8]) -> Result<(), ProgressError> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    match serde_json::from_slice::<Version>(bytes) {
        Ok(Version { version: VERSION }) => Ok(()),
        Ok(Version { version: 0 }) => Err(ProgressError::Field { field: "version", value: "0".to_owned() }),
        Ok(Version { version }) => Err(ProgressError::Newer { found: version }),
        Err(source) => Err(ProgressError::Malformed { source }),
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Progress, ProgressError> {
    check_version(bytes)?;
    let j: ProgressJson = serde_json::from_slice(bytes).map_err(|source| ProgressError::Malformed { source })?;
    let lsn = |field, text: String| text.parse().map_err(|_| ProgressError::Field { field, value: text });
    let commit_time = match j.commit_time {
        None => None,
        Some(text) => Some(parse_rfc3339(&text).ok_or(ProgressError::Field { field: "commit_time", value: text })?),
    };
    let topic = |t: TopicJson| TopicProgress {
        topic_id: t.topic_id,
        partitions: t.partitions,
        key_schema_id: t.key_schema_id,
        records: t.records,
        revision: t.revision,
        unknown: t.unknown,
    };
    Ok(Progress {
        generation: j.generation,
        instance: j.instance,
        epoch: j.epoch,
        end_lsn: lsn("end_lsn", j.end_lsn)?,
        commit_time,
        xid: j.xid,
        seq: j.seq,
        prev_lsn: lsn("prev_lsn", j.prev_lsn)?,
        system_identifier: j.system_identifier,
        timeline: j.timeline,
        slot: j.slot,
        revision: j.revision,
        topics: j.topics.into_iter().map(|(name, t)| (name, topic(t))).collect(),
        cursor: j.cursor.map(|c| Cursor { transaction: c.transaction, reconcile: c.reconcile }),
        fingerprints: j.fingerprints,
        unknown: j.unknown,
    })
}

pub(super) fn write(p: &Progress, bridge: &str) -> Vec<u8> {
    let topic = |t: &TopicProgress| TopicJson {
        topic_id: t.topic_id.clone(),
        partitions: t.partitions,
        key_schema_id: t.key_schema_id,
        records: t.records,
        revision: t.revision.clone(),
        unknown: t.unknown.clone(),
    };
    to_vec(&ProgressJson {
        version: VERSION,
        bridge: bridge.to_owned(),
        instance: p.instance.clone(),
        generation: p.generation,
        epoch: p.epoch,
        end_lsn: p.end_lsn.to_string(),
        commit_time: p.commit_time.map(rfc3339),
        xid: p.xid,
        seq: p.seq,
        prev_lsn: p.prev_lsn.to_string(),
        system_identifier: p.system_identifier.clone(),
        timeline: p.timeline,
        slot: p.slot.clone(),
        revision: p.revision.clone(),
        topics: p.topics.iter().map(|(name, t)| (name.clone(), topic(t))).collect(),
        cursor: p
            .cursor
            .as_ref()
            .map(|c| CursorJson { transaction: c.transaction.clone(), reconcile: c.reconcile.clone() }),
        fingerprints: p.fingerprints.clone(),
        unknown: p.unknown.clone(),
    })
}

pub(super) fn read_transform(topic: &str, bytes: &[u8]) -> Result<TransformRecord, ProgressError> {
    check_version(bytes)?;
    let j: TransformJson = serde_json::from_slice(bytes).map_err(|source| ProgressError::Malformed { source })?;
    Ok(TransformRecord { topic: topic.to_owned(), name: j.name, sha256: j.sha256, sql: j.sql, avsc: j.avsc })
}

pub(super) fn write_transform(t: &TransformRecord) -> Vec<u8> {
    to_vec(&TransformJson {
        version: VERSION,
        name: t.name.clone(),
        sha256: t.sha256.clone(),
        sql: t.sql.clone(),
        avsc: t.avsc.clone(),
    })
}

fn to_vec(value: &impl Serialize) -> Vec<u8> {
    // String keys and finite numbers only: there is nothing that JSON could not hold.
    serde_json::to_vec(value).expect("every value here has a JSON form")
}
