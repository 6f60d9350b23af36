//! The watch beside the stream: the catalogue every ten seconds (I9), and now and then the progress topic, because a process that was replaced while it slept learns it there (I4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::capture::watch::{self, Consequence, Fingerprints};
use crate::capture::{self, Connection, Mode, catalogue_codes, connect};
use crate::catalogue::QualifiedName;
use crate::emit;
use crate::metrics::SchemaDriftKind;

use super::failure::Failure;
use super::shared::Shared;

pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub struct Watched {
    pub options: capture::Options,
    pub emit_options: emit::Options,
    pub generation: u64,
    pub publication: String,
    pub tables: Vec<(QualifiedName, Vec<String>)>,
    pub baseline: Fingerprints,
}

const EVERY: Duration = Duration::from_secs(10);
/// For tests, which cannot wait as long.
const EVERY_VARIABLE: &str = "PGSPINE_WATCH_SECONDS";

/// Every so many looks at the catalogue, one at the progress topic.
const PROGRESS_EVERY: u32 = 3;

impl Watch {
    pub fn start(watched: Watched, shared: Arc<Shared>) -> std::io::Result<Watch> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("watch".into()).spawn(move || run(&watched, &shared, &stopped))?;
        Ok(Watch { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn run(w: &Watched, shared: &Shared, stop: &AtomicBool) {
    let wanted = std::env::var(EVERY_VARIABLE).ok().and_then(|s| s.parse().ok());
    let every = wanted.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(EVERY);
    let mut conn: Option<Connection> = None;
    let mut looks = 0u32;
    while !stop.load(Ordering::Acquire) {
        if let Err(e) = look(w, shared, &mut conn) {
            // The stream has the same server: it says what is wrong, and ends the session.
            tracing::debug!(error = %e, "the watch could not look");
            conn = None;
        }
        looks += 1;
        if looks.is_multiple_of(PROGRESS_EVERY)
            && let Ok(Some(newest)) = emit::newer_generation(&w.emit_options, w.generation)
        {
            let newest = Box::new(newest);
            shared.report(Failure::Emit(emit::EmitError::Superseded { ours: w.generation, newest }));
        }
        // Only `drop` unparks.
        std::thread::park_timeout(every);
    }
}

fn look(w: &Watched, shared: &Shared, conn: &mut Option<Connection>) -> Result<(), Failure> {
    let conn = match conn {
        Some(c) => c,
        None => conn.insert(connect(&w.options, Mode::Sql)?),
    };
    let mut now = watch::read(conn, &w.publication, &w.tables)?;
    if !watch::compare(&w.baseline, &now).is_empty() {
        // A query that runs while DDL commits sees half of it: what is said is said of the whole.
        now = watch::read(conn, &w.publication, &w.tables)?;
    }
    for finding in watch::compare(&w.baseline, &now) {
        shared.drifted(finding.table.as_ref(), drift_of(&finding));
    }
    if let Some(failure) = blind(&w.baseline, &now) {
        shared.report(failure);
    }
    Ok(())
}

/// The first difference that matters, if there is one.
pub fn blind(old: &Fingerprints, new: &Fingerprints) -> Option<Failure> {
    let findings = watch::compare(old, new);
    let worst = findings.iter().find(|f| f.consequence == Consequence::PublicationGap).or(findings.first())?;
    let publication = worst.consequence == Consequence::PublicationGap;
    Some(Failure::Blind { what: worst.diagnostic.message.clone(), publication })
}

fn drift_of(finding: &watch::Finding) -> SchemaDriftKind {
    match finding.diagnostic.code {
        catalogue_codes::COLUMN_CHANGED => SchemaDriftKind::Column,
        catalogue_codes::ENUM_CHANGED => SchemaDriftKind::Type,
        _ => SchemaDriftKind::Table,
    }
}
