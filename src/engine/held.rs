//! Held keys: under `on_error = "dead_letter"`, keys whose row cannot be rendered keep their last good value.

use std::ops::ControlFlow;

use crate::encode::RowError;
use crate::lsn::EndLsn;
use crate::state::{SpaceId, State, View};

use super::EngineError;
use super::diff::{OnError, Transform};

/// What the topic holds under a held key: the hash of its body, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub last_good: Option<u128>,
}

pub(super) struct HeldChange {
    pub space: SpaceId,
    pub key: Box<[u8]>,
    /// None: the key is held no longer.
    pub held: Option<Held>,
}

impl Held {
    /// One byte that says whether there is a value, and its hash.
    pub fn encode(self) -> Box<[u8]> {
        match self.last_good {
            None => Box::new([0]),
            Some(h) => [&[1][..], &h.to_be_bytes()].concat().into(),
        }
    }

    pub fn decode(bytes: &[u8]) -> Option<Held> {
        match bytes {
            [0] => Some(Held { last_good: None }),
            [1, hash @ ..] => Some(Held { last_good: Some(u128::from_be_bytes(hash.try_into().ok()?)) }),
            _ => None,
        }
    }
}

pub(super) fn lookup(t: &Transform, key: &[u8], state: &State) -> Result<Option<Held>, EngineError> {
    let OnError::DeadLetter { held, .. } = t.on_error else { return Ok(None) };
    let mut value = Vec::new();
    let found = state.read(View::Before, held, key, &mut value)?;
    Ok(found.then(|| Held::decode(&value)).flatten())
}

/// No key of the transform is held any longer, except those that are noted after this.
pub(super) fn forget(t: &Transform, state: &State, changes: &mut Vec<HeldChange>) -> Result<(), EngineError> {
    let OnError::DeadLetter { held: space, .. } = t.on_error else { return Ok(()) };
    state.scan(space, b"", |key, _| {
        changes.push(HeldChange { space, key: key.into(), held: None });
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// The value of a dead-letter record: names and codes; values of the row only where the configuration asks for them.
pub(super) fn letter(transform: &str, e: &RowError, lsn: EndLsn, seq: u64, row: Option<serde_json::Value>) -> String {
    let mut letter = serde_json::json!({
        "version": 1,
        "transform": transform,
        "code": e.code.to_string(),
        "path": e.path,
        "lsn": lsn.to_string(),
        "seq": seq,
        "message": e.message,
    });
    if let Some(row) = row {
        letter["row"] = row;
    }
    letter.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_keys_come_back() {
        for held in [Held { last_good: None }, Held { last_good: Some(0) }, Held { last_good: Some(u128::MAX - 5) }] {
            assert_eq!(Held::decode(&held.encode()), Some(held));
        }
        assert_eq!(Held::decode(&[1, 2]), None);
    }
}
