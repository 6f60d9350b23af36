//! The fixed label values, as types: an event cannot be counted under a word that does not exist.

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
    )+};
}

words! {
    BridgeState {
        Starting = "starting", WaitingSlot = "waiting_slot", Snapshot = "snapshot", Streaming = "streaming",
        Paused = "paused", Draining = "draining", Failed = "failed",
    }
    TransformState { Loading = "loading", Live = "live", Reconciling = "reconciling", Stopped = "stopped" }
    /// `pg_replication_slots.wal_status`.
    WalStatus { Reserved = "reserved", Extended = "extended", Unreserved = "unreserved", Lost = "lost" }
    Operation { Insert = "insert", Update = "update", Delete = "delete", Truncate = "truncate" }
    /// Why the replication connection was made anew.
    Reconnect { Lost = "lost", Shutdown = "shutdown", Refused = "refused", SlotActive = "slot_active", Silent = "silent" }
    RecordKind { Upsert = "upsert", Tombstone = "tombstone", Event = "event" }
    /// Why a row could not become a record.
    RowErrorReason { Evaluate = "evaluate", Encode = "encode", TooLarge = "too_large" }
    /// What differs between the database or the registry and what the transform was planned against.
    SchemaDriftKind { Column = "column", Type = "type", Table = "table", Contract = "contract" }
    KafkaOutcome { Committed = "committed", Aborted = "aborted", Unknown = "unknown", Fenced = "fenced" }
    /// What the reader waits for.
    BackpressureCause { Pipeline = "pipeline", Kafka = "kafka", State = "state", Memory = "memory" }
}

impl WalStatus {
    /// The column's text; an unknown one is a newer server's.
    pub fn of(text: &str) -> Option<WalStatus> {
        WalStatus::ALL.iter().copied().find(|s| s.word() == text)
    }
}
