//! The `transforms/` folder: one file per transform, its header and its SELECT.
//!
//! Everything that can be said without a database is said here, all of it at once. A transform's identity is its topic,
//! its name is its path.

mod header;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use header::{Header, KeyFormat, Kind, OnError, OnGap};

use super::codes;
use super::parse::{self, ast::Select};
use crate::diagnostic::{Diagnostic, Place, Span};

/// One transform, read and parsed.
#[derive(Debug, Clone)]
pub struct TransformFile {
    /// The path below `transforms/` without the ending, with `/`: `shop/order`.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
    pub header: Header,
    pub select: Select,
    /// The value's contract: the header's `contract` beside the file, else `NAME.avsc`.
    pub avsc_path: PathBuf,
    /// `NAME.key.avsc`, where it exists.
    pub key_avsc_path: Option<PathBuf>,
    /// SHA-256 of the file's bytes, in lower-case hexadecimal.
    pub sha256: String,
}

impl TransformFile {
    pub fn place(&self, span: Span) -> Place {
        Place::of(&self.path, &self.text, span)
    }
}

/// Reads all transforms below `folder`, sorted by name; refused as a whole when one cannot be read.
pub fn discover(folder: &Path) -> Result<Vec<TransformFile>, Vec<Diagnostic>> {
    let (files, findings) = discover_all(folder);
    if findings.is_empty() { Ok(files) } else { Err(findings) }
}

/// Those that can be read, sorted by name, and what is wrong with the others.
pub fn discover_all(folder: &Path) -> (Vec<TransformFile>, Vec<Diagnostic>) {
    let mut paths = Vec::new();
    let mut findings = Vec::new();
    walk(folder, &mut paths, &mut findings);
    paths.sort();
    if paths.is_empty() && findings.is_empty() {
        findings.push(
            Diagnostic::error(codes::NO_TRANSFORMS, format!("there is no transform in {}", folder.display()))
                .help("put one into transforms/NAME.sql, its contract beside it (`pgspine schema draft NAME` prints a first one)"),
        );
    }
    let mut files = Vec::new();
    for path in paths {
        match read(folder, &path) {
            Ok(file) => files.push(file),
            Err(mut found) => findings.append(&mut found),
        }
    }
    one_topic_each(&files, &mut findings);
    files.sort_by(|a, b| a.name.cmp(&b.name));
    (files, findings)
}

/// Reads one transform below `folder`.
pub fn read(folder: &Path, path: &Path) -> Result<TransformFile, Vec<Diagnostic>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_text(folder, path, text),
        Err(e) => Err(vec![unreadable(path, &e)]),
    }
}

/// As [`read`], from a text that is already at hand.
pub fn parse_text(folder: &Path, path: &Path, text: String) -> Result<TransformFile, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let (header, from) = header::read(path, &text, &mut findings);
    let select = parse::select(&text, from).map_err(|e| findings.push(from_parse(path, &text, e))).ok();
    let (Some(header), Some(select), true) = (header, select, findings.is_empty()) else { return Err(findings) };
    let relative = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let name: Vec<_> = relative.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    let key_avsc = path.with_extension("key.avsc");
    Ok(TransformFile {
        name: name.join("/"),
        avsc_path: match &header.contract {
            Some(contract) => path.with_file_name(contract),
            None => path.with_extension("avsc"),
        },
        key_avsc_path: key_avsc.exists().then_some(key_avsc),
        path: path.to_owned(),
        header,
        select,
        sha256: Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect(),
        text,
    })
}

/// A parser's finding, with its line and caret.
pub fn from_parse(path: &Path, text: &str, error: parse::ParseError) -> Diagnostic {
    let mut finding = Diagnostic::error(error.code, error.message).at(Place::of(path, text, error.span));
    finding.help = error.help;
    finding
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>, findings: &mut Vec<Diagnostic>) {
    let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(e) => return findings.push(unreadable(folder, &e)),
    };
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, out, findings);
        } else if name.ends_with(".sql") && !name.ends_with(".test.sql") {
            out.push(path);
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(codes::UNREADABLE, format!("{} cannot be read: {error}", path.display()))
        .help("transform files are UTF-8 text in the folder transforms/")
}

fn one_topic_each(files: &[TransformFile], findings: &mut Vec<Diagnostic>) {
    let mut topics = BTreeMap::<&str, &TransformFile>::new();
    for file in files {
        if let Some(first) = topics.insert(&file.header.topic, file) {
            let message = format!("topic {} belongs to {} already", file.header.topic, first.name);
            findings.push(
                Diagnostic::error(codes::DUPLICATE_TOPIC, message)
                    .at(file.place(file.header.topic_span))
                    .help("give each transform a topic of its own"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
