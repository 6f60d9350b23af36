//! CREATE TYPE and DOMAIN, and the types of columns.

use std::sync::Arc;

use super::{Read, Reader};
use crate::catalogue::{ColumnType, CompositeType, EnumType, OtherType, QualifiedName, Type};
use crate::transform::bind::types;
use crate::transform::parse::lex::Token;

impl Reader<'_> {
    pub(super) fn create_type(&mut self) -> Read<()> {
        self.skip(2);
        let name = self.name()?;
        self.parser.expect_word("as")?;
        if self.parser.eat_word("range") {
            // Its name is all that counts.
            self.balanced().map(drop)
        } else if self.parser.eat_word("enum") {
            self.create_enum(name)
        } else {
            self.create_composite(name)
        }
    }

    fn create_composite(&mut self, name: QualifiedName) -> Read<()> {
        self.parser.expect_mark('(')?;
        let mut fields = Vec::new();
        while !self.parser.is_mark(0, ')') {
            let at = self.parser.span();
            let field = self.parser.any_name(at)?.text;
            let mut ty = self.column_type()?;
            if self.parser.eat_word("collate") {
                ty.collation = self.collation()?;
            }
            fields.push((field, ty));
            if !self.parser.eat_mark(',') {
                break;
            }
        }
        self.parser.expect_mark(')')?;
        self.composites.push(Arc::new(CompositeType { oid: 0, name, fields }));
        Ok(())
    }

    /// As the catalogue names it: alone when it is one of PostgreSQL's own.
    pub(super) fn collation(&mut self) -> Read<Option<String>> {
        let mut names = self.parser.qualified_name()?;
        let Some(name) = names.pop() else { return Ok(None) };
        Ok(Some(match names.pop() {
            None => name.text,
            Some(schema) if schema.text == "pg_catalog" => name.text,
            Some(schema) => QualifiedName::new(schema.text, name.text).to_string(),
        }))
    }

    pub(super) fn create_enum(&mut self, name: QualifiedName) -> Read<()> {
        self.parser.expect_mark('(')?;
        let mut labels = Vec::new();
        while !self.parser.is_mark(0, ')') {
            labels.push(self.text()?);
            if !self.parser.eat_mark(',') {
                break;
            }
        }
        self.parser.expect_mark(')')?;
        self.enums.push(Arc::new(EnumType { oid: 0, name, labels }));
        Ok(())
    }

    pub(super) fn create_domain(&mut self) -> Read<()> {
        self.skip(2);
        let name = self.name()?;
        self.parser.eat_word("as");
        let base = self.column_type()?;
        // Its constraints hold in the database; no value of it is made here.
        self.skip_rest();
        self.domains.push((name, base));
        Ok(())
    }

    pub(super) fn column_type(&mut self) -> Read<ColumnType> {
        let ty = self.written_type()?;
        // The elements of box[] stand between semicolons: the catalogue has it by its own name, and so do we.
        match &ty.ty {
            Type::Array(element) => match &**element {
                Type::Other(o) if o.name == QualifiedName::new("pg_catalog", "box") => {
                    let name = QualifiedName::new("pg_catalog", "_box");
                    Ok(ColumnType { ty: Type::Other(Arc::new(OtherType { oid: 0, name })), ..ty })
                }
                _ => Ok(ty),
            },
            _ => Ok(ty),
        }
    }

    fn written_type(&mut self) -> Read<ColumnType> {
        if let (Some("interval"), Some(_)) = (self.parser.word_at(0), self.parser.word_at(1))
            && let Some(ty) = self.interval()?
        {
            return Ok(ty);
        }
        let mut written = self.parser.type_name()?;
        let matches =
            |n: &QualifiedName| n.name == written.name && written.schema.as_ref().is_none_or(|s| *s == n.schema);
        let array = |ty: Type| if written.array { Type::Array(Arc::new(ty)) } else { ty };
        if let Some((name, base)) = self.domains.iter().find(|(n, _)| matches(n)) {
            let ty = ColumnType { domain: Some(name.clone()), ..base.clone() };
            return Ok(if written.array { ColumnType::plain(array(ty.ty)) } else { ty });
        }
        if let Some(found) = self.enums.iter().find(|e| matches(&e.name)) {
            return Ok(ColumnType::plain(array(Type::Enum(found.clone()))));
        }
        if let Some(found) = self.composites.iter().find(|c| matches(&c.name)) {
            return Ok(ColumnType::plain(array(Type::Composite(found.clone()))));
        }
        if let Ok(ty) = types::resolve(&written, &self.catalogue) {
            return Ok(ty);
        }
        // Not for expressions, but a column can have it.
        if let ("bit" | "varbit", [length]) = (written.name.as_str(), written.modifiers.as_slice()) {
            let typmod = *length;
            written.modifiers.clear();
            if let Ok(ty) = types::resolve(&written, &self.catalogue) {
                return Ok(ColumnType { typmod, ..ty });
            }
        }
        if written.name == "citext" {
            return Ok(ColumnType::plain(array(Type::Citext)));
        }
        let schema = written.schema.clone().unwrap_or_else(|| "public".to_owned());
        let name = QualifiedName::new(schema, written.name.clone());
        Ok(ColumnType::plain(array(Type::Other(Arc::new(OtherType { oid: 0, name })))))
    }

    /// `interval day to second(3)`; none when no field follows.
    fn interval(&mut self) -> Read<Option<ColumnType>> {
        // The bits of datetime.h: MONTH is 1, YEAR 2, DAY 3, HOUR 10, MINUTE 11, SECOND 12.
        const FIELDS: [(&str, u32); 6] =
            [("year", 2), ("month", 1), ("day", 3), ("hour", 10), ("minute", 11), ("second", 12)];
        let order = |word: Option<&str>| FIELDS.iter().position(|(name, _)| Some(*name) == word);
        let Some(from) = order(self.parser.word_at(1)) else { return Ok(None) };
        self.skip(2);
        let to = match self.parser.eat_word("to") {
            true => {
                let to = order(self.parser.word_at(0));
                self.skip(1);
                to.unwrap_or(from)
            }
            false => from,
        };
        let range = FIELDS.iter().skip(from).take(to + 1 - from.min(to)).fold(0, |bits, (_, bit)| bits | 1 << bit);
        let mut digits = 0xffff;
        if self.parser.eat_mark('(') {
            let Token::Number(number) = self.parser.next().token else { return self.unread(self.parser.span()) };
            digits = number.parse().unwrap_or(digits);
            self.parser.expect_mark(')')?;
        }
        Ok(Some(ColumnType { typmod: range << 16 | digits, ..ColumnType::plain(Type::Interval) }))
    }
}
