//! The proof: every topic, read back by an ordinary read_committed consumer, against what PostgreSQL answers to its SELECT;
//! of events, whose rows the shop never touches again, every record by its id, each exactly once.
//!
//! The consumer knows what any consumer knows: the topic, and the registry for the schemas whose ids the records carry.

use crate::capture::Connection;
use crate::emit::{self, headers, readback};
use crate::registry::Client;
use crate::transform::source::TransformFile;

use super::error::DemoError;
use super::held::{Difference, Held, Schemas};
use super::interrupt::Interrupt;

/// What came out for one topic.
pub struct Proof {
    pub topic: String,
    /// Records read, tombstones among them.
    pub records: u64,
    /// Keys that are equal.
    pub keys: u64,
    /// The first one found.
    pub difference: Option<Difference>,
}

/// Rows per round trip.
const FETCH: usize = 2_000;

pub fn topic(
    consumer: &emit::Options,
    registry: &Client,
    file: &TransformFile,
    sql: &mut Connection,
    interrupt: &Interrupt,
) -> Result<Proof, DemoError> {
    let topic = file.header.topic.clone();
    let event_id = file.header.event_id.as_deref();
    let mut held = Held::default();
    let reading = readback::read(
        consumer,
        &topic,
        |r| {
            match (event_id, r.value) {
                (None, value) => held.take(r.key, value),
                (Some(_), value) => {
                    held.take_event(r.header(headers::EVENT_ID).unwrap_or_default(), value.unwrap_or_default());
                }
            }
            Ok(())
        },
        |_| {},
    )?;
    let mut proof = Proof { topic, records: reading.records, keys: 0, difference: None };
    let mut schemas = Schemas::new(|id| Ok(registry.schema(id)?));
    let by_key = match event_id {
        Some(column) => held.by_id(column),
        None => held.by_key(&mut schemas)?,
    };
    let mut expected = match by_key {
        Ok(by_key) => by_key,
        Err(difference) => return Ok(Proof { difference: Some(difference), ..proof }),
    };
    sql.execute(&format!("BEGIN; DECLARE answer NO SCROLL CURSOR FOR {}", as_json(file)))?;
    'answer: loop {
        if interrupt.insisted() {
            return Err(DemoError::Interrupted);
        }
        let rows = sql.query(&format!("FETCH {FETCH} FROM answer"))?;
        if rows.is_empty() {
            proof.difference = expected.left();
            break;
        }
        for row in rows.iter() {
            proof.difference = expected.row(row.text("answer")?, &mut schemas)?;
            if proof.difference.is_some() {
                break 'answer;
            }
            proof.keys += 1;
        }
    }
    sql.execute("COMMIT")?;
    Ok(proof)
}

/// The transform's SELECT, each row as one JSON text.
fn as_json(file: &TransformFile) -> String {
    format!("SELECT to_jsonb(t)::text AS answer FROM (\n{}\n) AS t", select(file))
}

/// The statement of the file without its end, so that it can stand within another.
pub fn select(file: &TransformFile) -> &str {
    file.text.trim_end().trim_end_matches(';')
}
