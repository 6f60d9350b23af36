//! `= <> < <= > >=` for the types that we hold.
//!
//! Text is ordered by bytes: as collation C does; the binder refuses other collations. NaN equals NaN and is above all.

use std::cmp::Ordering;

use super::Arg::*;
use super::array_search;
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::catalogue::{ColumnType, Type};
use crate::datum::calendar::MICROS_PER_DAY;
use crate::datum::{Value, array, date, read, timestamp};

macro_rules! table {
    ($($how:ident $volatility:ident : $([$left:expr, $right:expr])+;)*) => {
        &[$($(
            $volatility(operator("=", &[$left, $right], Bool, holds::<$how, Equal>)),
            $volatility(operator("<>", &[$left, $right], Bool, holds::<$how, NotEqual>)),
            $volatility(operator("<", &[$left, $right], Bool, holds::<$how, Less>)),
            $volatility(operator("<=", &[$left, $right], Bool, holds::<$how, LessOrEqual>)),
            $volatility(operator(">", &[$left, $right], Bool, holds::<$how, Greater>)),
            $volatility(operator(">=", &[$left, $right], Bool, holds::<$how, GreaterOrEqual>)),
        )+)*
            operator("=", &[AnyArray, AnyArray], Bool, arrays_equal),
            operator("<>", &[AnyArray, AnyArray], Bool, arrays_differ),
        ]
    };
}

pub static FUNCTIONS: &[Function] = table! {
    Plain immutable: [Bool, Bool] [Int2, Int2] [Int2, Int4] [Int2, Int8] [Int4, Int2] [Int4, Int4] [Int4, Int8]
        [Int8, Int2] [Int8, Int4] [Int8, Int8] [Oid, Oid] [Float4, Float4] [Float4, Float8] [Float8, Float4]
        [Float8, Float8] [Numeric, Numeric] [Text, Text] [Name, Name] [Name, Text] [Text, Name] [Char, Char]
        [Uuid, Uuid] [Bytea, Bytea] [Date, Date] [Time, Time] [Timestamp, Timestamp] [TimestampTz, TimestampTz]
        [Interval, Interval] [Date, Timestamp] [Timestamp, Date];
    Plain stable: [Date, TimestampTz] [TimestampTz, Date] [Timestamp, TimestampTz] [TimestampTz, Timestamp];
    Padded immutable: [Bpchar, Bpchar];
    Labels immutable: [AnyEnum, AnyEnum];
};

const fn immutable(function: Function) -> Function {
    function
}

/// How two values of a type stand to each other.
trait Compare {
    fn compare(call: &Call<'_>, a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, EvalError>;
}

struct Plain;
/// Blanks at the end do not count.
struct Padded;
/// By `enumsortorder`.
struct Labels;

impl Compare for Plain {
    fn compare(_: &Call<'_>, a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, EvalError> {
        compare(a, b)
    }
}

impl Compare for Padded {
    fn compare(_: &Call<'_>, a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, EvalError> {
        match (a, b) {
            (Value::Text(a), Value::Text(b)) => Ok(a.trim_end_matches(' ').cmp(b.trim_end_matches(' '))),
            _ => Err(unlike()),
        }
    }
}

impl Compare for Labels {
    fn compare(call: &Call<'_>, a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, EvalError> {
        compare_as(&arg_type(call, 0)?.ty, a, b)
    }
}

trait Test {
    fn test(order: Ordering) -> bool;
}

macro_rules! tests {
    ($($name:ident => $method:ident),*) => {
        $(
            struct $name;
            impl Test for $name {
                fn test(order: Ordering) -> bool {
                    order.$method()
                }
            }
        )*
    };
}

tests!(Equal => is_eq, NotEqual => is_ne, Less => is_lt, LessOrEqual => is_le, Greater => is_gt, GreaterOrEqual => is_ge);

fn holds<'a, C: Compare, T: Test>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [a, b] = args else { return Err(unlike()) };
    Ok(Value::Bool(T::test(C::compare(call, a, b)?)))
}

