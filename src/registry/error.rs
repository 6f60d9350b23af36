//! What can go wrong with the registry, and which of it passes by itself.

use crate::credential::Unreadable;
use crate::diagnostic::Diagnostic;
use crate::registry::codes;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("no answer from {url}")]
    Unreachable {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    /// 5xx and 429: the registry answers, but not now.
    #[error("{url} answers {status} {error_code}: {message}")]
    Unavailable { url: String, status: u16, error_code: u32, message: String },
    #[error("{url} answers {status}: {message}")]
    Unauthorized {
        url: String,
        status: u16,
        message: String,
        /// The next call may carry another password or token: they stand in files.
        rotates: bool,
    },
    #[error("no TLS with {url}: {reason}")]
    Tls {
        url: String,
        reason: String,
        /// It is the registry's certificate that is not trusted, not ours.
        theirs: bool,
    },
    #[error("[registry] {key}: {source}")]
    Secret { key: &'static str, source: Unreadable },
    #[error("the registry refuses the schema of {subject} as incompatible: {message}")]
    Incompatible { subject: String, message: String },
    #[error("the registry refuses the schema of {subject} as invalid: {message}")]
    Invalid { subject: String, message: String },
    #[error("the schema is not registered under {subject}")]
    NotRegistered { subject: String },
    #[error("{subject} has the compatibility level {level}, the configuration says {wanted}")]
    Level { subject: String, level: String, wanted: String },
    #[error("{what}: {status} {error_code}: {message}")]
    Unexpected { what: String, status: u16, error_code: u32, message: String },
    #[error("{message}")]
    Setup { message: String },
}

impl RegistryError {
    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        match self {
            RegistryError::Unreachable { .. } | RegistryError::Unavailable { .. } => true,
            RegistryError::Unauthorized { .. }
            | RegistryError::Tls { .. }
            | RegistryError::Secret { .. }
            | RegistryError::Incompatible { .. }
            | RegistryError::Invalid { .. }
            | RegistryError::NotRegistered { .. }
            | RegistryError::Level { .. }
            | RegistryError::Unexpected { .. }
            | RegistryError::Setup { .. } => false,
        }
    }

    /// Whether what stands in files may be exchanged, so that the same call is let in later. Certificates always may: the
    /// registry's own is renewed as well.
    pub fn may_pass(&self) -> bool {
        match self {
            RegistryError::Unauthorized { rotates, .. } => *rotates,
            RegistryError::Tls { .. } | RegistryError::Secret { .. } => true,
            _ => false,
        }
    }

    /// The registry answers and does not let us in, or what it wants to see cannot be read or used.
    pub fn is_credentials(&self) -> bool {
        matches!(
            self,
            RegistryError::Unauthorized { .. }
                | RegistryError::Tls { .. }
                | RegistryError::Secret { .. }
                | RegistryError::Setup { .. }
        )
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            RegistryError::Unreachable { .. } | RegistryError::Unavailable { .. } => {
                (codes::UNREACHABLE, "look at [registry] url, and whether the registry runs".to_owned())
            }
            RegistryError::Unauthorized { .. } => {
                (codes::UNAUTHORIZED, "look at username, password or bearer_token under [registry]".to_owned())
            }
            RegistryError::Incompatible { .. } => (
                codes::INCOMPATIBLE,
                "give new fields a default and keep old ones, or publish the new shape to a new topic".to_owned(),
            ),
            RegistryError::Invalid { .. } => {
                (codes::INVALID, "the registry's message says what it does not take".to_owned())
            }
            RegistryError::NotRegistered { .. } => (
                codes::NOT_REGISTERED,
                "register the contract under this subject as your pipeline does, or set [registry] mode = \"register\""
                    .to_owned(),
            ),
            RegistryError::Level { subject, level, wanted } => (
                codes::LEVEL,
                format!("set {subject} to {wanted} in the registry, or [registry] compatibility = \"{level}\""),
            ),
            RegistryError::Unexpected { .. } => (
                codes::UNEXPECTED,
                "the address must be that of a Confluent API, such as http://registry:8081".to_owned(),
            ),
            RegistryError::Tls { theirs: true, .. } => (
                codes::TLS,
                "[registry] ca must hold the authority that has signed the registry's certificate, and url a name that stands in it"
                    .to_owned(),
            ),
            RegistryError::Tls { theirs: false, .. } => (
                codes::TLS,
                "the registry wants a client certificate that it trusts: look at cert and key under [registry]".to_owned(),
            ),
            RegistryError::Secret { .. } => {
                (codes::SECRET, "check that the file is mounted and that pgspine's user may read it".to_owned())
            }
            RegistryError::Setup { .. } => (codes::SETUP, "correct it under [registry]".to_owned()),
        };
        let source = match self {
            RegistryError::Unreachable { source, .. } => format!(": {source}"),
            _ => String::new(),
        };
        Diagnostic::error(code, format!("{self}{source}")).help(help)
    }
}
