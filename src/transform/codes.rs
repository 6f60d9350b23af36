//! The codes of this room: `PGS1nnn`, the transform file and its SQL. Each has a page in `docs/errors/`.

use crate::diagnostic::Code;

/// The header is missing, or is not TOML of the right form.
pub const HEADER: Code = Code(1001);
pub const UNKNOWN_HEADER_KEY: Code = Code(1002);
/// A header value that is not allowed.
pub const HEADER_VALUE: Code = Code(1003);
pub const DUPLICATE_TOPIC: Code = Code(1004);
pub const NO_TRANSFORMS: Code = Code(1005);
/// The file cannot be read, or is not UTF-8.
pub const UNREADABLE: Code = Code(1006);
/// `event_id` is no plain output that is never NULL, or the configuration leaves headers out.
pub const EVENT_ID: Code = Code(1008);
/// The root of an event is partitioned: a row that moves arrives as a new one.
pub const EVENT_PARTITIONED: Code = Code(1009);

pub const SYNTAX: Code = Code(1010);
/// Not exactly one SELECT.
pub const ONE_SELECT: Code = Code(1011);
/// A clause or construct outside of the language.
pub const UNSUPPORTED: Code = Code(1012);
pub const STAR: Code = Code(1013);
/// Joins and subqueries.
pub const JOIN: Code = Code(1014);
/// A subquery that no equality ties to the rows around it.
pub const NOT_CORRELATED: Code = Code(1015);
/// An aggregate where none may stand, or a column beside one.
pub const AGGREGATE: Code = Code(1016);

pub const UNKNOWN_TABLE: Code = Code(1020);
pub const UNKNOWN_COLUMN: Code = Code(1021);
/// A view, a foreign table, or a table with row-level security.
pub const TABLE_KIND: Code = Code(1022);
/// System columns, generated columns, whole rows.
pub const COLUMN_KIND: Code = Code(1023);
pub const OUTPUT_NAME: Code = Code(1024);
/// A name that two tables of one FROM have.
pub const AMBIGUOUS: Code = Code(1025);

pub const UNKNOWN_TYPE: Code = Code(1030);
pub const UNKNOWN_FUNCTION: Code = Code(1031);
/// PostgreSQL has it; we cannot match it exactly.
pub const NOT_EXACT: Code = Code(1032);
/// Answers differ between calls or sessions.
pub const VOLATILE: Code = Code(1033);
/// No operator, cast or common type, as PostgreSQL would say.
pub const TYPE_MISMATCH: Code = Code(1034);
/// A constant that its type does not take, or a constant expression that always fails.
pub const CONSTANT: Code = Code(1035);
/// The order or equality of text depends on a collation we cannot match.
pub const COLLATION: Code = Code(1036);
/// A user's function of the same name could be meant.
pub const USER_FUNCTION: Code = Code(1037);

pub const KEY_OUTPUT: Code = Code(1040);
pub const KEY_NOT_UNIQUE: Code = Code(1041);
pub const KEY_NULLABLE: Code = Code(1042);
/// `not_null` names no output.
pub const NOT_NULL_PATH: Code = Code(1043);
/// A join that may give a root more than one row.
pub const MULTIPLIES: Code = Code(1044);
/// A warning: rows that the ORDER BY does not tell apart.
pub const ORDER_NOT_TOTAL: Code = Code(1045);

/// `schema.sql` holds a statement that we do not read.
pub const SCHEMA_SQL: Code = Code(1050);
