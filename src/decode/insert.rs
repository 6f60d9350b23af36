//! Insert: a new row.

use super::DecodeError;
use super::fields::Fields;
use crate::catalogue::Oid;
use crate::row::Tuple;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insert<'a> {
    pub relation: Oid,
    pub new: Tuple<'a>,
}

impl<'a> Insert<'a> {
    #[inline]
    pub(super) fn read(f: &mut Fields<'a>) -> Result<Insert<'a>, DecodeError> {
        let relation = f.u32("relation")?;
        match f.u8("tuple kind")? {
            b'N' => Ok(Insert { relation, new: f.tuple("new tuple")? }),
            kind => Err(f.unknown("tuple kind", kind)),
        }
    }
}
