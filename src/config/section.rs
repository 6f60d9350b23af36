//! A section by section reader that finds everything wrong at once.
//!
//! The rule: every key that nobody asked for is a finding. The keys a [`Section`] is asked for are the known ones, so
//! the list of known keys cannot drift from the code that reads them.

use super::codes;
use super::document::{Document, Item, Items, Origin, Value};
use super::secret::Template;
use crate::diagnostic::{Code, Diagnostic};
use std::collections::BTreeMap;

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

    /// A string with its `${…}` put in now, read by `parse`. No secret is read this way: a finding shows the value, if it
    /// stands in the file as it is.
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
                let message = match template.as_literal() {
                    Some(_) => message,
                    // It came from elsewhere, where secrets are as well.
                    None => message.replace(&format!("{:?}", text.expose()), "its value"),
                };
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
