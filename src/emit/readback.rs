//! Reading a topic back: what is in it, for a reconcile to compare with.
//!
//! Call it when no transaction of ours is open (after a take-over): a hanging one hides what lies behind it, and is
//! reported as an error here, not left out.

use std::ffi::CStr;
use std::time::Instant;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};

use super::client::{self, Isolation, Stretch};
use super::error::EmitError;
use super::options::Options;

/// One record of the topic, in its partition's order. A later one for the same key replaces it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub partition: i32,
    pub offset: i64,
    pub key: &'a [u8],
    /// None: a tombstone.
    pub value: Option<&'a [u8]>,
    message: &'a BorrowedMessage<'a>,
}

impl<'a> Record<'a> {
    /// The value of the first header of this name.
    pub fn header(&self, name: &CStr) -> Option<&'a [u8]> {
        let headers = self.message.headers()?;
        headers.iter().find(|h| h.key.as_bytes() == name.to_bytes())?.value
    }
}

/// Offsets, not records: compaction and transaction markers leave holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub done: u64,
    pub total: u64,
    pub records: u64,
}

/// Hands every committed record from the beginning to the end as of now to `each`; a record without a key too, with an
/// empty one. Holds a few megabytes, whatever the topic's size. `progress` is called about every 10,000 records.
pub fn read(
    options: &Options,
    topic: &str,
    mut each: impl FnMut(Record<'_>) -> Result<(), EmitError>,
    mut progress: impl FnMut(Reading),
) -> Result<Reading, EmitError> {
    let (reader, stretches) = whole(options, topic)?;
    let mut reading = Reading { total: stretches.iter().map(|s| (s.to - s.from) as u64).sum(), ..Reading::default() };
    progress(reading);
    let mut at: Vec<(i32, i64)> = stretches.iter().map(|s| (s.partition, s.from)).collect();
    client::scan(&reader, topic, &stretches, options.timeouts.request, |m| {
        if let Some((_, next)) = at.iter_mut().find(|(p, _)| *p == m.partition()) {
            reading.done += (m.offset() + 1 - *next).max(0) as u64;
            *next = m.offset() + 1;
        }
        reading.records += 1;
        if reading.records.is_multiple_of(10_000) {
            progress(reading);
        }
        each(Record {
            partition: m.partition(),
            offset: m.offset(),
            key: m.key().unwrap_or_default(),
            value: m.payload(),
            message: m,
        })
    })?;
    reading.done = reading.total;
    progress(reading);
    Ok(reading)
}

/// Whether a read_committed consumer finds no record at all in the topic.
pub fn is_empty(options: &Options, topic: &str) -> Result<bool, EmitError> {
    let (reader, stretches) = whole(options, topic)?;
    // Markers and aborted records also take offsets, so that only reading tells; the first record is enough.
    let mut found = false;
    let stop = || EmitError::Batch { what: String::new() };
    let answer = client::scan(&reader, topic, &stretches, options.timeouts.request, |_| {
        found = true;
        Err(stop())
    });
    match answer {
        _ if found => Ok(false),
        Ok(()) => Ok(true),
        Err(error) => Err(error),
    }
}

/// All partitions up to their true ends, once these are stable.
fn whole(options: &Options, topic: &str) -> Result<(client::Reader, Vec<Stretch>), EmitError> {
    let limit = options.timeouts.request;
    let reader = client::reader(options, Isolation::Committed)?;
    let truth = client::asker(options, Isolation::Uncommitted)?;
    let partitions =
        client::partitions(&reader, topic, limit)?.ok_or_else(|| EmitError::NoTopic { topic: topic.to_owned() })?;
    let mut stretches = Vec::new();
    for partition in 0..partitions {
        let (_, end) = client::watermarks(&truth, topic, partition, limit)?;
        // Markers reach partitions one by one, and somebody else's transaction ends within its timeout.
        let deadline = Instant::now() + options.timeouts.transaction + limit;
        let from = client::wait_for_stable(&reader, topic, partition, end, deadline, limit)?;
        stretches.push(Stretch { partition, from, to: end });
    }
    Ok((reader, stretches))
}
