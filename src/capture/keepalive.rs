//! Telling a server that shuts down from one that only asks whether we live.
//!
//! A walsender that shuts down has sent everything and asks for a reply until the flush position we report is the one
//! it has sent (`WalSndDone` in walsender.c): keepalives with `reply_requested` and an unchanged `wal_end`, one after
//! the other, as fast as they are answered. Otherwise a reply is requested no earlier than half of
//! `wal_sender_timeout` after the last one.

use std::time::{Duration, Instant};

use crate::lsn::Lsn;

/// How long a server that shuts down waits for us to confirm before the connection is closed.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// Between two answers in the flood: often enough that a confirmation ends the shutdown at once, without keeping a
/// core of the server busy with keepalives.
pub const FLOOD_PAUSE: Duration = Duration::from_millis(5);

/// So many requests in a row are no coincidence.
const IN_A_ROW: u32 = 3;

#[derive(Debug)]
pub struct ShutdownWatch {
    /// Requests further apart than this are ordinary.
    gap: Duration,
    last: Option<(Lsn, Instant)>,
    in_a_row: u32,
    since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Ordinary,
    /// The server shuts down, and this is the first keepalive by which we know.
    ShutdownBegins,
    ShutdownGoesOn,
}

impl ShutdownWatch {
    pub fn new(wal_sender_timeout: Duration) -> ShutdownWatch {
        let second = Duration::from_secs(1);
        let gap = if wal_sender_timeout.is_zero() { second } else { second.min(wal_sender_timeout / 4) };
        ShutdownWatch { gap, last: None, in_a_row: 0, since: None }
    }

    /// A keepalive that asks for a reply.
    pub fn requested(&mut self, wal_end: Lsn, now: Instant) -> Request {
        let again = self.last.is_some_and(|(lsn, at)| lsn == wal_end && now.duration_since(at) < self.gap);
        self.last = Some((wal_end, now));
        if !again {
            self.in_a_row = 1;
            self.since = None;
            return Request::Ordinary;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        match self.since {
            Some(_) => Request::ShutdownGoesOn,
            None if self.in_a_row >= IN_A_ROW => {
                self.since = Some(now);
                Request::ShutdownBegins
            }
            None => Request::Ordinary,
        }
    }

    /// Data came: whatever was asked before, the server goes on.
    pub fn data(&mut self) {
        *self = ShutdownWatch { gap: self.gap, last: None, in_a_row: 0, since: None };
    }

    pub fn since(&self) -> Option<Instant> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(millis: &[u64]) -> (ShutdownWatch, Vec<Instant>) {
        let start = Instant::now();
        let times = millis.iter().map(|m| start + Duration::from_millis(*m)).collect();
        (ShutdownWatch::new(Duration::from_secs(60)), times)
    }

    #[test]
    fn three_requests_in_a_row_are_a_shutdown() {
        let (mut watch, at) = after(&[0, 1, 2, 3]);
        let got: Vec<_> = at.iter().map(|t| watch.requested(Lsn(5), *t)).collect();
        assert_eq!(got, [Request::Ordinary, Request::Ordinary, Request::ShutdownBegins, Request::ShutdownGoesOn]);
        assert_eq!(watch.since(), Some(at[2]));
    }

    #[test]
    fn slow_requests_moving_positions_and_data_are_not() {
        let (mut watch, at) = after(&[0, 30_000, 60_000, 90_000]);
        assert!(at.iter().all(|t| watch.requested(Lsn(5), *t) == Request::Ordinary));
        let (mut watch, at) = after(&[0, 1, 2, 3]);
        assert!(at.iter().enumerate().all(|(i, t)| watch.requested(Lsn(i as u64), *t) == Request::Ordinary));
        let (mut watch, at) = after(&[0, 1, 2, 3]);
        assert!(at.iter().all(|t| {
            watch.data();
            watch.requested(Lsn(5), *t) == Request::Ordinary
        }));
    }

    #[test]
    fn a_short_timeout_shortens_the_gap() {
        let mut watch = ShutdownWatch::new(Duration::from_millis(100));
        let start = Instant::now();
        let ask = |watch: &mut ShutdownWatch, n| watch.requested(Lsn(1), start + Duration::from_millis(50) * n);
        assert!((0..10).all(|n| ask(&mut watch, n) == Request::Ordinary));
    }
}
