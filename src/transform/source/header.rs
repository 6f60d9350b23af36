//! The header: a leading block comment that begins with `pgspine` and holds TOML.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::diagnostic::{Code, Diagnostic, Place, Span};
use crate::transform::codes;

#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub topic: String,
    pub topic_span: Span,
    /// Output columns, in key order; never empty.
    pub key: Vec<String>,
    pub key_span: Span,
    pub kind: Kind,
    pub kind_span: Span,
    /// A file name beside the transform; None: `NAME.avsc`.
    pub contract: Option<String>,
    pub key_format: KeyFormat,
    /// Paths of outputs asserted to be non-null: `sku`, `lines[].sku`.
    pub not_null: Vec<String>,
    pub not_null_span: Span,
    pub from_default: Vec<String>,
    pub topic_config: BTreeMap<String, String>,
    pub on_error: OnError,
    /// Bytes of key, value and headers together.
    pub max_record: u64,
    pub owner: Option<String>,
    pub doc: Option<String>,
    pub event_id: Option<String>,
    pub event_id_span: Span,
    pub backfill: bool,
    pub on_gap: OnGap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Entity,
    Event,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    #[default]
    Avro,
    String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    #[default]
    Halt,
    DeadLetter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    #[default]
    Halt,
    Skip,
    Replay,
}

/// As written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    topic: Spanned<String>,
    key: Spanned<Vec<String>>,
    kind: Option<Spanned<Kind>>,
    contract: Option<Spanned<String>>,
    #[serde(default)]
    key_format: KeyFormat,
    not_null: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    from_default: Vec<String>,
    #[serde(default)]
    topic_config: BTreeMap<String, toml::Value>,
    #[serde(default)]
    on_error: OnError,
    max_record: Option<Spanned<toml::Value>>,
    owner: Option<String>,
    doc: Option<String>,
    event_id: Option<Spanned<String>>,
    backfill: Option<Spanned<bool>>,
    on_gap: Option<Spanned<OnGap>>,
}

const KEYS: &[&str] = &[
    "topic",
    "key",
    "kind",
    "contract",
    "key_format",
    "not_null",
    "from_default",
    "topic_config",
    "on_error",
    "max_record",
    "owner",
    "doc",
    "event_id",
    "backfill",
    "on_gap",
];

const MAX_RECORD: u64 = 900 * 1000;
/// The librdkafka setting that is raised to it takes no more.
const MAX_RECORD_LIMIT: u64 = 1_000_000_000;

/// The header, if it is sound, and where the SELECT begins.
pub(super) fn read(path: &Path, text: &str, findings: &mut Vec<Diagnostic>) -> (Option<Header>, usize) {
    let start = text.len() - text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).len();
    let body = text[start..].strip_prefix("/*").map(|b| (b, b.trim_start()));
    let Some((_, inner)) = body.filter(|(_, b)| b.strip_prefix("pgspine").is_some_and(|r| !r.starts_with(word))) else {
        let span = span(start, start + 1);
        findings.push(
            Diagnostic::error(codes::HEADER, "the transform has no header")
                .at(Place::of(path, text, span))
                .help("begin the file with\n    /* pgspine\n    topic = \"…\"\n    key   = [\"…\"]\n    */"),
        );
        return (None, start);
    };
    let from = text.len() - inner.len() + "pgspine".len();
    let Some(len) = text[from..].find("*/") else {
        findings.push(
            Diagnostic::error(codes::HEADER, "the header does not end")
                .at(Place::of(path, text, span(start, start + 2)))
                .help("close it with */"),
        );
        return (None, text.len());
    };
    let reader = Reader { path, text, from };
    (reader.header(&text[from..from + len], findings), from + len + 2)
}

fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    /// Where the TOML begins in the file.
    from: usize,
}

