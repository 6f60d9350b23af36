//! The regular expressions of which PostgreSQL's answer is known: letters, classes of ASCII letters, `.`, anchors,
//! groups, alternatives, quantifiers. Each is checked, and written down again in the words of the library that runs it.
//!
//! Whether a text *matches* is one question to all engines. *What* matches is not: PostgreSQL takes the longest of all,
//! others the first that they try. Both agree where at most one piece of a pattern may be longer or shorter.

use super::EvalError;
use super::declare::error;

/// What may be asked of a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// In the library's syntax.
    pub(super) regex: String,
    /// There is one way to find it, and it is never empty.
    pub(super) definite: bool,
}

/// The server's limits are above these.
const DEPTH: usize = 20;
const REPEATS: u32 = 255;
const STATES: u32 = 2000;

fn refused(what: &str, instead: &str) -> EvalError {
    error("0A000", format!("{what} in a regular expression is not computed; {instead}"))
}

pub(super) fn pattern(text: &str, ignore_case: bool) -> Result<Pattern, EvalError> {
    if ignore_case && !text.is_ascii() {
        return Err(refused("a letter beyond ASCII without case", "compare lower(x) with ~"));
    }
    let mut reader = Reader { rest: text, ..Reader::default() };
    // `.` is any character, a line feed too.
    reader.out.push_str(if ignore_case { "(?is)" } else { "(?s)" });
    let states = reader.alternatives(0)?;
    if !reader.rest.is_empty() {
        return Err(refused("a ) without its (", "write \\)"));
    }
    if states > STATES {
        return Err(refused("so long a repeat", "use a shorter one"));
    }
    let definite = !reader.choice && reader.variable <= 1 && reader.fixed > 0;
    Ok(Pattern { regex: reader.out, definite })
}

#[derive(Default)]
struct Reader<'p> {
    rest: &'p str,
    out: String,
    /// A bound was read, the quantifier is written.
    bounded: bool,
    /// Alternatives, groups or a quantifier that takes as little as it can.
    choice: bool,
    /// Pieces whose length is not given.
    variable: usize,
    /// Characters that each match has at least.
    fixed: u32,
}

