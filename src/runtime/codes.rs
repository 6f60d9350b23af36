//! Codes of this room: 7 local state, 8 running.

use crate::diagnostic::Code;

pub const STATE: Code = Code(7001);
pub const DISK_FULL: Code = Code(7002);
/// The state directory cannot be made, opened or written.
pub const STATE_DIR: Code = Code(7003);
pub const INTERNAL: Code = Code(8001);
pub const GAP: Code = Code(8002);
pub const OTHER_SOURCE: Code = Code(8003);
pub const FUSE: Code = Code(8004);
pub const ADOPT: Code = Code(8005);
pub const BLIND: Code = Code(8006);
pub const ROW: Code = Code(8007);
pub const GAP_PROVED: Code = Code(8008);
pub const DRIFT: Code = Code(8009);
pub const LEAF_TRUNCATED: Code = Code(8010);
pub const SECRET: Code = Code(8011);
pub const CATALOGUE: Code = Code(8015);
pub const LOAD: Code = Code(8016);
pub const CONTRACT_UNREADABLE: Code = Code(8012);
pub const UNKNOWN_TRANSFORM: Code = Code(8013);
pub const KEY_SCHEMA_CHANGED: Code = Code(8014);
/// `reconcile` of an event topic.
pub const NO_RECONCILE: Code = Code(8017);
/// A `pgspine.annotate` message that is not understood.
pub const ANNOTATION: Code = Code(8018);
