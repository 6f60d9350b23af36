//! Tables by name.

use super::{Binder, Bound, codes};
use crate::catalogue::{Table, TableKind, quote_ident};
use crate::transform::nearest;
use crate::transform::parse::ast::TableRef;

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
}
