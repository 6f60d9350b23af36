//! Whether the process is alive and ready, as its own loops say.
//!
//! Alive: every loop that asked to be watched has turned within its limit, whatever PostgreSQL or Kafka do; a loop that
//! waits for them must wait in steps and beat between them. Ready: the slot is held and the producer is initialised.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub struct Health {
    start: Instant,
    loops: Mutex<Vec<Arc<Loop>>>,
    /// Why not ready; `None` is ready.
    unready: Mutex<Option<String>>,
}

struct Loop {
    name: &'static str,
    limit: Duration,
    /// Milliseconds after `Health::start`.
    last: AtomicU64,
}

/// A loop's side: it beats at least once within its limit, and is watched until this is dropped.
pub struct Pulse {
    health: Arc<Health>,
    of: Arc<Loop>,
}

impl Health {
    pub fn new() -> Arc<Health> {
        Arc::new(Health {
            start: Instant::now(),
            loops: Mutex::default(),
            unready: Mutex::new(Some("starting".to_owned())),
        })
    }

    /// From now on this loop must beat within `limit`.
    pub fn watch(self: &Arc<Health>, name: &'static str, limit: Duration) -> Pulse {
        let of = Arc::new(Loop { name, limit, last: AtomicU64::new(self.now()) });
        locked(&self.loops).push(of.clone());
        Pulse { health: self.clone(), of }
    }

    pub fn ready(&self) {
        *locked(&self.unready) = None;
    }

    /// `why` is shown by `/readyz`.
    pub fn unready(&self, why: impl Into<String>) {
        *locked(&self.unready) = Some(why.into());
    }

    /// Why `/readyz` is 503, or `Ok`.
    pub fn readiness(&self) -> Result<(), String> {
        locked(&self.unready).clone().map_or(Ok(()), Err)
    }

    /// Which loop stands still, or `Ok`.
    pub fn liveness(&self) -> Result<(), String> {
        let now = self.now();
        for l in locked(&self.loops).iter() {
            let silent = Duration::from_millis(now.saturating_sub(l.last.load(Ordering::Relaxed)));
            if silent > l.limit {
                return Err(format!("{} has not turned for {} s", l.name, silent.as_secs()));
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

impl Pulse {
    pub fn beat(&self) {
        self.of.last.store(self.health.now(), Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        locked(&self.health.loops).retain(|l| !Arc::ptr_eq(l, &self.of));
    }
}

/// The values are whole at any time: a thread that panicked while holding the lock left nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_named() {
        let health = Health::new();
        let pulse = health.watch("pipeline", Duration::from_secs(10));
        assert_eq!(health.liveness(), Ok(()));
        // As if the last beat were long ago.
        let stuck = health.watch("emitter", Duration::ZERO);
        let until = Instant::now() + Duration::from_secs(5);
        while health.liveness().is_ok() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(health.liveness(), Err("emitter has not turned for 0 s".to_owned()));
        drop(stuck);
        pulse.beat();
        assert_eq!(health.liveness(), Ok(()));
    }

    #[test]
    fn readiness_says_why_not() {
        let health = Health::new();
        assert_eq!(health.readiness(), Err("starting".to_owned()));
        health.ready();
        assert_eq!(health.readiness(), Ok(()));
        health.unready("the slot is active for PID 7");
        assert_eq!(health.readiness(), Err("the slot is active for PID 7".to_owned()));
    }
}
