//! A test file: a setup, then transactions, each with what it must bring.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::codes;
use super::expectation::{self, Directive, Expected, Wrong};
use super::scan::{self, Piece};
use crate::diagnostic::{Diagnostic, Place, Span};

#[derive(Debug)]
pub struct TestFile {
    /// The path below `transforms/` without `.test.sql`.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
    pub setup: Vec<Span>,
    pub transactions: Vec<Transaction>,
}

/// One source transaction.
#[derive(Debug)]
pub struct Transaction {
    pub name: String,
    /// Its head line.
    pub span: Span,
    pub statements: Vec<Span>,
    /// ROLLBACK at its end.
    pub rolls_back: bool,
    pub records: Vec<ExpectedRecord>,
    pub errors: Vec<ExpectedError>,
    /// `-- expect nothing`.
    pub nothing: Option<Span>,
}

#[derive(Debug)]
pub struct ExpectedRecord {
    pub span: Span,
    pub transform: String,
    pub key: Value,
    /// None: a tombstone.
    pub value: Option<Value>,
}

#[derive(Debug)]
pub struct ExpectedError {
    pub span: Span,
    /// A SQLSTATE, or `PGSnnnn`.
    pub code: String,
    /// Part of the message.
    pub message: String,
}

impl ExpectedError {
    /// A row that a transform cannot publish; else a statement that PostgreSQL refuses.
    pub fn of_a_row(&self) -> bool {
        self.code.starts_with("PGS")
    }
}

impl TestFile {
    pub fn read(name: String, path: &Path) -> Result<TestFile, Vec<Diagnostic>> {
        match std::fs::read_to_string(path) {
            Ok(text) => TestFile::parse(name, path, text),
            Err(e) => {
                let message = format!("{} cannot be read: {e}", path.display());
                Err(vec![Diagnostic::error(codes::TEST_FILE, message).help("test files are UTF-8 text")])
            }
        }
    }

    pub fn parse(name: String, path: &Path, text: String) -> Result<TestFile, Vec<Diagnostic>> {
        let mut file = TestFile { name, path: path.to_owned(), text, setup: Vec::new(), transactions: Vec::new() };
        let mut findings = Vec::new();
        match scan::pieces(&file.text, &|c| expectation::directive(c).is_some()) {
            Ok(pieces) => {
                let text = std::mem::take(&mut file.text);
                Reader {
                    text: &text,
                    pieces: &pieces,
                    at: 0,
                    file: &mut file,
                    open: Open::Head,
                    findings: &mut findings,
                }
                .run();
                file.text = text;
            }
            Err(e) => findings.push(Diagnostic::error(codes::TEST_FILE, e.message).help(e.help).at(file.place(e.span))),
        }
        if findings.is_empty() { Ok(file) } else { Err(findings) }
    }

    pub fn sql(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    pub fn place(&self, span: Span) -> Place {
        Place::of(&self.path, &self.text, span)
    }

    /// Whether the setup makes its tables itself.
    pub fn makes_tables(&self) -> bool {
        self.setup.iter().any(|s| {
            let words = first_words(self.sql(*s), 4);
            words.first().is_some_and(|w| w == "create") && words.iter().any(|w| w == "table")
        })
    }

    /// Names that expectations use.
    pub fn transforms(&self) -> impl Iterator<Item = (&str, Span)> {
        self.transactions.iter().flat_map(|t| &t.records).map(|r| (r.transform.as_str(), r.span))
    }

    /// Whether a row that cannot be published is expected anywhere.
    pub fn expects_row_errors(&self) -> bool {
        self.transactions.iter().flat_map(|t| &t.errors).any(ExpectedError::of_a_row)
    }
}

/// The first words of a statement, in lower case; comments between them count as words.
fn first_words(sql: &str, n: usize) -> Vec<String> {
    sql.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .take(n)
        .map(str::to_ascii_lowercase)
        .collect()
}

/// Where statements go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Head,
    Setup,
    Transaction,
}

