//! 3: pgoutput messages → whole transactions, in commit order.
//!
//! The messages of the open transaction are kept as they came, one after the other in one buffer, and decoded in place
//! when the transaction is read. Beyond a limit the buffer moves to a spill file, so memory is bounded by the limit
//! whatever a transaction does. A message out of order is an error: nothing is skipped (I7).

pub mod codes;

mod frames;
mod spill;
mod transaction;

use std::path::PathBuf;

pub use spill::Spill;
pub use transaction::Transaction;

use crate::change::CommitInfo;
use crate::decode::{Begin, DecodeError, Message};
use crate::diagnostic::Diagnostic;
use crate::lsn::{EndLsn, Lsn};
use frames::push_frame;

#[derive(Clone, Debug)]
pub struct AssembleOptions {
    /// Bytes of one transaction that stay in memory.
    pub spill_above: usize,
    /// Where larger ones go. The files have no names there: nothing is left behind by a crash.
    pub spill_directory: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error("the message at {at} cannot be decoded")]
    Decode {
        at: Lsn,
        #[source]
        source: DecodeError,
    },
    #[error("a message of transaction {xid} cannot be decoded")]
    DecodeIn {
        xid: u32,
        #[source]
        source: DecodeError,
    },
    #[error("{message} at {at} is not inside of a transaction")]
    Outside { message: &'static str, at: Lsn },
    #[error("{message} at {at} inside of transaction {xid}")]
    Inside { message: &'static str, at: Lsn, xid: u32 },
    #[error("transaction {xid} began with the commit position {begun} and commits at {committed}")]
    OtherCommit { xid: u32, begun: Lsn, committed: Lsn },
    #[error("transaction {xid} ends at {end}, which is not after {last}, the end of the one before it")]
    Backwards { xid: u32, end: EndLsn, last: EndLsn },
    #[error("a transaction's spill file in {} failed after {written} bytes", .directory.display())]
    Spill {
        directory: PathBuf,
        written: u64,
        #[source]
        source: std::io::Error,
    },
    #[error("a spill file has other bytes than were written")]
    SpillCorrupt,
}

impl AssembleError {
    /// The finding for people, with the chain of causes.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            AssembleError::Spill { .. } | AssembleError::SpillCorrupt => {
                (codes::SPILL, "make room on the volume of state_dir: it must hold the largest source transaction")
            }
            AssembleError::Decode { .. }
            | AssembleError::DecodeIn { .. }
            | AssembleError::Outside { .. }
            | AssembleError::Inside { .. }
            | AssembleError::OtherCommit { .. }
            | AssembleError::Backwards { .. } => (
                codes::BAD_STREAM,
                "please report it with the server's version; nothing is skipped, the slot keeps the WAL",
            ),
        };
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(e) = source {
            message = format!("{message}: {e}");
            source = e.source();
        }
        Diagnostic::error(code, message).help(help)
    }
}

/// One per stream: the order of commits is checked within it.
#[derive(Debug)]
pub struct Assembler {
    options: AssembleOptions,
    open: Option<Open>,
    /// Relations that came outside of a transaction: they hold for the next one.
    carried: Vec<u8>,
    last_end: EndLsn,
    /// A buffer that has been used and comes back.
    spare: Vec<u8>,
    ignored_messages: u64,
}

#[derive(Debug)]
struct Open {
    begin: Begin,
    origin: Option<String>,
    buffer: Vec<u8>,
    spill: Option<Spill>,
    changes: u64,
    /// No other change than INSERTs so far.
    only_inserts: bool,
    bytes: u64,
}

/// What a message is for the transaction's account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Insert,
    /// Any other than an INSERT.
    Change,
    Relation,
}

/// A spare buffer above this is given back to the allocator.
const SPARE: usize = 4 << 20;

impl Assembler {
    pub fn new(options: AssembleOptions) -> Assembler {
        Assembler {
            options,
            open: None,
            carried: Vec::new(),
            last_end: EndLsn::ZERO,
            spare: Vec::new(),
            ignored_messages: 0,
        }
    }

    /// Takes the payload of one XLogData; gives the transaction that it ends.
    pub fn push(&mut self, wal_start: Lsn, payload: &[u8]) -> Result<Option<Transaction>, AssembleError> {
        match payload.first() {
            // The many: kept as they are, decoded once, when the transaction is read.
            Some(b'I') => self.keep("Insert", wal_start, payload, Kept::Insert).map(|()| None),
            Some(b'U') => self.keep("Update", wal_start, payload, Kept::Change).map(|()| None),
            Some(b'D') => self.keep("Delete", wal_start, payload, Kept::Change).map(|()| None),
            Some(b'T') => self.keep("Truncate", wal_start, payload, Kept::Change).map(|()| None),
            _ => self.push_rare(wal_start, payload),
        }
    }

