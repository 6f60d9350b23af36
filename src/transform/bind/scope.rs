//! What names mean where: the sources of each FROM, from the innermost block outwards.

use std::collections::BTreeSet;

use super::{Binder, Bound, codes};
use crate::catalogue::{Column, Table, quote_ident};
use crate::diagnostic::{Diagnostic, Span};
use crate::transform::nearest;
use crate::transform::parse::ast::Name;
use crate::transform::plan::{AggregateCall, Expr, ExprKind, Shape};

/// A source of the plan while it is bound: its columns are all of the table's.
pub(super) struct BoundSource<'b> {
    pub table: &'b Table,
    /// The name that qualifies its columns.
    pub alias: String,
    /// LEFT JOINed: its columns may be NULL, whatever the table says.
    pub left: bool,
    /// Columns that conditions let through only when they are not NULL.
    pub not_null: BTreeSet<u16>,
}

/// A subquery of FROM: what its columns stand for.
pub(super) struct Derived {
    pub alias: String,
    pub columns: Vec<(String, Shape)>,
}

/// One block's names.
pub(super) struct Frame {
    /// Indexes of sources, in the order of FROM.
    pub sources: Vec<u16>,
    /// Those of them that a subquery of FROM has brought: its alias alone names their columns.
    pub unnamed: Vec<u16>,
    pub derived: Vec<Derived>,
    /// Conditions that subqueries of FROM have brought, as of WHERE.
    pub conditions: Vec<Expr>,
    /// Not while a subquery of FROM is bound that is not LATERAL.
    pub visible: bool,
    /// Of a SELECT whose outputs are being bound: the aggregates met so far. None: they may not stand here.
    pub aggregates: Option<Vec<AggregateCall>>,
    /// Within an aggregate's arguments there is no other.
    pub in_aggregate: bool,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame {
            sources: Vec::new(),
            unnamed: Vec::new(),
            derived: Vec::new(),
            conditions: Vec::new(),
            visible: true,
            aggregates: None,
            in_aggregate: false,
        }
    }
}

/// What the body of a subquery in FROM does not see.
#[derive(Clone, Copy)]
pub(super) enum Hidden {
    /// LATERAL sees everything around it.
    Nothing,
    /// The tables beside it.
    Beside,
    /// A WITH name stands for what its own place sees: so many blocks.
    Behind(usize),
}

const SYSTEM: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

impl<'b> Binder<'b> {
    /// A new source in the innermost block.
    pub(super) fn add_source(&self, table: &'b Table, alias: &Name, left: bool) -> Bound<u16> {
        let mut frames = self.frames.borrow_mut();
        let mut sources = self.sources.borrow_mut();
        let frame = frames.last_mut().expect("a block is being bound");
        if frame.has(&alias.text, &sources) {
            return Err(self.twice(alias));
        }
        let index = sources.len() as u16;
        sources.push(BoundSource { table, alias: alias.text.clone(), left, not_null: BTreeSet::new() });
        frame.sources.push(index);
        Ok(index)
    }

    /// A subquery of FROM gets its name in the innermost block.
    pub(super) fn add_derived(&self, derived: Derived, alias: &Name) -> Bound<()> {
        let mut frames = self.frames.borrow_mut();
        let frame = frames.last_mut().expect("a block is being bound");
        if frame.has(&alias.text, &self.sources.borrow()) {
            return Err(self.twice(alias));
        }
        frame.derived.push(derived);
        Ok(())
    }

    fn twice(&self, alias: &Name) -> Diagnostic {
        let message = format!("table name \"{}\" specified more than once", alias.text);
        self.error(codes::AMBIGUOUS, alias.span, message).help("give each an alias of its own")
    }

