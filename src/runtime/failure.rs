//! What can end a session, and the one match that decides what becomes of it.

use crate::assemble::AssembleError;
use crate::capture::snapshot::LoadError;
use crate::capture::{self, ReadError};
use crate::config::SecretError;
use crate::diagnostic::Diagnostic;
use crate::emit::{EmitError, Remedy};
use crate::encode::readback::ReadbackError;
use crate::engine::EngineError;
use crate::lsn::EndLsn;
use crate::registry::RegistryError;
use crate::state::{DiskError, StateError};

use super::codes;
use super::decide::Refusal;
use super::status::Side;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Capture(#[from] capture::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error("the emitter has ended without a word")]
    EmitterGone,
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("a record that is in a topic cannot be read")]
    ReadBack(#[from] ReadbackError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "a reconcile of {topic} would write {tombstones} tombstones over {alive} live keys; max_tombstones allows {allowed}"
    )]
    Fuse { topic: String, alive: u64, tombstones: u64, allowed: u64, word: String },
    #[error("topic {topic} holds records that this bridge's progress does not know")]
    Adopt { topic: String, word: String },
    /// The watch: the catalogue changed in a way that the stream does not show.
    #[error("{what}")]
    Blind { what: String, publication: bool },
    /// Project, topics, publication: everything that is wrong at once.
    #[error("{} findings", .0.len())]
    Findings(Vec<Diagnostic>),
    /// The slot is held by another connection.
    #[error("slot {slot} was at {confirmed} when the stream was to begin at {wanted}")]
    Forwarded { slot: String, confirmed: EndLsn, wanted: EndLsn },
    #[error("shutting down")]
    ShutDown,
}

/// What the runtime does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can pass by itself: again, with a growing wait.
    Retry,
    /// The producer's fate is open: read progress, take over, go on (I4).
    TakeOver,
    /// The bridge ends, or stays and says why (`on_halt`).
    Stop(Exit),
    /// Not a failure: SIGTERM during a load.
    ShutDown,
}

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// `check`, `test`, `plan`, `verify` found something.
    Findings = 1,
    /// Usage, configuration, or an approval that is needed.
    Configuration = 2,
    /// The environment is not reachable; one-shot commands only.
    Unreachable = 3,
    /// Another instance is the owner.
    Fenced = 4,
    /// The slot is lost or the WAL has a gap.
    Gap = 5,
    /// A source change or a row that a transform cannot follow.
    Halted = 6,
}

impl Failure {
    pub fn verdict(&self) -> Verdict {
        use Verdict::*;
        match self {
            Failure::Capture(e) => capture_verdict(e),
            Failure::Read(e) => match e.is_transient() {
                true => Retry,
                false => Stop(Exit::Configuration),
            },
            Failure::Load(LoadError::Connection { source, .. } | LoadError::Table { source, .. }) => {
                capture_verdict(source)
            }
            Failure::Load(e) => match e.is_transient() {
                true => Retry,
                false => Stop(Exit::Halted),
            },
            Failure::Assemble(AssembleError::Spill { .. }) => Retry,
            Failure::Assemble(_) => Stop(Exit::Halted),
            Failure::Engine(e) => match e {
                EngineError::State(e) => state_verdict(e),
                EngineError::MissingRow { .. } | EngineError::DoubleRow { .. } => Stop(Exit::Halted),
                EngineError::Row { .. }
                | EngineError::Drift { .. }
                | EngineError::UnknownRelation { .. }
                | EngineError::ShortTuple { .. }
                | EngineError::Incomplete { .. }
                | EngineError::LeafTruncated { .. }
                | EngineError::DuplicateKey { .. }
                | EngineError::Assemble(_)
                | EngineError::Image(_)
                | EngineError::Outlet => Stop(Exit::Halted),
            },
            Failure::State(e) => state_verdict(e),
            Failure::Emit(e) => match e.remedy() {
                Remedy::TakeOverAgain => TakeOver,
                Remedy::Wait => Retry,
                Remedy::Fenced => Stop(Exit::Fenced),
                Remedy::Row => Stop(Exit::Halted),
                Remedy::Halt => Stop(Exit::Configuration),
            },
            Failure::EmitterGone => TakeOver,
            Failure::Registry(e) => match e.is_retriable() || e.may_pass() {
                true => Retry,
                false => Stop(Exit::Configuration),
            },
            Failure::ReadBack(_) => Stop(Exit::Halted),
            // A secret file that is being rotated; the environment stays as it is.
            Failure::Secret(SecretError::File { .. }) => Retry,
            Failure::Secret(SecretError::Variable { .. }) => Stop(Exit::Configuration),
            Failure::Refused(Refusal::Gap { .. }) => Stop(Exit::Gap),
            Failure::Refused(Refusal::OtherSource { .. }) | Failure::Fuse { .. } | Failure::Adopt { .. } => {
                Stop(Exit::Configuration)
            }
            Failure::Blind { publication: true, .. } => Stop(Exit::Gap),
            Failure::Blind { publication: false, .. } => Stop(Exit::Halted),
            Failure::Findings(_) => Stop(Exit::Configuration),
            // The next start sees where the slot is, and decides.
            Failure::Forwarded { .. } => Retry,
            Failure::ShutDown => ShutDown,
        }
    }

