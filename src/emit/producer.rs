//! The transactional producer on librdkafka's native handle.
//!
//! Delivery reports come for failures only: an acknowledged record costs no event, and `rd_kafka_flush` returns at the
//! moment when the last one is acknowledged, where the binding's own flush goes in steps of 100 ms. Every other
//! answer than a clean one is an error; the caller drops the producer then, which leaves its transaction open for the
//! next take-over to abort.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::bindings as native;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaRespErr;

use super::client;
use super::error::EmitError;
use super::headers::HeaderBuffer;
use super::options::Options;
use super::trouble::Trouble;

pub(super) struct Producer {
    // Dropped before the client they belong to.
    topics: Vec<TopicHandle>,
    client: BaseProducer<Reports>,
}

/// What goes into one Kafka record.
pub(super) struct Outgoing<'a> {
    pub partition: i32,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970; 0: now.
    pub timestamp: i64,
}

/// How long one step of a flush waits before it looks for failures.
const STEP: Duration = Duration::from_millis(50);

impl Producer {
    /// `topics` are written by index into this list.
    pub fn new<'a>(options: &Options, topics: impl Iterator<Item = &'a str>) -> Result<Producer, EmitError> {
        let mut config = client::config(options)?;
        for (name, value) in [
            // The bound of what lies in librdkafka at once: beyond it, producing waits.
            ("queue.buffering.max.kbytes", (options.queue_bytes / 512).clamp(4096, 65536).to_string()),
            // A small record costs librdkafka ten times its bytes.
            ("queue.buffering.max.messages", (options.queue_bytes / 640).clamp(20_000, 200_000).to_string()),
            // Flush cuts it short; while producing it lets requests fill.
            ("linger.ms", "5".to_owned()),
            ("compression.type", "lz4".to_owned()),
            ("batch.size", options.smallest_topic_limit.clamp(1024, 1_000_000).to_string()),
        ] {
            if !options.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config
            .set("transactional.id", &options.transactional_id)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("transaction.timeout.ms", options.timeouts.transaction.as_millis().to_string())
            .set("message.timeout.ms", options.timeouts.transaction.as_millis().to_string())
            // Room for headers and framing beside key and value.
            .set(
                "message.max.bytes",
                options.max_record.saturating_add(16 << 10).clamp(64 << 10, 1_000_000_000).to_string(),
            )
            .set("delivery.report.only.error", "true");
        let client: BaseProducer<Reports> =
            client::make(&config, Reports { trouble: Trouble::of(options), ..Reports::default() })?;
        let topics = topics.map(|name| TopicHandle::new(&client, name)).collect::<Result<_, _>>()?;
        Ok(Producer { topics, client })
    }

    /// Waits for a connection to a broker. What is wrong shows in the next call.
    pub fn connect(&self, topic: &str, timeout: Duration) {
        if let Err(error) = self.client.client().fetch_metadata(Some(topic), timeout) {
            tracing::debug!(%error, "connecting");
        }
    }

    /// Fences every older producer of this transactional id, and ends the transaction it left behind.
    pub fn init_transactions(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client.init_transactions(timeout)
    }

    pub fn begin(&self) -> Result<(), KafkaError> {
        self.client.begin_transaction()
    }

    /// Hands one record to librdkafka, waiting for room at most until `deadline`.
    pub fn send(
        &self,
        topic: usize,
        record: &Outgoing<'_>,
        headers: &HeaderBuffer,
        deadline: Instant,
    ) -> Result<(), EmitError> {
        let handle =
            self.topics.get(topic).ok_or_else(|| EmitError::Batch { what: format!("topic number {topic}") })?;
        loop {
            match self.send_once(handle, record, headers) {
                RDKafkaErrorCode::NoError => return Ok(()),
                RDKafkaErrorCode::QueueFull if Instant::now() < deadline => {
                    self.native_flush(STEP / 5);
                    self.poll();
                    self.check_reports("producing")?;
                }
                RDKafkaErrorCode::MessageSizeTooLarge => {
                    return Err(EmitError::TooLarge {
                        topic: handle.name.to_string_lossy().into_owned(),
                        partition: record.partition,
                        key: record.key.to_vec(),
                        bytes: record.key.len() + record.value.map_or(0, <[u8]>::len),
                    });
                }
                code => return Err(EmitError::doubtful("producing", KafkaError::MessageProduction(code))),
            }
        }
    }

    fn send_once(&self, topic: &TopicHandle, record: &Outgoing<'_>, headers: &HeaderBuffer) -> RDKafkaErrorCode {
        use native::rd_kafka_vtype_t as V;
        use native::rd_kafka_vu_s__bindgen_ty_1 as U;
        let bytes = |bytes: Option<&[u8]>| U {
            mem: native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                ptr: bytes.map_or(std::ptr::null_mut(), |b| b.as_ptr() as *mut _),
                size: bytes.map_or(0, <[u8]>::len),
            },
        };
        const FIXED: usize = 6;
        /// More come from annotations only.
        const MOST_HEADERS: usize = 9;
        let end = native::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_END, u: U { i: 0 } };
        let mut few = [end; FIXED + MOST_HEADERS];
        let mut many = Vec::new();
        let fields = if headers.len() <= MOST_HEADERS {
            &mut few[..]
        } else {
            many.resize(FIXED + headers.len(), end);
            &mut many[..]
        };
        let fixed = [
            (V::RD_KAFKA_VTYPE_RKT, U { rkt: topic.handle.as_ptr() }),
            (V::RD_KAFKA_VTYPE_PARTITION, U { i32_: record.partition }),
            (V::RD_KAFKA_VTYPE_MSGFLAGS, U { i: native::RD_KAFKA_MSG_F_COPY }),
            (V::RD_KAFKA_VTYPE_VALUE, bytes(record.value)),
            (V::RD_KAFKA_VTYPE_KEY, bytes(Some(record.key))),
            (V::RD_KAFKA_VTYPE_TIMESTAMP, U { i64_: record.timestamp }),
        ];
        let entries = headers.iter().map(|(name, value)| {
            let header = native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
                name: name.as_ptr(),
                val: value.as_ptr().cast(),
                size: value.len() as isize,
            };
            (V::RD_KAFKA_VTYPE_HEADER, U { header })
        });
        let mut count = 0;
        for (field, (vtype, u)) in fields.iter_mut().zip(fixed.into_iter().chain(entries)) {
            *field = native::rd_kafka_vu_t { vtype, u };
            count += 1;
        }
        // SAFETY: the client and the topic handle live as long as self; every pointer in `fields` is to memory that
        // outlives the call, and MSG_F_COPY makes librdkafka copy key, value and headers before it returns. The error
        // is ours to destroy.
        unsafe {
            let error = native::rd_kafka_produceva(self.client.client().native_ptr(), fields.as_ptr(), count);
            if error.is_null() {
                return RDKafkaErrorCode::NoError;
            }
            let code = native::rd_kafka_error_code(error);
            native::rd_kafka_error_destroy(error);
            code.into()
        }
    }

    /// Returns when every record so far is acknowledged.
    pub fn flush(&self, deadline: Instant) -> Result<(), EmitError> {
        const ACTION: &str = "waiting for records to be acknowledged";
        loop {
            let answer = self.native_flush(STEP.min(deadline.saturating_duration_since(Instant::now())));
            self.poll();
            self.check_reports(ACTION)?;
            match RDKafkaErrorCode::from(answer) {
                RDKafkaErrorCode::NoError => return Ok(()),
                RDKafkaErrorCode::OperationTimedOut if Instant::now() < deadline => {}
                code => return Err(EmitError::doubtful(ACTION, KafkaError::Flush(code))),
            }
        }
    }

    /// Everything was flushed before: the binding's own flush finds nothing, and this is one request.
    pub fn commit(&self, timeout: Duration) -> Result<(), EmitError> {
        self.client.commit_transaction(timeout).map_err(|source| EmitError::doubtful("committing", source))
    }

    /// Serves librdkafka's log and global errors; not to be left out for long.
    pub fn poll(&self) {
        // One event per call; there are few.
        for _ in 0..4 {
            self.client.poll(Duration::ZERO);
        }
    }

    /// The producer cannot be used any more: fenced while idle, say.
    pub fn fatal(&self, action: &'static str) -> Option<EmitError> {
        let (code, _) = self.client.client().fatal_error()?;
        Some(EmitError::doubtful(action, KafkaError::Global(code)))
    }

    /// The brokers do not let this client in any more; one that is made now may have a newer password.
    pub fn denied(&self, action: &'static str) -> Option<EmitError> {
        self.client.client().context().trouble.denied(action)
    }

    fn native_flush(&self, timeout: Duration) -> RDKafkaRespErr {
        // Rounded up, or the last millisecond would be a busy loop.
        let millis = timeout.as_micros().div_ceil(1000) as i32;
        // SAFETY: the client lives as long as self.
        unsafe { native::rd_kafka_flush(self.client.client().native_ptr(), millis) }
    }

    fn check_reports(&self, action: &'static str) -> Result<(), EmitError> {
        let failure = self.client.client().context().take();
        // A fence purges what was queued: the records only say that they were purged.
        if failure.is_some()
            && let Some(fatal) = self.fatal(action)
        {
            return Err(fatal);
        }
        match failure {
            // The rest of its time it would try with what the brokers do not take.
            None => self.denied(action).map_or(Ok(()), Err),
            Some(f) if f.code == RDKafkaErrorCode::MessageSizeTooLarge => {
                Err(EmitError::TooLarge { topic: f.topic, partition: f.partition, key: f.key, bytes: f.bytes })
            }
            Some(f) => Err(EmitError::doubtful(action, KafkaError::MessageProduction(f.code))),
        }
    }
}

