//! `pgspine.toml`: as written → validated → each stage takes its own options from it.
//!
//! The rule: everything wrong is found at once, each finding with its line; an unknown key is an error. Behaviours
//! are enums, and what may hold a secret is a [`Template`] or a [`Secret`]. Only `runtime` and `cli` know this room.
//! Nothing about the meaning of an entity stands here; that is in the transform's own files.

mod approval;
mod codes;
mod document;
mod read;
mod secret;
mod section;
#[cfg(test)]
mod tests;
mod value;

pub use approval::{Approval, ParseApprovalError};
pub use secret::{PasswordSource, Secret, SecretError, Template};
pub use value::{Percent, duration as parse_duration};

use crate::diagnostic::Diagnostic;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A validated configuration. Paths are relative to the working directory (or absolute), names are derived.
#[derive(Clone, Debug)]
pub struct Config {
    pub file: PathBuf,
    pub bridge: Bridge,
    pub postgres: Postgres,
    pub kafka: Kafka,
    pub registry: Registry,
    pub topics: Topics,
    /// `[topic."NAME"]`, by the transform's topic without the prefix.
    pub topic: BTreeMap<String, TopicOverride>,
    pub commit: Commit,
    pub reconcile: Reconcile,
    pub limits: Limits,
    pub http: Http,
}

impl Config {
    /// Reads the file and the process's environment.
    pub fn load(path: &Path) -> Result<Config, Vec<Diagnostic>> {
        // A variable that is not UTF-8 cannot be one of ours; one that is asked for by `${NAME}` counts as not set.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Config::load_with(path, variables)
    }

    /// As [`load`](Self::load), with these environment variables.
    pub fn load_with(path: &Path, variables: BTreeMap<String, String>) -> Result<Config, Vec<Diagnostic>> {
        match std::fs::read_to_string(path) {
            Ok(text) => read::read(path, text, variables),
            Err(e) => Err(vec![
                Diagnostic::error(codes::NOT_READABLE, format!("cannot read {}: {e}", path.display()))
                    .help("run in the project's folder, or name the file: pgspine -c FILE"),
            ]),
        }
    }

    /// What a file at `path` with this text would be.
    pub fn from_text(
        path: &Path,
        text: String,
        variables: BTreeMap<String, String>,
    ) -> Result<Config, Vec<Diagnostic>> {
        read::read(path, text, variables)
    }

    /// The settings of one topic: ours for its kind, then `[topics.…]`, then `[topic."…"] config`.
    /// What the transform's header says about the meaning goes between the second and the third.
    pub fn topic_override(&self, topic: &str) -> Option<&TopicOverride> {
        self.topic.get(topic)
    }
}

#[derive(Clone, Debug)]
pub struct Bridge {
    pub name: String,
    pub transforms: PathBuf,
    pub state_dir: PathBuf,
    pub on_halt: OnHalt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHalt {
    Exit,
    /// HTTP, `/status` and the slot's keepalives go on after a final error.
    Stay,
}

#[derive(Clone, Debug)]
pub struct Postgres {
    /// A libpq URL or keyword string, which may carry a password.
    pub url: Template,
    pub password: PasswordSource,
    pub slot: String,
    pub temporary_slot: bool,
    pub failover_slot: bool,
    pub publication: String,
    pub publication_mode: Mode,
    pub publication_columns: PublicationColumns,
    pub search_path: String,
}

/// Whether pgspine makes a thing itself or only checks what somebody else made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `manage` (publication), `create` (topics), `register` (subjects)
    Manage,
    Verify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicationColumns {
    All,
    /// Other columns never leave PostgreSQL, which then refuses DDL on the listed ones.
    Used,
}

#[derive(Clone, Debug)]
pub struct Kafka {
    pub bootstrap_servers: String,
    pub transactional_id: String,
    pub progress_topic: String,
    pub headers: Headers,
    /// Handed to librdkafka as they are; resolved at each new client.
    pub properties: BTreeMap<String, Template>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    None,
    Standard,
    Full,
}

#[derive(Clone, Debug)]
pub struct Registry {
    /// Tried in this order; at least one.
    pub urls: Vec<String>,
    pub mode: Mode,
    pub compatibility: String,
    pub username: Option<Template>,
    pub password: Option<Template>,
    pub bearer_token: Option<Template>,
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Topics {
    pub mode: Mode,
    pub prefix: String,
    pub partitions: i32,
    /// -1: the broker's default.
    pub replication_factor: i32,
    /// Settings of topics that we create for `kind = "entity"`, defaults included.
    pub entity: BTreeMap<String, String>,
    /// The same for `kind = "event"`.
    pub event: BTreeMap<String, String>,
}

/// What may differ per environment for one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOverride {
    pub partitions: Option<i32>,
    pub replication_factor: Option<i32>,
    pub config: BTreeMap<String, String>,
    pub on_error: Option<OnError>,
    /// Whether dead letters carry values of the row.
    pub dead_letter_rows: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    Halt,
    DeadLetter,
}

#[derive(Clone, Debug)]
pub struct Commit {
    pub interval: Duration,
    pub max_records: u64,
    pub max_bytes: u64,
    pub split_records: u64,
    pub split_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Share of a topic's live keys that may become tombstones without approval.
    pub max_tombstones: Percent,
    pub approve: Vec<Approval>,
    pub gap: Gap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    Stop,
    Heal,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of rows in flight.
    pub memory: u64,
}

#[derive(Clone, Debug)]
pub struct Http {
    /// `None`: switched off.
    pub listen: Option<String>,
}
