//! The codes of this room's findings. 4001–4049: connection, slot, stream (4015 and 4016 are `assemble`'s);
//! 4050–4099: catalogue and publication.
//! `docs/errors/` has a page for each; a number is never used for a second meaning.

use crate::diagnostic::Code;

/// The connection string cannot be read, or names a parameter that is not known.
pub const BAD_OPTIONS: Code = Code(4001);
/// `sslmode` asks for TLS, and the server has none.
pub const TLS_NOT_OFFERED: Code = Code(4002);
/// No host of the list answers.
pub const NOT_REACHABLE: Code = Code(4003);
/// The server refuses the role or the password, or asks for a method that is not supported.
pub const AUTHENTICATION: Code = Code(4004);
/// `wal_level` is not `logical`.
pub const WAL_LEVEL: Code = Code(4005);
/// The role has no REPLICATION attribute.
pub const NO_REPLICATION_RIGHT: Code = Code(4006);
/// All replication slots, or all walsenders, are in use.
pub const NO_FREE_SLOT: Code = Code(4007);
/// A slot's name has characters that PostgreSQL does not take.
pub const SLOT_NAME: Code = Code(4008);
/// The slot exists with another output plugin, or is a physical one.
pub const SLOT_PLUGIN: Code = Code(4009);
/// The slot exists in another database.
pub const SLOT_DATABASE: Code = Code(4010);
/// Another process reads from the slot.
pub const SLOT_ACTIVE: Code = Code(4011);
/// The server has removed WAL that the slot needed.
pub const SLOT_LOST: Code = Code(4012);
/// The server went over to another timeline before the point up to which we received.
pub const TIMELINE_BREAK: Code = Code(4013);
/// A message that does not fit the protocol.
pub const PROTOCOL: Code = Code(4014);
/// `wal_sender_timeout` is 0.
pub const NO_WAL_SENDER_TIMEOUT: Code = Code(4017);
/// The slot does not exist.
pub const SLOT_MISSING: Code = Code(4018);
/// The server answered with an error that has no code of its own here.
pub const SERVER: Code = Code(4019);
/// The connection ended, or the server went silent.
pub const CONNECTION_LOST: Code = Code(4020);
/// The server does not take this connection without TLS.
pub const TLS_DEMANDED: Code = Code(4021);
/// The server's certificate comes from an authority that is not trusted.
pub const UNKNOWN_ISSUER: Code = Code(4022);
/// The server's certificate has expired, or is not valid yet.
pub const CERTIFICATE_EXPIRED: Code = Code(4023);
/// The server's certificate is another host's.
pub const WRONG_NAME: Code = Code(4024);
/// The server wants a client certificate, or does not take ours.
pub const CLIENT_CERTIFICATE: Code = Code(4025);
/// A root certificate, client certificate or key that cannot be used.
pub const TLS_FILES: Code = Code(4026);
/// The TLS handshake failed otherwise.
pub const TLS_FAILED: Code = Code(4027);
/// `channel_binding` or `require_auth` asks for more than the server's authentication gives.
pub const WEAK_AUTHENTICATION: Code = Code(4028);
