//! Codes of this room: 302x, tests.

use crate::diagnostic::Code;

/// There is nothing to run.
pub const NO_TESTS: Code = Code(3020);
/// A test file that cannot be read.
pub const TEST_FILE: Code = Code(3021);
/// A statement that PostgreSQL refuses, and no `-- error:` expects it.
pub const STATEMENT: Code = Code(3022);
/// Other records came than were expected.
pub const RECORDS: Code = Code(3023);
/// An error was expected that did not come, or another one came.
pub const OTHER_ERROR: Code = Code(3024);
/// The records so far are not what PostgreSQL answers to the SELECT.
pub const NOT_THE_ANSWER: Code = Code(3025);
/// A second run over the same changes made other records, or a record cannot be read under its contract.
pub const NOT_REPEATED: Code = Code(3026);
/// No PostgreSQL to run on.
pub const NO_SERVER: Code = Code(3027);
