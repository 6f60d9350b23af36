//! The contract: an `.avsc` that its owner writes by hand, read with its places, attributes and defaults.
//!
//! Everything that a registry would let through and a reader would stumble over is found here: decimals that cannot
//! be, defaults that are no values, names twice. Source of truth: the Avro specification; our attributes are
//! `"pgspine.lossy"` and `"pgspine.special"` on a field.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Place, Span};
use crate::encode::avro::{Avro, Decimal, Enumeration, Fixed, Record, RecordField, Special};
use crate::encode::codes;
use crate::encode::default::encode_default;
use crate::encode::spanned::{self, Spanned};

#[derive(Debug, Clone)]
pub struct Contract {
    path: PathBuf,
    text: String,
    record: Arc<Record>,
}

impl Contract {
    /// Reads an `.avsc`; gives all that is wrong with it at once.
    pub fn parse(path: &Path, text: &str) -> Result<Contract, Vec<Diagnostic>> {
        let place = |span| Place::of(path, text, span);
        let tree = spanned::parse(text).map_err(|e| {
            let span = Span { start: e.at, end: e.at + 1 };
            vec![Diagnostic::error(codes::NOT_AVRO, format!("not JSON: {}", e.message)).at(place(span))]
        })?;
        let mut reader = TypeReader { findings: Vec::new(), named: HashMap::new(), open: Vec::new() };
        let ty = reader.read(&tree, "");
        let mut findings: Vec<Diagnostic> =
            reader.findings.into_iter().map(|f| f.diagnostic.at(place(f.span))).collect();
        let record =
            match ty {
                Some(Avro::Record(record)) => record,
                Some(other) => {
                    let message = format!("the contract is {}, not a record", other.describe());
                    findings.push(Diagnostic::error(codes::NOT_A_RECORD, message).at(place(tree.span)).help(
                        "write {\"type\": \"record\", \"name\": …, \"fields\": […]}: an entity has named fields",
                    ));
                    return Err(findings);
                }
                None => return Err(findings),
            };
        // The reference implementation has the last word on what is Avro.
        if findings.is_empty()
            && let Err(e) = apache_avro::Schema::parse_str(text)
        {
            findings.push(Diagnostic::error(codes::NOT_AVRO, format!("not an Avro schema: {e}")).at(place(tree.span)));
        }
        if findings.is_empty() {
            Ok(Contract { path: path.to_owned(), text: text.to_owned(), record })
        } else {
            Err(findings)
        }
    }

    /// The full name of the record.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// The file as it is: what is registered.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn place(&self, span: Span) -> Place {
        Place::of(&self.path, &self.text, span)
    }
}

/// A schema that stands for itself, without findings: a writer's schema from the registry, a default's type.
pub(crate) fn read_schema(text: &str) -> Result<Avro, String> {
    let tree = spanned::parse(text).map_err(|e| e.message)?;
    let mut reader = TypeReader { findings: Vec::new(), named: HashMap::new(), open: Vec::new() };
    let ty = reader.read(&tree, "");
    match (ty, reader.findings.into_iter().next()) {
        (Some(ty), None) => Ok(ty),
        (_, Some(finding)) => Err(finding.diagnostic.message),
        (None, None) => Err("not an Avro schema".into()),
    }
}

struct Finding {
    diagnostic: Diagnostic,
    span: Span,
}

struct TypeReader {
    findings: Vec<Finding>,
    named: HashMap<String, Avro>,
    /// Records whose fields are being read, by full name.
    open: Vec<String>,
}

impl TypeReader {
    fn find(&mut self, code: Code, span: Span, message: String) -> &mut Diagnostic {
        self.findings.push(Finding { diagnostic: Diagnostic::error(code, message), span });
        let last = self.findings.len() - 1;
        &mut self.findings[last].diagnostic
    }

    fn read(&mut self, node: &Spanned, namespace: &str) -> Option<Avro> {
        if let Some(name) = node.text() {
            return self.reference(name, node.span, namespace);
        }
        if let Some(branches) = node.array() {
            return self.union(branches, node.span, namespace);
        }
        let Some(ty) = node.get("type") else {
            self.find(
                codes::NOT_AVRO,
                node.span,
                "a type is missing: an object with \"type\" should stand here".into(),
            );
            return None;
        };
        let Some(name) = ty.text() else {
            // {"type": {"type": "string"}} is the inner type.
            return self.read(ty, namespace);
        };
        match name {
            "record" | "error" => self.record(node, namespace),
            "enum" => self.enumeration(node, namespace),
            "fixed" => self.fixed(node, namespace),
            "array" => {
                let items = self.part(node, "items")?;
                Some(Avro::Array(Box::new(self.read(items, namespace)?)))
            }
            "map" => {
                let values = self.part(node, "values")?;
                Some(Avro::Map(Box::new(self.read(values, namespace)?)))
            }
            _ => {
                let base = self.reference(name, ty.span, namespace)?;
                self.logical(node, base)
            }
        }
    }