impl<'p> Reader<'p> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// Up to the end or a closing parenthesis; how many states it has.
    fn alternatives(&mut self, depth: usize) -> Result<u32, EvalError> {
        if depth > DEPTH {
            return Err(refused("so deep a group", "use fewer parentheses"));
        }
        let mut states = 0u32;
        loop {
            match self.peek() {
                None | Some(')') => return Ok(states + 1),
                Some('|') => {
                    self.next();
                    self.choice = true;
                    self.out.push('|');
                }
                Some(_) => states = states.saturating_add(self.piece(depth)?),
            }
        }
    }

    fn piece(&mut self, depth: usize) -> Result<u32, EvalError> {
        let mut states = 1;
        let mut anchor = false;
        match self.next() {
            Some('(') => {
                if self.rest.starts_with('?') && !self.rest.starts_with("?:") {
                    return Err(refused("(?", "write it without lookaround and options"));
                }
                self.rest = self.rest.strip_prefix("?:").unwrap_or(self.rest);
                self.choice = true;
                self.out.push_str("(?:");
                states = self.alternatives(depth + 1)?;
                if self.next() != Some(')') {
                    return Err(refused("a ( without its )", "close it, or write \\("));
                }
                self.out.push(')');
            }
            Some('[') => self.class()?,
            Some('.') => self.out.push('.'),
            Some(c @ ('^' | '$')) => {
                anchor = true;
                self.out.push(c);
            }
            Some('\\') => {
                let c = self.escaped()?;
                self.literal(c);
            }
            Some(c @ ('*' | '+' | '?')) => {
                return Err(refused("a quantifier that has nothing in front of it", &format!("write \\{c}")));
            }
            Some(c @ ('{' | '}' | ']')) => {
                return Err(refused(&format!("{c} by itself"), &format!("write \\{c}")));
            }
            Some(c) => self.literal(c),
            None => {}
        }
        self.quantifier(states, anchor)
    }

    fn quantifier(&mut self, states: u32, anchor: bool) -> Result<u32, EvalError> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => self.bound()?,
            _ => {
                self.fixed += u32::from(!anchor);
                return Ok(states);
            }
        };
        if anchor {
            return Err(refused("a quantifier behind an anchor", "leave it out"));
        }
        if let Some(mark @ ('*' | '+' | '?')) = self.peek().filter(|_| !self.bounded) {
            self.next();
            self.out.push(mark);
        }
        self.bounded = false;
        if self.peek() == Some('?') {
            self.next();
            self.choice = true;
            self.out.push('?');
        }
        if matches!(self.peek(), Some('*' | '+' | '?' | '{')) {
            return Err(refused("two quantifiers", "write one"));
        }
        self.fixed += least;
        self.variable += usize::from(most != Some(least));
        Ok(states.saturating_mul(most.unwrap_or(least + 1).max(1)))
    }

    /// `{m}`, `{m,}`, `{m,n}`, written too.
    fn bound(&mut self) -> Result<(u32, Option<u32>), EvalError> {
        let wrong = || refused("{ that begins no bound", "write {m}, {m,}, {m,n} up to 255, or \\{");
        let (inside, rest) = self.rest[1..].split_once('}').ok_or_else(wrong)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|n| plain && *n <= REPEATS).ok_or_else(wrong)
        };
        let (least, most) = match inside.split_once(',') {
            None => (number(inside)?, Some(number(inside)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        if most.is_some_and(|most| most < least) {
            return Err(wrong());
        }
        self.rest = rest;
        self.bounded = true;
        self.out.push_str(&format!("{{{inside}}}"));
        Ok((least, most))
    }

    /// What a backslash stands in front of, itself.
    fn escaped(&mut self) -> Result<char, EvalError> {
        match self.next() {
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('d') => Err(refused("\\d, which follows the server's locale,", "write [0-9]")),
            Some('w') => Err(refused("\\w, which follows the server's locale,", "write [A-Za-z0-9_]")),
            Some('s') => Err(refused("\\s, which follows the server's locale,", "write [ \\t\\r\\n]")),
            Some(c) if c.is_alphanumeric() || c == '_' => {
                Err(refused(&format!("\\{c}"), "write the letters that are meant"))
            }
            Some(c) => Ok(c),
            None => Err(refused("a backslash at the end", "write \\\\")),
        }
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// Between brackets; of ranges both ends are ASCII.
    fn class(&mut self) -> Result<(), EvalError> {
        self.out.push('[');
        if self.peek() == Some('^') {
            self.next();
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = match self.next() {
                None => return Err(refused("a [ without its ]", "close it, or write \\[")),
                Some(']') if !first => break,
                Some('[') if self.rest.starts_with([':', '.', '=']) => {
                    return Err(refused("a named class, which follows the server's locale,", "write [A-Za-z], [0-9]"));
                }
                Some('-') if !first && self.peek() != Some(']') => {
                    return Err(refused("- in the middle of a class", "write it last"));
                }
                Some('\\') => self.escaped()?,
                Some(c) => c,
            };
            first = false;
            self.literal(c);
            if !self.rest.starts_with('-') || self.rest.starts_with("-]") {
                continue;
            }
            self.next();
            let last = match self.next() {
                Some('\\') => self.escaped()?,
                Some(c) if c != '[' && c != ']' => c,
                _ => return Err(refused("a range without its end", "write a-z")),
            };
            if !c.is_ascii() || !last.is_ascii() || last < c {
                return Err(refused("this range", "write ranges of ASCII characters, in order"));
            }
            self.out.push('-');
            self.literal(last);
        }
        self.out.push(']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_computed_is_written_down_again() {
        for (text, regex, definite) in [
            ("abc", "(?s)abc", true),
            ("^[a-z0-9_]+$", "(?s)^[a-z0-9\\_]+$", true),
            ("[^0-9]", "(?s)[^0-9]", true),
            ("a{2,3}b", "(?s)a{2,3}b", true),
            ("a{2}?b", "(?s)a{2}?b", false),
            ("a?", "(?s)a?", false),
            ("a?b?c", "(?s)a?b?c", false),
            ("(a|b)+\\.", "(?s)(?:a|b)+\\.", false),
            ("a+?b", "(?s)a+?b", false),
            ("[]a-]", "(?s)[\\]a\\-]", true),
        ] {
            assert_eq!(pattern(text, false), Ok(Pattern { regex: regex.to_owned(), definite }), "{text}");
        }
    }

    #[test]
    fn what_engines_answer_differently_is_refused() {
        for text in [
            "\\d",
            "\\w+",
            "[[:alpha:]]",
            "a**",
            "*a",
            "a{256}",
            "a{2,1}",
            "(?=a)",
            "(?i)a",
            "\\1",
            "[à-é]",
            "[z-a]",
            "(a",
            "a)",
            "[a",
            "a\\",
            "^*",
            "***=a",
            "a{",
            "a]",
            "(((((((((((((((((((((a)))))))))))))))))))))",
            "((a{200}){200}){200}",
        ] {
            assert_eq!(pattern(text, false).map_err(|e| e.sqlstate), Err("0A000"), "{text}");
        }
        assert!(pattern("é", true).is_err() && pattern("é", false).is_ok());
    }
}
