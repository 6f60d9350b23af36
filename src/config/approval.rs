//! The words with which a person approves what pgspine will not do by itself.

use std::fmt;
use std::str::FromStr;

use crate::lsn::Lsn;

/// One approval. Each holds for one thing only: a revision, a topic, a gap, a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approval {
    /// `tombstones:TOPIC@REVISION`: write more tombstones than `max_tombstones` allows.
    Tombstones { topic: String, revision: String },
    /// `adopt:TOPIC`: take over a topic with records that our progress does not know.
    Adopt { topic: String },
    /// `gap:LSN`: go on behind a gap in the WAL by a reconcile.
    Gap { lsn: Lsn },
    /// `source:SYSTEM_ID`: another database than before.
    Source { system_identifier: String },
}

/// The text is none of the four words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an approval word: tombstones:TOPIC@REVISION, adopt:TOPIC, gap:LSN or source:SYSTEM_ID")]
pub struct ParseApprovalError(String);

impl FromStr for Approval {
    type Err = ParseApprovalError;
    fn from_str(text: &str) -> Result<Approval, ParseApprovalError> {
        let word = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        let read = || match text.split_once(':')? {
            ("tombstones", rest) => {
                let (topic, revision) = rest.split_once('@')?;
                Some(Approval::Tombstones { topic: word(topic)?, revision: word(revision)? })
            }
            ("adopt", topic) => Some(Approval::Adopt { topic: word(topic)? }),
            ("gap", lsn) => Some(Approval::Gap { lsn: lsn.parse().ok()? }),
            ("source", id) => {
                id.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
                Some(Approval::Source { system_identifier: word(id)? })
            }
            _ => None,
        };
        read().ok_or_else(|| ParseApprovalError(text.to_owned()))
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Approval::Tombstones { topic, revision } => write!(f, "tombstones:{topic}@{revision}"),
            Approval::Adopt { topic } => write!(f, "adopt:{topic}"),
            Approval::Gap { lsn } => write!(f, "gap:{lsn}"),
            Approval::Source { system_identifier } => write!(f, "source:{system_identifier}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_as_printed() {
        for text in ["tombstones:shop.order.v1@ab12", "adopt:t", "gap:0/16B3748", "source:7312345678901234567"] {
            assert_eq!(text.parse::<Approval>().unwrap().to_string(), text);
        }
        for text in ["", "adopt", "adopt:", "tombstones:t", "tombstones:@r", "gap:x", "source:a", "source:", "yes:t"] {
            assert!(text.parse::<Approval>().is_err(), "{text}");
        }
    }
}
