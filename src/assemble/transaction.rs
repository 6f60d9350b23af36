//! A committed transaction, read as often as needed.

use super::AssembleError;
use super::frames::split_frame;
use super::spill::Spill;
use crate::change::{Change, CommitInfo};
use crate::decode::Message;

#[derive(Debug)]
pub struct Transaction {
    pub info: CommitInfo,
    /// The replication origin, if the transaction came to the server by replication.
    pub origin: Option<String>,
    /// The end of it; what is before is in `spill`.
    pub(super) buffer: Vec<u8>,
    pub(super) spill: Option<Spill>,
    pub(super) changes: u64,
    pub(super) only_inserts: bool,
    pub(super) bytes: u64,
}

impl Transaction {
    /// Changes, in their order, with the Relations that describe them at their place. Tuples are borrowed: nothing is
    /// allocated per value.
    pub fn for_each<E: From<AssembleError>>(&self, mut f: impl FnMut(Change<'_>) -> Result<(), E>) -> Result<(), E> {
        if let Some(spill) = &self.spill {
            spill.for_each(|payload| f(self.change(payload)?))?;
        }
        let mut rest = self.buffer.as_slice();
        while let Some((payload, after)) = split_frame(rest) {
            f(self.change(payload)?)?;
            rest = after;
        }
        Ok(())
    }

    /// Row changes, truncates and messages; Relations are not counted.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// No change of it is other than an INSERT.
    pub fn only_inserts(&self) -> bool {
        self.only_inserts
    }

    /// Bytes of all messages as they are kept, in memory or on disk.
    pub fn byte_len(&self) -> u64 {
        self.bytes
    }

    /// True for a transaction that brought nothing, not even a Relation: before PostgreSQL 15 every transaction that
    /// touches no published table comes like that.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub fn is_spilled(&self) -> bool {
        self.spill.is_some()
    }

    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    #[inline]
    fn change<'a>(&self, payload: &'a [u8]) -> Result<Change<'a>, AssembleError> {
        let failed = |source| AssembleError::DecodeIn { xid: self.info.xid, source };
        Ok(match Message::parse(payload).map_err(failed)? {
            Message::Relation(relation) => Change::Relation(relation),
            Message::Insert(i) => Change::Insert { relation: i.relation, new: i.new },
            Message::Update(u) => Change::Update { relation: u.relation, old: u.old, new: u.new },
            Message::Delete(d) => Change::Delete { relation: d.relation, old: d.old },
            Message::Truncate(t) => {
                Change::Truncate { relations: t.relations, cascade: t.cascade, restart_identity: t.restart_identity }
            }
            Message::Message(m) => Change::Message { prefix: m.prefix, content: m.content },
            // The assembler keeps none of these.
            Message::Begin(_) | Message::Commit(_) | Message::Origin(_) | Message::Type(_) => {
                return Err(AssembleError::SpillCorrupt);
            }
        })
    }
}
