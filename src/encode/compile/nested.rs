//! Records, lists and records that may be missing: what keeps its types instead of becoming JSON or an array's text.
//!
//! That is so where the contract has a record or an array in the output's place; elsewhere the one expression that
//! PostgreSQL would evaluate fills the field.

use super::{Compiler, Named, Spot};
use crate::catalogue::Type;
use crate::encode::avro::{Avro, Record};
use crate::encode::codes;
use crate::encode::fit::{self, Misfit};
use crate::encode::leaf::NullRule;
use crate::encode::op::{self, Op};
use crate::transform::{Field, Shape};

impl Compiler<'_> {
    /// The steps for a shape at a place of the contract.
    pub(super) fn place(&mut self, shape: &Shape, avro: &Avro, spot: Spot, path: &str, ops: &mut Vec<Op>) {
        let done = match (shape, avro.non_null()) {
            (Shape::Record { fields, .. }, (Avro::Record(record), union)) => {
                if let NullRule::Union { some, .. } = fit::null_rule(union) {
                    ops.push(Op::Bytes(vec![some]));
                }
                self.fields(record, fields, path, ops);
                Ok(())
            }
            (Shape::One { block, item, .. }, (Avro::Record(_), _)) if is_record(item) => self
                .maybe(item, avro, spot, path, |null, item, path| {
                    Op::One(Box::new(op::One { block: block.clone(), null, item, path }))
                })
                .map(|op| ops.push(op)),
            (Shape::Case { when, item, .. }, (Avro::Record(_), _)) if is_record(item) => self
                .maybe(item, avro, spot, path, |null, item, path| {
                    Op::Case(Box::new(op::Case { when: when.clone(), null, item, path }))
                })
                .map(|op| ops.push(op)),
            // Arrays that a column holds have their dimensions in their text: the whole is evaluated as it is.
            (Shape::List { block, order, item, .. }, (Avro::Array(items), union)) if !is_array_value(item) => {
                if let NullRule::Union { some, .. } = fit::null_rule(union) {
                    ops.push(Op::Bytes(vec![some]));
                }
                let list = op::List {
                    block: block.clone(),
                    order: order.clone(),
                    item: self.element(item, items, spot, path),
                    nested: matches!(**item, Shape::List { .. }),
                    path: path[self.base..].into(),
                };
                ops.push(Op::List(Box::new(list)));
                Ok(())
            }
            (shape, _) => self.scalar(shape.expr(), avro, spot, path).map(|op| ops.push(op)).map_err(|misfit| {
                match (misfit.code, described(shape)) {
                    (codes::TYPE_MISMATCH, Some((what, help))) => Misfit {
                        message: format!("{path} is {what}, which cannot become {}", avro.describe()),
                        help: Some(help.to_owned()),
                        ..misfit
                    },
                    _ => misfit,
                }
            }),
        };
        if let Err(misfit) = done {
            self.misfit(misfit, spot);
        }
    }

    fn fields(&mut self, record: &Record, fields: &[Field], path: &str, ops: &mut Vec<Op>) {
        let outputs: Vec<Named<'_>> =
            fields.iter().map(|f| Named { name: &f.name, shape: &f.shape, span: f.span }).collect();
        self.record(record, &outputs, &format!("{path}."), ops);
    }

    /// A record that may be missing.
    fn maybe(
        &mut self,
        item: &Shape,
        avro: &Avro,
        spot: Spot,
        path: &str,
        op: impl FnOnce(NullRule, Vec<Op>, Box<str>) -> Op,
    ) -> Result<Op, Misfit> {
        let null = fit::null(true, avro, self.terms(spot), path)?;
        let mut ops = Vec::new();
        self.place(item, avro, spot, path, &mut ops);
        Ok(op(null, ops, path[self.base..].into()))
    }

    fn element(&mut self, item: &Shape, items: &Avro, spot: Spot, path: &str) -> Vec<Op> {
        let path = format!("{path}[]");
        let outer = std::mem::replace(&mut self.base, path.len());
        let mut ops = Vec::new();
        self.place(item, items, spot, &path, &mut ops);
        self.base = outer;
        ops
    }
}

fn is_record(shape: &Shape) -> bool {
    match shape {
        Shape::Record { .. } => true,
        Shape::One { item, .. } | Shape::Case { item, .. } => is_record(item),
        Shape::Scalar(_) | Shape::List { .. } => false,
    }
}

fn is_array_value(shape: &Shape) -> bool {
    match shape {
        Shape::Scalar(expr) => matches!(expr.ty.ty, Type::Array(_)),
        Shape::List { item, .. } => is_array_value(item),
        Shape::Record { .. } | Shape::One { .. } | Shape::Case { .. } => false,
    }
}

/// What people call it, and what may stand in its place of the contract.
fn described(shape: &Shape) -> Option<(&'static str, &'static str)> {
    match shape {
        Shape::Scalar(_) => None,
        Shape::List { .. } => Some(("an array", "make the field an array, or a string for PostgreSQL's text form")),
        Shape::Record { .. } | Shape::One { .. } | Shape::Case { .. } => {
            Some(("a record", "make the field a record, or a string for JSON text"))
        }
    }
}
