//! What librdkafka says about its connections: whether a broker does not let us in.
//!
//! It tries again for ever with the password and the certificates that the client was made with, and a call only says
//! that it has timed out. The reason stands in its error events, which are kept here, so that a call can end early with
//! it and a client can be made anew with what the files then hold.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::error::EmitError;
use super::options::Options;

/// Shared by a client's context and those who ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    denied: Arc<Mutex<Option<(Denial, String)>>>,
    /// What the client was made with may be another one the next time.
    rotates: bool,
}

/// At which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// SASL: name, password or mechanism.
    Authentication,
    /// One side does not take the other's certificate.
    Tls,
}

impl Trouble {
    pub fn of(options: &Options) -> Trouble {
        Trouble { denied: Arc::default(), rotates: options.rotates() }
    }

    /// From the client's context.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        if let Some(denial) = error.rdkafka_error_code().and_then(|code| denial(code, reason)) {
            *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some((denial, brief(reason)));
        }
    }

    /// The newest refusal, if there was one.
    pub fn denied(&self, action: &'static str) -> Option<EmitError> {
        let (denial, reason) = self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(EmitError::Denied { action, denial, reason, rotates: self.rotates })
    }
}

fn denial(code: RDKafkaErrorCode, reason: &str) -> Option<Denial> {
    match code {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => Some(Denial::Authentication),
        // A broker that goes away in the middle of a handshake comes back.
        RDKafkaErrorCode::SSL if !reason.contains("Disconnected") && !reason.contains("Connection reset") => {
            Some(Denial::Tls)
        }
        // A broker that wants a certificate says so after TLS 1.3's handshake, where librdkafka sees a lost connection.
        RDKafkaErrorCode::BrokerTransportFailure if reason.contains("SSL alert number") => Some(Denial::Tls),
        _ => None,
    }
}

/// Without the trail of how long it took, which differs each time.
fn brief(reason: &str) -> String {
    let end = reason.rfind(" (after ").unwrap_or(reason.len());
    reason[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: RDKafkaErrorCode, reason: &str, expected: Option<Denial>) {
        let trouble = Trouble::default();
        trouble.note(&KafkaError::Global(code), reason);
        let found = trouble.denied("asking").map(|e| match e {
            EmitError::Denied { denial, reason, .. } => (denial, reason),
            other => panic!("{other}"),
        });
        assert_eq!(found, expected.map(|d| (d, "what it says".to_owned())), "{reason}");
    }

    #[test]
    fn a_refusal_is_told_from_a_lost_connection() {
        use RDKafkaErrorCode as Code;
        check(Code::Authentication, "what it says (after 3ms in state AUTH_REQ)", Some(Denial::Authentication));
        check(Code::SSL, "what it says", Some(Denial::Tls));
        check(Code::SSL, "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?", None);
        let alert = "what it says (after 1ms in state APIVERSION_QUERY)";
        check(Code::BrokerTransportFailure, alert, None);
        let trouble = Trouble::default();
        trouble.note(
            &KafkaError::Global(Code::BrokerTransportFailure),
            "Receive failed: SSL routines::alert bad certificate: SSL alert number 42",
        );
        assert!(matches!(trouble.denied("asking"), Some(EmitError::Denied { denial: Denial::Tls, .. })));
        check(Code::BrokerTransportFailure, "Connection refused", None);
        check(Code::AllBrokersDown, "1/1 brokers are down", None);
    }
}
