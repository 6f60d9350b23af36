//! Type names as the grammar reads them: `double precision`, `character varying(10)`, `timestamp with time zone`, `int[]`.

use super::ast::TypeName;
use super::lex::Token;
use super::{ParseError, Parser, keyword};
use crate::diagnostic::Span;

impl TypeName {
    pub(super) fn plain(name: &str, span: Span) -> TypeName {
        TypeName { schema: None, name: name.to_owned(), modifiers: Vec::new(), array: false, span }
    }
}

impl Parser<'_> {
    pub(super) fn type_name(&mut self) -> Result<TypeName, ParseError> {
        let start = self.span();
        let mut ty = self.simple_type()?;
        if self.eat_word("array") || self.is_mark(0, '[') {
            ty.array = true;
            while self.eat_mark('[') {
                if let Token::Number(_) = self.token() {
                    self.next();
                }
                self.expect_mark(']')?;
            }
        }
        ty.span = self.since(start);
        Ok(ty)
    }

    /// A type that stands right before a string constant; takes nothing where that is not so.
    pub(super) fn type_before_text(&mut self) -> Option<TypeName> {
        let before = self.at;
        let word = self.word_at(0)?.to_owned();
        let own_syntax = matches!(
            word.as_str(),
            "bigint"
                | "bit"
                | "boolean"
                | "char"
                | "character"
                | "dec"
                | "decimal"
                | "double"
                | "float"
                | "int"
                | "integer"
                | "interval"
                | "national"
                | "nchar"
                | "numeric"
                | "real"
                | "smallint"
                | "time"
                | "timestamp"
                | "varchar"
        );
        if !own_syntax && (!matches!(self.ahead(1), Token::Text(_)) || !keyword::may_be_function(&word)) {
            return None;
        }
        match self.simple_type() {
            Ok(ty) if matches!(self.token(), Token::Text(_)) => Some(ty),
            _ => {
                self.at = before;
                None
            }
        }
    }

    fn simple_type(&mut self) -> Result<TypeName, ParseError> {
        let start = self.span();
        let Token::Word { name, quoted } = self.token().clone() else {
            return self.unexpected("a type is expected here");
        };
        self.next();
        let mut schema = None;
        let mut name = name;
        let written = if quoted { String::new() } else { name.clone() };
        let own = written.as_str();
        let canonical = match own {
            "int" | "integer" => Some("int4"),
            "smallint" => Some("int2"),
            "bigint" => Some("int8"),
            "real" => Some("float4"),
            "boolean" => Some("bool"),
            "dec" | "decimal" | "numeric" => Some("numeric"),
            "varchar" => Some("varchar"),
            "double" => {
                if !self.eat_word("precision") {
                    return self.unexpected("double is followed by precision");
                }
                Some("float8")
            }
            "float" => Some(self.float()?),
            "char" | "character" | "nchar" => Some(if self.eat_word("varying") { "varchar" } else { "bpchar" }),
            "national" => {
                if !self.eat_word("char") {
                    self.expect_word("character")?;
                }
                Some(if self.eat_word("varying") { "varchar" } else { "bpchar" })
            }
            "time" | "timestamp" => return self.time_type(own == "time", start),
            "interval" => {
                if let Some("year" | "month" | "day" | "hour" | "minute" | "second") = self.word_at(0) {
                    return self.unsupported(self.span(), "interval fields are", "write interval '1 day'");
                }
                Some("interval")
            }
            "bit" => Some(if self.eat_word("varying") { "varbit" } else { "bit" }),
            "setof" => return self.unexpected("a type is expected here"),
            word if !keyword::may_be_function(word) && !quoted => return self.unexpected("a type is expected here"),
            _ => None,
        };
        if let Some(canonical) = canonical {
            name = canonical.to_owned();
        } else if self.is_mark(0, '.') {
            let dot = self.next().span;
            schema = Some(std::mem::replace(&mut name, self.any_name(dot)?.text));
        }
        let mut modifiers = self.modifiers()?;
        // `char` alone is `char(1)`; `bpchar` alone has no length.
        if matches!(own, "char" | "character" | "nchar" | "national") && name == "bpchar" && modifiers.is_empty() {
            modifiers.push(1);
        }
        Ok(TypeName { schema, name, modifiers, array: false, span: self.since(start) })
    }

    fn float(&mut self) -> Result<&'static str, ParseError> {
        let at = self.span();
        Ok(match self.modifiers()?.as_slice() {
            [] => "float8",
            [bits] if (1..=24).contains(bits) => "float4",
            [bits] if (25..=53).contains(bits) => "float8",
            _ => return self.unsupported(at, "this precision of float is", "write float(1) to float(53)"),
        })
    }

    fn time_type(&mut self, time: bool, start: Span) -> Result<TypeName, ParseError> {
        let modifiers = self.modifiers()?;
        let mut zone = false;
        if self.is_word(0, "with") || self.is_word(0, "without") {
            zone = self.is_word(0, "with");
            self.next();
            self.expect_word("time")?;
            self.expect_word("zone")?;
        }
        let name = match (time, zone) {
            (true, false) => "time",
            (true, true) => "timetz",
            (false, false) => "timestamp",
            (false, true) => "timestamptz",
        };
        Ok(TypeName { schema: None, name: name.to_owned(), modifiers, array: false, span: self.since(start) })
    }

    fn modifiers(&mut self) -> Result<Vec<i32>, ParseError> {
        let mut out = Vec::new();
        if !self.eat_mark('(') {
            return Ok(out);
        }
        loop {
            let negative = matches!(self.token(), Token::Operator(s) if s == "-");
            if negative {
                self.next();
            }
            let Token::Number(digits) = self.token() else { return self.unexpected("a number is expected here") };
            let Ok(value) = digits.parse::<i32>() else { return self.unexpected("a small integer is expected here") };
            self.next();
            out.push(if negative { -value } else { value });
            if !self.eat_mark(',') {
                break;
            }
        }
        self.expect_mark(')')?;
        Ok(out)
    }
}
