//! A blocking connection: the simple query protocol, COPY out, and what a walsender adds (`Mode::Replication`).
//!
//! Every connection pins the settings that decide text forms, and switches the server's timeouts off, so that a
//! role's or database's own settings never change what we read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::auth::Authentication;
use super::error::{Error, ProtocolError};
use super::options::{Host, Options, SslMode, Target};
use super::rows::{Rows, RowsBuilder};
use super::server_error::ServerError;
use super::socket::{Address, Socket, Stream};
use super::tls::{self, TlsError, TlsSettings};
use super::wire::{Body, MAX_MESSAGE, Wire, message, put_cstr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Sql,
    /// `replication=database`: a walsender, which takes replication commands and SQL.
    Replication,
}

/// Where a connection's requests are: `Broken` after a failure in the middle of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Broken,
}

#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    state: State,
    parameters: BTreeMap<String, String>,
    backend_pid: u32,
    cancel: CancelToken,
}

/// Asks the server, over a connection of its own, to cancel what a connection is doing.
#[derive(Clone, Debug)]
pub struct CancelToken {
    address: Address,
    pid: u32,
    secret: u32,
    timeout: Duration,
    /// The request goes as the connection did: with TLS, and the name that the certificate must carry.
    tls: Option<Arc<(TlsSettings, String)>>,
}

