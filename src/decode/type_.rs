//! Type: the name of a type that is not built in, before the Relation that uses it.

use super::DecodeError;
use super::fields::Fields;
use crate::catalogue::Oid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type<'a> {
    pub oid: Oid,
    pub schema: &'a str,
    pub name: &'a str,
}

impl<'a> Type<'a> {
    pub(super) fn read(f: &mut Fields<'a>) -> Result<Type<'a>, DecodeError> {
        Ok(Type { oid: f.u32("oid")?, schema: f.cstr("namespace")?, name: f.cstr("name")? })
    }
}
