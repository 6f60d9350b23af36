//! Local state: the row images that plans read, never ahead of Kafka.
//!
//! ```text
//!  put ─▶ pending ─ freeze ─▶ frozen ─ one synced batch, once Kafka has committed it ─▶ disk ─▶ Durable(EndLsn)
//!  get ◀─ pending ◀────────── frozen ◀────────────── row cache ◀────────────────────── disk
//! ```
//!
//! On top lies, for the time of one source transaction, what it has staged: so both sides of it can be read
//! ([`View`]). It joins `pending` when the transaction is done, and is dropped when it fails.
//!
//! The rule (I1): a batch goes to disk only with a [`Committed`] at or past its last transaction, and [`Durable`],
//! which alone lets the slot be told, is made here alone. What a crash takes is replayed from the slot without being
//! emitted. Between batches the disk holds a consistent prefix of the source's transactions: the batch and its LSN are
//! written together.

pub mod bag;
mod cache;
mod disk;
mod hash;
pub mod image;
mod layer;
mod load;
pub mod meta;
mod scans;
mod view;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use crate::emit::Committed;
use crate::lsn::EndLsn;
use cache::RowCache;
use disk::Disk;
pub use disk::DiskError;
use layer::Layer;
pub use load::Load;
pub use meta::{Meta, TableState, TableStatus};
use scans::Scans;
pub use view::{EachEntry, View};

/// The state on disk covers everything up to here. Built only in this room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable(EndLsn);

impl Durable {
    pub fn lsn(self) -> EndLsn {
        self.0
    }
}

/// A set of keys of its own: the rows of one table, the live keys of one topic during a reconcile, held keys.
/// The number is never used again for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub u32);

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("state directory {dir} belongs to bridge {found:?}, this is bridge {expected:?}")]
    OtherBridge { dir: String, found: String, expected: String },
    #[error("state directory {dir} has format {found}, this version knows formats up to {known}")]
    NewerFormat { dir: String, found: u32, known: u32 },
    #[error("the state's own record in {dir} cannot be read")]
    BadMeta { dir: String, source: serde_json::Error },
    #[error("the writer of the local state has ended")]
    WriterGone,
    #[error("a row on disk is damaged")]
    Image(#[source] image::BadImage),
}

/// Bytes of rows kept in memory in front of the disk.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub cache_bytes: usize,
}

pub struct State {
    disk: Disk,
    meta: Meta,
    /// What the source transaction that is being applied has changed.
    staged: Layer,
    pending: Layer,
    /// The last source transaction that is in `pending` or below.
    applied: EndLsn,
    frozen: Option<Frozen>,
    cache: RefCell<RowCache>,
    scans: RefCell<Scans>,
    writer: Writer,
    temporary: bool,
}

struct Frozen {
    layer: Arc<Layer>,
    lsn: EndLsn,
    handed_over: bool,
}

/// Counters for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    pub cache_hits: u64,
    pub cache_misses: u64,
}

impl State {
    /// Opens or makes the state of `bridge` in `dir`, which no other process may hold.
    pub fn open(dir: &Path, bridge: &str, limits: Limits) -> Result<State, StateError> {
        let disk = Disk::open(dir, limits.cache_bytes)?;
        let meta = Meta::load(&disk, dir, bridge)?;
        let writer = Writer::start(disk.clone());
        let applied = meta.durable();
        Ok(State {
            disk,
            meta,
            staged: Layer::default(),
            pending: Layer::default(),
            applied,
            frozen: None,
            cache: RefCell::new(RowCache::new(limits.cache_bytes)),
            scans: RefCell::default(),
            writer,
            temporary: false,
        })
    }

    /// A state that nothing is resumed from: for a look at the stream that confirms nothing. Its directory is the
    /// caller's to remove.
    pub fn temporary(dir: &Path, limits: Limits) -> Result<State, StateError> {
        Ok(State { temporary: true, ..State::open(dir, "temporary", limits)? })
    }

    /// Writes what is pending, whatever Kafka has: only of a temporary state, where no position depends on it.
    pub fn settle(&mut self) -> Result<(), StateError> {
        if !self.temporary || self.pending.is_empty() {
            return Ok(());
        }
        let layer = std::mem::take(&mut self.pending);
        let mut batch = self.disk.batch();
        for (space, key, value) in layer.sorted() {
            match value {
                Some(v) => batch.insert(space, key, v)?,
                None => batch.remove(space, key)?,
            }
        }
        batch.commit()?;
        self.scans.get_mut().clear();
        self.remember(layer);
        Ok(())
    }

    /// What is on disk: every source transaction up to here, none after it.
    pub fn durable(&self) -> EndLsn {
        self.meta.durable()
    }