/// A COPY that ended early: by the server or by the one who takes the rows.
#[derive(Debug, thiserror::Error)]
pub enum CopyError<E: std::error::Error + 'static> {
    #[error("COPY failed")]
    Connection(#[from] Error),
    #[error("a row of COPY could not be taken")]
    Sink(#[source] E),
}

/// Connects to the first host that takes us.
pub fn connect(options: &Options, mode: Mode) -> Result<Connection, Error> {
    let mut last = None;
    for host in &options.hosts {
        match connect_host(options, host, mode) {
            Ok(connection) => return Ok(connection),
            // A refused password on one host is not helped by the next one, but a standby or a dead host is.
            Err(e) if e.is_transient() => last = Some(e),
            Err(e) => return Err(e),
        }
    }
    Err(last.unwrap_or(Error::Closed))
}

/// With TLS, without, or with the one and then the other, as `sslmode` says.
fn connect_host(options: &Options, host: &Host, mode: Mode) -> Result<Connection, Error> {
    let sslmode = match host {
        // As libpq: whoever can read a unix socket's bytes can read the process.
        Host::Unix { .. } => SslMode::Disable,
        Host::Tcp { .. } => options.tls.mode,
    };
    let (mut plain, mut encrypted) = (false, true);
    match sslmode {
        SslMode::Disable => attempt(options, host, mode, &mut plain),
        SslMode::Allow => match attempt(options, host, mode, &mut plain) {
            Err(e) if is_refusal(&e) => match attempt(options, host, mode, &mut encrypted) {
                Err(Error::Tls(TlsError::NotOffered { .. })) => Err(e),
                second => second,
            },
            first => first,
        },
        SslMode::Prefer => match attempt(options, host, mode, &mut encrypted) {
            // What went wrong with TLS says more than that the server does not want us without.
            Err(e) if encrypted && is_refusal(&e) => attempt(options, host, mode, &mut plain).map_err(|_| e),
            first => first,
        },
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => attempt(options, host, mode, &mut encrypted),
    }
}

/// Whether it may go better with, or without, TLS: a line of pg_hba.conf decides by that, and so does a certificate.
fn is_refusal(e: &Error) -> bool {
    match e {
        Error::Server(e) => e.sqlstate.starts_with("28"),
        Error::Tls(_) | Error::TlsDemanded(_) | Error::ClientCertificate(_) => true,
        _ => false,
    }
}

/// `encrypted` asks for TLS, and says whether it was there: a server without TLS is good enough for `prefer`.
fn attempt(options: &Options, host: &Host, mode: Mode, encrypted: &mut bool) -> Result<Connection, Error> {
    let password = options.password_now(host)?;
    let deadline = Instant::now() + options.connect_timeout;
    let refused = |source| Error::Connect { address: host.to_string(), source };
    let (stream, address) = Stream::connect(host, &options.keepalive, deadline).map_err(refused)?;
    let tls = match host {
        Host::Tcp { name, .. } if *encrypted => Some(Arc::new((options.tls.clone(), name.clone()))),
        _ => None,
    };
    let socket = secured(stream, tls.as_deref(), options.connect_timeout)?;
    *encrypted = socket.session.is_some();
    let encrypted = *encrypted;
    let mut wire = Wire::new(socket);
    wire.send(&startup(options, mode))?;
    let authentication = Authentication {
        user: &options.user,
        password: password.as_deref(),
        binding: options.channel_binding,
        allowed: options.allowed_methods,
        encrypted,
        end_point: wire.socket.session.as_ref().and_then(|s| s.end_point()),
    };
    authentication.run(&mut wire).map_err(|e| refused_connection(e, &options.user, encrypted))?;
    wire.limit = MAX_MESSAGE;
    let cancel = CancelToken { address, pid: 0, secret: 0, timeout: options.connect_timeout, tls };
    let mut connection = Connection { wire, state: State::Ready, parameters: BTreeMap::new(), backend_pid: 0, cancel };
    connection.until_ready().map_err(|e| refused_connection(e, &options.user, encrypted))?;
    connection.pin_newer_settings()?;
    if let Some(why) = connection.misses(options.target)? {
        return Err(refused(std::io::Error::other(why)));
    }
    connection.wire.set_read_timeout(None)?;
    connection.wire.socket.stream.set_write_timeout(None).map_err(Error::from_io)?;
    Ok(connection)
}

/// The stream with its time limits, and with TLS if that is wanted.
fn secured(mut stream: Stream, tls: Option<&(TlsSettings, String)>, limit: Duration) -> Result<Socket, Error> {
    stream.set_write_timeout(Some(limit)).map_err(Error::from_io)?;
    // Bounds the time between two reads; a server that drips bytes is not worth a finer clock.
    stream.set_read_timeout(Some(limit)).map_err(Error::from_io)?;
    let Some((settings, host)) = tls else { return Ok(Socket::plain(stream)) };
    match tls::negotiate(&mut stream, settings, host)? {
        Some(session) => Ok(Socket { stream, session: Some(Box::new(session)) }),
        None if settings.mode == SslMode::Prefer => Ok(Socket::plain(stream)),
        None => Err(TlsError::NotOffered { mode: settings.mode }.into()),
    }
}

/// `INSERT 0 3`, `UPDATE 3`, `DELETE 3`.
fn changed(command_tag: &str) -> u64 {
    let counts = ["INSERT ", "UPDATE ", "DELETE "].iter().any(|word| command_tag.starts_with(word));
    command_tag.rsplit(' ').next().filter(|_| counts).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// StartupMessage, protocol 3.0. Parameters that are not the protocol's own are settings of the session; those named
/// here exist in every version from 14 on.
fn startup(options: &Options, mode: Mode) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&0x0003_0000_u32.to_be_bytes());
    let mut put = |name: &str, value: &str| {
        put_cstr(&mut out, name);
        put_cstr(&mut out, value);
    };
    put("user", &options.user);
    put("database", &options.database);
    if mode == Mode::Replication {
        put("replication", "database");
    }
    if let Some(switches) = &options.options {
        put("options", switches);
    }
    put("application_name", &options.application_name);
    put("client_encoding", "UTF8");
    put("DateStyle", "ISO, MDY");
    put("IntervalStyle", "iso_8601");
    put("TimeZone", "UTC");
    put("bytea_output", "hex");
    put("extra_float_digits", "1");
    put("search_path", &options.search_path);
    put("statement_timeout", "0");
    put("lock_timeout", "0");
    put("idle_in_transaction_session_timeout", "0");
    // Questions about the catalogue are many small joins whose cost is overestimated: compiling one takes a second.
    put("jit", "off");
    out.push(0);
    let len = out.len() as u32;
    out[..4].copy_from_slice(&len.to_be_bytes());
    out
}

impl Connection {
    /// Runs one or several statements; gives the rows of the last one that has any.
    pub fn query(&mut self, sql: &str) -> Result<Rows, Error> {
        self.begin(sql)?;
        let mut rows = RowsBuilder::default();
        self.answer(|tag, body| match tag {
            b'T' => rows.description(body),
            b'D' => rows.row(body),
            _ => Ok(false),
        })?;
        Ok(rows.finish())
    }

    /// As `query`, for statements whose rows nobody wants.
    pub fn execute(&mut self, sql: &str) -> Result<(), Error> {
        self.query(sql).map(|_| ())
    }