fn unlike() -> EvalError {
    error("XX000", "values of unlike types are compared")
}

/// Two values of one type, by its own order. Types known by their text alone have none here.
pub fn compare_as(ty: &Type, a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, EvalError> {
    match (ty, a, b) {
        (Type::Enum(e), Value::Text(a), Value::Text(b)) => {
            let place = |label: &str| e.labels.iter().position(|l| l == label);
            match (place(a), place(b)) {
                (Some(a), Some(b)) => Ok(a.cmp(&b)),
                // A label that was added after the catalogue was read: equality needs no order.
                _ if a == b => Ok(Ordering::Equal),
                _ => Err(error(
                    "XX000",
                    format!("a label of the enum {} is not in the catalogue as it was read", e.name),
                )),
            }
        }
        (Type::Bpchar, Value::Text(a), Value::Text(b)) => Ok(a.trim_end_matches(' ').cmp(b.trim_end_matches(' '))),
        (Type::Array(element), Value::Array(a), Value::Array(b)) => array_search::compare(element, a, b),
        (Type::Citext | Type::TimeTz | Type::Composite(_) | Type::Other(_) | Type::Json | Type::Jsonb, ..) => {
            Err(error("0A000", "values of this type are not compared here"))
        }
        _ => compare(a, b),
    }
}

fn compare(a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, EvalError> {
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Numeric(a), Value::Numeric(b)) => a.compare(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => a.span_micros().cmp(&b.span_micros()),
        (Value::Date(_) | Value::Timestamp(_), Value::Date(_) | Value::Timestamp(_)) => instant(a).cmp(&instant(b)),
        _ => match (double(a), double(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
            _ => return Err(unlike()),
        },
    })
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Float4(f) => Some(f64::from(*f)),
        Value::Float8(f) => Some(*f),
        _ => None,
    }
}

/// Dates reach further than timestamps: those are compared as if they were timestamps that did not end.
fn instant(value: &Value<'_>) -> i128 {
    match value {
        Value::Date(date::INFINITY) | Value::Timestamp(timestamp::INFINITY) => i128::MAX,
        Value::Date(date::NEG_INFINITY) | Value::Timestamp(timestamp::NEG_INFINITY) => i128::MIN,
        Value::Date(d) => i128::from(*d) * i128::from(MICROS_PER_DAY),
        Value::Timestamp(t) => i128::from(*t),
        _ => 0,
    }
}

fn arrays_equal<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    array_equality(call, args).map(Value::Bool)
}

fn arrays_differ<'a>(call: &Call<'_>, args: &mut [Value<'a>]) -> Result<Value<'a>, EvalError> {
    array_equality(call, args).map(|equal| Value::Bool(!equal))
}

/// Bounds, dimensions and elements have to be the same; NULL equals NULL.
fn array_equality(call: &Call<'_>, args: &[Value<'_>]) -> Result<bool, EvalError> {
    let ([Value::Array(a), Value::Array(b)], Type::Array(element)) = (args, &arg_type(call, 0)?.ty) else {
        return Err(unlike());
    };
    let ty = ColumnType::plain((**element).clone());
    let broken = |e: crate::datum::DatumError| error("XX000", e.to_string());
    if array::shape(a.as_bytes()).map_err(broken)? != array::shape(b.as_bytes()).map_err(broken)? {
        return Ok(false);
    }
    let (a, b) = (array::elements(a.as_bytes()).map_err(broken)?, array::elements(b.as_bytes()).map_err(broken)?);
    for (a, b) in a.zip(b) {
        match (a.map_err(broken)?, b.map_err(broken)?) {
            (None, None) => {}
            (Some(a), Some(b)) => {
                let (a, b) = (read(&ty, &a).map_err(broken)?, read(&ty, &b).map_err(broken)?);
                if compare_as(&ty.ty, &a, &b)?.is_ne() {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}
