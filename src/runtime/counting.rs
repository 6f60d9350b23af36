//! From the counters of the stages to metrics and status, about once a second: nothing is published per change.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::capture::Counters;
use crate::clock;
use crate::engine::{self, Engine, OnError};
use crate::lsn::EndLsn;
use crate::metrics::{BackpressureCause, Operation, RowErrorReason};
use crate::state::{SpaceId, State};

use super::codes;
use super::shared::Shared;

pub struct Counting {
    /// Source transactions since the last publishing.
    pub transactions: u64,
    stream: Option<Arc<Counters>>,
    bytes: u64,
    blocked: u64,
    changes: Vec<[u64; 4]>,
    transforms: Vec<Published>,
    annotations: u64,
    /// What costs more than reading a counter is looked at less often.
    looked: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Published {
    counts: engine::Counts,
    /// As of the last counting of held keys.
    held_changes: Option<u64>,
    held: u64,
}

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Up to so many held keys are counted again as soon as one changes.
const FEW_HELD: u64 = 1000;

impl Counting {
    pub fn new(engine: &Engine) -> Counting {
        Counting {
            transactions: 0,
            stream: None,
            bytes: 0,
            blocked: 0,
            changes: vec![[0; 4]; engine.tables.len()],
            transforms: vec![Published::default(); engine.transforms.len()],
            annotations: 0,
            looked: None,
        }
    }

    pub fn stream(&mut self, counters: Arc<Counters>) {
        self.stream = Some(counters);
    }

    pub fn publish(&mut self, engine: &Engine, state: &State, shared: &Shared) {
        self.source(engine, shared);
        let (refused, why) = engine.refused_annotations();
        if refused > self.annotations {
            tracing::warn!(code = %codes::ANNOTATION, messages = refused - self.annotations, why, "annotations are refused");
            shared.metrics.annotations_refused(refused - self.annotations);
            self.annotations = refused;
        }
        let look = self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        for (t, p) in engine.transforms.iter().zip(&mut self.transforms) {
            let (now, before) = (t.counts, p.counts);
            shared.evaluated(&t.name, now.evaluations - before.evaluations, now.suppressed - before.suppressed);
            for (i, reason) in
                [RowErrorReason::Evaluate, RowErrorReason::Encode, RowErrorReason::TooLarge].iter().enumerate()
            {
                shared.failed(&t.name, *reason, now.errors[i] - before.errors[i]);
            }
            p.counts = now;
            if let OnError::DeadLetter { held, .. } = t.on_error
                && p.held_changes != Some(now.held_changes)
                && (look || p.held <= FEW_HELD)
            {
                p.held_changes = Some(now.held_changes);
                p.held = count(state, held);
                shared.held(&t.name, p.held);
            }
        }
        if look {
            self.looked = Some(Instant::now());
            stored(engine, state, shared);
        }
    }

    fn source(&mut self, engine: &Engine, shared: &Shared) {
        let metrics = &shared.metrics;
        metrics.transactions_received(std::mem::take(&mut self.transactions));
        if let Some(stream) = &self.stream {
            let (bytes, blocked) = (stream.bytes.load(Relaxed), stream.blocked_micros.load(Relaxed));
            let (received, heard) = (stream.received.load(Relaxed), stream.last_message_time.load(Relaxed));
            if heard > 0 {
                let at = time(heard as i64);
                metrics.source_heard(at, bytes - self.bytes, received);
                shared.received(EndLsn::new(received), at);
            }
            metrics.held_back(BackpressureCause::Pipeline, Duration::from_micros(blocked - self.blocked));
            (self.bytes, self.blocked) = (bytes, blocked);
        }
        for ((table, now), before) in engine.tables.iter().zip(&engine.changes).zip(&mut self.changes) {
            let name = table.name.to_string();
            for (i, operation) in Operation::ALL.iter().enumerate() {
                if now[i] > before[i] {
                    metrics.changes_received(&name, *operation, now[i] - before[i]);
                }
            }
            *before = *now;
        }
    }
}

/// From microseconds since 2000.
pub fn time(postgres_micros: i64) -> SystemTime {
    let since = u64::try_from(postgres_micros + clock::POSTGRES_EPOCH_MICROS).unwrap_or(0);
    UNIX_EPOCH + Duration::from_micros(since)
}

fn count(state: &State, space: SpaceId) -> u64 {
    let mut n = 0;
    let counted = state.scan(space, b"", |_, _| {
        n += 1;
        ControlFlow::Continue(())
    });
    // A state that cannot be read ends the session by itself; a number is all that is missing here.
    if let Err(e) = counted {
        tracing::debug!(error = %e, "held keys were not counted");
    }
    n
}

fn stored(engine: &Engine, state: &State, shared: &Shared) {
    for table in &engine.tables {
        let Some(space) = table.identity.space() else { continue };
        let indexes: u64 = table.indexes.iter().filter_map(|i| state.disk_bytes(i.space).ok()).sum();
        if let (Ok(entries), Ok(rows)) = (state.approximate_len(space), state.disk_bytes(space)) {
            let bytes = rows + indexes;
            shared.metrics.state_holds(&table.name.to_string(), entries, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ours() {
        assert_eq!(time(0).duration_since(UNIX_EPOCH).unwrap().as_secs(), 946_684_800);
    }
}
