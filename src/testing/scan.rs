//! SQL text cut into statements and the line comments between them, by PostgreSQL's lexical rules.
//!
//! Nothing is understood here but where a statement ends: quotes, dollar quotes, comments and nesting are.

use crate::diagnostic::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Without its semicolon.
    Statement(Span),
    /// `-- …` to the end of the line, outside of a statement.
    Comment(Span),
}

/// What keeps a text from being cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanError {
    pub span: Span,
    pub message: &'static str,
    pub help: &'static str,
}

/// The pieces in order. `is_directive` says of a line comment whether it can only stand between statements.
pub fn pieces(text: &str, is_directive: &dyn Fn(&str) -> bool) -> Result<Vec<Piece>, ScanError> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, begun: None, depth: 0, out: Vec::new() };
    scanner.run(is_directive)?;
    Ok(scanner.out)
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Where the open statement began.
    begun: Option<usize>,
    /// Of parentheses: a semicolon within them (CREATE RULE) ends nothing.
    depth: u32,
    out: Vec<Piece>,
}

impl Scanner<'_> {
    fn run(&mut self, is_directive: &dyn Fn(&str) -> bool) -> Result<(), ScanError> {
        while let Some(&c) = self.bytes.get(self.at) {
            match c {
                b'-' if self.peek(1) == b'-' => self.comment(is_directive)?,
                b'/' if self.peek(1) == b'*' => self.block_comment()?,
                c if c.is_ascii_whitespace() => self.at += 1,
                b';' if self.depth == 0 => {
                    self.end_statement();
                    self.at += 1;
                }
                b'\\' if self.begun.is_none() => {
                    return Err(self.error(
                        self.at,
                        "a backslash begins a command of psql, which only psql runs",
                        "write SQL statements only",
                    ));
                }
                c => {
                    self.begun.get_or_insert(self.at);
                    self.token(c)?;
                }
            }
        }
        if let Some(begun) = self.begun {
            return Err(self.error(begun, "this statement does not end", "close it with ;"));
        }
        Ok(())
    }

    fn token(&mut self, c: u8) -> Result<(), ScanError> {
        match c {
            b'\'' => self.quoted(b'\'', self.after_escape_prefix())?,
            b'"' => self.quoted(b'"', false)?,
            b'$' => self.dollar()?,
            b'(' => self.step(1),
            b')' => self.step(-1),
            // A word is taken whole: a $ within it begins nothing, and the E of E'…' is seen from the quote.
            c if word(c) => {
                while self.bytes.get(self.at).is_some_and(|c| word(*c) || *c == b'$') {
                    self.at += 1;
                }
            }
            _ => self.at += 1,
        }
        Ok(())
    }

    fn step(&mut self, by: i32) {
        self.depth = self.depth.saturating_add_signed(by);
        self.at += 1;
    }

    fn end_statement(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.out.push(Piece::Statement(span(begun, self.at)));
        }
    }

    fn comment(&mut self, is_directive: &dyn Fn(&str) -> bool) -> Result<(), ScanError> {
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |n| self.at + n);
        let comment = &self.text[self.at..end];
        match self.begun {
            Some(begun) if is_directive(comment) => {
                return Err(self.error(
                    begun,
                    "this statement does not end before the next section or expectation",
                    "close it with ;",
                ));
            }
            Some(_) => {}
            None => self.out.push(Piece::Comment(span(self.at, self.at + comment.trim_end().len()))),
        }
        self.at = end;
        Ok(())
    }

    fn block_comment(&mut self) -> Result<(), ScanError> {
        let begun = self.at;
        let mut depth = 0;
        while self.at < self.bytes.len() {
            match (self.bytes[self.at], self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(self.error(begun, "this comment does not end", "close it with */"))
    }

    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<(), ScanError> {
        let begun = self.at;
        self.at += 1;
        while let Some(&c) = self.bytes.get(self.at) {
            self.at += 1;
            match c {
                b'\\' if escapes => self.at += 1,
                c if c == quote && self.peek(0) == quote => self.at += 1,
                c if c == quote => return Ok(()),
                _ => {}
            }
        }
        Err(self.error(begun, "this quote does not end", "close it"))
    }

    /// Whether the quote here is that of `E'…'`.
    fn after_escape_prefix(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).and_then(|i| self.bytes.get(i)).copied().unwrap_or(b' ');
        matches!(before(1), b'e' | b'E') && !word(before(2))
    }

    fn dollar(&mut self) -> Result<(), ScanError> {
        let begun = self.at;
        let tag_end = self.text[self.at + 1..].find('$').map(|n| self.at + 1 + n);
        let tag = tag_end.map(|end| &self.text[begun..=end]).filter(|t| {
            let name = &t.as_bytes()[1..t.len() - 1];
            name.iter().all(|c| word(*c)) && !name.first().is_some_and(u8::is_ascii_digit)
        });
        let Some(tag) = tag else {
            self.at += 1;
            return Ok(());
        };
        let body = begun + tag.len();
        match self.text[body..].find(tag) {
            Some(n) => self.at = body + n + tag.len(),
            None => return Err(self.error(begun, "this quote does not end", "close it with the same tag")),
        }
        Ok(())
    }

    fn peek(&self, n: usize) -> u8 {
        self.bytes.get(self.at + n).copied().unwrap_or(0)
    }

    fn error(&self, at: usize, message: &'static str, help: &'static str) -> ScanError {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |n| at + n);
        ScanError { span: span(at, end), message, help }
    }
}

fn word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = pieces(text, &|c| c.starts_with("-- expect")).unwrap();
        let texts = found.iter().map(|p| match p {
            Piece::Statement(s) | Piece::Comment(s) => &text[s.start as usize..s.end as usize],
        });
        assert_eq!(texts.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn statements_end_where_postgres_ends_them() {
        check("SELECT 1; SELECT 2 ;", &["SELECT 1", "SELECT 2 "]);
        check(
            "SELECT ';', \"a;b\", E'\\';', $$;$$, $a$ $$; $a$ ; ",
            &["SELECT ';', \"a;b\", E'\\';', $$;$$, $a$ $$; $a$ "],
        );
        check("SELECT 'a''; b', '\\'; x;", &["SELECT 'a''; b', '\\'", "x"]);
        check("/* ; /* ; */ ; */ SELECT a$b, $1; -- c;\n", &["SELECT a$b, $1", "-- c;"]);
        check("SELECT 1 -- one;\n + 1; ;;", &["SELECT 1 -- one;\n + 1"]);
        check(
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
            &["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)"],
        );
        check("\u{e9}$\u{e9}; -- \u{e9}", &["\u{e9}$\u{e9}", "-- \u{e9}"]);
    }

    #[test]
    fn what_does_not_end_is_told_with_its_beginning() {
        let wrong = |text: &str| pieces(text, &|c| c.starts_with("-- expect")).unwrap_err();
        for (text, at) in [("SELECT 1", 0), ("; SELECT 'a", 9), ("/* a", 0), ("SELECT $a$ ", 7), ("  \\d", 2)] {
            assert_eq!(wrong(text).span.start, at, "{text}");
        }
        assert_eq!(wrong(";SELECT 1\n-- expect nothing\n;").span, Span { start: 1, end: 9 });
    }
}
