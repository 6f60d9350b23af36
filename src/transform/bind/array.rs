//! Arrays in expressions: `= ANY (array)`, subscripts, and arguments whose element types go to a common one.

use std::sync::Arc;

use super::{Binder, Bound, codes, resolve, types};
use crate::catalogue::{ColumnType, Type};
use crate::datum::{Value, array};
use crate::diagnostic::Span;
use crate::transform::function::array_search::has_equality;
use crate::transform::function::{Arg, Function, Returns};
use crate::transform::parse::ast::{Node, NodeKind};
use crate::transform::plan::{Expr, ExprKind};

/// Functions that compare elements, beside the operators over two arrays.
const COMPARING: &[&str] = &["array_position", "array_positions", "array_remove", "array_replace"];

impl Binder<'_> {
    /// `make_scalar_array_op`: the operator is looked for between the left side and an element.
    pub(super) fn any_all(&self, left: &Node, symbol: &str, all: bool, right: &Node, span: Span) -> Bound<Expr> {
        let (expr, array) = (self.expression(left)?, self.expression(right)?);
        let element = match &array.ty.ty {
            Type::Array(element) => (**element).clone(),
            Type::Unknown => Type::Unknown,
            _ => {
                let message = "op ANY/ALL (array) requires array on right side";
                return Err(self.error(codes::TYPE_MISMATCH, array.span, message).help("write = for a single value"));
            }
        };
        let operator = self.comparison(symbol, &expr.ty.ty, &element, span)?;
        if operator.returns != Returns::Type(Arg::Bool) {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(self.error(codes::TYPE_MISMATCH, span, message).help("write a comparison"));
        }
        // The element's place is taken by a NULL of its type: what the operator makes of that, the array becomes.
        let of_element = Expr {
            kind: ExprKind::Constant(Value::Null),
            ty: ColumnType { collation: array.ty.collation.clone(), ..ColumnType::plain(element) },
            nullable: true,
            span: array.span,
        };
        let mut fitted = self.fit(operator, vec![expr, of_element])?;
        let (Some(of_element), Some(expr)) = (fitted.pop(), fitted.pop()) else {
            return Err(self.error(codes::TYPE_MISMATCH, span, "ANY and ALL need an operator with two sides"));
        };
        let array = self.coerce_implicit(array, &Type::Array(Arc::new(of_element.ty.ty)))?;
        self.order_is_exact(symbol, operator, &[expr.clone(), array.clone()], span)?;
        let nullable = expr.nullable || array.nullable || may_hold_null(&array);
        let (expr, array) = (Box::new(expr), Box::new(array));
        let ty = ColumnType::plain(Type::Bool);
        Ok(Expr { kind: ExprKind::AnyAll { expr, array, operator, all }, ty, nullable, span })
    }

    /// `array[1][2]`, as one look into the array.
    pub(super) fn subscript(&self, of: &Node, index: &Node, span: Span) -> Bound<Expr> {
        let (mut base, mut nodes) = (of, vec![index]);
        while let NodeKind::Subscript { expr, index } = &base.kind {
            nodes.push(index);
            base = expr;
        }
        let array = self.expression(base)?;
        let element = match &array.ty.ty {
            Type::Array(element) => (**element).clone(),
            Type::Json | Type::Jsonb => {
                let message = "subscripts of json are not supported";
                return Err(self.error(codes::UNSUPPORTED, span, message).help("write -> with a key or an index"));
            }
            other => {
                let message = format!("cannot subscript type {}", types::sql_name(other));
                let message = message + " because it does not support subscripting";
                return Err(self.error(codes::TYPE_MISMATCH, span, message).help("only arrays have subscripts"));
            }
        };
        let mut indexes = Vec::new();
        for node in nodes.into_iter().rev() {
            let index = self.expression(node)?;
            if index.ty.ty != Type::Unknown && types::category(&index.ty.ty) != 'N' {
                let message = "array subscript must have type integer";
                return Err(self.error(codes::TYPE_MISMATCH, index.span, message).help("cast it to integer"));
            }
            indexes.push(self.cast(index, &ColumnType::plain(Type::Int4), node.span)?);
        }
        let (typmod, collation) = (array.ty.typmod, array.ty.collation.clone());
        let ty = ColumnType { typmod, collation, ..ColumnType::plain(element) };
        Ok(Expr { kind: ExprKind::Subscript { array: Box::new(array), indexes }, ty, nullable: true, span })
    }

    /// The type that `anycompatible` is in this call; of constants without a type alone it is text.
    pub(super) fn compatible(&self, f: &Function, args: &[Expr], span: Span) -> Bound<Type> {
        let given: Vec<Type> = args.iter().map(|a| a.ty.ty.clone()).collect();
        resolve::compatible(f, &given).map_err(|(a, b)| {
            let (a, b) = (types::sql_name(&a), types::sql_name(&b));
            let message = format!("the types {a} and {b} cannot be matched in one array");
            self.error(codes::TYPE_MISMATCH, span, message).help("cast them to one type")
        })
    }

    /// Refuses what compares elements that have no equality here, or one that depends on a collation.
    pub(super) fn elements_are_exact(&self, f: &Function, args: &[Expr], span: Span) -> Bound<()> {
        let two_arrays = f.args == [Arg::AnyArray, Arg::AnyArray];
        if !two_arrays && !COMPARING.contains(&f.name) {
            return Ok(());
        }
        let Some(element) = args.iter().find_map(|a| match &a.ty.ty {
            Type::Array(element) => Some(element),
            _ => None,
        }) else {
            return Ok(());
        };
        if !has_equality(element) {
            let message = format!("values of type {} are not compared here", types::sql_name(element));
            return Err(self
                .error(codes::NOT_EXACT, span, message)
                .help("cast the array to text[] if the text forms say which are equal"));
        }
        if two_arrays && f.name.starts_with(['<', '>']) && !matches!(f.name, "<>" | "<@") {
            return Ok(());
        }
        self.order_is_exact("=", f, args, span)
    }
}

/// Whether an element can be NULL: of a column's array always.
fn may_hold_null(array: &Expr) -> bool {
    match &array.kind {
        ExprKind::Array(items) => items.iter().any(|i| i.nullable),
        ExprKind::Constant(Value::Array(text)) => match array::elements(text.as_bytes()) {
            Ok(mut elements) => elements.any(|e| !matches!(e, Ok(Some(_)))),
            Err(_) => true,
        },
        _ => true,
    }
}
