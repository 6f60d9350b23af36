//! The text that Prometheus reads.

use super::Metrics;
use prometheus::{Encoder, TextEncoder};

impl Metrics {
    /// The content type of [`scrape`](Self::scrape)'s text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Every series, in Prometheus' text format.
    pub fn scrape(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.inner.registry.gather(), &mut text)?;
        Ok(text)
    }
}
