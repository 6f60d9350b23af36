//! Equalities: which source hangs on which, and what unique indexes prove by them.

use std::collections::BTreeSet;

use super::Binder;
use super::query::Joined;
use crate::catalogue::{ColumnType, Table, Type, quote_ident};
use crate::transform::function::Kind;
use crate::transform::plan::{Expr, ExprKind, KeyForm, Link, LinkColumn};

/// A column of a source.
type Column = (u16, u16);

/// The conditions of a block, sorted by what they are good for.
pub(super) struct Conjuncts {
    /// Hold for every row: WHERE and the ON of inner joins.
    all: Vec<Expr>,
    /// Equalities that hold beside them: IN with the subquery's output.
    extra: Vec<(Expr, Expr)>,
    /// By source of a LEFT JOIN: hold where a row was found.
    left: Vec<(u16, Vec<Expr>)>,
}

/// One side of `=` as a plain column, with its type.
fn plain(expr: &Expr) -> Option<(Column, &ColumnType)> {
    /// Casts that neither round nor cut: equal before is equal after, and the reverse.
    const FAITHFUL: &[&str] = &[
        "int2->int4",
        "int2->int8",
        "int4->int8",
        "int2->numeric",
        "int4->numeric",
        "int8->numeric",
        "bpchar->text",
        "name->text",
        "varchar->text",
    ];
    match &expr.kind {
        ExprKind::Column { source, column } => Some(((*source, *column), &expr.ty)),
        ExprKind::Relabel(inner) => plain(inner),
        ExprKind::Call { function, args, .. }
            if matches!(function.kind, Kind::Cast(_)) && FAITHFUL.contains(&function.name) && args.len() == 1 =>
        {
            plain(&args[0])
        }
        _ => None,
    }
}

/// The two sides of an equality.
fn sides(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match &expr.kind {
        ExprKind::Call { function, args, .. } if function.kind == Kind::Operator && function.name == "=" => {
            args.first().zip(args.get(1))
        }
        _ => None,
    }
}

/// The form in which equal values of the two types are equal bytes; None: there is none.
pub(super) fn form(a: &Type, b: &Type) -> Option<KeyForm> {
    use Type::*;
    let integer = |t: &Type| matches!(t, Int2 | Int4 | Int8);
    let number = |t: &Type| integer(t) || *t == Numeric;
    let text = |t: &Type| matches!(t, Text | Varchar | Name);
    match (a, b) {
        (a, b) if integer(a) && integer(b) => Some(KeyForm::Text),
        (a, b) if number(a) && number(b) => Some(KeyForm::Number),
        (a, b) if text(a) && text(b) => Some(KeyForm::Text),
        (Bpchar, b) if text(b) || *b == Bpchar => Some(KeyForm::Padded),
        (a, Bpchar) if text(a) => Some(KeyForm::Padded),
        (Enum(a), Enum(b)) if a.name == b.name => Some(KeyForm::Text),
        (Uuid, Uuid)
        | (Bool, Bool)
        | (Bytea, Bytea)
        | (Date, Date)
        | (Time, Time)
        | (Timestamp, Timestamp)
        | (TimestampTz, TimestampTz)
        | (Oid, Oid)
        | (Char, Char) => Some(KeyForm::Text),
        _ => None,
    }
}

/// Columns equated by the expressions, as far as they can be looked up by.
fn linked(left: &Expr, right: &Expr) -> Option<(Column, Column, KeyForm)> {
    let ((a, a_type), (b, b_type)) = (plain(left)?, plain(right)?);
    Some((a, b, form(&a_type.ty, &b_type.ty)?))
}

impl Conjuncts {
    pub fn new(joined: &[Joined], filter: &[Expr], extra: &[(Expr, Expr)]) -> Conjuncts {
        let inner = joined.iter().filter(|j| !j.left).flat_map(|j| &j.on);
        let left = joined.iter().filter(|j| j.left).map(|j| (j.source, j.on.clone()));
        Conjuncts { all: inner.chain(filter).cloned().collect(), extra: extra.to_vec(), left: left.collect() }
    }

