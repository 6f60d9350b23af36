//! Begin: the first message of a transaction.

use super::DecodeError;
use super::fields::Fields;
use crate::lsn::Lsn;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Start of the commit record: the Commit's `commit_lsn`.
    pub final_lsn: Lsn,
    /// Microseconds since 2000-01-01.
    pub commit_time: i64,
    pub xid: u32,
}

impl Begin {
    pub(super) fn read(f: &mut Fields<'_>) -> Result<Begin, DecodeError> {
        Ok(Begin { final_lsn: Lsn(f.u64("final_lsn")?), commit_time: f.i64("commit_time")?, xid: f.u32("xid")? })
    }
}
