//! Root certificates, client certificate and key, read at each connect.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;
use super::settings::{Root, SslMode, TlsSettings};

/// Where Linux distributions keep the authorities that they trust; SSL_CERT_FILE names another file.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What is trusted: the authorities, and the certificates themselves, one of which may be the server's own.
#[derive(Debug)]
pub struct Roots {
    pub store: RootCertStore,
    pub certificates: Vec<CertificateDer<'static>>,
}

pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub key_path: PathBuf,
}

/// None: the certificate is not to be verified. A root file that exists is used in every mode, as libpq does.
pub fn roots(settings: &TlsSettings) -> Result<Option<Roots>, TlsError> {
    let path = match &settings.root {
        Root::System => system_roots()?,
        Root::File(path) => path.clone(),
        Root::Default => match home_file("root.crt") {
            Some(path) => path,
            None if settings.mode.verifies() => return Err(TlsError::NoRoots { mode: settings.mode, path: None }),
            None => return Ok(None),
        },
    };
    let certificates = match certificates(&path, "root certificates") {
        Err(TlsError::File { source, .. }) if is_absent(&source) => {
            return match settings.mode {
                // Somebody has named a file: that it is away is no reason to trust everybody.
                SslMode::Allow | SslMode::Prefer | SslMode::Require if settings.root == Root::Default => Ok(None),
                mode => Err(TlsError::NoRoots { mode, path: Some(path) }),
            };
        }
        read => read?,
    };
    let mut store = RootCertStore::empty();
    // Bundles hold a few that no verifier of today takes; a file of which none is taken is an error.
    let (added, _) = store.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(TlsError::NoCertificate { path });
    }
    Ok(Some(Roots { store, certificates }))
}

/// The client certificate with its key, if there is one.
pub fn identity(settings: &TlsSettings) -> Result<Option<Identity>, TlsError> {
    if !settings.send_certificate {
        return Ok(None);
    }
    let (path, named) = match (&settings.certificate, home_file("postgresql.crt")) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok(None),
    };
    let chain = match certificates(&path, "client certificate") {
        Err(TlsError::File { source, .. }) if is_absent(&source) && !named => return Ok(None),
        read => read?,
    };
    let key_path = match (&settings.key, home_file("postgresql.key")) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) => path,
        (None, None) => return Err(TlsError::NoKey { certificate: path }),
    };
    let key = private_key(&key_path)?;
    Ok(Some(Identity { chain, key, key_path }))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const WHAT: &str = "key of the client certificate";
    let failed = |source| TlsError::File { what: WHAT, path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !key_is_private(metadata.mode(), metadata.uid()) {
        return Err(TlsError::KeyPermissions { path: path.to_owned(), mode: metadata.mode() & 0o777 });
    }
    let pem = std::fs::read(path).map_err(failed)?;
    if pem.windows(9).any(|w| w == b"ENCRYPTED") {
        return Err(TlsError::KeyEncrypted { path: path.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::BadKey { path: path.to_owned() })
}

/// libpq's rule: 0600, or 0640 for a file of root's.
fn key_is_private(mode: u32, owner: u32) -> bool {
    let forbidden = if owner == 0 { 0o037 } else { 0o077 };
    mode & forbidden == 0
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(path).map_err(|source| TlsError::File { what, path: path.to_owned(), source })?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| TlsError::NoCertificate { path: path.to_owned() })
}

fn system_roots() -> Result<PathBuf, TlsError> {
    if let Some(named) = std::env::var_os("SSL_CERT_FILE").filter(|v| !v.is_empty()) {
        return Ok(named.into());
    }
    SYSTEM_ROOTS.iter().map(PathBuf::from).find(|p| p.is_file()).ok_or(TlsError::NoSystemRoots)
}

/// `~/.postgresql/NAME`
fn home_file(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|h| !h.is_empty())?;
    Some(PathBuf::from(home).join(".postgresql").join(name))
}

fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        for (mode, owner, private) in [
            (0o100600, 1000, true),
            (0o100400, 1000, true),
            (0o100640, 1000, false),
            (0o100604, 1000, false),
            (0o100640, 0, true),
            (0o100440, 0, true),
            (0o100660, 0, false),
            (0o100644, 0, false),
        ] {
            assert_eq!(key_is_private(mode, owner), private, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn a_named_root_file_must_be_there() {
        let named = |mode| TlsSettings { mode, root: Root::File("/nowhere/root.crt".into()), ..Default::default() };
        for mode in [SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
            assert!(matches!(roots(&named(mode)), Err(TlsError::NoRoots { .. })), "{mode:?}");
        }
    }
}
