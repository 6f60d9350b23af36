//! Casts between json and jsonb, and from jsonb's scalars to booleans and numbers.

use std::borrow::Cow;

use super::Arg::{Bool, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric};
use super::CastContext::{Assignment, Explicit};
use super::cast::{cast, numeric_to_float4, numeric_to_float8, numeric_to_int, numeric_to_numeric};
use super::declare::*;
use super::{Call, EvalError, Function};
use crate::datum::input::jsonb;
use crate::datum::json::{JsonKind, kind};
use crate::datum::{Value, numeric};

pub static FUNCTIONS: &[Function] = &[
    cast("json->jsonb", &[Json], Jsonb, Assignment, json_to_jsonb),
    cast("jsonb->json", &[Jsonb], Json, Assignment, jsonb_to_json),
    cast("jsonb->bool", &[Jsonb], Bool, Explicit, jsonb_to_bool),
    cast("jsonb->int2", &[Jsonb], Int2, Explicit, |call, args| numeric_to_int::<i16>(call, &mut number(args)?)),
    cast("jsonb->int4", &[Jsonb], Int4, Explicit, |call, args| numeric_to_int::<i32>(call, &mut number(args)?)),
    cast("jsonb->int8", &[Jsonb], Int8, Explicit, |call, args| numeric_to_int::<i64>(call, &mut number(args)?)),
    cast("jsonb->float4", &[Jsonb], Float4, Explicit, |call, args| numeric_to_float4(call, &mut number(args)?)),
    cast("jsonb->float8", &[Jsonb], Float8, Explicit, |call, args| numeric_to_float8(call, &mut number(args)?)),
    cast("jsonb->numeric", &[Jsonb], Numeric, Explicit, |call, args| numeric_to_numeric(call, &mut number(args)?)),
];

type Answer<'a> = Result<Value<'a>, EvalError>;

fn json_to_jsonb<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Jsonb(Cow::Owned(jsonb(&text(args, 0)?)?)))
}

fn jsonb_to_json<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    Ok(Value::Json(text(args, 0)?))
}

fn other_kind() -> EvalError {
    error("22023", "cannot cast this kind of jsonb value to the type")
}

fn jsonb_to_bool<'a>(_: &Call<'_>, args: &mut [Value<'a>]) -> Answer<'a> {
    match &*text(args, 0)? {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        _ => Err(other_kind()),
    }
}

fn number<'a>(args: &mut [Value<'a>]) -> Result<[Value<'a>; 1], EvalError> {
    let text = text(args, 0)?;
    match kind(&text) {
        JsonKind::Number => numeric::read(text.as_bytes()).map(|n| [Value::Numeric(n)]).map_err(|_| other_kind()),
        _ => Err(other_kind()),
    }
}
