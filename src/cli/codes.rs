//! The codes of what only commands find: 301x the project, 408x the database against it, 802x asking a bridge.

use crate::diagnostic::Code;

/// Neither `schema.sql` nor `--live`.
pub const NO_SCHEMA: Code = Code(3010);
/// `schema.sql` cannot be read or written.
pub const SCHEMA_FILE: Code = Code(3011);
/// `schema.sql` and the database differ.
pub const SCHEMA_DIFFERS: Code = Code(3012);
/// A loud command without `--yes` and without a terminal to ask on.
pub const NOT_CONFIRMED: Code = Code(3013);
/// An option's value that the command cannot use.
pub const OPTION: Code = Code(3014);
/// A file that `init` would write is there already, or cannot be written.
pub const FILE_EXISTS: Code = Code(3015);
/// What `init` could not draft.
pub const LEFT_OUT: Code = Code(3016);
/// PostgreSQL gives an output another type than we do.
pub const OTHER_TYPE: Code = Code(4080);
/// PostgreSQL does not take the SELECT.
pub const SELECT_REFUSED: Code = Code(4081);
/// A statement of `setup` failed.
pub const SETUP_FAILED: Code = Code(4082);
/// A change of one row evaluates very many records again.
pub const FAN_OUT: Code = Code(4083);
/// No bridge answers on the control socket.
pub const NOT_RUNNING: Code = Code(8020);
/// The bridge refused what it was asked.
pub const REFUSED: Code = Code(8021);
