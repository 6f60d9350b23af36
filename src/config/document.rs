//! The TOML text as a tree with places, with the overrides of the environment laid over it, and the findings so far.
//!
//! The rule: a place never shows what stands behind the `=`, because any line may hold a secret.

use super::codes;
use super::secret::{Template, TemplateError};
use crate::diagnostic::{Diagnostic, Place, Span};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The file, what the environment adds to it, and what was found wrong so far.
pub(super) struct Document {
    pub file: PathBuf,
    pub dir: PathBuf,
    text: String,
    variables: BTreeMap<String, String>,
    findings: RefCell<Vec<Diagnostic>>,
}

pub(super) type Items = BTreeMap<String, Item>;

pub(super) struct Item {
    pub value: Value,
    pub origin: Origin,
}

pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Item>),
    Table(Items),
    /// A kind that no key takes: a float, a date.
    Other(&'static str),
}

#[derive(Clone)]
pub(super) enum Origin {
    /// Where the key and its value stand in the file.
    File { key: Span, value: Span },
    /// The environment variable that overrides the key.
    Variable(String),
}

impl Document {
    pub fn new(file: &Path, text: String, variables: BTreeMap<String, String>) -> Document {
        // Of a bare file name it is empty, and what is joined to it stays as written.
        let dir = file.parent().map(Path::to_owned).unwrap_or_default();
        Document { file: file.to_owned(), dir, text, variables, findings: RefCell::default() }
    }

    /// The file's tree with the overrides of the environment laid over it; `None` if the file is not TOML.
    pub fn items(&self) -> Option<Items> {
        let mut items = match DeTable::parse(&self.text) {
            Ok(table) => convert_table(table.get_ref()),
            Err(e) => {
                let place = e.span().map(|s| self.place(span(s)));
                let finding = Diagnostic::error(codes::NOT_TOML, format!("not TOML: {}", e.message()));
                self.push(Diagnostic { place, ..finding });
                return None;
            }
        };
        for (variable, value) in &self.variables {
            if let Some(path) = variable.strip_prefix("PGSPINE_").filter(|rest| rest.contains("__")) {
                self.lay_over(&mut items, variable, path, value);
            }
        }
        Some(items)
    }

    fn lay_over(&self, items: &mut Items, variable: &str, path: &str, value: &str) {
        let mut steps: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let last = steps.pop().unwrap_or_default();
        if steps.iter().chain([&last]).any(String::is_empty) {
            self.push(
                Diagnostic::error(codes::UNKNOWN_OVERRIDE, format!("{variable} names no key")).help(OVERRIDE_FORM),
            );
            return;
        }
        let mut at = items;
        for (depth, step) in steps.iter().enumerate() {
            // `topic."shop.order.v1"` is PGSPINE_TOPIC__SHOP_ORDER_V1__…: a variable's name has no dots.
            let name = match depth {
                1 if steps[0] == "topic" => {
                    at.keys().find(|k| flattened(k) == *step).cloned().unwrap_or_else(|| step.clone())
                }
                _ => step.clone(),
            };
            let origin = Origin::Variable(variable.to_owned());
            let item = at.entry(name).or_insert_with(|| Item { value: Value::Table(Items::new()), origin });
            match &mut item.value {
                Value::Table(inner) => at = inner,
                _ => {
                    self.push(
                        Diagnostic::error(codes::UNKNOWN_OVERRIDE, format!("{variable}: {step} is no section"))
                            .help(OVERRIDE_FORM),
                    );
                    return;
                }
            }
        }
        let free = matches!(
            steps.iter().map(String::as_str).collect::<Vec<_>>()[..],
            ["kafka", "properties"] | ["topics", "entity" | "event"] | ["topic", _, "config"]
        );
        let last = if free { last.replace('_', ".") } else { last };
        let origin = Origin::Variable(variable.to_owned());
        at.insert(last, Item { value: Value::Text(value.to_owned()), origin });
    }

    pub fn push(&self, finding: Diagnostic) {
        self.findings.borrow_mut().push(finding);
    }

    pub fn into_findings(self) -> Vec<Diagnostic> {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|d| d.place.as_ref().map(|p| (p.line, p.column)));
        findings
    }

    pub fn at(&self, finding: Diagnostic, origin: &Origin, on_key: bool) {
        self.push(match origin {
            Origin::File { key, value } => finding.at(self.place(if on_key { *key } else { *value })),
            Origin::Variable(name) => Diagnostic { message: format!("{name}: {}", finding.message), ..finding },
        });
    }

    /// The place, with what stands behind the `=` left out: any line may hold a secret, a mistyped one too.
    fn place(&self, span: Span) -> Place {
        let mut place = Place::of(&self.file, &self.text, span);
        let line = &place.source_line;
        let shown = match line.find('=') {
            Some(at) => format!("{}= …", &line[..at]),
            None if line.trim_start().starts_with('[') => return place,
            None => "…".to_owned(),
        };
        let shown_width = shown.chars().count() as u32;
        place.column = place.column.min(shown_width);
        place.width = place.width.min(shown_width + 1 - place.column);
        place.source_line = shown;
        place
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    pub fn template(&self, text: &str) -> Result<Template, TemplateError> {
        Template::parse(text, &self.dir, &|name| self.variable(name))
    }
}

const OVERRIDE_FORM: &str = "PGSPINE_POSTGRES__URL overrides `url` in [postgres], and so for every key";

fn flattened(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

fn span(range: std::ops::Range<usize>) -> Span {
    Span { start: range.start as u32, end: range.end as u32 }
}

fn convert_table(table: &DeTable<'_>) -> Items {
    let entry = |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
        let origin = Origin::File { key: span(key.span()), value: span(value.span()) };
        (key.get_ref().to_string(), Item { value: convert(value.get_ref()), origin })
    };
    table.iter().map(entry).collect()
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(s) => Value::Text(s.to_string()),
        DeValue::Integer(i) => {
            i64::from_str_radix(i.as_str(), i.radix()).map_or(Value::Other("an integer beyond 64 bits"), Value::Integer)
        }
        DeValue::Boolean(b) => Value::Boolean(*b),
        DeValue::Array(list) => Value::List(
            list.iter()
                .map(|v| {
                    let at = span(v.span());
                    Item { value: convert(v.get_ref()), origin: Origin::File { key: at, value: at } }
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(table)),
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Datetime(_) => Value::Other("a date"),
    }
}

impl Value {
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Boolean(_) => "a boolean",
            Value::List(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}