    fn part<'n>(&mut self, node: &'n Spanned, key: &str) -> Option<&'n Spanned> {
        let part = node.get(key);
        if part.is_none() {
            self.find(codes::NOT_AVRO, node.span, format!("{key:?} is missing here"));
        }
        part
    }

    fn reference(&mut self, name: &str, span: Span, namespace: &str) -> Option<Avro> {
        Some(match name {
            "null" => Avro::Null,
            "boolean" => Avro::Boolean,
            "int" => Avro::Int,
            "long" => Avro::Long,
            "float" => Avro::Float,
            "double" => Avro::Double,
            "bytes" => Avro::Bytes,
            "string" => Avro::String,
            name => {
                let full = full_name(name, namespace);
                if self.open.contains(&full) {
                    self.find(codes::RECURSIVE, span, format!("record {full} contains itself")).help =
                        Some("a SELECT gives a finite shape: write the nesting out, or use a string".into());
                    return None;
                }
                let Some(ty) = self.named.get(&full) else {
                    self.find(codes::NOT_AVRO, span, format!("unknown type {name:?}"));
                    return None;
                };
                ty.clone()
            }
        })
    }

    fn logical(&mut self, node: &Spanned, base: Avro) -> Option<Avro> {
        let Some(logical) = node.get("logicalType") else { return Some(base) };
        let name = logical.text().unwrap_or_default();
        let expected = match name {
            "decimal" => Avro::Bytes,
            "uuid" => Avro::String,
            "date" | "time-millis" => Avro::Int,
            "time-micros"
            | "timestamp-millis"
            | "timestamp-micros"
            | "local-timestamp-millis"
            | "local-timestamp-micros" => Avro::Long,
            // The specification: readers ignore logical types that they do not know.
            _ => return Some(base),
        };
        if let ("decimal", Avro::Fixed(fixed)) = (name, &base) {
            return self.decimal(node, Some(fixed.clone()));
        }
        if let ("uuid", Avro::Fixed(fixed)) = (name, &base) {
            if fixed.size == 16 {
                return Some(Avro::UuidFixed(fixed.clone()));
            }
            self.find(codes::NOT_AVRO, logical.span, format!("a uuid needs fixed of size 16, not {}", fixed.size));
            return None;
        }
        if base != expected {
            let message =
                format!("logicalType {name:?} stands on {}, its type is {}", base.describe(), expected.describe());
            self.find(codes::NOT_AVRO, logical.span, message).help =
                Some("readers would silently take the plain type".into());
            return None;
        }
        Some(match name {
            "decimal" => return self.decimal(node, None),
            "uuid" => Avro::UuidString,
            "date" => Avro::Date,
            "time-millis" => Avro::TimeMillis,
            "time-micros" => Avro::TimeMicros,
            "timestamp-millis" => Avro::TimestampMillis,
            "timestamp-micros" => Avro::TimestampMicros,
            "local-timestamp-millis" => Avro::LocalTimestampMillis,
            _ => Avro::LocalTimestampMicros,
        })
    }

    fn decimal(&mut self, node: &Spanned, fixed: Option<Arc<Fixed>>) -> Option<Avro> {
        let number = |key: &str| node.get(key).map(|n| n.number().and_then(|n| u32::try_from(n).ok()));
        let (precision, scale) = (number("precision"), number("scale"));
        let span = node.get("precision").or(node.get("logicalType")).map_or(node.span, |n| n.span);
        let (precision, scale) = match (precision, scale) {
            (Some(Some(p)), None) if p > 0 => (p, 0),
            (Some(Some(p)), Some(Some(s))) if p > 0 => (p, s),
            _ => {
                self.find(
                    codes::BAD_DECIMAL,
                    span,
                    "a decimal needs \"precision\" (1 or more) and \"scale\" (0 or more)".into(),
                );
                return None;
            }
        };
        if scale > precision {
            self.find(codes::BAD_DECIMAL, span, format!("scale {scale} is larger than precision {precision}"));
            return None;
        }
        if let Some(fixed) = &fixed
            && precision > digits_in(fixed.size)
        {
            let (size, digits) = (fixed.size, digits_in(fixed.size));
            self.find(
                codes::BAD_DECIMAL,
                span,
                format!("fixed of size {size} holds {digits} digits, precision is {precision}"),
            );
            return None;
        }
        Some(Avro::Decimal(Decimal { precision, scale, fixed }))
    }

    fn union(&mut self, nodes: &[Spanned], span: Span, namespace: &str) -> Option<Avro> {
        let mut branches = Vec::new();
        for node in nodes {
            let branch = self.read(node, namespace)?;
            if matches!(branch, Avro::Union(_)) {
                self.find(codes::NOT_AVRO, node.span, "a union stands directly in a union".into());
                return None;
            }
            if branches.iter().any(|b| union_kind(b) == union_kind(&branch)) {
                self.find(codes::NOT_AVRO, node.span, format!("{} stands twice in this union", branch.describe()));
                return None;
            }
            branches.push(branch);
        }
        if branches.is_empty() {
            self.find(codes::NOT_AVRO, span, "an empty union has no value".into());
            return None;
        }
        Some(Avro::Union(branches))
    }

    /// Name and namespace of a named type; None after a finding.
    fn named(&mut self, node: &Spanned, namespace: &str) -> Option<(String, String)> {
        let name_node = self.part(node, "name")?;
        let name = name_node.text().unwrap_or_default();
        let space = node.get("namespace").and_then(Spanned::text).unwrap_or(namespace);
        let full = full_name(name, space);
        if !full.split('.').all(legal_name) {
            self.illegal(name_node.span, &full);
            return None;
        }
        if self.named.contains_key(&full) || self.open.contains(&full) {
            self.find(codes::DUPLICATE_NAME, name_node.span, format!("the type {full} is defined twice")).help =
                Some("refer to the first definition by its name alone".into());
            return None;
        }
        let namespace = full.rfind('.').map_or(String::new(), |dot| full[..dot].to_owned());
        Some((full, namespace))
    }

    fn illegal(&mut self, span: Span, name: &str) {
        self.find(codes::ILLEGAL_NAME, span, format!("{name:?} is no Avro name")).help =
            Some("names are letters, digits and _, and do not begin with a digit".into());
    }

    fn record(&mut self, node: &Spanned, namespace: &str) -> Option<Avro> {
        let (name, namespace) = self.named(node, namespace)?;
        let fields_node = self.part(node, "fields")?;
        let Some(nodes) = fields_node.array() else {
            self.find(codes::NOT_AVRO, fields_node.span, "\"fields\" is a list".into());
            return None;
        };
        self.open.push(name.clone());
        let mut fields: Vec<RecordField> = Vec::new();
        let mut whole = true;
        for field in nodes {
            match self.field(field, &namespace) {
                Some(read) if fields.iter().any(|f| f.name == read.name) => {
                    let message = format!("the field {:?} stands twice in {name}", read.name);
                    self.find(codes::DUPLICATE_NAME, read.span, message);
                    whole = false;
                }
                Some(read) => fields.push(read),
                None => whole = false,
            }
        }
        self.open.pop();
        if !whole {
            return None;
        }
        let aliases = texts(node.get("aliases")).into_iter().map(|a| full_name(&a, &namespace)).collect();
        let ty = Avro::Record(Arc::new(Record { name: name.clone(), aliases, fields }));
        self.named.insert(name, ty.clone());
        Some(ty)
    }

    fn field(&mut self, node: &Spanned, namespace: &str) -> Option<RecordField> {
        let name_node = self.part(node, "name")?;
        let name = name_node.text().unwrap_or_default().to_owned();
        if !legal_name(&name) {
            self.illegal(name_node.span, &name);
            return None;
        }
        let type_node = self.part(node, "type")?;
        let ty = self.read(type_node, namespace)?;
        let (lossy, special) = self.attributes(node, &ty, &name);
        let default = node.get("default").map(|d| (d.span, d.to_json()));
        if let Some((span, json)) = &default
            && let Err(why) = encode_default(json, &ty, &mut Vec::new())
        {
            let finding =
                self.find(codes::BAD_DEFAULT, *span, format!("the default of {name:?} is no value of its type: {why}"));
            if matches!(ty, Avro::Union(_)) {
                finding.help = Some("a union's default is a value of its first type: [\"null\", …] for null".into());
            }
        }
        let aliases = texts(node.get("aliases"));
        Some(RecordField { name, aliases, ty, default: default.map(|d| d.1), lossy, special, span: name_node.span })
    }

    fn attributes(&mut self, node: &Spanned, ty: &Avro, name: &str) -> (bool, Special) {
        let (mut lossy, mut special) = (false, Special::RowError);
        let spanned::Node::Object(entries) = &node.node else { return (lossy, special) };
        for (key, value) in entries.iter().filter(|(key, _)| key.starts_with("pgspine.")) {
            match (key.as_str(), value.to_json().as_str(), value.to_json().as_bool()) {
                ("pgspine.lossy", _, Some(flag)) => lossy = flag,
                ("pgspine.special", Some("null"), _) if ty.non_null().1.is_some() => special = Special::Null,
                ("pgspine.special", Some("null"), _) => {
                    let message = format!("\"pgspine.special\": \"null\" on {name:?}, which does not take null");
                    self.find(codes::BAD_ATTRIBUTE, value.span, message).help =
                        Some("make its type a union with null".into());
                }
                ("pgspine.special", Some("clamp"), _) => special = Special::Clamp,
                ("pgspine.lossy", ..) => {
                    self.find(codes::BAD_ATTRIBUTE, value.span, "\"pgspine.lossy\" is true or false".into());
                }
                ("pgspine.special", ..) => {
                    self.find(codes::BAD_ATTRIBUTE, value.span, "\"pgspine.special\" is \"null\" or \"clamp\"".into());
                }
                _ => {
                    self.find(codes::BAD_ATTRIBUTE, value.span, format!("unknown attribute {key:?}")).help =
                        Some("ours are \"pgspine.lossy\" and \"pgspine.special\"".into());
                }
            }
        }
        (lossy, special)
    }

    fn enumeration(&mut self, node: &Spanned, namespace: &str) -> Option<Avro> {
        let (name, _) = self.named(node, namespace)?;
        let symbols_node = self.part(node, "symbols")?;
        let symbols = texts(Some(symbols_node));
        for (i, symbol) in symbols.iter().enumerate() {
            if !legal_name(symbol) {
                self.illegal(symbols_node.span, symbol);
                return None;
            }
            if symbols[..i].contains(symbol) {
                let message = format!("the symbol {symbol} stands twice in {name}");
                self.find(codes::DUPLICATE_NAME, symbols_node.span, message);
                return None;
            }
        }
        let default = node.get("default").and_then(Spanned::text).map(str::to_owned);
        if let Some(default) = &default
            && !symbols.contains(default)
        {
            self.find(codes::BAD_DEFAULT, node.span, format!("the default {default:?} is no symbol of {name}"));
            return None;
        }
        let ty = Avro::Enum(Arc::new(Enumeration { name: name.clone(), symbols, default }));
        self.named.insert(name, ty.clone());
        Some(ty)
    }

    fn fixed(&mut self, node: &Spanned, namespace: &str) -> Option<Avro> {
        let (name, _) = self.named(node, namespace)?;
        let size = self.part(node, "size")?;
        let Some(size) = size.number().and_then(|n| usize::try_from(n).ok()) else {
            self.find(codes::NOT_AVRO, size.span, "\"size\" is a number of bytes".into());
            return None;
        };
        let ty = self.logical(node, Avro::Fixed(Arc::new(Fixed { name: name.clone(), size })))?;
        self.named.insert(name, ty.clone());
        Some(ty)
    }
}

