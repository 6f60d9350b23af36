//! What is wrong, where, and what to do: one form for every finding of `check` and every refusal.
//!
//! Codes are `PGSnnnn`; each has a page `docs/errors/PGSnnnn.md`. The thousands tell the room:
//! 1 transform file and SQL, 2 contract, 3 project and configuration, 4 PostgreSQL, 5 Kafka, 6 registry,
//! 7 local state, 8 running (gaps, approvals, row errors).

use std::fmt;
use std::path::PathBuf;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PGS{:04}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// A place in a file: bytes [start, end) of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// One line: what is wrong, with names and values.
    pub message: String,
    /// What to do or to write instead.
    pub help: Option<String>,
    pub place: Option<Place>,
}

/// A line of a file with a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    pub source_line: String,
    /// Characters to underline, at least 1.
    pub width: u32,
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, severity: Severity::Error, message: message.into(), help: None, place: None }
    }
    pub fn warning(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
    pub fn at(mut self, place: Place) -> Diagnostic {
        self.place = Some(place);
        self
    }
}

impl Place {
    /// The place of `span` in the file's text.
    pub fn of(file: impl Into<PathBuf>, text: &str, span: Span) -> Place {
        let start = floor_char(text, span.start as usize);
        let end = floor_char(text, span.end as usize).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        Place {
            file: file.into(),
            line: text[..start].matches('\n').count() as u32 + 1,
            column: text[line_start..start].chars().count() as u32 + 1,
            source_line: text[line_start..line_end].trim_end_matches('\r').to_owned(),
            width: (text[start..end.min(line_end).max(start)].chars().count() as u32).max(1),
        }
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        if let Some(p) = &self.place {
            write!(f, "{}:{}:{}: ", p.file.display(), p.line, p.column)?;
        }
        write!(f, "{word}[{}]: {}", self.code, self.message)?;
        if let Some(p) = &self.place {
            let gutter = p.line.to_string();
            let blank = " ".repeat(gutter.len());
            let lead: String =
                p.source_line.chars().take(p.column as usize - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{gutter} | {}\n{blank} | {lead}{}", p.source_line, "^".repeat(p.width as usize))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let text = "SELECT a,\n\té.b FROM t";
        let at = text.find('b').unwrap() as u32;
        let d = Diagnostic::error(Code(1001), "no column b").help("write c").at(Place::of(
            "t.sql",
            text,
            Span { start: at, end: at + 1 },
        ));
        assert_eq!(
            d.to_string(),
            "t.sql:2:4: error[PGS1001]: no column b\n2 | \té.b FROM t\n  | \t  ^\n  help: write c"
        );
    }
}
