//! `array_agg`: every value, NULLs too; of arrays, one dimension more.

use std::borrow::Cow;

use super::{Accumulator, Aggregate, aggregate, error, lenient, mismatch, ordered};
use crate::catalogue::{ColumnType, Type};
use crate::datum::{self, Value, array};
use crate::transform::function::Arg::{AnyArray, Other};
use crate::transform::function::{EvalError, Returns};

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        returns: Returns::ArrayOfArgument,
        ..ordered(lenient(aggregate("array_agg", &[Other("anynonarray")], AnyArray, |types, _| {
            Box::new(Elements::of(types))
        })))
    },
    Aggregate {
        returns: Returns::SameAsArgument,
        ..ordered(lenient(aggregate("array_agg", &[AnyArray], AnyArray, |types, _| Box::new(Slices::of(types)))))
    },
];

/// `MAXDIM`
const MOST_DIMENSIONS: usize = 6;

/// `ARRAY(SELECT …)`, and `ARRAY[…]` of arrays.
pub(in crate::transform) fn of_rows(item: &ColumnType, rows: &[Value<'_>]) -> Result<Value<'static>, EvalError> {
    let types = std::slice::from_ref(item);
    let mut array: Box<dyn Accumulator> =
        if matches!(item.ty, Type::Array(_)) { Box::new(Slices::of(types)) } else { Box::new(Elements::of(types)) };
    rows.iter().try_for_each(|row| array.add(std::slice::from_ref(row)))?;
    Ok(match array.finish()? {
        Value::Null => Value::Array("{}".into()),
        array => array,
    })
}

/// The array's text, without its last brace; empty before the first row.
struct Elements {
    element: ColumnType,
    out: String,
    text: String,
}

impl Elements {
    fn of(types: &[ColumnType]) -> Elements {
        let element = types.first().cloned().unwrap_or_else(|| ColumnType::plain(Type::Unknown));
        Elements { element, out: String::new(), text: String::new() }
    }
}

impl Accumulator for Elements {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let delimiter = array::delimiter(&self.element.ty);
        self.out.push(if self.out.is_empty() { '{' } else { delimiter });
        self.text.clear();
        let element = match args {
            [Value::Null] => None,
            [value] => {
                datum::write(&self.element, value, &mut self.text);
                Some(self.text.as_str())
            }
            _ => return Err(mismatch()),
        };
        array::push_element_by(element, delimiter, &mut self.out);
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        let mut out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(Value::Null);
        }
        out.push('}');
        Ok(Value::Array(Cow::Owned(out)))
    }
}

/// The slices' texts side by side, and the bounds that they share.
struct Slices {
    bounds: Vec<(i32, usize)>,
    count: usize,
    delimiter: char,
    out: String,
}

impl Slices {
    fn of(types: &[ColumnType]) -> Slices {
        let delimiter = types.first().map_or(',', |t| array::delimiter(&t.ty));
        Slices { bounds: Vec::new(), count: 0, delimiter, out: String::new() }
    }
}

impl Accumulator for Slices {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let text = match args {
            [Value::Array(text)] => text,
            [Value::Null] => return Err(error("22004", "cannot accumulate null arrays")),
            _ => return Err(mismatch()),
        };
        let broken = |e: datum::DatumError| error("XX000", e.to_string());
        let bounds = array::shape(text.as_bytes()).map_err(broken)?;
        if self.count == 0 {
            match bounds.len() {
                0 => return Err(error("2202E", "cannot accumulate empty arrays")),
                MOST_DIMENSIONS => {
                    let message = "number of array dimensions (7) exceeds the maximum allowed (6)";
                    return Err(error("54000", message));
                }
                _ => self.bounds = bounds,
            }
        } else if self.bounds != bounds {
            return Err(error("2202E", "cannot accumulate arrays of different dimensionality"));
        }
        self.out.push(if self.count == 0 { '{' } else { self.delimiter });
        self.out.push_str(text.split_once('=').filter(|_| text.starts_with('[')).map_or(text, |(_, body)| body));
        self.count += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let mut bounds = vec![(1, self.count)];
        bounds.append(&mut self.bounds);
        let mut out = String::new();
        array::write_bounds(&bounds, &mut out);
        out.push_str(&self.out);
        out.push('}');
        Ok(Value::Array(Cow::Owned(out)))
    }
}
