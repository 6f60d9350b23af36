//! Expressions, by PostgreSQL's precedence table (`gram.y`, the `%left`/`%nonassoc` lines).
//!
//! What ends in a whole expression and is not associative (`a < b < c`, `a LIKE b LIKE c`) is refused as there; what
//! ends in a word or a parenthesis (`IS NULL`, `IN (…)`) may be followed by anything. A minus right before a numeric
//! constant belongs to the constant, so that the least integers have their type.

use super::ast::{Name, Node, NodeKind};
use super::lex::Token;
use super::{ParseError, Parser, keyword};
use crate::diagnostic::Span;
use crate::transform::codes;

/// Higher binds tighter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Level {
    Or,
    And,
    Not,
    Is,
    Comparison,
    /// BETWEEN, IN, LIKE, ILIKE, SIMILAR
    Like,
    Operator,
    Add,
    Multiply,
    Power,
    At,
    Collate,
    Unary,
}

/// A nesting that no written query has; it keeps a hostile file from exhausting the stack.
const MAX_DEPTH: u32 = 128;

impl Level {
    pub(super) fn above(self) -> Level {
        use Level::*;
        match self {
            Or => And,
            And => Not,
            Not => Is,
            Is => Comparison,
            Comparison => Like,
            Like => Operator,
            Operator => Add,
            Add => Multiply,
            Multiply => Power,
            Power => At,
            At => Collate,
            Collate | Unary => Unary,
        }
    }
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Node, ParseError> {
        self.climb(Level::Or, false)
    }

    /// `b_expr`: what may stand as BETWEEN's lower bound and in POSITION: no AND, OR, NOT, LIKE, IN, IS NULL.
    pub(super) fn restricted(&mut self) -> Result<Node, ParseError> {
        self.climb(Level::Or, true)
    }

    pub(super) fn climb(&mut self, min: Level, restricted: bool) -> Result<Node, ParseError> {
        self.deeper(1)?;
        let result = self.climb_inner(min, restricted);
        self.depth -= 1;
        result
    }

    /// Whoever comes back takes the levels off again; an error ends the parse.
    pub(super) fn deeper(&mut self, levels: u32) -> Result<(), ParseError> {
        self.depth += levels;
        if self.depth > MAX_DEPTH {
            return self.unsupported(self.span(), "so deep a nesting is", "take the expression apart");
        }
        Ok(())
    }

    fn climb_inner(&mut self, min: Level, restricted: bool) -> Result<Node, ParseError> {
        let mut left = self.prefix(restricted)?;
        loop {
            let Some(level) = self.infix_level(restricted) else { return Ok(left) };
            if level < min {
                return Ok(left);
            }
            self.deeper(1)?;
            let (node, open) = self.infix(left, level, restricted)?;
            self.depth -= 1;
            left = node;
            let nonassociative = matches!(level, Level::Is | Level::Comparison | Level::Like);
            if open && nonassociative && self.infix_level(restricted) == Some(level) {
                return self.unexpected("comparisons cannot be chained: write a < b AND b < c");
            }
        }
    }

    /// How tightly the operator at hand binds, if there is one.
    fn infix_level(&self, restricted: bool) -> Option<Level> {
        match self.token() {
            // Names an argument; the grammar has it for no operator.
            Token::Operator(symbol) if symbol == "=>" => None,
            Token::Operator(symbol) => Some(match symbol.as_str() {
                "=" | "<" | ">" | "<=" | ">=" | "<>" => Level::Comparison,
                "+" | "-" => Level::Add,
                "*" | "/" | "%" => Level::Multiply,
                "^" => Level::Power,
                _ => Level::Operator,
            }),
            Token::Word { name, quoted: false } => match name.as_str() {
                "operator" if self.is_mark(1, '(') => Some(Level::Operator),
                "is" if !restricted || self.is_word(1, "distinct") || self.is_word(2, "distinct") => Some(Level::Is),
                _ if restricted => None,
                "or" => Some(Level::Or),
                "and" => Some(Level::And),
                "isnull" | "notnull" => Some(Level::Is),
                "between" | "in" | "like" | "ilike" | "similar" => Some(Level::Like),
                "not" => match self.word_at(1) {
                    Some("between" | "in" | "like" | "ilike" | "similar") => Some(Level::Like),
                    _ => None,
                },
                "at" if self.is_word(1, "time") => Some(Level::At),
                "at" if self.is_word(1, "local") => Some(Level::At),
                "collate" => Some(Level::Collate),
                _ => None,
            },
            _ => None,
        }
    }

