//! `test [NAME…]`: what the `*.test.sql` files expect, against what comes.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::{self, Exit, Failure, project};
use crate::scratch_postgres::{Folder, ScratchError};
use crate::testing::{self, Found, Played, Server, ServerError, Stage, TestFile, codes};
use crate::transform::TransformFile;

use super::args::Args;
use super::{output, print_findings, print_report, refused, tables};

pub fn test(args: &Args, names: &[String], url: Option<&str>) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let tests = match chosen(&config, names) {
        Ok(tests) => tests,
        Err(exit) => return exit.tell(args),
    };
    match run(args, &config, &tests, url) {
        Ok(exit) => exit,
        Err(stop) => stop.tell(args),
    }
}

/// Why no test was run.
enum Stop {
    Failure(Failure),
    Server(ServerError),
    /// Usage.
    Findings(Vec<Diagnostic>),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl Stop {
    fn tell(self, args: &Args) -> Exit {
        let server = match self {
            Stop::Failure(Failure::ShutDown) | Stop::Server(ServerError::Scratch(ScratchError::Interrupted)) => {
                eprintln!("interrupted: not all tests were run; what was made for them is removed");
                return Exit::Findings;
            }
            Stop::Failure(failure) => return refused(args, &failure),
            Stop::Findings(all) => {
                print_findings(args, &all);
                return Exit::Configuration;
            }
            Stop::Server(ServerError::Postgres(e)) => return refused(args, &Failure::Capture(e)),
            Stop::Server(ServerError::Scratch(ScratchError::Postgres(e))) => {
                return refused(args, &Failure::Capture(e));
            }
            Stop::Server(ServerError::Scratch(e)) => e,
        };
        let d = Diagnostic::error(codes::NO_SERVER, runtime::failure::chain(&server));
        let help = "install PostgreSQL's server, or name one where databases can be made: pgspine test --postgres URL";
        print_findings(args, &[d.help(help)]);
        Exit::Unreachable
    }
}

/// A test with the transforms that it is about.
struct Test {
    file: TestFile,
    transforms: Vec<TransformFile>,
}

/// The files, and what is wrong with them.
struct Tests {
    good: Vec<Test>,
    findings: Vec<Diagnostic>,
}

fn chosen(config: &Config, names: &[String]) -> Result<Tests, Stop> {
    let transforms = project::files(config).map_err(|all| Stop::Failure(Failure::Findings(all)))?;
    let known: Vec<&str> = transforms.iter().map(|t| t.name.as_str()).collect();
    let unknown = |name: &&String| {
        !known.iter().any(|k| name.strip_prefix(k).is_some_and(|r| r.is_empty() || r.starts_with('.')))
    };
    let unknown: Vec<Diagnostic> =
        names.iter().filter(unknown).map(|n| runtime::unknown_transform(&known, n)).collect();
    if !unknown.is_empty() {
        return Err(Stop::Findings(unknown));
    }
    let found = testing::find(&config.bridge.transforms, names).map_err(Stop::Findings)?;
    let mut tests = Tests { good: Vec::new(), findings: Vec::new() };
    for f in found {
        match read(&f, &known, &transforms) {
            Ok(test) => tests.good.push(test),
            Err(mut findings) => tests.findings.append(&mut findings),
        }
    }
    Ok(tests)
}

/// A test is about the transform it is named after and those that its expectations name.
fn read(found: &Found, known: &[&str], transforms: &[TransformFile]) -> Result<Test, Vec<Diagnostic>> {
    let file = TestFile::read(found.name.clone(), &found.path)?;
    let mut names: Vec<&str> = found.transform(known).into_iter().collect();
    let mut unknown = Vec::new();
    for (name, span) in file.transforms() {
        match known.iter().find(|k| **k == name) {
            Some(name) => names.push(name),
            None => unknown.push(runtime::unknown_transform(known, name).at(file.place(span))),
        }
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }
    if names.is_empty() {
        let message = format!("{} is named after no transform, and expects nothing of one", found.path.display());
        let d = Diagnostic::error(codes::TEST_FILE, message);
        return Err(vec![d.help("name it after its transform: shop/order.test.sql, or shop/order.WORD.test.sql")]);
    }
    let transforms = transforms.iter().filter(|t| names.contains(&t.name.as_str())).cloned().collect();
    Ok(Test { file, transforms })
}

fn run(args: &Args, config: &Config, tests: &Tests, url: Option<&str>) -> Result<Exit, Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first ends it between two transactions, so that nothing is left behind; the second at once.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop));
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    let stopped = || stop.load(Ordering::Acquire);
    let mut findings = tests.findings.clone();
    let schema = match tables::from_file(config) {
        Ok(schema) => schema,
        Err(all) => {
            findings.extend(all);
            None
        }
    };
    let schema_text = std::fs::read_to_string(tables::file(config)).unwrap_or_default();
    let mut report = Report { args, passed: 0, failed: 0, not_reached: 0, tests: Vec::new() };
    let mut server_name = None;
    if !tests.good.is_empty() {
        let folder = Folder::new("tests").map_err(|e| Stop::Server(e.into()))?;
        let server = match url {
            Some(url) => Server::at(url),
            None => Server::start(&stopped),
        };
        let server = server.map_err(Stop::Server)?;
        let whose = if server.is_own() { "started for the tests" } else { "in databases of their own" };
        server_name = Some(format!("PostgreSQL {}, {whose}", server.version));
        for test in &tests.good {
            let stage = Stage {
                config,
                server: &server,
                schema: schema.as_ref().map(|s| (schema_text.as_str(), &s.catalogue)),
                files: test.transforms.clone(),
                folder: folder.path(),
                stopped: &stopped,
            };
            let played = testing::play(stage, &test.file)?;
            report.file(&test.file, &played);
            findings.extend(played.findings);
        }
    }
    Ok(report.end(server_name, &findings))
}

