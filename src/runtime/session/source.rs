//! The source as a session finds it: slot, timeline, fingerprints; the publication as it is wanted; the slot, once nobody
//! else reads from it.

use super::kafka::refuse;
use crate::capture;
use crate::capture::Connection;
use crate::capture::Mode;
use crate::capture::connect;
use crate::capture::publication;
use crate::capture::publication::Facts;
use crate::capture::slot;
use crate::capture::timeline;
use crate::capture::watch::Fingerprints;
use crate::config::Config;
use crate::emit;
use crate::emit::Progress;
use crate::lsn::EndLsn;
use crate::lsn::Lsn;
use crate::metrics::BridgeState;
use crate::runtime::decide::Slot;
use crate::runtime::decide::Source;
use crate::runtime::failure::Failure;
use crate::runtime::fingerprint;
use crate::runtime::options;
use crate::runtime::shared::Shared;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn look_at_source(
    config: &Config,
    pg: &capture::Options,
    sql: &mut Connection,
    system: &timeline::System,
    progress: Option<&Progress>,
    prints: &Fingerprints,
    kept: Option<&serde_json::Value>,
) -> Result<Source, Failure> {
    let mut source = Source {
        system_identifier: system.identifier.to_string(),
        timeline: system.timeline,
        diverged: None,
        slot: Slot::Absent,
        changed_tables: BTreeSet::new(),
        lost_inserts: BTreeSet::new(),
        publication_changed: None,
    };
    source.slot = match slot::read(sql, &config.postgres.slot)? {
        _ if config.postgres.temporary_slot => Slot::Temporary,
        None => Slot::Absent,
        Some(found) => match found.check(&pg.database) {
            Ok(()) => Slot::Usable { confirmed: EndLsn(found.confirmed_flush.unwrap_or(Lsn::ZERO)) },
            Err(capture::Error::SlotLost { reason, .. }) => Slot::Lost { reason },
            Err(e) => return Err(e.into()),
        },
    };
    let Some(p) = progress.filter(|p| p.end_lsn > EndLsn::ZERO) else { return Ok(source) };
    if p.timeline != 0 && p.timeline != system.timeline {
        let mut replication = connect(pg, Mode::Replication)?;
        let history = timeline::history(&mut replication, system.timeline)?;
        if timeline::check_continuity(p.end_lsn.0, p.timeline, system.timeline, &history).is_err() {
            source.diverged = Some(p.end_lsn);
        }
    }
    let changed = fingerprint::changed(&p.fingerprints, kept, prints);
    for message in &changed.messages {
        tracing::warn!("{message}");
    }
    source.changed_tables = changed.tables;
    source.lost_inserts = changed.lost_inserts;
    source.publication_changed = changed.publication;
    Ok(source)
}

pub(super) fn publish(
    config: &Config,
    conn: &mut Connection,
    wanted: &[publication::WantedTable],
) -> Result<(), Failure> {
    let facts = Facts::read(conn, &config.postgres.publication, wanted)?;
    let (mode, columns) = (options::publication_mode(config), options::publication_columns(config));
    let plan = publication::plan(mode, columns, &config.postgres.publication, wanted, &facts);
    refuse(plan.findings.clone())?;
    for statement in plan.statements() {
        tracing::info!(statement, "publication");
    }
    publication::apply(conn, &plan)?;
    Ok(())
}

/// How long an earlier walsender of ours may take to end before the wait is told.
const CLAIM_STEP: Duration = Duration::from_millis(200);

/// Waits until nobody reads from the slot. A walsender of this bridge that still holds it is an earlier life of ours, or
/// a process that we have fenced just now: it is ended. Anybody else is waited for.
pub(super) fn claim(
    pg: &capture::Options,
    sql: &mut Connection,
    config: &Config,
    shared: &Shared,
    emit_options: &emit::Options,
    generation: u64,
) -> Result<(), Failure> {
    let mut steps = 0u32;
    loop {
        let pid = slot::read(sql, &config.postgres.slot)?.and_then(|s| s.active_pid);
        shared.slot_waits_for(pid);
        let Some(pid) = pid else { return Ok(()) };
        if shared.shutdown() {
            return Err(Failure::ShutDown);
        }
        if steps.is_multiple_of(25) {
            if let Some(newest) = emit::newer_generation(emit_options, generation)? {
                let newest = Box::new(newest);
                return Err(Failure::Emit(emit::EmitError::Superseded { ours: generation, newest }));
            }
            let name = crate::catalogue::quote_literal(&pg.application_name);
            let rows = sql.query(&format!(
                "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE pid = {pid} AND application_name = {name}"
            ))?;
            tracing::warn!(
                slot = config.postgres.slot,
                pid,
                ours = !rows.is_empty(),
                "the slot is held by another connection"
            );
            shared.is(BridgeState::WaitingSlot);
        }
        steps += 1;
        shared.wait(CLAIM_STEP);
    }
}

/// The server forwards silently to where the slot is: past the start there is a gap.
pub(super) fn forwarded(sql: &mut Connection, config: &Config, wanted: EndLsn) -> Result<(), Failure> {
    let confirmed =
        slot::read(sql, &config.postgres.slot)?.and_then(|s| s.confirmed_flush).map_or(EndLsn::ZERO, EndLsn);
    if confirmed > wanted {
        return Err(Failure::Forwarded { slot: config.postgres.slot.clone(), confirmed, wanted });
    }
    Ok(())
}
