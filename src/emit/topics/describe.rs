//! DescribeTopics, which the binding does not offer: Kafka's own topic id, and the number of partitions.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::emit::client::{self, Isolation};
use crate::emit::error::EmitError;
use crate::emit::options::Options;

pub(super) struct Described {
    pub partitions: i32,
    pub topic_id: Option<String>,
}

const ACTION: &str = "describing topics";
/// What a broker without topic ids answers.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Those of the topics that exist. Unlike a producer's request for metadata, this creates nothing.
pub(super) fn topics(options: &Options, names: &[&str]) -> Result<BTreeMap<String, Described>, EmitError> {
    let mut found = BTreeMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    let names: Vec<CString> = names.iter().filter_map(|n| CString::new(*n).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
    let reader = client::asker(options, Isolation::Committed)?;
    let client = reader.client().native_ptr();
    let fail = |code: RDKafkaErrorCode| EmitError::reading(ACTION, KafkaError::AdminOp(code));
    // SAFETY: the client lives to the end of this function. The collection copies the names; options and collection
    // are copied by DescribeTopics and destroyed after it. The event owns everything read from it and is destroyed
    // last; the queue is destroyed after the event. All pointers are checked before they are read.
    unsafe {
        let queue = native::rd_kafka_queue_new(client);
        let settings =
            native::rd_kafka_AdminOptions_new(client, native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let mut text = [0 as c_char; 256];
        native::rd_kafka_AdminOptions_set_request_timeout(
            settings,
            options.timeouts.request.as_millis() as i32,
            text.as_mut_ptr(),
            text.len(),
        );
        let collection = native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        native::rd_kafka_DescribeTopics(client, collection, settings, queue);
        native::rd_kafka_TopicCollection_destroy(collection);
        native::rd_kafka_AdminOptions_destroy(settings);

        let event = poll(queue, options.timeouts.request * 2);
        let code = if event.is_null() {
            RDKafkaErrorCode::OperationTimedOut
        } else {
            native::rd_kafka_event_error(event).into()
        };
        if code == RDKafkaErrorCode::NoError {
            let result = native::rd_kafka_event_DescribeTopics_result(event);
            let mut count = 0;
            let list = if result.is_null() {
                std::ptr::null_mut()
            } else {
                native::rd_kafka_DescribeTopics_result_topics(result, &mut count)
            };
            for at in 0..if list.is_null() { 0 } else { count } {
                if let Some((name, described)) = one(*list.add(at)) {
                    found.insert(name, described);
                }
            }
        }
        if !event.is_null() {
            native::rd_kafka_event_destroy(event);
        }
        native::rd_kafka_queue_destroy(queue);
        if code == RDKafkaErrorCode::NoError { Ok(found) } else { Err(fail(code)) }
    }
}

/// SAFETY: `queue` is alive.
unsafe fn poll(queue: *mut native::rd_kafka_queue_t, limit: Duration) -> *mut native::rd_kafka_event_t {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = unsafe { native::rd_kafka_queue_poll(queue, left.as_millis() as i32) };
        if !event.is_null() || left.is_zero() {
            return event;
        }
    }
}

/// None: it does not exist, or may not be seen.
///
/// SAFETY: `topic` is alive or null.
unsafe fn one(topic: *const native::rd_kafka_TopicDescription_t) -> Option<(String, Described)> {
    unsafe {
        if topic.is_null() {
            return None;
        }
        let error = native::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && RDKafkaErrorCode::from(native::rd_kafka_error_code(error)) != RDKafkaErrorCode::NoError {
            return None;
        }
        let text = |p: *const c_char| (!p.is_null()).then(|| CStr::from_ptr(p).to_string_lossy().into_owned());
        let name = text(native::rd_kafka_TopicDescription_name(topic))?;
        let mut partitions = 0;
        native::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let topic_id =
            if id.is_null() { None } else { text(native::rd_kafka_Uuid_base64str(id)).filter(|id| id != NO_ID) };
        Some((name, Described { partitions: partitions as i32, topic_id }))
    }
}
