//! Tokens of SQL, by the rules of the manual's chapter 4.1 ("Lexical Structure"), with their bytes in the file.
//!
//! The rules that decide meaning are kept to the letter: where an operator ends, how identifiers fold, how string
//! constants continue on the next line, and that `1a` is an error.

use super::ParseError;
use crate::diagnostic::Span;
use crate::transform::codes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// An identifier or key word; folded to lower case unless quoted.
    Word {
        name: String,
        quoted: bool,
    },
    /// Digits only, or a number with a point or an exponent.
    Number(String),
    Text(String),
    /// An operator of PostgreSQL's operator characters; `!=` is already `<>`.
    Operator(String),
    /// One of `( ) [ ] , ; . :`.
    Mark(char),
    /// `::`
    Cast,
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Lexed {
    pub token: Token,
    pub span: Span,
}

/// The longest identifier; the server cuts longer ones off with a notice, which is never what was meant.
const NAME_BYTES: usize = 63;

const OPERATOR: &[u8] = b"~!@#^&|`?+-*/%<>=";
/// An operator of several characters may end in `+` or `-` only if it has one of these.
const ODD: &[u8] = b"~!@#^&|`?%";

pub(crate) fn tokens(text: &str, from: usize) -> Result<Vec<Lexed>, ParseError> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: from };
    let mut out = Vec::new();
    loop {
        lexer.skip_blank()?;
        let start = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        out.push(Lexed { token, span: span(start, lexer.at) });
        if end {
            return Ok(out);
        }
    }
}

