//! A SELECT: its FROM, its conditions, what it gives; and in which order its sources are found, each by a link.

use std::rc::Rc;
use std::sync::Arc;

use super::expression::logic;
use super::link::{Conjuncts, equated, link};
use super::scope::Hidden;
use super::{Binder, Bound, codes, nullable};
use crate::catalogue::{ColumnType, Type};
use crate::diagnostic::Span;
use crate::transform::aggregate::equal_may_differ;
use crate::transform::function::Function;
use crate::transform::parse::ast::{FromItem, Node, NodeKind, OrderBy, Relation, Select, TableRef};
use crate::transform::plan::{AggregateCall, Block, Expr, ExprKind, Order, Shape, Step};

/// A subquery's SELECT.
#[derive(Debug, Clone)]
pub(super) struct BoundSelect {
    pub block: Block,
    pub items: Vec<Shape>,
    pub calls: Vec<AggregateCall>,
    pub order: Vec<Order>,
    pub distinct: Option<&'static Function>,
    pub limit: Option<u64>,
    /// There is one row at most, by unique indexes.
    pub single: bool,
}

/// A source as it stands in FROM.
pub(super) struct Joined {
    pub source: u16,
    pub left: bool,
    /// What stands in ON, taken apart at AND.
    pub on: Vec<Expr>,
    pub span: Span,
}

impl<'b> Binder<'b> {
    /// A subquery's SELECT, bound once however often the tree is walked. `equal_to` is the left side of IN: an equality
    /// with the output that may serve as a link.
    pub(super) fn select(&self, select: &Select, equal_to: Option<&Expr>) -> Bound<Rc<BoundSelect>> {
        let place = (self.instance.get(), select.span.start, select.span.end);
        if let Some(known) = self.selects.borrow().get(&place) {
            return Ok(Rc::clone(known));
        }
        let sources = self.sources.borrow().len();
        let ctes = self.enter(select);
        self.push_frame();
        let bound = self.select_in_frame(select, equal_to);
        self.pop_frame();
        self.ctes.borrow_mut().truncate(ctes);
        if bound.is_err() {
            // It may be bound in another way: nothing of this one stays.
            self.sources.borrow_mut().truncate(sources);
            let stays = |b: &BoundSelect| b.block.steps.iter().all(|s| usize::from(s.source) < sources);
            self.selects.borrow_mut().retain(|_, b| stays(b));
        }
        let bound = Rc::new(bound?);
        self.selects.borrow_mut().insert(place, Rc::clone(&bound));
        Ok(bound)
    }