    /// What a column of a subquery of FROM stands for; None where the name means a table's column, or nothing.
    pub(super) fn derived_column(&self, names: &[Name]) -> Option<Shape> {
        let (column, qualifier) = names.split_last()?;
        let frames = self.frames.borrow();
        let sources = self.sources.borrow();
        for frame in frames.iter().rev().filter(|f| f.visible) {
            let of = |d: &Derived| d.columns.iter().find(|(n, _)| *n == column.text).map(|(_, s)| s.clone());
            match qualifier {
                [] => {
                    let found: Vec<Shape> = frame.derived.iter().filter_map(of).collect();
                    let table = frame.named().any(|s| sources[usize::from(s)].has(&column.text));
                    match (found.as_slice(), table) {
                        ([shape], false) => return Some(shape.clone()),
                        ([], false) => {}
                        // A table's column, or ambiguous: both are told there.
                        _ => return None,
                    }
                }
                [alias] => {
                    if let Some(derived) = frame.derived.iter().find(|d| d.alias == alias.text) {
                        return of(derived);
                    }
                    if frame.named().any(|s| sources[usize::from(s)].alias == alias.text) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        None
    }

    /// Hides blocks from what is bound next; gives what to show again.
    pub(super) fn hide(&self, hidden: Hidden) -> Vec<bool> {
        let mut frames = self.frames.borrow_mut();
        let seen = frames.iter().map(|f| f.visible).collect();
        let from = match hidden {
            Hidden::Nothing => frames.len(),
            Hidden::Beside => frames.len().saturating_sub(1),
            Hidden::Behind(blocks) => blocks,
        };
        frames.iter_mut().skip(from).for_each(|f| f.visible = false);
        seen
    }

    pub(super) fn show(&self, seen: Vec<bool>) {
        self.frames.borrow_mut().iter_mut().zip(seen).for_each(|(f, seen)| f.visible = seen);
    }

    pub(super) fn push_frame(&self) {
        self.frames.borrow_mut().push(Frame::default());
    }

    pub(super) fn pop_frame(&self) -> Frame {
        self.frames.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn with_frame<R>(&self, f: impl FnOnce(&mut Frame) -> R) -> Option<R> {
        self.frames.borrow_mut().last_mut().map(f)
    }

    /// The sources of the innermost block.
    pub(super) fn own_sources(&self) -> Vec<u16> {
        self.frames.borrow().last().map(|f| f.sources.clone()).unwrap_or_default()
    }

    pub(super) fn column(&self, names: &[Name], span: Span) -> Bound<Expr> {
        let (column, qualifier) = match names {
            [column] => (column, &[][..]),
            [qualifier @ .., column] => (column, qualifier),
            [] => return Err(self.error(codes::UNKNOWN_COLUMN, span, "an empty name")),
        };
        if let Some(shape) = self.derived_column(names) {
            return Ok(Expr { span, ..shape.expr().clone() });
        }
        let frames = self.frames.borrow();
        let sources = self.sources.borrow();
        if frames.iter().all(|f| f.sources.is_empty() && f.derived.is_empty()) {
            return Err(self.error(codes::UNKNOWN_COLUMN, span, "there is no table to take a column from"));
        }
        for frame in frames.iter().rev().filter(|f| f.visible) {
            let of_frame = || frame.named().map(|s| (s, &sources[usize::from(s)]));
            if !qualifier.is_empty() {
                let Some((index, source)) = of_frame().find(|(_, s)| qualifies(qualifier, s)) else { continue };
                let Some(place) = source.table.columns.iter().position(|c| c.name == column.text) else {
                    return Err(self.no_column(&[source], column, false, span));
                };
                return self.found(index, source, place, span);
            }
            let mut with = of_frame().filter_map(|(i, s)| {
                s.table.columns.iter().position(|c| c.name == column.text).map(|place| (i, s, place))
            });
            let mut several = frame.derived.iter().filter(|d| d.columns.iter().any(|(n, _)| *n == column.text));
            let (derived, another) = (several.next(), several.next());
            match (with.next(), with.next()) {
                (Some((_, source, _)), None) if derived.is_some() => {
                    let message = format!("column reference \"{}\" is ambiguous", column.text);
                    let (a, b) = (&source.alias, derived.map_or("", |d| &d.alias));
                    return Err(self
                        .error(codes::AMBIGUOUS, span, message)
                        .help(format!("write {a}.{0} or {b}.{0}", column.text)));
                }
                (None, _) if another.is_some() => {
                    let message = format!("column reference \"{}\" is ambiguous", column.text);
                    let (a, b) = (derived.map_or("", |d| &d.alias), another.map_or("", |d| &d.alias));
                    return Err(self
                        .error(codes::AMBIGUOUS, span, message)
                        .help(format!("write {a}.{0} or {b}.{0}", column.text)));
                }
                (Some((index, source, place)), None) => return self.found(index, source, place, span),
                (Some((_, a, _)), Some((_, b, _))) => {
                    let message = format!("column reference \"{}\" is ambiguous", column.text);
                    let column = quote_ident(&column.text);
                    return Err(self.error(codes::AMBIGUOUS, span, message).help(format!(
                        "write {}.{column} or {}.{column}",
                        quote_ident(&a.alias),
                        quote_ident(&b.alias)
                    )));
                }
                (None, _) => {}
            }
        }
        let visible: Vec<&BoundSource<'_>> =
            frames.iter().rev().flat_map(|f| f.named().map(|s| &sources[usize::from(s)])).collect();
        match (qualifier.first(), qualifier.last()) {
            (Some(first), Some(last)) => {
                let span = Span { start: first.span.start, end: last.span.end };
                let message = format!("missing FROM-clause entry for table \"{}\"", last.text);
                let known: Vec<String> = visible.iter().map(|s| quote_ident(&s.alias)).collect();
                let help = match known.as_slice() {
                    [root] => format!("the root is called {root} here"),
                    _ => format!("known here are {}", known.join(", ")),
                };
                Err(self.error(codes::UNKNOWN_TABLE, span, message).help(help))
            }
            _ => Err(self.no_column(&visible, column, true, span)),
        }
    }

    fn found(&self, source: u16, of: &BoundSource<'_>, place: usize, span: Span) -> Bound<Expr> {
        let found = &of.table.columns[place];
        if found.generated {
            let message = format!("{} is a generated column: the stream does not carry it", found.name);
            return Err(self.error(codes::COLUMN_KIND, span, message).help("write its expression into the SELECT"));
        }
        let column = place as u16;
        Ok(Expr {
            kind: ExprKind::Column { source, column },
            ty: found.ty.clone(),
            nullable: (!found.not_null || of.left) && !of.not_null.contains(&column),
            span,
        })
    }

    fn no_column(&self, sources: &[&BoundSource<'_>], column: &Name, bare: bool, span: Span) -> Diagnostic {
        if SYSTEM.contains(&column.text.as_str()) {
            let message = format!("{} is a system column: it is not in the stream", column.text);
            return self.error(codes::COLUMN_KIND, span, message).help("use a column of the table");
        }
        if bare && sources.iter().any(|s| s.alias == column.text) {
            let message = format!("{} is the whole row here", column.text);
            return self
                .error(codes::COLUMN_KIND, span, message)
                .help("name the columns; jsonb_build_object('name', column, …) makes a record");
        }
        let names = || sources.iter().flat_map(|s| s.table.columns.iter()).map(|c: &Column| c.name.as_str());
        let help = match nearest(&column.text, names()) {
            Some(near) => format!("did you mean {}?", quote_ident(near)),
            None if sources.len() == 1 => {
                format!("its columns are {}", names().map(quote_ident).collect::<Vec<_>>().join(", "))
            }
            None => "write table.column to see which columns a table has".to_owned(),
        };
        let message = match sources {
            [only] => format!("{} has no column {}", only.table.name, quote_ident(&column.text)),
            _ => format!("column {} does not exist", quote_ident(&column.text)),
        };
        self.error(codes::UNKNOWN_COLUMN, span, message).help(help)
    }
}

impl Frame {
    /// Sources whose own names may be used.
    fn named(&self) -> impl Iterator<Item = u16> {
        self.sources.iter().copied().filter(|s| !self.unnamed.contains(s))
    }

    fn has(&self, alias: &str, sources: &[BoundSource<'_>]) -> bool {
        self.named().any(|s| sources[usize::from(s)].alias == alias) || self.derived.iter().any(|d| d.alias == alias)
    }
}

impl BoundSource<'_> {
    fn has(&self, column: &str) -> bool {
        self.table.columns.iter().any(|c| c.name == column)
    }
}

fn qualifies(names: &[Name], source: &BoundSource<'_>) -> bool {
    match names {
        [alias] => alias.text == source.alias,
        // Behind an alias the table's own name is hidden.
        [schema, name] => {
            schema.text == source.table.name.schema && name.text == source.table.name.name && source.alias == name.text
        }
        _ => false,
    }
}
