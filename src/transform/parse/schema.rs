//! `schema.sql`: the snapshot of tables and types, written by `pgspine schema pull`, read into a catalogue.
//!
//! Plain statements in the form of `pg_dump`: CREATE SCHEMA, TYPE … AS ENUM, DOMAIN, TABLE (columns, NOT NULL, PRIMARY KEY,
//! UNIQUE, CHECK), UNIQUE INDEX, ALTER TABLE … REPLICA IDENTITY and ADD CONSTRAINT, COMMENT ON. Its first line says what
//! decides about text: `-- pgspine server=15.18 collate=C.UTF-8 provider=libc`. Anything else is a finding, nothing is
//! passed over.

use std::sync::Arc;

use super::lex::Token;
use super::{ParseError, Parser};
use crate::catalogue::{
    Catalogue, Check, CollationProvider, Column, ColumnType, EnumType, Index, OtherType, QualifiedName,
    ReplicaIdentity, Server, Table, TableKind, Type,
};
use crate::diagnostic::Span;
use crate::transform::bind::types;
use crate::transform::codes;

/// Reads a whole `schema.sql`.
pub fn read(text: &str) -> Result<Catalogue, ParseError> {
    let server = head(text)?;
    let mut reader = Reader {
        parser: Parser::new(text, 0)?,
        catalogue: Catalogue { server, search_path: vec!["public".into()], ..Catalogue::default() },
        enums: Vec::new(),
        domains: Vec::new(),
    };
    while *reader.parser.token() != Token::End {
        if !reader.parser.eat_mark(';') {
            reader.statement()?;
        }
    }
    Ok(reader.catalogue)
}

fn head(text: &str) -> Result<Server, ParseError> {
    let first = text.lines().next().unwrap_or("");
    let span = Span { start: 0, end: first.len() as u32 };
    let wrong = |message: &str| {
        Err(ParseError::new(codes::SCHEMA_SQL, span, message).help(
            "the first line is -- pgspine server=15.18 collate=C.UTF-8 provider=libc; `pgspine schema pull` writes it",
        ))
    };
    let Some(words) = first.strip_prefix("-- pgspine ") else { return wrong("schema.sql has no head line") };
    let mut server = Server::default();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("server", version)) => {
                let mut parts = version.split('.').map(str::parse::<u32>);
                match (parts.next(), parts.next()) {
                    (Some(Ok(major)), Some(Ok(minor))) => server.version_num = major * 10_000 + minor,
                    (Some(Ok(major)), None) => server.version_num = major * 10_000,
                    _ => return wrong("server is no version"),
                }
            }
            Some(("collate", collate)) => server.collate = collate.to_owned(),
            Some(("ctype", ctype)) => server.ctype = ctype.to_owned(),
            Some(("encoding", encoding)) => server.encoding = encoding.to_owned(),
            Some(("provider", "libc")) => server.provider = CollationProvider::Libc,
            Some(("provider", "icu")) => server.provider = CollationProvider::Icu,
            Some(("provider", "builtin")) => server.provider = CollationProvider::Builtin,
            _ => return wrong(&format!("the head line has {word}")),
        }
    }
    Ok(server)
}

struct Reader<'a> {
    parser: Parser<'a>,
    catalogue: Catalogue,
    enums: Vec<Arc<EnumType>>,
    domains: Vec<(QualifiedName, ColumnType)>,
}

type Read<T> = Result<T, ParseError>;

