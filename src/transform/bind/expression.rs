//! Expressions: each node of the syntax tree becomes a typed one.

use super::coerce::{call, constant};
use super::{Binder, Bound, codes, resolve, types};
use crate::catalogue::{ColumnType, Type};
use crate::datum::Value;
use crate::diagnostic::Span;
use crate::transform::aggregate::is_aggregate;
use crate::transform::function::{Function, Kind};
use crate::transform::parse::ast::{Node, NodeKind};
use crate::transform::plan::{Expr, ExprKind};

impl Binder<'_> {
    pub(super) fn expression(&self, node: &Node) -> Bound<Expr> {
        let span = node.span;
        match &node.kind {
            NodeKind::Column(names) => self.column(names, span),
            NodeKind::Number(digits) => self.number(digits, span),
            NodeKind::Text(text) => Ok(self.text(text, span)),
            NodeKind::Bool(b) => Ok(constant(Value::Bool(*b), ColumnType::plain(Type::Bool), span)),
            NodeKind::Null => Ok(constant(Value::Null, ColumnType::plain(Type::Unknown), span)),
            NodeKind::Operator { symbol, at, left, right } => {
                if let Some(left) = left
                    && let Some(rows) = self.row_comparison(symbol, left, right, span)?
                {
                    return Ok(rows);
                }
                let mut args = Vec::new();
                if let Some(left) = left {
                    args.push(self.expression(left)?);
                }
                args.push(self.expression(right)?);
                self.operator(symbol, *at, args, span)
            }
            NodeKind::And(left, right) => {
                let args = self.junction(left, right, "AND")?;
                Ok(logic(ExprKind::And(args), span))
            }
            NodeKind::Or(left, right) => {
                let args = self.junction(left, right, "OR")?;
                Ok(logic(ExprKind::Or(args), span))
            }
            NodeKind::Not(inner) => {
                let inner = self.expression(inner)?;
                let inner = self.boolean(inner, "NOT")?;
                Ok(logic(ExprKind::Not(Box::new(inner)), span))
            }
            NodeKind::IsNull { expr, negated } => {
                let expr = self.expression(expr)?;
                let expr = Box::new(self.settle(expr)?);
                if let Type::Composite(_) = expr.ty.ty {
                    return Err(self
                        .error(
                            codes::NOT_EXACT,
                            span,
                            "IS NULL of a composite value looks at its fields; it is not supported",
                        )
                        .help("test a plain column"));
                }
                Ok(logic(ExprKind::IsNull { expr, negated: *negated }, span))
            }
            NodeKind::IsBool { expr, value, negated } => {
                let expr = self.expression(expr)?;
                let expr = Box::new(self.boolean(expr, "IS")?);
                Ok(logic(ExprKind::IsBool { expr, value: *value, negated: *negated }, span))
            }
            NodeKind::IsDistinct { left, right, negated } => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                let (left, right, equal) = self.equality(left, right, span)?;
                let (left, right) = (Box::new(left), Box::new(right));
                Ok(logic(ExprKind::IsDistinct { left, right, equal, negated: *negated }, span))
            }
            NodeKind::In { expr, list, negated } if matches!(expr.kind, NodeKind::Row(_)) => {
                self.row_in(expr, list, *negated, span)
            }
            NodeKind::In { expr, list, negated } => self.in_list(expr, list, *negated, span),
            NodeKind::Between { expr, low, high, negated, symmetric } => {
                let expr = self.expression(expr)?;
                let (low, high) = (self.expression(low)?, self.expression(high)?);
                let range = |low: &Expr, high: &Expr| {
                    let symbols = if *negated { ["<", ">"] } else { [">=", "<="] };
                    let first = self.operator(symbols[0], span, vec![expr.clone(), low.clone()], span)?;
                    let second = self.operator(symbols[1], span, vec![expr.clone(), high.clone()], span)?;
                    let both = vec![first, second];
                    Ok(logic(if *negated { ExprKind::Or(both) } else { ExprKind::And(both) }, span))
                };
                let forth = range(&low, &high)?;
                if !symmetric {
                    return Ok(forth);
                }
                let both = vec![forth, range(&high, &low)?];
                Ok(logic(if *negated { ExprKind::And(both) } else { ExprKind::Or(both) }, span))
            }
            NodeKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), span)
            }
            NodeKind::Coalesce(args) => {
                let args = self.expressions(args)?;
                let (args, ty) = self.common(args, "COALESCE", span)?;
                let nullable = args.iter().all(|a| a.nullable);
                Ok(Expr { kind: ExprKind::Coalesce(args), ty, nullable, span })
            }
            NodeKind::NullIf(left, right) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                let (left, right, equal) = self.equality(left, right, span)?;
                let ty = left.ty.clone();
                let (left, right) = (Box::new(left), Box::new(right));
                Ok(Expr { kind: ExprKind::NullIf { left, right, equal }, ty, nullable: true, span })
            }
            NodeKind::Extreme { greatest, args } => {
                let args = self.expressions(args)?;
                let word = if *greatest { "GREATEST" } else { "LEAST" };
                let (args, ty) = self.common(args, word, span)?;
                let symbol = if *greatest { ">" } else { "<" };
                let wins = self.comparison(symbol, &ty.ty, &ty.ty, span)?;
                self.order_is_exact(symbol, wins, &args, span)?;
                let nullable = args.iter().all(|a| a.nullable);
                Ok(Expr { kind: ExprKind::Extreme { args, wins }, ty, nullable, span })
            }
            NodeKind::Cast { expr, ty } => {
                let ty = self.named_type(ty)?;
                let expr = self.expression(expr)?;
                self.cast(expr, &ty, span)
            }
            NodeKind::Collate { expr, collation } => {
                let expr = self.expression(expr)?;
                let expr = self.settle(expr)?;
                self.collate(expr, collation, span)
            }
            NodeKind::Call { schema, name, args, aggregation } => {
                let ours = schema.as_ref().is_none_or(|s| s.text == "pg_catalog");
                if ours && is_aggregate(&name.text) {
                    return self.aggregate(name, args, aggregation.as_deref(), span);
                }
                if aggregation.is_some() {
                    let message = format!("{} is no aggregate", name.text);
                    return Err(self
                        .error(codes::AGGREGATE, span, message)
                        .help("DISTINCT, ORDER BY, FILTER and * belong to aggregates"));
                }
                let args = self.expressions(args)?;
                self.function(schema.as_ref(), name, args, span)
            }
            NodeKind::Subquery(select) => self.scalar(select, span),
            NodeKind::Exists(select) => self.exists(select, span),
            NodeKind::InSelect { expr, select, negated } => self.in_select(expr, select, *negated, false, span),
            NodeKind::ArraySelect(select) => self.array_select(select, span),
            NodeKind::Array(items) => self.array(items, span),
            NodeKind::Row(_) => Err(self.no_row(span)),
            NodeKind::AnyAll { expr, symbol, all, array } => self.any_all(expr, symbol, *all, array, span),
            NodeKind::Subscript { expr, index } => self.subscript(expr, index, span),
        }
    }

    fn expressions(&self, nodes: &[Node]) -> Bound<Vec<Expr>> {
        nodes.iter().map(|n| self.expression(n)).collect()
    }

    fn junction(&self, left: &Node, right: &Node, word: &str) -> Bound<Vec<Expr>> {
        let mut args = Vec::new();
        for node in [left, right] {
            let expr = self.expression(node)?;
            let expr = self.boolean(expr, word)?;
            match (word, expr.kind) {
                ("AND", ExprKind::And(inner)) | ("OR", ExprKind::Or(inner)) => args.extend(inner),
                (_, kind) => args.push(Expr { kind, ..expr }),
            }
        }
        Ok(args)
    }

    /// `coerce_to_boolean`.
    pub(super) fn boolean(&self, expr: Expr, word: &str) -> Bound<Expr> {
        match expr.ty.ty {
            Type::Bool => Ok(expr),
            Type::Unknown => self.coerce_implicit(expr, &Type::Bool),
            _ => {
                let message =
                    format!("argument of {word} must be type boolean, not type {}", types::sql_name(&expr.ty.ty));
                Err(self.error(codes::TYPE_MISMATCH, expr.span, message).help("write a comparison"))
            }
        }
    }

    pub(super) fn operator(&self, symbol: &str, at: Span, args: Vec<Expr>, span: Span) -> Bound<Expr> {
        let arg_types: Vec<Type> = args.iter().map(|a| a.ty.ty.clone()).collect();
        let f = self.chosen(Kind::Operator, symbol, &arg_types, at)?;
        let args = self.fit(f, args)?;
        self.usable(f, at)?;
        self.order_is_exact(symbol, f, &args, span)?;
        self.elements_are_exact(f, &args, at)?;
        let mut ty = self.returned(f, &args);
        if types::is_text(types::element(&ty.ty)) {
            ty.collation = self.merged_collation(&args, span)?;
        }
        Ok(call(f, args, ty, span))
    }

    /// The operator's overload, or PostgreSQL's words for that there is none.
    fn chosen(&self, kind: Kind, symbol: &str, args: &[Type], at: Span) -> Bound<&'static Function> {
        resolve::resolve(kind, symbol, args).map_err(|e| {
            let names: Vec<String> = args.iter().map(types::sql_name).collect();
            let shown = match names.as_slice() {
                [left, right] => format!("{left} {symbol} {right}"),
                _ => format!("{symbol} {}", names.join(", ")),
            };
            let message = match e {
                resolve::Unresolved::None => format!("operator does not exist: {shown}"),
                resolve::Unresolved::Ambiguous => format!("operator is not unique: {shown}"),
            };
            self.error(codes::TYPE_MISMATCH, at, message).help("an explicit cast may help")
        })
    }

    pub(super) fn comparison(&self, symbol: &str, left: &Type, right: &Type, span: Span) -> Bound<&'static Function> {
        let f = self.chosen(Kind::Operator, symbol, &[left.clone(), right.clone()], span)?;
        self.usable(f, span)?;
        Ok(f)
    }

    /// Both sides as the `=` of their types wants them.
    pub(super) fn equality(&self, left: Expr, right: Expr, span: Span) -> Bound<(Expr, Expr, &'static Function)> {
        let f = self.comparison("=", &left.ty.ty, &right.ty.ty, span)?;
        let mut args = self.fit(f, vec![left, right])?;
        self.order_is_exact("=", f, &args, span)?;
        match (args.pop(), args.pop()) {
            (Some(right), Some(left)) => Ok((left, right, f)),
            _ => Err(self.error(codes::TYPE_MISMATCH, span, "= takes two sides")),
        }
    }

    /// `transformAExprIn`: constants of a list have one type together with the left side, columns each their own `=`.
    fn in_list(&self, expr: &Node, list: &[Node], negated: bool, span: Span) -> Bound<Expr> {
        let left = self.expression(expr)?;
        let mut items = self.expressions(list)?;
        let plain = |e: &Expr| {
            let mut columns = false;
            e.columns(&mut |_, _| columns = true);
            !columns
        };
        if items.iter().filter(|e| plain(e)).count() > 1 {
            let mut args = vec![&left.ty.ty];
            args.extend(items.iter().filter(|e| plain(e)).map(|e| &e.ty.ty));
            if let Ok(ty) = resolve::common_type(&args) {
                for item in items.iter_mut().filter(|e| plain(e)) {
                    let taken = item.clone();
                    *item = self.coerce_implicit(taken, &ty)?;
                }
            }
        }
        let mut bound = Vec::new();
        for item in items {
            bound.push(self.equality(left.clone(), item, span)?);
        }
        let one_left = bound.windows(2).all(|w| types::same(&w[0].0.ty.ty, &w[1].0.ty.ty));
        let nullable = bound.iter().any(|(l, r, _)| l.nullable || r.nullable);
        if let (true, Some((first, ..))) = (one_left, bound.first()) {
            let expr = Box::new(first.clone());
            let list = bound.into_iter().map(|(_, r, f)| (r, f)).collect();
            let ty = ColumnType::plain(Type::Bool);
            return Ok(Expr { kind: ExprKind::In { expr, list, negated }, ty, nullable, span });
        }
        let each = |(l, r, f)| call(f, vec![l, r], ColumnType::plain(Type::Bool), span);
        let any = logic(ExprKind::Or(bound.into_iter().map(each).collect()), span);
        Ok(if negated { logic(ExprKind::Not(Box::new(any)), span) } else { any })
    }

    fn case(
        &self,
        operand: Option<&Node>,
        branches: &[(Node, Node)],
        otherwise: Option<&Node>,
        span: Span,
    ) -> Bound<Expr> {
        let operand = match operand {
            Some(node) => {
                let operand = self.expression(node)?;
                Some(self.settle(operand)?)
            }
            None => None,
        };
        let mut whens = Vec::new();
        // The type is looked for from ELSE on, as PostgreSQL does.
        let mut results = Vec::new();
        results.push(match otherwise {
            Some(node) => self.expression(node)?,
            None => constant(Value::Null, ColumnType::plain(Type::Unknown), span),
        });
        for (when, then) in branches {
            let test = self.expression(when)?;
            whens.push(match &operand {
                Some(operand) => self.operator("=", when.span, vec![operand.clone(), test], when.span)?,
                None => self.boolean(test, "CASE/WHEN")?,
            });
            results.push(self.expression(then)?);
        }
        let (mut results, ty) = self.common(results, "CASE", span)?;
        let nullable = results.iter().any(|r| r.nullable);
        let otherwise = Some(Box::new(results.remove(0)));
        let branches = whens.into_iter().zip(results).collect();
        Ok(Expr { kind: ExprKind::Case { branches, otherwise }, ty, nullable, span })
    }

    /// All of one type, and that type; the modifier is kept where all agree.
    pub(super) fn common(&self, args: Vec<Expr>, word: &str, span: Span) -> Bound<(Vec<Expr>, ColumnType)> {
        // A domain stays one only where all are of it.
        let domain = match args.split_first() {
            Some((first, rest)) if rest.iter().all(|a| a.ty.domain == first.ty.domain && a.ty.ty == first.ty.ty) => {
                first.ty.domain.clone()
            }
            _ => None,
        };
        let of: Vec<&Type> = args.iter().map(|a| &a.ty.ty).collect();
        let ty = resolve::common_type(&of).map_err(|(a, b)| {
            let message = format!("{word} types {} and {} cannot be matched", types::sql_name(&a), types::sql_name(&b));
            self.error(codes::TYPE_MISMATCH, span, message).help("cast them to one type")
        })?;
        let args = args.into_iter().map(|a| self.coerce_implicit(a, &ty)).collect::<Bound<Vec<_>>>()?;
        let typmod = match args.split_first() {
            Some((first, rest)) if rest.iter().all(|a| a.ty.typmod == first.ty.typmod) => first.ty.typmod,
            _ => -1,
        };
        let collation = self.merged_collation(&args, span)?;
        Ok((args, ColumnType { typmod, collation, domain, ..ColumnType::plain(ty) }))
    }
}

pub(super) fn logic(kind: ExprKind, span: Span) -> Expr {
    let nullable = match &kind {
        ExprKind::And(args) | ExprKind::Or(args) => args.iter().any(|a| a.nullable),
        ExprKind::Not(arg) => arg.nullable,
        _ => false,
    };
    Expr { kind, ty: ColumnType::plain(Type::Bool), nullable, span }
}
