//! `ANY` and `ALL` over an array, an array's elements by their subscripts, and all of them by a cast.
//!
//! Source of truth: `ExecEvalScalarArrayOp` and `array_get_element` of PostgreSQL.

use std::borrow::Cow;

use super::eval::{Scope, invoke, malformed};
use super::function::array::mapped;
use super::function::{EvalError, Function};
use super::plan::Expr;
use crate::catalogue::{ColumnType, Type};
use crate::datum::{self, DatumError, Value, array};

fn broken(e: DatumError) -> EvalError {
    malformed(&e.to_string())
}

/// The array's text and the type of its elements; None is NULL.
fn evaluated<'a>(array: &'a Expr, scope: &Scope<'a>) -> Result<Option<(Cow<'a, str>, ColumnType)>, EvalError> {
    match (array.eval(scope)?, &array.ty.ty) {
        (Value::Null, _) => Ok(None),
        (Value::Array(text), Type::Array(element)) => Ok(Some((text, ColumnType::plain((**element).clone())))),
        _ => Err(malformed("what should be an array is none")),
    }
}

/// In three values. Of no element ANY is false and ALL is true, whatever `expr` is; the dimensions do not matter.
pub(super) fn any_all(
    expr: &Expr,
    array: &Expr,
    operator: &'static Function,
    all: bool,
    scope: &Scope<'_>,
) -> Result<Option<bool>, EvalError> {
    let value = expr.eval(scope)?;
    let Some((text, element)) = evaluated(array, scope)? else { return Ok(None) };
    let delimiter = array::delimiter(&element.ty) as u8;
    let arg_types = [expr.ty.clone(), element];
    let returns = ColumnType::plain(Type::Bool);
    let mut answer = Some(all);
    for item in array::elements_by(text.as_bytes(), delimiter).map_err(broken)? {
        let item = item.map_err(broken)?;
        let other = match &item {
            Some(text) => datum::read(&arg_types[1], text).map_err(broken)?,
            None => Value::Null,
        };
        let null = operator.strict && (matches!(value, Value::Null) || matches!(other, Value::Null));
        let mut values = [value.clone(), other];
        match if null { Value::Null } else { invoke(operator, &arg_types, &returns, &mut values, scope)? } {
            Value::Bool(b) if b != all => return Ok(Some(b)),
            Value::Bool(_) => {}
            Value::Null => answer = None,
            _ => return Err(malformed("the operator of ANY or ALL is not boolean")),
        }
    }
    Ok(answer)
}

/// `ArrayCoerceExpr`: each element by a cast.
pub(super) fn cast<'a>(
    array: &Expr,
    cast: &'static Function,
    returns: &ColumnType,
    scope: &Scope<'_>,
) -> Result<Value<'a>, EvalError> {
    let Some((text, from)) = evaluated(array, scope)? else { return Ok(Value::Null) };
    let Type::Array(to) = &returns.ty else { return Err(malformed("an array is cast to no array")) };
    let to = ColumnType::plain((**to).clone());
    let arg_types = [from.clone()];
    mapped(&text, &from, &to, |value| invoke(cast, &arg_types, &to, &mut [value], scope))
}

/// NULL where a subscript is NULL or out of range, or where there are more or fewer of them than dimensions.
pub(super) fn subscript<'a>(array: &'a Expr, indexes: &'a [Expr], scope: &Scope<'a>) -> Result<Value<'a>, EvalError> {
    let Some((text, element)) = evaluated(array, scope)? else { return Ok(Value::Null) };
    let delimiter = array::delimiter(&element.ty) as u8;
    let shape = array::shape_by(text.as_bytes(), delimiter).map_err(broken)?;
    let mut place = Some(0);
    for (i, index) in indexes.iter().enumerate() {
        place = match (index.eval(scope)?, shape.get(i), place) {
            (Value::Int(at), Some((lower, length)), Some(place)) => {
                let offset = usize::try_from(at - i64::from(*lower)).ok().filter(|offset| offset < length);
                offset.map(|offset| place * length + offset)
            }
            (Value::Int(_) | Value::Null, ..) => None,
            _ => return Err(malformed("a subscript is not an integer")),
        };
    }
    let Some(place) = place.filter(|_| indexes.len() == shape.len()) else { return Ok(Value::Null) };
    match text {
        Cow::Borrowed(text) => match nth(text, delimiter, place)? {
            Some(Cow::Borrowed(text)) => datum::read(&element, text).map_err(broken),
            Some(Cow::Owned(text)) => datum::read(&element, &text).map(Value::into_owned).map_err(broken),
            None => Ok(Value::Null),
        },
        Cow::Owned(text) => match nth(&text, delimiter, place)? {
            Some(text) => datum::read(&element, &text).map(Value::into_owned).map_err(broken),
            None => Ok(Value::Null),
        },
    }
}

