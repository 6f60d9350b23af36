//! Tables and columns by name.

use super::{Binder, Bound, codes};
use crate::catalogue::{Column, Table, TableKind, quote_ident};
use crate::diagnostic::Span;
use crate::transform::nearest;
use crate::transform::parse::ast::{Name, TableRef};
use crate::transform::plan::{Expr, ExprKind};

const SYSTEM: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

impl<'b> Binder<'b> {
    pub(super) fn root(&self, written: &TableRef) -> Bound<&'b Table> {
        let schema = written.schema.as_ref().map(|s| s.text.as_str());
        let Some(table) = self.catalogue.table(schema, &written.name.text) else {
            let shown = match schema {
                Some(schema) => format!("{}.{}", quote_ident(schema), quote_ident(&written.name.text)),
                None => quote_ident(&written.name.text),
            };
            let names: Vec<String> = self.catalogue.tables.iter().map(|t| t.name.to_string()).collect();
            let elsewhere = self.catalogue.tables.iter().find(|t| t.name.name == written.name.text);
            let near = elsewhere.map(|t| t.name.to_string()).or_else(|| {
                let short = self.catalogue.tables.iter().map(|t| t.name.name.as_str());
                let by_short = nearest(&written.name.text, short)
                    .and_then(|n| self.catalogue.tables.iter().find(|t| t.name.name == n))
                    .map(|t| t.name.to_string());
                nearest(&shown, names.iter().map(String::as_str)).map(str::to_owned).or(by_short)
            });
            let help = match near {
                Some(near) => format!("did you mean {near}?"),
                None => "check the name, and that the role may read the table".to_owned(),
            };
            let message = format!("relation \"{shown}\" does not exist");
            return Err(self.error(codes::UNKNOWN_TABLE, written.span, message).help(help));
        };
        let kind = match table.kind {
            TableKind::Ordinary | TableKind::Partitioned => None,
            TableKind::View => Some("a view"),
            TableKind::MaterializedView => Some("a materialized view"),
            TableKind::Foreign => Some("a foreign table"),
        };
        if let Some(kind) = kind {
            let message = format!("{} is {kind}: its changes are not in the WAL", table.name);
            return Err(self.error(codes::TABLE_KIND, written.span, message).help("select from the tables behind it"));
        }
        if table.row_security {
            let message = format!("row-level security of {} applies to this role", table.name);
            return Err(self.error(codes::TABLE_KIND, written.span, message).help(format!(
                "the stream has all rows and the load would not: ALTER ROLE … BYPASSRLS, or ALTER TABLE {} DISABLE \
                 ROW LEVEL SECURITY",
                table.name
            )));
        }
        Ok(table)
    }

    pub(super) fn column(&self, names: &[Name], span: Span) -> Bound<Expr> {
        let Some(table) = self.table else {
            return Err(self.error(codes::UNKNOWN_COLUMN, span, "there is no table to take a column from"));
        };
        let (column, qualifier) = match names {
            [column] => (column, &[][..]),
            [qualifier @ .., column] => (column, qualifier),
            [] => return Err(self.error(codes::UNKNOWN_COLUMN, span, "an empty name")),
        };
        self.qualifier(table, qualifier)?;
        let found = table.columns.iter().position(|c| c.name == column.text);
        let Some(index) = found else { return Err(self.no_column(table, column, qualifier.is_empty(), span)) };
        let found = &table.columns[index];
        if found.generated {
            let message = format!("{} is a generated column: the stream does not carry it", found.name);
            return Err(self.error(codes::COLUMN_KIND, span, message).help("write its expression into the SELECT"));
        }
        let place = index as u16;
        Ok(Expr {
            kind: ExprKind::Column { source: 0, column: place },
            ty: found.ty.clone(),
            nullable: !found.not_null && !self.not_null.contains(&place),
            span,
        })
    }

    fn qualifier(&self, table: &Table, names: &[Name]) -> Bound<()> {
        let right = match names {
            [] => true,
            [alias] => alias.text == self.alias,
            // Behind an alias the table's own name is hidden.
            [schema, name] => {
                schema.text == table.name.schema && name.text == table.name.name && self.alias == name.text
            }
            _ => false,
        };
        let (Some(first), Some(last), false) = (names.first(), names.last(), right) else { return Ok(()) };
        let span = Span { start: first.span.start, end: last.span.end };
        let message = format!("missing FROM-clause entry for table \"{}\"", last.text);
        Err(self
            .error(codes::UNKNOWN_TABLE, span, message)
            .help(format!("the root is called {} here", quote_ident(&self.alias))))
    }

    fn no_column(&self, table: &Table, column: &Name, bare: bool, span: Span) -> crate::diagnostic::Diagnostic {
        if SYSTEM.contains(&column.text.as_str()) {
            let message = format!("{} is a system column: it is not in the stream", column.text);
            return self.error(codes::COLUMN_KIND, span, message).help("use a column of the table");
        }
        if bare && column.text == self.alias {
            let message = format!("{} is the whole row here", column.text);
            return self
                .error(codes::COLUMN_KIND, span, message)
                .help("name the columns; jsonb_build_object('name', column, …) makes a record");
        }
        let names = || table.columns.iter().map(|c: &Column| c.name.as_str());
        let help = match nearest(&column.text, names()) {
            Some(near) => format!("did you mean {}?", quote_ident(near)),
            None => format!("its columns are {}", names().map(quote_ident).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("{} has no column {}", table.name, quote_ident(&column.text));
        self.error(codes::UNKNOWN_COLUMN, span, message).help(help)
    }
}