struct Report<'a> {
    args: &'a Args,
    passed: usize,
    failed: usize,
    not_reached: usize,
    tests: Vec<Value>,
}

impl Report<'_> {
    fn file(&mut self, file: &TestFile, played: &Played) {
        let mut shown = Vec::new();
        let mut failed = 0;
        for t in &played.transactions {
            let word = match t.passed {
                Some(true) => "passed",
                Some(false) => "failed",
                None => "not reached",
            };
            match t.passed {
                Some(true) => self.passed += 1,
                Some(false) => failed += 1,
                None => self.not_reached += 1,
            }
            shown.push(json!({ "name": t.name, "line": t.line, "result": word }));
        }
        self.failed += failed;
        if !self.args.json {
            let verdict = if played.findings.is_empty() { "ok" } else { "FAILED" };
            let mut out = std::io::stdout().lock();
            let count = counted(played.transactions.len(), "transaction");
            // A reader that has gone away is not our trouble.
            let _ = writeln!(out, "{:<32} {count:<16} {verdict}", file.name).and_then(|()| out.flush());
        }
        self.tests.push(json!({ "name": file.name, "file": file.path.display().to_string(), "transactions": shown }));
    }

    fn end(self, server: Option<String>, findings: &[Diagnostic]) -> Exit {
        let lead = server.as_ref().map(|server| {
            let files = counted(self.tests.len(), "file");
            let mut text =
                format!("\n{} passed in {files}, {} failed", counted(self.passed, "transaction"), self.failed);
            if self.not_reached > 0 {
                text += &format!(", {} not reached", self.not_reached);
            }
            format!("{text}; {server}")
        });
        if findings.is_empty() && !self.args.json {
            super::print(&format!("{}\n", lead.unwrap_or_default().trim_start_matches('\n')));
        } else {
            print_report(self.args, lead.as_deref(), findings, json!({ "tests": self.tests, "postgres": server }));
        }
        if output::has_errors(findings) { Exit::Findings } else { Exit::Done }
    }
}

fn counted(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}
