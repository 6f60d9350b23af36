//! TLS below the protocol, as libpq does it (PostgreSQL manual, "SSL Support").
//!
//! `settings` says what is wanted, `files` reads certificates and keys anew for each connection, `verify` judges the
//! server's certificate, `session` is the stream. Nothing that was sent before the handshake is ever read as part of
//! the protocol: the answer to SSLRequest is one byte, and one byte is read.

mod certificate;
mod error;
mod files;
mod session;
mod settings;
mod verify;

pub use error::TlsError;
pub use session::Session;
pub use settings::{Root, SslMode, TlsSettings};

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::socket::Stream;
use verify::Judge;

/// SSLRequest: its length and the code that stands where a version would.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks the server for TLS and shakes hands. None: the server has none, and the stream can go on without.
/// `host` is the name that the certificate must carry.
pub fn negotiate(stream: &mut Stream, settings: &TlsSettings, host: &str) -> Result<Option<Session>, super::Error> {
    let config = Arc::new(client_config(settings)?);
    stream.write_all(&SSL_REQUEST).map_err(super::Error::from_io)?;
    let mut answer = [0];
    match stream.read_exact(&mut answer) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(super::Error::Closed),
        Err(e) => return Err(super::Error::from_io(e)),
    }
    match answer[0] {
        b'S' => {}
        b'N' => return Ok(None),
        // Also 'E': an error message that nobody has signed for is not shown to people.
        other => return Err(TlsError::Answer { byte: other }.into()),
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::HostName { host: host.to_owned() })?;
    Session::handshake(stream, config, name).map(Some)
}

/// Reads the files now, so that a certificate that was replaced is used by the next connection.
fn client_config(settings: &TlsSettings) -> Result<rustls::ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let by_name = settings.mode == SslMode::VerifyFull;
    let versions: &[&rustls::SupportedProtocolVersion] = match settings.only_tls13 {
        true => &[&rustls::version::TLS13],
        false => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::from)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Judge::new(files::roots(settings)?, by_name, algorithms)));
    let mut config = match files::identity(settings)? {
        Some(own) => builder
            .with_client_auth_cert(own.chain, own.key)
            .map_err(|source| TlsError::KeyDoesNotFit { path: own.key_path, source })?,
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = settings.sni;
    // PostgreSQL keeps no sessions.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}
