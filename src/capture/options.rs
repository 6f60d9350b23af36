//! Connection options: a libpq URL or keyword/value string (PostgreSQL manual, "Connection Strings").
//!
//! What libpq knows and we do not is refused by name, never ignored. The password cannot be printed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;

#[derive(Clone, Debug)]
pub struct Options {
    /// Tried in order.
    pub hosts: Vec<Host>,
    pub user: String,
    pub database: String,
    pub password: Password,
    pub application_name: String,
    pub sslmode: SslMode,
    /// For one host, from the first packet to the server being ready.
    pub connect_timeout: Duration,
    pub keepalive: Keepalive,
    pub target: Target,
    /// `search_path` of the session; "" finds only what is qualified (and pg_catalog).
    pub search_path: String,
    /// libpq's `options`: command-line switches for the server, e.g. `-c wal_sender_timeout=10s`.
    pub options: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Tcp { name: String, port: u16 },
    Unix { directory: PathBuf, port: u16 },
}

/// Where the password comes from, asked at each connect.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Password {
    /// PGPASSWORD, if it is set.
    #[default]
    Environment,
    Value(String),
    /// The file's first line.
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
}

/// `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Target {
    #[default]
    Any,
    /// Not a standby.
    Primary,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    pub enabled: bool,
    pub idle: Duration,
    pub interval: Duration,
    pub count: u32,
    pub user_timeout: Option<Duration>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionsError {
    #[error("{name} is not a connection parameter{}", .nearest.map(|n| format!("; {n} is")).unwrap_or_default())]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("{name} = {value:?} is not supported; {expected}")]
    Value { name: String, value: String, expected: &'static str },
    #[error("sslmode={mode} needs TLS, which this version does not have yet")]
    Tls { mode: String },
    #[error("{0}")]
    Syntax(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} holds a zero byte")]
    ZeroByte(&'static str),
}

const PARAMETERS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "connect_timeout",
    "application_name",
    "fallback_application_name",
    "options",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "target_session_attrs",
    "client_encoding",
    "gssencmode",
    "channel_binding",
    "sslrootcert",
    "sslcert",
    "sslkey",
];

impl Options {
    pub fn parse(text: &str) -> Result<Options, OptionsError> {
        let text = text.trim();
        let pairs = match ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => url_pairs(rest)?,
            None => keyword_pairs(text)?,
        };
        from_pairs(pairs)
    }

    /// The password of this moment.
    pub(super) fn password_now(&self) -> Result<Option<String>, Error> {
        match &self.password {
            Password::Environment => Ok(std::env::var("PGPASSWORD").ok()),
            Password::Value(value) => Ok(Some(value.clone())),
            Password::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Some(text.lines().next().unwrap_or_default().to_owned())),
                Err(source) => Err(Error::PasswordFile { path: path.clone(), source }),
            },
        }
    }
}