    /// A service answered and did not let us in, or a file with a secret is not there or not whole: for a command that ends
    /// this is not "out of reach". The bridge itself may try again, because what is in files is exchanged.
    pub fn is_credentials(&self) -> bool {
        match self {
            Failure::Secret(_) => true,
            Failure::Capture(e) => e.is_credentials(),
            Failure::Load(LoadError::Connection { source, .. } | LoadError::Table { source, .. }) => {
                source.is_credentials()
            }
            Failure::Emit(e) => {
                matches!(e, EmitError::Denied { .. } | EmitError::Secret { .. } | EmitError::Client { .. })
            }
            Failure::Registry(e) => e.is_credentials(),
            _ => false,
        }
    }

    /// Whose trouble it is, for the status.
    pub fn side(&self) -> Side {
        match self {
            Failure::Capture(e) => capture_side(e),
            Failure::Load(LoadError::Connection { source, .. } | LoadError::Table { source, .. }) => {
                capture_side(source)
            }
            Failure::Read(_) | Failure::Load(_) => Side::Source,
            Failure::Emit(EmitError::TooLarge { .. }) | Failure::Engine(EngineError::Row { .. }) => Side::Row,
            Failure::Emit(_) | Failure::EmitterGone => Side::Kafka,
            Failure::Registry(_) => Side::Registry,
            Failure::State(_)
            | Failure::Engine(EngineError::State(_))
            | Failure::Assemble(AssembleError::Spill { .. }) => Side::State,
            Failure::Refused(Refusal::Gap { .. })
            | Failure::Forwarded { .. }
            | Failure::Blind { publication: true, .. } => Side::Slot,
            Failure::Engine(EngineError::Drift { .. }) | Failure::Blind { publication: false, .. } => Side::Schema,
            Failure::Assemble(_)
            | Failure::Engine(_)
            | Failure::ReadBack(_)
            | Failure::Secret(_)
            | Failure::Refused(Refusal::OtherSource { .. })
            | Failure::Fuse { .. }
            | Failure::Adopt { .. }
            | Failure::Findings(_)
            | Failure::ShutDown => Side::Other,
        }
    }

