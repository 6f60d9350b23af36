//! Registry, topics and progress, as a session finds and makes them before it fences anybody.

use crate::config::Config;
use crate::emit;
use crate::emit::Progress;
use crate::emit::topics;
use crate::registry;
use crate::runtime::decide::Approvals;
use crate::runtime::decide::Decision;
use crate::runtime::failure::Failure;
use crate::runtime::options;
use crate::runtime::project::Project;
use crate::runtime::survey;

/// What the registry knows of a definition's schemas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id {
    pub key: Option<u32>,
    pub value: u32,
    /// Of the value's schema in its subject.
    pub version: Option<u32>,
}

/// By definition.
pub(super) type Ids = Vec<Id>;

pub(super) fn register(config: &Config, project: &Project, client: &registry::Client) -> Result<Ids, Failure> {
    let mode = options::registry_mode(config);
    let level = &config.registry.compatibility;
    let mut ids = Vec::new();
    for d in &project.definitions {
        let key = match d.key.text() {
            Some(text) => Some(client.ensure(&format!("{}-key", d.topic), text, mode, level)?),
            None => None,
        };
        let subject = format!("{}-value", d.topic);
        let (value, version) = client.ensure_version(&subject, d.contract.text(), mode, level)?;
        ids.push(Id { key, value, version });
    }
    Ok(ids)
}

/// The newest progress, if there is a progress topic; it is made here if it may be.
pub(super) fn progress_before(config: &Config, options: &emit::Options) -> Result<Option<Progress>, Failure> {
    let wanted = options::progress_topic(config, options);
    let found = topics::ensure(options, &[wanted], options::topic_mode(config))?;
    refuse(found.diagnostics)?;
    Ok(emit::progress::newest(options)?)
}

pub(super) fn ensure_topics(
    config: &Config,
    project: &Project,
    options: &mut emit::Options,
    progress: Option<&Progress>,
) -> Result<Vec<topics::Found>, Failure> {
    let wanted = options::pinned_topics(config, project, progress);
    let mut found = topics::ensure(options, &wanted, options::topic_mode(config))?;
    refuse(found.diagnostics)?;
    let smallest = found.found.values().filter_map(topics::Found::max_message_bytes).min();
    options.smallest_topic_limit = smallest.unwrap_or(options.smallest_topic_limit);
    Ok(wanted.iter().filter_map(|w| found.found.remove(&w.name)).collect())
}

pub(super) fn refuse(findings: Vec<crate::diagnostic::Diagnostic>) -> Result<(), Failure> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|d| d.severity == crate::diagnostic::Severity::Error);
    for w in warnings {
        tracing::warn!(code = %w.code, "{}", w.message);
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Findings(errors)) }
}

pub(super) fn pinned_keys(project: &Project, ids: &Ids, progress: Option<&Progress>) -> Result<(), Failure> {
    let findings: Vec<_> =
        project.definitions.iter().zip(ids).filter_map(|(d, id)| survey::key_pinned(d, id.key, progress)).collect();
    if findings.is_empty() { Ok(()) } else { Err(Failure::Findings(findings)) }
}

/// A new topic must be empty, or a person says that we may have it.
pub(super) fn adopt(
    project: &Project,
    decision: &Decision,
    progress: Option<&Progress>,
    options: &emit::Options,
    approvals: &Approvals,
) -> Result<(), Failure> {
    for (d, reason) in project.definitions.iter().zip(&decision.reconcile) {
        let known = progress.is_some_and(|p| p.topics.contains_key(&d.topic));
        let word = format!("adopt:{}", d.topic);
        if reason.is_some()
            && !known
            && !approvals.words.contains(&word)
            && !emit::readback::is_empty(options, &d.topic)?
        {
            return Err(Failure::Adopt { topic: d.topic.clone(), word });
        }
    }
    Ok(())
}