    fn equalities<'c>(&'c self, of: Option<&'c [Expr]>) -> impl Iterator<Item = (&'c Expr, &'c Expr)> {
        let extra = if of.is_some() { &[][..] } else { &self.extra[..] };
        of.unwrap_or(&self.all).iter().filter_map(sides).chain(extra.iter().map(|(a, b)| (a, b)))
    }

    /// Whether the rows of `own` are told apart by columns of `start` and by what is outside: None if so, else the columns
    /// that would do it.
    pub fn determined(&self, binder: &Binder<'_>, own: &[u16], start: &[Column]) -> Option<String> {
        let sources = binder.sources.borrow();
        let mut known: BTreeSet<Column> = start.iter().copied().collect();
        let mut whole: BTreeSet<u16> = BTreeSet::new();
        loop {
            let before = (known.len(), whole.len());
            let mut learn = |a: &Expr, b: &Expr, only: Option<u16>| {
                for (a, b) in [(a, b), (b, a)] {
                    let Some((column, _)) = plain(a) else { continue };
                    if only.is_some_and(|s| s != column.0) {
                        continue;
                    }
                    let mut settled = true;
                    b.columns(&mut |s, c| {
                        settled &= !own.contains(&s) || whole.contains(&s) || known.contains(&(s, c))
                    });
                    if settled {
                        known.insert(column);
                    }
                }
            };
            self.equalities(None).for_each(|(a, b)| learn(a, b, None));
            for (source, on) in &self.left {
                // Of a LEFT JOIN only the joined side follows from the other.
                self.equalities(Some(on)).for_each(|(a, b)| learn(a, b, Some(*source)));
            }
            for &s in own {
                let table = sources[usize::from(s)].table;
                if covered(table, |c| known.contains(&(s, c))) {
                    whole.insert(s);
                }
            }
            if (known.len(), whole.len()) == before {
                break;
            }
        }
        let missing = own.iter().find(|s| !whole.contains(s))?;
        let source = &sources[usize::from(*missing)];
        let index = source.table.indexes.iter().filter(|i| i.unique && i.valid && !i.partial && !i.columns.is_empty());
        let Some(index) = index.max_by_key(|i| i.primary) else {
            return Some(format!("the columns of a unique index, which {} does not have,", source.table.name));
        };
        let settled = |name: &&String| {
            let place = source.table.columns.iter().position(|c| c.name == **name);
            place.is_some_and(|c| known.contains(&(*missing, c as u16)))
        };
        let column = |c: &String| format!("{}.{}", quote_ident(&source.alias), quote_ident(c));
        Some(index.columns.iter().filter(|c| !settled(c)).map(column).collect::<Vec<_>>().join(", "))
    }
}

fn covered(table: &Table, has: impl Fn(u16) -> bool) -> bool {
    let column = |name: &String| table.columns.iter().position(|c| c.name == *name).is_some_and(|c| has(c as u16));
    table
        .indexes
        .iter()
        .filter(|i| i.unique && i.valid && !i.partial && !i.columns.is_empty())
        .any(|i| i.columns.iter().all(column))
}

/// The link of a source to one of those that are there: the parent that a unique index makes the best of, or the one
/// with the most columns.
pub(super) fn link(binder: &Binder<'_>, j: &Joined, placed: &[u16], conjuncts: &Conjuncts) -> Option<Link> {
    let of = j.left.then_some(&j.on[..]);
    let mut links: Vec<Link> = Vec::new();
    for (a, b) in conjuncts.equalities(of) {
        let Some((a, b, key)) = linked(a, b) else { continue };
        for (own, parent) in [(a, b), (b, a)] {
            if own.0 != j.source || !placed.contains(&parent.0) {
                continue;
            }
            let column = LinkColumn { own: own.1, parent: parent.1, key };
            match links.iter_mut().find(|l| l.parent == parent.0) {
                Some(link) if link.columns.iter().any(|c| c.own == column.own) => {}
                Some(link) => link.columns.push(column),
                None => links.push(Link { parent: parent.0, columns: vec![column] }),
            }
        }
    }
    let table = binder.sources.borrow()[usize::from(j.source)].table;
    let worth = |l: &Link| (covered(table, |c| l.columns.iter().any(|own| own.own == c)), l.columns.len());
    // Of equals the first.
    let best = links.iter().map(worth).max()?;
    links.into_iter().find(|l| worth(l) == best)
}

/// Whether a unique index lies within the columns that are equated with something outside of the source.
pub(super) fn equated(binder: &Binder<'_>, source: u16, on: Option<&[Expr]>, conjuncts: &Conjuncts) -> bool {
    let mut columns = BTreeSet::new();
    for (a, b) in conjuncts.equalities(on) {
        for (a, b) in [(a, b), (b, a)] {
            let mut inside = false;
            b.columns(&mut |s, _| inside |= s == source);
            if let (Some(((s, c), _)), false) = (plain(a), inside)
                && s == source
            {
                columns.insert(c);
            }
        }
    }
    covered(binder.sources.borrow()[usize::from(source)].table, |c| columns.contains(&c))
}
