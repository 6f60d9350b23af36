//! Making clients, and reading partitions with them up to a known end.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::Metadata;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::credential::Unreadable;

use super::error::{EmitError, is_refusal};
use super::options::{self, Options};
use super::trouble::Trouble;

pub(super) type Reader = BaseConsumer<Logged>;

/// librdkafka's own log and global errors: it retries by itself, so they are told, not raised.
#[derive(Clone, Debug, Default)]
pub(super) struct Logged(pub Trouble);

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
    }
}

impl ConsumerContext for Logged {}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}

/// The user's properties as they are now, with ours over them.
pub(super) fn config(options: &Options) -> Result<ClientConfig, EmitError> {
    let mut config = ClientConfig::new();
    config.set("client.id", format!("pgspine.{}", options.bridge));
    config.set("log.connection.close", "false");
    for (name, value) in &options.properties {
        let unreadable = |source| EmitError::Secret { property: name.clone(), source };
        let value = value.read().map_err(unreadable)?;
        // "probe" is librdkafka's word for looking where systems keep their roots.
        if options::is_file(name)
            && value != "probe"
            && let Err(e) = std::fs::metadata(&value)
        {
            return Err(unreadable(Unreadable(format!("cannot read {value}: {e}"))));
        }
        config.set(name, value);
    }
    config.set("bootstrap.servers", &options.bootstrap_servers);
    config.set_log_level(RDKafkaLogLevel::Info);
    Ok(config)
}

pub(super) fn make<C, T>(config: &ClientConfig, context: C) -> Result<T, EmitError>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    config.create_with_context(context).map_err(|source| match source {
        // Its text has the value, and librdkafka's reason often repeats it.
        KafkaError::ClientConfig(_, reason, name, value) => {
            let reason = if value.is_empty() { reason } else { reason.replace(&value, "…") };
            EmitError::Property { name, reason }
        }
        source => EmitError::Client { source },
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Ends at the last stable offset.
    Committed,
    /// Ends at the true end.
    Uncommitted,
}

/// A consumer that only ever assigns: the group's name is needed by librdkafka, and never joined or committed to.
pub(super) fn reader(options: &Options, isolation: Isolation) -> Result<Reader, EmitError> {
    let mut config = consumer(options, isolation)?;
    config.set("group.id", format!("pgspine.{}.reader", options.bridge));
    make(&config, Logged(Trouble::of(options)))
}

/// A client for questions about topics and offsets, not for [`scan`]. Without a group it is closed at once: one with a
/// group takes a tenth of a second.
pub(super) fn asker(options: &Options, isolation: Isolation) -> Result<Reader, EmitError> {
    let mut config = consumer(options, isolation)?;
    config.remove("group.id");
    make(&config, Logged(Trouble::of(options)))
}

fn consumer(options: &Options, isolation: Isolation) -> Result<ClientConfig, EmitError> {
    let mut config = config(options)?;
    config
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set(
            "isolation.level",
            match isolation {
                Isolation::Committed => "read_committed",
                Isolation::Uncommitted => "read_uncommitted",
            },
        );
    for (name, value) in [
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.queue.backoff.ms", "5"),
        // A read ends at a known end; behind the last record lie only markers, and the broker would wait half a second
        // for more before it says so.
        ("fetch.wait.max.ms", "10"),
    ] {
        if !options.properties.contains_key(name) {
            config.set(name, value);
        }
    }
    Ok(config)
}

/// The first request of most clients: it ends as soon as it is known that no broker lets us in.
pub(super) fn metadata(
    reader: &Reader,
    action: &'static str,
    topic: &str,
    timeout: Duration,
) -> Result<Metadata, EmitError> {
    let deadline = Instant::now() + timeout;
    let mut step = FIRST_LOOK;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let source = match reader.fetch_metadata(Some(topic), step.min(left)) {
            Ok(metadata) => return Ok(metadata),
            Err(source) => source,
        };
        if let Some(denied) = denied(reader, action) {
            return Err(denied);
        }
        let waits = matches!(
            source.rdkafka_error_code(),
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::OperationTimedOut)
        );
        if !waits || Instant::now() >= deadline {
            return Err(EmitError::reading(action, source));
        }
        // A connection that breaks fails the request at once.
        std::thread::park_timeout(Duration::from_millis(50));
        step = (step * 2).min(timeout);
    }
}

