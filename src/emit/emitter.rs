//! The thread that owns the producer: batches in, one Kafka transaction after the other, answers out.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::EmitError;
use super::group::{Grouping, Next};
use super::headers::{HeaderBuffer, Own};
use super::options::Kind;
use super::producer::Outgoing;
use super::progress::{Edit, Progress};
use super::queue::{self, Queue, Stopped};
use super::session::Session;
use super::{Answer, Batch, Commit, Committed, TopicCounts};
use crate::clock;
use crate::failpoints;
use crate::lsn::EndLsn;
use crate::record::OutputBatch;

/// The pipeline's hold on the emitter.
pub struct Emitter {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// How often an idle emitter looks after its client.
const IDLE: Duration = Duration::from_millis(500);
const WAITING: &str = "waiting for work";

impl Emitter {
    /// Starts the thread "emitter". `answers` is called on it; after [`Answer::Failed`] never again.
    pub fn start(session: Session, answers: impl FnMut(Answer) + Send + 'static) -> Result<Emitter, EmitError> {
        let queue = Arc::new(Queue::new(session.options.queue_bytes));
        let input = Arc::clone(&queue);
        Self::spawn(queue, move || Writer::new(session, input).run(answers))
    }

    /// Counts and answers as if everything were committed at once, without Kafka: for benchmarks.
    pub fn discard(
        topics: usize,
        queue_bytes: usize,
        answers: impl FnMut(Answer) + Send + 'static,
    ) -> Result<Emitter, EmitError> {
        let queue = Arc::new(Queue::new(queue_bytes));
        let input = Arc::clone(&queue);
        Self::spawn(queue, move || discard(topics, &input, answers))
    }

    fn spawn(queue: Arc<Queue>, body: impl FnOnce() + Send + 'static) -> Result<Emitter, EmitError> {
        let stop = StopAtEnd(Arc::clone(&queue));
        let body = move || {
            let _stop = stop;
            body();
        };
        let thread = std::thread::Builder::new()
            .name("emitter".to_owned())
            .spawn(body)
            .map_err(|source| EmitError::Thread { source })?;
        Ok(Emitter { queue, thread: Some(thread) })
    }

    /// Hands a batch over, waiting for room.
    pub fn send(&self, batch: Batch) -> Result<(), Stopped> {
        self.queue.send(batch)
    }

    /// Gives the batch back when there was no room in time.
    pub fn send_timeout(&self, batch: Batch, timeout: Duration) -> Result<Option<Batch>, Stopped> {
        self.queue.send_timeout(batch, timeout)
    }

    /// An empty batch, with the memory of one that was written.
    pub fn empty_batch(&self) -> OutputBatch {
        self.queue.empty_batch()
    }

    /// What waits to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.queue.waiting_bytes()
    }

    /// Writes and commits what was sent, and ends. The answers say what became of it.
    pub fn finish(mut self) {
        self.queue.close();
        self.join();
    }

    /// Ends without committing anything more: what waits is dropped, and an open transaction is left to its fate.
    /// A commit that is under way is waited for, up to its time limit.
    pub fn abandon(mut self) {
        self.queue.stop();
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the emitter's thread has panicked");
        }
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        self.queue.stop();
        self.join();
    }
}

