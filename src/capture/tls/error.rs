//! Why there is no TLS connection, in words for the one who has to repair it.

use std::io;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError};

use super::super::codes;
use super::settings::SslMode;
use crate::diagnostic::Code;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("sslmode={} asks for TLS, and the server has none", .mode.word())]
    NotOffered { mode: SslMode },
    #[error("the server answered a request for TLS with the byte {byte:#04x}")]
    Answer { byte: u8 },
    #[error("{host:?} is not a name that a certificate could carry")]
    HostName { host: String },
    #[error("the {what} {} cannot be read", .path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no certificate in PEM form", .path.display())]
    NoCertificate { path: PathBuf },
    #[error("sslmode={} needs root certificates, and {} does not exist", .mode.word(), .path.as_deref().map_or("~/.postgresql/root.crt".into(), |p| p.to_string_lossy()))]
    NoRoots { mode: SslMode, path: Option<PathBuf> },
    #[error("sslrootcert=system, and this machine has no file of trusted authorities")]
    NoSystemRoots,
    #[error("the client certificate {} has no key", .certificate.display())]
    NoKey { certificate: PathBuf },
    #[error("{} holds no private key in PEM form", .path.display())]
    BadKey { path: PathBuf },
    #[error("the key {} is encrypted", .path.display())]
    KeyEncrypted { path: PathBuf },
    #[error("the key {} can be read by others (mode {mode:04o})", .path.display())]
    KeyPermissions { path: PathBuf, mode: u32 },
    #[error("the key {} does not belong to the client certificate", .path.display())]
    KeyDoesNotFit {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the server's certificate was issued by an authority that is not trusted here")]
    UnknownIssuer,
    #[error("the server's certificate has expired")]
    Expired,
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    #[error("the server's certificate is not for {host}")]
    WrongName { host: String },
    #[error("the server's certificate cannot be accepted")]
    BadCertificate(#[source] rustls::Error),
    /// An alert about our certificate: it is missing, or the server does not take it.
    #[error("the server does not accept the client certificate, or misses one")]
    ClientCertificate(#[source] rustls::Error),
    #[error("the server closed the connection during the TLS handshake")]
    ClosedInHandshake,
    #[error("TLS failed")]
    Failed(#[source] rustls::Error),
}

impl From<rustls::Error> for TlsError {
    fn from(e: rustls::Error) -> TlsError {
        TlsError::of(e, None)
    }
}

impl TlsError {
    /// `host`: whom the certificate should have named.
    pub fn of(e: rustls::Error, host: Option<&str>) -> TlsError {
        use AlertDescription as Alert;
        use CertificateError as Bad;
        match &e {
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer => TlsError::UnknownIssuer,
                Bad::Expired | Bad::ExpiredContext { .. } => TlsError::Expired,
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsError::NotYetValid,
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                    TlsError::WrongName { host: host.unwrap_or("this host").to_owned() }
                }
                _ => TlsError::BadCertificate(e),
            },
            rustls::Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired,
            ) => TlsError::ClientCertificate(e),
            _ => TlsError::Failed(e),
        }
    }

    pub fn code_and_help(&self) -> (Code, &'static str) {
        match self {
            TlsError::NotOffered { .. } => (
                codes::TLS_NOT_OFFERED,
                "switch TLS on in the server (ssl = on), or use sslmode=prefer on a network that you trust",
            ),
            TlsError::UnknownIssuer => (
                codes::UNKNOWN_ISSUER,
                "put the certificate of the authority that signed the server's into sslrootcert; it is read again at each connect",
            ),
            TlsError::Expired | TlsError::NotYetValid => (
                codes::CERTIFICATE_EXPIRED,
                "renew the server's certificate and reload the server; if it is valid, check the clock of this machine",
            ),
            TlsError::WrongName { .. } => (
                codes::WRONG_NAME,
                "connect by a name that is in the certificate's subjectAltName, or have it reissued with this one; a common name alone is not looked at",
            ),
            TlsError::ClientCertificate(_) => (
                codes::CLIENT_CERTIFICATE,
                "set sslcert and sslkey to a valid certificate of an authority in the server's ssl_ca_file; the server's log says more",
            ),
            TlsError::KeyPermissions { .. } => (codes::TLS_FILES, "chmod 0600 the key, or 0640 if it belongs to root"),
            TlsError::KeyEncrypted { .. } => {
                (codes::TLS_FILES, "store it without a passphrase: openssl pkey -in KEY -out PLAIN")
            }
            TlsError::File { .. }
            | TlsError::NoCertificate { .. }
            | TlsError::NoRoots { .. }
            | TlsError::NoSystemRoots
            | TlsError::NoKey { .. }
            | TlsError::BadKey { .. }
            | TlsError::KeyDoesNotFit { .. } => {
                (codes::TLS_FILES, "check sslrootcert, sslcert and sslkey in [postgres] url")
            }
            TlsError::BadCertificate(_)
            | TlsError::Answer { .. }
            | TlsError::HostName { .. }
            | TlsError::ClosedInHandshake
            | TlsError::Failed(_) => (
                codes::TLS_FAILED,
                "check that the address is the PostgreSQL server; TLS 1.2 or 1.3 and a certificate with RSA, P-256, P-384 or Ed25519 are needed",
            ),
        }
    }
}
