//! CREATE TABLE, VIEW and INDEX, and what is said of them afterwards: ALTER TABLE, COMMENT ON.

use super::{Read, Reader};
use crate::catalogue::{Check, Column, Index, Leaf, QualifiedName, ReplicaIdentity, Table, TableKind};
use crate::diagnostic::Span;
use crate::transform::codes;
use crate::transform::parse::ParseError;
use crate::transform::parse::lex::Token;

impl Reader<'_> {
    /// `CREATE [MATERIALIZED] VIEW name AS SELECT NULL::type AS column, …`
    pub(super) fn create_view(&mut self) -> Read<()> {
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

    pub(super) fn create_table(&mut self) -> Read<()> {
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
    pub(super) fn balanced(&mut self) -> Read<String> {
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

    pub(super) fn create_index(&mut self) -> Read<()> {
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

    pub(super) fn alter_table(&mut self) -> Read<()> {
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

    pub(super) fn comment(&mut self) -> Read<()> {
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