    /// All that a person has to read.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Failure::Findings(all) => all.clone(),
            other => vec![other.diagnostic()],
        }
    }

    /// In one.
    pub fn diagnostic(&self) -> Diagnostic {
        let approve = |word: &str| {
            format!("if this is meant, run once with `--approve {word}` or put the word into [reconcile] approve")
        };
        match self {
            Failure::Capture(e) => e.diagnostic(),
            Failure::Emit(e) => e.diagnostic(),
            Failure::Registry(e) => e.diagnostic(),
            Failure::Findings(all) => {
                let first = all.first().cloned();
                first.unwrap_or_else(|| Diagnostic::error(codes::INTERNAL, "refused without a finding"))
            }
            Failure::Refused(r @ Refusal::Gap { word, .. }) => {
                Diagnostic::error(codes::GAP, chain(r)).help(format!("changes in between cannot be streamed any more; {}, or set gap = \"heal\": a new slot, and every topic is reconciled with its SELECT", approve(word)))
            }
            Failure::Refused(r @ Refusal::OtherSource { word, .. }) => {
                Diagnostic::error(codes::OTHER_SOURCE, chain(r)).help(format!("check [postgres] url; {}", approve(word)))
            }
            Failure::Fuse { word, .. } => Diagnostic::error(codes::FUSE, chain(self)).help(format!(
                "nothing was deleted; check that url, transform and tables are the right ones; {}",
                approve(word)
            )),
            Failure::Adopt { word, .. } => Diagnostic::error(codes::ADOPT, chain(self))
                .help(format!("another program may own it, or the progress topic was lost; {}", approve(word))),
            Failure::Blind { publication: true, .. } => Diagnostic::error(codes::BLIND, chain(self))
                .help("changes may be missing; the next start asks for leave to reconcile"),
            Failure::Blind { .. } => {
                Diagnostic::error(codes::BLIND, chain(self)).help("start again: the table is loaded anew and its topics are reconciled")
            }
            Failure::Engine(EngineError::Row { .. }) => Diagnostic::error(codes::ROW, chain(self)).help(
                "nothing of this transaction was written. Repair the row in the source and start once with `--reconcile NAME`, or widen SQL or contract and start, or set on_error = \"dead_letter\" and start",
            ),
            Failure::Engine(EngineError::MissingRow { .. } | EngineError::DoubleRow { .. }) => {
                Diagnostic::error(codes::GAP_PROVED, chain(self))
                    .help("start once with `--reconcile NAME` for a transform of this table: it is loaded anew and compared")
            }
            Failure::Engine(EngineError::Drift { .. }) => Diagnostic::error(codes::DRIFT, chain(self)).help(
                "adapt the transform and start again: what the change touches is loaded anew and reconciled",
            ),
            Failure::Engine(EngineError::LeafTruncated { .. }) => {
                Diagnostic::error(codes::LEAF_TRUNCATED, chain(self)).help("start with `--reconcile` for the transforms of this table")
            }
            Failure::State(StateError::Disk(DiskError::Full | DiskError::Unwritten))
            | Failure::Engine(EngineError::State(StateError::Disk(DiskError::Full | DiskError::Unwritten))) => {
                Diagnostic::error(codes::DISK_FULL, chain(self)).help("enlarge the volume of [bridge] state_dir; nothing is lost, the slot keeps the WAL")
            }
            Failure::State(StateError::Disk(e @ (DiskError::Open { .. } | DiskError::ReadOnly)))
            | Failure::Engine(EngineError::State(StateError::Disk(e @ (DiskError::Open { .. } | DiskError::ReadOnly)))) => {
                Diagnostic::error(codes::STATE_DIR, chain(e)).help(
                    "[bridge] state_dir has to be a directory that this process may write: look at the mount, its owner and its mode; nothing is lost, the slot keeps the WAL",
                )
            }
            Failure::State(e @ StateError::Disk(DiskError::Locked { .. })) => Diagnostic::error(codes::STATE, chain(e))
                .help("end the other pgspine first, or give this bridge a [bridge] state_dir of its own; a directory in use is not removed"),
            Failure::State(e) | Failure::Engine(EngineError::State(e)) => Diagnostic::error(codes::STATE, chain(e))
                .help("the state directory can be removed: it is rebuilt from the database and the topics"),
            Failure::Secret(_) => Diagnostic::error(codes::SECRET, chain(self)).help("check the file or the variable that the configuration names"),
            Failure::Assemble(e) => e.diagnostic(),
            Failure::Read(_) => Diagnostic::error(codes::CATALOGUE, chain(self)).help("the role needs to read the catalogue; see the server's log"),
            Failure::Load(e) => Diagnostic::error(codes::LOAD, chain(e)).help("the load begins anew; another session may hold a lock on the table, or the role lacks SELECT"),
            | Failure::Engine(_)
            | Failure::EmitterGone
            | Failure::ReadBack(_)
            | Failure::Forwarded { .. }
            | Failure::ShutDown => Diagnostic::error(codes::INTERNAL, chain(self)),
        }
    }
}

fn capture_side(e: &capture::Error) -> Side {
    match e {
        capture::Error::SlotLost { .. } | capture::Error::SlotMissing { .. } => Side::Slot,
        _ => Side::Source,
    }
}

fn capture_verdict(e: &capture::Error) -> Verdict {
    match e {
        // The next start looks at the slot, and calls it a gap.
        capture::Error::SlotLost { .. } | capture::Error::SlotMissing { .. } => Verdict::Retry,
        // The same of a publication that was dropped under the stream: 42704 is undefined_object.
        capture::Error::Server(e) if e.sqlstate == "42704" => Verdict::Retry,
        e if e.is_transient() => Verdict::Retry,
        _ => Verdict::Stop(Exit::Configuration),
    }
}

fn state_verdict(e: &StateError) -> Verdict {
    match e {
        // Space can be made while we wait; the slot keeps the WAL.
        StateError::Disk(DiskError::Full | DiskError::Unwritten) => Verdict::Retry,
        StateError::Disk(DiskError::Locked { .. } | DiskError::Open { .. } | DiskError::ReadOnly) => {
            Verdict::Stop(Exit::Configuration)
        }
        StateError::OtherBridge { .. } | StateError::NewerFormat { .. } | StateError::BadMeta { .. } => {
            Verdict::Stop(Exit::Configuration)
        }
        StateError::Disk(DiskError::Store(_) | DiskError::LongKey { .. })
        | StateError::WriterGone
        | StateError::Image(_) => Verdict::Stop(Exit::Halted),
    }
}

/// The error and its sources on one line, without saying anything twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