    fn select_in_frame(&self, select: &Select, equal_to: Option<&Expr>) -> Bound<BoundSelect> {
        if let Some(first) = select.group_by.first() {
            return Err(self
                .error(codes::UNSUPPORTED, first.span, "GROUP BY is not supported in a subquery")
                .help("correlate the subquery by the grouped columns: WHERE t.column = outer.column"));
        }
        if let Some(having) = &select.having {
            return Err(self
                .error(codes::UNSUPPORTED, having.span, "HAVING is not supported in a subquery")
                .help("put the condition around the subquery with CASE"));
        }
        let joined = self.from(select)?;
        let filter = match &select.filter {
            Some(node) => self.conjuncts(node, "WHERE")?,
            None => Vec::new(),
        };
        self.imply(&filter);
        self.with_frame(|f| f.aggregates = Some(Vec::new()));
        let items = select.items.iter().map(|i| self.shape(&i.expr)).collect::<Bound<Vec<_>>>()?;
        let calls = self.with_frame(|f| f.aggregates.take()).flatten().unwrap_or_default();
        if !calls.is_empty() {
            self.only_aggregated(&items)?;
        }
        let mut order = Vec::new();
        for o in &select.order_by {
            if !calls.is_empty() {
                let message = "ORDER BY beside an aggregate orders one row";
                return Err(self
                    .error(codes::AGGREGATE, o.expr.span, message)
                    .help("put the ORDER BY into the aggregate's parentheses"));
            }
            order.push(self.order(o, select)?);
        }
        let limit = select.limit.as_ref().map(|n| self.limit(n)).transpose()?;
        if limit == Some(0) && !calls.is_empty() {
            return Err(self.error(codes::UNSUPPORTED, select.span, "LIMIT 0 leaves no row").help("leave LIMIT out"));
        }
        let mut extra = Vec::new();
        if let (Some(left), [item]) = (equal_to, items.as_slice()) {
            extra.push((left.clone(), item.expr().clone()));
        }
        let given = Vec::new();
        let spans = joined.iter().map(|j| j.span).collect::<Vec<_>>();
        let conjuncts = Conjuncts::new(&joined, &filter, &extra);
        let block = self.block(joined, &given, filter, &conjuncts)?;
        let own = self.own_sources();
        let single = conjuncts.determined(self, &own, &[]).is_none();
        let distinct = match (select.distinct, items.first()) {
            (true, Some(item)) => {
                self.one_text(&item.expr().ty, item.expr().span)?;
                Some(self.equality_of(&item.expr().ty, spans[0])?)
            }
            _ => None,
        };
        let alike = matches!(items.as_slice(), [item] if told_by(&order, item.expr()));
        if !single && calls.is_empty() && (!order.is_empty() || limit.is_some()) && distinct.is_none() && !alike {
            self.total(&conjuncts, &own, &order, select.span);
        }
        self.total_in_calls(&conjuncts, &calls);
        Ok(BoundSelect { block, items, calls, order, distinct, limit, single })
    }

    /// WITH names hold within the SELECT. Gives how many there were before.
    pub(super) fn enter(&self, select: &Select) -> usize {
        let mut ctes = self.ctes.borrow_mut();
        let before = ctes.len();
        let blocks = self.frames.borrow().len();
        ctes.extend(select.with.iter().map(|c| (c.name.text.clone(), Rc::new(c.select.clone()), blocks)));
        before
    }

    /// FROM and its ON conditions; the sources are in the innermost frame afterwards.
    pub(super) fn from(&self, select: &Select) -> Bound<Vec<Joined>> {
        let mut joined = self.sources_of(select)?;
        let conditions = self.with_frame(|f| std::mem::take(&mut f.conditions)).unwrap_or_default();
        match joined.first_mut() {
            Some(first) if !first.left => first.on.extend(conditions),
            _ => {
                return Err(self
                    .error(codes::UNSUPPORTED, select.from.span, "this FROM begins with groups")
                    .help("begin with a table"));
            }
        }
        Ok(joined)
    }

    fn sources_of(&self, select: &Select) -> Bound<Vec<Joined>> {
        let mut joined = self.source_of(&select.from, false, None)?;
        for join in &select.joins {
            joined.extend(self.source_of(&join.item, join.left, Some(&join.on))?);
        }
        Ok(joined)
    }

    fn source_of(&self, item: &FromItem, left: bool, on: Option<&Node>) -> Bound<Vec<Joined>> {
        let table: &TableRef = match &item.relation {
            Relation::Table(table) => table,
            Relation::Select(select) => {
                let hidden = if item.lateral { Hidden::Nothing } else { Hidden::Beside };
                return self.derived(item, select, left, on, hidden);
            }
        };
        let cte = match table.schema {
            None => self.ctes.borrow().iter().rposition(|(name, ..)| *name == table.name.text),
            Some(_) => None,
        };
        if let Some(place) = cte {
            // It sees what stands before it in WITH.
            let later = self.ctes.borrow_mut().split_off(place);
            let (select, hidden) = (Rc::clone(&later[0].1), Hidden::Behind(later[0].2));
            let item =
                FromItem { alias: Some(item.alias.clone().unwrap_or_else(|| table.name.clone())), ..item.clone() };
            let bound = self.derived(&item, &select, left, on, hidden);
            let mut ctes = self.ctes.borrow_mut();
            ctes.truncate(place);
            ctes.extend(later);
            return bound;
        }
        let alias = item.alias.as_ref().unwrap_or(&table.name);
        let source = self.add_source(self.root(table)?, alias, left)?;
        let on = on.map(|on| self.conjuncts(on, "JOIN/ON")).transpose()?.unwrap_or_default();
        if !left {
            self.imply(&on);
        }
        Ok(vec![Joined { source, left, on, span: item.span }])
    }

