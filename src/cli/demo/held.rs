//! What a topic holds, folded and decoded, and how it differs from rows of PostgreSQL's answer.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::encode::avro::{Avro, Record};
use crate::encode::contract::read_schema;
use crate::encode::plain_json;
use crate::encode::wire::unframe;
use crate::testing::answer;

use super::error::DemoError;

/// Keys are shown as plain JSON.
#[derive(Debug, PartialEq, Eq)]
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
    /// The record is not what its schema says, or stands beside another of the same key.
    Unreadable {
        key: String,
        why: String,
    },
}

/// The last value per key, in bytes; of an event topic every value, by the event's id.
#[derive(Default)]
pub struct Held {
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// Of the first event that came again.
    again: Option<String>,
}

/// The same by the text of the key's plain JSON, or by the id; what was compared is taken out.
pub struct ByKey {
    values: HashMap<String, Vec<u8>>,
    by: By,
}

enum By {
    /// None: the topic holds nothing.
    Key(Option<Arc<Record>>),
    /// The column of the answer.
    Id(String),
}

/// Schemas by the ids in records, each asked for once.
pub struct Schemas<F> {
    look_up: F,
    known: HashMap<u32, Avro>,
}

impl Held {
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.values.insert(key.to_vec(), value.to_vec()),
            None => self.values.remove(key),
        };
    }

    pub fn take_event(&mut self, id: &[u8], value: &[u8]) {
        if self.values.insert(id.to_vec(), value.to_vec()).is_some() {
            self.again.get_or_insert_with(|| String::from_utf8_lossy(id).into_owned());
        }
    }

    /// `column`: where the answer has the event's id.
    pub fn by_id(self, column: &str) -> Result<ByKey, Difference> {
        match self.again {
            Some(key) => Err(Difference::Unreadable { key, why: "the event is there twice".to_owned() }),
            None => {
                let text = |(id, value): (Vec<u8>, Vec<u8>)| (String::from_utf8_lossy(&id).into_owned(), value);
                Ok(ByKey { values: self.values.into_iter().map(text).collect(), by: By::Id(column.to_owned()) })
            }
        }
    }

    pub fn by_key<F>(self, schemas: &mut Schemas<F>) -> Result<Result<ByKey, Difference>, DemoError>
    where
        F: FnMut(u32) -> Result<String, DemoError>,
    {
        let (mut values, mut of_keys) = (HashMap::with_capacity(self.values.len()), None);
        for (key, value) in self.values {
            let text = match schemas.plain(&key)? {
                Ok((text, record)) => {
                    of_keys.get_or_insert(record);
                    text.to_string()
                }
                Err(why) => return Ok(Err(Difference::Unreadable { key: format!("{key:02x?}"), why })),
            };
            if values.insert(text.clone(), value).is_some() {
                let why = "it is there twice, under different bytes".to_owned();
                return Ok(Err(Difference::Unreadable { key: text, why }));
            }
        }
        Ok(Ok(ByKey { values, by: By::Key(of_keys) }))
    }
}

impl ByKey {
    /// Compares the record of a row's key with the row, as `to_jsonb` gives it.
    pub fn row<F>(&mut self, answer: &str, schemas: &mut Schemas<F>) -> Result<Option<Difference>, DemoError>
    where
        F: FnMut(u32) -> Result<String, DemoError>,
    {
        let key = match &self.by {
            By::Key(None) => answer.to_owned(),
            By::Key(Some(record)) => answer::record(record, answer).to_string(),
            By::Id(column) => match serde_json::from_str::<Value>(answer).unwrap_or_default().get_mut(column) {
                Some(Value::String(id)) => std::mem::take(id),
                id => id.map_or_else(|| answer.to_owned(), |id| id.to_string()),
            },
        };
        let Some(value) = self.values.remove(&key) else { return Ok(Some(Difference::Missing { key })) };
        Ok(match schemas.plain(&value)? {
            Err(why) => Some(Difference::Unreadable { key, why }),
            Ok((value, record)) => answer::difference("", &value, &answer::record(&record, answer))
                .map(|(path, topic, answer)| Difference::Field { key, path, topic, answer }),
        })
    }

    /// After the last row.
    pub fn left(self) -> Option<Difference> {
        self.values.into_keys().min().map(|key| Difference::Extra { key })
    }
}

impl<F: FnMut(u32) -> Result<String, DemoError>> Schemas<F> {
    pub fn new(look_up: F) -> Schemas<F> {
        Schemas { look_up, known: HashMap::new() }
    }

