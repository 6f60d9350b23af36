//! The proof: every topic, read back by an ordinary read_committed consumer, against what PostgreSQL answers to its SELECT.
//!
//! The consumer knows what any consumer knows: the topic, and the registry for the schemas whose ids the records carry.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::capture::Connection;
use crate::emit::{self, readback};
use crate::encode::avro::{Avro, Record};
use crate::encode::contract::read_schema;
use crate::encode::plain_json;
use crate::encode::wire::unframe;
use crate::registry::Client;
use crate::transform::source::TransformFile;

use super::compare;
use super::error::DemoError;
use super::interrupt::Interrupt;

/// What came out for one topic.
pub struct Proof {
    pub topic: String,
    /// Records read, tombstones among them.
    pub records: u64,
    /// Keys that are equal.
    pub keys: u64,
    pub difference: Option<Difference>,
}

/// The first one found.
pub enum Difference {
    /// PostgreSQL has it, the topic has not.
    Missing {
        key: String,
    },
    /// The topic has it, PostgreSQL has not.
    Extra {
        key: String,
    },
    Field {
        key: String,
        path: String,
        topic: String,
        answer: String,
    },
    /// The record is not what its schema says.
    Unreadable {
        key: String,
        why: String,
    },
}

/// Rows per round trip.
const FETCH: usize = 2_000;

pub struct Prover<'a> {
    pub consumer: &'a emit::Options,
    pub registry: &'a Client,
    pub interrupt: &'a Interrupt,
    schemas: HashMap<u32, Avro>,
}

impl<'a> Prover<'a> {
    pub fn new(consumer: &'a emit::Options, registry: &'a Client, interrupt: &'a Interrupt) -> Prover<'a> {
        Prover { consumer, registry, interrupt, schemas: HashMap::new() }
    }

    pub fn topic(&mut self, file: &TransformFile, sql: &mut Connection) -> Result<Proof, DemoError> {
        let topic = &file.header.topic;
        let (records, mut live) = self.fold(topic)?;
        let mut proof = Proof { topic: topic.clone(), records, keys: 0, difference: None };
        // All keys of a topic have one schema; their records carry its id.
        let mut key_record = None;
        let mut by_key: HashMap<String, Vec<u8>> = HashMap::with_capacity(live.len());
        for (key, value) in live.drain() {
            let text = match self.plain(&key)? {
                Ok((text, record)) => {
                    key_record.get_or_insert(record);
                    text.to_string()
                }
                Err(why) => return Ok(proof.with(Difference::Unreadable { key: format!("{key:02x?}"), why })),
            };
            by_key.insert(text, value);
        }
        sql.execute(&format!("BEGIN; DECLARE answer NO SCROLL CURSOR FOR {}", as_json(file)))?;
        loop {
            if self.interrupt.insisted() {
                return Err(DemoError::Interrupted);
            }
            let rows = sql.query(&format!("FETCH {FETCH} FROM answer"))?;
            if rows.is_empty() {
                break;
            }
            for row in rows.iter() {
                let answer = row.text("answer")?;
                let key =
                    key_record.as_deref().map_or_else(|| answer.to_owned(), |r| compare::record(r, answer).to_string());
                let Some(value) = by_key.remove(&key) else {
                    sql.execute("ROLLBACK")?;
                    return Ok(proof.with(Difference::Missing { key }));
                };
                let difference = match self.plain(&value)? {
                    Err(why) => Some(Difference::Unreadable { key, why }),
                    Ok((value, record)) => compare::difference("", &value, &compare::record(&record, answer))
                        .map(|(path, topic, answer)| Difference::Field { key, path, topic, answer }),
                };
                if let Some(difference) = difference {
                    sql.execute("ROLLBACK")?;
                    return Ok(proof.with(difference));
                }
                proof.keys += 1;
            }
        }
        sql.execute("COMMIT")?;
        Ok(match by_key.into_keys().min() {
            Some(key) => proof.with(Difference::Extra { key }),
            None => proof,
        })
    }

    /// The last value per key, and how many records there were.
    fn fold(&self, topic: &str) -> Result<(u64, HashMap<Vec<u8>, Vec<u8>>), DemoError> {
        let mut live = HashMap::new();
        let take = |r: readback::Record<'_>| {
            match r.value {
                Some(value) => live.insert(r.key.to_vec(), value.to_vec()),
                None => live.remove(r.key),
            };
            Ok(())
        };
        let reading = readback::read(self.consumer, topic, take, |_| {})?;
        Ok((reading.records, live))
    }

    /// A framed record by its own schema; what does not fit comes back as words.
    fn plain(&mut self, framed: &[u8]) -> Result<Result<(Value, Arc<Record>), String>, DemoError> {
        let (id, body) = match unframe(framed) {
            Ok(parts) => parts,
            Err(e) => return Ok(Err(e.to_string())),
        };
        if !self.schemas.contains_key(&id) {
            match read_schema(&self.registry.schema(id)?) {
                Ok(schema) => drop(self.schemas.insert(id, schema)),
                Err(e) => return Ok(Err(format!("schema {id}: {e}"))),
            }
        }
        let Some(Avro::Record(record)) = self.schemas.get(&id) else {
            return Ok(Err(format!("schema {id} is no record")));
        };
        Ok(plain_json::record(record, body).map(|value| (value, record.clone())).map_err(|e| e.to_string()))
    }
}

impl Proof {
    fn with(self, difference: Difference) -> Proof {
        Proof { difference: Some(difference), ..self }
    }
}

/// The transform's SELECT, each row as one JSON text.
fn as_json(file: &TransformFile) -> String {
    format!("SELECT to_jsonb(t)::text AS answer FROM (\n{}\n) AS t", select(file))
}

/// The statement of the file without its end, so that it can stand within another.
pub fn select(file: &TransformFile) -> &str {
    file.text.trim_end().trim_end_matches(';')
}
