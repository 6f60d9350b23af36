//! Relation: how the tuples of a table look from here on in the stream.

use super::DecodeError;
use super::fields::Fields;
use crate::catalogue::QualifiedName;
use crate::relation::{Identity, Relation, RelationColumn};

/// An empty namespace stands for `pg_catalog`.
pub(super) fn read(f: &mut Fields<'_>) -> Result<Relation, DecodeError> {
    let oid = f.u32("oid")?;
    let schema = match f.cstr("namespace")? {
        "" => "pg_catalog",
        schema => schema,
    };
    let name = QualifiedName::new(schema, f.cstr("name")?);
    let replica_identity = match f.u8("replica identity")? {
        b'd' => Identity::Default,
        b'n' => Identity::Nothing,
        b'f' => Identity::Full,
        b'i' => Identity::Index,
        value => return Err(f.unknown("replica identity", value)),
    };
    let count = usize::from(f.u16("number of columns")?);
    let mut columns = Vec::with_capacity(count.min(f.left()));
    for _ in 0..count {
        let key = match f.u8("column flags")? {
            0 => false,
            1 => true,
            value => return Err(f.unknown("column flags", value)),
        };
        columns.push(RelationColumn {
            key,
            name: f.cstr("column name")?.to_owned(),
            type_oid: f.u32("column type")?,
            typmod: f.i32("column typmod")?,
        });
    }
    Ok(Relation { oid, name, replica_identity, columns })
}
