//! The reader thread: owns the replication socket, whatever the rest of the process is doing.
//!
//! It sends status updates by rule I6 (at most half of `wal_sender_timeout` apart, also while the pipeline takes
//! nothing), answers requests for them at once, and ends the connection when a server that shuts down would wait for
//! us. It never looks into XLogData.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::chunk::ReplicationMessage;
use super::connection::log_notice;
use super::error::{Error, ProtocolError};
use super::feedback::{Counters, Feedback, standby_status};
use super::keepalive::{FLOOD_PAUSE, Request, SHUTDOWN_PATIENCE, ShutdownWatch};
use super::pace::Pace;
use super::probe::Probe;
use super::queue::{BUFFER, Queue};
use super::server_error::ServerError;
use super::socket::Socket;
use super::wire::{MAX_MESSAGE, frame, message, read_some};
use crate::clock::now_postgres_micros;
use crate::lsn::{EndLsn, Lsn};

/// Longest wait in one read: how late a status, a stop or a confirmation can be noticed.
pub const TICK: Duration = Duration::from_millis(100);

/// A raised confirmation is told no more often than this, so that many small ones do not keep the server busy.
const CONFIRM_PAUSE: Duration = Duration::from_millis(500);

/// From here on the last status is given this long to reach the server.
const FAREWELL: Duration = Duration::from_millis(500);

pub struct Reader {
    pub socket: Socket,
    pub queue: Arc<Queue>,
    pub feedback: Arc<Feedback>,
    pub counters: Arc<Counters>,
    pub stop: Arc<AtomicBool>,
    pub probe: Probe,
    /// At most half of `wal_sender_timeout`.
    pub status_interval: Duration,
    pub watch: ShutdownWatch,
    /// `buffer[..whole]` are whole messages, `buffer[whole..end]` the beginning of one.
    pub buffer: Vec<u8>,
    pub whole: usize,
    pub end: usize,
    pub received: Lsn,
    pub last_status: Instant,
    pub told: EndLsn,
}

impl Reader {
    /// Until the stream ends; then the queue says why.
    pub fn run(mut self) {
        let end = self.read_until_the_end();
        if matches!(end, Error::Stopped) {
            self.farewell();
        }
        self.socket.stream.shutdown();
        self.queue.close(end);
    }

    fn read_until_the_end(&mut self) -> Error {
        let mut pace = Pace::new(Instant::now());
        // What came together with the answer to START_REPLICATION.
        let mut outcome = self.take_in().map(|_| ());
        while outcome.is_ok() {
            outcome = self.turn(&mut pace);
        }
        outcome.err().unwrap_or(Error::Stopped)
    }

    /// One read and what follows from it.
    fn turn(&mut self, pace: &mut Pace) -> Result<(), Error> {
        self.attend()?;
        self.make_room();
        let bytes = match read_some(&mut self.socket, &mut self.buffer[self.end..]) {
            Ok(0) => return Err(Error::Closed),
            Ok(n) => n,
            Err(e) => match Error::from_io(e) {
                Error::ReadTimeout => return Ok(()),
                e => return Err(e),
            },
        };
        self.end += bytes;
        let messages = self.take_in()?;
        if let Some(nap) = pace.after_read(Instant::now(), bytes, messages) {
            self.counters.naps.fetch_add(1, Ordering::Relaxed);
            // Naps let the socket fill; a condition variable has nothing to wait for here.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(nap);
        }
        Ok(())
    }

    /// What must happen in time: stop, status, the end of our patience with a shutdown.
    fn attend(&mut self) -> Result<(), Error> {
        if self.stop.load(Ordering::Acquire) {
            return Err(Error::Stopped);
        }
        let now = Instant::now();
        let since_status = now.duration_since(self.last_status);
        let confirmed = self.feedback.confirmed();
        if since_status >= self.status_interval || (confirmed > self.told && since_status >= CONFIRM_PAUSE) {
            self.send_status()?;
        }
        if let Some(since) = self.watch.since() {
            let waited = now.duration_since(since);
            if waited >= SHUTDOWN_PATIENCE {
                return Err(Error::ServerShutdown { demanded: self.received, waited });
            }
        }
        Ok(())
    }

    fn send_status(&mut self) -> Result<(), Error> {
        let confirmed = self.feedback.confirmed();
        self.socket.write_all(&standby_status(self.received, confirmed)).map_err(Error::from_io)?;
        self.counters.statuses.fetch_add(1, Ordering::Relaxed);
        self.told = confirmed;
        self.last_status = Instant::now();
        Ok(())
    }

    /// What is whole goes to the pipeline, also what came before an error.
    fn take_in(&mut self) -> Result<u64, Error> {
        let scanned = self.scan();
        self.hand_over()?;
        scanned
    }