    pub fn applied(&self) -> EndLsn {
        self.applied
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Changes the state's own record and writes it at once, synced.
    pub fn update_meta(&mut self, change: impl FnOnce(&mut Meta)) -> Result<(), StateError> {
        change(&mut self.meta);
        let mut batch = self.disk.batch();
        self.meta.write(&mut batch);
        Ok(batch.commit_synced()?)
    }

    pub fn get(&mut self, space: SpaceId, key: &[u8]) -> Result<Option<&[u8]>, StateError> {
        // The borrow checker wants each layer asked twice where the answer is borrowed; `has` is the cheap first ask.
        if self.pending.has(space, key) {
            return Ok(self.pending.get(space, key).flatten());
        }
        if let Some(f) = &self.frozen
            && f.layer.has(space, key)
        {
            return Ok(self.frozen.as_ref().and_then(|f| f.layer.get(space, key)).flatten());
        }
        let cache = self.cache.get_mut();
        if !cache.promote(space, key) {
            let value = self.disk.get(space, key)?;
            cache.insert(space, key.into(), value.map(|v| v.as_ref().into()));
        }
        Ok(cache.get(space, key))
    }

    /// Part of the transaction that `advance` names next.
    pub fn put(&mut self, space: SpaceId, key: Box<[u8]>, value: Option<Box<[u8]>>) {
        self.pending.put(space, key, value);
    }

    /// The same, seen only by [`View::After`] until `keep_staged`.
    pub fn stage(&mut self, space: SpaceId, key: Box<[u8]>, value: Option<Box<[u8]>>) {
        self.staged.put(space, key, value);
    }

    /// The transaction is done: what it staged is seen by everybody.
    pub fn keep_staged(&mut self) {
        if !self.staged.is_empty() {
            self.pending.absorb(std::mem::take(&mut self.staged));
        }
    }

    /// The transaction has failed.
    pub fn drop_staged(&mut self) {
        self.staged = Layer::default();
    }

    /// Everything put so far belongs to transactions up to `lsn`.
    pub fn advance(&mut self, lsn: EndLsn) {
        debug_assert!(lsn >= self.applied && self.staged.is_empty());
        self.applied = lsn;
    }

    /// Bytes that wait in memory for Kafka and the disk.
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes() + self.frozen.as_ref().map_or(0, |f| f.layer.bytes())
    }

    pub fn read_counts(&self) -> ReadCounts {
        self.cache.borrow().counts()
    }

    /// One step of the way to disk, without waiting: collects a finished batch, hands over a frozen one that Kafka has
    /// committed, and, if `freeze`, closes what is pending. A new durable position is returned once.
    pub fn step(&mut self, committed: Committed, freeze: bool) -> Result<Option<Durable>, StateError> {
        let mut durable = None;
        if self.frozen.as_ref().is_some_and(|f| f.handed_over)
            && let Some(done) = self.writer.poll()?
        {
            durable = Some(self.written(done)?);
        }
        if freeze && self.frozen.is_none() && (self.applied > self.durable() || !self.pending.is_empty()) {
            let layer = Arc::new(std::mem::take(&mut self.pending));
            self.frozen = Some(Frozen { layer, lsn: self.applied, handed_over: false });
        }
        if let Some(f) = &mut self.frozen
            && !f.handed_over
            && committed.end_lsn() >= f.lsn
        {
            let mut meta = self.meta.clone();
            meta.set_durable(f.lsn);
            self.writer.send(Job { layer: f.layer.clone(), meta })?;
            f.handed_over = true;
        }
        Ok(durable)
    }

    /// Waits until all that Kafka has committed is on disk; what it has not stays pending.
    pub fn flush(&mut self, committed: Committed) -> Result<Option<Durable>, StateError> {
        let mut newest = None;
        loop {
            if self.frozen.as_ref().is_some_and(|f| f.handed_over) {
                let done = self.writer.wait()?;
                newest = Some(self.written(done)?);
                continue;
            }
            newest = self.step(committed, true)?.or(newest);
            if !self.frozen.as_ref().is_some_and(|f| f.handed_over) {
                return Ok(newest);
            }
        }
    }

    fn written(&mut self, done: Result<EndLsn, DiskError>) -> Result<Durable, StateError> {
        let lsn = done?;
        self.meta.set_durable(lsn);
        self.scans.get_mut().clear();
        if let Some(f) = self.frozen.take() {
            debug_assert_eq!(f.lsn, lsn);
            if let Ok(layer) = Arc::try_unwrap(f.layer) {
                self.remember(layer);
            } else {
                // Somebody still reads the layer: nothing depends on the cache having it, but it must not be stale.
                self.forget_read();
            }
        }
        crate::failpoints::hit("state_durable");
        Ok(Durable(lsn))
    }

    /// The disk changes past the layers.
    fn forget_read(&mut self) {
        self.cache.get_mut().clear();
        self.scans.get_mut().clear();
    }

