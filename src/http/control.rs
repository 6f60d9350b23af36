//! The control socket: `STATE_DIR/control.sock`, mode 0600, for commands to the running bridge.
//!
//! One connection carries one request line and one answer line, both JSON. The server answers from a thread of its own
//! and hands each request to a closure, which must not block: a reconcile is put in a queue, not waited for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const NAME: &str = "control.sock";
/// A request or an answer beyond this is refused; the largest is a status with thousands of transforms.
const LINE_LIMIT: u64 = 16 << 20;
/// How long the server waits for a client's line: the client has it ready.
const CLIENT_LIMIT: Duration = Duration::from_secs(5);

/// What the running bridge is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    Status,
    LogLevel { level: String },
    Pause,
    Resume,
    Reconcile { names: Vec<String>, rewrite: bool },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(Value),
    /// Why the bridge refused.
    Refused(String),
}

/// Why a running bridge could not be asked, or what it said.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no bridge runs with the state directory {}", state_dir.display())]
    NotRunning { state_dir: PathBuf },
    #[error("cannot ask the bridge at {}", state_dir.display())]
    Io { state_dir: PathBuf, source: io::Error },
    #[error("the bridge's answer is not understood; is it another version?")]
    Answer(#[source] serde_json::Error),
    #[error("{0}")]
    Refused(String),
}

/// The handler's `Err` is what the person at the other end reads.
pub type Handler = Arc<dyn Fn(Request) -> Result<Value, String> + Send + Sync>;

/// A listening socket; dropping it ends the thread and removes the file.
pub struct Control {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Listens in `state_dir`, which must be this process's own (the state's lock sees to that): a socket that lies
    /// there is what a killed process left, and is replaced.
    pub fn start(state_dir: &Path, handler: Handler) -> io::Result<Control> {
        let path = state_dir.join(NAME);
        let listener = listen(state_dir, &path)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let seen = stopping.clone();
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::Acquire) {
                    return;
                }
                // A client that went away or sent nothing: its loss only.
                if let Err(error) = stream.and_then(|s| serve(&s, &handler)) {
                    tracing::debug!(%error, "a control connection failed");
                }
            }
        })?;
        Ok(Control { path, stopping, thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread; if the file is gone already, the thread is left to the end of the process.
        let woken = connect(&self.path).is_ok();
        let _ = fs::remove_file(&self.path);
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// Binds in a folder that nobody else can enter and moves the socket to its place with its mode set, so that there is
/// no moment at which another user could connect.
fn listen(state_dir: &Path, path: &Path) -> io::Result<UnixListener> {
    let closed = state_dir.join(format!(".control-{}", std::process::id()));
    let _ = fs::remove_dir_all(&closed);
    fs::DirBuilder::new().mode(0o700).create(&closed)?;
    let bound = closed.join("s");
    let listener = with_short(&bound, |p| UnixListener::bind(p)).and_then(|listener| {
        fs::set_permissions(&bound, fs::Permissions::from_mode(0o600))?;
        fs::rename(&bound, path)?;
        Ok(listener)
    });
    let _ = fs::remove_dir_all(&closed);
    listener
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    with_short(path, |p| UnixStream::connect(p))
}

/// A socket's path holds 107 bytes at most, and state directories can lie deep: through the folder's descriptor any
/// path is short.
fn with_short<T>(path: &Path, use_it: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    use std::os::fd::AsRawFd;
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if path.as_os_str().len() > 100 && cfg!(target_os = "linux") => {
            let folder = fs::File::open(folder)?;
            use_it(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
        }
        _ => use_it(path),
    }
}

fn serve(stream: &UnixStream, handler: &Handler) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_LIMIT))?;
    stream.set_write_timeout(Some(CLIENT_LIMIT))?;
    let line = read_line(stream)?;
    let answer = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => handler(request).map_or_else(Answer::Refused, Answer::Ok),
        Err(error) => Answer::Refused(format!("the request is not understood: {error}")),
    };
    write_line(stream, &answer)
}

/// Asks the bridge whose state directory this is.
pub fn ask(state_dir: &Path, request: &Request, limit: Duration) -> Result<Value, AskError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AskError::NotRunning { state_dir: state_dir.to_owned() }
        }
        _ => AskError::Io { state_dir: state_dir.to_owned(), source },
    };
    let exchange = || {
        let stream = connect(&state_dir.join(NAME))?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        write_line(&stream, request)?;
        read_line(&stream)
    };
    let line = exchange().map_err(failed)?;
    match serde_json::from_slice(&line).map_err(AskError::Answer)? {
        Answer::Ok(value) => Ok(value),
        Answer::Refused(why) => Err(AskError::Refused(why)),
    }
}

fn read_line(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(LINE_LIMIT)).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line has no end")),
    }
}

fn write_line(mut stream: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LIMIT: Duration = Duration::from_secs(5);

    fn echo() -> Handler {
        Arc::new(|request| match request {
            Request::LogLevel { level } if level == "loud" => Err("loud is not a level".to_owned()),
            request => serde_json::to_value(request).map_err(|e| e.to_string()),
        })
    }

    #[test]
    fn requests_reach_the_handler() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::start(dir.path(), echo()).unwrap();
        for (request, expected) in [
            (Request::Status, json!({"command": "status"})),
            (Request::LogLevel { level: "debug".into() }, json!({"command": "log-level", "level": "debug"})),
            (Request::Pause, json!({"command": "pause"})),
            (Request::Resume, json!({"command": "resume"})),
            (
                Request::Reconcile { names: vec!["shop/order".into()], rewrite: false },
                json!({"command": "reconcile", "names": ["shop/order"], "rewrite": false}),
            ),
        ] {
            assert_eq!(ask(dir.path(), &request, LIMIT).unwrap(), expected);
        }
        let refused = ask(dir.path(), &Request::LogLevel { level: "loud".into() }, LIMIT).unwrap_err();
        assert_eq!(refused.to_string(), "loud is not a level");
        let mode = fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(control);
        assert!(matches!(ask(dir.path(), &Request::Status, LIMIT), Err(AskError::NotRunning { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn what_is_no_request_is_refused_and_the_next_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let _control = Control::start(dir.path(), echo()).unwrap();
        let mut stream = connect(&dir.path().join(NAME)).unwrap();
        stream.write_all(b"{\"command\":\"explode\"}\n").unwrap();
        let answer = String::from_utf8(read_line(&stream).unwrap()).unwrap();
        assert!(answer.contains("not understood"), "{answer}");
        drop(connect(&dir.path().join(NAME)).unwrap());
        assert!(ask(dir.path(), &Request::Status, LIMIT).is_ok());
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_a_deep_folder_works() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        assert!(matches!(ask(&deep, &Request::Status, LIMIT), Err(AskError::NotRunning { .. })));
        let first = Control::start(&deep, echo()).unwrap();
        std::mem::forget(first);
        let _second = Control::start(&deep, echo()).unwrap();
        assert!(ask(&deep, &Request::Status, LIMIT).is_ok());
    }
}
