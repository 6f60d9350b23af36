//! When a Kafka transaction closes: group commit without a timer (DESIGN §8).
//!
//! It closes as soon as nothing is waiting or a limit is reached. After a small one (fewer than [`SMALL`] records) the
//! next commit starts no earlier than one commit's duration later, at most `interval`, so that a trickle of source
//! transactions does not become thousands of Kafka transactions a minute. Who is behind gathers for the whole of
//! `interval`, or until a limit is reached: nobody waits for a single record then, and what a transaction costs the
//! broker is what the way to the present is paid in.

use std::time::Duration;

use super::options::CommitLimits;

/// Below this many records a transaction costs more than what it carries.
const SMALL: u64 = 100;

/// Times are durations since any fixed moment.
#[derive(Debug)]
pub(super) struct Grouping {
    limits: CommitLimits,
    open: Option<Open>,
    /// No commit before.
    floor: Duration,
}

#[derive(Debug)]
struct Open {
    since: Duration,
    records: u64,
    bytes: u64,
    alone: bool,
    unfinished: bool,
    behind: bool,
}

/// How much a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Size {
    pub records: u64,
    pub bytes: u64,
    pub alone: bool,
    pub unfinished: bool,
    pub behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The waiting batch belongs into this transaction.
    Take,
    Commit,
    /// Nothing is waiting, and it is too early: ask again then, or when something comes.
    Wait {
        until: Duration,
    },
}

impl Grouping {
    pub fn new(limits: CommitLimits) -> Grouping {
        Grouping { limits, open: None, floor: Duration::ZERO }
    }

    /// A batch has been written; the first opens the transaction.
    pub fn add(&mut self, now: Duration, size: Size) {
        let open = self.open.get_or_insert(Open {
            since: now,
            records: 0,
            bytes: 0,
            alone: false,
            unfinished: false,
            behind: false,
        });
        open.records += size.records;
        open.bytes += size.bytes;
        open.alone |= size.alone;
        open.unfinished = size.unfinished;
        open.behind = size.behind;
    }

    /// The open transaction holds a piece of a source transaction, and the rest belongs into it.
    pub fn is_unfinished(&self) -> bool {
        self.open.as_ref().is_some_and(|o| o.unfinished)
    }

    /// What to do with the open transaction, when `waiting` is the next batch of the input.
    pub fn next(&self, now: Duration, waiting: Option<Size>) -> Next {
        let Some(open) = &self.open else { return Next::Take };
        debug_assert!(!open.unfinished, "what follows is taken without asking");
        let closes_at = open.since + self.limits.interval;
        if open.alone
            || now >= closes_at
            || open.records >= self.limits.max_records
            || open.bytes >= self.limits.max_bytes
        {
            return Next::Commit;
        }
        match waiting {
            Some(batch)
                if batch.alone
                    || batch.unfinished
                    || open.records + batch.records > self.limits.max_records
                    || open.bytes + batch.bytes > self.limits.max_bytes =>
            {
                Next::Commit
            }
            Some(_) => Next::Take,
            None if open.behind => Next::Wait { until: closes_at },
            None if now >= self.floor => Next::Commit,
            None => Next::Wait { until: self.floor.min(closes_at) },
        }
    }

