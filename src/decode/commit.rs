//! Commit: the last message of a transaction.

use super::DecodeError;
use super::fields::Fields;
use crate::lsn::{EndLsn, Lsn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record: what may be confirmed.
    pub end_lsn: EndLsn,
    /// Microseconds since 2000-01-01.
    pub commit_time: i64,
}

impl Commit {
    pub(super) fn read(f: &mut Fields<'_>) -> Result<Commit, DecodeError> {
        f.zero("flags")?;
        Ok(Commit {
            commit_lsn: Lsn(f.u64("commit_lsn")?),
            end_lsn: EndLsn::new(f.u64("end_lsn")?),
            commit_time: f.i64("commit_time")?,
        })
    }
}
