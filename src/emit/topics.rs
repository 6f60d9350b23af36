//! Topics: made by us with the settings that the interface promises, or verified; never altered.
//!
//! `alter_configs` replaces everything that stands there, and a topic's owner may have had reasons: what does not fit
//! is a finding with the command that a person can run.

mod admin;
mod describe;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;

use super::client::{self, Isolation};
use super::codes;
use super::error::EmitError;
use super::options::{Kind, Options};

pub use admin::{delete, transaction_findings};

/// A topic as it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub purpose: Purpose,
    /// For a topic that we make.
    pub partitions: i32,
    /// -1: the broker's default.
    pub replication_factor: i32,
    /// Over the purpose's own settings; for a topic that we make.
    pub config: BTreeMap<String, String>,
    /// Key, value and headers of the largest record.
    pub max_record: u32,
    /// From progress: another count now would put keys elsewhere.
    pub pinned_partitions: Option<i32>,
    /// From progress: another id now is another topic under the old name.
    pub pinned_topic_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Data(Kind),
    Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Makes what is missing.
    Create,
    /// What is missing is a finding.
    Verify,
    /// What is missing is just not among the found.
    Look,
}

/// A topic as it is.
#[derive(Clone, Debug)]
pub struct Found {
    pub partitions: i32,
    /// Kafka's own id, base64; None where the broker is too old to tell (before 2.8).
    pub topic_id: Option<String>,
    pub config: BTreeMap<String, String>,
    pub created: bool,
}

/// By topic name, and what does not fit.
#[derive(Debug, Default)]
pub struct Findings {
    pub found: BTreeMap<String, Found>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Wanted {
    pub fn new(name: &str, purpose: Purpose) -> Wanted {
        Wanted {
            name: name.to_owned(),
            purpose,
            partitions: if purpose == Purpose::Progress { 1 } else { 6 },
            replication_factor: -1,
            config: BTreeMap::new(),
            max_record: 900_000,
            pinned_partitions: None,
            pinned_topic_id: None,
        }
    }

    /// The settings it is made with.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let own: &[(&str, &str)] = match self.purpose {
            Purpose::Data(Kind::Entity) => &[
                ("cleanup.policy", "compact"),
                // A slow consumer still sees a tombstone after a week.
                ("delete.retention.ms", "604800000"),
                ("max.compaction.lag.ms", "86400000"),
                ("segment.ms", "86400000"),
            ],
            Purpose::Data(Kind::Event) => &[
                ("cleanup.policy", "delete"),
                ("retention.ms", "604800000"),
                ("message.timestamp.type", "LogAppendTime"),
            ],
            Purpose::Data(Kind::DeadLetter) => &[("cleanup.policy", "delete")],
            // Gigabytes a day pass through it: small segments let compaction keep up.
            Purpose::Progress => &[("cleanup.policy", "compact"), ("segment.bytes", "16777216")],
        };
        let mut settings: BTreeMap<_, _> = own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        settings.extend(self.config.clone());
        settings
    }
}

impl Found {
    /// `max.message.bytes`, for `Options::smallest_topic_limit`.
    pub fn max_message_bytes(&self) -> Option<u32> {
        self.config.get("max.message.bytes")?.parse().ok()
    }
}

/// The wanted topics, made or verified. An error is a broker that does not answer; what is wrong with topics is among
/// the findings.
pub fn ensure(options: &Options, wanted: &[Wanted], mode: Mode) -> Result<Findings, EmitError> {
    let mut findings = Findings::default();
    let reader = client::asker(options, Isolation::Committed)?;
    let mut missing = Vec::new();
    for topic in wanted {
        if !verify::is_topic_name(&topic.name) {
            findings.diagnostics.push(
                Diagnostic::error(
                    codes::TOPIC_NAME,
                    format!("{:?} is not a name that Kafka takes for a topic", topic.name),
                )
                .help("use up to 249 of the characters a-z A-Z 0-9 . _ -"),
            );
        } else if client::partitions(&reader, &topic.name, options.timeouts.request)?.is_none() {
            missing.push(topic);
        }
    }
    match mode {
        Mode::Create => findings.diagnostics.extend(admin::create(options, &reader, &missing)?),
        Mode::Verify => findings.diagnostics.extend(missing.iter().map(|t| {
            Diagnostic::error(codes::TOPIC_MISSING, format!("topic {} does not exist", t.name)).help(format!(
                "[topics] mode is \"verify\": create it with {}, or set mode = \"create\"",
                list(&t.settings())
            ))
        })),
        Mode::Look => {}
    }
    // Two transforms may name one topic, which is a finding elsewhere; Kafka refuses a request that names it twice.
    let names: BTreeSet<&str> =
        wanted.iter().map(|t| t.name.as_str()).filter(|name| verify::is_topic_name(name)).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut configs = admin::configs(options, &names)?;
    let mut described = describe::topics(options, &names)?;
    for topic in wanted {
        let Some(described) = described.remove(&topic.name) else { continue };
        let found = Found {
            partitions: described.partitions,
            topic_id: described.topic_id,
            config: configs.remove(&topic.name).unwrap_or_default(),
            created: missing.iter().any(|m| m.name == topic.name),
        };
        findings.diagnostics.extend(verify::verify(topic, &found));
        findings.found.insert(topic.name.clone(), found);
    }
    Ok(findings)
}

fn list(settings: &BTreeMap<String, String>) -> String {
    settings.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}