/// Senders must not wait for a thread that is gone, whatever it died of.
struct StopAtEnd(Arc<Queue>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Writer {
    session: Session,
    queue: Arc<Queue>,
    grouping: Grouping,
    headers: HeaderBuffer,
    group: Group,
    /// Zero of the grouping's clock.
    start: Instant,
}

/// What an open transaction does next.
enum Join {
    Write(Batch),
    Close,
    Abandoned,
    /// The rest of what it holds has not come in time.
    Late,
}

/// The open transaction's account.
#[derive(Default)]
struct Group {
    topics: Vec<TopicCounts>,
    batches: u32,
    records: u64,
    bytes: u64,
    /// It holds a source transaction that is large by itself, or a part of one.
    large: bool,
    end_lsn_before: EndLsn,
}

impl Writer {
    fn new(session: Session, queue: Arc<Queue>) -> Writer {
        let grouping = Grouping::new(session.options.commit);
        Writer {
            session,
            queue,
            grouping,
            headers: HeaderBuffer::default(),
            group: Group::default(),
            start: Instant::now(),
        }
    }

    fn run(mut self, mut answers: impl FnMut(Answer)) {
        loop {
            match self.next_commit() {
                Ok(Some(commit)) => answers(Answer::Committed(commit)),
                Ok(None) => return,
                Err(error) => {
                    self.queue.stop();
                    // The producer goes first, its transaction uncommitted: the answer may start a take-over at once.
                    drop(self);
                    return answers(Answer::Failed(error));
                }
            }
        }
    }

    /// Waits for a first batch, writes it and what fits with it, commits. None: the input has ended.
    fn next_commit(&mut self) -> Result<Option<Commit>, EmitError> {
        while self.queue.wait(Instant::now() + IDLE).is_none() {
            if self.queue.is_done() {
                return Ok(None);
            }
            self.session.producer.poll();
            let producer = &self.session.producer;
            if let Some(error) = producer.fatal(WAITING).or_else(|| producer.denied(WAITING)) {
                return Err(error);
            }
        }
        let Some(first) = self.queue.take() else { return Ok(None) };
        let opened = Instant::now();
        // I5: bounded in time. A transaction that cannot be filled and closed in it is given up by us, not by the broker.
        let deadline = opened + self.session.options.timeouts.commit;
        self.session.producer.begin().map_err(|source| EmitError::doubtful("beginning a transaction", source))?;
        self.group = Group {
            topics: vec![TopicCounts::default(); self.session.options.topics.len()],
            end_lsn_before: self.session.progress.end_lsn,
            ..Group::default()
        };
        match self.fill_and_close(first, opened, deadline) {
            Err(EmitError::Doubtful { .. }) if self.group.large && Instant::now() >= deadline => {
                Err(EmitError::Slow { records: self.group.records, limit: self.session.options.timeouts.commit })
            }
            done => done,
        }
    }

    fn fill_and_close(
        &mut self,
        first: Batch,
        opened: Instant,
        deadline: Instant,
    ) -> Result<Option<Commit>, EmitError> {
        self.write(first, deadline)?;
        loop {
            match self.join(deadline) {
                Join::Write(batch) => self.write(batch, deadline)?,
                Join::Close => break,
                // Its records stay uncommitted: the next take-over aborts them.
                Join::Abandoned => return Ok(None),
                Join::Late => {
                    let limit = self.session.options.timeouts.commit;
                    return Err(EmitError::Slow { records: self.group.records, limit });
                }
            }
        }
        self.close(opened, deadline).map(Some)
    }

    fn join(&self, deadline: Instant) -> Join {
        while self.grouping.is_unfinished() {
            if self.queue.is_done() {
                return Join::Abandoned;
            }
            match self.queue.wait(deadline.min(Instant::now() + IDLE)) {
                Some(_) => return self.queue.take().map_or(Join::Abandoned, Join::Write),
                None if Instant::now() >= deadline => return Join::Late,
                None => self.session.producer.poll(),
            }
        }
        let mut waiting = self.queue.wait(Instant::now());
        loop {
            if self.queue.is_stopped() {
                return Join::Abandoned;
            }
            match self.grouping.next(self.start.elapsed(), waiting) {
                Next::Take => return self.queue.take().map_or(Join::Abandoned, Join::Write),
                Next::Commit => return Join::Close,
                Next::Wait { .. } if self.queue.is_closed() => return Join::Close,
                Next::Wait { until } => waiting = self.queue.wait(self.start + until),
            }
        }
    }

    fn write(&mut self, batch: Batch, deadline: Instant) -> Result<(), EmitError> {
        let size = queue::size(&batch);
        self.group.large |= size.alone || size.unfinished;
        let Batch { output, progress, .. } = batch;
        let Session { options, producer, progress: at } = &mut self.session;
        let now = clock::now_millis();
        for record in &output.records {
            let topic = usize::from(record.topic.0);
            let (Some(target), Some(counts)) = (options.topics.get(topic), self.group.topics.get_mut(topic)) else {
                return Err(EmitError::Batch { what: format!("topic number {topic}") });
            };
            let value = output.value(record);
            let outgoing = Outgoing {
                partition: record.partition,
                key: output.key(record),
                value,
                // Brokers refuse times too far ahead, and retention by time would never reach them.
                timestamp: record.timestamp.min(now).max(1),
            };
            let own = Own { event_id: output.event_id(record), annotations: output.annotations(record) };
            self.headers.fill(options.headers, record, at.epoch, &target.transform, target.kind == Kind::Event, own);
            producer.send(topic, &outgoing, &self.headers, deadline)?;
            match value {
                Some(_) => counts.upserts += 1,
                None => counts.tombstones += 1,
            }
        }
        self.group.batches += 1;
        self.group.records += size.records;
        self.group.bytes += size.bytes;
        self.grouping.add(self.start.elapsed(), size);
        for edit in &progress.edits {
            at.apply(edit);
        }
        advance(at, &output);
        for edit in &progress.edits {
            self.write_transform(edit, deadline)?;
        }
        self.queue.spent(output);
        Ok(())
    }

    fn write_transform(&self, edit: &Edit, deadline: Instant) -> Result<(), EmitError> {
        let key = |topic: &str| format!("{}/{topic}", self.session.options.bridge);
        match edit {
            Edit::Transform(t) => self.session.write_beside(key(&t.topic).as_bytes(), Some(&t.to_json()), deadline),
            Edit::ForgetTransform { topic } => self.session.write_beside(key(topic).as_bytes(), None, deadline),
            _ => Ok(()),
        }
    }

    /// Data acknowledged, then progress as the last record, then the commit (I3).
    fn close(&mut self, opened: Instant, deadline: Instant) -> Result<Commit, EmitError> {
        let (closing, closing_at) = (Instant::now(), self.start.elapsed());
        self.session.producer.flush(deadline)?;
        failpoints::hit("produced");
        for (topic, counts) in self.session.options.topics.iter().zip(&self.group.topics) {
            if let Some(there) = self.session.progress.topics.get_mut(&topic.name) {
                there.records += counts.upserts + counts.tombstones;
            }
        }
        self.session.progress.prev_lsn = self.group.end_lsn_before;
        self.session.write_progress(deadline)?;
        self.session.producer.flush(deadline)?;
        failpoints::hit("before_commit");
        self.session.producer.commit(self.session.options.timeouts.commit)?;
        failpoints::hit("after_commit");
        self.grouping.committed(closing_at, self.start.elapsed());
        let group = std::mem::take(&mut self.group);
        Ok(Commit {
            committed: Committed(self.session.progress.end_lsn),
            topics: group.topics,
            batches: group.batches,
            records: group.records,
            bytes: group.bytes,
            duration: opened.elapsed(),
            closing: closing.elapsed(),
        })
    }
}

/// The position after a batch. It never goes back by itself: `Edit::Rebase` does that, and says so.
fn advance(at: &mut Progress, output: &OutputBatch) {
    if output.end_lsn > at.end_lsn {
        at.end_lsn = output.end_lsn;
        at.seq = 0;
        if output.commit_time != 0 {
            at.commit_time = Some(output.commit_time);
            at.xid = output.xid;
        }
    }
    if let Some(last) = output.records.last() {
        at.seq = last.seq + 1;
    }
}

fn discard(topics: usize, queue: &Queue, mut answers: impl FnMut(Answer)) {
    let mut end_lsn = EndLsn::ZERO;
    loop {
        while queue.wait(Instant::now() + IDLE).is_none() {
            if queue.is_done() {
                return;
            }
        }
        let opened = Instant::now();
        let mut commit = Commit {
            committed: Committed(end_lsn),
            topics: vec![TopicCounts::default(); topics],
            batches: 0,
            records: 0,
            bytes: 0,
            duration: Duration::ZERO,
            closing: Duration::ZERO,
        };
        while let Some(Batch { output, .. }) = queue.take() {
            for record in &output.records {
                if let Some(counts) = commit.topics.get_mut(usize::from(record.topic.0)) {
                    counts.upserts += u64::from(record.value.is_some());
                    counts.tombstones += u64::from(record.value.is_none());
                }
            }
            commit.batches += 1;
            commit.records += output.records.len() as u64;
            commit.bytes += output.arena.len() as u64;
            end_lsn = end_lsn.max(output.end_lsn);
            queue.spent(output);
        }
        commit.committed = Committed(end_lsn);
        commit.duration = opened.elapsed();
        answers(Answer::Committed(commit));
    }
}
