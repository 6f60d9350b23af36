//! Places where a test ends the process, one on each arrow of the journey.
//!
//! `PGSPINE_FAILPOINT=name:3` kills the process with SIGKILL at the third passage of `name`; with
//! `PGSPINE_FAILPOINT_SIGNAL=STOP` it stops there until it gets a SIGCONT. `PGSPINE_HANG=name:/a/file` holds whoever
//! passes `name` for as long as the file is there. Compiled to nothing without the feature `failpoints`.

/// The process may end here.
#[inline(always)]
pub fn hit(_name: &'static str) {
    #[cfg(feature = "failpoints")]
    {
        armed::hit(_name);
        armed::hang(_name);
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Failpoint {
        name: String,
        left: AtomicU64,
    }

    fn configured() -> &'static Option<Failpoint> {
        static POINT: OnceLock<Option<Failpoint>> = OnceLock::new();
        POINT.get_or_init(|| {
            let text = std::env::var("PGSPINE_FAILPOINT").ok()?;
            let (name, n) = text.rsplit_once(':').unwrap_or((&text, "1"));
            let n = n.parse().expect("PGSPINE_FAILPOINT is name:count");
            Some(Failpoint { name: name.to_owned(), left: AtomicU64::new(n) })
        })
    }

    pub fn hit(name: &'static str) {
        if let Some(p) = configured()
            && p.name == name
            && p.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            let (signal, word) = match std::env::var("PGSPINE_FAILPOINT_SIGNAL").as_deref() {
                Ok("STOP") => (libc::SIGSTOP, "stopped"),
                _ => (libc::SIGKILL, "killed"),
            };
            eprintln!("failpoint {name}: {word}");
            // SAFETY: kill and getpid take no pointers.
            unsafe { libc::kill(libc::getpid(), signal) };
        }
    }

    fn hanging() -> &'static Option<(String, std::path::PathBuf)> {
        static POINT: OnceLock<Option<(String, std::path::PathBuf)>> = OnceLock::new();
        POINT.get_or_init(|| {
            let text = std::env::var("PGSPINE_HANG").ok()?;
            text.split_once(':').map(|(name, file)| (name.to_owned(), file.into()))
        })
    }

    pub fn hang(name: &'static str) {
        if let Some((point, file)) = hanging()
            && point == name
        {
            while file.exists() {
                std::thread::park_timeout(std::time::Duration::from_millis(20));
            }
        }
    }
}
