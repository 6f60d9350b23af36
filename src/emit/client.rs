//! Making clients, and reading partitions with them up to a known end.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::error::{EmitError, is_refusal};
use super::options::Options;

pub(super) type Reader = BaseConsumer<Logged>;

/// librdkafka's own log and global errors: it retries by itself, so they are told, not raised.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
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

/// The user's properties with ours over them.
pub(super) fn config(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", format!("pgspine.{}", options.bridge));
    config.set("log.connection.close", "false");
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config.set("bootstrap.servers", &options.bootstrap_servers);
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

pub(super) fn make<C, T>(config: &ClientConfig, context: C) -> Result<T, EmitError>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    config.create_with_context(context).map_err(|source| EmitError::Client { source })
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
    let mut config = consumer(options, isolation);
    config.set("group.id", format!("pgspine.{}.reader", options.bridge));
    make(&config, Logged)
}

/// A client for questions about topics and offsets, not for [`scan`]. Without a group it is closed at once: one with a
/// group takes a tenth of a second.
pub(super) fn asker(options: &Options, isolation: Isolation) -> Result<Reader, EmitError> {
    let mut config = consumer(options, isolation);
    config.remove("group.id");
    make(&config, Logged)
}

fn consumer(options: &Options, isolation: Isolation) -> ClientConfig {
    let mut config = config(options);
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
    config
}

/// Partitions of the topic; None when it does not exist. Never makes the topic.
pub(super) fn partitions(reader: &Reader, topic: &str, timeout: Duration) -> Result<Option<i32>, EmitError> {
    const ACTION: &str = "asking for a topic's partitions";
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let metadata = reader.fetch_metadata(Some(topic), left).map_err(|source| EmitError::reading(ACTION, source))?;
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
    reader
        .fetch_watermarks(topic, partition, timeout)
        .map_err(|source| EmitError::reading("asking for a partition's end", source))
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
