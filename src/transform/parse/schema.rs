//! `schema.sql`: the snapshot of tables and types, written by `pgspine schema pull`, read into a catalogue.
//!
//! Plain statements in the form of `pg_dump`: CREATE SCHEMA, TYPE (ENUM, RANGE, composite), DOMAIN, TABLE (columns, NOT
//! NULL, PRIMARY KEY, UNIQUE, CHECK, partitions), INDEX, VIEW, EXTENSION, COLLATION, FUNCTION, ALTER TABLE … REPLICA
//! IDENTITY and ADD CONSTRAINT, COMMENT ON: all that `capture::schema_sql` writes. Its first line says what decides about text: `-- pgspine server=15.18 collate=C.UTF-8 provider=libc`. Anything else is a finding, nothing is
//! passed over.

use std::sync::Arc;

use super::lex::Token;
use super::{ParseError, Parser};
use crate::catalogue::{
    Catalogue, Check, CollationProvider, Column, ColumnType, CompositeType, EnumType, Index, Leaf, OtherType,
    QualifiedName, ReplicaIdentity, Server, Table, TableKind, Type,
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
        composites: Vec::new(),
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
    composites: Vec<Arc<CompositeType>>,
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
            // Known by their names, where columns use them.
            ("create", "extension" | "collation") => self.skip_rest(),
            ("create", "type") => self.create_type()?,
            ("create", "domain") => self.create_domain()?,
            ("create", "table") => self.create_table()?,
            ("create", "unique" | "index") => self.create_index()?,
            ("create", "view" | "materialized") => self.create_view()?,
            ("create", "function") => {
                self.skip(2);
                let name = self.name()?;
                self.catalogue.user_functions.push(name);
                self.skip_rest();
            }
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

    fn skip_rest(&mut self) {
        while !self.parser.is_mark(0, ';') && *self.parser.token() != Token::End {
            self.parser.next();
        }
    }

    fn create_type(&mut self) -> Read<()> {
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
    fn collation(&mut self) -> Read<Option<String>> {
        let mut names = self.parser.qualified_name()?;
        let Some(name) = names.pop() else { return Ok(None) };
        Ok(Some(match names.pop() {
            None => name.text,
            Some(schema) if schema.text == "pg_catalog" => name.text,
            Some(schema) => QualifiedName::new(schema.text, name.text).to_string(),
        }))
    }

    fn create_enum(&mut self, name: QualifiedName) -> Read<()> {
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
        self.skip_rest();
        self.domains.push((name, base));
        Ok(())
    }

    fn column_type(&mut self) -> Read<ColumnType> {
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

    /// `CREATE [MATERIALIZED] VIEW name AS SELECT NULL::type AS column, …`
    fn create_view(&mut self) -> Read<()> {
        let start = self.parser.span();
        self.skip(1);
        let materialized = self.parser.eat_word("materialized");
        self.parser.expect_word("view")?;
        let kind = if materialized { TableKind::MaterializedView } else { TableKind::View };
        let mut view = table(self.name()?, kind);
        self.parser.expect_word("as")?;
        self.parser.expect_word("select")?;
        loop {
            if !self.parser.eat_word("null") || self.parser.next().token != Token::Cast {
                return self.unread(start);
            }
            let mut ty = self.column_type()?;
            if self.parser.eat_word("collate") {
                ty.collation = self.collation()?;
            }
            self.parser.expect_word("as")?;
            let at = self.parser.span();
            let name = self.parser.any_name(at)?.text;
            let attnum = view.columns.len() as i16 + 1;
            view.columns.push(Column { name, attnum, ty, not_null: false, generated: false, comment: None });
            if !self.parser.eat_mark(',') {
                break;
            }
        }
        self.catalogue.tables.push(view);
        Ok(())
    }

    /// What follows `CREATE TABLE leaf PARTITION`; its bounds do not matter.
    fn leaf(&mut self, name: QualifiedName) -> Read<()> {
        self.parser.expect_word("of")?;
        let at = self.parser.span();
        let parent = self.name()?;
        self.skip_rest();
        let leaf = Leaf { oid: 0, name, replica_identity: ReplicaIdentity::Default };
        self.with_table(&parent, at, |t| t.leaves.push(leaf))
    }

    fn create_table(&mut self) -> Read<()> {
        self.skip(2);
        let name = self.name()?;
        if self.parser.eat_word("partition") {
            return self.leaf(name);
        }
        let mut table = table(name, TableKind::Ordinary);
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
            self.skip_rest();
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
                    column.ty.collation = self.collation()?;
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
                let mut definition = format!("CHECK {}", self.balanced()?);
                for (first, second) in [("no", "inherit"), ("not", "valid")] {
                    if self.parser.eat_word(first) {
                        self.parser.expect_word(second)?;
                        definition.push_str(&format!(" {} {}", first.to_uppercase(), second.to_uppercase()));
                    }
                }
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
        self.skip(1);
        let unique = self.parser.eat_word("unique");
        let at = self.parser.span();
        self.parser.expect_word("index")?;
        let name = self.parser.any_name(at)?.text;
        self.parser.expect_word("on")?;
        let table = self.name()?;
        if self.parser.eat_word("using") {
            self.skip(1);
        }
        let columns = self.names(Some('('))?;
        let mut index = Index { unique, ..index(name, columns, false) };
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
            let mut table = self.catalogue.tables.remove(i);
            self.constraint(&mut table)?;
            self.catalogue.tables.insert(i, table);
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
        let leaves = self.catalogue.tables.iter_mut().flat_map(|t| &mut t.leaves);
        if let Some(leaf) = leaves.into_iter().find(|l| l.name == name) {
            leaf.replica_identity = identity;
            return Ok(());
        }
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

fn table(name: QualifiedName, kind: TableKind) -> Table {
    // Only what has rows of its own has a default identity.
    let replica_identity = match kind {
        TableKind::Ordinary | TableKind::Partitioned => ReplicaIdentity::Default,
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign => ReplicaIdentity::Nothing,
    };
    Table {
        oid: 0,
        name,
        kind,
        columns: Vec::new(),
        indexes: Vec::new(),
        checks: Vec::new(),
        replica_identity,
        row_security: false,
        comment: None,
        leaves: Vec::new(),
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
        let wrong = format!("{SNAPSHOT}CREATE SEQUENCE x;");
        assert_eq!(read(&wrong).unwrap_err().code, codes::SCHEMA_SQL);
        assert!(read("CREATE SCHEMA shop;").is_err());
        for (end, _) in SNAPSHOT.char_indices() {
            let _ = read(&SNAPSHOT[..end]);
        }
    }
}
