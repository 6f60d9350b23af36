//! Truncate: tables that were emptied together.

use super::DecodeError;
use super::fields::Fields;
use crate::catalogue::Oid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    pub relations: Vec<Oid>,
    pub cascade: bool,
    pub restart_identity: bool,
}

impl Truncate {
    pub(super) fn read(f: &mut Fields<'_>) -> Result<Truncate, DecodeError> {
        let count = f.u32("number of relations")? as usize;
        let options = f.u8("options")?;
        if options & !3 != 0 {
            return Err(f.unknown("options", options));
        }
        let mut relations = Vec::with_capacity(count.min(f.left() / 4));
        for _ in 0..count {
            relations.push(f.u32("relation")?);
        }
        Ok(Truncate { relations, cascade: options & 1 != 0, restart_identity: options & 2 != 0 })
    }
}
