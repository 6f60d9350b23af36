//! What the slot may be told (I6): the one arrow that goes back to the server.
//!
//! Three threads share a `Feedback`: who has made a position durable raises `confirmed`; the reader repeats it to the
//! server; the runtime learns here that the server wants to shut down. A position is never lowered.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::now_postgres_micros;
use crate::lsn::{EndLsn, Lsn};

#[derive(Debug)]
pub struct Feedback {
    confirmed: AtomicU64,
    /// The position that a server which shuts down waits for; 0 while none does.
    demanded: AtomicU64,
}

/// Counts of the stream, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of CopyData messages.
    pub bytes: AtomicU64,
    /// XLogData messages.
    pub messages: AtomicU64,
    /// Newest `wal_end` seen.
    pub received: AtomicU64,
    /// Server's clock of the newest message, microseconds since 2000; and ours when it came.
    pub last_server_time: AtomicU64,
    pub last_message_time: AtomicU64,
    /// Microseconds in which the reader waited for the pipeline to take a chunk.
    pub blocked_micros: AtomicU64,
    pub naps: AtomicU64,
    pub statuses: AtomicU64,
}

impl Feedback {
    /// `start`: what the slot has been told already, or zero to tell it nothing.
    pub fn new(start: EndLsn) -> Feedback {
        Feedback { confirmed: AtomicU64::new(start.get()), demanded: AtomicU64::new(0) }
    }

    /// Everything before `position` is durable: the server may forget its WAL. A lower position than before is ignored.
    pub fn confirm(&self, position: EndLsn) {
        self.confirmed.fetch_max(position.get(), Ordering::AcqRel);
    }

    pub fn confirmed(&self) -> EndLsn {
        EndLsn::new(self.confirmed.load(Ordering::Acquire))
    }

    /// The server shuts down and waits for this position: sync the state and confirm, now. `Lsn::ZERO` when the
    /// position is not known, because the stream is blocked behind what has not been taken.
    pub fn shutdown_requested(&self) -> Option<Lsn> {
        match self.demanded.load(Ordering::Acquire) {
            0 => None,
            UNKNOWN => Some(Lsn::ZERO),
            lsn => Some(Lsn(lsn)),
        }
    }

    pub(super) fn demand(&self, position: Option<Lsn>) {
        self.demanded.store(position.map_or(UNKNOWN, |p| p.0.max(1)), Ordering::Release);
    }

    pub(super) fn withdraw_demand(&self) {
        self.demanded.store(0, Ordering::Release);
    }
}

const UNKNOWN: u64 = u64::MAX;

/// Standby status update as CopyData. `write` is what has been received: it frees nothing on the server, but tells it
/// that the connection lives. Flush and apply are what is confirmed; 0 there confirms nothing.
pub(super) fn standby_status(received: Lsn, confirmed: EndLsn) -> [u8; 39] {
    let mut out = [0; 39];
    out[0] = b'd';
    out[1..5].copy_from_slice(&38_u32.to_be_bytes());
    out[5] = b'r';
    out[6..14].copy_from_slice(&received.0.max(confirmed.get()).to_be_bytes());
    out[14..22].copy_from_slice(&confirmed.get().to_be_bytes());
    out[22..30].copy_from_slice(&confirmed.get().to_be_bytes());
    out[30..38].copy_from_slice(&now_postgres_micros().to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmed_position_never_falls() {
        let feedback = Feedback::new(EndLsn::new(10));
        feedback.confirm(EndLsn::new(30));
        feedback.confirm(EndLsn::new(20));
        assert_eq!(feedback.confirmed(), EndLsn::new(30));
    }

    #[test]
    fn a_status_is_one_copydata_message() {
        let status = standby_status(Lsn(7), EndLsn::new(5));
        assert_eq!((status[0], status.len()), (b'd', 39));
        assert_eq!(u32::from_be_bytes([status[1], status[2], status[3], status[4]]), 38);
        assert_eq!(status[5..14], *b"r\0\0\0\0\0\0\0\x07");
        assert_eq!(status[14..22], status[22..30]);
        assert_eq!(status[38], 0, "no reply asked for");
    }

    #[test]
    fn a_demand_is_seen_until_it_is_withdrawn() {
        let feedback = Feedback::new(EndLsn::ZERO);
        assert_eq!(feedback.shutdown_requested(), None);
        feedback.demand(Some(Lsn(9)));
        assert_eq!(feedback.shutdown_requested(), Some(Lsn(9)));
        feedback.demand(None);
        assert_eq!(feedback.shutdown_requested(), Some(Lsn::ZERO));
        feedback.withdraw_demand();
        assert_eq!(feedback.shutdown_requested(), None);
    }
}
