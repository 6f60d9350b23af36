//! `check --live`: what PostgreSQL, Kafka and the registry would refuse.
//!
//! Each is asked even when another is away; who does not answer is a finding, and the command leaves with 3.

mod database;

use std::time::Duration;

use crate::capture::{Mode, connect};
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::emit::{self, Progress, topics};
use crate::registry::{self, Client, RegistryError};
use crate::runtime::project::Project;
use crate::runtime::{Failure, Verdict, options, survey};
use crate::transform::TransformFile;

use super::tables;

/// How the looking went.
pub struct Seen {
    /// Where the tables are from.
    pub from: Option<String>,
    /// A service did not answer: not everything is known.
    pub unreachable: bool,
}

pub fn look(config: &Config, files: Vec<TransformFile>, findings: &mut Vec<Diagnostic>) -> Seen {
    let mut asking = Asking { findings, unreachable: false };
    let (from, project) = postgres(config, files, &mut asking);
    let progress = kafka(config, project.as_ref(), &mut asking);
    subjects(config, project.as_ref(), progress.as_ref(), &mut asking);
    Seen { from, unreachable: asking.unreachable }
}

/// The longest wait for an answer from Kafka.
const REQUEST: Duration = Duration::from_secs(10);

struct Asking<'f> {
    findings: &'f mut Vec<Diagnostic>,
    unreachable: bool,
}

impl Asking<'_> {
    fn note(&mut self, failure: &Failure) {
        self.unreachable |=
            !failure.is_credentials() && matches!(failure.verdict(), Verdict::Retry | Verdict::TakeOver);
        self.findings.extend(failure.diagnostics());
    }

    /// The answer, or the failure as a finding.
    fn take<T>(&mut self, answer: Result<T, impl Into<Failure>>) -> Option<T> {
        answer.map_err(|e| self.note(&e.into())).ok()
    }

    fn bind(&mut self, config: &Config, files: Vec<TransformFile>, catalogue: &Catalogue) -> Project {
        let (project, found) = Project::bind_all(config, files, catalogue);
        self.findings.extend(found);
        project
    }
}

fn postgres(config: &Config, files: Vec<TransformFile>, asking: &mut Asking<'_>) -> (Option<String>, Option<Project>) {
    let connected = options::postgres(config).and_then(|pg| Ok((connect(&pg, Mode::Sql)?, pg)));
    let Some((mut sql, pg)) = asking.take(connected) else {
        // The files can still be looked at, with the tables as they were.
        return match tables::from_file(config) {
            Ok(Some(tables)) => (Some(tables.from), Some(asking.bind(config, files, &tables.catalogue))),
            Ok(None) => (None, None),
            Err(all) => {
                asking.findings.extend(all);
                (None, None)
            }
        };
    };
    let Some(tables) = asking.take(tables::from_database(config, &mut sql, &files)) else { return (None, None) };
    let project = asking.bind(config, files, &tables.catalogue);
    let wanted = survey::wanted(&tables.catalogue, &project);
    let found = database::findings(config, &pg, &mut sql, &project, &wanted);
    asking.findings.extend(asking_new(asking.findings, found.0));
    if let Some(failure) = found.1 {
        asking.note(&failure);
    }
    (Some(tables.from), Some(project))
}

/// A table without identity is found by the binder and by the publication's planner: once is enough.
fn asking_new(known: &[Diagnostic], found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.into_iter().filter(|f| !known.iter().any(|k| k.code == f.code && k.message == f.message)).collect()
}

fn kafka(config: &Config, project: Option<&Project>, asking: &mut Asking<'_>) -> Option<Progress> {
    let kafka = match project {
        Some(project) => options::emit(config, project),
        None => options::kafka(config),
    };
    let mut kafka = asking.take(kafka)?;
    // Somebody waits for the answer.
    kafka.timeouts.request = REQUEST;
    let found = asking.take(topics::transaction_findings(&kafka))?;
    asking.findings.extend(found);
    // What is missing is made by `run`, unless it comes from elsewhere.
    let mode = match options::topic_mode(config) {
        topics::Mode::Verify => topics::Mode::Verify,
        _ => topics::Mode::Look,
    };
    let mut wanted = vec![options::progress_topic(config, &kafka)];
    let progress = asking.take(emit::progress::newest(&kafka)).flatten();
    if let Some(project) = project {
        wanted.extend(options::pinned_topics(config, project, progress.as_ref()));
    }
    let found = asking.take(topics::ensure(&kafka, &wanted, mode))?;
    asking.findings.extend(found.diagnostics);
    progress
}

fn subjects(config: &Config, project: Option<&Project>, progress: Option<&Progress>, asking: &mut Asking<'_>) {
    let client = options::registry(config).and_then(|o| Ok(Client::new(&o)?));
    let Some(client) = asking.take(client) else { return };
    if asking.take(client.ping()).is_none() {
        return;
    }
    for d in project.into_iter().flat_map(|p| &p.definitions) {
        let key = d.key.text().map(|text| subject(config, &client, &format!("{}-key", d.topic), text));
        match key.transpose() {
            Err(e) => asking.note(&e.into()),
            // A schema without an id is not registered yet: whether it is the pinned one shows then.
            Ok(Some(None)) => {}
            Ok(id) => asking.findings.extend(survey::key_pinned(d, id.flatten(), progress)),
        }
        if let Err(e) = subject(config, &client, &format!("{}-value", d.topic), d.contract.text()) {
            asking.note(&e.into());
        }
    }
}

/// The id of a schema that is there; what stands in the way of one that is not.
fn subject(config: &Config, client: &Client, name: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
    if let Some(id) = client.lookup(name, schema)? {
        return Ok(Some(id));
    }
    if options::registry_mode(config) == registry::Mode::Verify {
        return Err(RegistryError::NotRegistered { subject: name.to_owned() });
    }
    if client.versions(name)?.is_empty() {
        return Ok(None);
    }
    client.check_level(name, &config.registry.compatibility)?;
    match client.incompatibilities(name, schema)? {
        None => Ok(None),
        Some(reasons) => {
            let message = if reasons.is_empty() { "it gives no reason".to_owned() } else { reasons.join("; ") };
            Err(RegistryError::Incompatible { subject: name.to_owned(), message })
        }
    }
}
