//! Arrays searched and compared: `array_position`, `array_remove`, `@>`, `&&`, `<`. Elements are equal as their type's
//! own `=` says.
//!
//! Source of truth: `arrayfuncs.c` and `array_userfuncs.c` of PostgreSQL.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::Arg::{AnyArray, Bool, Int4, Other};
use super::array::{ARRAY, ELEMENT, Parts, answer, broken, element_of, form, text_of};
use super::comparison::compare_as;
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::catalogue::{ColumnType, Type};
use crate::datum::{Value, read};

pub static FUNCTIONS: &[Function] = &[
    nullable(lenient(function("array_position", &[ARRAY, ELEMENT], Int4, position))),
    nullable(lenient(function("array_position", &[ARRAY, ELEMENT, Int4], Int4, position))),
    nullable(lenient(function("array_positions", &[ARRAY, ELEMENT], Other("_int4"), positions))),
    nullable(lenient(function("array_remove", &[ARRAY, ELEMENT], ARRAY, remove))),
    nullable(lenient(function("array_replace", &[ARRAY, ELEMENT, ELEMENT], ARRAY, replace))),
    operator("@>", &[AnyArray, AnyArray], Bool, contains),
    operator("<@", &[AnyArray, AnyArray], Bool, contained),
    operator("&&", &[AnyArray, AnyArray], Bool, overlap),
    operator("<", &[AnyArray, AnyArray], Bool, |call, args| ordered(call, args, Ordering::is_lt)),
    operator("<=", &[AnyArray, AnyArray], Bool, |call, args| ordered(call, args, Ordering::is_le)),
    operator(">", &[AnyArray, AnyArray], Bool, |call, args| ordered(call, args, Ordering::is_gt)),
    operator(">=", &[AnyArray, AnyArray], Bool, |call, args| ordered(call, args, Ordering::is_ge)),
];

type Answer<'a> = Result<Value<'a>, EvalError>;
type Elements<'t> = [Option<Cow<'t, str>>];

/// Whether elements of this type have an `=` that we can compute. (json has none, and PostgreSQL says so too.)
pub fn has_equality(element: &Type) -> bool {
    !matches!(
        element,
        Type::Citext | Type::TimeTz | Type::Composite(_) | Type::Other(_) | Type::Json | Type::Jsonb | Type::Unknown
    )
}

/// NULL equals NULL here.
fn same(ty: &ColumnType, a: &Option<Cow<'_, str>>, b: &Value<'_>) -> Result<bool, EvalError> {
    match (a, b) {
        (None, Value::Null) => Ok(true),
        (None, _) | (_, Value::Null) => Ok(false),
        (Some(a), b) => Ok(compare_as(&ty.ty, &read(ty, a.as_bytes()).map_err(broken)?, b)?.is_eq()),
    }
}

/// The places of an element, counted from the lower bound; as many as `most`, from the subscript `from` on.
fn places(call: &Call<'_>, args: &[Value<'_>], from: Option<i64>, most: usize) -> Result<Vec<i64>, EvalError> {
    let element = element_of(arg_type(call, 0)?)?;
    let Some(text) = text_of(args, 0)? else { return Ok(Vec::new()) };
    let parts = Parts::of(text, &element.ty)?;
    if parts.bounds.len() > 1 {
        return Err(error("0A000", "searching for elements in multidimensional arrays is not supported"));
    }
    let Some((lower, _)) = parts.bounds.first() else { return Ok(Vec::new()) };
    if matches!(args[1], Value::Null) && parts.elements.iter().all(Option::is_some) {
        return Ok(Vec::new());
    }
    if args.len() == 3 && from.is_none() {
        return Err(error("22004", "initial position must not be null"));
    }
    let mut found = Vec::new();
    for (i, item) in parts.elements.iter().enumerate() {
        let at = i64::from(*lower) + i as i64;
        if from.is_none_or(|from| at >= from) && found.len() < most && same(&element, item, &args[1])? {
            found.push(at);
        }
    }
    Ok(found)
}

fn position<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let from = match args.get(2) {
        Some(Value::Int(from)) => Some(*from),
        _ => None,
    };
    Ok(places(call, args, from, 1)?.first().map_or(Value::Null, |at| Value::Int(*at)))
}

fn positions<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    if text_of(args, 0)?.is_none() {
        return Ok(Value::Null);
    }
    let places: Vec<String> = places(call, args, None, usize::MAX)?.iter().map(i64::to_string).collect();
    Ok(Value::Array(Cow::Owned(format!("{{{}}}", places.join(",")))))
}

