//! Ctrl-C and SIGTERM: the first ends the workload, the second leaves the comparison out, the third ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Thread;

use super::error::DemoError;

/// Counts the signals of this process.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Each signal wakes the calling thread out of its `park_timeout`.
    pub fn watch() -> Result<Interrupt, DemoError> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let failed = "signals cannot be caught";
        let mut signals =
            signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(DemoError::io(failed))?;
        let count = Arc::new(AtomicU8::new(0));
        let counted = Arc::clone(&count);
        let main: Thread = std::thread::current();
        let body = move || {
            for signal in signals.forever() {
                if counted.fetch_add(1, Ordering::AcqRel) >= 2 {
                    // The server ends with this process; its folder stays.
                    std::process::exit(128 + signal);
                }
                main.unpark();
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(body).map_err(DemoError::io(failed))?;
        Ok(Interrupt(count))
    }

    /// The work is to end.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    /// Not even the comparison is wanted.
    pub fn insisted(&self) -> bool {
        self.0.load(Ordering::Acquire) > 1
    }

    pub fn check(&self) -> Result<(), DemoError> {
        if self.asked() { Err(DemoError::Interrupted) } else { Ok(()) }
    }
}
