//! The pipeline: chunks in, batches out, on one thread.
//!
//! It owns the engine and the state, hands batches to the emitter, and learns from the emitter's answers what is
//! committed; then the state goes to disk, and then the slot is told. Nothing else decides about positions.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::assemble::{Assembler, Transaction};
use crate::capture::{self, Chunk, Feedback, ReplicationMessage, Stream};
use crate::confirm::confirm;
use crate::emit::{self, Edit};
use crate::engine::{Engine, Mode};
use crate::failpoints;
use crate::lsn::EndLsn;
use crate::metrics::BackpressureCause;
use crate::record::OutputBatch;
use crate::registry;
use crate::state::{Durable, State};

use super::aside::Aside;
use super::counting::Counting;
use super::failure::{Exit, Failure, Verdict};
use super::idle::IdlePolicy;
use super::link::Link;
use super::measure;
use super::outlet::ToEmitter;
use super::reconcile::{self, Barrier};
use super::shared::Shared;

pub struct Pipeline<'a> {
    pub engine: Engine,
    pub state: &'a mut State,
    pub link: Link,
    pub registry: Arc<registry::Client>,
    pub emit_options: emit::Options,
    pub feedback: Arc<Feedback>,
    pub shared: Arc<Shared>,
    /// Kafka has these already: they only go to the state.
    pub replay_to: EndLsn,
    /// A split transaction that is in Kafka in part.
    pub resume: Option<Resume>,
    /// What has to be reconciled once the stream is there.
    pub barrier: Option<Barrier>,
    /// The barrier is behind us.
    pub reconciled: bool,
    pub until: Option<EndLsn>,
    pub limits: Limits,
    pub out: OutputBatch,
    pub edits: Vec<Edit>,
    pub idle: IdlePolicy,
    pub counting: Counting,
    /// Where records of large transactions wait.
    pub spill_directory: PathBuf,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A batch goes to the emitter at the latest with as many bytes or records.
    pub batch_bytes: usize,
    pub batch_records: usize,
    /// Rows that wait in memory for Kafka and the disk.
    pub pending_bytes: usize,
    /// Records of one transaction beyond it wait on disk.
    pub room: usize,
}

/// Where a split transaction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    pub end_lsn: EndLsn,
    /// Records and parts that Kafka has.
    pub done: u64,
    pub parts: u32,
}

/// Why the pipeline came back without an error.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// SIGTERM: drained.
    Shutdown,
    /// `--until` is reached.
    Until,
    /// Somebody asked for a reconcile of these topics: the session begins anew.
    Reconcile(BTreeSet<String>),
}

/// How long the state gathers before it goes to disk.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How often counters become metrics.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for Kafka: a part of the ten seconds in which the process has to be gone.
const DRAIN: Duration = Duration::from_secs(4);

/// How long a wait for the stream lasts when nothing is in flight; answers are looked at in between.
const LOOK_AROUND: Duration = Duration::from_millis(20);

