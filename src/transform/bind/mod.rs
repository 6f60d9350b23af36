//! From a syntax tree to a plan: names, types, overloads and casts, resolved as PostgreSQL's parser does.
//!
//! The rule: what is bound gives PostgreSQL's answer for every row, or it is refused by name. Source of truth: the
//! manual's chapter 10 and `src/backend/parser` of PostgreSQL 15.

mod aggregate;
mod array;
mod case;
mod coerce;
mod collation;
mod derived;
mod expression;
mod fold;
mod function;
mod key;
mod link;
mod nullable;
mod output;
mod query;
pub(in crate::transform) mod resolve;
mod row;
mod scope;
mod subquery;
mod table;
pub mod types;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;

use link::Conjuncts;
use query::BoundSelect;
use scope::{BoundSource, Frame};

use super::codes;
use super::parse::ast::{Name, Select};
use super::plan::{Block, Expr, Plan, Source, UsedColumn};
use super::source::TransformFile;
use super::walk::{Columns, Renumber};
use crate::catalogue::{Catalogue, Table, Type};
use crate::diagnostic::{Code, Diagnostic, Place, Span};

/// Binds a transform to a catalogue; all findings at once.
pub fn bind(file: &TransformFile, catalogue: &Catalogue) -> Result<Plan, Vec<Diagnostic>> {
    bind_with_warnings(file, catalogue).map(|(plan, _)| plan)
}

/// The same, with what is worth a word though it can be run.
pub fn bind_with_warnings(
    file: &TransformFile,
    catalogue: &Catalogue,
) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let binder = Binder::new(&file.path, &file.text, catalogue);
    if let Some(first) = file.select.group_by.first() {
        return Err(vec![
            binder
                .error(codes::UNSUPPORTED, first.span, "GROUP BY is not supported in the outermost SELECT")
                .help("make the table of the groups the root, and the aggregates correlated subqueries"),
        ]);
    }
    if let Some(having) = &file.select.having {
        return Err(vec![
            binder
                .error(codes::UNSUPPORTED, having.span, "HAVING is not supported in the outermost SELECT")
                .help("write the condition into WHERE, with a correlated subquery for each aggregate"),
        ]);
    }
    let mut findings = Vec::new();
    binder.enter(&file.select);
    binder.push_frame();
    let joined = binder.from(&file.select).map_err(|finding| vec![finding])?;
    let filter = match &file.select.filter {
        Some(node) => binder.conjuncts(node, "WHERE").unwrap_or_else(|finding| {
            findings.push(finding);
            Vec::new()
        }),
        None => Vec::new(),
    };
    binder.imply(&filter);
    let mut outputs = binder.outputs(&file.select.items, &mut findings);
    let root = binder.own_sources()[0];
    let conjuncts = Conjuncts::new(&joined, &filter, &[]);
    let mut block = binder.block(joined, &[root], filter, &conjuncts).unwrap_or_else(|finding| {
        findings.push(finding);
        Block::default()
    });
    key::not_null_paths(&binder, file, &outputs, &mut findings);
    let key = key::key(&binder, file, &conjuncts, &outputs, &mut findings);
    binder.pop_frame();
    if !findings.is_empty() {
        let mut seen = Vec::new();
        findings.retain(|f| !seen.contains(f) && (seen.push(f.clone()), true).1);
        return Err(findings);
    }
    let sources = binder.settle_columns(&mut block, &mut outputs);
    let plan = Plan { name: file.name.clone(), sources, block, outputs, key };
    Ok((plan, binder.warnings.into_inner()))
}

/// Binds a single expression over the columns of one table: what tests ask for. The columns are the table's, in order.
pub fn bind_expression(text: &str, catalogue: &Catalogue, table: &Table) -> Result<Expr, Diagnostic> {
    let path = Path::new("expression");
    let node = super::parse::expression(text).map_err(|e| super::source::from_parse(path, text, e))?;
    let binder = Binder::new(path, text, catalogue);
    binder.push_frame();
    binder.add_source(table, &Name { text: table.name.name.clone(), span: node.span }, false)?;
    let expr = binder.expression(&node)?;
    let expr = binder.settle(expr)?;
    binder.fold(expr)
}