    /// As `execute`; gives how many rows the statements inserted, updated or deleted, as their command tags say.
    pub fn changes(&mut self, sql: &str) -> Result<u64, Error> {
        self.begin(sql)?;
        let mut changes = 0;
        self.answer(|tag, body| match tag {
            b'C' => {
                changes += changed(&Body::new(tag, body).cstr_lossy()?);
                Ok(true)
            }
            b'T' | b'D' => Ok(true),
            _ => Ok(false),
        })?;
        Ok(changes)
    }

    /// `COPY … TO STDOUT`: calls `row` for each row, which is one CopyData message (the manual promises that of the
    /// server). Gives the number of rows. After an error of `row` the connection cannot be used again.
    pub fn copy_out<E: std::error::Error + 'static>(
        &mut self,
        sql: &str,
        row: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, CopyError<E>> {
        self.begin(sql)?;
        let (mut rows, mut refused) = (0, None);
        let done = self.answer(|tag, body| match tag {
            b'd' => match row(body) {
                Ok(()) => {
                    rows += 1;
                    Ok(true)
                }
                Err(e) => {
                    refused = Some(e);
                    Err(Error::Stopped)
                }
            },
            b'H' | b'c' => Ok(true),
            _ => Ok(false),
        });
        match refused {
            Some(e) => Err(CopyError::Sink(e)),
            None => done.map(|()| rows).map_err(CopyError::Connection),
        }
    }

    /// Longest wait for bytes in any later call; `None` waits for ever. A timeout leaves the connection broken.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.wire.set_read_timeout(timeout)
    }

    /// `server_version_num`, e.g. 150018. The server reports `server_version` as text, "15.18 (Debian …)" or "17beta2".
    pub fn server_version_num(&self) -> u32 {
        version_num(self.parameter("server_version").unwrap_or_default())
    }

    /// A setting that the server reports by itself (ParameterStatus): server_version, in_hot_standby, TimeZone, …
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub fn backend_pid(&self) -> u32 {
        self.backend_pid
    }

    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// True after a failure that left the connection in the middle of an answer.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    fn is_standby(&mut self) -> Result<bool, Error> {
        match self.parameter("in_hot_standby") {
            Some(value) => Ok(value == "on"),
            None => {
                Ok(self.query("SELECT pg_catalog.pg_is_in_recovery()")?.single()?.text("pg_is_in_recovery")? == "t")
            }
        }
    }

    /// Why the server is not what `target_session_attrs` asks for.
    fn misses(&mut self, target: Target) -> Result<Option<&'static str>, Error> {
        if target == Target::Any {
            return Ok(None);
        }
        if self.is_standby()? {
            return Ok(Some("the server is a standby"));
        }
        let read_only = target == Target::ReadWrite && self.parameter("default_transaction_read_only") == Some("on");
        Ok(read_only.then_some("sessions of the server are read-only"))
    }

    /// Timeouts that not every version knows, so that they cannot stand in the startup message.
    fn pin_newer_settings(&mut self) -> Result<(), Error> {
        let version = self.server_version_num();
        if version >= 140_000 {
            self.execute("SET idle_session_timeout = 0")?;
        }
        if version >= 170_000 {
            self.execute("SET transaction_timeout = 0")?;
        }
        Ok(())
    }

    fn begin(&mut self, sql: &str) -> Result<(), Error> {
        if self.state != State::Ready {
            return Err(Error::Broken);
        }
        if sql.contains('\0') {
            return Err(super::options::OptionsError::ZeroByte("a statement").into());
        }
        self.state = State::Broken;
        self.wire.send(&message(b'Q', |out| put_cstr(out, sql)))
    }

    /// Reads to ReadyForQuery. `take` gets what is not common to all answers, and says whether it knew the message.
    /// A server error is remembered and given at the end: the connection is then fit for the next query.
    fn answer(&mut self, mut take: impl FnMut(u8, &[u8]) -> Result<bool, Error>) -> Result<(), Error> {
        let mut failed = None;
        loop {
            let (tag, body) = self.wire.receive()?;
            match tag {
                b'Z' => {
                    self.state = State::Ready;
                    return failed.map_or(Ok(()), Err);
                }
                b'E' => {
                    let error = ServerError::parse(tag, body)?;
                    // After FATAL and PANIC there is no ReadyForQuery.
                    if error.severity != "ERROR" {
                        return Err(Box::new(error).into());
                    }
                    failed = Some(Error::Server(Box::new(error)));
                }
                b'N' => log_notice(&ServerError::parse(tag, body)?),
                b'S' => note_parameter(&mut self.parameters, body)?,
                // CommandComplete: most callers have no use for it.
                b'C' => drop(take(tag, body)?),
                // EmptyQueryResponse, NotificationResponse.
                b'I' | b'A' => {}
                tag => {
                    if !take(tag, body)? {
                        return Err(ProtocolError::Unexpected { tag, state: "a query is answered" }.into());
                    }
                }
            }
        }
    }

    /// The end of the start-up: BackendKeyData, ParameterStatus and ReadyForQuery.
    fn until_ready(&mut self) -> Result<(), Error> {
        self.state = State::Broken;
        let (mut pid, mut secret) = (0, 0);
        self.answer(|tag, body| match tag {
            b'K' => {
                let mut body = Body::new(tag, body);
                (pid, secret) = (body.u32()?, body.u32()?);
                Ok(true)
            }
            _ => Ok(false),
        })?;
        self.backend_pid = pid;
        (self.cancel.pid, self.cancel.secret) = (pid, secret);
        Ok(())
    }

    /// Sends a command that switches to CopyBoth (START_REPLICATION), and gives the socket with what has already come.
    pub(super) fn copy_both(mut self, command: &str) -> Result<(Socket, Vec<u8>), Error> {
        self.begin(command)?;
        loop {
            let (tag, body) = self.wire.receive()?;
            match tag {
                b'W' => return self.wire.take_apart(),
                b'E' => return Err(Box::new(ServerError::parse(tag, body)?).into()),
                b'N' => log_notice(&ServerError::parse(tag, body)?),
                b'S' => note_parameter(&mut self.parameters, body)?,
                tag => return Err(ProtocolError::Unexpected { tag, state: "START_REPLICATION is answered" }.into()),
            }
        }
    }
}

