//! Judging the server's certificate: its chain in `verify-ca`, its chain and name in `verify-full`.
//!
//! Signatures of the handshake are checked in every mode: without that the other side need not even hold the key of
//! the certificate that it shows.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::Certificate;
use super::files::Roots;

#[derive(Debug)]
pub struct Judge {
    /// None: any certificate will do.
    roots: Option<Roots>,
    /// And its name must fit.
    name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    pub fn new(roots: Option<Roots>, name: bool, algorithms: WebPkiSupportedAlgorithms) -> Judge {
        Judge { roots, name, algorithms }
    }

    fn chain(
        &self,
        roots: &Roots,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        // A server's own certificate in the root file, as `openssl req -x509` makes it: it marks itself as an
        // authority's, which a verifier of chains does not take from a server. What stands in the file is trusted.
        if roots.certificates.iter().any(|c| c == end) {
            let certificate = Certificate::parse(end).ok_or(CertificateError::BadEncoding)?;
            return match now.as_secs() as i64 {
                now if now < certificate.not_before => Err(CertificateError::NotValidYet.into()),
                now if now > certificate.not_after => Err(CertificateError::Expired.into()),
                _ => Ok(()),
            };
        }
        let parsed = ParsedCertificate::try_from(end)?;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &roots.store, between, now, self.algorithms.all) {
            // That it calls itself an authority is not what its owner has to hear.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if Certificate::parse(end).is_some_and(|c| c.self_issued) =>
            {
                Err(CertificateError::UnknownIssuer.into())
            }
            done => done,
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            self.chain(roots, end, between, now)?;
        }
        if self.name {
            verify_server_name(&ParsedCertificate::try_from(end)?, host)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
