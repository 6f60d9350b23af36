//! Message: written with `pg_logical_emit_message`.

use super::DecodeError;
use super::fields::Fields;
use crate::lsn::Lsn;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// False: it stands outside of transactions, and comes even if the writer rolled back.
    pub transactional: bool,
    pub lsn: Lsn,
    pub prefix: &'a str,
    pub content: &'a [u8],
}

impl<'a> LogicalMessage<'a> {
    pub(super) fn read(f: &mut Fields<'a>) -> Result<LogicalMessage<'a>, DecodeError> {
        let transactional = match f.u8("flags")? {
            0 => false,
            1 => true,
            value => return Err(f.unknown("flags", value)),
        };
        let lsn = Lsn(f.u64("lsn")?);
        let prefix = f.cstr("prefix")?;
        let len = f.u32("content length")? as usize;
        Ok(LogicalMessage { transactional, lsn, prefix, content: f.bytes("content", len)? })
    }
}
