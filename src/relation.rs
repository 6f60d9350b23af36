//! A table as the stream's Relation message describes it: valid from that point of the stream on.

use crate::catalogue::{Oid, QualifiedName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// With `publish_via_partition_root = false` the leaf's, not the root's.
    pub oid: Oid,
    pub name: QualifiedName,
    pub replica_identity: Identity,
    /// In tuple order, which need not be attnum order.
    pub columns: Vec<RelationColumn>,
}

/// The replica identity letter of the Relation message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Default,
    Nothing,
    Full,
    Index,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    pub name: String,
    pub type_oid: Oid,
    pub typmod: i32,
    /// Part of the replica identity (FULL flags all), which need not be the primary key.
    pub key: bool,
}
