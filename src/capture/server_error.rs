//! ErrorResponse and NoticeResponse: the fields of the manual's "Error and Notice Message Fields".

use std::fmt;

use super::error::ProtocolError;
use super::wire::Body;

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServerError {
    /// The untranslated severity: ERROR, FATAL, PANIC, or a notice's level.
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// In characters of the query, from 1.
    pub position: Option<u32>,
    /// The server's C function: not translated, as `message` is.
    pub routine: Option<String>,
}

impl ServerError {
    pub fn parse(tag: u8, body: &[u8]) -> Result<ServerError, ProtocolError> {
        let mut body = Body::new(tag, body);
        let mut error = ServerError::default();
        loop {
            let field = body.u8()?;
            if field == 0 {
                return Ok(error);
            }
            // The text may be in another encoding when the server refuses before it knows ours.
            let text = body.cstr_lossy()?;
            match field {
                b'S' if error.severity.is_empty() => error.severity = text,
                b'V' => error.severity = text,
                b'C' => error.sqlstate = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'P' => error.position = text.parse().ok(),
                b'R' => error.routine = Some(text),
                // The manual: unrecognised types should silently be ignored.
                _ => {}
            }
        }
    }

    /// Errors that end by themselves: connection failures (08), resources (53), shutdown and cancel (57),
    /// objects in use (55006, 55P03), serialization and deadlock (40), I/O errors of the server (58030).
    pub fn is_transient(&self) -> bool {
        let code = self.sqlstate.as_str();
        match code {
            // A limit that somebody has to raise.
            "53400" => false,
            // The database is dropped.
            "57P04" => false,
            "55006" | "55P03" | "58030" => true,
            _ => ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.sqlstate, self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " [{hint}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_letters() {
        let body = b"SFEHLER\0VERROR\0C55006\0Mslot is active\0Dmore\0P12\0Zunknown\0\0";
        let e = ServerError::parse(b'E', body).unwrap();
        assert_eq!((e.severity.as_str(), e.sqlstate.as_str(), e.position), ("ERROR", "55006", Some(12)));
        assert_eq!(e.to_string(), "ERROR 55006: slot is active (more)");
        assert!(e.is_transient());
        for end in 0..body.len() {
            assert!(ServerError::parse(b'E', &body[..end]).is_err());
        }
    }
}
