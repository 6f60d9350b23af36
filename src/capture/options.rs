//! Connection options: a libpq URL or keyword/value string (PostgreSQL manual, "Connection Strings").
//!
//! What libpq knows and we do not is refused by name, never ignored. The password cannot be printed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::auth::{AllowedMethods, Binding};
use super::error::Error;
use super::passfile;
pub use super::tls::SslMode;
use super::tls::{Root, TlsSettings};

#[derive(Clone, Debug)]
pub struct Options {
    /// Tried in order.
    pub hosts: Vec<Host>,
    pub user: String,
    pub database: String,
    pub password: Password,
    pub application_name: String,
    pub tls: TlsSettings,
    pub channel_binding: Binding,
    /// `require_auth`
    pub allowed_methods: AllowedMethods,
    /// `passfile`; None: PGPASSFILE or `~/.pgpass`.
    pub passfile: Option<PathBuf>,
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
    /// `address` is `hostaddr`: where to connect to, while the certificate and `.pgpass` go by the name.
    Tcp {
        name: String,
        address: Option<IpAddr>,
        port: u16,
    },
    Unix {
        directory: PathBuf,
        port: u16,
    },
}

/// Where the password comes from, asked at each connect.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Password {
    /// PGPASSWORD, if it is set; else the password file of libpq.
    #[default]
    Environment,
    Value(String),
    /// The file's first line.
    File(PathBuf),
}

/// `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Target {
    #[default]
    Any,
    /// Not a standby.
    Primary,
    /// Nor one whose sessions begin read-only.
    ReadWrite,
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
    #[error("{name} is not supported: {reason}")]
    Refused { name: String, reason: &'static str },
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
    "sslsni",
    "sslcertmode",
    "ssl_min_protocol_version",
    "require_auth",
    "passfile",
];