    /// True between a Begin and its Commit: a keepalive's position is then no progress.
    pub fn has_open_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Gives the memory of a transaction back.
    pub fn recycle(&mut self, transaction: Transaction) {
        let buffer = transaction.into_buffer();
        if buffer.capacity() <= SPARE && buffer.capacity() > self.spare.capacity() {
            self.spare = buffer;
            self.spare.clear();
        }
    }

    /// Logical messages outside of transactions: they belong to no commit, and nothing reads them.
    pub fn ignored_messages(&self) -> u64 {
        self.ignored_messages
    }

    fn push_rare(&mut self, at: Lsn, payload: &[u8]) -> Result<Option<Transaction>, AssembleError> {
        let message = Message::parse(payload).map_err(|source| AssembleError::Decode { at, source })?;
        match message {
            Message::Begin(begin) => self.begin(at, begin)?,
            Message::Commit(commit) => return self.commit(at, commit).map(Some),
            Message::Origin(origin) => self.inside("Origin", at)?.origin = Some(origin.name.to_owned()),
            Message::Relation(_) if self.open.is_none() => push_frame(&mut self.carried, payload),
            Message::Relation(_) => self.keep("Relation", at, payload, Kept::Relation)?,
            // Only the name of a type, which the catalogue knows better.
            Message::Type(_) => {}
            Message::Message(m) if m.transactional => self.keep("Message", at, payload, Kept::Change)?,
            Message::Message(_) => self.ignored_messages += 1,
            Message::Insert(_) | Message::Update(_) | Message::Delete(_) | Message::Truncate(_) => {
                self.keep("a change", at, payload, Kept::Change)?;
            }
        }
        Ok(None)
    }

    fn begin(&mut self, at: Lsn, begin: Begin) -> Result<(), AssembleError> {
        if let Some(open) = &self.open {
            return Err(AssembleError::Inside { message: "Begin", at, xid: open.begin.xid });
        }
        let mut buffer = std::mem::take(&mut self.spare);
        buffer.append(&mut self.carried);
        let bytes = buffer.len() as u64;
        self.open = Some(Open { begin, origin: None, buffer, spill: None, changes: 0, only_inserts: true, bytes });
        Ok(())
    }

    fn commit(&mut self, at: Lsn, commit: crate::decode::Commit) -> Result<Transaction, AssembleError> {
        let open = self.open.take().ok_or(AssembleError::Outside { message: "Commit", at })?;
        let (xid, begun) = (open.begin.xid, open.begin.final_lsn);
        if begun != commit.commit_lsn {
            return Err(AssembleError::OtherCommit { xid, begun, committed: commit.commit_lsn });
        }
        if commit.end_lsn <= self.last_end {
            return Err(AssembleError::Backwards { xid, end: commit.end_lsn, last: self.last_end });
        }
        self.last_end = commit.end_lsn;
        let info = CommitInfo { xid, end_lsn: commit.end_lsn, commit_time: commit.commit_time };
        let Open { origin, buffer, spill, changes, only_inserts, bytes, .. } = open;
        Ok(Transaction { info, origin, buffer, spill, changes, only_inserts, bytes })
    }

    fn inside(&mut self, message: &'static str, at: Lsn) -> Result<&mut Open, AssembleError> {
        self.open.as_mut().ok_or(AssembleError::Outside { message, at })
    }

    #[inline]
    fn keep(&mut self, message: &'static str, at: Lsn, payload: &[u8], kept: Kept) -> Result<(), AssembleError> {
        let open = self.open.as_mut().ok_or(AssembleError::Outside { message, at })?;
        push_frame(&mut open.buffer, payload);
        open.changes += u64::from(kept != Kept::Relation);
        open.only_inserts &= kept != Kept::Change;
        open.bytes += payload.len() as u64 + 4;
        if open.buffer.len() > self.options.spill_above {
            if open.spill.is_none() {
                open.spill = Some(Spill::create(&self.options.spill_directory)?);
            }
            if let Some(spill) = &mut open.spill {
                spill.append(&open.buffer)?;
                open.buffer.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