fn nth(text: &str, delimiter: u8, place: usize) -> Result<Option<Cow<'_, [u8]>>, EvalError> {
    match array::elements_by(text.as_bytes(), delimiter).map_err(broken)?.nth(place) {
        Some(element) => element.map_err(broken),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::Span;
    use crate::transform::function::{Arg, Context, Kind, candidates};
    use crate::transform::plan::ExprKind;

    fn constant(value: Value<'static>, ty: Type) -> Expr {
        let ty = ColumnType::plain(ty);
        Expr { kind: ExprKind::Constant(value), ty, nullable: true, span: Span::default() }
    }

    fn integers(text: Option<&'static str>) -> Expr {
        let value = text.map_or(Value::Null, |t| Value::Array(t.into()));
        constant(value, Type::Array(Arc::new(Type::Int4)))
    }

    fn integer(value: Option<i64>) -> Expr {
        constant(value.map_or(Value::Null, Value::Int), Type::Int4)
    }

    #[test]
    fn any_and_all_have_three_values() {
        let context = Context::default();
        let scope = Scope::of_rows(&context, &[]);
        let check = |expr, symbol: &str, all, array, expected| {
            let found = candidates(Kind::Operator, symbol);
            let operator = found.into_iter().find(|f| f.args == [Arg::Int4, Arg::Int4]).unwrap();
            let got = any_all(&integer(expr), &integers(array), operator, all, &scope).unwrap();
            assert_eq!(got, expected, "{expr:?} {symbol} all={all} {array:?}");
        };
        check(Some(1), "=", false, Some("{2,1}"), Some(true));
        check(Some(1), "=", false, Some("{2,NULL}"), None);
        check(Some(1), "=", false, Some("{1,NULL}"), Some(true));
        check(Some(1), "=", false, Some("{{2,3},{1,4}}"), Some(true));
        check(Some(1), "=", false, Some("{}"), Some(false));
        check(None, "=", false, Some("{}"), Some(false));
        check(None, "=", true, Some("{}"), Some(true));
        check(None, "=", false, Some("{1}"), None);
        check(Some(1), "=", false, None, None);
        check(Some(1), "<>", true, Some("{2,3}"), Some(true));
        check(Some(1), "<>", true, Some("{2,NULL}"), None);
        check(Some(1), "<>", true, Some("{1,NULL}"), Some(false));
        check(Some(5), ">", true, Some("[0:1]={2,3}"), Some(true));
    }

    #[test]
    fn a_subscript_finds_its_element_or_null() {
        let context = Context::default();
        let scope = Scope::of_rows(&context, &[]);
        let check = |array, indexes: &[Option<i64>], expected: Option<i64>| {
            let indexes: Vec<Expr> = indexes.iter().map(|i| integer(*i)).collect();
            let array = integers(array);
            let got = match subscript(&array, &indexes, &scope).unwrap() {
                Value::Int(n) => Some(n),
                _ => None,
            };
            assert_eq!(got, expected);
        };
        check(Some("{7,8,NULL}"), &[Some(2)], Some(8));
        check(Some("{7,8,NULL}"), &[Some(3)], None);
        check(Some("{7,8}"), &[Some(0)], None);
        check(Some("{7,8}"), &[Some(3)], None);
        check(Some("{7,8}"), &[None], None);
        check(Some("{7,8}"), &[Some(1), Some(1)], None);
        check(Some("[2:3]={7,8}"), &[Some(2)], Some(7));
        check(Some("[-1:0]={7,8}"), &[Some(0)], Some(8));
        check(Some("{{1,2},{3,4}}"), &[Some(2), Some(1)], Some(3));
        check(Some("{{1,2},{3,4}}"), &[Some(2), Some(3)], None);
        check(Some("{{1,2},{3,4}}"), &[Some(2)], None);
        check(Some("{}"), &[Some(1)], None);
        check(None, &[Some(1)], None);
    }
}