    /// A condition taken apart at AND. NULL and false are the same in it.
    pub(super) fn conjuncts(&self, node: &Node, word: &str) -> Bound<Vec<Expr>> {
        if let NodeKind::And(left, right) = &node.kind {
            let mut all = self.conjuncts(left, word)?;
            all.extend(self.conjuncts(right, word)?);
            return Ok(all);
        }
        let expr = match &node.kind {
            NodeKind::InSelect { expr, select, negated: false } => {
                self.in_select(expr, select, false, true, node.span)?
            }
            _ => self.expression(node)?,
        };
        let expr = self.boolean(expr, word)?;
        let expr = self.fold(expr)?;
        // Rows that are compared are columns that are.
        Ok(if let ExprKind::And(all) = expr.kind { all } else { vec![expr] })
    }

    /// What the conditions say about NULL holds for everything that is bound after them.
    pub(super) fn imply(&self, conditions: &[Expr]) {
        let mut columns = Default::default();
        conditions.iter().for_each(|c| nullable::implied(c, &mut columns));
        let own = self.own_sources();
        let mut sources = self.sources.borrow_mut();
        for (source, column) in columns {
            if own.contains(&source) {
                let source = &mut sources[usize::from(source)];
                source.not_null.insert(column);
                // A row of NULLs would not have come through.
                source.left = false;
            }
        }
    }

    /// Finds an order in which each source hangs on an earlier one; `given` are there from the start.
    pub(super) fn block(
        &self,
        joined: Vec<Joined>,
        given: &[u16],
        filter: Vec<Expr>,
        conjuncts: &Conjuncts,
    ) -> Bound<Block> {
        let own: Vec<u16> = joined.iter().map(|j| j.source).collect();
        let outer: Vec<u16> = {
            let frames = self.frames.borrow();
            frames.iter().flat_map(|f| f.sources.iter().copied()).filter(|s| !own.contains(s)).collect()
        };
        let mut placed: Vec<u16> = outer.iter().chain(given).copied().collect();
        let mut loose: Vec<Expr> = filter;
        let mut pending = joined;
        // Conditions of inner joins may wait for sources; those of a LEFT JOIN belong to it.
        for j in pending.iter_mut().filter(|j| !j.left) {
            loose.append(&mut j.on);
        }
        pending.retain(|j| !given.contains(&j.source));
        let mut steps = Vec::new();
        while !pending.is_empty() {
            let mut next = None;
            for (i, j) in pending.iter().enumerate() {
                let lefts_before = pending[..i].iter().any(|p| p.left);
                let waits = j.left && (i > 0 || !decidable(&j.on, &placed, j.source)) || !j.left && lefts_before;
                if waits {
                    continue;
                }
                if let Some(link) = link(self, j, &placed, conjuncts) {
                    next = Some((i, link));
                    break;
                }
            }
            let Some((i, link)) = next else { return Err(self.unlinked(&pending[0], given, outer.is_empty())) };
            let j = pending.remove(i);
            placed.push(j.source);
            let on = if j.left {
                j.on
            } else {
                let (now, later) = loose.into_iter().partition(|c| within(c, &placed) && mentions(c, j.source));
                loose = later;
                now
            };
            let unique = equated(self, j.source, if j.left { Some(&on) } else { None }, conjuncts);
            steps.push(Step { source: j.source, left: j.left, link, on: all_of(on, j.span), unique });
        }
        Ok(Block { steps, filter: all_of(loose, Span::default()) })
    }