fn texts(node: Option<&Spanned>) -> Vec<String> {
    let items = node.and_then(Spanned::array).unwrap_or_default();
    items.iter().filter_map(Spanned::text).map(str::to_owned).collect()
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn legal_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Decimal digits that `size` bytes of two's complement always hold.
fn digits_in(size: usize) -> u32 {
    ((8.0 * size as f64 - 1.0) * std::f64::consts::LOG10_2).floor().max(0.0) as u32
}

/// What a union may hold once: the unnamed types by their physical type, the named ones by name.
fn union_kind(ty: &Avro) -> (u8, &str) {
    match ty {
        Avro::Null => (0, ""),
        Avro::Boolean => (1, ""),
        Avro::Int | Avro::Date | Avro::TimeMillis => (2, ""),
        Avro::Float => (4, ""),
        Avro::Double => (5, ""),
        Avro::Bytes | Avro::Decimal(Decimal { fixed: None, .. }) => (6, ""),
        Avro::String | Avro::UuidString => (7, ""),
        Avro::Array(_) => (8, ""),
        Avro::Map(_) => (9, ""),
        Avro::Union(_) => (10, ""),
        Avro::Record(r) => (11, &r.name),
        Avro::Enum(e) => (11, &e.name),
        Avro::Fixed(f) | Avro::UuidFixed(f) | Avro::Decimal(Decimal { fixed: Some(f), .. }) => (11, &f.name),
        Avro::Long
        | Avro::TimeMicros
        | Avro::TimestampMillis
        | Avro::TimestampMicros
        | Avro::LocalTimestampMillis
        | Avro::LocalTimestampMicros => (3, ""),
    }
}

#[cfg(test)]
#[path = "contract/tests.rs"]
mod tests;