    /// The transaction is over; closing it began at `closing`.
    pub fn committed(&mut self, closing: Duration, now: Duration) {
        let records = self.open.take().map_or(0, |open| open.records);
        self.floor = match records {
            ..SMALL => now + (now - closing).min(self.limits.interval),
            SMALL.. => now,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CommitLimits =
        CommitLimits { interval: Duration::from_millis(50), max_records: 1000, max_bytes: 10_000 };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }
    fn size(records: u64, bytes: u64) -> Size {
        Size { records, bytes, ..Size::default() }
    }

    #[test]
    fn closes_when_nothing_is_waiting() {
        let mut g = Grouping::new(LIMITS);
        assert_eq!(g.next(ms(0), Some(size(1, 1))), Next::Take);
        g.add(ms(0), size(1, 1));
        assert_eq!(g.next(ms(0), Some(size(1, 1))), Next::Take);
        assert_eq!(g.next(ms(0), None), Next::Commit);
    }

    #[test]
    fn closes_at_each_limit() {
        let mut g = Grouping::new(LIMITS);
        g.add(ms(0), size(900, 100));
        assert_eq!(g.next(ms(1), Some(size(100, 1))), Next::Take);
        assert_eq!(g.next(ms(1), Some(size(101, 1))), Next::Commit);
        assert_eq!(g.next(ms(1), Some(size(1, 9901))), Next::Commit);
        assert_eq!(g.next(ms(50), Some(size(1, 1))), Next::Commit);
        // A batch larger than the limits goes alone, but it goes.
        let mut g = Grouping::new(LIMITS);
        assert_eq!(g.next(ms(0), Some(size(5000, 1))), Next::Take);
        g.add(ms(0), size(5000, 1));
        assert_eq!(g.next(ms(0), Some(size(0, 0))), Next::Commit);
    }

    #[test]
    fn a_batch_that_commits_alone_shares_with_nobody() {
        let alone = Size { alone: true, ..size(1, 1) };
        let mut g = Grouping::new(LIMITS);
        g.add(ms(0), size(1, 1));
        assert_eq!(g.next(ms(0), Some(alone)), Next::Commit);
        g.committed(ms(0), ms(5));
        g.add(ms(5), alone);
        assert_eq!(g.next(ms(5), Some(size(1, 1))), Next::Commit);
        assert_eq!(g.next(ms(5), None), Next::Commit);
    }

    #[test]
    fn what_is_unfinished_begins_a_transaction_of_its_own() {
        let piece = Size { unfinished: true, ..size(900, 1) };
        let mut g = Grouping::new(LIMITS);
        g.add(ms(0), size(1, 1));
        assert_eq!(g.next(ms(0), Some(piece)), Next::Commit);
        g.committed(ms(0), ms(5));
        assert_eq!(g.next(ms(5), Some(piece)), Next::Take);
        g.add(ms(5), piece);
        g.add(ms(90), piece);
        assert!(g.is_unfinished());
        g.add(ms(91), size(1, 1));
        assert!(!g.is_unfinished());
        assert_eq!(g.next(ms(91), Some(size(1, 1))), Next::Commit);
    }

    #[test]
    fn after_a_small_one_the_next_waits_one_duration() {
        let mut g = Grouping::new(LIMITS);
        g.add(ms(0), size(1, 1));
        g.committed(ms(1), ms(6));
        g.add(ms(7), size(1, 1));
        assert_eq!(g.next(ms(7), None), Next::Wait { until: ms(11) });
        assert_eq!(g.next(ms(7), Some(size(1, 1))), Next::Take);
        assert_eq!(g.next(ms(11), None), Next::Commit);
        // A slow commit delays by the interval at most, and a large one does not delay at all.
        g.committed(ms(11), ms(500));
        g.add(ms(510), size(200, 200));
        assert_eq!(g.next(ms(510), None), Next::Wait { until: ms(550) });
        g.committed(ms(550), ms(560));
        g.add(ms(561), size(1, 1));
        assert_eq!(g.next(ms(561), None), Next::Commit);
    }

    #[test]
    fn who_is_behind_gathers() {
        let behind = |records| Size { behind: true, ..size(records, 1) };
        let mut g = Grouping::new(LIMITS);
        g.add(ms(0), behind(300));
        assert_eq!(g.next(ms(0), None), Next::Wait { until: ms(50) });
        assert_eq!(g.next(ms(7), Some(behind(300))), Next::Take);
        assert_eq!(g.next(ms(7), Some(behind(701))), Next::Commit, "the limits hold");
        assert_eq!(g.next(ms(50), None), Next::Commit);
        // The present is reached within the transaction: it goes at once.
        g.add(ms(8), size(1, 1));
        assert_eq!(g.next(ms(8), None), Next::Commit);
    }

    /// A trickle of one transaction a millisecond, 5 ms per commit: bounded in count and in delay.
    #[test]
    fn a_trickle_shares_transactions() {
        let mut g = Grouping::new(LIMITS);
        let (mut now, mut arrived, mut taken, mut commits, mut worst) = (0u64, 0u64, 0u64, 0u64, 0u64);
        let mut oldest = None;
        while now < 10_000 {
            arrived = arrived.max(now);
            let waiting = (taken < arrived).then_some(size(1, 1));
            if waiting.is_none() && oldest.is_none() {
                now += 1;
                continue;
            }
            match g.next(ms(now), waiting) {
                Next::Take => {
                    oldest.get_or_insert(taken + 1);
                    taken += 1;
                    g.add(ms(now), size(1, 1));
                }
                Next::Wait { .. } => now += 1,
                Next::Commit => {
                    let start = now;
                    now += 5;
                    g.committed(ms(start), ms(now));
                    worst = worst.max(now - oldest.take().unwrap());
                    commits += 1;
                }
            }
        }
        assert!(commits <= 1100, "{commits} commits in 10 s");
        assert!(worst <= 20, "{worst} ms until committed");
    }
}
