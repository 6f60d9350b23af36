//! The running bridge: sessions one after the other, until one ends for good.
//!
//! `survey` looks at project and source, for `run` and the one-shot commands alike.
//! A session is the whole way (`session`): what to do is decided by a pure function (`decide`), tables are loaded
//! (`load`), topics reconciled (`reconcile`, `fuse`), the stream is followed (`pipeline`, `link`, `idle`, `watch`).
//! Whatever fails becomes a [`Failure`], and one match in `failure` says whether it is tried again.

pub mod codes;
mod aside;
mod counting;
pub mod decide;
pub mod failure;
mod fingerprint;
mod fuse;
#[cfg(test)]
mod golden;
mod idle;
mod link;
pub mod load;
mod measure;
pub mod options;
mod pipeline;
pub mod preview;
pub mod project;
mod events;
mod reconcile;
pub mod session;
pub mod shared;
mod slot_look;
pub mod status;
pub mod survey;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::capture;
use crate::config::OnHalt;
use crate::diagnostic::Diagnostic;
use crate::emit::{EmitError, Remedy};
use crate::engine::EngineError;
use crate::lsn::Lsn;
use crate::metrics::{BridgeState, KafkaOutcome, Reconnect, SchemaDriftKind};

pub use failure::{Exit, Failure, Verdict};
pub use session::Bridge;
pub use shared::Shared;

use pipeline::Ended;
use project::Definition;
use slot_look::SlotLooks;

/// Where `run --until` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything that was committed before the start.
    CaughtUp,
    Lsn(Lsn),
}

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A session that held as long as this has earned a quick retry.
const HEALTHY: Duration = Duration::from_secs(60);