/// What libpq knows and we refuse: with silence somebody would believe in a protection that is not there.
const REFUSED: &[(&str, &str)] = &[
    ("sslpassword", "keep the key without a passphrase, readable by its owner only"),
    ("sslcrl", "revocation lists are not read; give the server a certificate with a short life instead"),
    ("sslcrldir", "revocation lists are not read; give the server a certificate with a short life instead"),
    ("ssl_max_protocol_version", "the newest version that both sides know is used"),
    ("load_balance_hosts", "a slot lives on one server: hosts are tried in their order"),
    ("requirepeer", "it is not checked on unix sockets"),
    ("service", "write its parameters out"),
    ("replication", "it is set where it is needed"),
    ("krbsrvname", "Kerberos is not supported"),
    ("gsslib", "Kerberos is not supported"),
    ("gssdelegation", "Kerberos is not supported"),
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

    /// The password of this moment, in libpq's order: the parameter, PGPASSWORD, the password file.
    pub(super) fn password_now(&self, host: &Host) -> Result<Option<String>, Error> {
        match &self.password {
            Password::Environment => Ok(std::env::var("PGPASSWORD").ok().filter(|p| !p.is_empty()).or_else(|| {
                let path = self.passfile.clone().or_else(passfile::default_path)?;
                passfile::look_up(&path, host, &self.database, &self.user)
            })),
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
        tls: TlsSettings::default(),
        channel_binding: Binding::Prefer,
        allowed_methods: AllowedMethods::default(),
        passfile: None,
        connect_timeout: Duration::from_secs(10),
        keepalive: Keepalive::default(),
        target: Target::Any,
        search_path: String::new(),
        options: None,
    };
    let (mut hosts, mut ports, mut hostaddr) = (String::new(), String::new(), String::new());
    let mut mode = None;
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
                let parsed = SslMode::parse(&value);
                mode = Some(parsed.ok_or(bad("disable, allow, prefer, require, verify-ca or verify-full"))?);
            }
            "sslrootcert" => {
                options.tls.root = match value.as_str() {
                    "" => Root::Default,
                    "system" => Root::System,
                    path => Root::File(path.into()),
                }
            }
            "sslcert" => options.tls.certificate = path(value),
            "sslkey" => options.tls.key = path(value),
            "passfile" => options.passfile = path(value),
            "sslcertmode" => match value.as_str() {
                "allow" => {}
                "disable" => options.tls.send_certificate = false,
                _ => return Err(bad("allow or disable")),
            },
            "sslsni" => match value.as_str() {
                "1" => {}
                "0" => options.tls.sni = false,
                _ => return Err(bad("0 or 1")),
            },
            "ssl_min_protocol_version" => match value.as_str() {
                "TLSv1.2" => {}
                "TLSv1.3" => options.tls.only_tls13 = true,
                _ => return Err(bad("TLSv1.2 or TLSv1.3")),
            },
            "sslnegotiation" if value == "postgres" => {}
            "sslnegotiation" => return Err(bad("postgres: TLS is asked for by SSLRequest, which every server knows")),
            "sslcompression" if value == "0" => {}
            "sslcompression" => return Err(bad("0")),
            "require_auth" => {
                let parsed = AllowedMethods::parse(&value);
                options.allowed_methods =
                    parsed.ok_or(bad("a list of none, password, md5 and scram-sha-256, or all with '!'"))?;
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
                    "primary" => Target::Primary,
                    "read-write" => Target::ReadWrite,
                    "read-only" | "standby" | "prefer-standby" => {
                        return Err(bad(
                            "any, primary or read-write: the slot and what is published live on the primary",
                        ));
                    }
                    _ => return Err(bad("any, primary or read-write")),
                }
            }
            "client_encoding" if matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "auto") => {}
            "client_encoding" => return Err(bad("always UTF8")),
            "gssencmode" if matches!(value.as_str(), "disable" | "prefer") => {}
            "gssencmode" => return Err(bad("disable or prefer")),
            "channel_binding" => {
                options.channel_binding = match value.as_str() {
                    "disable" => Binding::Disable,
                    "prefer" => Binding::Prefer,
                    "require" => Binding::Require,
                    _ => return Err(bad("disable, prefer or require")),
                }
            }
            _ => {
                if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
                    return Err(OptionsError::Refused { name, reason });
                }
                let near = |p: &&&str| strsim::damerau_levenshtein(p, &name);
                let nearest = PARAMETERS.iter().min_by_key(near).filter(|p| near(p) <= 3).copied();
                return Err(OptionsError::Unknown { name, nearest });
            }
        }
    }
    options.tls.mode = match (&options.tls.root, mode) {
        // Half the world has a certificate of one of these authorities: without the name it says nothing.
        (Root::System, None | Some(SslMode::VerifyFull)) => SslMode::VerifyFull,
        (Root::System, Some(weak)) => {
            return Err(OptionsError::Value {
                name: "sslmode".into(),
                value: weak.word().into(),
                expected: "verify-full is the only one with sslrootcert=system",
            });
        }
        (_, mode) => mode.unwrap_or_default(),
    };
    options.hosts = host_list(&hosts, &hostaddr, &ports)?;
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

fn path(value: String) -> Option<PathBuf> {
    (!value.is_empty()).then(|| value.into())
}

/// Hosts, addresses and ports are lists; one port serves all hosts.
fn host_list(hosts: &str, addresses: &str, ports: &str) -> Result<Vec<Host>, OptionsError> {
    let hosts: Vec<&str> = if hosts.is_empty() { addresses } else { hosts }.split(',').collect();
    let addresses: Vec<Option<IpAddr>> = match addresses {
        "" => vec![None; hosts.len()],
        some => some
            .split(',')
            .map(|a| match a {
                "" => Ok(None),
                a => a.parse().map(Some).map_err(|_| OptionsError::Value {
                    name: "hostaddr".into(),
                    value: a.into(),
                    expected: "an IP address; names go into host",
                }),
            })
            .collect::<Result<_, _>>()?,
    };
    if addresses.len() != hosts.len() {
        return Err(OptionsError::Syntax("the list of addresses is not as long as the list of hosts"));
    }
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
            "" => Host::Tcp { name: "localhost".into(), address: addresses[i], port },
            path if path.starts_with('/') && addresses[i].is_none() => Host::Unix { directory: path.into(), port },
            name => Host::Tcp { name: name.to_owned(), address: addresses[i], port },
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
            Host::Tcp { name, address: Some(address), port } if *name != address.to_string() => {
                write!(f, "{name}:{port} ({address})")
            }
            Host::Tcp { name, port, .. } => write!(f, "{name}:{port}"),
            Host::Unix { directory, port } => write!(f, "{}/.s.PGSQL.{port}", directory.display()),
        }
    }
}

#[cfg(test)]
#[path = "options/tests.rs"]
mod tests;
