//! Where the engine's records go while a transaction is told: the way of a large one to the emitter.
//!
//! Records that memory is not to hold wait aside; parts carry the cursor by which a later run goes on.

use std::time::{Duration, Instant};

use crate::change::CommitInfo;
use crate::emit::{self, Edit};
use crate::engine::{self, EngineError, Outlet, Part, Transform};
use crate::failpoints;
use crate::lsn::{EndLsn, Lsn};
use crate::record::OutputBatch;

use super::aside::Aside;
use super::failure::Failure;
use super::link::Link;
use super::pipeline::Resume;
use super::reconcile;
use super::shared::{Large, Shared};

/// Takes the parts of a transaction that is too large for one Kafka transaction, and answers for live keys.
pub(super) struct ToEmitter<'p> {
    pub link: &'p mut Link,
    pub options: &'p emit::Options,
    pub edits: &'p mut Vec<Edit>,
    pub shared: &'p Shared,
    pub aside: Aside,
    pub room: usize,
    pub end_lsn: EndLsn,
    /// When the log last heard of a transaction that takes long.
    pub told: Instant,
    /// The status has heard of it.
    pub shown: bool,
    pub parts: u32,
    /// Some of its records are with the emitter, which waits for the rest.
    pub pieces: bool,
    pub failure: Option<Failure>,
}

/// How often the log hears how far a large transaction is.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl ToEmitter<'_> {
    /// The engine passes an error of its own on; what happened is kept here.
    pub fn kept<T>(&mut self, result: Result<T, Failure>) -> Result<T, EngineError> {
        result.map_err(|failure| {
            self.failure = Some(failure);
            EngineError::Outlet
        })
    }

    /// What came before the transaction goes out, then what was set aside of it.
    pub fn pieces(&mut self, out: &mut OutputBatch, part: Option<(u32, bool)>) -> Result<(), Failure> {
        if !out.records.is_empty() || !self.edits.is_empty() {
            self.link.send(out, self.edits, false)?;
        }
        let of = self.aside.records();
        let (position, mut done) = ((out.end_lsn, out.commit_time, out.xid), 0);
        let mut aside = std::mem::take(&mut self.aside);
        let sent = aside.drain(|mut piece| {
            failpoints::hit("piece");
            (piece.end_lsn, piece.commit_time, piece.xid) = position;
            piece.records.iter_mut().for_each(|r| r.part = part);
            done += piece.records.len() as u64;
            self.pieces = true;
            self.link.send_unfinished(&mut piece)?;
            self.shared.beat();
            self.link.look()?;
            self.tell_kafka(done, of);
            match self.shared.shutdown() {
                true => Err(Failure::ShutDown),
                false => Ok(()),
            }
        });
        self.aside = aside;
        sent
    }

    /// Status, gauge and log hear how far the transaction is.
    fn tell(&mut self, at: engine::Progress<'_>) {
        let (what, transform, done, of) = match at {
            engine::Progress::Changes { done, of } => ("reading changes", None, done, Some(of)),
            engine::Progress::Walk { transform, found } => ("looking for roots", Some(transform), found, None),
            engine::Progress::Roots { transform, done, of } => ("comparing roots", Some(transform), done, Some(of)),
            engine::Progress::Rest { transform } => ("the rest", transform, 0, None),
        };
        self.say(what, transform, done, of);
    }

    fn tell_kafka(&mut self, done: u64, of: u64) {
        self.say("records to Kafka", None, done, Some(of));
    }

    fn say(&mut self, what: &'static str, transform: Option<&str>, done: u64, of: Option<u64>) {
        self.shown = true;
        let (end_lsn, parts) = (self.end_lsn, self.parts);
        self.shared.transaction(Some(Large { end_lsn, what, transform: transform.map(Into::into), done, of, parts }));
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            tracing::info!(%end_lsn, what, transform, done, of, parts, "a large transaction");
        }
    }
}

impl Outlet for ToEmitter<'_> {
    fn part(&mut self, out: &mut OutputBatch, first: usize, info: &CommitInfo, part: Part) -> Result<(), EngineError> {
        let mut last = out.split_off(first);
        let sent = self.pieces(out, Some((part.number, false)));
        self.kept(sent)?;
        self.parts = part.number;
        let cursor =
            serde_json::json!({ "end_lsn": info.end_lsn.to_string(), "done": part.done, "parts": part.number });
        self.edits.push(Edit::TransactionCursor(Some(cursor)));
        let sent = self.link.send(&mut last, self.edits, true);
        self.pieces = false;
        self.kept(sent)
    }

    fn room(&self) -> usize {
        self.room
    }

    fn set_aside(&mut self, out: &mut OutputBatch, first: usize) -> Result<(), EngineError> {
        failpoints::hit("set_aside");
        let aside = self.aside.push(&out.split_off(first));
        self.kept(aside.map_err(Failure::from))
    }

    fn whole(&mut self, out: &mut OutputBatch, first: usize, part: Option<u32>) -> Result<(), EngineError> {
        let last = out.split_off(first);
        let sent = self.pieces(out, part.map(|number| (number, true)));
        *out = last;
        self.kept(sent)
    }

    fn progress(&mut self, at: engine::Progress<'_>) -> Result<(), EngineError> {
        self.shared.beat();
        self.tell(at);
        if self.shared.shutdown() {
            // Whole parts are in Kafka with their cursor; the rest comes again.
            return self.kept(Err(Failure::ShutDown));
        }
        // What is committed meanwhile is counted, and a failed emitter is noticed.
        let looked = self.link.look();
        self.kept(looked)
    }

    fn live_keys(
        &mut self,
        out: &mut OutputBatch,
        transform: &Transform,
        f: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError> {
        // Only what Kafka has committed can be read back.
        if !out.records.is_empty() {
            let sent = self.link.send(out, self.edits, false);
            self.kept(sent)?;
        }
        let drained = self.link.drain();
        self.kept(drained)?;
        let read = reconcile::live_keys(self.options, transform, f);
        self.kept(read)
    }
}

/// A cursor as `part` writes it.
pub fn read_cursor(cursor: &serde_json::Value) -> Option<Resume> {
    let end: Lsn = cursor.get("end_lsn")?.as_str()?.parse().ok()?;
    let done = cursor.get("done")?.as_u64()?;
    let parts = cursor.get("parts").and_then(|p| p.as_u64()).and_then(|p| u32::try_from(p).ok());
    Some(Resume { end_lsn: EndLsn(end), done, parts: parts.unwrap_or(0) })
}