/// How long the first look waits before it asks whether there is an answer at all: time for a few handshakes.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// What stands in the way of the reader, if it is a refusal. Not while it reads: it takes events from the queue.
fn denied(reader: &Reader, action: &'static str) -> Option<EmitError> {
    // The context hears of errors when the queue is served: one event each time, and a line of the log is one too.
    for _ in 0..64 {
        let _ = reader.poll(Duration::ZERO);
    }
    reader.context().0.denied(action)
}

/// Partitions of the topic; None when it does not exist. Never makes the topic.
pub(super) fn partitions(reader: &Reader, topic: &str, timeout: Duration) -> Result<Option<i32>, EmitError> {
    const ACTION: &str = "asking for a topic's partitions";
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let metadata = metadata(reader, ACTION, topic, left)?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => return Ok(Some(found.partitions().len() as i32)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(None),
            // A topic that was just made has no leader yet.
            Some(RDKafkaErrorCode::LeaderNotAvailable) if Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(50));
            }
            Some(code) => return Err(EmitError::reading(ACTION, KafkaError::MetadataFetch(code))),
        }
    }
}

/// First offset and end offset under the reader's isolation.
pub(super) fn watermarks(
    reader: &Reader,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> Result<(i64, i64), EmitError> {
    const ACTION: &str = "asking for a partition's end";
    reader
        .fetch_watermarks(topic, partition, timeout)
        .map_err(|source| denied(reader, ACTION).unwrap_or_else(|| EmitError::reading(ACTION, source)))
}

/// Waits until everything before `end` is committed or aborted; gives the first offset.
pub(super) fn wait_for_stable(
    reader: &Reader,
    topic: &str,
    partition: i32,
    end: i64,
    deadline: Instant,
    timeout: Duration,
) -> Result<i64, EmitError> {
    loop {
        let (low, stable) = watermarks(reader, topic, partition, timeout)?;
        if stable >= end {
            return Ok(low);
        }
        if Instant::now() >= deadline {
            return Err(EmitError::Away {
                action: "waiting for open transactions to end",
                source: KafkaError::OffsetFetch(RDKafkaErrorCode::OperationTimedOut),
            });
        }
        // Markers take some milliseconds.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Offsets [from, to) of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// Hands out every visible record of the stretches, in order within each partition. Offsets may have holes: a stretch
/// is done at the first record at or after its end, or when the broker says that there is nothing more.
pub(super) fn scan(
    reader: &Reader,
    topic: &str,
    stretches: &[Stretch],
    timeout: Duration,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<(), EmitError>,
) -> Result<(), EmitError> {
    const ACTION: &str = "reading a topic";
    let fail = |source| EmitError::reading(ACTION, source);
    let refused = || reader.context().0.denied(ACTION);
    let mut open: Vec<Stretch> = stretches.iter().copied().filter(|s| s.from < s.to).collect();
    if open.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for s in &open {
        list.add_partition_offset(topic, s.partition, Offset::Offset(s.from)).map_err(fail)?;
    }
    reader.assign(&list).map_err(fail)?;
    let mut last_sign = Instant::now();
    while !open.is_empty() {
        let event = reader.poll(Duration::from_millis(100));
        match event {
            None if last_sign.elapsed() < timeout => continue,
            None => return Err(fail(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))),
            Some(Ok(message)) => {
                if let Some(at) = open.iter().position(|s| s.partition == message.partition()) {
                    if message.offset() < open[at].to {
                        each(&message)?;
                    }
                    if message.offset() + 1 >= open[at].to {
                        open.swap_remove(at);
                    }
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|s| s.partition != partition),
            Some(Err(_)) if refused().is_some() => return refused().map_or(Ok(()), Err),
            // We assign by hand, so the group's rights do not matter; and librdkafka reconnects by itself.
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::GroupAuthorizationFailed) => continue,
                Some(code) if is_refusal(code) => return Err(EmitError::Refused { action: ACTION, source: error }),
                Some(
                    RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition,
                ) => return Err(fail(error)),
                _ if last_sign.elapsed() < timeout => continue,
                _ => return Err(fail(error)),
            },
        }
        last_sign = Instant::now();
    }
    reader.unassign().map_err(fail)
}