    fn unlinked(&self, j: &Joined, given: &[u16], outermost: bool) -> crate::diagnostic::Diagnostic {
        let sources = self.sources.borrow();
        let alias = &sources[usize::from(j.source)].alias;
        if outermost || !given.is_empty() {
            let message = format!("no column of {alias} is equated with one of an earlier table");
            return self
                .error(codes::JOIN, j.span, message)
                .help(format!("write ON {alias}.column = earlier.column: a plain column on each side, of types that have one text for one value; further conditions may stand beside it"));
        }
        let message =
            format!("this subquery is not correlated: no column of {alias} is equated with one outside of it");
        self.error(codes::NOT_CORRELATED, j.span, message)
            .help(format!("write WHERE {alias}.column = outer.column: a plain column on each side, of types that have one text for one value"))
    }

    fn order(&self, o: &OrderBy, select: &Select) -> Bound<Order> {
        // A bare name means an output first, as in SQL-92.
        let output = match &o.expr.kind {
            NodeKind::Column(names) if names.len() == 1 => {
                select.items.iter().find(|i| i.alias.as_ref().is_some_and(|a| a.text == names[0].text))
            }
            _ => None,
        };
        self.order_by(output.map_or(&o.expr, |i| &i.expr), o)
    }

    pub(super) fn order_by(&self, node: &Node, o: &OrderBy) -> Bound<Order> {
        let expr = self.expression(node)?;
        let expr = self.settle(expr)?;
        let expr = self.fold(expr)?;
        let less = self.comparison("<", &expr.ty.ty, &expr.ty.ty, node.span)?;
        self.order_is_exact("<", less, std::slice::from_ref(&expr), node.span)?;
        let nulls_first = o.nulls_first.unwrap_or(o.descending);
        Ok(Order { expr, less, descending: o.descending, nulls_first })
    }

    pub(super) fn equality_of(&self, ty: &ColumnType, span: Span) -> Bound<&'static Function> {
        self.comparison("=", &ty.ty, &ty.ty, span)
    }

    fn limit(&self, node: &Node) -> Bound<u64> {
        match &node.kind {
            NodeKind::Number(n) if n.parse::<u64>().is_ok() => Ok(n.parse().unwrap_or(u64::MAX)),
            NodeKind::Null => Ok(u64::MAX),
            _ => Err(self.error(codes::UNSUPPORTED, node.span, "LIMIT takes a number here").help("write LIMIT 1")),
        }
    }

    /// Beside an aggregate no column of the subquery's own tables stands alone.
    pub(super) fn only_aggregated(&self, items: &[Shape]) -> Bound<()> {
        let own = self.own_sources();
        for item in items {
            let mut alone = false;
            item.expr().columns(&mut |source, _| alone |= own.contains(&source));
            if alone {
                let message = "a column stands beside an aggregate, and there is no GROUP BY";
                return Err(self
                    .error(codes::AGGREGATE, item.expr().span, message)
                    .help("put the column into an aggregate, or leave the aggregate out"));
            }
        }
        Ok(())
    }

    /// The same for aggregates that look at the order of rows.
    pub(super) fn total_in_calls(&self, conjuncts: &Conjuncts, calls: &[AggregateCall]) {
        let own = self.own_sources();
        if conjuncts.determined(self, &own, &[]).is_none() {
            return;
        }
        for call in calls {
            let looks = call.aggregate.ordered || call.aggregate.ties_differ(&call.arg_types);
            let told = |a: &Expr| matches!(a.kind, ExprKind::Constant(_)) || told_by(&call.order, a);
            if let (Some(last), None, true) = (call.order.last(), call.distinct, looks && !call.args.iter().all(told)) {
                self.total(conjuncts, &own, &call.order, last.expr.span);
            }
        }
    }

    /// DISTINCT keeps one of equal values, and does not say which.
    pub(super) fn one_text(&self, ty: &ColumnType, span: Span) -> Bound<()> {
        if !equal_may_differ(&ty.ty, ty.typmod) {
            return Ok(());
        }
        let message = "DISTINCT may meet equal values that are written differently, and keep any";
        Err(self
            .error(codes::NOT_EXACT, span, message)
            .help("cast to a type with one text for one value: a numeric to numeric(p, s), a char to text"))
    }

    /// Whether no row that is found has NULL there.
    fn never_null(&self, source: u16, column: u16) -> bool {
        let sources = self.sources.borrow();
        let of = &sources[usize::from(source)];
        of.table.columns[usize::from(column)].not_null || of.not_null.contains(&column)
    }

    /// Warns where rows of one order would be told apart by chance.
    fn total(&self, conjuncts: &Conjuncts, own: &[u16], order: &[Order], span: Span) {
        let start: Vec<(u16, u16)> = order
            .iter()
            // A unique index takes NULL as often as it comes.
            .filter(|o| !o.expr.nullable)
            .filter_map(|o| match o.expr.kind {
                // Several rows may have NULL in a unique index.
                ExprKind::Column { source, column } if self.never_null(source, column) => Some((source, column)),
                _ => None,
            })
            .collect();
        if let Some(missing) = conjuncts.determined(self, own, &start) {
            let finding = self
                .warning(codes::ORDER_NOT_TOTAL, span, "rows with equal ORDER BY values have no order of their own")
                .help(format!("add {missing} to the ORDER BY; until then they stand in the order of their keys, and PostgreSQL may answer otherwise"));
            self.warnings.borrow_mut().push(finding);
        }
    }
}

