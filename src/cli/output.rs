//! What commands print, and the codes they leave with.
//!
//! The rule: findings go to stdout as text (or as one JSON document with `--json`); no colour, ever, so that what is
//! read by programs and what is read by people differ in form only.

use crate::diagnostic::{Diagnostic, Severity};
use crate::runtime::Exit;
use serde_json::{Value, json};
use std::io::{self, Write};

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

/// Prints the findings as they came. `json`: one document `{"findings":[…]}` with the fields of `more`.
pub fn findings(out: &mut dyn Write, json: bool, all: &[Diagnostic], more: Value) -> io::Result<()> {
    if json {
        let list: Vec<Value> = all.iter().map(finding).collect();
        let mut document = json!({ "findings": list });
        if let (Some(document), Value::Object(more)) = (document.as_object_mut(), more) {
            document.extend(more);
        }
        return writeln!(out, "{document}");
    }
    for d in all {
        writeln!(out, "{d}\n")?;
    }
    let errors = all.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = all.len() - errors;
    let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    writeln!(out, "{}, {}", count(errors, "error"), count(warnings, "warning"))
}

/// Whether a list of findings ends a check with 1: warnings do not.
pub fn has_errors(all: &[Diagnostic]) -> bool {
    all.iter().any(|d| d.severity == Severity::Error)
}

/// One finding as JSON.
pub fn finding(d: &Diagnostic) -> Value {
    let severity = match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut value = json!({
        "code": d.code.to_string(),
        "severity": severity,
        "message": d.message,
    });
    if let Some(help) = &d.help {
        value["help"] = json!(help);
    }
    if let Some(p) = &d.place {
        value["file"] = json!(p.file.display().to_string());
        value["line"] = json!(p.line);
        value["column"] = json!(p.column);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Place, Span};

    #[test]
    fn findings_in_both_forms() {
        let all = [
            Diagnostic::error(Code(1012), "no column x").at(Place::of("a.sql", "SELECT x", Span { start: 7, end: 8 })),
            Diagnostic::warning(Code(4001), "slow").help("do this"),
        ];
        let print = |json: bool| {
            let mut out = Vec::new();
            findings(&mut out, json, &all, serde_json::json!({})).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            print(true),
            "{\"findings\":[{\"code\":\"PGS1012\",\"severity\":\"error\",\"message\":\"no column x\",\"file\":\"a.sql\",\
             \"line\":1,\"column\":8},{\"code\":\"PGS4001\",\"severity\":\"warning\",\"message\":\"slow\",\"help\":\"do this\"}]}\n"
        );
        assert!(
            print(false).ends_with("warning[PGS4001]: slow\n  help: do this\n\n1 error, 1 warning\n"),
            "{}",
            print(false)
        );
        assert!(has_errors(&all) && !has_errors(&all[1..]));
    }
}
