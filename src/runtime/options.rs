//! From the configuration to each room's own options: the only place that knows both.

use crate::capture::options::Password;
use crate::capture::{self, publication};
use crate::config::{self, Config, PublicationColumns};
use crate::credential::{Credential, Unreadable};
use crate::diagnostic::Severity;
use crate::emit::{self, CommitLimits, Headers, Kind, Progress, Topic, topics};
use crate::registry;
use crate::transform::source::OnError;

use super::failure::{self, Failure};
use super::project::Project;

/// Resolved anew at each connect, so that rotated secrets are picked up.
pub fn postgres(config: &Config) -> Result<capture::Options, Failure> {
    let url = config.postgres.url.resolve()?;
    let mut options = capture::Options::parse(url.expose()).map_err(capture::Error::Options)?;
    // As in libpq, a password in the URL goes before PGPASSWORD, and an empty one is none: `.pgpass` may have it.
    let written = matches!(options.password, Password::Value(_));
    let environment = matches!(config.postgres.password, config::PasswordSource::Environment(_));
    if let Some(password) = config.postgres.password.resolve()?
        && !(environment && (written || password.expose().is_empty()))
    {
        options.password = Password::Value(password.expose().to_owned());
    }
    options.application_name = format!("pgspine/{}", config.bridge.name);
    // Names in our own queries are qualified; a pinned path keeps others' objects out of them.
    options.search_path = String::new();
    Ok(options)
}

/// What stands in a file is read when it is used; a variable does not change while the process lives.
fn credential(template: &config::Template) -> Result<Credential, Failure> {
    if !template.names_a_file() {
        return Ok(Credential::fixed(template.resolve()?.expose()));
    }
    let template = template.clone();
    Ok(Credential::asked(move || {
        template.resolve().map(|secret| secret.expose().to_owned()).map_err(|e| Unreadable(failure::chain(&e)))
    }))
}

/// Where unqualified tables of transforms are looked up.
pub fn search_path(config: &Config) -> Vec<String> {
    config
        .postgres
        .search_path
        .split(',')
        .map(|s| s.trim().trim_matches('"').to_owned())
        .filter(|s| !s.is_empty())
        .collect()
}

pub fn registry(config: &Config) -> Result<registry::ClientOptions, Failure> {
    let secret = |t: &Option<config::Template>| t.as_ref().map(credential).transpose();
    Ok(registry::ClientOptions {
        url: config.registry.urls.join(","),
        username: secret(&config.registry.username)?,
        password: secret(&config.registry.password)?,
        bearer_token: secret(&config.registry.bearer_token)?,
        ca: config.registry.ca.clone(),
        cert: config.registry.cert.clone(),
        key: config.registry.key.clone(),
        ..registry::ClientOptions::default()
    })
}

pub fn registry_mode(config: &Config) -> registry::Mode {
    match config.registry.mode {
        config::Mode::Verify => registry::Mode::Verify,
        _ => registry::Mode::Register,
    }
}

pub fn topic_mode(config: &Config) -> topics::Mode {
    match config.topics.mode {
        config::Mode::Verify => topics::Mode::Verify,
        _ => topics::Mode::Create,
    }
}

pub fn emit(config: &Config, project: &Project) -> Result<emit::Options, Failure> {
    let mut options = kafka(config)?;
    let target =
        |d: &super::project::Definition| Topic { name: d.topic.clone(), transform: d.file.name.clone(), kind: kind(d) };
    options.topics = project.definitions.iter().map(target).collect();
    for d in project.definitions.iter().filter(|d| d.on_error == OnError::DeadLetter) {
        let name = format!("{}.dead-letter", d.topic);
        options.topics.push(Topic { name, transform: d.file.name.clone(), kind: Kind::DeadLetter });
    }
    options.max_record =
        project.definitions.iter().map(|d| d.file.header.max_record as u32).max().unwrap_or(options.max_record);
    Ok(options)
}

fn kind(d: &super::project::Definition) -> Kind {
    if d.is_event() { Kind::Event } else { Kind::Entity }
}

/// Without the topics: what is enough to ask Kafka.
pub fn kafka(config: &Config) -> Result<emit::Options, Failure> {
    let mut options = emit::Options::new(&config.bridge.name, &config.kafka.bootstrap_servers);
    options.transactional_id = config.kafka.transactional_id.clone();
    options.progress_topic = config.kafka.progress_topic.clone();
    options.headers = match config.kafka.headers {
        config::Headers::None => Headers::None,
        config::Headers::Standard => Headers::Standard,
        config::Headers::Full => Headers::Full,
    };
    options.commit = CommitLimits {
        interval: config.commit.interval,
        max_records: config.commit.max_records,
        max_bytes: config.commit.max_bytes,
    };
    options.queue_bytes = (config.limits.memory / 8) as usize;
    for (name, template) in &config.kafka.properties {
        options.properties.insert(name.clone(), credential(template)?);
    }
    let refused: Vec<_> = options.check().into_iter().filter(|d| d.severity == Severity::Error).collect();
    if refused.is_empty() { Ok(options) } else { Err(Failure::Findings(refused)) }
}

/// The topics that are written to, in the order of `emit::Options::topics`.
pub fn topics(config: &Config, project: &Project) -> Vec<topics::Wanted> {
    let wanted = |d: &super::project::Definition, dead_letter: bool| {
        let (name, kind) = match dead_letter {
            false => (d.topic.clone(), kind(d)),
            true => (format!("{}.dead-letter", d.topic), Kind::DeadLetter),
        };
        let mut w = topics::Wanted::new(&name, topics::Purpose::Data(kind));
        let over = config.topic_override(&d.file.header.topic);
        w.partitions = over.and_then(|o| o.partitions).unwrap_or(config.topics.partitions);
        w.replication_factor = over.and_then(|o| o.replication_factor).unwrap_or(config.topics.replication_factor);
        w.max_record = d.file.header.max_record as u32;
        if !dead_letter {
            w.config.extend(if d.is_event() { config.topics.event.clone() } else { config.topics.entity.clone() });
            w.config.extend(d.file.header.topic_config.clone());
            w.config.extend(over.map(|o| o.config.clone()).unwrap_or_default());
        }
        w
    };
    let dead = project.definitions.iter().filter(|d| d.on_error == OnError::DeadLetter);
    project.definitions.iter().map(|d| wanted(d, false)).chain(dead.map(|d| wanted(d, true))).collect()
}

/// The same, with what progress knows of them.
pub fn pinned_topics(config: &Config, project: &Project, progress: Option<&Progress>) -> Vec<topics::Wanted> {
    let mut wanted = topics(config, project);
    for w in &mut wanted {
        if let Some(known) = progress.and_then(|p| p.topics.get(&w.name)) {
            w.pinned_partitions = Some(known.partitions);
            w.pinned_topic_id.clone_from(&known.topic_id);
        }
    }
    wanted
}

pub fn progress_topic(config: &Config, options: &emit::Options) -> topics::Wanted {
    let mut wanted = topics::Wanted::new(&options.progress_topic, topics::Purpose::Progress);
    wanted.replication_factor = config.topics.replication_factor;
    wanted
}

pub fn publication_mode(config: &Config) -> publication::Mode {
    match config.postgres.publication_mode {
        config::Mode::Manage => publication::Mode::Manage,
        _ => publication::Mode::Verify,
    }
}

pub fn publication_columns(config: &Config) -> publication::Columns {
    match config.postgres.publication_columns {
        PublicationColumns::All => publication::Columns::All,
        PublicationColumns::Used => publication::Columns::Used,
    }
}