impl Reader<'_> {
    fn finding(&self, code: Code, at: Span, message: impl Into<String>, help: &str) -> Diagnostic {
        Diagnostic::error(code, message).at(Place::of(self.path, self.text, at)).help(help)
    }

    fn at<T>(&self, value: &Spanned<T>) -> Span {
        span(self.from + value.span().start, self.from + value.span().end)
    }

    fn header(&self, toml_text: &str, findings: &mut Vec<Diagnostic>) -> Option<Header> {
        let written: Written = match toml::from_str(toml_text) {
            Ok(written) => written,
            Err(error) => {
                findings.push(self.toml_error(&error));
                return None;
            }
        };
        let before = findings.len();
        let header = self.checked(written, findings);
        (findings.len() == before).then_some(header)
    }

    fn toml_error(&self, error: &toml::de::Error) -> Diagnostic {
        let at = error.span().map_or(span(self.from, self.from), |s| span(self.from + s.start, self.from + s.end));
        let message = error.message();
        if let Some(key) = message.strip_prefix("unknown field `").and_then(|m| m.split('`').next()) {
            let help = match super::super::nearest(key, KEYS.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the keys are {}", KEYS.join(", ")),
            };
            return self.finding(codes::UNKNOWN_HEADER_KEY, at, format!("the header has no key {key}"), &help);
        }
        if message.starts_with("missing field") {
            let help = "topic and key are required";
            return self.finding(codes::HEADER, span(self.from - 7, self.from), format!("the header: {message}"), help);
        }
        let message = format!("the header: {}", message.replace('\n', "; "));
        self.finding(codes::HEADER, at, message, "the header is TOML: KEY = VALUE")
    }

    fn checked(&self, w: Written, findings: &mut Vec<Diagnostic>) -> Header {
        let mut wrong = |at: Span, message: String, help: &str| {
            findings.push(self.finding(codes::HEADER_VALUE, at, message, help));
        };
        let (topic_span, key_span) = (self.at(&w.topic), self.at(&w.key));
        if let Some(why) = topic_problem(w.topic.get_ref()) {
            wrong(topic_span, format!("\"{}\" is no topic name: {why}", w.topic.get_ref()), "use A-Z a-z 0-9 . _ -");
        }
        let key = w.key.get_ref();
        if key.is_empty() {
            wrong(key_span, "the key is empty".into(), "name the output columns that identify the entity");
        }
        if let Some(twice) = key.iter().enumerate().find(|(i, k)| key[..*i].contains(k)).map(|(_, k)| k) {
            wrong(key_span, format!("the key names {twice} twice"), "name each column once");
        }
        if w.key_format == KeyFormat::String && key.len() > 1 {
            wrong(
                key_span,
                "key_format = \"string\" takes one key column".into(),
                "leave key_format out for an Avro key",
            );
        }
        if let Some(contract) = &w.contract
            && (contract.get_ref().contains(['/', '\\']) || contract.get_ref().is_empty())
        {
            let message = format!("contract \"{}\" is no file name", contract.get_ref());
            wrong(self.at(contract), message, "the contract stands beside the transform");
        }
        let kind = w.kind.as_ref().map_or(Kind::Entity, |k| *k.get_ref());
        let event_keys = [
            ("event_id", w.event_id.as_ref().map(|s| self.at(s))),
            ("backfill", w.backfill.as_ref().map(|s| self.at(s))),
            ("on_gap", w.on_gap.as_ref().map(|s| self.at(s))),
        ];
        for (name, at) in event_keys {
            if let (Some(at), Kind::Entity) = (at, kind) {
                wrong(at, format!("{name} is for kind = \"event\""), "leave it out of an entity");
            }
        }
        let on_gap = w.on_gap.as_ref().map_or(OnGap::Halt, |g| *g.get_ref());
        if let (Some(at), OnGap::Replay, None) = (&w.on_gap, on_gap, &w.event_id) {
            wrong(self.at(at), "on_gap = \"replay\" needs event_id".into(), "name the output that identifies an event");
        }
        let mut max_record = MAX_RECORD;
        if let Some(size) = &w.max_record {
            match bytes(size.get_ref()) {
                Some(n) if (1..=MAX_RECORD_LIMIT).contains(&n) => max_record = n,
                _ => {
                    wrong(self.at(size), "max_record is no size up to 1GB".into(), "write \"900KB\", \"4MiB\" or bytes")
                }
            }
        }
        let mut topic_config = BTreeMap::new();
        for (name, value) in w.topic_config {
            match value {
                toml::Value::String(s) => drop(topic_config.insert(name, s)),
                toml::Value::Integer(n) => drop(topic_config.insert(name, n.to_string())),
                toml::Value::Boolean(b) => drop(topic_config.insert(name, b.to_string())),
                _ => wrong(
                    topic_span,
                    format!("topic_config {name} is no text"),
                    "\"delete.retention.ms\" = \"86400000\"",
                ),
            }
        }
        Header {
            topic: w.topic.into_inner(),
            topic_span,
            key: w.key.into_inner(),
            key_span,
            kind,
            kind_span: w.kind.as_ref().map_or(topic_span, |k| self.at(k)),
            contract: w.contract.map(Spanned::into_inner),
            key_format: w.key_format,
            not_null_span: w.not_null.as_ref().map_or(topic_span, |n| self.at(n)),
            not_null: w.not_null.map(Spanned::into_inner).unwrap_or_default(),
            from_default: w.from_default,
            topic_config,
            on_error: w.on_error,
            max_record,
            owner: w.owner,
            doc: w.doc,
            event_id_span: w.event_id.as_ref().map_or(topic_span, |e| self.at(e)),
            event_id: w.event_id.map(Spanned::into_inner),
            backfill: w.backfill.is_some_and(Spanned::into_inner),
            on_gap,
        }
    }
}

/// Kafka's own rule (`org.apache.kafka.common.internals.Topic`).
fn topic_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        Some("it is empty")
    } else if name.len() > 249 {
        Some("it is longer than 249 bytes")
    } else if !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)) {
        Some("it has other characters")
    } else {
        None
    }
}

/// `"900KB"` is 900,000 bytes, `"16MiB"` 16 × 1,048,576.
fn bytes(value: &toml::Value) -> Option<u64> {
    let text = match value {
        toml::Value::Integer(n) => return u64::try_from(*n).ok(),
        toml::Value::String(text) => text.trim(),
        _ => return None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}