    /// What is on disk now is likely to be read soon.
    fn remember(&mut self, layer: Layer) {
        let cache = self.cache.get_mut();
        for (space, entries) in layer.into_spaces() {
            if !self.meta.is_index(space) {
                entries.into_iter().for_each(|(key, value)| cache.insert(space, key, value));
            }
        }
    }

    /// Writes rows past the layers: a load. Not synced; `update_meta` afterwards makes the whole of it count.
    pub fn load(&mut self) -> Load<'_> {
        self.forget_read();
        Load::new(&self.disk)
    }

    /// Empties a space that no layer holds anything of: before a load, or when its owner is gone.
    pub fn clear(&mut self, space: SpaceId) -> Result<(), StateError> {
        debug_assert!(!self.pending.has_space(space));
        self.forget_read();
        Ok(self.disk.drop_space(space)?)
    }

    /// Removes keys of a space directly on disk; only for spaces that never pass the layers.
    pub fn remove_direct<'k>(&self, space: SpaceId, keys: impl Iterator<Item = &'k [u8]>) -> Result<(), StateError> {
        self.scans.borrow_mut().clear();
        let mut batch = self.disk.batch();
        for key in keys {
            batch.remove(space, key)?;
        }
        Ok(batch.commit()?)
    }

    /// Reads past the layers and the cache; only for spaces that never pass the layers.
    pub fn get_direct(&self, space: SpaceId, key: &[u8]) -> Result<Option<impl AsRef<[u8]> + use<>>, StateError> {
        Ok(self.disk.get(space, key)?)
    }

    /// What is not on disk is forgotten: a session has ended, and its transactions come again.
    pub fn forget_pending(&mut self) {
        // A batch that is being written is committed in Kafka and may well arrive.
        if self.frozen.as_ref().is_some_and(|f| f.handed_over)
            && let Ok(done) = self.writer.wait()
            && let Ok(lsn) = done
        {
            self.meta.set_durable(lsn);
        }
        self.frozen = None;
        self.drop_staged();
        self.pending = Layer::default();
        self.forget_read();
        self.applied = self.durable();
    }

    /// Forgets all rows and the position, at once and synced.
    pub fn discard(&mut self, system_identifier: &str) -> Result<(), StateError> {
        self.forget_pending();
        self.update_meta(|m| m.discard(system_identifier))?;
        self.applied = EndLsn::ZERO;
        Ok(())
    }

    /// A space that nothing on disk speaks of: what is left in it by a crash is emptied before it is used again.
    pub fn new_temporary_space(&mut self) -> SpaceId {
        self.meta.new_space()
    }

    /// An approximate count of a space's keys on disk.
    pub fn approximate_len(&self, space: SpaceId) -> Result<u64, StateError> {
        Ok(self.disk.approximate_len(space)?)
    }

    pub fn disk_bytes(&self, space: SpaceId) -> Result<u64, StateError> {
        Ok(self.disk.space_bytes(space)?)
    }
}

struct Job {
    layer: Arc<Layer>,
    meta: Meta,
}

/// The thread that writes batches, so that an fsync never holds up the pipeline.
struct Writer {
    jobs: Option<mpsc::SyncSender<Job>>,
    done: mpsc::Receiver<Result<EndLsn, DiskError>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    fn start(disk: Disk) -> Writer {
        let (jobs, inbox) = mpsc::sync_channel::<Job>(1);
        let (outbox, done) = mpsc::channel();
        let body = move || {
            for job in inbox {
                let lsn = job.meta.durable();
                crate::failpoints::hit("before_state");
                let result = write(&disk, &job).map(|()| lsn);
                crate::failpoints::hit("state_written");
                // The layer is let go before the answer, so that the owner can take it apart.
                drop(job);
                if outbox.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("state".into()).spawn(body).expect("a thread can be started");
        Writer { jobs: Some(jobs), done, thread: Some(thread) }
    }

    fn send(&self, job: Job) -> Result<(), StateError> {
        self.jobs.as_ref().ok_or(StateError::WriterGone)?.send(job).map_err(|_| StateError::WriterGone)
    }

    fn poll(&self) -> Result<Option<Result<EndLsn, DiskError>>, StateError> {
        match self.done.try_recv() {
            Ok(done) => Ok(Some(done)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => Err(StateError::WriterGone),
        }
    }

    fn wait(&self) -> Result<Result<EndLsn, DiskError>, StateError> {
        self.done.recv().map_err(|_| StateError::WriterGone)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}

/// Sorted by key, so that the LSM's memtable is filled in order.
fn write(disk: &Disk, job: &Job) -> Result<(), DiskError> {
    let mut batch = disk.batch();
    for (space, key, value) in job.layer.sorted() {
        match value {
            Some(v) => batch.insert(space, key, v)?,
            None => batch.remove(space, key)?,
        }
    }
    job.meta.write(&mut batch);
    batch.commit_synced()
}

#[cfg(test)]
mod tests;
