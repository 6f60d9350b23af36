//! Arrays taken apart and put together: lengths and bounds, `||`, `array_to_string`, `string_to_array`.
//!
//! Source of truth: `arrayfuncs.c` and `array_userfuncs.c` of PostgreSQL. Elements are handled by their output forms,
//! which is what an array's text is made of.

use std::borrow::Cow;

use super::Arg::{self, AnyArray, Int4, Json, Other, Text, TextArray};
use super::declare::*;
use super::jsonb_build::push;
use super::{Call, EvalError, Function};
use crate::catalogue::{ColumnType, Type};
use crate::datum::{self, DatumError, Value, array};

pub(super) const ARRAY: Arg = Other("anycompatiblearray");
pub(super) const ELEMENT: Arg = Other("anycompatible");

pub static FUNCTIONS: &[Function] = &[
    function("cardinality", &[AnyArray], Int4, cardinality),
    nullable(function("array_ndims", &[AnyArray], Int4, ndims)),
    nullable(function("array_dims", &[AnyArray], Text, dims)),
    nullable(function("array_length", &[AnyArray, Int4], Int4, length)),
    nullable(function("array_lower", &[AnyArray, Int4], Int4, lower)),
    nullable(function("array_upper", &[AnyArray, Int4], Int4, upper)),
    lenient(function("array_append", &[ARRAY, ELEMENT], ARRAY, append)),
    lenient(operator("||", &[ARRAY, ELEMENT], ARRAY, append)),
    lenient(function("array_prepend", &[ELEMENT, ARRAY], ARRAY, prepend)),
    lenient(operator("||", &[ELEMENT, ARRAY], ARRAY, prepend)),
    nullable(lenient(function("array_cat", &[ARRAY, ARRAY], ARRAY, concatenate))),
    nullable(lenient(operator("||", &[ARRAY, ARRAY], ARRAY, concatenate))),
    stable(function("array_to_string", &[AnyArray, Text], Text, to_string)),
    nullable(lenient(stable(function("array_to_string", &[AnyArray, Text, Text], Text, to_string)))),
    nullable(lenient(function("string_to_array", &[Text, Text], TextArray, from_string))),
    nullable(lenient(function("string_to_array", &[Text, Text, Text], TextArray, from_string))),
    stable(function("array_to_json", &[AnyArray], Json, to_json)),
];

type Answer<'a> = Result<Value<'a>, EvalError>;

pub(super) fn broken(e: DatumError) -> EvalError {
    error("XX000", e.to_string())
}

/// An array in its parts: lower bound and length of each dimension, and the elements' output forms, the last subscript
/// running fastest.
#[derive(Debug, Default)]
pub(super) struct Parts<'t> {
    pub bounds: Vec<(i32, usize)>,
    pub elements: Vec<Option<Cow<'t, str>>>,
}

impl<'t> Parts<'t> {
    pub fn of(text: &'t str, element: &Type) -> Result<Parts<'t>, EvalError> {
        let delimiter = array::delimiter(element) as u8;
        let bounds = array::shape_by(text.as_bytes(), delimiter).map_err(broken)?;
        let mut elements = Vec::new();
        for item in array::elements_by(text.as_bytes(), delimiter).map_err(broken)? {
            elements.push(match item.map_err(broken)? {
                Some(Cow::Borrowed(bytes)) => Some(Cow::Borrowed(datum::utf8(bytes).map_err(broken)?)),
                Some(Cow::Owned(bytes)) => {
                    Some(Cow::Owned(String::from_utf8(bytes).map_err(|_| broken(DatumError::NotUtf8))?))
                }
                None => None,
            });
        }
        Ok(Parts { bounds, elements })
    }

    /// The array's output form.
    pub fn write(&self, element: &Type) -> String {
        if self.elements.is_empty() {
            return "{}".to_owned();
        }
        let delimiter = array::delimiter(element);
        let mut out = String::new();
        array::write_bounds(&self.bounds, &mut out);
        // How many elements each dimension's braces hold.
        let sizes: Vec<usize> =
            (0..self.bounds.len()).map(|d| self.bounds[d..].iter().map(|(_, n)| n).product()).collect();
        for (i, item) in self.elements.iter().enumerate() {
            if i > 0 {
                out.push(delimiter);
            }
            sizes.iter().filter(|size| i % **size == 0).for_each(|_| out.push('{'));
            array::push_element_by(item.as_deref(), delimiter, &mut out);
            sizes.iter().filter(|size| (i + 1) % **size == 0).for_each(|_| out.push('}'));
        }
        out
    }
}

/// The type of the elements, by the answer's or an argument's type.
pub(super) fn element_of(ty: &ColumnType) -> Result<ColumnType, EvalError> {
    match &ty.ty {
        Type::Array(element) => Ok(ColumnType::plain((**element).clone())),
        _ => Err(error("XX000", "an array function without an array type")),
    }
}

/// None is NULL.
pub(super) fn text_of<'v>(args: &'v [Value<'_>], i: usize) -> Result<Option<&'v str>, EvalError> {
    match args.get(i) {
        Some(Value::Array(text)) => Ok(Some(text)),
        Some(Value::Null) => Ok(None),
        _ => Err(error("XX000", "an array function without an array")),
    }
}

pub(super) fn form<'t>(ty: &ColumnType, value: &'t Value<'_>) -> Option<Cow<'t, str>> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        value => {
            let mut out = String::new();
            datum::write(ty, value, &mut out);
            Some(Cow::Owned(out))
        }
    }
}

