//! The codes of this room; each has its page `docs/errors/PGSnnnn.md`.

use crate::diagnostic::Code;

pub const NOT_READABLE: Code = Code(3001);
pub const NOT_TOML: Code = Code(3002);
pub const UNKNOWN_KEY: Code = Code(3003);
pub const WRONG_TYPE: Code = Code(3004);
pub const BAD_VALUE: Code = Code(3005);
pub const MISSING_KEY: Code = Code(3006);
pub const MISSING_VARIABLE: Code = Code(3007);
pub const UNKNOWN_OVERRIDE: Code = Code(3008);
pub const CONFLICTING_KEYS: Code = Code(3009);
