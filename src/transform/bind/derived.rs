//! Subqueries in FROM, and WITH: rewritten to joins and correlated subqueries wherever that gives the same answer.
//!
//! - A plain SELECT becomes part of the FROM around it.
//! - Groups that ON finds by all their columns become correlated aggregates; without a group there is no row.
//! - LATERAL with LIMIT 1 or aggregates becomes a correlated subquery for each of its columns.

use super::expression::logic;
use super::link::Conjuncts;
use super::query::Joined;
use super::scope::{Derived, Hidden};
use super::{Binder, Bound, codes};
use crate::catalogue::Type;
use crate::diagnostic::Span;
use crate::transform::parse::ast::{FromItem, Item, Name, Node, NodeKind, Select};
use crate::transform::plan::{Answer, Block, Expr, ExprKind, KeyForm, Shape, Subquery};

const BY_HAND: &str = "join its tables directly, or write it as a correlated subquery among the outputs";

impl Binder<'_> {
    /// Binds a subquery of FROM into the innermost block. Gives what it adds to the joins. `hidden` is what its body does not
    /// see of the blocks around it.
    pub(super) fn derived(
        &self,
        item: &FromItem,
        select: &Select,
        left: bool,
        on: Option<&Node>,
        hidden: Hidden,
    ) -> Bound<Vec<Joined>> {
        let Some(alias) = &item.alias else {
            return Err(self
                .error(codes::SYNTAX, item.span, "subquery in FROM must have an alias")
                .help("write AS name behind it"));
        };
        let before = self.instance.replace(self.sources.borrow().len() as u32 + 1 + self.instance.get() * 64);
        let ctes = self.enter(select);
        let grouped = !select.group_by.is_empty();
        let bound = if grouped {
            self.groups(item, select, alias, left, on, hidden)
        } else if item.lateral && (select.limit.is_some() || aggregates(select)) {
            self.lateral(select, alias, left, on)
        } else {
            self.flattened(item, select, alias, left, on, hidden)
        };
        self.ctes.borrow_mut().truncate(ctes);
        self.instance.set(before);
        bound
    }

    fn flattened(
        &self,
        item: &FromItem,
        select: &Select,
        alias: &Name,
        left: bool,
        on: Option<&Node>,
        hidden: Hidden,
    ) -> Bound<Vec<Joined>> {
        let refused = [
            (select.distinct, "DISTINCT"),
            (select.having.is_some(), "HAVING"),
            (select.limit.is_some(), "LIMIT"),
            (aggregates(select), "an aggregate"),
        ];
        if let Some((_, what)) = refused.iter().find(|(there, _)| *there) {
            let message = format!("{what} in a subquery of FROM is not supported");
            return Err(self.error(codes::UNSUPPORTED, item.span, message).help(BY_HAND));
        }
        let seen = self.hide(hidden);
        self.push_frame();
        let inner = self.plain(select, left, item.span);
        let frame = self.pop_frame();
        self.show(seen);
        self.with_frame(|f| {
            f.sources.extend(&frame.sources);
            f.unnamed.extend(frame.sources);
        });
        let (mut joined, filter, columns) = inner?;
        self.add_derived(Derived { alias: alias.text.clone(), columns }, alias)?;
        let on = on.map(|on| self.conjuncts(on, "JOIN/ON")).transpose()?.unwrap_or_default();
        if !left {
            self.imply(&on);
        }
        if let Some(first) = joined.first_mut() {
            first.on.extend(filter);
            first.on.extend(on);
        }
        Ok(joined)
    }

    /// The parts of a SELECT without groups, in a frame of its own.
    #[allow(clippy::type_complexity)]
    fn plain(&self, select: &Select, left: bool, span: Span) -> Bound<(Vec<Joined>, Vec<Expr>, Vec<(String, Shape)>)> {
        let mut joined = self.from(select)?;
        let filter = select.filter.as_ref().map(|n| self.conjuncts(n, "WHERE")).transpose()?.unwrap_or_default();
        self.imply(&filter);
        if !left {
            return Ok((joined, filter, self.named(select, None)?));
        }
        let [only] = joined.as_mut_slice() else {
            return Err(self
                .error(codes::UNSUPPORTED, span, "LEFT JOIN with a subquery over several tables is not supported")
                .help("LEFT JOIN the tables one after the other, with the subquery's conditions in ON"));
        };
        only.left = true;
        let found = {
            let mut sources = self.sources.borrow_mut();
            let source = &mut sources[usize::from(only.source)];
            source.left = true;
            source.not_null.clear();
            source.table.columns.iter().position(|c| c.not_null && !c.generated)
        };
        let found = found.map(|place| {
            let sources = self.sources.borrow();
            let column = &sources[usize::from(only.source)].table.columns[place];
            let kind = ExprKind::Column { source: only.source, column: place as u16 };
            let expr = Box::new(Expr { kind, ty: column.ty.clone(), nullable: true, span });
            logic(ExprKind::IsNull { expr, negated: true }, span)
        });
        let Some(found) = found else {
            return Err(self
                .error(codes::UNSUPPORTED, span, "the table of this subquery has no NOT NULL column")
                .help("declare its key NOT NULL: whether a row was found is told by it"));
        };
        let columns = self.named(select, Some((only.source, &found)))?;
        Ok((joined, filter, columns))
    }

    /// The outputs by name; with `found`, NULL where no row of that source was found.
    fn named(&self, select: &Select, found: Option<(u16, &Expr)>) -> Bound<Vec<(String, Shape)>> {
        let mut columns = Vec::new();
        for item in &select.items {
            let Some(name) = item.alias.as_ref().or_else(|| super::output::own_name(&item.expr)) else {
                return Err(self
                    .error(codes::OUTPUT_NAME, item.expr.span, "this output has no name")
                    .help("write AS name behind it"));
            };
            let shape = self.shape(&item.expr)?;
            // Its own columns are NULL by themselves; those of the tables around a LATERAL are not.
            let own = |of: u16| matches!(&shape, Shape::Scalar(Expr { kind: ExprKind::Column { source, .. }, .. }) if *source == of);
            let shape = match found {
                Some((source, found)) if !own(source) => Shape::Scalar(when(found, shape.expr().clone())),
                _ => shape,
            };
            columns.push((name.text.clone(), shape));
        }
        Ok(columns)
    }

    /// `JOIN (SELECT k, count(*) … GROUP BY k) s ON s.k = outer.column`
    fn groups(
        &self,
        item: &FromItem,
        select: &Select,
        alias: &Name,
        left: bool,
        on: Option<&Node>,
        hidden: Hidden,
    ) -> Bound<Vec<Joined>> {
        if select.distinct || select.having.is_some() || select.limit.is_some() {
            return Err(self
                .error(codes::UNSUPPORTED, item.span, "DISTINCT, HAVING and LIMIT beside GROUP BY are not supported")
                .help(BY_HAND));
        }
        let mut wanted = Vec::new();
        for (name, outer) in on.map_or(Ok(Vec::new()), |on| self.keys_in_on(on, alias))? {
            wanted.push((name, self.expression(outer)?, outer.span));
        }
        let seen = self.hide(hidden);
        self.push_frame();
        let inner = self.group_columns(item, select, left, wanted);
        self.pop_frame();
        self.show(seen);
        let (columns, exists) = inner?;
        self.add_derived(Derived { alias: alias.text.clone(), columns }, alias)?;
        if !left {
            self.with_frame(|f| f.conditions.push(exists));
        }
        Ok(Vec::new())
    }

    /// ON as `alias.name = expression AND …`.
    fn keys_in_on<'n>(&self, on: &'n Node, alias: &Name) -> Bound<Vec<(&'n str, &'n Node)>> {
        let column = |n: &'n Node| match &n.kind {
            NodeKind::Column(names) => match names.as_slice() {
                [of, name] if of.text == alias.text => Some(name.text.as_str()),
                _ => None,
            },
            _ => None,
        };
        match &on.kind {
            NodeKind::And(a, b) => {
                let mut all = self.keys_in_on(a, alias)?;
                all.extend(self.keys_in_on(b, alias)?);
                Ok(all)
            }
            NodeKind::Operator { symbol, left: Some(l), right: r, .. } if symbol == "=" => {
                match (column(l), column(r)) {
                    (Some(name), None) => Ok(vec![(name, r)]),
                    (None, Some(name)) => Ok(vec![(name, l)]),
                    _ => Err(self.only_keys(on, alias)),
                }
            }
            _ => Err(self.only_keys(on, alias)),
        }
    }

    fn only_keys(&self, on: &Node, alias: &Name) -> crate::diagnostic::Diagnostic {
        let message = format!("groups are joined by their columns alone: ON {}.column = …", alias.text);
        self.error(codes::UNSUPPORTED, on.span, message).help("put further conditions into the subquery, or into WHERE")
    }

    #[allow(clippy::type_complexity)]
    fn group_columns(
        &self,
        item: &FromItem,
        select: &Select,
        left: bool,
        wanted: Vec<(&str, Expr, Span)>,
    ) -> Bound<(Vec<(String, Shape)>, Expr)> {
        let joined = self.from(select)?;
        let mut filter = select.filter.as_ref().map(|n| self.conjuncts(n, "WHERE")).transpose()?.unwrap_or_default();
        self.imply(&filter);
        let keys = select.group_by.iter().map(|k| self.group_key(k, select)).collect::<Bound<Vec<_>>>()?;
        self.with_frame(|f| f.aggregates = Some(Vec::new()));
        // The outputs, and which of them are keys.
        let mut outputs = Vec::new();
        for output in &select.items {
            let Some(name) = output.alias.as_ref().or_else(|| super::output::own_name(&output.expr)) else {
                return Err(self
                    .error(codes::OUTPUT_NAME, output.expr.span, "this output has no name")
                    .help("write AS name behind it"));
            };
            let expr = self.shape(&output.expr)?.expr().clone();
            let key = keys.iter().position(|k| super::query::alike(k, &expr));
            outputs.push((name.text.clone(), expr, key));
        }
        let calls = self.with_frame(|f| f.aggregates.take()).flatten().unwrap_or_default();
        let mut found = vec![None; keys.len()];
        for (name, outer, span) in wanted {
            let Some((_, _, Some(key))) = outputs.iter().find(|(n, ..)| n == name) else {
                let message = format!("{name} is no column of GROUP BY");
                return Err(self.error(codes::UNSUPPORTED, span, message).help("join groups by their columns"));
            };
            let (mine, outer, f) = self.equality(keys[*key].clone(), outer, span)?;
            let same = mine.ty.ty == outer.ty.ty && super::link::form(&mine.ty.ty, &outer.ty.ty) == Some(KeyForm::Text);
            let integers =
                [&mine.ty.ty, &outer.ty.ty].iter().all(|t| matches!(t, Type::Int2 | Type::Int4 | Type::Int8));
            found[*key] = match (same, integers) {
                (true, _) => Some(Some(outer.clone())),
                // The value is any row's of the group.
                (false, true) => Some(None),
                (false, false) => None,
            };
            filter.push(super::coerce::call(
                f,
                vec![mine, outer],
                crate::catalogue::ColumnType::plain(Type::Bool),
                span,
            ));
        }
        let by_all = filter.len() >= keys.len() && keys.len() == found.iter().filter(|f| f.is_some()).count();
        if !by_all {
            let message = "ON equates not every column of GROUP BY, or one of a type with several texts for one value";
            return Err(self
                .error(codes::UNSUPPORTED, item.span, message)
                .help("join the groups by all their columns, or write a correlated subquery among the outputs"));
        }
        let conjuncts = Conjuncts::new(&joined, &filter, &[]);
        let block = self.block(joined, &[], filter, &conjuncts)?;
        self.total_in_calls(&conjuncts, &calls);
        let exists = subquery(&block, Answer::Exists, Type::Bool, false, item.span);
        let mut columns = Vec::new();
        for (name, expr, key) in outputs {
            let value = match key {
                Some(key) => match found[key].clone().flatten() {
                    Some(outer) => relabelled(outer, &expr),
                    None => {
                        let ty = expr.ty.clone();
                        let answer = Answer::Scalar { item: expr, order: Vec::new(), first: true };
                        Expr { ty, ..subquery(&block, answer, Type::Bool, left, item.span) }
                    }
                },
                None => {
                    self.only_aggregated(&[Shape::Scalar(expr.clone())])?;
                    let (ty, nullable) = (expr.ty.clone(), expr.nullable);
                    let answer = Answer::Aggregates { calls: calls.clone(), item: expr };
                    Expr { ty, ..subquery(&block, answer, Type::Bool, nullable, item.span) }
                }
            };
            let value = if left { when(&exists, value) } else { value };
            columns.push((name, Shape::Scalar(value)));
        }
        Ok((columns, exists))
    }

    /// A name in GROUP BY is a column's before it is an output's.
    fn group_key(&self, key: &Node, select: &Select) -> Bound<Expr> {
        let bound = self.expression(key);
        match (&bound, &key.kind) {
            (Err(finding), NodeKind::Column(names)) if finding.code == codes::UNKNOWN_COLUMN && names.len() == 1 => {
                let named = |i: &&Item| i.alias.as_ref().is_some_and(|a| a.text == names[0].text);
                select.items.iter().find(named).map_or(bound, |i| self.expression(&i.expr))
            }
            _ => bound,
        }
    }

    /// LATERAL with one row at most: each column a correlated subquery.
    fn lateral(&self, select: &Select, alias: &Name, left: bool, on: Option<&Node>) -> Bound<Vec<Joined>> {
        if let Some(on) = on.filter(|on| !matches!(on.kind, NodeKind::Bool(true))) {
            return Err(self
                .error(codes::UNSUPPORTED, on.span, "this LATERAL is joined ON true only")
                .help("put the condition into the subquery's WHERE"));
        }
        let bound = self.select(select, None)?;
        if bound.calls.is_empty() && bound.limit != Some(1) || bound.distinct.is_some() {
            return Err(self
                .error(codes::UNSUPPORTED, select.span, "LATERAL is supported with LIMIT 1, with aggregates, or plain")
                .help(BY_HAND));
        }
        let mut columns = Vec::new();
        for (item, shape) in select.items.iter().zip(&bound.items) {
            let Some(name) = item.alias.as_ref().or_else(|| super::output::own_name(&item.expr)) else {
                return Err(self
                    .error(codes::OUTPUT_NAME, item.expr.span, "this output has no name")
                    .help("write AS name behind it"));
            };
            let expr = shape.expr().clone();
            let (ty, nullable) = (expr.ty.clone(), expr.nullable);
            let (answer, nullable) = if bound.calls.is_empty() {
                (Answer::Scalar { item: expr, order: bound.order.clone(), first: true }, left || nullable)
            } else {
                (Answer::Aggregates { calls: bound.calls.clone(), item: expr }, nullable)
            };
            let value = Expr { ty, ..subquery(&bound.block, answer, Type::Bool, nullable, item.expr.span) };
            columns.push((name.text.clone(), Shape::Scalar(value)));
        }
        self.add_derived(Derived { alias: alias.text.clone(), columns }, alias)?;
        if !left && bound.calls.is_empty() {
            let exists = subquery(&bound.block, Answer::Exists, Type::Bool, false, select.span);
            self.with_frame(|f| f.conditions.push(exists));
        }
        Ok(Vec::new())
    }
}

