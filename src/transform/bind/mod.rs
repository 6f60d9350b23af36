//! From a syntax tree to a plan: names, types, overloads and casts, resolved as PostgreSQL's parser does.
//!
//! The rule: what is bound gives PostgreSQL's answer for every row, or it is refused by name. Source of truth: the
//! manual's chapter 10 and `src/backend/parser` of PostgreSQL 15.

mod coerce;
mod collation;
mod expression;
mod fold;
mod function;
mod key;
mod nullable;
mod output;
pub(crate) mod resolve;
mod table;
pub mod types;

use std::collections::BTreeSet;
use std::path::Path;

use super::codes;
use super::parse::ast::Relation;
use super::plan::{Block, Expr, Plan, Source, UsedColumn};
use super::source::TransformFile;
use super::walk::{Columns, Renumber};
use crate::catalogue::{Catalogue, Table, Type};
use crate::diagnostic::{Code, Diagnostic, Place, Span};

/// Binds a transform to a catalogue; all findings at once.
pub fn bind(file: &TransformFile, catalogue: &Catalogue) -> Result<Plan, Vec<Diagnostic>> {
    let mut binder = Binder::new(&file.path, &file.text, catalogue);
    let Relation::Table(root) = &file.select.from.relation else {
        return Err(vec![
            binder
                .error(codes::ONE_SELECT, file.select.from.span, "the root is a subquery")
                .help("name the root table first: one record for each of its rows"),
        ]);
    };
    let table = binder.root(root).map_err(|finding| vec![finding])?;
    binder.table = Some(table);
    binder.alias = file.select.from.alias.as_ref().unwrap_or(&root.name).text.clone();
    let mut findings = Vec::new();
    let filter = match &file.select.filter {
        Some(node) => binder.filter(node).map_err(|f| findings.push(f)).ok(),
        None => None,
    };
    if let Some(filter) = &filter {
        nullable::implied(filter, &mut binder.not_null);
    }
    let mut outputs = binder.outputs(&file.select.items, &mut findings);
    key::not_null_paths(&mut binder, file, &outputs, &mut findings);
    let key = key::key(&binder, file, table, &outputs, &mut findings);
    if !findings.is_empty() {
        let mut seen = Vec::new();
        findings.retain(|f| !seen.contains(f) && (seen.push(f.clone()), true).1);
        return Err(findings);
    }
    let mut filter = filter;
    let columns = binder.settle_columns(table, filter.as_mut(), &mut outputs);
    Ok(Plan {
        name: file.name.clone(),
        sources: vec![Source { table: table.name.clone(), table_oid: table.oid, alias: binder.alias.clone(), columns }],
        block: Block { steps: Vec::new(), filter },
        outputs,
        key,
    })
}

/// Binds a single expression over the columns of one table: what tests ask for. The columns are the table's, in order.
pub fn bind_expression(text: &str, catalogue: &Catalogue, table: &Table) -> Result<Expr, Diagnostic> {
    let path = Path::new("expression");
    let node = super::parse::expression(text).map_err(|e| super::source::from_parse(path, text, e))?;
    let mut binder = Binder::new(path, text, catalogue);
    binder.table = Some(table);
    binder.alias = table.name.name.clone();
    let expr = binder.expression(&node)?;
    let expr = binder.settle(expr)?;
    binder.fold(expr)
}

struct Binder<'b> {
    path: &'b Path,
    text: &'b str,
    catalogue: &'b Catalogue,
    table: Option<&'b Table>,
    /// The name that qualifies the root's columns.
    alias: String,
    /// Columns (by place in the table) that the filter lets through only when they are not NULL.
    not_null: BTreeSet<u16>,
}

type Bound<T> = Result<T, Diagnostic>;

impl<'b> Binder<'b> {
    fn new(path: &'b Path, text: &'b str, catalogue: &'b Catalogue) -> Binder<'b> {
        Binder { path, text, catalogue, table: None, alias: String::new(), not_null: BTreeSet::new() }
    }

    fn error(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at(Place::of(self.path, self.text, span))
    }

    fn filter(&mut self, node: &super::parse::ast::Node) -> Bound<Expr> {
        let expr = self.expression(node)?;
        let expr = self.boolean(expr, "WHERE")?;
        self.fold(expr)
    }

    /// A constant of unknown type that nothing has decided is text.
    fn settle(&self, expr: Expr) -> Bound<Expr> {
        if expr.ty.ty == Type::Unknown { self.coerce_implicit(expr, &Type::Text) } else { Ok(expr) }
    }

    /// From "all columns of the table" to "the used ones, by attnum".
    fn settle_columns(
        &self,
        table: &Table,
        filter: Option<&mut Expr>,
        outputs: &mut [super::plan::Output],
    ) -> Vec<UsedColumn> {
        let mut used = BTreeSet::new();
        let mut use_column = |_, c| {
            used.insert(c);
        };
        let mut columns = Columns(&mut use_column);
        if let Some(filter) = &filter {
            filter.visit(&mut columns);
        }
        outputs.iter().for_each(|o| o.shape.visit(&mut columns));
        let mut order: Vec<u16> = used.into_iter().collect();
        order.sort_by_key(|c| table.columns[usize::from(*c)].attnum);
        let place = |_, c: u16| order.iter().position(|o| *o == c).map_or(c, |i| i as u16);
        let mut renumber = Renumber(&place);
        if let Some(filter) = filter {
            filter.visit_mut(&mut renumber);
        }
        outputs.iter_mut().for_each(|o| o.shape.visit_mut(&mut renumber));
        let column = |c: &u16| {
            let column = &table.columns[usize::from(*c)];
            UsedColumn {
                name: column.name.clone(),
                attnum: column.attnum,
                ty: column.ty.clone(),
                not_null: column.not_null,
            }
        };
        order.iter().map(column).collect()
    }
}

#[cfg(test)]
mod tests;