/// The same array with elements of another type; NULLs stay.
pub(in crate::transform) fn mapped(
    text: &str,
    from: &ColumnType,
    to: &ColumnType,
    mut f: impl for<'v> FnMut(Value<'v>) -> Result<Value<'v>, EvalError>,
) -> Result<Value<'static>, EvalError> {
    let parts = Parts::of(text, &from.ty)?;
    let mut elements = Vec::with_capacity(parts.elements.len());
    for item in &parts.elements {
        elements.push(match item {
            Some(item) => {
                let value = f(datum::read(from, item.as_bytes()).map_err(broken)?)?;
                form(to, &value).map(|text| Cow::Owned(text.into_owned()))
            }
            None => None,
        });
    }
    answer(&Parts { bounds: parts.bounds, elements }, to)
}

pub(super) fn answer<'a>(parts: &Parts<'_>, element: &ColumnType) -> Answer<'a> {
    Ok(Value::Array(Cow::Owned(parts.write(&element.ty))))
}

fn shape(call: &Call<'_>, args: &[Value<'_>]) -> Result<Vec<(i32, usize)>, EvalError> {
    let delimiter = array::delimiter(&element_of(arg_type(call, 0)?)?.ty) as u8;
    let Some(text) = text_of(args, 0)? else { return Ok(Vec::new()) };
    array::shape_by(text.as_bytes(), delimiter).map_err(broken)
}

fn cardinality<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let shape = shape(call, args)?;
    let count: usize = shape.iter().map(|(_, n)| n).product();
    Ok(Value::Int(if shape.is_empty() { 0 } else { count as i64 }))
}

fn ndims<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let shape = shape(call, args)?;
    Ok(if shape.is_empty() { Value::Null } else { Value::Int(shape.len() as i64) })
}

fn dims<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let shape = shape(call, args)?;
    if shape.is_empty() {
        return Ok(Value::Null);
    }
    owned(shape.iter().map(|(lower, n)| format!("[{lower}:{}]", last(*lower, *n))).collect::<String>())
}

fn last(lower: i32, length: usize) -> i64 {
    i64::from(lower) + length as i64 - 1
}

/// Of the dimension that the second argument names.
fn of_dimension<'a>(call: &Call<'_>, args: &mut [Value<'a>], f: fn(i32, usize) -> i64) -> Answer<'a> {
    let shape = shape(call, args)?;
    let dimension = usize::try_from(int(args, 1)? - 1).ok();
    Ok(dimension.and_then(|d| shape.get(d)).map_or(Value::Null, |(lower, n)| Value::Int(f(*lower, *n))))
}

fn length<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    of_dimension(call, args, |_, n| n as i64)
}

fn lower<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    of_dimension(call, args, |lower, _| lower.into())
}

fn upper<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    of_dimension(call, args, last)
}

/// `ArrayCheckBounds`: the subscript behind the last one is an integer too.
fn checked<'a>(parts: &Parts<'_>, element: &ColumnType) -> Answer<'a> {
    match parts.bounds.iter().find(|(lower, n)| i32::try_from(last(*lower, *n) + 1).is_err()) {
        Some((lower, _)) => Err(error("54000", format!("array lower bound is too large: {lower}"))),
        None => answer(parts, element),
    }
}