struct Binder<'b> {
    path: &'b Path,
    text: &'b str,
    catalogue: &'b Catalogue,
    /// Of all blocks, in the order in which they were met.
    sources: RefCell<Vec<BoundSource<'b>>>,
    /// The blocks around what is being bound, the innermost last.
    frames: RefCell<Vec<Frame>>,
    /// Subqueries by their place: an output's record and its json are one.
    selects: RefCell<HashMap<(u32, u32, u32), Rc<BoundSelect>>>,
    /// What WITH has named, the innermost last, and how many blocks stand around the WITH.
    ctes: RefCell<Vec<(String, Rc<Select>, usize)>>,
    /// Tells apart the times that one subquery of FROM is bound.
    instance: Cell<u32>,
    warnings: RefCell<Vec<Diagnostic>>,
    /// Arrays whose missing ORDER BY was told.
    unordered: RefCell<Vec<(u32, u32)>>,
}

type Bound<T> = Result<T, Diagnostic>;

impl<'b> Binder<'b> {
    fn new(path: &'b Path, text: &'b str, catalogue: &'b Catalogue) -> Binder<'b> {
        Binder {
            path,
            text,
            catalogue,
            sources: RefCell::default(),
            frames: RefCell::default(),
            selects: RefCell::default(),
            ctes: RefCell::default(),
            instance: Cell::default(),
            warnings: RefCell::default(),
            unordered: RefCell::default(),
        }
    }

    fn error(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at(Place::of(self.path, self.text, span))
    }

    fn warning(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, message).at(Place::of(self.path, self.text, span))
    }

    /// A constant of unknown type that nothing has decided is text.
    fn settle(&self, expr: Expr) -> Bound<Expr> {
        if expr.ty.ty == Type::Unknown { self.coerce_implicit(expr, &Type::Text) } else { Ok(expr) }
    }

    /// From "all columns of the table" to "the used ones, by attnum", for each source.
    fn settle_columns(&self, block: &mut Block, outputs: &mut [super::plan::Output]) -> Vec<Source> {
        let sources = self.sources.borrow();
        let mut used: Vec<BTreeSet<u16>> = vec![BTreeSet::new(); sources.len()];
        let mut use_column = |s: u16, c: u16| {
            used[usize::from(s)].insert(c);
        };
        let mut columns = Columns(&mut use_column);
        block.visit(&mut columns);
        outputs.iter().for_each(|o| o.shape.visit(&mut columns));
        let attnum = |s: usize, c: &u16| sources[s].table.columns[usize::from(*c)].attnum;
        let order: Vec<Vec<u16>> = used
            .into_iter()
            .enumerate()
            .map(|(s, used)| {
                let mut order: Vec<u16> = used.into_iter().collect();
                order.sort_by_key(|c| attnum(s, c));
                order
            })
            .collect();
        let place = |s: u16, c: u16| order[usize::from(s)].iter().position(|o| *o == c).map_or(c, |i| i as u16);
        let mut renumber = Renumber(&place);
        block.visit_mut(&mut renumber);
        outputs.iter_mut().for_each(|o| o.shape.visit_mut(&mut renumber));
        let source = |(source, order): (&BoundSource<'_>, &Vec<u16>)| {
            let column = |c: &u16| {
                let column = &source.table.columns[usize::from(*c)];
                UsedColumn {
                    name: column.name.clone(),
                    attnum: column.attnum,
                    ty: column.ty.clone(),
                    not_null: column.not_null,
                }
            };
            Source {
                table: source.table.name.clone(),
                table_oid: source.table.oid,
                alias: source.alias.clone(),
                columns: order.iter().map(column).collect(),
            }
        };
        sources.iter().zip(&order).map(source).collect()
    }
}

#[cfg(test)]
mod tests;
