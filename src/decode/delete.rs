//! Delete: a row that is gone, by its replica identity ('K') or whole ('O').

use super::DecodeError;
use super::fields::Fields;
use crate::catalogue::Oid;
use crate::change::OldTuple;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    pub relation: Oid,
    /// Never `Absent`.
    pub old: OldTuple<'a>,
}

impl<'a> Delete<'a> {
    #[inline]
    pub(super) fn read(f: &mut Fields<'a>) -> Result<Delete<'a>, DecodeError> {
        let relation = f.u32("relation")?;
        let old = match f.u8("tuple kind")? {
            b'K' => OldTuple::Key(f.tuple("old key")?),
            b'O' => OldTuple::Full(f.tuple("old tuple")?),
            kind => return Err(f.unknown("tuple kind", kind)),
        };
        Ok(Delete { relation, old })
    }
}
