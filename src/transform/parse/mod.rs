//! From the text of a transform to our syntax tree, as PostgreSQL's own grammar would read it.
//!
//! PostgreSQL's precedence table is kept here, not approximated: what its grammar refuses is refused, what it accepts and
//! we do not support is refused by name, and what is left means the same. Source of truth: the manual's chapter 4 and
//! `gram.y` of PostgreSQL 15; `tests/real/transform_precedence.rs` compares with the server.

mod aggregate;
mod array;
pub mod ast;
mod call;
mod expression;
mod from;
mod keyword;
pub(crate) mod lex;
mod name;
mod predicate;
pub mod print;
pub mod schema;
mod select;
mod sort;
mod subquery;
mod type_name;

use crate::diagnostic::{Code, Span};
use lex::{Lexed, Token};

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub code: Code,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

impl ParseError {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> ParseError {
        ParseError { code, span, message: message.into(), help: None }
    }
    pub(crate) fn help(mut self, help: impl Into<String>) -> ParseError {
        self.help = Some(help.into());
        self
    }
}

/// The one SELECT of `text` from byte `from` on.
pub fn select(text: &str, from: usize) -> Result<ast::Select, ParseError> {
    Parser::new(text, from)?.statement()
}

/// A single expression: what tests feed.
pub fn expression(text: &str) -> Result<ast::Node, ParseError> {
    let mut parser = Parser::new(text, 0)?;
    let node = parser.expr()?;
    parser.end()?;
    Ok(node)
}

/// Whether a word in lower case may stand for a table without quotes.
pub fn may_be_alias(word: &str) -> bool {
    keyword::may_be_column(word)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexed>,
    at: usize,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, from: usize) -> Result<Parser<'a>, ParseError> {
        Ok(Parser { text, tokens: lex::tokens(text, from)?, at: 0, depth: 0 })
    }

    fn token(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, n: usize) -> &Token {
        &self.lexed(n).token
    }

    fn lexed(&self, n: usize) -> &Lexed {
        // The last token is End, and nothing stands behind it.
        &self.tokens[(self.at + n).min(self.tokens.len() - 1)]
    }

    fn span(&self) -> Span {
        self.lexed(0).span
    }

    /// The end of the last token that was taken.
    fn last_end(&self) -> u32 {
        if self.at == 0 { self.span().start } else { self.tokens[self.at - 1].span.end }
    }

    fn since(&self, start: Span) -> Span {
        Span { start: start.start, end: self.last_end() }
    }

    fn next(&mut self) -> Lexed {
        let lexed = self.lexed(0).clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        lexed
    }

    /// The unquoted word `n` tokens ahead.
    fn word_at(&self, n: usize) -> Option<&str> {
        match self.ahead(n) {
            Token::Word { name, quoted: false } => Some(name),
            _ => None,
        }
    }

    fn is_word(&self, n: usize, word: &str) -> bool {
        self.word_at(n) == Some(word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        if found {
            self.next();
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.eat_word(word) { Ok(()) } else { self.unexpected(&format!("{} is expected here", word.to_uppercase())) }
    }

    fn is_mark(&self, n: usize, mark: char) -> bool {
        *self.ahead(n) == Token::Mark(mark)
    }

    fn eat_mark(&mut self, mark: char) -> bool {
        let found = self.is_mark(0, mark);
        if found {
            self.next();
        }
        found
    }

    fn expect_mark(&mut self, mark: char) -> Result<(), ParseError> {
        if self.eat_mark(mark) { Ok(()) } else { self.unexpected(&format!("'{mark}' is expected here")) }
    }

    fn end(&mut self) -> Result<(), ParseError> {
        if *self.token() == Token::End { Ok(()) } else { self.unexpected("nothing may follow here") }
    }

    /// PostgreSQL's own words for what does not fit its grammar.
    fn unexpected<T>(&self, help: &str) -> Result<T, ParseError> {
        let span = self.span();
        let message = match self.token() {
            Token::End => "syntax error at end of input".to_owned(),
            _ => format!("syntax error at or near \"{}\"", &self.text[span.start as usize..span.end as usize]),
        };
        Err(ParseError::new(crate::transform::codes::SYNTAX, span, message).help(help))
    }

    fn unsupported<T>(&self, span: Span, what: &str, help: &str) -> Result<T, ParseError> {
        let message = format!("{what} not supported in a transform");
        Err(ParseError::new(crate::transform::codes::UNSUPPORTED, span, message).help(help))
    }
}

#[cfg(test)]
mod tests;