fn remove<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let element = element_of(call.returns)?;
    let Some(text) = text_of(args, 0)? else { return Ok(Value::Null) };
    let mut parts = Parts::of(text, &element.ty)?;
    if parts.bounds.len() > 1 {
        return Err(error("0A000", "removing elements from multidimensional arrays is not supported"));
    }
    let mut kept = Vec::new();
    for item in parts.elements {
        if !same(&element, &item, &args[1])? {
            kept.push(item);
        }
    }
    parts.bounds.iter_mut().for_each(|(_, n)| *n = kept.len());
    answer(&Parts { bounds: parts.bounds, elements: kept }, &element)
}

fn replace<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let element = element_of(call.returns)?;
    let Some(text) = text_of(args, 0)? else { return Ok(Value::Null) };
    let mut parts = Parts::of(text, &element.ty)?;
    let other = form(&element, &args[2]);
    for item in &mut parts.elements {
        if same(&element, item, &args[1])? {
            item.clone_from(&other);
        }
    }
    answer(&parts, &element)
}

/// Both arrays' elements, and their type.
fn both<'v>(call: &Call<'_>, args: &'v [Value<'_>]) -> Result<(ColumnType, Parts<'v>, Parts<'v>), EvalError> {
    let element = element_of(arg_type(call, 0)?)?;
    match (text_of(args, 0)?, text_of(args, 1)?) {
        (Some(a), Some(b)) => {
            let parts = (Parts::of(a, &element.ty)?, Parts::of(b, &element.ty)?);
            Ok((element, parts.0, parts.1))
        }
        _ => Err(error("XX000", "an array operator without an array")),
    }
}

/// Whether `all` of the elements, or any, are among the others. NULL is not among any.
fn among(ty: &ColumnType, elements: &Elements<'_>, others: &Elements<'_>, all: bool) -> Result<bool, EvalError> {
    let others = others
        .iter()
        .flatten()
        .map(|other| read(ty, other.as_bytes()).map_err(broken))
        .collect::<Result<Vec<_>, _>>()?;
    for element in elements {
        let mut found = false;
        if element.is_some() {
            for other in &others {
                if same(ty, element, other)? {
                    found = true;
                    break;
                }
            }
        }
        if found != all {
            return Ok(found);
        }
    }
    Ok(all)
}

fn contains<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let (ty, a, b) = both(call, args)?;
    among(&ty, &b.elements, &a.elements, true).map(Value::Bool)
}

fn contained<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let (ty, a, b) = both(call, args)?;
    among(&ty, &a.elements, &b.elements, true).map(Value::Bool)
}

fn overlap<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let (ty, a, b) = both(call, args)?;
    among(&ty, &a.elements, &b.elements, false).map(Value::Bool)
}

fn ordered<'a>(call: &Call<'_>, args: &mut [Value<'a>], test: fn(Ordering) -> bool) -> Answer<'a> {
    let (ty, a, b) = both(call, args)?;
    Ok(Value::Bool(test(compare_parts(&ty, &a, &b)?)))
}

/// `array_cmp` of two arrays in their output form.
pub(super) fn compare(element: &Type, a: &str, b: &str) -> Result<Ordering, EvalError> {
    compare_parts(&ColumnType::plain(element.clone()), &Parts::of(a, element)?, &Parts::of(b, element)?)
}

/// Element by element, NULL above all; then the number of elements, of dimensions, their lengths, their lower bounds.
fn compare_parts(ty: &ColumnType, a: &Parts<'_>, b: &Parts<'_>) -> Result<Ordering, EvalError> {
    for (x, y) in a.elements.iter().zip(&b.elements) {
        let order = match (x, y) {
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(x), Some(y)) => {
                let (x, y) = (read(ty, x.as_bytes()).map_err(broken)?, read(ty, y.as_bytes()).map_err(broken)?);
                compare_as(&ty.ty, &x, &y)?
            }
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    let lengths = |p: &Parts<'_>| p.bounds.iter().map(|(_, n)| *n).collect::<Vec<_>>();
    let lowers = |p: &Parts<'_>| p.bounds.iter().map(|(lower, _)| *lower).collect::<Vec<_>>();
    let order = a.elements.len().cmp(&b.elements.len()).then_with(|| a.bounds.len().cmp(&b.bounds.len()));
    Ok(order.then_with(|| lengths(a).cmp(&lengths(b))).then_with(|| lowers(a).cmp(&lowers(b))))
}
