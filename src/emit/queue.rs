//! The way into the emitter: a queue of batches, bounded by the bytes they hold.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Batch;
use super::group::Size;
use crate::record::{OutputBatch, OutputRecord};

/// The emitter has ended: its last answer says why.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the emitter has ended")]
pub struct Stopped;

pub(super) struct Queue {
    limit: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// No more is coming; what is there is still to be written.
    closed: bool,
    /// Nobody takes any more.
    stopped: bool,
    /// Spent batches, to be filled again.
    spent: Vec<OutputBatch>,
}

/// Enough for the pipeline and the emitter to have one each in hand.
const SPENT: usize = 4;
/// A batch that grew beyond this is not kept.
const SPENT_BYTES: usize = 4 << 20;

impl Queue {
    pub fn new(limit: usize) -> Queue {
        Queue { limit, inner: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for room. An empty queue takes a batch of any size.
    pub fn send(&self, batch: Batch) -> Result<(), Stopped> {
        let size = held(&batch);
        let mut inner = self.lock();
        while !inner.stopped && !inner.batches.is_empty() && inner.bytes + size > self.limit {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        self.put(inner, batch, size)
    }

    /// Gives the batch back when there was no room in time.
    pub fn send_timeout(&self, batch: Batch, timeout: Duration) -> Result<Option<Batch>, Stopped> {
        let (size, deadline) = (held(&batch), Instant::now() + timeout);
        let mut inner = self.lock();
        while !inner.stopped && !inner.batches.is_empty() && inner.bytes + size > self.limit {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Some(batch));
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.put(inner, batch, size).map(|()| None)
    }

    fn put(&self, mut inner: MutexGuard<'_, Inner>, batch: Batch, size: usize) -> Result<(), Stopped> {
        if inner.stopped || inner.closed {
            return Err(Stopped);
        }
        inner.bytes += size;
        inner.batches.push_back(batch);
        drop(inner);
        self.changed.notify_all();
        Ok(())
    }

    /// How large the next batch is; None when there is none by the deadline, or none at all any more.
    pub fn wait(&self, deadline: Instant) -> Option<Size> {
        let mut inner = self.lock();
        loop {
            if let Some(batch) = inner.batches.front() {
                return Some(size(batch));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if inner.closed || left.is_zero() {
                return None;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn take(&self) -> Option<Batch> {
        let mut inner = self.lock();
        let batch = inner.batches.pop_front()?;
        inner.bytes -= held(&batch);
        drop(inner);
        self.changed.notify_all();
        Some(batch)
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nothing is waiting and nothing will come.
    pub fn is_done(&self) -> bool {
        let inner = self.lock();
        inner.stopped || (inner.closed && inner.batches.is_empty())
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// What is waiting is dropped, and senders learn of it.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        inner.closed = true;
        inner.batches.clear();
        inner.bytes = 0;
        drop(inner);
        self.changed.notify_all();
    }

    pub fn spent(&self, mut batch: OutputBatch) {
        if batch.arena.capacity() + batch.records.capacity() * size_of::<OutputRecord>() > SPENT_BYTES {
            return;
        }
        batch.arena.clear();
        batch.records.clear();
        let mut inner = self.lock();
        if inner.spent.len() < SPENT {
            inner.spent.push(OutputBatch { arena: batch.arena, records: batch.records, ..OutputBatch::default() });
        }
    }

    pub fn empty_batch(&self) -> OutputBatch {
        self.lock().spent.pop().unwrap_or_default()
    }

    pub fn waiting_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The queue holds no invariant that a panic elsewhere could have broken halfway.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held(batch: &Batch) -> usize {
    batch.output.arena.len() + batch.output.records.len() * size_of::<OutputRecord>() + size_of::<Batch>()
}

/// What the batch adds to a Kafka transaction.
pub(super) fn size(batch: &Batch) -> Size {
    Size {
        records: batch.output.records.len() as u64,
        bytes: batch.output.arena.len() as u64,
        alone: batch.must_commit_alone,
        unfinished: batch.unfinished,
        behind: batch.behind,
    }
}