impl CancelToken {
    /// CancelRequest. The server gives no answer to it, whether it found something to cancel or not.
    pub fn cancel(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.timeout;
        let stream = Stream::open(&self.address, &Default::default(), deadline).map_err(Error::from_io)?;
        let mut wire = Wire::new(secured(stream, self.tls.as_deref(), self.timeout)?);
        // No Terminate: the server reads one packet.
        wire.forget();
        let mut out = Vec::with_capacity(16);
        for number in [16_u32, 80_877_102, self.pid, self.secret] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        wire.send(&out)?;
        // The server closes when it has acted on it: then a statement that starts now is not hit any more.
        match wire.receive() {
            Ok(_) | Err(Error::Closed) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Refusals that have their own repair: TLS or a client certificate is missing, a walsender lacks the REPLICATION
/// attribute, all of `max_wal_senders` are there.
fn refused_connection(error: Error, role: &str, encrypted: bool) -> Error {
    match error {
        // Not translated unless the server's messages are: then it stays an authentication failure.
        Error::Server(e) if e.sqlstate == "28000" && !encrypted && e.message.contains("no encryption") => {
            Error::TlsDemanded(e)
        }
        Error::Server(e) if e.sqlstate == "28000" && e.message.contains("valid client certificate") => {
            Error::ClientCertificate(e)
        }
        Error::Server(e) if e.sqlstate == "42501" && e.severity == "FATAL" => {
            // CONNECT on the database is refused with the same SQLSTATE.
            if e.routine.as_deref() == Some("CheckMyDatabase") {
                return Error::Server(e);
            }
            Error::NoReplicationRight { role: role.to_owned(), source: e }
        }
        Error::Server(e) if e.sqlstate == "53300" && e.message.contains("max_wal_senders") => Error::NoFreeSlot(e),
        other => other,
    }
}

pub(super) fn log_notice(notice: &ServerError) {
    match notice.severity.as_str() {
        "WARNING" => tracing::warn!(sqlstate = %notice.sqlstate, "PostgreSQL: {}", notice.message),
        _ => tracing::debug!(sqlstate = %notice.sqlstate, "PostgreSQL: {}", notice.message),
    }
}

fn version_num(text: &str) -> u32 {
    let number = |t: &str| t.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u32>().ok());
    let (major, minor) = text.split_once('.').unwrap_or((text, ""));
    number(major).unwrap_or(0) * 10_000 + number(minor).unwrap_or(0)
}

fn note_parameter(parameters: &mut BTreeMap<String, String>, body: &[u8]) -> Result<(), Error> {
    let mut body = Body::new(b'S', body);
    let (name, value) = (body.cstr_lossy()?, body.cstr_lossy()?);
    parameters.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests;
