//! What the connection string says about TLS.

use std::path::PathBuf;

/// `sslmode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SslMode {
    Disable,
    /// TLS if the server does not take us without.
    Allow,
    /// TLS if the server has it.
    #[default]
    Prefer,
    Require,
    /// And the certificate comes from an authority that we trust.
    VerifyCa,
    /// And it is this host's.
    VerifyFull,
}

/// `sslrootcert`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Root {
    /// `~/.postgresql/root.crt`, if it is there.
    #[default]
    Default,
    File(PathBuf),
    /// The authorities that the machine trusts.
    System,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    pub mode: SslMode,
    pub root: Root,
    /// None: `~/.postgresql/postgresql.crt`, if it is there; and its key likewise.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Whether a client certificate may be sent at all (`sslcertmode`).
    pub send_certificate: bool,
    pub sni: bool,
    /// TLS 1.2 is refused as well.
    pub only_tls13: bool,
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings {
            mode: SslMode::Prefer,
            root: Root::Default,
            certificate: None,
            key: None,
            send_certificate: true,
            sni: true,
            only_tls13: false,
        }
    }
}

impl SslMode {
    /// The manual's word.
    pub fn word(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }

    pub fn parse(word: &str) -> Option<SslMode> {
        use SslMode::*;
        [Disable, Allow, Prefer, Require, VerifyCa, VerifyFull].into_iter().find(|m| m.word() == word)
    }

    /// Without TLS there is no connection.
    pub fn demands(self) -> bool {
        matches!(self, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull)
    }

    pub fn verifies(self) -> bool {
        matches!(self, SslMode::VerifyCa | SslMode::VerifyFull)
    }
}
