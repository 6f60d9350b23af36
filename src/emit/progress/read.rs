//! Finding the newest progress record: from the end backwards in growing steps, never from offset 0 unless needed.
//!
//! The true end is the end offset under `read_uncommitted`; records are read under `read_committed`. While a killed
//! producer's transaction hangs open, the last stable offset is below the true end, and what lies between is not
//! visible yet: [`newest`] gives what is, [`newest_at_true_end`] waits until `init_transactions` has ended it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use rdkafka::Message;

use super::{Progress, ProgressError, TransformRecord, json};
use crate::emit::client::{self, Isolation, Reader, Stretch};
use crate::emit::error::EmitError;
use crate::emit::options::Options;

/// The newest committed progress of our bridge as far as it is visible now.
pub fn newest(options: &Options) -> Result<Option<Progress>, EmitError> {
    let reader = client::reader(options, Isolation::Committed)?;
    if !exists(options, &reader)? {
        return Ok(None);
    }
    let (low, stable) = client::watermarks(&reader, &options.progress_topic, 0, options.timeouts.request)?;
    search(options, &reader, low..stable)
}

/// The newest progress when everything up to the partition's true end as of now is decided.
pub fn newest_at_true_end(options: &Options) -> Result<Option<Progress>, EmitError> {
    let reader = client::reader(options, Isolation::Committed)?;
    if !exists(options, &reader)? {
        return Ok(None);
    }
    let topic = &options.progress_topic;
    let (_, end) =
        client::watermarks(&client::asker(options, Isolation::Uncommitted)?, topic, 0, options.timeouts.request)?;
    // Another bridge may share the topic: its open transaction ends by itself within its timeout.
    let deadline = Instant::now() + options.timeouts.transaction + options.timeouts.request;
    let low = client::wait_for_stable(&reader, topic, 0, end, deadline, options.timeouts.request)?;
    search(options, &reader, low..end)
}

/// What each topic of the bridge was made from, by topic. Reads the whole progress topic.
pub fn transforms(options: &Options) -> Result<BTreeMap<String, TransformRecord>, EmitError> {
    let reader = client::reader(options, Isolation::Committed)?;
    let mut found = BTreeMap::new();
    if !exists(options, &reader)? {
        return Ok(found);
    }
    let name = &options.progress_topic;
    let (low, stable) = client::watermarks(&reader, name, 0, options.timeouts.request)?;
    let prefix = format!("{}/", options.bridge);
    client::scan(&reader, name, &[Stretch { partition: 0, from: low, to: stable }], options.timeouts.request, |m| {
        let topic = m.key().and_then(|k| std::str::from_utf8(k).ok()).and_then(|k| k.strip_prefix(&prefix));
        if let Some(topic) = topic {
            match m.payload() {
                None => found.remove(topic),
                Some(bytes) => {
                    let record = json::read_transform(topic, bytes).map_err(|source| EmitError::Progress {
                        topic: name.clone(),
                        offset: m.offset(),
                        source,
                    })?;
                    found.insert(topic.to_owned(), record)
                }
            };
        }
        Ok(())
    })?;
    Ok(found)
}

fn exists(options: &Options, reader: &Reader) -> Result<bool, EmitError> {
    Ok(client::partitions(reader, &options.progress_topic, options.timeouts.request)?.is_some())
}

fn search(options: &Options, reader: &Reader, range: Range<i64>) -> Result<Option<Progress>, EmitError> {
    for window in Backwards::over(range) {
        let mut last: Option<(i64, Option<Vec<u8>>)> = None;
        let stretch = Stretch { partition: 0, from: window.start, to: window.end };
        client::scan(reader, &options.progress_topic, &[stretch], options.timeouts.request, |m| {
            if m.key() == Some(options.bridge.as_bytes()) {
                last = Some((m.offset(), m.payload().map(<[u8]>::to_vec)));
            }
            Ok(())
        })?;
        if let Some((offset, value)) = last {
            // A tombstone under our key is nothing that we write; taking it for a first start would empty topics.
            return value
                .ok_or(ProgressError::Empty)
                .and_then(|bytes| Progress::from_json(&bytes))
                .map(Some)
                .map_err(|source| EmitError::Progress { topic: options.progress_topic.clone(), offset, source });
        }
    }
    Ok(None)
}

/// Windows of offsets that cover a range from its end backwards, each eight times as wide as the one before.
struct Backwards {
    low: i64,
    end: i64,
    width: i64,
}

/// Enough for the last few transactions: each leaves a record and a marker.
const FIRST_WINDOW: i64 = 64;

impl Backwards {
    fn over(range: Range<i64>) -> Backwards {
        Backwards { low: range.start, end: range.end, width: FIRST_WINDOW }
    }
}

impl Iterator for Backwards {
    type Item = Range<i64>;
    fn next(&mut self) -> Option<Range<i64>> {
        if self.end <= self.low {
            return None;
        }
        let start = self.end.saturating_sub(self.width).max(self.low);
        let window = start..self.end;
        (self.end, self.width) = (start, self.width.saturating_mul(8));
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The search as `search` does it, over a partition in memory: Some(true) is a record of ours.
    fn model(low: i64, log: &[Option<bool>]) -> (Option<i64>, i64) {
        let mut read = 0;
        for window in Backwards::over(low..low + log.len() as i64) {
            read += window.end - window.start;
            if let Some(at) = window.rev().find(|o| log[(o - low) as usize] == Some(true)) {
                return (Some(at), read);
            }
        }
        (None, read)
    }

    #[test]
    fn the_newest_is_found_wherever_it_lies() {
        for len in [0, 1, 63, 64, 65, 577, 5000] {
            for at in 0..len {
                let mut log = vec![Some(false); len];
                log[at] = Some(true);
                log[0] = Some(true);
                // Holes left by compaction.
                log.iter_mut().step_by(7).filter(|r| **r == Some(false)).for_each(|r| *r = None);
                let (found, read) = model(1000, &log);
                assert_eq!(found, Some(1000 + at as i64));
                let distance = (len - at) as i64;
                assert!(read <= (9 * distance).max(FIRST_WINDOW), "{read} read to find one {distance} from the end");
            }
            assert_eq!(model(1000, &vec![Some(false); len]), (None, len as i64));
        }
    }
}