    /// Room for the next read. The message that is under way may be larger than the buffer: it grows with what came.
    fn make_room(&mut self) {
        debug_assert_eq!(self.whole, 0, "what is whole has been handed over");
        if self.buffer.len() < BUFFER {
            self.buffer.resize(BUFFER, 0);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Walks over the messages that are whole now. Gives how many there were.
    fn scan(&mut self) -> Result<u64, Error> {
        let mut messages = 0;
        let mut last_time = None;
        while let Some(total) = frame(&self.buffer[self.whole..self.end], MAX_MESSAGE)? {
            let at = self.whole;
            let body = &self.buffer[at + 5..at + total];
            match self.buffer[at] {
                b'd' => match ReplicationMessage::parse(body)? {
                    ReplicationMessage::XLogData { wal_start, time, .. } => {
                        messages += 1;
                        self.received = self.received.max(wal_start);
                        self.watch.data();
                        last_time = Some(time);
                    }
                    ReplicationMessage::Keepalive { wal_end, time, reply_requested } => {
                        self.received = self.received.max(wal_end);
                        last_time = Some(time);
                        if reply_requested && self.answer(wal_end)? == Request::ShutdownGoesOn {
                            // Not for the pipeline: the bytes are cut out, which are the last ones as a rule.
                            self.buffer.copy_within(at + total..self.end, at);
                            self.end -= total;
                            continue;
                        }
                    }
                },
                b'E' => return Err(Error::from(Box::new(ServerError::parse(b'E', body)?))),
                b'N' => log_notice(&ServerError::parse(b'N', body)?),
                b'S' => {}
                // CopyDone, or CommandComplete: the server ends the stream, as it does when it shuts down.
                b'c' | b'C' => return Err(Error::Closed),
                tag => return Err(ProtocolError::Unexpected { tag, state: "the stream runs" }.into()),
            }
            self.whole += total;
        }
        let count = &self.counters;
        count.bytes.fetch_add(self.whole as u64, Ordering::Relaxed);
        count.messages.fetch_add(messages, Ordering::Relaxed);
        count.received.store(self.received.0, Ordering::Relaxed);
        if let Some(time) = last_time {
            count.last_server_time.store(time as u64, Ordering::Relaxed);
            count.last_message_time.store(now_postgres_micros() as u64, Ordering::Relaxed);
        }
        Ok(messages)
    }

    /// A keepalive that asks for a reply gets it at once; in the flood of a shutdown, after a short pause.
    fn answer(&mut self, wal_end: Lsn) -> Result<Request, Error> {
        let request = self.watch.requested(wal_end, Instant::now());
        match request {
            Request::Ordinary => {}
            Request::ShutdownBegins => {
                tracing::info!(demanded = %wal_end, "the server shuts down and waits for our confirmation");
                self.feedback.demand(Some(wal_end));
            }
            Request::ShutdownGoesOn => {
                // The server sends nothing more until it has our answer.
                #[allow(clippy::disallowed_methods)]
                std::thread::sleep(FLOOD_PAUSE);
            }
        }
        self.send_status()?;
        Ok(request)
    }

    /// Gives `buffer[..whole]` to the pipeline; goes on with status updates while there is no room for it.
    fn hand_over(&mut self) -> Result<(), Error> {
        if self.whole == 0 {
            return Ok(());
        }
        let partial = self.buffer[self.whole..self.end].to_vec();
        let mut blocked: Option<Instant> = None;
        while !self.queue.push(&mut self.buffer, self.whole) {
            let since = *blocked.get_or_insert_with(Instant::now);
            self.attend()?;
            self.shutdown_behind_the_queue(since)?;
            self.queue.wait_for_room(TICK);
        }
        if let Some(since) = blocked {
            self.counters.blocked_micros.fetch_add(since.elapsed().as_micros() as u64, Ordering::Relaxed);
            if self.probe.shutting_down_since().is_none() {
                self.feedback.withdraw_demand();
            }
        }
        if self.buffer.len() < partial.len() {
            self.buffer.resize(partial.len() * 2, 0);
        }
        self.buffer[..partial.len()].copy_from_slice(&partial);
        (self.whole, self.end) = (0, partial.len());
        Ok(())
    }

    /// While the pipeline takes nothing, the keepalives of a shutdown wait unread behind the data. The server would
    /// wait for us without end, as our status updates keep the connection alive: so we ask it, on a connection of its
    /// own, whether it still takes any.
    fn shutdown_behind_the_queue(&mut self, blocked_since: Instant) -> Result<(), Error> {
        self.probe.run(blocked_since);
        let Some(since) = self.probe.shutting_down_since() else { return Ok(()) };
        if self.feedback.shutdown_requested().is_none() {
            tracing::info!("the server shuts down while the pipeline is busy");
            self.feedback.demand(None);
        }
        let waited = since.elapsed();
        if waited < SHUTDOWN_PATIENCE { Ok(()) } else { Err(Error::ServerShutdown { demanded: self.received, waited }) }
    }

    /// The last confirmed position reaches the server before the connection ends. Closing with unread data would
    /// reset the connection and could lose it, so the rest is read and thrown away.
    fn farewell(&mut self) {
        let deadline = Instant::now() + FAREWELL;
        if self.send_status().is_err() || self.socket.write_all(&message(b'X', |_| ())).is_err() {
            return;
        }
        self.buffer.resize(BUFFER, 0);
        while Instant::now() < deadline {
            match read_some(&mut self.socket, &mut self.buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(e) => match Error::from_io(e) {
                    Error::ReadTimeout => {}
                    _ => return,
                },
            }
        }
    }
}