/// Runs until there is nothing more to try. Findings go to the log, once each.
pub fn run(bridge: &mut Bridge) -> Exit {
    let shared = Arc::clone(&bridge.shared);
    let _looks = looks(bridge);
    let mut wait = FIRST_WAIT;
    loop {
        let begun = std::time::Instant::now();
        let ended = session::run(bridge);
        if begun.elapsed() > HEALTHY {
            wait = FIRST_WAIT;
        }
        let failure = match ended {
            Ok(Ended::Shutdown | Ended::Until) => return Exit::Done,
            Ok(Ended::Reconcile(topics)) => {
                bridge.reconcile.extend(topics);
                continue;
            }
            Err(failure) => failure,
        };
        counted(&shared, &failure);
        bridge.part_records = smaller(&failure);
        if shared.shutdown() {
            // Asked to end while it was trying: what is committed is committed, and the rest comes again.
            return Exit::Done;
        }
        match failure.verdict() {
            Verdict::ShutDown => return Exit::Done,
            Verdict::Stop(exit) => return stop(bridge, &failure, exit),
            verdict @ (Verdict::Retry | Verdict::TakeOver) => {
                let d = failure.diagnostic();
                tracing::warn!(code = %d.code, help = d.help, wait_ms = wait.as_millis() as u64, take_over = (verdict == Verdict::TakeOver), "{}", d.message);
                shared.trouble(&failure, None);
                shared.is(BridgeState::Starting);
                if matches!(failure, Failure::State(_) | Failure::Engine(crate::engine::EngineError::State(_))) {
                    // A store that has failed once trusts itself no more; opened anew it may.
                    drop(bridge.state.take());
                }
                shared.wait(wait);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// A bridge that cannot even begin: says so like one that has stopped.
pub fn refuse(bridge: &mut Bridge, failure: &Failure, exit: Exit) -> Exit {
    let _looks = looks(bridge);
    stop(bridge, failure, exit)
}

fn looks(bridge: &Bridge) -> Option<SlotLooks> {
    let started = SlotLooks::start(&bridge.config, &bridge.shared);
    // Without them the stream goes on all the same.
    started.inspect_err(|e| tracing::warn!(error = %e, "the slot is not looked at")).ok()
}

/// A final failure: the end, or a process that stays to say why.
fn stop(bridge: &mut Bridge, failure: &Failure, exit: Exit) -> Exit {
    let shared = Arc::clone(&bridge.shared);
    for d in failure.diagnostics() {
        tracing::error!(code = %d.code, exit = exit as u8, "{d}");
    }
    if exit == Exit::Fenced {
        shared.metrics.fenced();
    }
    shared.trouble(failure, Some(exit));
    shared.is(BridgeState::Failed);
    drop(bridge.state.take());
    if bridge.config.bridge.on_halt == OnHalt::Stay {
        while !shared.shutdown() {
            shared.wait(LONGEST_WAIT);
        }
        if let Some(stream) = bridge.parked.take() {
            stream.stop();
        }
    }
    exit
}

/// Parts of half the size, where Kafka did not take one in time.
fn smaller(failure: &Failure) -> Option<usize> {
    match failure {
        Failure::Emit(EmitError::Slow { records, .. }) => {
            Some(usize::try_from(records / 2).unwrap_or(usize::MAX).max(1000))
        }
        _ => None,
    }
}

/// What a failure is to the metrics.
fn counted(shared: &Shared, failure: &Failure) {
    match failure {
        Failure::Capture(e) => shared.metrics.source_reconnected(match e {
            capture::Error::SlotActive { .. } => Reconnect::SlotActive,
            capture::Error::ServerShutdown { .. } => Reconnect::Shutdown,
            capture::Error::ReadTimeout => Reconnect::Silent,
            capture::Error::Connect { .. } => Reconnect::Refused,
            _ => Reconnect::Lost,
        }),
        Failure::Emit(e) => match e.remedy() {
            Remedy::Fenced => shared.metrics.kafka_transaction_failed(KafkaOutcome::Fenced),
            Remedy::TakeOverAgain => shared.metrics.kafka_transaction_failed(KafkaOutcome::Unknown),
            Remedy::Wait | Remedy::Row | Remedy::Halt => {}
        },
        Failure::Engine(EngineError::Drift { table, what, .. }) => {
            let kind = if what.contains("type") { SchemaDriftKind::Type } else { SchemaDriftKind::Column };
            shared.drifted(Some(table), kind);
        }
        _ => {}
    }
}

/// There is no transform of this name; the nearest one, or all.
pub fn unknown_transform(known: &[&str], name: &str) -> Diagnostic {
    let d = Diagnostic::error(codes::UNKNOWN_TRANSFORM, format!("there is no transform {name:?}"));
    match crate::transform::nearest(name, known.iter().copied()) {
        Some(nearest) => d.help(format!("did you mean {nearest:?}?")),
        None => d.help(format!("there are: {}", known.join(", "))),
    }
}

/// An event that was written stays written: there is nothing to compare.
pub fn no_reconcile_of_events(name: &str) -> Diagnostic {
    Diagnostic::error(codes::NO_RECONCILE, format!("{name} writes events: a topic of events is not reconciled"))
        .help("events come from INSERTs in the stream; after a gap the header's on_gap decides about them")
}

fn key_schema_changed(d: &Definition, before: Option<i32>, now: Option<i32>) -> Diagnostic {
    let text = |id: Option<i32>| id.map_or("a string key".to_owned(), |id| format!("key schema {id}"));
    Diagnostic::error(
        codes::KEY_SCHEMA_CHANGED,
        format!(
            "topic {} holds keys under {}, the transform {} now has {}",
            d.topic,
            text(before),
            d.file.name,
            text(now)
        ),
    )
    .help("key bytes of an entity never change: take the key back as it was, or write to a new topic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_kafka_did_not_take_is_halved() {
        let slow = |records| Failure::Emit(EmitError::Slow { records, limit: Duration::from_secs(45) });
        assert_eq!(slow(1_000_000).verdict(), Verdict::TakeOver);
        assert_eq!([smaller(&slow(1_000_000)), smaller(&slow(7))], [Some(500_000), Some(1000)]);
        assert_eq!(smaller(&Failure::EmitterGone), None);
    }
}
