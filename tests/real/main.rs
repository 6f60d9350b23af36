//! Tests against real servers; the environment says where they are (`make test` sets it).

mod differential;
mod function_datetime;
mod function_json;
mod function_numeric;
mod function_oracle;
mod function_text;
mod transform_expression;
mod transform_precedence;
