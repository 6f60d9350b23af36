//! A throwaway PostgreSQL: made, started and stopped with its owner, on the loopback only.
//!
//! The rule: it never outlives us. It is stopped by its pid when this value is dropped, and the kernel ends it when our
//! process is killed (PR_SET_PDEATHSIG). It has a process group of its own, so that Ctrl-C reaches it through us only.

use std::ffi::CStr;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::capture::{self, Connection, Mode, connect};

use super::error::ScratchError;

pub struct Cluster {
    child: Child,
    port: u16,
}

const START_LIMIT: Duration = Duration::from_secs(60);
/// Another process may take the port between our look and the server's start.
const PORTS_TRIED: u32 = 3;
const STEP: Duration = Duration::from_millis(20);

/// Who the server runs as, where that is not ourselves.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// Call it from the main thread: the server is bound to the life of the thread that starts it.
    /// `more` are settings beside ours, `name=value`; `stopped` says whether somebody has asked for the end.
    pub fn start(folder: &Path, more: &[&str], stopped: &dyn Fn() -> bool) -> Result<Cluster, ScratchError> {
        let check = || if stopped() { Err(ScratchError::Interrupted) } else { Ok(()) };
        let programs = programs()?;
        let user = user()?;
        let home = folder.join("postgres");
        std::fs::create_dir(&home).map_err(ScratchError::io(format!("{} cannot be made", home.display())))?;
        if let Some(u) = user {
            std::os::unix::fs::chown(&home, Some(u.uid), Some(u.gid))
                .map_err(ScratchError::io(format!("{} cannot be given to PostgreSQL's user", home.display())))?;
        }
        let data = home.join("data");
        let log = home.join("log");
        let mut initdb = command(&programs.join("initdb"), user);
        initdb.arg("-D").arg(&data).args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "--locale=C.UTF-8",
            "-E",
            "UTF8",
            "--no-sync",
        ]);
        let output = initdb.output().map_err(ScratchError::io("initdb cannot be started"))?;
        check()?;
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            return Err(ScratchError::Program {
                program: programs.join("initdb"),
                output: String::from_utf8_lossy(&text).into(),
            });
        }
        for tried in 1.. {
            let port = free_port()?;
            let settings = [
                format!("port={port}"),
                "listen_addresses=127.0.0.1".into(),
                "unix_socket_directories=".into(),
                "wal_level=logical".into(),
                "max_wal_size=2GB".into(),
                "timezone=UTC".into(),
                // Nobody needs what is in here after a crash of the machine; it is written to disk all the same.
                "full_page_writes=off".into(),
            ];
            let mut postgres = command(&programs.join("postgres"), user);
            postgres.arg("-D").arg(&data);
            postgres.args(settings.iter().map(String::as_str).chain(more.iter().copied()).flat_map(|s| ["-c", s]));
            let out = File::create(&log).map_err(ScratchError::io("PostgreSQL's log cannot be written"))?;
            let err = out.try_clone().map_err(ScratchError::io("PostgreSQL's log cannot be written"))?;
            postgres.stdout(out).stderr(err);
            let child = postgres.spawn().map_err(ScratchError::io("postgres cannot be started"))?;
            let mut cluster = Cluster { child, port };
            if cluster.wait(&check)? {
                return Ok(cluster);
            }
            if tried == PORTS_TRIED {
                break;
            }
        }
        let output = std::fs::read_to_string(&log).unwrap_or_default();
        Err(ScratchError::Program { program: programs.join("postgres"), output })
    }

    /// For `[postgres] url`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn connect(&self) -> Result<Connection, ScratchError> {
        let options = capture::Options::parse(&self.url()).map_err(capture::Error::Options)?;
        Ok(connect(&options, Mode::Sql)?)
    }

    /// Whether it takes connections, once that is decided.
    fn wait(&mut self, check: &dyn Fn() -> Result<(), ScratchError>) -> Result<bool, ScratchError> {
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            check()?;
            if self.connect().is_ok() {
                return Ok(true);
            }
            if self.ended() {
                break;
            }
            std::thread::park_timeout(STEP);
        }
        Ok(false)
    }

    fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.ended() {
            if Instant::now() >= end {
                return false;
            }
            std::thread::park_timeout(STEP);
        }
        true
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Fast, immediate, and what no program can refuse.
        for (signal, seconds) in [(libc::SIGINT, 10), (libc::SIGQUIT, 5), (libc::SIGKILL, 5)] {
            if self.ended() {
                return;
            }
            // SAFETY: two numbers; the child has not been waited for, so the pid is still its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
            if self.ends_within(Duration::from_secs(seconds)) {
                return;
            }
        }
        eprintln!("PostgreSQL (pid {}) does not end", self.child.id());
    }
}

/// A program of PostgreSQL's that ends with us.
fn command(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    // The server's user may not be allowed to stand where we are.
    command.stdin(Stdio::null()).current_dir("/").process_group(0);
    if let Some(u) = user {
        command.uid(u.uid).gid(u.gid);
    }
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls; the change of user, which would clear the setting,
    // comes before this.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // Killed before the setting was there.
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
            Ok(())
        });
    }
    command
}

/// The folder of `initdb` and `postgres`: PATH first, then Debian's places, newest first.
fn programs() -> Result<PathBuf, ScratchError> {
    let complete = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|p| folder.join(p).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).find(complete) {
        // Through links to where it lies beside its libraries.
        let real = std::fs::canonicalize(found.join("postgres")).ok().and_then(|p| p.parent().map(Path::to_owned));
        return Ok(real.filter(complete).unwrap_or(found));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|v| Some((v.file_name().to_str()?.parse().ok()?, v.path().join("bin"))))
        .filter(|(_, folder)| complete(folder))
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder).ok_or(ScratchError::NoPostgres)
}

/// PostgreSQL refuses to run as root: then it runs as `postgres`, whom its packages make.
fn user() -> Result<Option<User>, ScratchError> {
    const NAME: &CStr = c"postgres";
    // SAFETY: no pointers; the answer of getpwnam is read before another thread could ask.
    unsafe {
        if libc::geteuid() != 0 {
            return Ok(None);
        }
        let found = libc::getpwnam(NAME.as_ptr());
        if found.is_null() {
            return Err(ScratchError::NoUser);
        }
        Ok(Some(User { uid: (*found).pw_uid, gid: (*found).pw_gid }))
    }
}

fn free_port() -> Result<u16, ScratchError> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port());
    port.map_err(ScratchError::io("no free port on 127.0.0.1"))
}
