//! Aggregate calls: which overload, in what order, and where they may stand.

use super::{Binder, Bound, codes, resolve, types};
use crate::catalogue::Type;
use crate::diagnostic::Span;
use crate::transform::aggregate::{self, Aggregate};
use crate::transform::parse::ast::{Aggregation, Name, Node};
use crate::transform::plan::{AggregateCall, Expr, ExprKind, Order};

impl Binder<'_> {
    pub(super) fn aggregate(
        &self,
        name: &Name,
        args: &[Node],
        aggregation: Option<&Aggregation>,
        span: Span,
    ) -> Bound<Expr> {
        self.may_aggregate(name)?;
        self.with_frame(|f| f.in_aggregate = true);
        let call = self.aggregate_call(name, args, aggregation, span);
        self.with_frame(|f| f.in_aggregate = false);
        let call = call?;
        let (ty, nullable) = (call.returns.clone(), !call.aggregate.never_null);
        let place = self.with_frame(|f| {
            let calls = f.aggregates.get_or_insert_default();
            calls.push(call);
            calls.len() as u16 - 1
        });
        Ok(Expr { kind: ExprKind::Aggregate(place.unwrap_or_default()), ty, nullable, span })
    }

    fn may_aggregate(&self, name: &Name) -> Bound<()> {
        let outermost = self.frames.borrow().len() == 1;
        let (allowed, nested) = self.with_frame(|f| (f.aggregates.is_some(), f.in_aggregate)).unwrap_or((false, false));
        let (message, help) = match (outermost, nested, allowed) {
            (true, ..) => (
                format!("{} is an aggregate: a record comes from one row of the root table", name.text),
                "write a correlated subquery: (SELECT count(*) FROM t WHERE t.root_id = root.id)",
            ),
            (_, true, _) => ("aggregate function calls cannot be nested".to_owned(), "aggregate once"),
            (_, _, false) => (
                format!("the aggregate {} may stand among the outputs of a subquery only", name.text),
                "compare the whole subquery instead: WHERE (SELECT …) > 1",
            ),
            _ => return Ok(()),
        };
        Err(self.error(codes::AGGREGATE, name.span, message).help(help))
    }

    fn aggregate_call(
        &self,
        name: &Name,
        args: &[Node],
        aggregation: Option<&Aggregation>,
        span: Span,
    ) -> Bound<AggregateCall> {
        let args = args.iter().map(|a| self.expression(a)).collect::<Bound<Vec<_>>>()?;
        let given: Vec<Type> = args.iter().map(|a| a.ty.ty.clone()).collect();
        let shown = || {
            let args: Vec<String> = given.iter().map(types::sql_name).collect();
            format!("{}({})", name.text, args.join(", "))
        };
        let aggregate = aggregate::resolve(&name.text, &given).map_err(|e| {
            let message = match e {
                resolve::Unresolved::None => format!("function {} does not exist", shown()),
                resolve::Unresolved::Ambiguous => format!("function {} is not unique", shown()),
            };
            self.error(codes::TYPE_MISMATCH, name.span, message).help("an explicit cast may help")
        })?;
        if let Err(instead) = aggregate.start {
            let message = format!("{} is not supported", shown());
            return Err(self.error(codes::NOT_EXACT, name.span, message).help(instead));
        }
        let fit = |(i, arg): (usize, Expr)| {
            let arg = match aggregate.args.get(i).and_then(|a| types::concrete(*a)) {
                Some(ty) => self.coerce_implicit(arg, &ty)?,
                None => self.settle(arg)?,
            };
            self.fold(arg)
        };
        let args = args.into_iter().enumerate().map(fit).collect::<Bound<Vec<_>>>()?;
        self.has_json(&name.text, &args)?;
        let arg_types: Vec<_> = args.iter().map(|a| a.ty.clone()).collect();
        let mut returns = aggregate.returned(&arg_types);
        if types::is_text(types::element(&returns.ty)) {
            returns.collation = self.merged_collation(&args, span)?;
        }
        let mut order = Vec::new();
        for o in aggregation.map_or(&[][..], |a| &a.order_by) {
            order.push(self.order_by(&o.expr, o)?);
        }
        let filter = match aggregation.and_then(|a| a.filter.as_deref()) {
            Some(filter) => super::query::all_of(self.conjuncts(filter, "FILTER")?, filter.span),
            None => None,
        };
        let distinct = aggregation.is_some_and(|a| a.distinct);
        self.order_settled(aggregate, &args, &order, distinct, name)?;
        let equal = match (distinct, args.first()) {
            (true, Some(first)) => {
                let equal = self.equality_of(&first.ty, span)?;
                if aggregate.name != "count" {
                    self.one_text(&first.ty, first.span)?;
                }
                self.distinct_order(aggregate, &args, &mut order, span)?;
                Some(equal)
            }
            (true, None) => {
                let message = "DISTINCT needs an argument";
                return Err(self.error(codes::AGGREGATE, span, message).help("write count(DISTINCT column)"));
            }
            (false, _) => None,
        };
        let around = order.iter().map(|o| &o.expr).chain(&filter);
        self.own_level(args.iter().chain(around), name)?;
        Ok(AggregateCall { aggregate, args, arg_types, returns, distinct: equal, order, filter })
    }

    /// What depends on the order of rows says the order.
    fn order_settled(
        &self,
        aggregate: &'static Aggregate,
        args: &[Expr],
        order: &[Order],
        distinct: bool,
        name: &Name,
    ) -> Bound<()> {
        let arg_types: Vec<_> = args.iter().map(|a| a.ty.clone()).collect();
        if let (Some(symbol), Some(first)) = (aggregate.sort, args.first()) {
            let less = self.comparison(symbol, &first.ty.ty, &first.ty.ty, name.span)?;
            self.order_is_exact(symbol, less, std::slice::from_ref(first), name.span)?;
            self.elements_are_exact(less, std::slice::from_ref(first), name.span)?;
        }
        if !order.is_empty() || (distinct && aggregate.ordered) {
            return Ok(());
        }
        if aggregate.ordered {
            let message = format!("the answer of {} depends on the order of rows", name.text);
            return Err(self
                .error(codes::AGGREGATE, name.span, message)
                .help(format!("write {}(… ORDER BY a unique column)", name.text)));
        }
        if aggregate.ties_differ(&arg_types) {
            let message = format!("{} may meet equal values that are written differently, and take any", name.text);
            return Err(self
                .error(codes::AGGREGATE, name.span, message)
                .help("cast a numeric to numeric(p, s); else say which comes first with ORDER BY in the parentheses"));
        }
        Ok(())
    }

    /// DISTINCT sorts by its argument, and an ORDER BY beside it can say no more than that.
    fn distinct_order(
        &self,
        aggregate: &'static Aggregate,
        args: &[Expr],
        order: &mut Vec<Order>,
        span: Span,
    ) -> Bound<()> {
        let Some((first, rest)) = args.split_first() else { return Ok(()) };
        if rest.iter().any(|a| !matches!(a.kind, ExprKind::Constant(_))) {
            let message = "DISTINCT over several arguments is supported where all but the first are constants";
            return Err(self.error(codes::AGGREGATE, span, message).help("make the delimiter a constant"));
        }
        match order.as_slice() {
            [] => {
                let less = self.comparison("<", &first.ty.ty, &first.ty.ty, span)?;
                if aggregate.ordered {
                    self.order_is_exact("<", less, std::slice::from_ref(first), span)?;
                }
                order.push(Order { expr: first.clone(), less, descending: false, nulls_first: false });
                Ok(())
            }
            [one] if super::query::alike(&one.expr, first) => Ok(()),
            _ => Err(self
                .error(
                    codes::AGGREGATE,
                    span,
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                )
                .help("order by the argument itself")),
        }
    }

    /// PostgreSQL gives an aggregate to the innermost SELECT whose columns it holds, in its arguments, ORDER BY or FILTER.
    fn own_level<'e>(&self, args: impl Iterator<Item = &'e Expr>, name: &Name) -> Bound<()> {
        let own = self.own_sources();
        let (mut any, mut ours) = (false, false);
        for arg in args {
            arg.columns(&mut |source, _| {
                any = true;
                ours |= own.contains(&source);
            });
        }
        if any && !ours {
            let message = format!("{} aggregates columns of the outer query only", name.text);
            return Err(self
                .error(codes::AGGREGATE, name.span, message)
                .help("aggregate a column of the subquery's own tables"));
        }
        Ok(())
    }
}