impl Pipeline<'_> {
    /// Reads until there is a reason to stop. Of a transaction that stops the bridge nothing goes out; what came before
    /// it does.
    pub fn run(&mut self, stream: &mut Stream, assembler: &mut Assembler) -> Result<Ended, Failure> {
        self.counting.stream(stream.counters());
        let watched = self.shared.watch_pipeline();
        let ended = self.turn(stream, assembler);
        drop(watched);
        self.publish();
        if let Err(failure) = &ended
            && matches!(failure.verdict(), Verdict::Stop(exit) if exit != Exit::Fenced)
            && !matches!(failure, Failure::Emit(_) | Failure::State(_))
            && let Err(e) = self.send().and_then(|()| self.link.drain()).and_then(|()| self.flush_state())
        {
            tracing::warn!(error = %e, "what came before the halt is not in Kafka yet: it comes again");
        }
        ended
    }

    fn turn(&mut self, stream: &mut Stream, assembler: &mut Assembler) -> Result<Ended, Failure> {
        let mut last_freeze = Instant::now();
        let mut last_publish: Option<Instant> = None;
        let mut held: Option<Chunk> = None;
        loop {
            self.shared.beat();
            failpoints::hit("turn");
            if let Some(ended) = self.asked_to_end()? {
                return Ok(ended);
            }
            self.link.look()?;
            let now = Instant::now();
            if last_publish.is_none_or(|at| now.duration_since(at) >= PUBLISH_EVERY) {
                last_publish = Some(now);
                self.publish();
            }
            let demanded = self.feedback.shutdown_requested().is_some();
            let freeze = demanded
                || now.duration_since(last_freeze) >= FLUSH_EVERY
                || self.state.pending_bytes() > self.limits.pending_bytes / 2;
            if freeze {
                last_freeze = now;
            }
            self.step_state(freeze)?;
            while self.state.pending_bytes() > self.limits.pending_bytes {
                // Rows come faster than Kafka commits: the stream waits, not the memory.
                // Rows that no transform shows have no records: then the position goes by itself, or they would wait for ever.
                if self.out.end_lsn > self.link.sent() {
                    self.link.send(&mut self.out, &mut self.edits, false)?;
                } else {
                    self.send()?;
                }
                let begun = Instant::now();
                self.link.wait()?;
                self.shared.held_back(BackpressureCause::State, begun.elapsed());
                self.step_state(true)?;
            }
            if self.shared.paused() {
                self.shared.wait_unpaused(LOOK_AROUND);
                continue;
            }
            let next = match held.take() {
                Some(chunk) => Some(chunk),
                None => stream.next(LOOK_AROUND)?,
            };
            match next {
                // The pause was asked for while we waited: what came after it waits too.
                Some(chunk) if self.shared.paused() => {
                    held = Some(chunk);
                    continue;
                }
                Some(chunk) => {
                    self.chunk(&chunk, assembler)?;
                    stream.recycle(chunk);
                    self.send()?;
                }
                None => failpoints::hit("idle"),
            }
            self.idle_progress(demanded)?;
        }
    }

    pub fn publish(&mut self) {
        self.counting.publish(&self.engine, self.state, &self.shared);
    }

    fn asked_to_end(&mut self) -> Result<Option<Ended>, Failure> {
        if self.shared.shutdown() {
            return Ok(Some(Ended::Shutdown));
        }
        if let Some(finding) = self.shared.take_finding() {
            return Err(finding);
        }
        if let Some(topics) = self.shared.take_reconcile() {
            return Ok(Some(Ended::Reconcile(topics)));
        }
        let reached = self.until.is_some_and(|u| self.link.committed_lsn() >= u) && self.barrier.is_none();
        Ok(reached.then_some(Ended::Until))
    }

    fn chunk(&mut self, chunk: &Chunk, assembler: &mut Assembler) -> Result<(), Failure> {
        failpoints::hit("received");
        for message in chunk.messages() {
            match message.map_err(capture::Error::Protocol)? {
                ReplicationMessage::XLogData { wal_start, time, payload, .. } => {
                    if let Some(tx) = assembler.push(wal_start, payload)? {
                        failpoints::hit("assembled");
                        self.link.sent_after(time - tx.info.commit_time);
                        self.transaction(&tx)?;
                        assembler.recycle(tx);
                    }
                }
                ReplicationMessage::Keepalive { wal_end, .. } => {
                    // What the server has sent up to here is in our hands; inside a transaction it says nothing.
                    if !assembler.has_open_transaction() {
                        self.reached(EndLsn(wal_end))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn transaction(&mut self, tx: &Transaction) -> Result<(), Failure> {
        let info = tx.info;
        if self.barrier.as_ref().is_some_and(|b| info.end_lsn > b.at) {
            reconcile::run(self)?;
        }
        if info.end_lsn <= self.state.applied() {
            // The server goes back to where it was told, which may lie before what the state has; and the state is
            // never ahead of Kafka.
            return Ok(());
        }
        let resumed = self.resume.filter(|r| r.end_lsn == info.end_lsn);
        let mode = match (info.end_lsn <= self.replay_to, resumed) {
            (true, _) => Mode::Replay,
            (false, None) => Mode::Emit { skip: 0 },
            (false, Some(Resume { done, parts, .. })) => Mode::Resume { skip: done, parts },
        };
        let before = self.out.records.len();
        let mut outlet = ToEmitter {
            link: &mut self.link,
            options: &self.emit_options,
            edits: &mut self.edits,
            shared: &self.shared,
            aside: Aside::new(self.spill_directory.clone()),
            room: self.limits.room,
            end_lsn: info.end_lsn,
            told: Instant::now(),
            shown: false,
            parts: 0,
            pieces: false,
            failure: None,
        };
        let applied = self.engine.apply(tx, mode, self.state, &mut self.out, &mut outlet);
        let (parts, pieces, failure) = (outlet.parts, outlet.pieces, outlet.failure.take());
        if outlet.shown {
            self.shared.transaction(None);
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        applied?;
        failpoints::hit("evaluated");
        if resumed.is_some() || parts > 0 {
            self.resume = None;
            self.edits.push(Edit::TransactionCursor(None));
        }
        self.counting.transactions += 1;
        if self.out.records.len() > before || parts > 0 || pieces {
            self.idle.busy();
            self.link.on_its_way(info.end_lsn, info.commit_time);
        }
        if pieces {
            // Its last records, or at least its position: without them the Kafka transaction stays open.
            self.link.send(&mut self.out, &mut self.edits, false)?;
        }
        if self.out.arena.len() >= self.limits.batch_bytes || self.out.records.len() >= self.limits.batch_records {
            self.send()?;
        }
        Ok(())
    }

    /// Everything up to `at` is known to be without a change for us.
    fn reached(&mut self, at: EndLsn) -> Result<(), Failure> {
        if self.barrier.as_ref().is_some_and(|b| at >= b.at) {
            reconcile::run(self)?;
        }
        if at > self.replay_to {
            self.engine.advance(at, self.state, &mut self.out);
        }
        Ok(())
    }

    /// Hands what there is to the emitter. A position without records waits for the idle policy.
    pub fn send(&mut self) -> Result<(), Failure> {
        if self.out.records.is_empty() && self.edits.is_empty() {
            return Ok(());
        }
        self.link.send(&mut self.out, &mut self.edits, false)
    }

    pub fn step_state(&mut self, freeze: bool) -> Result<(), Failure> {
        let Some(committed) = self.link.committed() else { return Ok(()) };
        if let Some(durable) = self.state.step(committed, freeze)? {
            self.told(durable);
        }
        Ok(())
    }

    /// Waits until all that Kafka has is on disk, and tells the slot.
    pub fn flush_state(&mut self) -> Result<(), Failure> {
        let Some(committed) = self.link.committed() else { return Ok(()) };
        if let Some(durable) = self.state.flush(committed)? {
            self.told(durable);
        }
        Ok(())
    }

    fn told(&self, durable: Durable) {
        if measure::discards() {
            return;
        }
        confirm(&self.feedback, durable);
        self.shared.confirmed(durable.lsn());
    }

    /// With nothing in flight a position of its own becomes progress now and then, so that an idle database pins no WAL.
    fn idle_progress(&mut self, demanded: bool) -> Result<(), Failure> {
        let at = self.out.end_lsn;
        if at <= self.link.sent() || !self.out.records.is_empty() {
            return Ok(());
        }
        let wanted = self.until.is_some_and(|u| self.link.committed_lsn() < u && at >= u);
        if demanded || wanted || self.idle.due(Instant::now()) {
            self.idle.sent(Instant::now());
            self.link.send(&mut self.out, &mut self.edits, false)?;
        }
        Ok(())
    }

    /// SIGTERM: what is here goes out, is committed, is durable, is told to the slot. Where Kafka takes its time, what
    /// is committed by then counts, and the rest comes again with the next start.
    pub fn drain(&mut self) -> Result<(), Failure> {
        if self.out.end_lsn > self.link.sent() || !self.out.records.is_empty() || !self.edits.is_empty() {
            self.link.send(&mut self.out, &mut self.edits, false)?;
        }
        if !self.link.drain_for(DRAIN)? {
            tracing::warn!(
                limit_s = DRAIN.as_secs(),
                "Kafka has not committed in time: the next start goes on from what it has"
            );
        }
        self.flush_state()
    }

    /// The end of the emitter.
    pub fn finish(self) {
        self.link.finish();
    }
}
