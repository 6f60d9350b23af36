//! How the registry's client speaks TLS: its files, the agent made from them, and what a refused handshake means.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::client::ClientOptions;
use super::error::RegistryError;
use crate::credential::Unreadable;

/// Where Debian, Alpine and Red Hat keep the system's roots.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What the files hold now; nothing where no address is https. The key among it is not to be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Material {
    https: bool,
    ca: Option<Vec<u8>>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl Material {
    pub fn read(options: &ClientOptions, urls: &[String]) -> Result<Material, RegistryError> {
        if !urls.iter().any(|u| u.starts_with("https://")) {
            return Ok(Material::default());
        }
        let read = |key: &'static str, path: &Option<std::path::PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            std::fs::read(path).map(Some).map_err(|e| RegistryError::Secret {
                key,
                source: Unreadable(format!("cannot read {}: {e}", path.display())),
            })
        };
        Ok(Material {
            https: true,
            ca: read("ca", &options.ca)?,
            cert: read("cert", &options.cert)?,
            key: read("key", &options.key)?,
        })
    }
}

pub(super) fn agent(options: &ClientOptions, material: &Material) -> Result<ureq::Agent, RegistryError> {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(options.timeout.unwrap_or(Duration::from_secs(10))))
        .user_agent(concat!("pgspine/", env!("CARGO_PKG_VERSION")));
    if material.https {
        config = config.tls_config(tls_config(material)?);
    }
    Ok(config.build().into())
}

fn tls_config(material: &Material) -> Result<TlsConfig, RegistryError> {
    let setup = |message: &str| RegistryError::Setup { message: message.to_owned() };
    let certificates = |pem: &[u8]| -> Vec<Certificate<'static>> {
        parse_pem(pem).filter_map(|item| if let Ok(PemItem::Certificate(c)) = item { Some(c) } else { None }).collect()
    };
    let roots = match &material.ca {
        Some(pem) => certificates(pem),
        None => SYSTEM_ROOTS
            .iter()
            .find_map(|path| std::fs::read(path).ok())
            .map(|pem| certificates(&pem))
            .unwrap_or_default(),
    };
    if roots.is_empty() {
        return Err(setup("no root certificates for https: set [registry] ca to a PEM file with certificates"));
    }
    let client = match (&material.cert, &material.key) {
        (Some(cert), Some(key)) => {
            let key =
                PrivateKey::from_pem(key).map_err(|_| setup("[registry] key is no PEM key without a password"))?;
            let chain = certificates(cert);
            if chain.is_empty() {
                return Err(setup("[registry] cert is no PEM certificate"));
            }
            Some(ClientCert::new_with_certs(&chain, key))
        }
        (None, None) => None,
        _ => return Err(setup("[registry] cert and key go together")),
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .build())
}

/// A handshake that failed over certificates is told from a registry that does not answer.
pub(super) fn refused(url: &str, source: ureq::Error) -> RegistryError {
    let tls = match &source {
        // So it comes from within a handshake.
        ureq::Error::Io(e) => e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()),
        ureq::Error::Rustls(e) => Some(e),
        _ => None,
    };
    if let Some(tls) = tls {
        // An alert is what the other side says: it did not take our certificate, or misses one.
        let theirs = !matches!(tls, rustls::Error::AlertReceived(_));
        return RegistryError::Tls { url: url.to_owned(), reason: tls.to_string(), theirs };
    }
    RegistryError::Unreachable { url: url.to_owned(), source: Box::new(source) }
}
