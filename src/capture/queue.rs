//! The way from the reader to the pipeline: bounded in bytes, buffers come back to be used again.
//!
//! A small piece is appended to the last waiting chunk while there is room, so a pipeline that is behind gets few
//! large chunks, and one that waits gets each piece at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::error::Error;

/// Capacity of a buffer; a single larger message makes a larger one.
pub const BUFFER: usize = 256 * 1024;

/// Buffers that are kept for use; more are given back to the allocator.
const SPARE: usize = 8;

#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// Something was pushed, or the queue was closed.
    filled: Condvar,
    /// Something was taken, or the reader shall stop.
    drained: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    chunks: VecDeque<Chunk>,
    /// Memory of the waiting chunks.
    held: usize,
    spare: Vec<Vec<u8>>,
    end: Option<Error>,
    closed: bool,
}

impl Queue {
    pub fn new(limit: usize) -> Queue {
        Queue { inner: Mutex::default(), filled: Condvar::new(), drained: Condvar::new(), limit }
    }

    /// Puts in the first `len` bytes of `buffer`, which then may be used again. False, with nothing done, while the
    /// queue is full. A chunk above the limit goes in when nothing else is there.
    pub fn push(&self, buffer: &mut Vec<u8>, len: usize) -> bool {
        let mut inner = self.lock();
        if let Some(last) = inner.chunks.back_mut()
            && last.buffer.len() - last.len >= len
        {
            last.buffer[last.len..last.len + len].copy_from_slice(&buffer[..len]);
            last.len += len;
            return true;
        }
        if inner.held > 0 && inner.held + buffer.len() > self.limit {
            return false;
        }
        let empty = inner.spare.pop().unwrap_or_else(|| vec![0; BUFFER]);
        let full = std::mem::replace(buffer, empty);
        inner.held += full.len();
        inner.chunks.push_back(Chunk { buffer: full, len });
        drop(inner);
        self.filled.notify_one();
        true
    }

    /// Waits until something was taken, or for `limit`.
    pub fn wait_for_room(&self, limit: Duration) {
        let inner = self.lock();
        if inner.held > 0 && !inner.closed {
            drop(self.drained.wait_timeout(inner, limit).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The next chunk, or None when none came within `limit`. After the last chunk, the error that ended the stream,
    /// once; later calls say `Stopped`.
    pub fn pop(&self, limit: Duration) -> Result<Option<Chunk>, Error> {
        let deadline = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            if let Some(chunk) = inner.chunks.pop_front() {
                inner.held -= chunk.buffer.len();
                drop(inner);
                self.drained.notify_one();
                return Ok(Some(chunk));
            }
            if inner.closed {
                return Err(inner.end.take().unwrap_or(Error::Stopped));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            (inner, _) = self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn recycle(&self, chunk: Chunk) {
        let mut inner = self.lock();
        if inner.spare.len() < SPARE && chunk.buffer.len() == BUFFER {
            inner.spare.push(chunk.buffer);
        }
    }

    pub fn close(&self, end: Error) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.end = Some(end);
        drop(inner);
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Wakes a reader that waits for room.
    pub fn wake_reader(&self) {
        self.drained.notify_all();
    }

    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// A panic elsewhere leaves the queue as it was: each change of it is whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &[u8]) -> Vec<u8> {
        let mut b = vec![0; BUFFER];
        b[..text.len()].copy_from_slice(text);
        b
    }

    #[test]
    fn small_pieces_join_while_nobody_takes_them() {
        let queue = Queue::new(4 * BUFFER);
        let mut b = buffer(b"abc");
        assert!(queue.push(&mut b, 3));
        b[..2].copy_from_slice(b"de");
        assert!(queue.push(&mut b, 2));
        let chunk = queue.pop(Duration::ZERO).unwrap().unwrap();
        assert_eq!(chunk.bytes(), b"abcde");
        assert!(queue.pop(Duration::ZERO).unwrap().is_none());
    }

    #[test]
    fn a_full_queue_takes_nothing_until_something_is_taken() {
        let queue = Queue::new(2 * BUFFER);
        for _ in 0..2 {
            assert!(queue.push(&mut buffer(b""), BUFFER));
        }
        let mut b = buffer(b"x");
        assert!(!queue.push(&mut b, 1));
        assert_eq!(b[0], b'x', "still the reader's");
        queue.recycle(queue.pop(Duration::ZERO).unwrap().unwrap());
        assert!(queue.push(&mut b, 1));
    }

    #[test]
    fn one_chunk_above_the_limit_passes_alone() {
        let queue = Queue::new(10);
        assert!(queue.push(&mut vec![1; 4 * BUFFER], 4 * BUFFER));
        assert!(!queue.push(&mut buffer(b"x"), 1));
    }

    #[test]
    fn the_end_comes_after_what_was_received() {
        let queue = Queue::new(BUFFER);
        queue.push(&mut buffer(b"x"), 1);
        queue.close(Error::Closed);
        assert!(queue.pop(Duration::ZERO).unwrap().is_some());
        assert!(matches!(queue.pop(Duration::ZERO), Err(Error::Closed)));
        assert!(matches!(queue.pop(Duration::ZERO), Err(Error::Stopped)));
    }
}
