//! Origin: the transaction came to the server by replication.

use super::DecodeError;
use super::fields::Fields;
use crate::lsn::Lsn;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Where it was committed on the origin.
    pub commit_lsn: Lsn,
    pub name: &'a str,
}

impl<'a> Origin<'a> {
    pub(super) fn read(f: &mut Fields<'a>) -> Result<Origin<'a>, DecodeError> {
        Ok(Origin { commit_lsn: Lsn(f.u64("commit_lsn")?), name: f.cstr("name")? })
    }
}