struct Reader<'r> {
    text: &'r str,
    pieces: &'r [Piece],
    at: usize,
    file: &'r mut TestFile,
    open: Open,
    findings: &'r mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn run(mut self) {
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            match *piece {
                Piece::Statement(span) => self.statement(span),
                Piece::Comment(span) => self.comment(span),
            }
        }
        self.end_section();
        if self.file.transactions.is_empty() && self.findings.is_empty() {
            let end = Span { start: 0, end: 1 };
            self.wrong(end, "there is no transaction in this file", "begin one: -- transaction: an order is placed");
        }
    }

    fn wrong(&mut self, span: Span, message: impl Into<String>, help: &str) {
        let place = Place::of(&self.file.path, self.text, span);
        self.findings.push(Diagnostic::error(codes::TEST_FILE, message).help(help).at(place));
    }

    fn of(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn statement(&mut self, span: Span) {
        let words = first_words(self.of(span), 3);
        if words.first().is_some_and(|w| w == "copy") && self.of(span).to_ascii_lowercase().contains("stdin") {
            return self.wrong(span, "COPY FROM STDIN has no data here", "write INSERT");
        }
        match self.open {
            Open::Head => {
                self.wrong(
                    span,
                    "a statement before the first section",
                    "write -- setup, or -- transaction: NAME, above it",
                );
                // Told once.
                self.open = Open::Setup;
            }
            Open::Setup => self.file.setup.push(span),
            Open::Transaction => {
                if let Some(t) = self.file.transactions.last_mut() {
                    t.statements.push(span);
                }
            }
        }
    }

    fn comment(&mut self, span: Span) {
        let text = self.text;
        match expectation::directive(&text[span.start as usize..span.end as usize]) {
            None => {}
            Some(Directive::Setup) => {
                if self.open != Open::Head {
                    let help = "there is one -- setup, and it is the first section";
                    self.wrong(span, "a setup behind another section", help);
                }
                self.open = Open::Setup;
            }
            Some(Directive::Transaction(name)) => {
                self.end_section();
                if name.is_empty() {
                    self.wrong(
                        span,
                        "a transaction without a name",
                        "say what happens: -- transaction: an order is placed",
                    );
                }
                self.open = Open::Transaction;
                self.file.transactions.push(Transaction {
                    name: name.to_owned(),
                    span,
                    statements: Vec::new(),
                    rolls_back: false,
                    records: Vec::new(),
                    errors: Vec::new(),
                    nothing: None,
                });
            }
            Some(_) if self.open != Open::Transaction => {
                self.wrong(span, "an expectation outside of a transaction", "write it below a -- transaction: NAME");
            }
            Some(Directive::Error(what)) => self.error(span, what),
            Some(Directive::Expect(_)) => self.expect(span),
        }
    }

    fn error(&mut self, span: Span, what: &str) {
        let (code, message) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
        let digits = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit());
        let ours = code.strip_prefix("PGS").is_some_and(|n| n.len() == 4 && digits(n));
        let sqlstate = code.len() == 5 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !ours && !sqlstate {
            let help = "write -- error: 23505 duplicate key, or -- error: PGS2103 total";
            return self.wrong(span, format!("{code:?} is neither a SQLSTATE nor one of our codes"), help);
        }
        let error = ExpectedError { span, code: code.to_owned(), message: message.trim().to_owned() };
        if let Some(t) = self.file.transactions.last_mut() {
            t.errors.push(error);
        }
    }

    /// The directive's line and as many comments behind it as the value needs.
    fn expect(&mut self, first: Span) {
        let text = self.text;
        let line = |s: Span| expectation::body(&text[s.start as usize..s.end as usize]);
        let Some(Directive::Expect(head)) = expectation::directive(&text[first.start as usize..first.end as usize])
        else {
            return;
        };
        let mut lines = vec![first];
        let mut collected = head.to_owned();
        let parsed = loop {
            match expectation::expected(&collected) {
                Err(Wrong::Unfinished) => {}
                done => break done,
            }
            match self.pieces.get(self.at) {
                Some(&Piece::Comment(next))
                    if expectation::directive(&text[next.start as usize..next.end as usize]).is_none() =>
                {
                    self.at += 1;
                    lines.push(next);
                    collected.push('\n');
                    collected.push_str(line(next));
                }
                _ => break Err(Wrong::Unfinished),
            }
        };
        let help =
            "write -- expect shop/order {\"order_id\":1} => {…}, or => null for a tombstone, or -- expect nothing";
        match parsed {
            Ok(Expected::Nothing) => {
                let others = self.file.transactions.last().is_some_and(|t| !t.records.is_empty());
                if others {
                    self.wrong(first, "nothing is expected, and something above", "keep one of them");
                } else if let Some(t) = self.file.transactions.last_mut() {
                    t.nothing = Some(first);
                }
            }
            Ok(Expected::Record { transform, key, value }) => {
                let Some(t) = self.file.transactions.last_mut() else { return };
                if t.nothing.is_some() {
                    return self.wrong(first, "nothing is expected above, and something here", "keep one of them");
                }
                t.records.push(ExpectedRecord { span: first, transform, key, value });
            }
            Err(Wrong::Unfinished) => self.wrong(first, "this expectation does not end", help),
            Err(Wrong::At { line, message }) => {
                let at = lines.get(line).copied().unwrap_or(first);
                self.wrong(at, message, help);
            }
        }
    }

    /// What can only be said once the whole section is known.
    fn end_section(&mut self) {
        if self.open != Open::Transaction {
            return;
        }
        let text = self.text;
        let Some(mut t) = self.file.transactions.pop() else { return };
        let words = |s: Span| first_words(&text[s.start as usize..s.end as usize], 2);
        let is = |s: Span, all: &[&str]| words(s).first().is_some_and(|w| all.contains(&w.as_str()));
        let begins = |s: Span| is(s, &["begin", "start"]);
        let commits = |s: Span| is(s, &["commit", "end"]);
        let rolls_back = |s: Span| is(s, &["rollback", "abort"]) && words(s).get(1).is_none_or(|w| w != "to");
        if t.statements.first().is_some_and(|s| begins(*s)) {
            t.statements.remove(0);
        }
        if let Some(&last) = t.statements.last() {
            t.rolls_back = rolls_back(last);
            if t.rolls_back || commits(last) {
                t.statements.pop();
            }
        }
        for &s in &t.statements {
            let prepares = words(s) == ["prepare", "transaction"];
            if begins(s) || commits(s) || rolls_back(s) || prepares {
                self.wrong(s, "a section is one transaction", "begin another section: -- transaction: NAME");
            }
        }
        if t.statements.is_empty() {
            self.wrong(t.span, format!("transaction {:?} has no statement", t.name), "write SQL below it");
        }
        if t.records.is_empty() && t.errors.is_empty() && t.nothing.is_none() {
            let help = "write -- expect nothing; when the test runs, it shows what came instead, to be put here";
            self.wrong(t.span, format!("transaction {:?} says nothing of what it brings", t.name), help);
        }
        let refused = t.errors.iter().find(|e| !e.of_a_row()).map(|e| e.span);
        if let Some(span) = refused
            && (!t.records.is_empty() || t.errors.len() > 1)
        {
            let help = "PostgreSQL takes back the whole transaction: nothing else comes of it";
            self.wrong(span, "a refused statement beside another expectation", help);
        }
        self.file.transactions.push(t);
    }
}

#[cfg(test)]
mod tests;
