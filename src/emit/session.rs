//! Taking over (DESIGN I2, I4): who may write, and from where.
//!
//! Read progress, fence, read again up to the true end, and commit a take-over record of the next generation before
//! anything else. A process that finds a generation above its own has been replaced and writes nothing.

use std::time::Instant;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::Committed;
use super::client::{self, Isolation};
use super::error::{EmitError, is_refusal};
use super::headers::HeaderBuffer;
use super::options::Options;
use super::producer::{Outgoing, Producer};
use super::progress::{self, Progress};

/// The right to write: an initialised producer and the progress it continues.
pub struct Session {
    pub(super) options: Options,
    pub(super) producer: Producer,
    pub(super) progress: Progress,
}

impl Session {
    /// Takes the bridge over and gives the progress that was found, None at the very first start.
    ///
    /// `ours`: the generation that this process has held, when it comes back after a doubtful answer; a newer one in
    /// Kafka is then [`EmitError::Superseded`], and nothing is written. A process that starts gives None: it is the
    /// newer one.
    pub fn take_over(options: Options, ours: Option<u64>) -> Result<(Session, Option<Progress>), EmitError> {
        topics_exist(&options)?;
        let before = progress::newest(&options)?;
        superseded(ours, before.as_ref())?;

        let names = options.topics.iter().map(|t| t.name.as_str()).chain([options.progress_topic.as_str()]);
        let producer = Producer::new(&options, names)?;
        // librdkafka asks for the coordinator at once where it has a connection, else half a second later.
        producer.connect(&options.progress_topic, options.timeouts.init);
        init(&options, &producer)?;

        let found = progress::newest_at_true_end(&options)?;
        superseded(ours, found.as_ref())?;
        let generation = |p: &Option<Progress>| p.as_ref().map_or(0, |p| p.generation);
        if generation(&found) < generation(&before) {
            // What was committed is gone: a broker lost its log's end. The next try sees the state as it then is.
            return Err(EmitError::Doubtful {
                action: "reading progress again",
                source: KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetOutOfRange),
            });
        }

        let mut progress = found.clone().unwrap_or_else(|| Progress { epoch: 1, ..Progress::default() });
        progress.generation = generation(&found).max(ours.unwrap_or(0)) + 1;
        progress.instance = uuid::Uuid::new_v4().to_string();
        let session = Session { options, producer, progress };
        session.write_take_over()?;
        tracing::info!(
            generation = session.progress.generation,
            instance = session.progress.instance,
            end_lsn = %session.progress.end_lsn,
            "took over"
        );
        Ok((session, found))
    }

    /// The generation that this session holds.
    pub fn generation(&self) -> u64 {
        self.progress.generation
    }

    /// As the take-over record has it.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What earlier sessions have committed.
    pub fn committed(&self) -> Committed {
        Committed(self.progress.end_lsn)
    }

    fn write_take_over(&self) -> Result<(), EmitError> {
        let deadline = Instant::now() + self.options.timeouts.commit;
        self.producer.begin().map_err(|source| EmitError::doubtful("beginning the take-over", source))?;
        self.write_progress(deadline)?;
        self.producer.flush(deadline)?;
        self.producer.commit(self.options.timeouts.commit)
    }

    /// The last record of a transaction.
    pub(super) fn write_progress(&self, deadline: Instant) -> Result<(), EmitError> {
        let value = self.progress.to_json(&self.options.bridge);
        self.write_beside(self.options.bridge.as_bytes(), Some(&value), deadline)
    }

    /// A record of the progress topic.
    pub(super) fn write_beside(&self, key: &[u8], value: Option<&[u8]>, deadline: Instant) -> Result<(), EmitError> {
        let record = Outgoing { partition: 0, key, value, timestamp: 0 };
        // The progress topic stands behind the data topics in the producer's list.
        self.producer.send(self.options.topics.len(), &record, &HeaderBuffer::default(), deadline)
    }
}

/// The newest committed progress if its generation is above `ours`. Reads only: this is what decides about a fence.
pub fn newer_generation(options: &Options, ours: u64) -> Result<Option<Progress>, EmitError> {
    Ok(progress::newest(options)?.filter(|newest| newest.generation > ours))
}

fn superseded(ours: Option<u64>, newest: Option<&Progress>) -> Result<(), EmitError> {
    match (ours, newest) {
        (Some(ours), Some(newest)) if newest.generation > ours => {
            Err(EmitError::Superseded { ours, newest: Box::new(newest.clone()) })
        }
        _ => Ok(()),
    }
}

/// A producer that asks for a topic which is not there makes it, with the broker's defaults: so it never asks.
fn topics_exist(options: &Options) -> Result<(), EmitError> {
    let reader = client::asker(options, Isolation::Committed)?;
    for topic in options.topics.iter().map(|t| &t.name).chain([&options.progress_topic]) {
        if client::partitions(&reader, topic, options.timeouts.request)?.is_none() {
            return Err(EmitError::NoTopic { topic: topic.clone() });
        }
    }
    Ok(())
}

fn init(options: &Options, producer: &Producer) -> Result<(), EmitError> {
    const ACTION: &str = "init_transactions";
    producer.init_transactions(options.timeouts.init).map_err(|source| {
        producer.poll();
        match (producer.denied(ACTION), source.rdkafka_error_code()) {
            (Some(denied), _) => denied,
            (None, Some(code)) if is_refusal(code) => EmitError::Refused { action: ACTION, source },
            _ => EmitError::NotReady { transactional_id: options.transactional_id.clone(), source },
        }
    })
}
