//! The codes of findings about the catalogue, the publication and what a server must allow.
//! 4001–4049 are the connection's and the slot's (`codes.rs`). A number is never used for a second meaning.

use crate::diagnostic::Code;

/// The server is older than PostgreSQL 14.
pub const SERVER_TOO_OLD: Code = Code(4050);
/// The database's encoding is not UTF8.
pub const ENCODING: Code = Code(4051);
/// The role may not read a table, or a column of it, that a transform uses.
pub const NO_SELECT: Code = Code(4052);
/// A row-level security policy applies to our role on a table that a transform uses.
pub const ROW_SECURITY: Code = Code(4053);
/// The publication does not exist, and we are not to make it.
pub const NO_PUBLICATION: Code = Code(4054);
/// The publication is FOR ALL TABLES.
pub const ALL_TABLES: Code = Code(4055);
/// The publication does not send all of insert, update, delete and truncate, or publishes via the partition root.
pub const PUBLICATION_OPTIONS: Code = Code(4056);
/// A table that a transform uses is not in the publication.
pub const NOT_PUBLISHED: Code = Code(4057);
/// A column that a transform uses is not in the publication's column list.
pub const COLUMN_NOT_PUBLISHED: Code = Code(4058);
/// PostgreSQL would refuse UPDATE and DELETE on the table once it is published: nothing identifies its rows.
pub const NO_IDENTITY: Code = Code(4059);
/// A column list does not hold the columns of the replica identity, so UPDATE and DELETE would fail.
pub const IDENTITY_NOT_LISTED: Code = Code(4060);
/// A column list on a table with REPLICA IDENTITY FULL: UPDATE and DELETE would fail.
pub const LIST_WITH_FULL: Code = Code(4061);
/// The publication filters the table's rows.
pub const ROW_FILTER: Code = Code(4062);
/// Column lists exist from PostgreSQL 15 on.
pub const LISTS_NEED_15: Code = Code(4063);
/// PostgreSQL publishes permanent tables only: not views, foreign, temporary or unlogged tables.
pub const NOT_PUBLISHABLE: Code = Code(4064);
/// Our role may not create or alter the publication.
pub const NOT_OWNER: Code = Code(4065);
/// A column list on a partitioned table: PostgreSQL takes none without publish_via_partition_root.
pub const LIST_ON_PARTITIONED: Code = Code(4067);

/// The publication is gone, or another one by its name has taken its place.
pub const PUBLICATION_REPLACED: Code = Code(4070);
/// The publication's options were changed while we streamed from it.
pub const PUBLICATION_CHANGED: Code = Code(4071);
/// The table is gone, or another one by its name has taken its place.
pub const TABLE_REPLACED: Code = Code(4072);
/// The table left the publication, or left it and came back.
pub const MEMBERSHIP_CHANGED: Code = Code(4073);
/// A used column was dropped, made anew, or has another type.
pub const COLUMN_CHANGED: Code = Code(4074);
/// Partitions were attached, detached, dropped or replaced.
pub const PARTITIONS_CHANGED: Code = Code(4075);
/// A label of a used enum was renamed or is gone.
pub const ENUM_CHANGED: Code = Code(4076);
/// The table's replica identity is another one.
pub const IDENTITY_CHANGED: Code = Code(4077);
