//! What can go wrong with the registry, and which of it passes by itself.

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
    Unauthorized { url: String, status: u16, message: String },
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
            | RegistryError::Incompatible { .. }
            | RegistryError::Invalid { .. }
            | RegistryError::NotRegistered { .. }
            | RegistryError::Level { .. }
            | RegistryError::Unexpected { .. }
            | RegistryError::Setup { .. } => false,
        }
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
            RegistryError::Setup { .. } => (codes::SETUP, "correct it under [registry]".to_owned()),
        };
        let source = match self {
            RegistryError::Unreachable { source, .. } => format!(": {source}"),
            _ => String::new(),
        };
        Diagnostic::error(code, format!("{self}{source}")).help(help)
    }
}
