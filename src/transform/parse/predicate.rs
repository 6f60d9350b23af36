//! What has words for an operator: IS, BETWEEN, IN, LIKE.

use super::ast::{Node, NodeKind};
use super::expression::{Level, catalogue_call};
use super::lex::Token;
use super::{ParseError, Parser};
use crate::diagnostic::Span;

impl Parser<'_> {
    /// IS, ISNULL, NOTNULL; true where it ended in an open expression.
    pub(super) fn is(&mut self, left: Node, restricted: bool) -> Result<(NodeKind, bool), ParseError> {
        let expr = Box::new(left);
        if self.eat_word("isnull") {
            return Ok((NodeKind::IsNull { expr, negated: false }, false));
        }
        if self.eat_word("notnull") {
            return Ok((NodeKind::IsNull { expr, negated: true }, false));
        }
        self.next();
        let negated = self.eat_word("not");
        let value = match self.word_at(0) {
            Some("null") => {
                self.next();
                return Ok((NodeKind::IsNull { expr, negated }, false));
            }
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some("unknown") => None,
            Some("distinct") => {
                self.next();
                self.expect_word("from")?;
                let right = Box::new(self.climb(Level::Is.above(), restricted)?);
                return Ok((NodeKind::IsDistinct { left: expr, right, negated }, true));
            }
            Some(word @ ("document" | "normalized" | "nfc" | "nfd" | "nfkc" | "nfkd" | "json" | "of")) => {
                let what = format!("IS {} is", word.to_uppercase());
                return self.unsupported(self.span(), &what, "leave it to the readers of the topic");
            }
            _ => return self.unexpected("IS takes [NOT] NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM"),
        };
        self.next();
        Ok((NodeKind::IsBool { expr, value, negated }, false))
    }

    /// BETWEEN, IN, LIKE and their NOT.
    pub(super) fn like(&mut self, left: Node) -> Result<(NodeKind, bool), ParseError> {
        let negated = self.eat_word("not");
        let word = self.next();
        let expr = Box::new(left);
        let Token::Word { name, .. } = word.token else { return self.unexpected("LIKE, IN or BETWEEN") };
        match name.as_str() {
            "between" => {
                let symmetric = self.eat_word("symmetric");
                if !symmetric {
                    self.eat_word("asymmetric");
                }
                let low = Box::new(self.restricted()?);
                self.expect_word("and")?;
                let high = Box::new(self.climb(Level::Like.above(), false)?);
                Ok((NodeKind::Between { expr, low, high, negated, symmetric }, true))
            }
            "in" => Ok((self.in_list_or_select(expr, negated)?, false)),
            "similar" => self.unsupported(word.span, "SIMILAR TO is", "write LIKE, or ~ with a regular expression"),
            like => {
                let symbol = format!("{}~~{}", if negated { "!" } else { "" }, if like == "ilike" { "*" } else { "" });
                if self.any_all_ahead() {
                    return Ok((self.any_all(*expr, symbol, word.span)?, false));
                }
                let mut right = self.climb(Level::Like.above(), false)?;
                if self.is_word(0, "escape") {
                    let at = self.next().span;
                    let escape = self.climb(Level::Like.above(), false)?;
                    let span = Span { start: right.span.start, end: escape.span.end };
                    right = Node { kind: catalogue_call("like_escape", at, vec![right, escape]), span };
                }
                Ok((NodeKind::Operator { symbol, at: word.span, left: Some(expr), right: Box::new(right) }, true))
            }
        }
    }
}
