//! The look at the slot, every few seconds as long as the process lives: what the server keeps for us matters most while we do
//! not stream. Also the clock of the status, and the disk of the state.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::capture::{Connection, Mode, connect, slot};
use crate::clock;
use crate::config::Config;
use crate::lsn::Lsn;
use crate::metrics::WalStatus;

use super::failure::Failure;
use super::options;
use super::shared::Shared;
use super::status::SlotLook;

/// Ends both threads when it is dropped, without waiting: one may be in a call to a server that is away.
pub struct SlotLooks(Arc<AtomicBool>);

/// The server answers from memory; a halt wants to see how fast the WAL grows.
const EVERY: Duration = Duration::from_secs(5);
/// For tests, which cannot wait as long.
const EVERY_VARIABLE: &str = "PGSPINE_WATCH_SECONDS";
const TICK: Duration = Duration::from_secs(1);

impl SlotLooks {
    pub fn start(config: &Config, shared: &Arc<Shared>) -> std::io::Result<SlotLooks> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, told, of) = (Arc::clone(&stop), Arc::clone(shared), config.clone());
        std::thread::Builder::new().name("slot".into()).spawn(move || look_again_and_again(&of, &told, &stopped))?;
        let (stopped, told, dir) = (Arc::clone(&stop), Arc::clone(shared), config.bridge.state_dir.clone());
        std::thread::Builder::new().name("tick".into()).spawn(move || tick(&dir, &told, &stopped))?;
        Ok(SlotLooks(stop))
    }
}

impl Drop for SlotLooks {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn tick(state_dir: &Path, shared: &Shared, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        if let Some((free, all)) = space(state_dir) {
            shared.disk(free, all);
        }
        shared.tick();
        // Nobody unparks: it ends with the process.
        std::thread::park_timeout(TICK);
    }
}

fn look_again_and_again(config: &Config, shared: &Shared, stop: &AtomicBool) {
    let wanted = std::env::var(EVERY_VARIABLE).ok().and_then(|s| s.parse().ok());
    let every = wanted.and_then(|s| Duration::try_from_secs_f64(s).ok()).map_or(EVERY, |e| e.min(EVERY));
    let mut conn: Option<Connection> = None;
    while !stop.load(Ordering::Acquire) {
        if let Err(e) = look(config, shared, &mut conn) {
            // The stream has the same server, and says what is wrong.
            tracing::debug!(error = %e, "the slot could not be looked at");
            conn = None;
        }
        let next = Instant::now() + every;
        while Instant::now() < next && !stop.load(Ordering::Acquire) {
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()).min(TICK));
        }
    }
}

fn look(config: &Config, shared: &Shared, conn: &mut Option<Connection>) -> Result<(), Failure> {
    let conn = match conn {
        Some(c) => c,
        // Secrets are read anew at each connect.
        None => conn.insert(connect(&options::postgres(config)?, Mode::Sql)?),
    };
    // What changes while the server answers counts as after the look.
    let at = clock::now_millis();
    let Some(s) = slot::read(conn, &config.postgres.slot)? else {
        if !config.postgres.temporary_slot {
            shared.slot_gone(at);
        }
        return Ok(());
    };
    let rows = conn.query(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS now",
    )?;
    let now = rows.single()?.text("now")?.parse::<Lsn>().map_or(0, |l| l.0);
    let behind = |l: Option<Lsn>| l.map_or(0, |l| now.saturating_sub(l.0));
    shared.slot(SlotLook {
        at,
        active_pid: s.active_pid,
        wal_status: s.wal_status.as_deref().and_then(WalStatus::of).unwrap_or(WalStatus::Reserved),
        retained: behind(s.restart),
        confirmed_lag: behind(s.confirmed_flush),
        safe: s.safe_wal_size,
        wal_end: Lsn(now),
        reason: s.invalidation_reason,
        name: s.name,
    });
    Ok(())
}

/// What an unprivileged process may still write there, and how large it is.
fn space(dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path is a C string that outlives the call; statvfs fills the struct when it gives 0.
    let answer = unsafe {
        if libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) != 0 {
            return None;
        }
        answer.assume_init()
    };
    let bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
    Some((bytes(answer.f_bavail), bytes(answer.f_blocks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_known() {
        assert!(space(Path::new("/")).is_some_and(|(free, all)| free > 0 && all >= free));
        assert_eq!(space(Path::new("/no/such/folder")), None);
    }
}
