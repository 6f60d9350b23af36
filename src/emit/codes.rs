//! The codes of what can be wrong with Kafka; each has a page in `docs/errors`.

use crate::diagnostic::Code;

pub const PROPERTY_NOT_YOURS: Code = Code(5001);
pub const PROPERTY_INVALID: Code = Code(5002);
pub const BROKER_AWAY: Code = Code(5003);
pub const TRANSACTIONS_NOT_READY: Code = Code(5004);
pub const NOT_AUTHORIZED: Code = Code(5005);
pub const DOUBTFUL_ANSWER: Code = Code(5006);
pub const SUPERSEDED: Code = Code(5007);
/// A broker does not take the name or the password.
pub const AUTHENTICATION: Code = Code(5008);
/// One side does not take the other's certificate.
pub const TLS: Code = Code(5009);
pub const TOPIC_MISSING: Code = Code(5010);
pub const PARTITION_COUNT: Code = Code(5011);
pub const CLEANUP_POLICY: Code = Code(5012);
pub const MAX_MESSAGE_BYTES: Code = Code(5013);
pub const TOPIC_RECREATED: Code = Code(5014);
pub const TOPIC_NOT_CREATED: Code = Code(5015);
pub const AUTO_CREATE: Code = Code(5016);
pub const DELETE_RETENTION: Code = Code(5017);
pub const TOPIC_NAME: Code = Code(5018);
pub const RECORD_TOO_LARGE: Code = Code(5020);
pub const PROGRESS_NEWER: Code = Code(5021);
pub const PROGRESS_UNREADABLE: Code = Code(5022);
/// A file that `[kafka.properties]` names cannot be read.
pub const SECRET: Code = Code(5023);
