//! What a topic holds after all records so far.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::bridge::Made;
use crate::encode::{body_hash, body_of};

/// Of one transform.
#[derive(Default)]
pub struct Fold {
    live: BTreeMap<Vec<u8>, Live>,
    /// Keys, as text, whose row cannot be published: they keep their last good value.
    held: BTreeSet<String>,
}

pub struct Live {
    pub key: Value,
    pub value: Value,
    hash: u128,
}

impl Fold {
    pub fn take(&mut self, made: &Made) {
        let text = made.key.to_string();
        if made.letter.is_some() {
            self.held.insert(text);
            return;
        }
        self.held.remove(&text);
        match (&made.value, &made.framed) {
            (Some(value), Some(framed)) => {
                let hash = body_hash(body_of(framed));
                self.live.insert(made.key_bytes.clone(), Live { key: made.key.clone(), value: value.clone(), hash });
            }
            _ => drop(self.live.remove(&made.key_bytes)),
        }
    }

    /// For the engine, where it asks the topic.
    pub fn hashes(&self, f: &mut dyn FnMut(&[u8], u128)) {
        self.live.iter().for_each(|(key, live)| f(key, live.hash));
    }

    pub fn live(&self) -> impl Iterator<Item = &Live> {
        self.live.values()
    }

    pub fn is_held(&self, key: &str) -> bool {
        self.held.contains(key)
    }

    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }
}
