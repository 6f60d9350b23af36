//! A text from outside that may be secret and may be exchanged while we run: a password, a token, a client's setting.
//!
//! The rule: nobody keeps what [`Credential::read`] gives for longer than the connection it is for, and nothing of it
//! is printed. Where it comes from is the configuration's affair.

use std::fmt;
use std::sync::Arc;

#[derive(Clone)]
pub struct Credential(Source);

#[derive(Clone)]
enum Source {
    Fixed(String),
    Asked(Arc<dyn Fn() -> Result<String, Unreadable> + Send + Sync>),
}

/// What it comes from cannot be read. Its text names the place and never the content.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Credential {
    /// One that stays as it is while the process lives.
    pub fn fixed(text: impl Into<String>) -> Credential {
        Credential(Source::Fixed(text.into()))
    }

    /// One that is asked for anew each time: it stands in a file.
    pub fn asked(ask: impl Fn() -> Result<String, Unreadable> + Send + Sync + 'static) -> Credential {
        Credential(Source::Asked(Arc::new(ask)))
    }

    /// The content as it is now, for the one place that sends it.
    pub fn read(&self) -> Result<String, Unreadable> {
        match &self.0 {
            Source::Fixed(text) => Ok(text.clone()),
            Source::Asked(ask) => ask(),
        }
    }

    /// Whether the next reading can give another text.
    pub fn may_change(&self) -> bool {
        matches!(self.0, Source::Asked(_))
    }
}

impl From<&str> for Credential {
    fn from(text: &str) -> Credential {
        Credential::fixed(text)
    }
}

impl From<String> for Credential {
    fn from(text: String) -> Credential {
        Credential::fixed(text)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_each_time_and_never_shown() {
        let count = std::sync::atomic::AtomicU32::new(0);
        let asked = Credential::asked(move || {
            Ok(format!("hunter{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        });
        assert_eq!([asked.read().unwrap(), asked.read().unwrap()], ["hunter0", "hunter1"]);
        assert!(asked.may_change() && !Credential::from("hunter").may_change());
        assert!(!format!("{asked:?}{:?}", Credential::from("hunter")).contains("hunter"));
    }
}
