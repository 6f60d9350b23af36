//! Update: a row that changed. The old tuple is there if the replica identity is FULL ('O'), or if a column of it
//! changed or is stored out of line ('K').

use super::DecodeError;
use super::fields::Fields;
use crate::catalogue::Oid;
use crate::change::OldTuple;
use crate::row::Tuple;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    pub relation: Oid,
    pub old: OldTuple<'a>,
    pub new: Tuple<'a>,
}

impl<'a> Update<'a> {
    #[inline]
    pub(super) fn read(f: &mut Fields<'a>) -> Result<Update<'a>, DecodeError> {
        let relation = f.u32("relation")?;
        let mut kind = f.u8("tuple kind")?;
        let old = match kind {
            b'K' => OldTuple::Key(f.tuple("old key")?),
            b'O' => OldTuple::Full(f.tuple("old tuple")?),
            _ => OldTuple::Absent,
        };
        if !matches!(old, OldTuple::Absent) {
            kind = f.u8("new tuple kind")?;
        }
        match kind {
            b'N' => Ok(Update { relation, old, new: f.tuple("new tuple")? }),
            kind => Err(f.unknown("tuple kind", kind)),
        }
    }
}
