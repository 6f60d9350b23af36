//! What is known over time: the WAL that the server wrote, and the records of a transform in the last minute.
//!
//! Both are sampled beside the stream, every few seconds; nothing here is touched per change.

use std::collections::VecDeque;

/// The server's WAL end at each look.
#[derive(Clone, Debug, Default)]
pub struct WalHistory {
    /// Milliseconds and position, both rising.
    looks: VecDeque<(i64, u64)>,
}

/// 240 looks, one every five seconds, are twenty minutes; of older ones every second is let go again and again, so that a
/// halt of a day still has its beginning.
const LOOKS: usize = 240;

/// The rate is that of the last minutes: what was written before says little about the deadline.
const RATE_OVER_MS: i64 = 300_000;
/// Two looks closer than this give noise.
const RATE_FROM_MS: i64 = 4_000;

impl WalHistory {
    pub fn looked(&mut self, at_ms: i64, end: u64) {
        // Another server, or a clock that was set: what was known is of another line.
        if self.looks.back().is_some_and(|&(ms, lsn)| at_ms < ms || end < lsn) {
            self.looks.clear();
        }
        if self.looks.len() == LOOKS {
            let mut place = 0;
            self.looks.retain(|_| {
                place += 1;
                place == 1 || place > LOOKS / 2 || place % 2 == 1
            });
        }
        self.looks.push_back((at_ms, end));
    }

    /// Bytes per second.
    pub fn rate(&self) -> Option<f64> {
        let &(now, end) = self.looks.back()?;
        let &(then, begin) = self.looks.iter().find(|(ms, _)| now - ms <= RATE_OVER_MS)?;
        (now - then >= RATE_FROM_MS).then(|| (end - begin) as f64 * 1000.0 / (now - then) as f64)
    }

    /// When the server wrote this position, as nearly as the looks tell. None: before the first look.
    pub fn written_at(&self, position: u64) -> Option<i64> {
        let after = self.looks.iter().position(|&(_, lsn)| lsn >= position);
        let Some(after) = after else { return self.looks.back().map(|&(ms, _)| ms) };
        let (ms, lsn) = self.looks[after];
        let Some(before) = after.checked_sub(1) else { return (lsn == position).then_some(ms) };
        let (ms_before, lsn_before) = self.looks[before];
        let share = (position - lsn_before) as f64 / (lsn - lsn_before).max(1) as f64;
        Some(ms_before + ((ms - ms_before) as f64 * share) as i64)
    }
}

/// Counters as they were over the last minute.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    samples: [(i64, [u64; 2]); SAMPLES],
    next: usize,
}

/// One every five seconds, over a minute.
const SAMPLES: usize = 13;
const SAMPLE_MS: i64 = 5_000;
const MINUTE_MS: i64 = 60_000;

impl Minute {
    pub fn sample(&mut self, now_ms: i64, counts: [u64; 2]) {
        let newest = self.samples[(self.next + SAMPLES - 1) % SAMPLES];
        if newest.0 == 0 || now_ms - newest.0 >= SAMPLE_MS || now_ms < newest.0 {
            self.samples[self.next] = (now_ms, counts);
            self.next = (self.next + 1) % SAMPLES;
        }
    }

    /// What came in the last minute, or since the first sample.
    pub fn since(&self, now_ms: i64, counts: [u64; 2]) -> [u64; 2] {
        // A little over a minute, or the oldest sample falls out just before the newest comes.
        let within = |ms: i64| ms > 0 && (0..MINUTE_MS + SAMPLE_MS).contains(&(now_ms - ms));
        let oldest = self.samples.iter().filter(|(ms, _)| within(*ms)).min_by_key(|(ms, _)| *ms);
        oldest.map_or([0, 0], |(_, then)| [counts[0].saturating_sub(then[0]), counts[1].saturating_sub(then[1])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_the_time_at_which_it_was_written() {
        let mut wal = WalHistory::default();
        assert_eq!((wal.rate(), wal.written_at(5)), (None, None));
        wal.looked(10_000, 1000);
        assert_eq!((wal.rate(), wal.written_at(1000), wal.written_at(999)), (None, Some(10_000), None));
        wal.looked(20_000, 3000);
        wal.looked(30_000, 3000);
        assert_eq!(wal.rate(), Some(100.0));
        assert_eq!(wal.written_at(2000), Some(15_000));
        // The server stood still since.
        assert_eq!(wal.written_at(3000), Some(20_000));
        // The stream is ahead of the last look.
        assert_eq!(wal.written_at(3500), Some(30_000));
        wal.looked(40_000, 10);
        assert_eq!((wal.rate(), wal.written_at(10)), (None, Some(40_000)));
    }

    #[test]
    fn a_long_halt_keeps_its_beginning() {
        let mut wal = WalHistory::default();
        for n in 0..20_000 {
            wal.looked(n * 5_000, n as u64 * 1_000_000);
        }
        assert!(wal.looks.len() <= LOOKS);
        assert_eq!(wal.written_at(0), Some(0));
        assert_eq!(wal.rate(), Some(200_000.0));
        let late = wal.written_at(10_000_000_000).unwrap() - 50_000_000;
        assert!(late.abs() <= 5_000, "{late}");
    }

    #[test]
    fn a_minute_forgets() {
        let mut minute = Minute::default();
        assert_eq!(minute.since(1000, [7, 1]), [0, 0]);
        for s in 0..300u64 {
            minute.sample(1000 + s as i64 * 1000, [s * 10, 0]);
        }
        let [per_minute, none] = minute.since(300_000, [2990, 0]);
        assert!((600..=660).contains(&per_minute) && none == 0, "{per_minute}");
        assert_eq!(minute.since(900_000, [2990, 0]), [0, 0]);
    }
}
