//! When a position without a record becomes progress.
//!
//! An idle database still writes WAL (checkpoints, other databases); the slot must follow it, but the progress topic
//! must not fill with noise: one second after real traffic, then less and less often.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct IdlePolicy {
    last: Instant,
    wait: Duration,
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(16);

impl IdlePolicy {
    pub fn new(now: Instant) -> IdlePolicy {
        IdlePolicy { last: now, wait: FIRST }
    }

    /// Records were written: their progress says more than an idle one.
    pub fn busy(&mut self) {
        self.last = Instant::now();
        self.wait = FIRST;
    }

    pub fn due(&self, now: Instant) -> bool {
        now.duration_since(self.last) >= self.wait
    }

    pub fn sent(&mut self, now: Instant) {
        self.last = now;
        self.wait = (self.wait * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_progress_becomes_rare() {
        let start = Instant::now();
        let mut policy = IdlePolicy::new(start);
        let mut written = 0;
        for s in 1..=600 {
            let now = start + Duration::from_secs(s);
            if policy.due(now) {
                policy.sent(now);
                written += 1;
            }
        }
        assert!((35..50).contains(&written), "{written} in ten minutes");
    }
}