/// The value with the type that the column has.
fn relabelled(value: Expr, like: &Expr) -> Expr {
    if value.ty.ty == like.ty.ty {
        return value;
    }
    let (nullable, span) = (value.nullable, value.span);
    Expr { kind: ExprKind::Relabel(Box::new(value)), ty: like.ty.clone(), nullable, span }
}

fn subquery(block: &Block, answer: Answer, ty: Type, nullable: bool, span: Span) -> Expr {
    let kind = ExprKind::Subquery(Box::new(Subquery { block: block.clone(), answer }));
    Expr { kind, ty: crate::catalogue::ColumnType::plain(ty), nullable, span }
}

/// `CASE WHEN condition THEN value END`
fn when(condition: &Expr, value: Expr) -> Expr {
    let (ty, span) = (value.ty.clone(), value.span);
    let kind = ExprKind::Case { branches: vec![(condition.clone(), value)], otherwise: None };
    Expr { kind, ty, nullable: true, span }
}

/// Whether an aggregate stands among the outputs.
fn aggregates(select: &Select) -> bool {
    fn within(node: &Node) -> bool {
        let own =
            matches!(&node.kind, NodeKind::Call { name, .. } if crate::transform::aggregate::is_aggregate(&name.text));
        let mut any = own;
        node.children(&mut |n| any |= within(n));
        any
    }
    select.items.iter().any(|i| within(&i.expr))
}