    /// A framed record by its own schema; what does not fit comes back in words.
    fn plain(&mut self, framed: &[u8]) -> Result<Result<(Value, Arc<Record>), String>, DemoError> {
        let (id, body) = match unframe(framed) {
            Ok(parts) => parts,
            Err(e) => return Ok(Err(e.to_string())),
        };
        if !self.known.contains_key(&id) {
            match read_schema(&(self.look_up)(id)?) {
                Ok(schema) => drop(self.known.insert(id, schema)),
                Err(e) => return Ok(Err(format!("schema {id}: {e}"))),
            }
        }
        let Some(Avro::Record(record)) = self.known.get(&id) else {
            return Ok(Err(format!("schema {id} is no record")));
        };
        Ok(plain_json::record(record, body).map(|value| (value, record.clone())).map_err(|e| e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schema 1: the key `{"id": long}`; schema 2: `{"id": long, "name": string}`.
    fn schema(id: u32) -> Result<String, DemoError> {
        let name = if id == 1 { "" } else { r#", {"name": "name", "type": "string"}"# };
        Ok(format!(r#"{{"type": "record", "name": "R{id}", "fields": [{{"name": "id", "type": "long"}}{name}]}}"#))
    }

    fn key(id: u8) -> Vec<u8> {
        vec![0, 0, 0, 0, 1, id << 1]
    }

    fn value(id: u8, name: &str) -> Vec<u8> {
        [&[0, 0, 0, 0, 2, id << 1, (name.len() as u8) << 1], name.as_bytes()].concat()
    }

    fn check(records: &[(Vec<u8>, Option<Vec<u8>>)], rows: &[&str], expected: Option<Difference>) {
        let mut held = Held::default();
        records.iter().for_each(|(k, v)| held.take(k, v.as_deref()));
        let mut schemas = Schemas::new(schema);
        let found = match held.by_key(&mut schemas).unwrap() {
            Err(difference) => Some(difference),
            Ok(mut by_key) => {
                let found = rows.iter().find_map(|row| by_key.row(row, &mut schemas).unwrap());
                found.or_else(|| by_key.left())
            }
        };
        assert_eq!(found, expected, "{records:?} {rows:?}");
    }

    #[test]
    fn equal_and_each_way_to_differ() {
        let a = (key(1), Some(value(1, "a")));
        let b = (key(2), Some(value(2, "b")));
        let rows = [r#"{"id": 1, "name": "a"}"#, r#"{"id": 2, "name": "b"}"#];
        let shown = |id: u8| format!(r#"{{"id":{id}}}"#);
        check(&[], &[], None);
        check(&[a.clone(), b.clone()], &rows, None);
        // The last record of a key counts, and a tombstone is none.
        check(&[(key(1), Some(value(1, "x"))), a.clone(), b.clone()], &rows, None);
        check(&[a.clone(), b.clone(), (key(2), None)], &rows[..1], None);
        check(std::slice::from_ref(&a), &rows, Some(Difference::Missing { key: shown(2) }));
        check(&[], &rows, Some(Difference::Missing { key: rows[0].to_owned() }));
        check(&[a.clone(), b.clone()], &rows[..1], Some(Difference::Extra { key: shown(2) }));
        let other =
            Difference::Field { key: shown(2), path: "name".into(), topic: "\"c\"".into(), answer: "\"b\"".into() };
        check(&[a.clone(), (key(2), Some(value(2, "c")))], &rows, Some(other));
        let short = [a.clone(), (key(2), Some(vec![0, 0, 0, 0, 2, 4]))];
        let mut held = Held::default();
        short.iter().for_each(|(k, v)| held.take(k, v.as_deref()));
        let mut schemas = Schemas::new(schema);
        let Ok(mut by_key) = held.by_key(&mut schemas).unwrap() else { panic!("keys can be read") };
        assert!(matches!(by_key.row(rows[1], &mut schemas).unwrap(), Some(Difference::Unreadable { .. })));
    }

    #[test]
    fn events_are_compared_one_by_one() {
        let found = |events: &[(&str, &str)], rows: &[&str]| {
            let mut held = Held::default();
            events.iter().for_each(|(id, name)| held.take_event(id.as_bytes(), &value(1, name)));
            let mut by_id = match held.by_id("event_id") {
                Ok(by_id) => by_id,
                Err(difference) => return Some(difference),
            };
            let mut schemas = Schemas::new(schema);
            let found = rows.iter().find_map(|row| by_id.row(row, &mut schemas).unwrap());
            found.or_else(|| by_id.left())
        };
        // Two events of one key, with ids of two types.
        let rows = [r#"{"id": 1, "name": "a", "event_id": "x"}"#, r#"{"id": 1, "name": "b", "event_id": 7}"#];
        assert_eq!(found(&[("x", "a"), ("7", "b")], &rows), None);
        assert_eq!(found(&[("x", "a")], &rows), Some(Difference::Missing { key: "7".into() }));
        assert_eq!(found(&[("x", "a"), ("7", "b"), ("y", "b")], &rows), Some(Difference::Extra { key: "y".into() }));
        let again = found(&[("x", "a"), ("7", "b"), ("x", "a")], &rows);
        assert_eq!(again, Some(Difference::Unreadable { key: "x".into(), why: "the event is there twice".into() }));
        assert!(matches!(found(&[("x", "b"), ("7", "b")], &rows), Some(Difference::Field { .. })));
    }
}
