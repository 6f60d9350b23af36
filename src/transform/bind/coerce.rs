//! Casts, written and implied; constants; and the types of the target's modifier (`parse_coerce.c`).

use std::borrow::Cow;

use super::{Binder, Bound, codes, resolve, types};
use crate::catalogue::{ColumnType, Type};
use crate::datum::input::InputError;
use crate::datum::{self, Value};
use crate::diagnostic::{Diagnostic, Span};
use crate::transform::function::{self, CastContext, Function, Kind};
use crate::transform::parse::ast::TypeName;
use crate::transform::plan::{Expr, ExprKind};

/// Casts without a function: the value is the same, only its type is another.
const RELABEL: &[(&str, &str)] = &[
    ("text", "varchar"),
    ("text", "bpchar"),
    ("varchar", "text"),
    ("varchar", "bpchar"),
    ("citext", "text"),
    ("citext", "varchar"),
    ("int4", "oid"),
    ("xml", "text"),
    ("xml", "varchar"),
    ("bit", "varbit"),
];

impl Binder<'_> {
    pub(super) fn number(&self, digits: &str, span: Span) -> Bound<Expr> {
        let (ty, value) = if let (false, Ok(n)) = (digits.contains(['.', 'e', 'E']), digits.parse::<i64>()) {
            (if i32::try_from(n).is_ok() { Type::Int4 } else { Type::Int8 }, Value::Int(n))
        } else {
            match datum::numeric::parse(digits) {
                Ok(n) => (Type::Numeric, Value::Numeric(n)),
                Err(e) => return Err(self.error(codes::CONSTANT, span, e.to_string())),
            }
        };
        Ok(constant(value, ColumnType::plain(ty), span))
    }

    pub(super) fn text(&self, text: &str, span: Span) -> Expr {
        constant(Value::Text(Cow::Owned(text.to_owned())), ColumnType::plain(Type::Unknown), span)
    }

    pub(super) fn named_type(&self, written: &TypeName) -> Bound<ColumnType> {
        types::resolve(written, self.catalogue).map_err(|e| match e {
            types::Unresolved::Unknown => self
                .error(codes::UNKNOWN_TYPE, written.span, format!("type \"{}\" does not exist", written.name))
                .help("user-defined types are known when a column of the used tables has them"),
            types::Unresolved::Modifier(why) => self.error(
                codes::UNKNOWN_TYPE,
                written.span,
                format!("this modifier of {} is not allowed: {why}", written.name),
            ),
            types::Unresolved::Domain(name) => self
                .error(codes::NOT_EXACT, written.span, format!("a cast to the domain {name} is not supported"))
                .help("cast to the domain's base type"),
        })
    }

    /// `expr::type`, `CAST(expr AS type)`, `type 'constant'`.
    pub(super) fn cast(&self, expr: Expr, target: &ColumnType, span: Span) -> Bound<Expr> {
        let Expr { span: inner, .. } = expr;
        let mut expr = self.convert(expr, &target.ty, CastContext::Explicit)?;
        if target.typmod >= 0 && (expr.ty.typmod != target.typmod || !types::same(&expr.ty.ty, &target.ty)) {
            expr = self.length(expr, target, inner)?;
        }
        expr.span = span;
        Ok(expr)
    }

    /// The length coercion: `T->T` with the modifier.
    fn length(&self, expr: Expr, target: &ColumnType, span: Span) -> Bound<Expr> {
        let Some(f) = function::cast(&target.ty, &target.ty) else {
            return Err(self.no_cast(
                &target.ty,
                &target.ty,
                span,
                "the modifier of this type is not supported in a cast",
            ));
        };
        self.usable(f, span)?;
        Ok(call(f, vec![expr], target.clone(), span))
    }

    pub(super) fn coerce_implicit(&self, expr: Expr, target: &Type) -> Bound<Expr> {
        self.convert(expr, target, CastContext::Implicit)
    }

    fn convert(&self, expr: Expr, target: &Type, context: CastContext) -> Bound<Expr> {
        let span = expr.span;
        if types::same(&expr.ty.ty, target) {
            return Ok(expr);
        }
        if expr.ty.ty == Type::Unknown {
            return self.constant_of(expr, target);
        }
        if let (ExprKind::Array(_), Type::Array(element)) = (&expr.kind, target) {
            return self.convert_items(expr, element, target, context);
        }
        let (from, to) = (types::name(&expr.ty.ty), types::name(target));
        if let (Type::Array(a), Type::Array(b)) = (&expr.ty.ty, target)
            && RELABEL.contains(&(types::name(a), types::name(b)))
        {
            return Ok(relabel(expr, target));
        }
        if let (Type::Array(a), Type::Array(b)) = (&expr.ty.ty, target)
            && let Some(cast) = function::cast(a, b)
            && (context == CastContext::Explicit || resolve::implicit_between(a, b))
        {
            self.usable(cast, span)?;
            let ty = ColumnType { collation: expr.ty.collation.clone(), ..ColumnType::plain(target.clone()) };
            let nullable = expr.nullable;
            return Ok(Expr { kind: ExprKind::ArrayCast { array: Box::new(expr), cast }, ty, nullable, span });
        }
        let found = match (&expr.ty.ty, target) {
            (Type::Other(_), _) | (_, Type::Other(_)) => {
                function::candidates(Kind::Cast(context), &format!("{from}->{to}")).first().copied()
            }
            (from, to) => function::cast(from, to),
        };
        let allowed = match context {
            CastContext::Implicit => resolve::implicit_between(&expr.ty.ty, target),
            _ => true,
        };
        if allowed && RELABEL.contains(&(from, to)) {
            return Ok(relabel(expr, target));
        }
        match found {
            Some(f) if allowed => {
                self.usable(f, span)?;
                let ty = ColumnType { collation: expr.ty.collation.clone(), ..ColumnType::plain(target.clone()) };
                Ok(call(f, vec![expr], ty, span))
            }
            _ => {
                let text = types::is_text(target) || types::is_text(&expr.ty.ty);
                let why = if text { "this cast goes through the text form and is not supported" } else { "" };
                Err(self.no_cast(&expr.ty.ty, target, span, why))
            }
        }
    }

    /// A written `ARRAY[…]` goes to another type element by element.
    fn convert_items(&self, array: Expr, element: &Type, target: &Type, context: CastContext) -> Bound<Expr> {
        let ty = ColumnType { collation: array.ty.collation.clone(), ..ColumnType::plain(target.clone()) };
        let ExprKind::Array(items) = array.kind else { return Ok(Expr { ty, ..array }) };
        let convert = |item: Expr| match item.ty.ty {
            Type::Array(_) => self.convert(item, target, context),
            _ => self.convert(item, element, context),
        };
        let items = items.into_iter().map(convert).collect::<Bound<Vec<_>>>()?;
        Ok(Expr { kind: ExprKind::Array(items), ty, ..array })
    }

    fn no_cast(&self, from: &Type, to: &Type, span: Span, why: &str) -> Diagnostic {
        let (from, to) = (types::sql_name(from), types::sql_name(to));
        if why.is_empty() {
            return self.error(codes::TYPE_MISMATCH, span, format!("cannot cast type {from} to {to}"));
        }
        self.error(codes::NOT_EXACT, span, format!("cannot cast type {from} to {to}: {why}"))
            .help("publish the column as it is, or cast it to a type of docs/sql.md")
    }

    /// A constant without a type gets one: read now, as the type's input function would.
    fn constant_of(&self, expr: Expr, target: &Type) -> Bound<Expr> {
        let span = expr.span;
        let ty = ColumnType::plain(target.clone());
        let ExprKind::Constant(value) = &expr.kind else {
            return Err(self.error(codes::TYPE_MISMATCH, span, "the type of this expression cannot be found"));
        };
        let text = match value {
            Value::Text(text) => text.clone(),
            _ => return Ok(Expr { nullable: true, ..constant(Value::Null, ty, span) }),
        };
        match target {
            Type::Text | Type::Varchar | Type::Bpchar | Type::Citext | Type::Unknown => {
                return Ok(constant(Value::Text(text), ty, span));
            }
            Type::Enum(e) => {
                if e.labels.iter().any(|l| *l == *text) {
                    return Ok(constant(Value::Text(text), ty, span));
                }
                let message = format!("invalid input value for enum {}: \"{text}\"", e.name);
                let near = crate::transform::nearest(&text, e.labels.iter().map(String::as_str));
                let help = match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("its labels are {}", e.labels.join(", ")),
                };
                return Err(self.error(codes::CONSTANT, span, message).help(help));
            }
            _ => {}
        }
        match datum::input::input(&ty, &text) {
            Ok(value) => Ok(constant(value.into_owned(), ty, span)),
            Err(InputError::Invalid { message, .. }) => {
                let shown =
                    if message.starts_with("invalid input") { format!("{message}: \"{text}\"") } else { message };
                Err(self.error(codes::CONSTANT, span, shown).help("PostgreSQL refuses this constant too"))
            }
            Err(InputError::Refused { reason }) => {
                let message = format!("this constant of type {} cannot be read here", types::sql_name(target));
                Err(self.error(codes::NOT_EXACT, span, message).help(reason))
            }
        }
    }

    /// Refuses what PostgreSQL has and we cannot match.
    pub(super) fn usable(&self, f: &Function, span: Span) -> Bound<()> {
        let Err(why) = f.eval else { return Ok(()) };
        let args: Vec<_> = f.args.iter().map(|a| a.name()).collect();
        let what = match f.kind {
            Kind::Function => format!("{}({})", f.name, args.join(", ")),
            Kind::Operator => format!("operator {} ({})", f.name, args.join(", ")),
            Kind::Cast(_) => format!("cast {}", f.name),
        };
        if f.volatility == function::Volatility::Volatile {
            let message = format!("{what} is volatile: it answers differently each time");
            return Err(self.error(codes::VOLATILE, span, message).help("store the value in a column"));
        }
        Err(self.error(codes::NOT_EXACT, span, format!("{what} is not supported")).help(why))
    }
}

pub(super) fn constant(value: Value<'static>, ty: ColumnType, span: Span) -> Expr {
    let nullable = matches!(value, Value::Null);
    Expr { kind: ExprKind::Constant(value), ty, nullable, span }
}

pub(super) fn relabel(expr: Expr, target: &Type) -> Expr {
    let ty = ColumnType { collation: expr.ty.collation.clone(), ..ColumnType::plain(target.clone()) };
    let (nullable, span) = (expr.nullable, expr.span);
    if let ExprKind::Constant(_) = &expr.kind {
        return Expr { ty, ..expr };
    }
    Expr { kind: ExprKind::Relabel(Box::new(expr)), ty, nullable, span }
}

/// A call whose arguments have their final types.
pub(super) fn call(f: &'static Function, args: Vec<Expr>, ty: ColumnType, span: Span) -> Expr {
    let nullable = f.may_be_null || f.strict && args.iter().any(|a| a.nullable);
    let arg_types = args.iter().map(|a| a.ty.clone()).collect();
    Expr { kind: ExprKind::Call { function: f, args, arg_types }, ty, nullable, span }
}
