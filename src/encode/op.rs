//! The compiled steps of a body, and the walk over them.
//!
//! A list is written while its rows are walked; only where ORDER BY asks for another order than the rows come in, the
//! written items are put in order afterwards. A list is one Avro block with its exact count, as every list of this room.

use std::cmp::Ordering;
use std::ops::{ControlFlow, Range};

use crate::datum::Value;
use crate::encode::array::put_count;
use crate::encode::eval::evaluate;
use crate::encode::leaf::{NullRule, Slot};
use crate::encode::row_error::RowError;
use crate::encode::value::put_value;
use crate::transform::function::EvalError;
use crate::transform::plan::Order;
use crate::transform::subquery::{compare, two_rows};
use crate::transform::{Block, Expr, Scope};

/// One step of writing a body, in the order of the contract's fields. Paths are those of the record, or begin at the
/// element of the list that encloses the step most closely.
#[derive(Debug)]
pub(crate) enum Op {
    /// A column's text straight to bytes.
    Column {
        source: u16,
        column: u16,
        slot: Slot,
        path: Box<str>,
    },
    Eval {
        expr: Expr,
        slot: Slot,
        path: Box<str>,
    },
    /// Union index, if any, before the fields of a record; or a default.
    Bytes(Vec<u8>),
    List(Box<List>),
    One(Box<One>),
    Case(Box<Case>),
}

/// An array with an element for each row of the block.
#[derive(Debug)]
pub(crate) struct List {
    pub block: Block,
    pub order: Vec<Order>,
    pub item: Vec<Op>,
    /// The items are arrays themselves.
    pub nested: bool,
    pub path: Box<str>,
}

/// How many elements an array has in each dimension, as far as arrays stand directly in it. PostgreSQL has six at most.
type Dimensions = [usize; 6];

/// What the block's one row gives; the item writes its own union index.
#[derive(Debug)]
pub(crate) struct One {
    pub block: Block,
    pub null: NullRule,
    pub item: Vec<Op>,
    pub path: Box<str>,
}

/// The item where the condition holds.
#[derive(Debug)]
pub(crate) struct Case {
    pub when: Expr,
    pub null: NullRule,
    pub item: Vec<Op>,
    pub path: Box<str>,
}

#[derive(Debug)]
pub(crate) enum KeyCode {
    Avro(Vec<Op>),
    String(Box<Expr>),
}

/// Appends what the steps write. After an error `out` holds a part of it.
pub(crate) fn run(ops: &[Op], scope: &Scope<'_>, scratch: &mut String, out: &mut Vec<u8>) -> Result<(), RowError> {
    for op in ops {
        match op {
            Op::Column { source, column, slot, path } => {
                let cell = scope.rows.get(*source as usize).and_then(|row| row.get(*column as usize));
                debug_assert!(cell.is_some(), "rows have the shape of the plan");
                slot.put(cell.copied().flatten(), out).map_err(|fault| RowError::of_fault(path, fault))?;
            }
            Op::Eval { expr, slot, path } => {
                let value = evaluate(expr, scope).map_err(|e| RowError::of_eval(path, e))?;
                put_value(slot, &expr.ty, &value, scratch, out).map_err(|fault| RowError::of_fault(path, fault))?;
            }
            Op::Bytes(bytes) => out.extend_from_slice(bytes),
            Op::List(list) => _ = list.run(scope, scratch, out)?,
            Op::One(one) => one.run(scope, scratch, out)?,
            Op::Case(case) => case.run(scope, scratch, out)?,
        }
    }
    Ok(())
}

impl List {
    fn run(&self, scope: &Scope<'_>, scratch: &mut String, out: &mut Vec<u8>) -> Result<Dimensions, RowError> {
        let count_at = out.len();
        // The count stands before the items and is known after them: one byte is kept, which is enough up to 63.
        out.push(0);
        let mut dimensions = [0; 6];
        let count = match self.order.is_empty() {
            true => self.as_they_come(scope, scratch, out, &mut dimensions)?,
            false => self.in_order(scope, scratch, out, &mut dimensions)?,
        };
        if count > 0 {
            put_count(count as i64, count_at, out);
            out.push(0);
        }
        dimensions[0] = count;
        Ok(dimensions)
    }

    /// One element. Arrays in an array are one array of PostgreSQL's with a dimension more: all of one shape.
    fn element(
        &self,
        scope: &Scope<'_>,
        scratch: &mut String,
        out: &mut Vec<u8>,
        dimensions: &mut Dimensions,
    ) -> Result<(), RowError> {
        let (true, [before @ .., Op::List(inner)]) = (self.nested, self.item.as_slice()) else {
            return run(&self.item, scope, scratch, out);
        };
        run(before, scope, scratch, out)?;
        let of = inner.run(scope, scratch, out)?;
        let wrong = match (of[0], dimensions[1]) {
            (0, _) => "cannot accumulate empty arrays",
            (_, 0) => {
                dimensions[1..].copy_from_slice(&of[..5]);
                return Ok(());
            }
            _ if dimensions[1..] == of[..5] => return Ok(()),
            _ => "cannot accumulate arrays of different dimensionality",
        };
        Err(RowError::of_eval("", EvalError { sqlstate: "2202E", message: wrong.to_owned() }))
    }