fn from_pairs(pairs: Vec<(String, String)>) -> Result<Options, OptionsError> {
    let mut options = Options {
        hosts: Vec::new(),
        user: String::new(),
        database: String::new(),
        password: Password::Environment,
        application_name: "pgspine".to_owned(),
        sslmode: SslMode::Prefer,
        connect_timeout: Duration::from_secs(10),
        keepalive: Keepalive::default(),
        target: Target::Any,
        search_path: String::new(),
        options: None,
    };
    let (mut hosts, mut ports, mut hostaddr) = (String::new(), String::new(), String::new());
    for (name, value) in pairs {
        let bad = |expected| OptionsError::Value { name: name.clone(), value: value.clone(), expected };
        let seconds = || value.parse().map(Duration::from_secs).map_err(|_| bad("a number of seconds"));
        match name.as_str() {
            "host" => hosts = value,
            "hostaddr" => hostaddr = value,
            "port" => ports = value,
            "dbname" => options.database = value,
            "user" => options.user = value,
            "password" => options.password = Password::Value(value),
            "application_name" | "fallback_application_name" => options.application_name = value,
            "options" => options.options = Some(value),
            "sslmode" => {
                options.sslmode = match value.as_str() {
                    "disable" => SslMode::Disable,
                    "allow" => SslMode::Allow,
                    "prefer" => SslMode::Prefer,
                    "require" | "verify-ca" | "verify-full" => return Err(OptionsError::Tls { mode: value }),
                    _ => return Err(bad("disable, allow or prefer")),
                }
            }
            "connect_timeout" => options.connect_timeout = seconds()?.max(Duration::from_secs(1)),
            "keepalives" => options.keepalive.enabled = value != "0",
            "keepalives_idle" => options.keepalive.idle = seconds()?.max(Duration::from_secs(1)),
            "keepalives_interval" => options.keepalive.interval = seconds()?.max(Duration::from_secs(1)),
            "keepalives_count" => options.keepalive.count = value.parse().map_err(|_| bad("a number"))?,
            "tcp_user_timeout" => {
                let millis: u64 = value.parse().map_err(|_| bad("a number of milliseconds"))?;
                options.keepalive.user_timeout = (millis > 0).then(|| Duration::from_millis(millis));
            }
            "target_session_attrs" => {
                options.target = match value.as_str() {
                    "any" => Target::Any,
                    "primary" | "read-write" => Target::Primary,
                    _ => return Err(bad("any, primary or read-write")),
                }
            }
            "client_encoding" if matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "auto") => {}
            "client_encoding" => return Err(bad("always UTF8")),
            "gssencmode" if matches!(value.as_str(), "disable" | "prefer") => {}
            "gssencmode" => return Err(bad("disable or prefer")),
            "channel_binding" if matches!(value.as_str(), "disable" | "prefer") => {}
            "channel_binding" => return Err(bad("disable or prefer")),
            // Without effect while sslmode stays below require, as in libpq.
            "sslrootcert" | "sslcert" | "sslkey" => {}
            _ => {
                let near = |p: &&&str| strsim::damerau_levenshtein(p, &name);
                let nearest = PARAMETERS.iter().min_by_key(near).filter(|p| near(p) <= 3).copied();
                return Err(OptionsError::Unknown { name, nearest });
            }
        }
    }
    if !hostaddr.is_empty() {
        hosts = hostaddr;
    }
    options.hosts = host_list(&hosts, &ports)?;
    if options.user.is_empty() {
        options.user = std::env::var("PGUSER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    }
    if options.user.is_empty() {
        return Err(OptionsError::Missing("user"));
    }
    if options.database.is_empty() {
        options.database = options.user.clone();
    }
    no_zero("user", &options.user)?;
    no_zero("dbname", &options.database)?;
    no_zero("application_name", &options.application_name)?;
    no_zero("options", options.options.as_deref().unwrap_or_default())?;
    Ok(options)
}

fn no_zero(name: &'static str, value: &str) -> Result<(), OptionsError> {
    if value.contains('\0') { Err(OptionsError::ZeroByte(name)) } else { Ok(()) }
}

/// Hosts and ports are lists; one port serves all hosts.
fn host_list(hosts: &str, ports: &str) -> Result<Vec<Host>, OptionsError> {
    let hosts: Vec<&str> = hosts.split(',').collect();
    let ports: Vec<u16> = ports
        .split(',')
        .map(|p| match p {
            "" => Ok(5432),
            // Not shown: the rest of a password that has a / in it looks like one.
            p => p.parse().ok().filter(|&p| p != 0).ok_or(OptionsError::Syntax(
                "a port is a number from 1 to 65535; in a URL, / and @ of a password are written %2F and %40",
            )),
        })
        .collect::<Result<_, _>>()?;
    if ports.len() != 1 && ports.len() != hosts.len() {
        return Err(OptionsError::Syntax("the list of ports is not as long as the list of hosts"));
    }
    let host = |(i, name): (usize, &&str)| {
        let port = if ports.len() == 1 { ports[0] } else { ports[i] };
        match *name {
            "" => Host::Tcp { name: "localhost".into(), port },
            path if path.starts_with('/') => Host::Unix { directory: path.into(), port },
            name => Host::Tcp { name: name.to_owned(), port },
        }
    };
    Ok(hosts.iter().enumerate().map(host).collect())
}

/// `[user[:password]@][host[:port][,…]][/dbname][?name=value[&…]]`
fn url_pairs(rest: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut pairs = Vec::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = userinfo.split_once(':').map_or((userinfo, None), |(u, p)| (u, Some(p)));
    let mut push = |name: &str, value: String| {
        if !value.is_empty() {
            pairs.push((name.to_owned(), value));
        }
    };
    push("user", percent_decode(user)?);
    push("password", percent_decode(password.unwrap_or_default())?);
    push("dbname", percent_decode(database)?);
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for part in hosts.split(',') {
        let (name, port) = match part.strip_prefix('[') {
            Some(v6) => {
                let (address, after) =
                    v6.split_once(']').ok_or(OptionsError::Syntax("an IPv6 address has no closing bracket"))?;
                (address, after.strip_prefix(':').unwrap_or(after))
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        names.push(percent_decode(name)?);
        ports.push(port.to_owned());
    }
    push("host", names.join(","));
    if ports.iter().any(|p| !p.is_empty()) {
        push("port", ports.join(","));
    }
    for parameter in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) =
            parameter.split_once('=').ok_or(OptionsError::Syntax("a parameter after '?' has no '='"))?;
        pairs.push((percent_decode(name)?, percent_decode(value)?));
    }
    Ok(pairs)
}

/// `name = value`, with single quotes and backslashes as libpq reads them.
fn keyword_pairs(text: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            name.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            return Err(OptionsError::Syntax("a keyword is not followed by '='"));
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                Some('\\') => value.push(rest.next().ok_or(OptionsError::Syntax("a backslash ends the text"))?),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err(OptionsError::Syntax("a quoted value has no closing quote")),
                None => break,
            }
        }
        pairs.push((name, value));
    }
}

fn percent_decode(text: &str) -> Result<String, OptionsError> {
    let bad = OptionsError::Syntax("a '%' is not followed by two hexadecimal digits of UTF-8 text");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let mut digit = || bytes.next().and_then(|d| (d as char).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err(bad),
        }
    }
    String::from_utf8(out).map_err(|_| bad)
}

impl Default for Keepalive {
    /// A dead peer shows after 10 + 3 × 5 s, well within the 60 s of `wal_sender_timeout`.
    fn default() -> Keepalive {
        Keepalive {
            enabled: true,
            idle: Duration::from_secs(10),
            interval: Duration::from_secs(5),
            count: 3,
            user_timeout: Some(Duration::from_secs(30)),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Environment => f.write_str("Environment"),
            Password::Value(_) => f.write_str("Value(***)"),
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Tcp { name, port } => write!(f, "{name}:{port}"),
            Host::Unix { directory, port } => write!(f, "{}/.s.PGSQL.{port}", directory.display()),
        }
    }
}

#[cfg(test)]
#[path = "options/tests.rs"]
mod tests;
