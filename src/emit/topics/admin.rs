//! Admin requests: create, delete, and read settings.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::diagnostic::Diagnostic;
use crate::emit::client::{self, Isolation, Logged, Reader};
use crate::emit::codes;
use crate::emit::error::EmitError;
use crate::emit::options::Options;

use super::Wanted;

/// Makes topics, and waits until their partitions are there. What the broker refuses is a finding.
pub(super) fn create(options: &Options, reader: &Reader, topics: &[&Wanted]) -> Result<Vec<Diagnostic>, EmitError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let settings: Vec<_> = topics.iter().map(|t| t.settings()).collect();
    let new: Vec<_> = topics
        .iter()
        .zip(&settings)
        .map(|(t, settings)| {
            let topic = NewTopic::new(&t.name, t.partitions, TopicReplication::Fixed(t.replication_factor));
            settings.iter().fold(topic, |topic, (k, v)| topic.set(k, v))
        })
        .collect();
    let (admin, timeouts) = admin(options)?;
    let results = wait(admin.create_topics(&new, &timeouts), options.timeouts.request * 2)
        .map_err(|source| EmitError::reading("creating topics", source))?;
    let mut findings = Vec::new();
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => findings.push(
                Diagnostic::error(codes::TOPIC_NOT_CREATED, format!("the broker does not create topic {name}: {code}"))
                    .help(
                        "Create is needed on the topic or cluster; replication_factor must not exceed the brokers; the \
                         name must not differ from another topic's in . and _ alone",
                    ),
            ),
        }
    }
    let failed = |name: &str| findings.iter().any(|d| d.message.contains(&format!("topic {name}:")));
    let deadline = Instant::now() + options.timeouts.request;
    for topic in topics.iter().filter(|t| !failed(&t.name)) {
        while client::partitions(reader, &topic.name, options.timeouts.request)? != Some(topic.partitions) {
            if Instant::now() >= deadline {
                break;
            }
            // Metadata reaches the brokers within milliseconds.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    Ok(findings)
}

/// Deletes topics; one that is not there is no error.
pub fn delete(options: &Options, names: &[&str]) -> Result<(), EmitError> {
    let (admin, timeouts) = admin(options)?;
    let fail = |source| EmitError::reading("deleting topics", source);
    for result in wait(admin.delete_topics(names, &timeouts), options.timeouts.request * 2).map_err(fail)? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
            Err((_, code)) => return Err(fail(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

/// All settings of the topics that exist.
pub(super) fn configs(
    options: &Options,
    names: &[&str],
) -> Result<BTreeMap<String, BTreeMap<String, String>>, EmitError> {
    let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    // Asked one by one: the binding gives one error for all of them, and a missing topic must not hide the others.
    let mut found = BTreeMap::new();
    for (name, resource) in names.iter().zip(&resources) {
        if let Some(settings) = describe(options, resource)? {
            found.insert((*name).to_owned(), settings);
        }
    }
    Ok(found)
}

/// Whether transactions can work on this cluster, and whether wrong topics can come into being behind our back.
pub fn transaction_findings(options: &Options) -> Result<Vec<Diagnostic>, EmitError> {
    let asker = client::asker(options, Isolation::Committed)?;
    let action = "asking for the brokers";
    let metadata = client::metadata(&asker, action, "__transaction_state", options.timeouts.request)?;
    let brokers = metadata.brokers().len();
    let Some(id) = metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).min() else {
        return Ok(Vec::new());
    };
    let Some(settings) = describe(options, &ResourceSpecifier::Broker(id))? else { return Ok(Vec::new()) };
    // Once the topic exists, what counts is how many replicas it has in sync.
    let state = metadata.topics().iter().find(|t| t.name() == "__transaction_state" && t.error().is_none());
    let in_sync = state.map(|t| t.partitions().iter().map(|p| p.isr().len()).min().unwrap_or(0)).filter(|n| *n > 0);
    Ok(judge(&settings, brokers, in_sync))
}

/// What the broker's settings mean for transactions. `in_sync`: replicas of `__transaction_state`, if it exists.
fn judge(settings: &BTreeMap<String, String>, brokers: usize, in_sync: Option<usize>) -> Vec<Diagnostic> {
    let number = |name: &str| settings.get(name).and_then(|v| v.parse::<usize>().ok());
    let mut findings = Vec::new();
    if let Some(factor) = number("transaction.state.log.replication.factor")
        && in_sync.is_none()
        && factor > brokers
    {
        findings.push(
            Diagnostic::error(
                codes::TRANSACTIONS_NOT_READY,
                format!("transaction.state.log.replication.factor is {factor}, and there are {brokers} brokers: no transaction can begin"),
            )
            .help("start the other brokers, or set transaction.state.log.replication.factor and transaction.state.log.min.isr to fit"),
        );
    }
    if let Some(min_isr) = number("transaction.state.log.min.isr")
        && min_isr > in_sync.unwrap_or(brokers)
    {
        findings.push(
            Diagnostic::error(
                codes::TRANSACTIONS_NOT_READY,
                format!(
                    "transaction.state.log.min.isr is {min_isr}, and {} replicas of __transaction_state are in sync: transactions hang",
                    in_sync.unwrap_or(brokers)
                ),
            )
            .help("bring the missing brokers back, or lower transaction.state.log.min.isr (a single broker needs 1)"),
        );
    }
    if settings.get("auto.create.topics.enable").is_some_and(|v| v == "true") {
        findings.push(
            Diagnostic::warning(
                codes::AUTO_CREATE,
                "the broker has auto.create.topics.enable=true: a consumer that starts first makes a topic with the wrong settings",
            )
            .help("set auto.create.topics.enable=false, or create topics before consumers start"),
        );
    }
    findings
}

fn admin(options: &Options) -> Result<(AdminClient<Logged>, AdminOptions), EmitError> {
    let admin = client::make(&client::config(options)?, Logged::default())?;
    let limit = Some(options.timeouts.request);
    Ok((admin, AdminOptions::new().request_timeout(limit).operation_timeout(limit)))
}

/// None: it does not exist.
fn describe(
    options: &Options,
    resource: &ResourceSpecifier<'_>,
) -> Result<Option<BTreeMap<String, String>>, EmitError> {
    let (admin, timeouts) = admin(options)?;
    let fail = |source| EmitError::reading("reading settings", source);
    match wait(admin.describe_configs([resource], &timeouts), options.timeouts.request * 2) {
        Ok(results) => match results.into_iter().next() {
            Some(Ok(config)) => Ok(Some(config.entries.into_iter().filter_map(|e| Some((e.name, e.value?))).collect())),
            Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) | None => Ok(None),
            Some(Err(code)) => Err(fail(KafkaError::AdminOp(code))),
        },
        Err(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition)) => Ok(None),
        Err(source) => Err(fail(source)),
    }
}

/// Runs one of the binding's admin futures on this thread, which may be any: no runtime is needed.
fn wait<T>(future: impl Future<Output = Result<T, KafkaError>>, limit: Duration) -> Result<T, KafkaError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let deadline = Instant::now() + limit;
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut));
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    fn check(settings: &[(&str, &str)], brokers: usize, in_sync: Option<usize>, expected: &[Code]) {
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let codes: Vec<Code> = judge(&settings, brokers, in_sync).iter().map(|d| d.code).collect();
        assert_eq!(codes, expected);
    }

    #[test]
    fn transactions_need_their_replicas() {
        let factor = "transaction.state.log.replication.factor";
        let min_isr = "transaction.state.log.min.isr";
        check(&[(factor, "1"), (min_isr, "1")], 1, None, &[]);
        check(&[(factor, "3"), (min_isr, "1")], 1, None, &[codes::TRANSACTIONS_NOT_READY]);
        // It exists: what it was made with does not matter any more.
        check(&[(factor, "3"), (min_isr, "1")], 1, Some(1), &[]);
        check(&[(factor, "3"), (min_isr, "2")], 3, Some(1), &[codes::TRANSACTIONS_NOT_READY]);
        check(&[(factor, "3"), (min_isr, "2")], 3, Some(2), &[]);
        check(&[(min_isr, "2")], 1, None, &[codes::TRANSACTIONS_NOT_READY]);
        check(&[("auto.create.topics.enable", "true")], 1, Some(1), &[codes::AUTO_CREATE]);
    }
}
