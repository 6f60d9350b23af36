//! START_REPLICATION, and the stream that it gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::connection::Connection;
use super::error::Error;
use super::feedback::{Counters, Feedback};
use super::keepalive::ShutdownWatch;
use super::options::Options;
use super::probe::Probe;
use super::queue::{BUFFER, Queue};
use super::reader::{Reader, TICK};
use super::slot;
use crate::catalogue::always_quote_ident;
use crate::lsn::{EndLsn, Lsn};

#[derive(Clone, Debug)]
pub struct StreamOptions {
    pub slot: String,
    pub publications: Vec<String>,
    /// Where to begin. The server silently goes forward to the slot's `confirmed_flush_lsn` if that is further: look
    /// at the slot again (`slot::read`) after `start`.
    pub start: Lsn,
    /// What the slot may be told already; `EndLsn::ZERO` tells it nothing until something is confirmed.
    pub confirmed: EndLsn,
    /// Bytes that may wait for the pipeline.
    pub queue_bytes: usize,
    /// How to ask the server whether it shuts down while the pipeline is busy. None: then a fast shutdown of the
    /// server can wait for the pipeline.
    pub probe: Option<Options>,
}

/// The running stream. Dropping it stops the reader.
#[derive(Debug)]
pub struct Stream {
    queue: Arc<Queue>,
    feedback: Arc<Feedback>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    backend_pid: u32,
}

/// Used when the server has no `wal_sender_timeout` by which it would notice.
const INTERVAL_WITHOUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts replication on a walsender connection. Errors about the slot have their names (`SlotActive`, `SlotLost`, …).
pub fn start(mut connection: Connection, options: StreamOptions) -> Result<Stream, Error> {
    slot::check_name(&options.slot)?;
    let timeout = wal_sender_timeout(&mut connection)?;
    let status_interval = if timeout.is_zero() {
        tracing::warn!(
            code = %super::codes::NO_WAL_SENDER_TIMEOUT,
            "wal_sender_timeout is 0: the server sends more slowly, and never notices a reader that is gone"
        );
        INTERVAL_WITHOUT_TIMEOUT
    } else {
        // A third, so that one late status is still within half.
        (timeout / 3).min(INTERVAL_WITHOUT_TIMEOUT)
    };
    let names: Vec<String> = options.publications.iter().map(|p| always_quote_ident(p)).collect();
    let command = format!(
        "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}, messages 'true')",
        options.slot,
        options.start,
        plain_literal(&names.join(","))
    );
    let backend_pid = connection.backend_pid();
    let (socket, mut received) = connection.copy_both(&command).map_err(|e| slot::classify(e, &options.slot))?;
    socket.stream.set_read_timeout(Some(TICK.min(status_interval))).map_err(Error::Io)?;
    socket.stream.set_write_timeout(Some(INTERVAL_WITHOUT_TIMEOUT)).map_err(Error::Io)?;

    let queue = Arc::new(Queue::new(options.queue_bytes));
    let feedback = Arc::new(Feedback::new(options.confirmed));
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let end = received.len();
    received.resize(end.max(BUFFER), 0);
    let now = Instant::now();
    let reader = Reader {
        socket,
        queue: Arc::clone(&queue),
        feedback: Arc::clone(&feedback),
        counters: Arc::clone(&counters),
        stop: Arc::clone(&stop),
        probe: Probe::new(options.probe),
        status_interval,
        watch: ShutdownWatch::new(timeout),
        buffer: received,
        whole: 0,
        end,
        received: options.start,
        // So that the first status goes out at once.
        last_status: now.checked_sub(status_interval).unwrap_or(now),
        told: EndLsn::ZERO,
    };
    let thread = std::thread::Builder::new().name("pgspine-reader".into()).spawn(move || reader.run());
    Ok(Stream { queue, feedback, counters, stop, reader: Some(thread.map_err(Error::Io)?), backend_pid })
}

impl Stream {
    /// The next chunk; None when none came within `limit`. An error ends the stream; it comes after all that was
    /// received before it.
    pub fn next(&self, limit: Duration) -> Result<Option<Chunk>, Error> {
        self.queue.pop(limit)
    }

    /// Gives a chunk's memory back to the reader.
    pub fn recycle(&self, chunk: Chunk) {
        self.queue.recycle(chunk);
    }

    pub fn feedback(&self) -> Arc<Feedback> {
        Arc::clone(&self.feedback)
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// The walsender's process.
    pub fn backend_pid(&self) -> u32 {
        self.backend_pid
    }

    /// Bytes that wait for the pipeline.
    pub fn waiting_bytes(&self) -> usize {
        self.queue.held()
    }

    /// Tells the server the last confirmed position and ends the connection. Takes at most about a second.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.queue.wake_reader();
        if let Some(reader) = self.reader.take()
            && reader.join().is_err()
        {
            tracing::error!("the reader thread has panicked");
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end();
    }
}

/// A walsender of a database takes SQL, too; the setting is in milliseconds.
fn wal_sender_timeout(connection: &mut Connection) -> Result<Duration, Error> {
    let rows = connection.query("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'")?;
    rows.single()?.parse("setting").map(Duration::from_millis)
}

/// The replication grammar knows no E'' strings: only the quote is doubled.
fn plain_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