    /// One operator behind `left`; true where it ended in an open expression.
    fn infix(&mut self, left: Node, level: Level, restricted: bool) -> Result<(Node, bool), ParseError> {
        let start = left.span;
        let at = self.span();
        let (kind, open) = match level {
            Level::Or | Level::And => {
                self.next();
                let right = Box::new(self.climb(level.above(), false)?);
                let left = Box::new(left);
                (if level == Level::Or { NodeKind::Or(left, right) } else { NodeKind::And(left, right) }, true)
            }
            Level::Is => self.is(left, restricted)?,
            Level::Like => self.like(left)?,
            Level::At => {
                self.next();
                if self.eat_word("local") {
                    return self.unsupported(at, "AT LOCAL is", "write AT TIME ZONE 'UTC'");
                }
                self.expect_word("time")?;
                self.expect_word("zone")?;
                let zone = self.climb(level.above(), false)?;
                (catalogue_call("timezone", at, vec![zone, left]), true)
            }
            Level::Collate => {
                self.next();
                let collation = self.qualified_name()?;
                (NodeKind::Collate { expr: Box::new(left), collation }, false)
            }
            _ => {
                let Token::Operator(symbol) = self.next().token else {
                    return self.unsupported(at, "OPERATOR(…) is", "write the operator itself");
                };
                if !restricted && self.any_all_ahead() {
                    let kind = self.any_all(left, symbol, at)?;
                    return Ok((Node { kind, span: self.since(start) }, false));
                }
                let right = Box::new(self.climb(level.above(), restricted)?);
                (NodeKind::Operator { symbol, at, left: Some(Box::new(left)), right }, true)
            }
        };
        Ok((Node { kind, span: self.since(start) }, open))
    }

    fn prefix(&mut self, restricted: bool) -> Result<Node, ParseError> {
        let start = self.span();
        let operator = match self.token() {
            Token::Operator(symbol) => Some(symbol.clone()),
            _ => None,
        };
        if let Some(symbol) = operator {
            if symbol == "*" {
                return Err(star(start));
            }
            if matches!(symbol.as_str(), "=" | "<" | ">" | "<=" | ">=" | "<>" | "/" | "%" | "^" | "=>") {
                return self.unexpected("an expression is expected here");
            }
            self.next();
            let sign = matches!(symbol.as_str(), "+" | "-");
            let right = self.climb(if sign { Level::Unary } else { Level::Operator.above() }, restricted)?;
            let span = self.since(start);
            if let ("-", NodeKind::Number(digits)) = (symbol.as_str(), &right.kind) {
                let negated = match digits.strip_prefix('-') {
                    Some(positive) => positive.to_owned(),
                    None => format!("-{digits}"),
                };
                return Ok(Node { kind: NodeKind::Number(negated), span });
            }
            return Ok(Node {
                kind: NodeKind::Operator { symbol, at: start, left: None, right: Box::new(right) },
                span,
            });
        }
        if self.is_word(0, "not") && !restricted {
            self.next();
            let expr = Box::new(self.climb(Level::Not, false)?);
            return Ok(Node { kind: NodeKind::Not(expr), span: self.since(start) });
        }
        let mut node = self.primary()?;
        loop {
            if *self.token() == Token::Cast {
                self.next();
                let ty = self.type_name()?;
                node = Node { kind: NodeKind::Cast { expr: Box::new(node), ty }, span: self.since(start) };
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        let start = self.span();
        let kind = match self.token().clone() {
            Token::Number(digits) => {
                self.next();
                NodeKind::Number(digits)
            }
            Token::Text(text) => {
                self.next();
                NodeKind::Text(text)
            }
            Token::Mark('(') => {
                let kind = if self.select_ahead().is_some() {
                    self.scalar_subquery()?
                } else {
                    self.next();
                    let inner = self.expr()?;
                    if self.is_mark(0, ',') {
                        let kind = self.implicit_row(inner)?;
                        return Ok(Node { kind, span: self.since(start) });
                    }
                    self.expect_mark(')')?;
                    inner.kind
                };
                // Parentheses leave no trace: precedence is in the tree.
                let node = Node { kind, span: self.since(start) };
                return self.subscripts(start, node);
            }
            Token::Word { .. } => return self.word_expression(),
            _ => return self.unexpected("an expression is expected here"),
        };
        Ok(Node { kind, span: start })
    }

    /// `name` or `schema.name` …, for tables, collations, columns.
    pub(super) fn qualified_name(&mut self) -> Result<Vec<Name>, ParseError> {
        let mut names = vec![self.column_name()?];
        while self.is_mark(0, '.') {
            let dot = self.next().span;
            if let Token::Operator(symbol) = self.token()
                && symbol == "*"
            {
                return Err(star(Span { start: names[0].span.start, end: self.span().end }));
            }
            names.push(self.any_name(dot)?);
        }
        Ok(names)
    }

    fn column_name(&mut self) -> Result<Name, ParseError> {
        match self.token() {
            Token::Word { name, quoted } if *quoted || keyword::may_be_column(name) => {
                let text = name.clone();
                Ok(Name { text, span: self.next().span })
            }
            Token::Word { .. } => self.unexpected("this is a reserved word: put it in double quotes if it is a name"),
            _ => self.unexpected("a name is expected here"),
        }
    }

    /// Behind a dot or AS every word is a name.
    pub(super) fn any_name(&mut self, _behind: Span) -> Result<Name, ParseError> {
        match self.token() {
            Token::Word { name, .. } => {
                let text = name.clone();
                Ok(Name { text, span: self.next().span })
            }
            _ => self.unexpected("a name is expected here"),
        }
    }
}

pub(super) fn star(span: Span) -> ParseError {
    ParseError::new(codes::STAR, span, "* is not supported in a transform: a new column would change the contract")
        .help("name the columns")
}

pub(super) fn catalogue_call(name: &str, span: Span, args: Vec<Node>) -> NodeKind {
    let name = Name { text: name.to_owned(), span };
    NodeKind::Call { schema: Some(Name { text: "pg_catalog".to_owned(), span }), name, args, aggregation: None }
}
