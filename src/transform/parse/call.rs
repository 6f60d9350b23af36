//! What begins with a word: columns, calls, CASE, CAST, typed constants, and the functions with a syntax of their own.

use super::ast::{Name, Node, NodeKind, TypeName};
use super::expression::catalogue_call;
use super::lex::Token;
use super::{ParseError, Parser, keyword};
use crate::diagnostic::Span;
use crate::transform::codes;

impl Parser<'_> {
    /// What stands within a call takes about twice the stack of what stands within parentheses.
    pub(super) fn word_expression(&mut self) -> Result<Node, ParseError> {
        self.deeper(1)?;
        let node = self.word_expression_inner()?;
        self.depth -= 1;
        Ok(node)
    }

    fn word_expression_inner(&mut self) -> Result<Node, ParseError> {
        let start = self.span();
        let word = self.word_at(0).map(str::to_owned);
        let called = self.is_mark(1, '(');
        let kind = match word.as_deref() {
            Some("true") => self.constant(NodeKind::Bool(true)),
            Some("false") => self.constant(NodeKind::Bool(false)),
            Some("null") => self.constant(NodeKind::Null),
            Some("case") => self.case()?,
            Some("cast") if called => self.cast()?,
            Some("coalesce") if called => NodeKind::Coalesce(self.special_args()?),
            Some("greatest") if called => NodeKind::Extreme { greatest: true, args: self.special_args()? },
            Some("least") if called => NodeKind::Extreme { greatest: false, args: self.special_args()? },
            Some("nullif") if called => self.nullif()?,
            Some("extract") if called => self.extract()?,
            Some("position") if called => self.position()?,
            Some("substring") if called => self.substring()?,
            Some("trim") if called => self.trim()?,
            Some("overlay") if called => self.overlay()?,
            Some("exists") if called => self.exists()?,
            Some("array") => self.array()?,
            Some("row") if called => self.explicit_row()?,
            Some("normalize" | "grouping" | "treat") if called => {
                return self.unsupported(start, "this function is", "docs/sql.md lists the functions there are");
            }
            Some(w) if w.starts_with("xml") && called && !keyword::may_be_function(w) => {
                return self.unsupported(start, "XML functions are", "publish the column's text");
            }
            Some(
                w @ ("current_date" | "current_time" | "current_timestamp" | "localtime" | "localtimestamp"
                | "current_user" | "session_user" | "user" | "current_role" | "current_catalog" | "current_schema"
                | "system_user"),
            ) => {
                let message = format!("{w} answers differently from one moment or session to the next");
                return Err(ParseError::new(codes::VOLATILE, start, message)
                    .help("store the value in a column when the row is written"));
            }
            _ => return self.name_expression(),
        };
        Ok(Node { kind, span: self.since(start) })
    }

    fn constant(&mut self, kind: NodeKind) -> NodeKind {
        self.next();
        kind
    }

    /// A typed constant (`date '…'`), a call or a column.
    fn name_expression(&mut self) -> Result<Node, ParseError> {
        let start = self.span();
        if let Some(ty) = self.type_before_text() {
            let lexed = self.next();
            let Token::Text(text) = lexed.token else { return self.unexpected("a string is expected here") };
            let expr = Box::new(Node { kind: NodeKind::Text(text), span: lexed.span });
            return Ok(Node { kind: NodeKind::Cast { expr, ty }, span: self.since(start) });
        }
        let word = self.word_at(0).map(str::to_owned);
        let names = match word {
            // Function names may be words that no column may have: left(…), right(…).
            Some(word) if self.is_mark(1, '(') && !keyword::may_be_column(&word) && keyword::may_be_function(&word) => {
                vec![Name { text: word, span: self.next().span }]
            }
            _ => self.qualified_name()?,
        };
        if self.is_mark(0, '(') {
            return self.call(start, names);
        }
        if names.len() > 3 {
            return self.unsupported(self.since(start), "a name of four parts is", "write schema.table.column at most");
        }
        let column = Node { kind: NodeKind::Column(names), span: self.since(start) };
        self.subscripts(start, column)
    }

    fn call(&mut self, start: Span, mut names: Vec<Name>) -> Result<Node, ParseError> {
        let one_unquoted = names.len() == 1
            && self.text[names[0].span.start as usize..names[0].span.end as usize].starts_with(|c| c != '"');
        if one_unquoted && !keyword::may_be_function(&names[0].text) {
            return self.unexpected("this word is no function: write CAST(… AS type), or ::type");
        }
        let (Some(name), schema) = (names.pop(), names.pop()) else { return self.unexpected("a name is expected") };
        if !names.is_empty() {
            return self.unsupported(
                self.since(start),
                "a function name of three parts is",
                "write schema.function(…)",
            );
        }
        self.arguments(start, schema, name)
    }

    fn special_args(&mut self) -> Result<Vec<Node>, ParseError> {
        self.next();
        self.expect_mark('(')?;
        let mut args = vec![self.expr()?];
        while self.eat_mark(',') {
            args.push(self.expr()?);
        }
        self.expect_mark(')')?;
        Ok(args)
    }

    fn nullif(&mut self) -> Result<NodeKind, ParseError> {
        self.next();
        self.expect_mark('(')?;
        let left = Box::new(self.expr()?);
        self.expect_mark(',')?;
        let right = Box::new(self.expr()?);
        self.expect_mark(')')?;
        Ok(NodeKind::NullIf(left, right))
    }

    fn case(&mut self) -> Result<NodeKind, ParseError> {
        self.next();
        let operand = if self.is_word(0, "when") { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        while self.eat_word("when") {
            let when = self.expr()?;
            self.expect_word("then")?;
            branches.push((when, self.expr()?));
        }
        if branches.is_empty() {
            return self.unexpected("CASE needs WHEN … THEN …");
        }
        let otherwise = if self.eat_word("else") { Some(Box::new(self.expr()?)) } else { None };
        self.expect_word("end")?;
        Ok(NodeKind::Case { operand, branches, otherwise })
    }

    fn cast(&mut self) -> Result<NodeKind, ParseError> {
        self.next();
        self.expect_mark('(')?;
        let expr = Box::new(self.expr()?);
        self.expect_word("as")?;
        let ty = self.type_name()?;
        self.expect_mark(')')?;
        Ok(NodeKind::Cast { expr, ty })
    }

    fn extract(&mut self) -> Result<NodeKind, ParseError> {
        let at = self.next().span;
        self.expect_mark('(')?;
        let field = match self.token().clone() {
            Token::Word { name, .. } => name,
            Token::Text(text) => text,
            _ => return self.unexpected("EXTRACT takes a field: EXTRACT(year FROM …)"),
        };
        let span = self.next().span;
        self.expect_word("from")?;
        let from = self.expr()?;
        self.expect_mark(')')?;
        Ok(catalogue_call("extract", at, vec![Node { kind: NodeKind::Text(field), span }, from]))
    }

    fn position(&mut self) -> Result<NodeKind, ParseError> {
        let at = self.next().span;
        self.expect_mark('(')?;
        let part = self.restricted()?;
        self.expect_word("in")?;
        let whole = self.restricted()?;
        self.expect_mark(')')?;
        Ok(catalogue_call("position", at, vec![whole, part]))
    }

    fn substring(&mut self) -> Result<NodeKind, ParseError> {
        let at = self.next().span;
        self.expect_mark('(')?;
        let mut args = vec![self.expr()?];
        if self.is_mark(0, ',') || self.is_mark(0, ')') {
            while self.eat_mark(',') {
                args.push(self.expr()?);
            }
            self.expect_mark(')')?;
            let name = Name { text: "substring".to_owned(), span: at };
            return Ok(NodeKind::Call { schema: None, name, args, aggregation: None });
        }
        if self.is_word(0, "similar") {
            return self.unsupported(
                self.span(),
                "SUBSTRING … SIMILAR is",
                "write substring(text from start for count)",
            );
        }
        let (mut from, mut count) = (None, None);
        for _ in 0..2 {
            if from.is_none() && self.eat_word("from") {
                from = Some(self.expr()?);
            } else if count.is_none() && self.eat_word("for") {
                count = Some(self.expr()?);
            }
        }
        self.expect_mark(')')?;
        match (from, count) {
            (Some(from), count) => {
                args.push(from);
                args.extend(count);
            }
            (None, Some(count)) => {
                // The grammar's own rule: from 1, and the count is cast to integer.
                let span = count.span;
                args.push(Node { kind: NodeKind::Number("1".to_owned()), span });
                args.push(Node {
                    kind: NodeKind::Cast { expr: Box::new(count), ty: TypeName::plain("int4", span) },
                    span,
                });
            }
            (None, None) => return self.unexpected("SUBSTRING takes FROM or FOR"),
        }
        Ok(catalogue_call("substring", at, args))
    }

    fn trim(&mut self) -> Result<NodeKind, ParseError> {
        let at = self.next().span;
        self.expect_mark('(')?;
        let function = match self.word_at(0) {
            Some("leading") => "ltrim",
            Some("trailing") => "rtrim",
            Some("both") => "btrim",
            _ => "",
        };
        if !function.is_empty() {
            self.next();
        }
        let mut args = Vec::new();
        let mut characters = None;
        if !self.is_word(0, "from") {
            let first = self.expr()?;
            if self.is_word(0, "from") { characters = Some(first) } else { args.push(first) }
        }
        if args.is_empty() {
            self.expect_word("from")?;
            args.push(self.expr()?);
        }
        while self.eat_mark(',') {
            args.push(self.expr()?);
        }
        args.extend(characters);
        self.expect_mark(')')?;
        Ok(catalogue_call(if function.is_empty() { "btrim" } else { function }, at, args))
    }

    fn overlay(&mut self) -> Result<NodeKind, ParseError> {
        let at = self.next().span;
        self.expect_mark('(')?;
        let mut args = vec![self.expr()?];
        if self.eat_word("placing") {
            args.push(self.expr()?);
            self.expect_word("from")?;
            args.push(self.expr()?);
            if self.eat_word("for") {
                args.push(self.expr()?);
            }
        } else {
            while self.eat_mark(',') {
                args.push(self.expr()?);
            }
        }
        self.expect_mark(')')?;
        Ok(catalogue_call("overlay", at, args))
    }
}