    fn as_they_come(
        &self,
        scope: &Scope<'_>,
        scratch: &mut String,
        out: &mut Vec<u8>,
        dimensions: &mut Dimensions,
    ) -> Result<usize, RowError> {
        let (mut count, mut failed) = (0, None);
        let walked = self.block.each(scope, &mut |scope| {
            failed = self.element(scope, scratch, out, dimensions).err();
            if failed.is_some() {
                return Ok(ControlFlow::Break(()));
            }
            count += 1;
            Ok(ControlFlow::Continue(()))
        });
        match (walked, failed) {
            (_, Some(failed)) => Err(failed.in_element(&self.path, count)),
            (Err(e), None) => Err(RowError::of_eval(&self.path, e)),
            (Ok(_), None) => Ok(count),
        }
    }

    fn in_order(
        &self,
        scope: &Scope<'_>,
        scratch: &mut String,
        out: &mut Vec<u8>,
        dimensions: &mut Dimensions,
    ) -> Result<usize, RowError> {
        let start = out.len();
        let mut written = Written { keys: Vec::new(), ends: Vec::new(), failed: Vec::new() };
        let walked = self.block.each(scope, &mut |scope| {
            for order in &self.order {
                written.keys.push(order.expr.eval(scope)?.into_owned());
            }
            if let Err(failed) = self.element(scope, scratch, out, dimensions) {
                // Which element it is shows when all are in order.
                written.failed.push((written.ends.len(), failed));
            }
            written.ends.push(out.len());
            Ok(ControlFlow::Continue(()))
        });
        let places = match walked {
            Ok(_) => written.places(&self.order, scope),
            Err(e) => Err(e),
        };
        let places = places.map_err(|e| RowError::of_eval(&self.path, e))?;
        let first =
            written.failed.into_iter().filter_map(|(i, failed)| Some((places.iter().position(|p| *p == i)?, failed)));
        if let Some((index, failed)) = first.min_by_key(|(index, _)| *index) {
            return Err(failed.in_element(&self.path, index));
        }
        if !places.is_sorted() {
            let items = out.split_off(start);
            let item = |i: usize| -> Range<usize> {
                let from = if i == 0 { start } else { written.ends[i - 1] };
                from - start..written.ends[i] - start
            };
            places.iter().for_each(|&i| out.extend_from_slice(&items[item(i)]));
        }
        Ok(places.len())
    }
}

/// The items of a list as the rows came.
struct Written {
    /// As many for each item as the order has expressions.
    keys: Vec<Value<'static>>,
    /// Where each item ends.
    ends: Vec<usize>,
    failed: Vec<(usize, RowError)>,
}

impl Written {
    /// The items' indexes in the order asked for; what it leaves open stays as it came.
    fn places(&self, order: &[Order], scope: &Scope<'_>) -> Result<Vec<usize>, EvalError> {
        let keys = |i: usize| &self.keys[i * order.len()..(i + 1) * order.len()];
        let mut places: Vec<usize> = (0..self.ends.len()).collect();
        let mut failed = None;
        places.sort_by(|&a, &b| {
            compare(order, keys(a), keys(b), scope).unwrap_or_else(|e| {
                failed.get_or_insert(e);
                Ordering::Equal
            })
        });
        failed.map_or(Ok(places), Err)
    }
}

impl One {
    fn run(&self, scope: &Scope<'_>, scratch: &mut String, out: &mut Vec<u8>) -> Result<(), RowError> {
        let (mut met, mut failed) = (false, None);
        let walked = self.block.each(scope, &mut |scope| {
            if met {
                return Err(two_rows());
            }
            met = true;
            failed = run(&self.item, scope, scratch, out).err();
            Ok(if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        match (walked, failed) {
            (_, Some(failed)) => Err(failed),
            (Err(e), None) => Err(RowError::of_eval(&self.path, e)),
            (Ok(_), None) if met => Ok(()),
            (Ok(_), None) => put_null(self.null, &self.path, out),
        }
    }
}

impl Case {
    fn run(&self, scope: &Scope<'_>, scratch: &mut String, out: &mut Vec<u8>) -> Result<(), RowError> {
        match self.when.truth(scope).map_err(|e| RowError::of_eval(&self.path, e))? {
            Some(true) => run(&self.item, scope, scratch, out),
            _ => put_null(self.null, &self.path, out),
        }
    }
}

fn put_null(rule: NullRule, path: &str, out: &mut Vec<u8>) -> Result<(), RowError> {
    rule.put(out).map_err(|fault| RowError::of_fault(path, fault))
}