/// Whether rows that the order does not tell apart have the same value, in every byte.
fn told_by(order: &[Order], value: &Expr) -> bool {
    !equal_may_differ(&value.ty.ty, value.ty.typmod) && order.iter().any(|o| alike(&o.expr, value))
}

/// The same expression, wherever it is written.
pub(super) fn alike(a: &Expr, b: &Expr) -> bool {
    fn without_spans(expr: &Expr) -> String {
        let text = format!("{:?}", expr.kind);
        let mut parts = text.split("span: Span {");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |all, part| all + part.split_once('}').map_or(part, |(_, rest)| rest))
    }
    without_spans(a) == without_spans(b)
}

fn mentions(expr: &Expr, source: u16) -> bool {
    let mut met = false;
    expr.columns(&mut |s, _| met |= s == source);
    met
}

/// Whether every source of the expression is there; those inside its subqueries are found when they are wanted.
fn within(expr: &Expr, placed: &[u16]) -> bool {
    let mut inner = Vec::new();
    expr.visit(&mut Inner(&mut inner));
    let mut all = true;
    expr.columns(&mut |s, _| all &= placed.contains(&s) || inner.contains(&s));
    all
}

fn decidable(on: &[Expr], placed: &[u16], own: u16) -> bool {
    let with: Vec<u16> = placed.iter().copied().chain([own]).collect();
    on.iter().all(|c| within(c, &with))
}

/// The sources that subqueries bring with them.
struct Inner<'v>(&'v mut Vec<u16>);

impl crate::transform::walk::Visitor for Inner<'_> {
    fn link(&mut self, source: u16, _: &crate::transform::plan::Link) {
        self.0.push(source);
    }
}

pub(super) fn all_of(mut conditions: Vec<Expr>, span: Span) -> Option<Expr> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(logic(ExprKind::And(conditions), span)),
    }
}

/// What an array of the type's values is.
pub(super) fn array_of(ty: &ColumnType) -> ColumnType {
    match &ty.ty {
        // An array of arrays has one dimension more and the same type.
        Type::Array(_) => ColumnType::plain(ty.ty.clone()),
        element => ColumnType::plain(Type::Array(Arc::new(element.clone()))),
    }
}