pub(crate) fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn refuse<T>(&self, start: usize, message: &str, help: &str) -> Result<T, ParseError> {
        Err(ParseError::new(codes::SYNTAX, span(start, self.at.max(start + 1)), message).help(help))
    }

    /// Blanks, `--` comments and nested block comments. Says whether a line ended in them.
    fn skip_blank(&mut self) -> Result<bool, ParseError> {
        let mut newline = false;
        loop {
            match self.peek(0) {
                b'\n' | b'\r' => {
                    newline = true;
                    self.at += 1;
                }
                b' ' | b'\t' | 0x0c | 0x0b => self.at += 1,
                b'-' if self.peek(1) == b'-' => {
                    while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
                        self.at += 1;
                    }
                }
                b'/' if self.peek(1) == b'*' => self.block_comment()?,
                _ => return Ok(newline),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let mut depth = 0u32;
        loop {
            if self.at >= self.bytes.len() {
                self.at = start + 2;
                return self.refuse(start, "this comment does not end", "close it with */");
            }
            if self.peek(0) == b'/' && self.peek(1) == b'*' {
                depth += 1;
                self.at += 2;
            } else if self.peek(0) == b'*' && self.peek(1) == b'/' {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else {
                self.at += 1;
            }
        }
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let c = self.peek(0);
        if self.at >= self.bytes.len() {
            return Ok(Token::End);
        }
        match c {
            b'\'' => return self.string(false).map(Token::Text),
            b'"' => return self.quoted_name(),
            b'e' | b'E' if self.peek(1) == b'\'' => {
                self.at += 1;
                return self.string(true).map(Token::Text);
            }
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if self.peek(1) == b'\'' => {
                self.at += 2;
                return self.refuse(start, "bit string and national constants are not supported", "write '…' or E'…'");
            }
            b'u' | b'U' if self.peek(1) == b'&' && matches!(self.peek(2), b'\'' | b'"') => {
                self.at += 3;
                return self.refuse(start, "U& escapes are not supported", "write the character itself, or E'\\u…'");
            }
            b'$' if self.peek(1).is_ascii_digit() => {
                self.at += 2;
                return self.refuse(start, "a transform has no parameters", "write the constant itself");
            }
            b'$' => return self.dollar_string(),
            _ => {}
        }
        if c.is_ascii_digit() || (c == b'.' && self.peek(1).is_ascii_digit()) {
            return self.number();
        }
        if c.is_ascii_alphabetic() || c == b'_' || c >= 0x80 {
            while {
                let c = self.peek(0);
                c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80
            } {
                self.at += 1;
            }
            return self.name(start, self.text[start..self.at].to_ascii_lowercase(), false);
        }
        if c == b':' && self.peek(1) == b':' {
            self.at += 2;
            return Ok(Token::Cast);
        }
        if b"()[],;.:".contains(&c) {
            self.at += 1;
            return Ok(Token::Mark(c as char));
        }
        if OPERATOR.contains(&c) {
            return Ok(self.operator());
        }
        self.at += 1;
        self.refuse(start, "this character is no part of SQL", "put text in quotes")
    }

    fn name(&self, start: usize, name: String, quoted: bool) -> Result<Token, ParseError> {
        if name.len() > NAME_BYTES {
            return self.refuse(
                start,
                "this identifier is longer than 63 bytes, PostgreSQL would cut it off",
                "write the name as PostgreSQL has it",
            );
        }
        Ok(Token::Word { name, quoted })
    }

    fn quoted_name(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut name = String::new();
        loop {
            let Some(len) = self.text[self.at..].find('"') else {
                self.at = start + 1;
                return self.refuse(start, "this quoted identifier does not end", "close it with \"");
            };
            name.push_str(&self.text[self.at..self.at + len]);
            self.at += len + 1;
            if self.peek(0) != b'"' {
                break;
            }
            name.push('"');
            self.at += 1;
        }
        if name.is_empty() {
            return self.refuse(start, "an identifier cannot be empty", "write a name between the quotes");
        }
        self.name(start, name, true)
    }

    /// `'…'` or, with escapes, what follows the `E`; goes on over a line end to a next constant.
    fn string(&mut self, escapes: bool) -> Result<String, ParseError> {
        let start = self.at;
        let mut out = Vec::new();
        self.at += 1;
        loop {
            match self.peek(0) {
                _ if self.at >= self.bytes.len() => {
                    self.at = start + 1;
                    return self.refuse(start, "this string does not end", "close it with '");
                }
                b'\'' if self.peek(1) == b'\'' => {
                    out.push(b'\'');
                    self.at += 2;
                }
                b'\'' => {
                    self.at += 1;
                    let end = self.at;
                    if self.skip_blank()? && self.peek(0) == b'\'' {
                        self.at += 1;
                    } else {
                        self.at = end;
                        break;
                    }
                }
                b'\\' if escapes => self.escape(&mut out)?,
                c => {
                    out.push(c);
                    self.at += 1;
                }
            }
        }
        match String::from_utf8(out) {
            Ok(s) if !s.contains('\0') => Ok(s),
            _ => self.refuse(
                start,
                "this string is not valid UTF-8, or has a zero byte",
                "write the characters themselves",
            ),
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        let start = self.at;
        let c = self.peek(1);
        self.at += 2;
        let digits = |lexer: &mut Self, most: usize, radix: u32| {
            let mut value = 0u32;
            let mut count = 0;
            while count < most {
                let Some(d) = (lexer.peek(0) as char).to_digit(radix) else { break };
                value = value * radix + d;
                lexer.at += 1;
                count += 1;
            }
            (value, count)
        };
        match c {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'0'..=b'7' => {
                self.at -= 1;
                out.push(digits(self, 3, 8).0 as u8);
            }
            b'x' => match digits(self, 2, 16) {
                (_, 0) => out.push(b'x'),
                (value, _) => out.push(value as u8),
            },
            b'u' | b'U' => {
                let most = if c == b'u' { 4 } else { 8 };
                let (value, count) = digits(self, most, 16);
                match char::from_u32(value) {
                    Some(ch) if count == most => out.extend(ch.encode_utf8(&mut [0; 4]).as_bytes()),
                    _ => return self.refuse(start, "this is no Unicode escape", "write the character itself"),
                }
            }
            other => out.push(other),
        }
        Ok(())
    }

    fn dollar_string(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let tag_end = self.text[start + 1..].find('$').map(|i| start + 1 + i);
        let tag = tag_end
            .map(|end| &self.text[start..=end])
            .filter(|tag| tag[1..tag.len() - 1].bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80));
        let Some(tag) = tag else {
            self.at += 1;
            return self.refuse(start, "syntax error at or near \"$\"", "a $ begins a string such as $$…$$");
        };
        let body = start + tag.len();
        match self.text[body..].find(tag) {
            Some(len) => {
                self.at = body + len + tag.len();
                Ok(Token::Text(self.text[body..body + len].to_owned()))
            }
            None => {
                self.at = body;
                self.refuse(start, "this dollar-quoted string does not end", "close it with the same tag")
            }
        }
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_ascii_digit() {
                lexer.at += 1;
            }
        };
        digits(self);
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            digits(self);
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                digits(self);
            }
        }
        let c = self.peek(0);
        if c.is_ascii_alphabetic() || c == b'_' || c >= 0x80 {
            self.at += 1;
            return self.refuse(
                start,
                "trailing junk after a number",
                "put a blank between a number and a word; hexadecimal and _ in numbers mean different things on \
                 different servers",
            );
        }
        Ok(Token::Number(self.text[start..self.at].to_owned()))
    }

    fn operator(&mut self) -> Token {
        let start = self.at;
        let mut end = start;
        while end < self.bytes.len() && OPERATOR.contains(&self.bytes[end]) {
            let rest = &self.bytes[end..];
            if end > start && (rest.starts_with(b"--") || rest.starts_with(b"/*")) {
                break;
            }
            end += 1;
        }
        while end - start > 1 && matches!(self.bytes[end - 1], b'+' | b'-') {
            if self.bytes[start..end - 1].iter().any(|c| ODD.contains(c)) {
                break;
            }
            end -= 1;
        }
        self.at = end;
        let symbol = &self.text[start..end];
        Token::Operator(if symbol == "!=" { "<>".into() } else { symbol.into() })
    }
}
