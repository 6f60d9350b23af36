//! What the emitter needs to know; and which librdkafka settings are not the user's to change.
//!
//! Exactly-once hangs on a handful of client settings. They are set here, last, and a user's property of the same
//! name is refused before anything runs. The source of truth for names is librdkafka's CONFIGURATION.md.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::credential::Credential;
use crate::diagnostic::Diagnostic;

use super::codes;

#[derive(Clone)]
pub struct Options {
    /// The key of our progress record.
    pub bridge: String,
    pub bootstrap_servers: String,
    /// Handed to librdkafka as they are; read for each client, because they may hold secrets and these are exchanged.
    pub properties: BTreeMap<String, Credential>,
    pub transactional_id: String,
    pub progress_topic: String,
    pub headers: Headers,
    /// `record::TopicId` is an index into this list.
    pub topics: Vec<Topic>,
    pub commit: CommitLimits,
    /// How much may wait in the emitter's input, in bytes of arena and records.
    pub queue_bytes: usize,
    /// The largest `max_record` of all transforms, in bytes.
    pub max_record: u32,
    /// The smallest `max.message.bytes` of all topics written to (`topics::Found::max_message_bytes`): a whole
    /// request to one partition must stay below it, or small records fail because of their neighbours.
    pub smallest_topic_limit: u32,
    pub timeouts: Timeouts,
}

/// One topic that is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// For `pgspine-transform` under `headers = "full"`.
    pub transform: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Entity,
    Event,
    DeadLetter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Headers {
    None,
    #[default]
    Standard,
    Full,
}

/// Bounds of one Kafka transaction as a group of source transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitLimits {
    /// The longest it stays open.
    pub interval: Duration,
    pub max_records: u64,
    pub max_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `init_transactions`: it waits for the markers of a transaction that a killed process left behind.
    pub init: Duration,
    /// Acknowledgement of all records of a transaction, and its commit, each.
    pub commit: Duration,
    /// `transaction.timeout.ms`.
    pub transaction: Duration,
    /// Metadata, offsets and admin requests; a read gives up when nothing comes for as long.
    pub request: Duration,
}

impl Default for CommitLimits {
    fn default() -> CommitLimits {
        CommitLimits { interval: Duration::from_millis(50), max_records: 20_000, max_bytes: 16 << 20 }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            init: Duration::from_secs(60),
            // Below the transaction's own timeout: we want to be the ones who give up first.
            commit: Duration::from_secs(45),
            transaction: Duration::from_secs(60),
            request: Duration::from_secs(15),
        }
    }
}

impl Options {
    /// The defaults of `pgspine.toml` for a bridge of this name.
    pub fn new(bridge: &str, bootstrap_servers: &str) -> Options {
        Options {
            bridge: bridge.to_owned(),
            bootstrap_servers: bootstrap_servers.to_owned(),
            properties: BTreeMap::new(),
            transactional_id: format!("pgspine.{bridge}"),
            progress_topic: format!("pgspine.{bridge}.progress"),
            headers: Headers::default(),
            topics: Vec::new(),
            commit: CommitLimits::default(),
            queue_bytes: 32 << 20,
            max_record: 900_000,
            smallest_topic_limit: 1_048_588,
            timeouts: Timeouts::default(),
        }
    }

    /// Whether a client made later may be let in where this one is not: a password stands in a file, or certificates do.
    pub(super) fn rotates(&self) -> bool {
        self.properties.iter().any(|(name, value)| value.may_change() || is_file(name))
    }

    /// Refuses properties that would break a promise. What librdkafka itself does not know shows when the client is made.
    pub fn check(&self) -> Vec<Diagnostic> {
        self.properties
            .keys()
            .filter_map(|name| {
                let (_, why) = PINNED.iter().find(|(pinned, _)| pinned == name)?;
                Some(
                    Diagnostic::error(
                        codes::PROPERTY_NOT_YOURS,
                        format!("[kafka.properties] sets \"{name}\", which is not open to settings: {why}"),
                    )
                    .help(format!("remove \"{name}\" from [kafka.properties]")),
                )
            })
            .collect()
    }
}

/// librdkafka reads the file that the property names.
pub(super) fn is_file(property: &str) -> bool {
    property.starts_with("ssl.") && property.ends_with(".location")
}

/// Each with the reason, which the refusal shows.
const PINNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it is [kafka] bootstrap_servers"),
    ("metadata.broker.list", "it is [kafka] bootstrap_servers"),
    ("transactional.id", "it is [kafka] transactional_id"),
    ("enable.idempotence", "exactly-once needs it on"),
    ("enable.gapless.guarantee", "the order of records needs it as it is"),
    ("acks", "exactly-once needs all"),
    ("request.required.acks", "exactly-once needs all"),
    ("retries", "librdkafka retries until the transaction's time is over"),
    ("message.send.max.retries", "librdkafka retries until the transaction's time is over"),
    ("transaction.timeout.ms", "the emitter's own time limits are built on it"),
    ("message.timeout.ms", "it may not outlive the transaction"),
    ("delivery.timeout.ms", "it may not outlive the transaction"),
    ("message.max.bytes", "it is set from max_record"),
    ("delivery.report.only.error", "the emitter counts on it"),
    ("partitioner", "partitions are Java's murmur2, computed from the key"),
    ("isolation.level", "progress is read as read_committed"),
    ("group.id", "progress is read without a group"),
    ("enable.auto.commit", "progress is read without a group"),
    ("enable.auto.offset.store", "progress is read without a group"),
    ("auto.offset.reset", "a hole in the progress topic must be an error"),
    ("enable.partition.eof", "the end of progress must be seen"),
    ("allow.auto.create.topics", "topics are created with their settings or not at all"),
    ("plugin.library.paths", "code from elsewhere does not belong into the bridge"),
];

/// Properties may be passwords: only their names are shown.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bridge", &self.bridge)
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("transactional_id", &self.transactional_id)
            .field("progress_topic", &self.progress_topic)
            .field("headers", &self.headers)
            .field("topics", &self.topics)
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_properties_are_refused_by_name() {
        let mut options = Options::new("shop", "kafka:9092");
        for name in ["acks", "compression.type", "enable.idempotence", "transactional.id"] {
            options.properties.insert(name.to_owned(), "1".into());
        }
        let found: Vec<_> = options.check().into_iter().map(|d| d.help.unwrap()).collect();
        assert_eq!(
            found,
            ["acks", "enable.idempotence", "transactional.id"]
                .map(|n| format!("remove \"{n}\" from [kafka.properties]"))
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut options = Options::new("shop", "kafka:9092");
        options.properties.insert("sasl.password".to_owned(), "hunter2".into());
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
