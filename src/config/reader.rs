//! The TOML text as a tree with places, and a section by section reader that finds everything wrong at once.
//!
//! The rule: every key that nobody asked for is a finding. The keys a [`Section`] is asked for are the known ones, so
//! the list of known keys cannot drift from the code that reads them.

use super::codes;
use super::secret::{Template, TemplateError};
use crate::diagnostic::{Code, Diagnostic, Place, Span};
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
    value: Value,
    origin: Origin,
}

enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Item>),
    Table(Items),
    /// A kind that no key takes: a float, a date.
    Other(&'static str),
}

#[derive(Clone)]
enum Origin {
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
    fn items(&self) -> Option<Items> {
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

    fn at(&self, finding: Diagnostic, origin: &Origin, on_key: bool) {
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

    fn template(&self, text: &str) -> Result<Template, TemplateError> {
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
    fn kind(&self) -> &'static str {
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

/// One table of the file while it is read. Every getter records its finding and goes on with the default.
pub(super) struct Section<'d> {
    document: &'d Document,
    /// `postgres`, `topics.entity`; empty at the top.
    path: String,
    items: Items,
    asked: Vec<&'static str>,
    origin: Option<Origin>,
}

impl<'d> Section<'d> {
    /// `None` if the file is not TOML; that is a finding already.
    pub fn top(document: &'d Document) -> Option<Section<'d>> {
        let items = document.items()?;
        Some(Section { document, path: String::new(), items, asked: Vec::new(), origin: None })
    }

    /// The section below; an absent one is empty.
    pub fn section(&mut self, key: &'static str) -> Section<'d> {
        let item = self.take(key);
        self.below(key, item)
    }

    /// The sections below, by name: `[topic."…"]`.
    pub fn sections(&mut self, key: &'static str) -> Vec<(String, Section<'d>)> {
        let mut all = self.section(key);
        let items = std::mem::take(&mut all.items);
        items.into_iter().map(|(name, item)| (name.clone(), all.below(&format!("{name:?}"), Some(item)))).collect()
    }

    fn below(&self, key: &str, item: Option<Item>) -> Section<'d> {
        let path = self.name(key);
        let (items, origin) = match item {
            None => (Items::new(), None),
            Some(Item { value: Value::Table(items), origin }) => (items, Some(origin)),
            Some(item) => {
                self.wrong_type(key, &item, "a table");
                (Items::new(), Some(item.origin))
            }
        };
        Section { document: self.document, path, items, asked: Vec::new(), origin }
    }

    fn take(&mut self, key: &'static str) -> Option<Item> {
        self.asked.push(key);
        self.items.remove(key)
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn finding(&self, code: Code, item: &Item, message: String) {
        self.document.at(Diagnostic::error(code, message), &item.origin, false);
    }

    fn wrong_type(&self, key: &str, item: &Item, expected: &str) {
        let message = format!("{} is {expected}, not {}", self.name(key), item.value.kind());
        self.finding(codes::WRONG_TYPE, item, message);
    }

    /// A string with its `${…}` kept for later.
    pub fn template(&mut self, key: &'static str) -> Option<Template> {
        let item = self.take(key)?;
        self.template_of(key, &item)
    }

    fn template_of(&self, key: &str, item: &Item) -> Option<Template> {
        let Value::Text(text) = &item.value else {
            self.wrong_type(key, item, "a string");
            return None;
        };
        match self.document.template(text) {
            Ok(template) => Some(template),
            Err(e) => {
                self.finding(codes::BAD_VALUE, item, format!("{}: {e}", self.name(key)));
                None
            }
        }
    }

    /// A string with its `${…}` put in now, read by `parse`. A finding shows the value, so no secret is read this way.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let item = self.take(key)?;
        self.parsed_of(key, &item, parse)
    }

    fn parsed_of<T>(&self, key: &str, item: &Item, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let template = self.template_of(key, item)?;
        let text = match template.resolve() {
            Ok(text) => text,
            Err(e) => {
                self.finding(codes::MISSING_VARIABLE, item, format!("{}: {e}", self.name(key)));
                return None;
            }
        };
        match parse(text.expose()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.finding(codes::BAD_VALUE, item, format!("{}: {message}", self.name(key)));
                None
            }
        }
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |s| Ok(s.to_owned()))
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        let parse = |text: &str| {
            let word = words.iter().find(|(word, _)| *word == text);
            word.map(|(_, value)| *value).ok_or_else(|| {
                let all: Vec<String> = words.iter().map(|(w, _)| format!("{w:?}")).collect();
                format!("{text:?} is not one of {}", all.join(", "))
            })
        };
        self.parsed(key, parse).unwrap_or(default)
    }

    pub fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(item) = self.take(key) else { return default };
        match (&item.value, &item.origin) {
            (Value::Boolean(b), _) => *b,
            (Value::Text(t), Origin::Variable(_)) if t == "true" || t == "false" => t == "true",
            _ => {
                self.wrong_type(key, &item, "true or false");
                default
            }
        }
    }

    /// An integer that fits `T` and that `good` accepts; `range` says so in words.
    pub fn integer<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: &str,
        good: impl Fn(i64) -> bool,
    ) -> Option<T> {
        let item = self.take(key)?;
        let number = match (&item.value, &item.origin) {
            (Value::Integer(i), _) => Some(*i),
            (Value::Text(t), Origin::Variable(_)) => t.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_type(key, &item, "an integer");
            return None;
        };
        let value = good(number).then(|| T::try_from(number).ok()).flatten();
        if value.is_none() {
            self.finding(codes::BAD_VALUE, &item, format!("{}: {number} is not {range}", self.name(key)));
        }
        value
    }

