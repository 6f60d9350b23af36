//! What can end the emitter, and what the runtime should make of it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::diagnostic::Diagnostic;

use super::codes;
use super::progress::{Progress, ProgressError};

#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// Nothing was written by us since the last commit, or it is not known whether it was: the truth stands in the
    /// progress topic, and `Session::take_over` reads it.
    #[error("Kafka gave a doubtful answer while {action}")]
    Doubtful { action: &'static str, source: KafkaError },
    /// The broker says that this producer's epoch is over. A transaction that outlived its timeout says the same, so
    /// this alone is not another instance: read [`super::newer_generation`].
    #[error("Kafka has fenced the producer while {action}")]
    Fenced { action: &'static str, source: KafkaError },
    /// The progress topic holds a generation above ours: another instance has taken over.
    #[error("generation {} (instance {}) has taken over from generation {ours}", newest.generation, newest.instance)]
    Superseded { ours: u64, newest: Box<Progress> },
    /// A large transaction: smaller parts may do.
    #[error("Kafka has not taken and committed {records} records of one transaction within {} s", limit.as_secs())]
    Slow { records: u64, limit: std::time::Duration },
    #[error("the record of {bytes} bytes for {topic} partition {partition} is larger than Kafka takes")]
    TooLarge { topic: String, partition: i32, key: Vec<u8>, bytes: usize },
    #[error("Kafka did not answer while {action}")]
    Away { action: &'static str, source: KafkaError },
    /// `init_transactions` did not come to an end.
    #[error("the transaction coordinator is not ready for {transactional_id}")]
    NotReady { transactional_id: String, source: KafkaError },
    #[error("Kafka refuses {action}")]
    Refused { action: &'static str, source: KafkaError },
    #[error("the Kafka client cannot be made")]
    Client { source: KafkaError },
    #[error("progress at offset {offset} of {topic}")]
    Progress { topic: String, offset: i64, source: ProgressError },
    #[error("{topic} does not exist")]
    NoTopic { topic: String },
    /// The fault is ours: a batch that no topic list or arena fits.
    #[error("a batch that cannot be written: {what}")]
    Batch { what: String },
    #[error("the emitter's thread cannot be started")]
    Thread { source: std::io::Error },
}

/// What to do about an error. One exhaustive match, in [`EmitError::remedy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Read `newer_generation`; ours is the newest: `take_over` again, else exit 4.
    TakeOverAgain,
    /// Try again after a while: it may pass by itself.
    Wait,
    /// Another instance owns the bridge: exit 4, nothing written, nothing initialised.
    Fenced,
    /// A record that can never be written: the policy for row errors decides.
    Row,
    /// A person has to change something.
    Halt,
}

impl EmitError {
    pub fn remedy(&self) -> Remedy {
        match self {
            EmitError::Doubtful { .. } | EmitError::Fenced { .. } | EmitError::Slow { .. } => Remedy::TakeOverAgain,
            EmitError::Superseded { .. } => Remedy::Fenced,
            EmitError::TooLarge { .. } => Remedy::Row,
            EmitError::Away { .. } | EmitError::NotReady { .. } => Remedy::Wait,
            EmitError::Refused { .. }
            | EmitError::Client { .. }
            | EmitError::Progress { .. }
            | EmitError::NoTopic { .. }
            | EmitError::Batch { .. }
            | EmitError::Thread { .. } => Remedy::Halt,
        }
    }

    /// It is the password or certificate that the broker does not take.
    pub fn refused_credentials(&self) -> bool {
        use RDKafkaErrorCode::{Authentication, SaslAuthenticationFailed};
        match self {
            EmitError::Refused { source, .. } => {
                matches!(source.rdkafka_error_code(), Some(Authentication | SaslAuthenticationFailed))
            }
            _ => false,
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let message = chain(self);
        match self {
            EmitError::Doubtful { .. } | EmitError::Fenced { .. } => Diagnostic::warning(codes::DOUBTFUL_ANSWER, message)
                .help("nothing to do: the bridge reads its progress and starts a new producer; see the broker's log if it repeats"),
            EmitError::Slow { .. } => Diagnostic::warning(codes::DOUBTFUL_ANSWER, message)
                .help("the transaction goes out again, in parts of half the size; lower [commit] split_records if it repeats"),
            EmitError::Superseded { .. } => Diagnostic::error(codes::SUPERSEDED, message)
                .help("another pgspine with the same [kafka] transactional_id is running; stop one of the two"),
            EmitError::TooLarge { .. } => Diagnostic::error(codes::RECORD_TOO_LARGE, message)
                .help("raise max.message.bytes of the topic above max_record, or lower max_record in the transform's header"),
            EmitError::Away { .. } => Diagnostic::error(codes::BROKER_AWAY, message)
                .help("check [kafka] bootstrap_servers, the listeners the broker advertises, and TLS or SASL in [kafka.properties]"),
            EmitError::NotReady { .. } => Diagnostic::error(codes::TRANSACTIONS_NOT_READY, message).help(
                "the topic __transaction_state needs transaction.state.log.replication.factor brokers and \
                 transaction.state.log.min.isr of them in sync; a single broker needs both set to 1",
            ),
            EmitError::Refused { .. } => Diagnostic::error(codes::NOT_AUTHORIZED, message).help(
                "the principal needs Write and Describe on the transactional id and on the topics, Read on the progress \
                 topic, and Create and DescribeConfigs for [topics] mode = \"create\"",
            ),
            EmitError::Client { .. } => Diagnostic::error(codes::PROPERTY_INVALID, message)
                .help("correct [kafka.properties]; names and values are in librdkafka's CONFIGURATION.md"),
            EmitError::Progress { source: ProgressError::Newer { .. }, .. } => Diagnostic::error(codes::PROGRESS_NEWER, message)
                .help("a newer pgspine has written this; run that version or a later one"),
            EmitError::Progress { .. } => Diagnostic::error(codes::PROGRESS_UNREADABLE, message)
                .help("something else writes to the progress topic, or it was edited by hand; see the page of this code"),
            EmitError::NoTopic { .. } => Diagnostic::error(codes::TOPIC_MISSING, message)
                .help("create it, or set [topics] mode = \"create\""),
            EmitError::Batch { .. } | EmitError::Thread { .. } => Diagnostic::error(codes::DOUBTFUL_ANSWER, message),
        }
    }

    /// An answer that leaves open what happened, told apart from a fence.
    pub(super) fn doubtful(action: &'static str, source: KafkaError) -> EmitError {
        match source.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::Fatal,
            ) => EmitError::Fenced { action, source },
            Some(code) if is_refusal(code) => EmitError::Refused { action, source },
            _ => EmitError::Doubtful { action, source },
        }
    }

    /// A request that changes nothing has failed.
    pub(super) fn reading(action: &'static str, source: KafkaError) -> EmitError {
        match source.rdkafka_error_code() {
            Some(code) if is_refusal(code) => EmitError::Refused { action, source },
            _ => EmitError::Away { action, source },
        }
    }
}

/// Only a person can grant a right: trying again is of no use.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::*;
    matches!(
        code,
        TopicAuthorizationFailed
            | GroupAuthorizationFailed
            | ClusterAuthorizationFailed
            | TransactionalIdAuthorizationFailed
            | Authentication
            | SaslAuthenticationFailed
            | InvalidTransactionTimeout
            | UnsupportedFeature
    )
}

/// The error and its sources on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // KafkaError prints its own source.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
