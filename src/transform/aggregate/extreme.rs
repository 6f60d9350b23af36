//! `min` and `max`. Of values that are equal and look different (`1.0`, `1.00`) the last one is taken, as by
//! PostgreSQL's `numeric_smaller` and its like; of `character` the first one, as by `bpchar_smaller`.

use std::cmp::Ordering;

use super::{Accumulator, Aggregate, aggregate, mismatch, refused};
use crate::catalogue::Type;
use crate::datum::Value;
use crate::transform::function::Arg::{self, *};
use crate::transform::function::comparison::compare_as;
use crate::transform::function::{EvalError, Returns};

const CITEXT: &str = "citext is compared without case by the server's locale; use lower(column::text)";
const FORM: &str =
    "values of this type are not compared here; cast the argument to text or to a number if their order allows it";

macro_rules! extremes {
    ($($arg:expr)*; polymorphic: $($any:expr)*; refused: $($other:expr, $why:expr;)*) => {
        &[$(extreme("min", &[$arg], $arg), extreme("max", &[$arg], $arg),)*
          $(polymorphic(extreme("min", &[$any], $any)), polymorphic(extreme("max", &[$any], $any)),)*
          $(
              Aggregate { sort: Some("<"), ..refused("min", &[$other], $other, $why) },
              Aggregate { sort: Some(">"), ..refused("max", &[$other], $other, $why) },
          )*]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = extremes! {
    Int2 Int4 Int8 Oid Float4 Float8 Numeric Text Bpchar Date Time Timestamp TimestampTz Interval;
    polymorphic: AnyEnum AnyArray;
    refused:
        TimeTz, FORM; Other("inet"), FORM; Other("money"), FORM; Other("pg_lsn"), FORM; Other("tid"), FORM;
        Other("xid8"), FORM; Citext, CITEXT;
};

const fn extreme(name: &'static str, args: &'static [Arg], returns: Arg) -> Aggregate {
    let min = name.as_bytes()[1] == b'i';
    let sort = Some(if min { "<" } else { ">" });
    let plain = if min {
        aggregate(name, args, returns, |types, _| Box::new(Extreme::of(types, Ordering::Less)))
    } else {
        aggregate(name, args, returns, |types, _| Box::new(Extreme::of(types, Ordering::Greater)))
    };
    Aggregate { sort, ..plain }
}

const fn polymorphic(aggregate: Aggregate) -> Aggregate {
    Aggregate { returns: Returns::SameAsArgument, ..aggregate }
}

struct Extreme {
    ty: Type,
    wins: Ordering,
    best: Value<'static>,
}

impl Extreme {
    fn of(types: &[crate::catalogue::ColumnType], wins: Ordering) -> Extreme {
        Extreme { ty: types.first().map_or(Type::Unknown, |t| t.ty.clone()), wins, best: Value::Null }
    }
}

impl Accumulator for Extreme {
    fn add(&mut self, args: &[Value<'_>]) -> Result<(), EvalError> {
        let Some(value) = args.first() else { return Err(mismatch()) };
        let stays = match &self.best {
            Value::Null => false,
            best => match compare_as(&self.ty, best, value)? {
                Ordering::Equal => self.ty == Type::Bpchar,
                order => order == self.wins,
            },
        };
        if !stays {
            self.best = value.clone().into_owned();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value<'static>, EvalError> {
        Ok(std::mem::replace(&mut self.best, Value::Null))
    }
}