    /// An array of strings; a variable's value is split at commas.
    pub fn list<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(item) = self.take(key) else { return Vec::new() };
        match (item.value, item.origin) {
            (Value::List(items), _) => items.iter().filter_map(|i| self.parsed_of(key, i, &parse)).collect(),
            (Value::Text(text), origin @ Origin::Variable(_)) => {
                let one = |t: &str| Item { value: Value::Text(t.to_owned()), origin: origin.clone() };
                let words = text.split(',').map(str::trim).filter(|t| !t.is_empty());
                words.filter_map(|t| self.parsed_of(key, &one(t), &parse)).collect()
            }
            (value, origin) => {
                self.wrong_type(key, &Item { value, origin }, "an array of strings");
                Vec::new()
            }
        }
    }

    /// A table whose keys are somebody else's (librdkafka's, the broker's): strings, or numbers and booleans as text.
    pub fn free(&mut self, key: &'static str) -> BTreeMap<String, Template> {
        let mut inner = self.section(key);
        let items = std::mem::take(&mut inner.items);
        let mut values = BTreeMap::new();
        for (name, item) in items {
            let template = match &item.value {
                Value::Integer(i) => Some(Template::literal(i.to_string())),
                Value::Boolean(b) => Some(Template::literal(b.to_string())),
                _ => inner.template_of(&format!("{name:?}"), &item),
            };
            values.extend(template.map(|t| (name, t)));
        }
        values
    }

    /// As [`free`](Self::free), with every `${…}` put in now.
    pub fn free_text(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let name = self.name(key);
        let mut values = BTreeMap::new();
        for (property, template) in self.free(key) {
            match template.resolve() {
                Ok(text) => {
                    values.insert(property, text.expose().to_owned());
                }
                Err(e) => {
                    self.document.push(Diagnostic::error(codes::MISSING_VARIABLE, format!("{name}.{property:?}: {e}")))
                }
            }
        }
        values
    }

    /// A finding for a key that has to be there and is not (or that was found wrong already).
    pub fn missing(&self, key: &str, example: &str) {
        let finding = Diagnostic::error(codes::MISSING_KEY, format!("{} is required", self.name(key)))
            .help(format!("write {key} = {example:?} in [{}]", self.path));
        match &self.origin {
            Some(origin @ Origin::File { .. }) => self.document.at(finding, origin, true),
            _ => self.document.push(finding),
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.items.contains_key(key)
    }

    /// A finding at this section for keys that exclude each other.
    pub fn conflict(&self, message: &str) {
        let finding = Diagnostic::error(codes::CONFLICTING_KEYS, message);
        match &self.origin {
            Some(origin) => self.document.at(finding, origin, true),
            None => self.document.push(finding),
        }
    }

    /// Whatever was not asked for is unknown.
    pub fn finish(self) {
        for (key, item) in &self.items {
            let what = if matches!(item.value, Value::Table(_)) && self.path.is_empty() { "section" } else { "key" };
            let message = format!("unknown {what} {}", self.name(key));
            let nearest = self.asked.iter().max_by(|a, b| {
                strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)).then_with(|| b.cmp(a))
            });
            let help = nearest.map(|n| format!("the nearest known {what} is `{n}`"));
            let code = match item.origin {
                Origin::File { .. } => codes::UNKNOWN_KEY,
                Origin::Variable(_) => codes::UNKNOWN_OVERRIDE,
            };
            self.document.at(Diagnostic { help, ..Diagnostic::error(code, message) }, &item.origin, true);
        }
    }
}