struct TopicHandle {
    name: CString,
    handle: NonNull<native::rd_kafka_topic_t>,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl Send for TopicHandle {}

impl TopicHandle {
    fn new(client: &BaseProducer<Reports>, name: &str) -> Result<TopicHandle, EmitError> {
        let refused = || EmitError::Client { source: KafkaError::ClientCreation(format!("topic name {name:?}")) };
        let name = CString::new(name).map_err(|_| refused())?;
        // SAFETY: the client is alive, the name is a C string, and no configuration means the client's own.
        let handle =
            unsafe { native::rd_kafka_topic_new(client.client().native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        NonNull::new(handle).map(|handle| TopicHandle { name, handle }).ok_or_else(|| EmitError::Client {
            source: KafkaError::ClientCreation("topic name refused by librdkafka".to_owned()),
        })
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_topic_new, destroyed once; the client is dropped after it.
        unsafe { native::rd_kafka_topic_destroy(self.handle.as_ptr()) };
    }
}

/// What went wrong with a record after librdkafka had taken it.
#[derive(Debug)]
struct Failure {
    code: RDKafkaErrorCode,
    topic: String,
    partition: i32,
    key: Vec<u8>,
    bytes: usize,
}

/// The first failure; of records that are too large, the largest: a whole request fails, its small neighbours too.
#[derive(Default)]
struct Reports {
    failure: Mutex<Option<Failure>>,
    trouble: Trouble,
}

impl Reports {
    fn take(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.note(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        let failure = Failure {
            code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
            topic: message.topic().to_owned(),
            partition: message.partition(),
            key: message.key().unwrap_or_default().to_vec(),
            bytes: message.key_len() + message.payload_len(),
        };
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let replaces = first.as_ref().is_none_or(|f| {
            f.code == failure.code && f.code == RDKafkaErrorCode::MessageSizeTooLarge && f.bytes < failure.bytes
        });
        if replaces {
            *first = Some(failure);
        }
    }
}

/// Used where a topic handle's name is wanted as text.
impl std::fmt::Debug for TopicHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name: &CStr = &self.name;
        write!(f, "{name:?}")
    }
}
