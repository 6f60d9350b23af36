//! The codes of this room.

use crate::diagnostic::Code;

/// No registry answers.
pub const UNREACHABLE: Code = Code(6001);
/// The registry does not let us in.
pub const UNAUTHORIZED: Code = Code(6002);
/// The schema is not compatible with an earlier version of the subject.
pub const INCOMPATIBLE: Code = Code(6003);
/// The registry takes the schema for no schema.
pub const INVALID: Code = Code(6004);
/// `mode = "verify"`, and the schema is not registered.
pub const NOT_REGISTERED: Code = Code(6005);
/// The subject has another compatibility level than the configuration asks for.
pub const LEVEL: Code = Code(6006);
/// An answer that the API does not describe.
pub const UNEXPECTED: Code = Code(6007);
/// Address, certificates or credentials in the configuration cannot be used.
pub const SETUP: Code = Code(6008);
/// One side does not take the other's certificate.
pub const TLS: Code = Code(6009);
/// A file with a password, token, certificate or key cannot be read.
pub const SECRET: Code = Code(6010);