fn append<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    one_more(call, args, 0, 1)
}

fn prepend<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    one_more(call, args, 1, 0)
}

/// NULL is an empty array here. The lower bound stays as it was.
fn one_more<'a>(call: &Call<'_>, args: &mut [Value<'a>], array: usize, item: usize) -> Answer<'a> {
    let element = element_of(call.returns)?;
    let front = item < array;
    let mut parts = match text_of(args, array)? {
        Some(text) => Parts::of(text, &element.ty)?,
        None => Parts::default(),
    };
    let item = form(&element, &args[item]);
    match parts.bounds.as_mut_slice() {
        [] => parts.bounds.push((1, 1)),
        [(lower, _)] if front && *lower == i32::MIN => return Err(error("22003", "integer out of range")),
        [(_, n)] => *n += 1,
        _ => return Err(error("22000", "argument must be empty or one-dimensional array")),
    }
    parts.elements.insert(if front { 0 } else { parts.elements.len() }, item);
    // Version 15 looks at the bounds before it moves them back to the front.
    if front { answer(&parts, &element) } else { checked(&parts, &element) }
}

/// `array_cat`: of as many dimensions, or one as a slice of the other.
fn concatenate<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let element = element_of(call.returns)?;
    let (first, second) = match (text_of(args, 0)?, text_of(args, 1)?) {
        (None, None) => return Ok(Value::Null),
        (Some(first), Some(second)) => (Parts::of(first, &element.ty)?, Parts::of(second, &element.ty)?),
        (None, _) => return Ok(args[1].clone()),
        (_, None) => return Ok(args[0].clone()),
    };
    let (a, b) = (&first.bounds, &second.bounds);
    if a.is_empty() && !b.is_empty() {
        return Ok(args[1].clone());
    }
    if b.is_empty() {
        return Ok(args[0].clone());
    }
    let bounds = if a.len() == b.len() && a[1..] == b[1..] {
        [&[(a[0].0, a[0].1 + b[0].1)], &a[1..]].concat()
    } else if a.len() + 1 == b.len() && a[..] == b[1..] {
        [&[(b[0].0, b[0].1 + 1)], &b[1..]].concat()
    } else if a.len() == b.len() + 1 && a[1..] == b[..] {
        [&[(a[0].0, a[0].1 + 1)], &a[1..]].concat()
    } else {
        return Err(error("2202E", "cannot concatenate incompatible arrays"));
    };
    let elements = first.elements.into_iter().chain(second.elements).collect();
    checked(&Parts { bounds, elements }, &element)
}

/// Elements one after the other, whatever the dimensions; NULLs are left out unless the third argument stands for them.
fn to_string<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let element = element_of(arg_type(call, 0)?)?;
    let (Some(text), Value::Text(delimiter)) = (text_of(args, 0)?, &args[1]) else { return Ok(Value::Null) };
    let null = match args.get(2) {
        Some(Value::Text(null)) => Some(&**null),
        _ => None,
    };
    let parts = Parts::of(text, &element.ty)?;
    let shown: Vec<&str> = parts.elements.iter().filter_map(|e| e.as_deref().or(null)).collect();
    owned(shown.join(delimiter))
}

/// Without a delimiter by characters; an empty one does not cut.
fn from_string<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let [Value::Text(text), rest @ ..] = &*args else { return Ok(Value::Null) };
    let null = match rest.get(1) {
        Some(Value::Text(null)) => Some(&**null),
        _ => None,
    };
    let mut pieces: Vec<&str> = Vec::new();
    match rest.first() {
        _ if text.is_empty() => {}
        Some(Value::Text(delimiter)) if delimiter.is_empty() => pieces.push(text),
        Some(Value::Text(delimiter)) => pieces.extend(text.split(&**delimiter)),
        _ => pieces.extend(text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()])),
    }
    let bounds = vec![(1, pieces.len())];
    let elements = pieces.into_iter().map(|p| (null != Some(p)).then_some(Cow::Borrowed(p))).collect();
    answer(&Parts { bounds, elements }, &ColumnType::plain(Type::Text))
}

fn to_json<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    let mut out = String::new();
    push(&args[0], arg_type(call, 0)?, false, &mut out)?;
    Ok(Value::Json(Cow::Owned(out)))
}
