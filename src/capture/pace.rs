//! When the reader naps.
//!
//! The walsender sends each message with a system call of its own and wakes whoever waits in `read()`. A reader that
//! takes every message at once makes the server two to three times as expensive as one that lets the socket fill. So
//! under load, when a read came back small, the reader sleeps a little; when traffic is light it never does, and
//! latency does not pay.

use std::time::{Duration, Instant};

/// Long enough to gather some hundred messages at full speed, short beside any commit to Kafka. Between 300 µs and 1 ms
/// little changes; below, each nap costs more than it gathers. The socket's receive buffer is left to the kernel: with
/// one of 1 MiB or more every small message is acknowledged at once, and the server needs twice the time for each.
pub const NAP: Duration = Duration::from_micros(600);

/// A read that brings this much has been worth its wake-up.
const LARGE_READ: usize = 64 * 1024;

/// Load is measured over at least this long.
const WINDOW: Duration = Duration::from_millis(1);

/// From this many messages per millisecond on, traffic is load: 1,000 small transactions a second (3 messages each)
/// stay below it, 5,000 are above.
const LOAD_PER_MILLI: u128 = 10;

/// Load that stops for less than this has not stopped: a server that was held up for a moment would otherwise start
/// again in its slow mode.
const REMEMBERED: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Pace {
    window_start: Instant,
    messages: u64,
    /// When load was last seen.
    loaded: Option<Instant>,
}

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace { window_start: now, messages: 0, loaded: None }
    }

    /// Tells of a read that is done; gives the nap to take before the next one.
    pub fn after_read(&mut self, now: Instant, bytes: usize, messages: u64) -> Option<Duration> {
        self.messages += messages;
        let elapsed = now.saturating_duration_since(self.window_start);
        if elapsed >= WINDOW {
            if u128::from(self.messages) * 1000 >= LOAD_PER_MILLI * elapsed.as_micros() {
                self.loaded = Some(now);
            }
            self.window_start = now;
            self.messages = 0;
        }
        let loaded = self.loaded.is_some_and(|at| now.saturating_duration_since(at) < REMEMBERED);
        (loaded && bytes < LARGE_READ).then_some(NAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Naps taken over `reads` reads that come `gap` apart with `bytes` and `messages` each.
    fn naps(gap: Duration, reads: u32, bytes: usize, messages: u64) -> u32 {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        (1..=reads).filter(|n| pace.after_read(start + gap * *n, bytes, messages).is_some()).count() as u32
    }

    #[test]
    fn light_traffic_never_waits() {
        // 1,000 transactions a second, a read each.
        assert_eq!(naps(Duration::from_millis(1), 1000, 300, 3), 0);
        // One large transaction after a quiet second.
        assert_eq!(naps(Duration::from_secs(1), 10, 10_000, 102), 0);
    }

    #[test]
    fn small_reads_under_load_do() {
        // A message every 10 µs, each read at once.
        let naps = naps(Duration::from_micros(10), 1000, 100, 1);
        assert!(naps > 850, "{naps}");
    }

    #[test]
    fn full_reads_go_on_at_once() {
        assert_eq!(naps(Duration::from_micros(300), 1000, LARGE_READ, 600), 0);
    }

    #[test]
    fn load_that_ends_is_forgotten() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for n in 1..1000 {
            pace.after_read(start + Duration::from_micros(10) * n, 100, 1);
        }
        assert_eq!(pace.after_read(start + Duration::from_millis(100), 100, 1), None);
        assert_eq!(pace.after_read(start + Duration::from_millis(102), 100, 1), None);
    }
}