impl Reader<'_> {
    fn statement(&mut self) -> Read<()> {
        let start = self.parser.span();
        let word = |n: usize| self.parser.word_at(n).unwrap_or("").to_owned();
        match (word(0).as_str(), word(1).as_str()) {
            ("create", "schema") => {
                self.skip(2);
                self.parser.qualified_name().map(drop)?;
            }
            ("create", "type") => self.create_enum()?,
            ("create", "domain") => self.create_domain()?,
            ("create", "table") => self.create_table()?,
            ("create", "unique") => self.create_index()?,
            ("alter", "table") => self.alter_table()?,
            ("comment", "on") => self.comment()?,
            ("set", "search_path") => {
                self.skip(2);
                if !matches!(self.parser.next().token, Token::Operator(_)) {
                    return self.unread(start);
                }
                self.catalogue.search_path = self.names(None)?;
            }
            _ => return self.unread(start),
        }
        if self.parser.eat_mark(';') || *self.parser.token() == Token::End {
            return Ok(());
        }
        self.unread(self.parser.span())
    }

    fn unread<T>(&self, span: Span) -> Read<T> {
        Err(ParseError::new(codes::SCHEMA_SQL, span, "schema.sql: this is not read here")
            .help("let `pgspine schema pull` write the file"))
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.parser.next();
        }
    }

    fn name(&mut self) -> Read<QualifiedName> {
        let mut names = self.parser.qualified_name()?;
        let name = names.pop().map(|n| n.text).unwrap_or_default();
        Ok(QualifiedName::new(names.pop().map_or_else(|| "public".to_owned(), |n| n.text), name))
    }

    /// `a, b` or, between marks, `(a, b)`.
    fn names(&mut self, open: Option<char>) -> Read<Vec<String>> {
        if let Some(open) = open {
            self.parser.expect_mark(open)?;
        }
        let mut out = Vec::new();
        loop {
            let at = self.parser.span();
            out.push(self.parser.any_name(at)?.text);
            if !self.parser.eat_mark(',') {
                break;
            }
        }
        if open.is_some() {
            self.parser.expect_mark(')')?;
        }
        Ok(out)
    }

    fn text(&mut self) -> Read<String> {
        match self.parser.next().token {
            Token::Text(text) => Ok(text),
            _ => self.unread(self.parser.span()),
        }
    }

    fn create_enum(&mut self) -> Read<()> {
        self.skip(2);
        let name = self.name()?;
        self.parser.expect_word("as")?;
        self.parser.expect_word("enum")?;
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

    fn create_domain(&mut self) -> Read<()> {
        self.skip(2);
        let name = self.name()?;
        self.parser.eat_word("as");
        let base = self.column_type()?;
        // Its constraints hold in the database; no value of it is made here.
        while !self.parser.is_mark(0, ';') && *self.parser.token() != Token::End {
            self.parser.next();
        }
        self.domains.push((name, base));
        Ok(())
    }

    fn column_type(&mut self) -> Read<ColumnType> {
        let written = self.parser.type_name()?;
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
        if let Ok(ty) = types::resolve(&written, &self.catalogue) {
            return Ok(ty);
        }
        if written.name == "citext" {
            return Ok(ColumnType::plain(array(Type::Citext)));
        }
        let schema = written.schema.clone().unwrap_or_else(|| "public".to_owned());
        let name = QualifiedName::new(schema, written.name.clone());
        Ok(ColumnType::plain(array(Type::Other(Arc::new(OtherType { oid: 0, name })))))
    }

    fn create_table(&mut self) -> Read<()> {
        self.skip(2);
        let name = self.name()?;
        let mut table = Table {
            oid: 0,
            name,
            kind: TableKind::Ordinary,
            columns: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            replica_identity: ReplicaIdentity::Default,
            row_security: false,
            comment: None,
            leaves: Vec::new(),
        };
        self.parser.expect_mark('(')?;
        while !self.parser.is_mark(0, ')') {
            match self.parser.word_at(0) {
                Some("constraint" | "primary" | "unique" | "check") => self.constraint(&mut table)?,
                _ => self.column(&mut table)?,
            }
            if !self.parser.eat_mark(',') {
                break;
            }
        }
        self.parser.expect_mark(')')?;
        if self.parser.eat_word("partition") {
            self.parser.expect_word("by")?;
            table.kind = TableKind::Partitioned;
            while !self.parser.is_mark(0, ';') && *self.parser.token() != Token::End {
                self.parser.next();
            }
        }
        self.catalogue.tables.push(table);
        Ok(())
    }

    fn column(&mut self, table: &mut Table) -> Read<()> {
        let at = self.parser.span();
        let name = self.parser.any_name(at)?.text;
        let ty = self.column_type()?;
        let attnum = table.columns.len() as i16 + 1;
        let mut column = Column { name, attnum, ty, not_null: false, generated: false, comment: None };
        loop {
            match (self.parser.word_at(0), self.parser.word_at(1)) {
                (Some("not"), Some("null")) => {
                    self.skip(2);
                    column.not_null = true;
                }
                (Some("null"), _) => self.skip(1),
                (Some("collate"), _) => {
                    self.skip(1);
                    column.ty.collation = self.parser.qualified_name()?.pop().map(|n| n.text);
                }
                (Some("default"), _) => {
                    self.skip(1);
                    self.parser.restricted()?;
                }
                (Some("generated"), _) => {
                    self.skip(2);
                    self.parser.eat_word("default");
                    self.parser.expect_word("as")?;
                    let identity = self.parser.eat_word("identity");
                    if !identity || self.parser.is_mark(0, '(') {
                        self.balanced()?;
                    }
                    if !identity && !self.parser.eat_word("stored") {
                        self.parser.expect_word("virtual")?;
                    }
                    column.generated = !identity;
                }
                (Some("primary"), _) => {
                    self.skip(2);
                    column.not_null = true;
                    let columns = vec![column.name.clone()];
                    table.indexes.push(index(format!("{}_pkey", table.name.name), columns, true));
                }
                (Some("unique"), _) => {
                    self.skip(1);
                    let columns = vec![column.name.clone()];
                    table.indexes.push(index(format!("{}_{}_key", table.name.name, column.name), columns, false));
                }
                _ => break,
            }
        }
        table.columns.push(column);
        Ok(())
    }

    /// Takes `( … )` and gives its text.
    fn balanced(&mut self) -> Read<String> {
        let start = self.parser.span();
        self.parser.expect_mark('(')?;
        let mut depth = 1;
        while depth > 0 {
            match self.parser.next().token {
                Token::Mark('(') => depth += 1,
                Token::Mark(')') => depth -= 1,
                Token::End => return self.unread(start),
                _ => {}
            }
        }
        let span = self.parser.since(start);
        Ok(self.parser.text[span.start as usize..span.end as usize].to_owned())
    }

    fn constraint(&mut self, table: &mut Table) -> Read<()> {
        let at = self.parser.span();
        let named = if self.parser.eat_word("constraint") { Some(self.parser.any_name(at)?.text) } else { None };
        match self.parser.word_at(0) {
            Some("check") => {
                self.skip(1);
                let definition = format!("CHECK {}", self.balanced()?);
                let name = named.unwrap_or_else(|| format!("{}_check", table.name.name));
                table.checks.push(Check { name, definition });
            }
            Some(word @ ("primary" | "unique")) => {
                let primary = word == "primary";
                self.skip(if primary { 2 } else { 1 });
                let columns = self.names(Some('('))?;
                if primary {
                    for column in table.columns.iter_mut().filter(|c| columns.contains(&c.name)) {
                        column.not_null = true;
                    }
                }
                let suffix = if primary { "pkey" } else { "key" };
                let mut index =
                    index(named.unwrap_or_else(|| format!("{}_{suffix}", table.name.name)), columns, primary);
                if self.parser.eat_word("deferrable") {
                    index.immediate = false;
                    if self.parser.eat_word("initially") {
                        self.skip(1);
                    }
                }
                table.indexes.push(index);
            }
            _ => return self.unread(self.parser.span()),
        }
        Ok(())
    }

    fn create_index(&mut self) -> Read<()> {
        self.skip(2);
        let at = self.parser.span();
        self.parser.expect_word("index")?;
        let name = self.parser.any_name(at)?.text;
        self.parser.expect_word("on")?;
        let table = self.name()?;
        if self.parser.eat_word("using") {
            self.skip(1);
        }
        let columns = self.names(Some('('))?;
        let mut index = index(name, columns, false);
        if self.parser.eat_word("where") {
            index.partial = true;
            self.parser.expr()?;
        }
        self.with_table(&table, at, |t| t.indexes.push(index))
    }

    fn with_table(&mut self, name: &QualifiedName, at: Span, change: impl FnOnce(&mut Table)) -> Read<()> {
        match self.catalogue.tables.iter_mut().find(|t| t.name == *name) {
            Some(table) => {
                change(table);
                Ok(())
            }
            None => Err(ParseError::new(codes::SCHEMA_SQL, at, format!("schema.sql: there is no table {name} above"))),
        }
    }

    fn alter_table(&mut self) -> Read<()> {
        self.skip(2);
        let at = self.parser.span();
        self.parser.eat_word("only");
        let name = self.name()?;
        if self.parser.eat_word("add") {
            let found = self.catalogue.tables.iter().position(|t| t.name == name);
            let Some(i) = found else { return self.unread(at) };
            let mut table = self.catalogue.tables.swap_remove(i);
            self.constraint(&mut table)?;
            self.catalogue.tables.push(table);
            return Ok(());
        }
        self.parser.expect_word("replica")?;
        self.parser.expect_word("identity")?;
        let word = self.parser.word_at(0).unwrap_or("").to_owned();
        self.skip(1);
        let identity = match word.as_str() {
            "default" => ReplicaIdentity::Default,
            "full" => ReplicaIdentity::Full,
            "nothing" => ReplicaIdentity::Nothing,
            "using" => {
                self.parser.expect_word("index")?;
                ReplicaIdentity::Index(self.parser.any_name(at)?.text)
            }
            _ => return self.unread(at),
        };
        self.with_table(&name, at, |t| t.replica_identity = identity)
    }

    fn comment(&mut self) -> Read<()> {
        self.skip(2);
        let at = self.parser.span();
        let column = self.parser.eat_word("column");
        if !column {
            self.parser.expect_word("table")?;
        }
        let mut names = self.parser.qualified_name()?;
        let of = if column { names.pop().map(|n| n.text) } else { None };
        let name = names.pop().map(|n| n.text).unwrap_or_default();
        let table = QualifiedName::new(names.pop().map_or_else(|| "public".to_owned(), |n| n.text), name);
        self.parser.expect_word("is")?;
        let text = Some(self.text()?);
        self.with_table(&table, at, |t| match of {
            Some(of) => t.columns.iter_mut().filter(|c| c.name == of).for_each(|c| c.comment = text.clone()),
            None => t.comment = text,
        })
    }
}

