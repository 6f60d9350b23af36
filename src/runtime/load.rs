//! Loads: tables' rows under one snapshot, into spaces of the state.

use std::time::{Duration, Instant};

use crate::capture::snapshot::{Limits, LoadTable, Loader};
use crate::capture::{self, publication};
use crate::lsn::EndLsn;
use crate::metrics::Metrics;
use crate::state::{SpaceId, State, TableState, TableStatus, bag, image};

use super::failure::Failure;
use super::project::TableUse;
use super::shared::Shared;

/// A table that was loaded.
pub struct Loaded {
    /// Index into the project's tables.
    pub table: usize,
    /// Of its rows, and of its indexes.
    pub spaces: Vec<SpaceId>,
    /// Of a table that is kept; rows of others are only there for the reconcile.
    pub kept: bool,
}

/// Loads the tables; gives the position that their rows stand at.
pub fn run(
    options: &capture::Options,
    tables: &[(usize, &TableUse, String)],
    publish: impl FnOnce(&mut capture::Connection) -> Result<(), Failure>,
    state: &mut State,
    shared: &Shared,
) -> Result<(EndLsn, Vec<Loaded>), Failure> {
    let wanted = tables.iter().map(|(_, t, _)| load_table(t)).collect();
    let mut failure = None;
    let publish = |conn: &mut capture::Connection| {
        publish(conn).map_err(|f| {
            let text = f.to_string();
            failure = Some(f);
            text
        })
    };
    let mut told = Vec::new();
    let begun = Loader::begin(options, wanted, Limits::default(), publish, &mut |blockers| tell(blockers, &mut told));
    let mut loader = match (begun, failure) {
        (_, Some(f)) => return Err(f),
        (begun, None) => begun?,
    };
    let at = EndLsn(loader.consistent_point());
    tracing::info!(lsn = %at, tables = tables.len(), "load begins; each table is locked against DDL until its rows are read");
    let mut loaded = Vec::new();
    for (n, (index, table, layout)) in tables.iter().enumerate() {
        shared.tables_remain((tables.len() - n) as u64);
        let kept = table.stored();
        let mut spaces = Vec::new();
        let name = table.table.name.to_string();
        state.update_meta(|m| {
            spaces = (0..table.spaces()).map(|_| m.new_space()).collect();
            if kept {
                m.tables.retain(|t| t.oid != table.table.oid);
                m.tables.push(TableState {
                    space: spaces[0].0,
                    indexes: spaces[1..].iter().map(|s| s.0).collect(),
                    oid: table.table.oid,
                    name: name.clone(),
                    layout: layout.clone(),
                    status: TableStatus::Loading(at.get()),
                });
            }
        })?;
        for &space in &spaces {
            state.clear(space)?;
        }
        copy(&mut loader, table, &name, &spaces, state, shared)?;
        if kept {
            state.update_meta(|m| {
                for t in m.tables.iter_mut().filter(|t| t.oid == table.table.oid) {
                    t.status = TableStatus::Loaded(at.get());
                }
            })?;
        }
        loaded.push(Loaded { table: *index, spaces, kept });
    }
    shared.tables_remain(0);
    loader.finish()?;
    crate::failpoints::hit("loaded");
    Ok((at, loaded))
}

fn load_table(t: &TableUse) -> LoadTable {
    let mut columns: Vec<String> = t.columns.iter().map(|c| c.name.clone()).collect();
    if t.partitioned() {
        // The image of a partitioned table's row ends with its leaf.
        columns.push("tableoid".into());
    }
    LoadTable { oid: t.table.oid, name: t.table.name.clone(), columns, partitioned: t.partitioned() }
}

/// How often the metrics and the status hear of rows.
const REPORT_ROWS: u64 = 10_000;

fn copy(
    loader: &mut Loader,
    table: &TableUse,
    name: &str,
    spaces: &[SpaceId],
    state: &mut State,
    shared: &Shared,
) -> Result<(), Failure> {
    let wanted = load_table(table);
    let estimate = loader.estimated_rows(wanted.oid)?;
    tracing::info!(table = name, estimated_rows = estimate, "loading");
    shared.loading(name, 0, estimate);
    let metrics: &Metrics = &shared.metrics;
    let mut load = state.load();
    let indexes = table.indexes(spaces);
    let (mut key, mut bytes, mut entry) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rows, mut reported) = (0u64, 0u64);
    loader.copy::<Failure>(&wanted, &mut |row| {
        key.clear();
        bytes.clear();
        image::write(row.iter().copied(), &mut bytes);
        match &table.identity {
            Some(identity) => image::write(identity.iter().map(|&i| row[i]), &mut key),
            None if table.joined => bag::key(&bytes, &mut key),
            // Only the order matters: it is the order of evaluation.
            None => key.extend_from_slice(&rows.to_be_bytes()),
        }
        rows += 1;
        let new = if table.identity.is_none() && table.joined {
            load.put_in_bag(spaces[0], &key, &bytes)?
        } else {
            load.put(spaces[0], &key, &bytes).map(|()| true)?
        };
        // Rows that are alike share their entries.
        for index in indexes.iter().filter(|_| new) {
            if index.entry(row, &key, &mut entry) {
                load.put(index.space, &entry, b"")?;
            }
        }
        crate::failpoints::hit("load_row");
        if rows - reported == REPORT_ROWS {
            metrics.snapshot_rows_read(name, REPORT_ROWS);
            reported = rows;
            shared.loading(name, rows, estimate);
            if shared.shutdown() {
                return Err(Failure::ShutDown);
            }
        }
        Ok(())
    })?;
    load.finish()?;
    metrics.snapshot_rows_read(name, rows - reported);
    shared.loading(name, rows, estimate);
    tracing::info!(table = name, rows, "loaded");
    Ok(())
}

/// How often a transaction that is waited for is named again.
const TELL_EVERY: Duration = Duration::from_secs(10);

fn tell(blockers: &[publication::Blocker], told: &mut Vec<(Option<u32>, Option<String>, Instant)>) {
    for b in blockers {
        match told.iter_mut().find(|(pid, prepared, _)| (*pid, prepared as &_) == (b.pid, &b.prepared)) {
            Some((_, _, at)) if at.elapsed() < TELL_EVERY => continue,
            Some((_, _, at)) => *at = Instant::now(),
            None => told.push((b.pid, b.prepared.clone(), Instant::now())),
        }
        tracing::warn!(
            pid = b.pid,
            prepared = b.prepared,
            role = b.role,
            seconds = b.running_seconds,
            "the load waits for an older transaction"
        );
    }
}
