//! The codes of what stops the assembling of transactions.

use crate::diagnostic::Code;

/// A pgoutput message that cannot be decoded, or that comes out of order.
pub const BAD_STREAM: Code = Code(4015);
/// A large transaction cannot be written to, or read back from, its spill file.
pub const SPILL: Code = Code(4016);
