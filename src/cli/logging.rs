//! The log: lines on a terminal, one JSON document per event otherwise, a level that can be changed while it runs.
//!
//! `PGSPINE_LOG` is the filter at the start (default `info`, and `warn` for commands that answer and end); `PGSPINE_LOG_FORMAT` is `text` or `json`. Logs go to
//! stderr: stdout belongs to the command's own output.

use std::io::IsTerminal;
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Changes the level of the running process.
#[derive(Clone)]
pub struct LogLevel {
    set: Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogLevelError {
    #[error("{filter:?} is not a log level or filter; one looks like \"debug\" or \"info,pgspine::capture=trace\"")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("the log cannot be changed any more")]
    Gone(#[source] reload::Error),
}

impl LogLevel {
    /// `"debug"`, or a filter `"info,pgspine::capture=trace"`. Dependencies stay at `warn` unless the filter names them.
    pub fn set(&self, filter: &str) -> Result<(), LogLevelError> {
        (self.set)(parse(filter)?).map_err(LogLevelError::Gone)
    }
}

/// Sets up the log of this process, at `level` unless the environment says another; the second call in one process
/// changes nothing.
pub fn start(level: &str) -> Result<LogLevel, LogLevelError> {
    let written = std::env::var("PGSPINE_LOG").ok().filter(|f| !f.is_empty());
    let filter = parse(written.as_deref().unwrap_or(level))?;
    let json = match std::env::var("PGSPINE_LOG_FORMAT").as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        _ => !std::io::stderr().is_terminal(),
    };
    let (filter, handle) = reload::Layer::<EnvFilter, Registry>::new(filter);
    let lines: Box<dyn Layer<_> + Send + Sync> = match json {
        true => fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(std::io::stderr).boxed(),
        false => fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).boxed(),
    };
    // An embedding process (a test) may have a log of its own; then its log is the one that is used.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(LogLevel { set: Arc::new(move |filter| handle.reload(filter)) })
}

fn parse(filter: &str) -> Result<EnvFilter, LogLevelError> {
    let bare = filter.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let all = if bare { format!("warn,pgspine={filter}") } else { filter.to_owned() };
    EnvFilter::builder().parse(&all).map_err(|source| LogLevelError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for (written, filter) in [
            ("debug", Some("pgspine=debug,warn")),
            ("info,pgspine::capture=trace", Some("pgspine::capture=trace,info")),
            ("a=b=c", None),
        ] {
            assert_eq!(parse(written).ok().map(|f| f.to_string()).as_deref(), filter, "{written}");
        }
    }
}