fn index(name: String, columns: Vec<String>, primary: bool) -> Index {
    Index { name, columns, primary, unique: true, immediate: true, valid: true, partial: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = "-- pgspine server=15.18 collate=en_US.UTF-8 provider=libc\n\
        CREATE SCHEMA shop;\n\
        CREATE TYPE shop.status AS ENUM ('new', 'paid');\n\
        CREATE DOMAIN shop.money_amount AS numeric(12,2) CHECK (VALUE >= 0);\n\
        CREATE TABLE shop.orders (\n  id bigint NOT NULL,\n  status shop.status NOT NULL DEFAULT 'new'::shop.status,\n\
        total shop.money_amount,\n  note text COLLATE \"C\",\n  tags text[],\n\
        twice bigint GENERATED ALWAYS AS ((id * 2)) STORED,\n  CONSTRAINT orders_pkey PRIMARY KEY (id),\n\
        CONSTRAINT ok CHECK ((total > (0)::numeric))\n);\n\
        CREATE UNIQUE INDEX orders_note ON shop.orders USING btree (note) WHERE (note IS NOT NULL);\n\
        ALTER TABLE ONLY shop.orders REPLICA IDENTITY FULL;\n\
        COMMENT ON COLUMN shop.orders.total IS 'in crowns';\n";

    #[test]
    fn a_snapshot_is_read_whole() {
        let catalogue = read(SNAPSHOT).unwrap();
        assert_eq!(catalogue.server.version_num, 150_018);
        assert_eq!(catalogue.server.collate, "en_US.UTF-8");
        let table = catalogue.table(Some("shop"), "orders").unwrap();
        assert_eq!(table.replica_identity, ReplicaIdentity::Full);
        let total = table.column("total").unwrap();
        assert_eq!((total.ty.typmod, total.comment.as_deref()), (((12 << 16) | 2) + 4, Some("in crowns")));
        assert_eq!(total.ty.domain, Some(QualifiedName::new("shop", "money_amount")));
        assert!(table.column("twice").unwrap().generated);
        assert_eq!(table.column("note").unwrap().ty.collation.as_deref(), Some("C"));
        assert!(table.indexes[0].primary && table.indexes[1].partial);
        assert_eq!(table.checks[0].definition, "CHECK ((total > (0)::numeric))");
    }

    #[test]
    fn what_is_not_read_is_a_finding() {
        let wrong = format!("{SNAPSHOT}CREATE VIEW x AS SELECT 1;");
        assert_eq!(read(&wrong).unwrap_err().code, codes::SCHEMA_SQL);
        assert!(read("CREATE SCHEMA shop;").is_err());
        for (end, _) in SNAPSHOT.char_indices() {
            let _ = read(&SNAPSHOT[..end]);
        }
    }
}
