//! The pipeline's end of the emitter: batches go in, answers come back, and what is committed is known here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use crate::emit::{Answer, Batch, Commit, Committed, Edit, Emitter, ProgressUpdate};
use crate::lsn::EndLsn;
use crate::metrics::BackpressureCause;
use crate::record::OutputBatch;

use super::counting;
use super::failure::Failure;
use super::shared::Shared;

/// A bridge that keeps up is sent each transaction within milliseconds.
const BEHIND_MICROS: i64 = 1_000_000;
/// A wait for room goes in steps, with a sign of life between them.
const STEP: Duration = Duration::from_secs(1);

pub struct Link {
    emitter: Emitter,
    answers: Receiver<Answer>,
    shared: Arc<Shared>,
    /// None: nothing of this LSN line is in Kafka yet.
    committed: Option<Committed>,
    /// `end_lsn` of the newest batch that the emitter has.
    sent: EndLsn,
    in_flight: u64,
    behind: bool,
    /// Source transactions with records that Kafka has not committed yet: where they end, and when they committed.
    waiting: VecDeque<(EndLsn, i64)>,
}

impl Link {
    pub fn new(emitter: Emitter, answers: Receiver<Answer>, shared: Arc<Shared>, committed: Option<Committed>) -> Link {
        let sent = committed.map_or(EndLsn::ZERO, Committed::end_lsn);
        Link { emitter, answers, shared, committed, sent, in_flight: 0, behind: false, waiting: VecDeque::new() }
    }

    pub fn committed(&self) -> Option<Committed> {
        self.committed
    }

    pub fn committed_lsn(&self) -> EndLsn {
        self.committed.map_or(EndLsn::ZERO, Committed::end_lsn)
    }

    pub fn sent(&self) -> EndLsn {
        self.sent
    }

    /// A source transaction has records: its way to the reader ends with their commit.
    pub fn on_its_way(&mut self, end_lsn: EndLsn, commit_time: i64) {
        self.waiting.push_back((end_lsn, commit_time));
    }

    /// How long before it was sent the newest source transaction was committed, in µs, both by the server's clock.
    pub fn sent_after(&mut self, micros: i64) {
        self.behind = micros >= BEHIND_MICROS;
    }

    /// Hands `out` over and leaves an empty batch at the same position in its place. Waits for room.
    pub fn send(&mut self, out: &mut OutputBatch, edits: &mut Vec<Edit>, alone: bool) -> Result<(), Failure> {
        self.hand_over(out, edits, alone, false)
    }

    /// The same with records of a source transaction whose next ones go into the same Kafka transaction.
    pub fn send_unfinished(&mut self, out: &mut OutputBatch) -> Result<(), Failure> {
        self.hand_over(out, &mut Vec::new(), false, true)
    }

    fn hand_over(
        &mut self,
        out: &mut OutputBatch,
        edits: &mut Vec<Edit>,
        alone: bool,
        unfinished: bool,
    ) -> Result<(), Failure> {
        let next = OutputBatch {
            end_lsn: out.end_lsn,
            commit_time: out.commit_time,
            xid: out.xid,
            ..self.emitter.empty_batch()
        };
        self.sent = self.sent.max(out.end_lsn);
        let output = std::mem::replace(out, next);
        let progress = ProgressUpdate { edits: std::mem::take(edits) };
        self.in_flight += 1;
        if self.in_flight == 1 {
            self.shared.kafka_owes(true);
        }
        let mut begun = Instant::now();
        let mut batch = Batch { output, progress, must_commit_alone: alone, unfinished, behind: self.behind };
        loop {
            // It waits where the queue is full: Kafka is slower than the source, or away.
            let sent = self.emitter.send_timeout(batch, STEP);
            self.shared.held_back(BackpressureCause::Kafka, begun.elapsed());
            begun = Instant::now();
            match sent {
                Ok(None) => return Ok(()),
                Ok(Some(back)) => {
                    self.shared.beat();
                    batch = back;
                }
                // It takes nothing any more: its last answer says why.
                Err(_) => loop {
                    self.wait()?;
                },
            }
        }
    }

    /// What has been answered, without waiting.
    pub fn look(&mut self) -> Result<(), Failure> {
        loop {
            match self.answers.try_recv() {
                Ok(answer) => self.note(answer)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Failure::EmitterGone),
            }
        }
    }

    /// Waits for one answer, for a bounded time.
    pub fn wait(&mut self) -> Result<(), Failure> {
        self.shared.beat();
        self.wait_for(Duration::from_secs(1))
    }

    fn wait_for(&mut self, limit: Duration) -> Result<(), Failure> {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => self.note(answer),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::EmitterGone),
        }
    }

    /// Waits until Kafka has committed everything that was sent.
    pub fn drain(&mut self) -> Result<(), Failure> {
        while self.in_flight > 0 {
            self.wait()?;
        }
        Ok(())
    }

    /// The same for a limited time; says whether all is committed.
    pub fn drain_for(&mut self, limit: Duration) -> Result<bool, Failure> {
        let end = Instant::now() + limit;
        while self.in_flight > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.wait_for(left)?;
        }
        Ok(true)
    }

    /// Ends the emitter. What was not answered (`drain`) is left: the next take-over ends its transaction.
    pub fn finish(self) {
        match self.in_flight {
            0 => self.emitter.finish(),
            _ => self.emitter.abandon(),
        }
    }

    fn note(&mut self, answer: Answer) -> Result<(), Failure> {
        let commit: Commit = match answer {
            Answer::Committed(commit) => commit,
            Answer::Failed(e) => return Err(Failure::Emit(e)),
        };
        self.in_flight -= u64::from(commit.batches).min(self.in_flight);
        // An answer starts the wait for the next one.
        self.shared.kafka_owes(false);
        if self.in_flight > 0 {
            self.shared.kafka_owes(true);
        }
        self.committed = self.committed.max(Some(commit.committed));
        self.shared.committed(&commit);
        let (now, mut newest) = (SystemTime::now(), None);
        while let Some((_, at)) = self.waiting.pop_front_if(|(end, _)| *end <= commit.committed.end_lsn()) {
            self.shared.metrics.commit_visible(counting::time(at), now);
            newest = Some(at);
        }
        if let Some(at) = newest {
            self.shared.visible(at);
        }
        Ok(())
    }
}
