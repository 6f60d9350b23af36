//! The compiled way from a row to the bytes of a record: filter, key, body.
//!
//! Columns go from their text straight to Avro; other expressions are evaluated first. The buffers are the caller's and
//! are used again, so that a row costs no allocation. Key and value carry Confluent's frame; the body without it is
//! what is compared and hashed.

use std::fmt;

use crate::diagnostic::{Code, Diagnostic};
use crate::encode::codes;
use crate::encode::compile::{Compiler, KeyCode, Op, RenderOptions};
use crate::encode::contract::Contract;
use crate::encode::eval::{evaluate, is_true};
use crate::encode::key::KeySchema;
use crate::encode::leaf::Fault;
use crate::encode::value::{put_key_text, put_value};
use crate::encode::wire::{FRAME, put_frame};
use crate::row::Row;
use crate::transform::function::{Context, EvalError};
use crate::transform::{Expr, Plan};

#[derive(Debug)]
pub struct Renderer {
    filter: Option<Expr>,
    key: KeyCode,
    body: Vec<Op>,
    key_schema_id: u32,
    value_schema_id: u32,
    max_record: usize,
    header_allowance: usize,
}

/// Key and value of one record; used again for the next.
#[derive(Debug, Default)]
pub struct Rendered {
    /// As it stands in Kafka: framed, or the string.
    pub key: Vec<u8>,
    /// As it stands in Kafka: framed.
    pub value: Vec<u8>,
    scratch: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The row is not in the SELECT's answer. `Rendered` holds nothing of use.
    Filtered,
    /// Key and value are written.
    Entity,
}

/// A row that cannot be evaluated or encoded. Holds no value of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Of the output, with the place below it: `lines[3].unit_price`; `WHERE`, or empty for the whole record.
    pub path: String,
    pub code: Code,
    /// What PostgreSQL would have raised, for errors of expressions.
    pub sqlstate: Option<&'static str>,
    pub message: String,
}

impl Renderer {
    /// Proves that the plan fits the contract, and compiles it. Gives every finding at once.
    pub fn new(
        plan: &Plan,
        contract: &Contract,
        key: &KeySchema,
        options: &RenderOptions,
    ) -> Result<Renderer, Vec<Diagnostic>> {
        let mut compiler = Compiler::new(contract, options);
        let (body, key) = (compiler.body(plan), compiler.key(plan, key));
        compiler.finish(Renderer {
            filter: plan.filter.clone(),
            key,
            body,
            key_schema_id: 0,
            value_schema_id: 0,
            max_record: options.max_record,
            header_allowance: options.header_allowance,
        })
    }

    /// The ids that the registry gave. A string key has none; its number is not used.
    pub fn set_schema_ids(&mut self, key: u32, value: u32) {
        self.key_schema_id = key;
        self.value_schema_id = value;
    }

    /// Evaluates one row: `rows[i]` belongs to the plan's `sources[i]`.
    pub fn render(&self, context: &Context, rows: &[Row<'_>], out: &mut Rendered) -> Result<Outcome, RowError> {
        if !self.passes(context, rows)? {
            return Ok(Outcome::Filtered);
        }
        self.key(context, rows, out)?;
        out.value.clear();
        put_frame(&mut out.value, self.value_schema_id);
        run(&self.body, context, rows, &mut out.scratch, &mut out.value)?;
        let size = out.key.len() + out.value.len() + self.header_allowance;
        if size > self.max_record {
            let message = format!("the record has {size} bytes, max_record is {}", self.max_record);
            return Err(RowError { path: String::new(), code: codes::ROW_TOO_LARGE, sqlstate: None, message });
        }
        Ok(Outcome::Entity)
    }

    /// Whether the row passes the WHERE clause.
    pub fn passes(&self, context: &Context, rows: &[Row<'_>]) -> Result<bool, RowError> {
        match &self.filter {
            None => Ok(true),
            Some(filter) => is_true(filter, context, rows).map_err(|e| RowError::of_eval("WHERE", e)),
        }
    }

    /// The key alone, whatever the filter says: enough for the DELETE of a transform without WHERE.
    pub fn key(&self, context: &Context, rows: &[Row<'_>], out: &mut Rendered) -> Result<(), RowError> {
        out.key.clear();
        match &self.key {
            KeyCode::Avro(ops) => {
                put_frame(&mut out.key, self.key_schema_id);
                run(ops, context, rows, &mut out.scratch, &mut out.key)
            }
            KeyCode::String(expr) => {
                out.scratch.clear();
                let value = evaluate(expr, context, rows).map_err(|e| RowError::of_eval("key", e))?;
                put_key_text(&expr.ty, &value, &mut out.scratch).map_err(|f| RowError::of_fault("key", f))?;
                out.key.extend_from_slice(out.scratch.as_bytes());
                Ok(())
            }
        }
    }

    /// Whether there is a WHERE.
    pub fn has_filter(&self) -> bool {
        self.filter.is_some()
    }
}

impl Rendered {
    /// The value's Avro body, without the frame.
    pub fn body(&self) -> &[u8] {
        self.value.get(FRAME..).unwrap_or_default()
    }
}

fn run(
    ops: &[Op],
    context: &Context,
    rows: &[Row<'_>],
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), RowError> {
    for op in ops {
        match op {
            Op::Column { source, column, slot, path } => {
                let cell = rows.get(*source as usize).and_then(|row| row.get(*column as usize));
                debug_assert!(cell.is_some(), "rows have the shape of the plan");
                slot.put(cell.copied().flatten(), out).map_err(|fault| RowError::of_fault(path, fault))?;
            }
            Op::Eval { expr, slot, path } => {
                let value = evaluate(expr, context, rows).map_err(|e| RowError::of_eval(path, e))?;
                put_value(slot, &expr.ty, &value, scratch, out).map_err(|fault| RowError::of_fault(path, fault))?;
            }
            Op::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
    Ok(())
}

impl RowError {
    // A fault is boxed so that the way without one carries a pointer's width.
    #[allow(clippy::boxed_local)]
    #[cold]
    fn of_fault(path: &str, fault: Box<Fault>) -> RowError {
        // Collected from the inside out.
        let below: String = fault.path.iter().rev().map(String::as_str).collect();
        RowError {
            path: format!("{path}{below}"),
            code: fault.code,
            sqlstate: fault.sqlstate,
            message: fault.message.into_owned(),
        }
    }

    #[cold]
    fn of_eval(path: &str, error: EvalError) -> RowError {
        RowError {
            path: path.to_owned(),
            code: codes::ROW_EVAL,
            sqlstate: Some(error.sqlstate),
            message: error.message,
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match self.sqlstate {
            Some(sqlstate) => write!(f, " (SQLSTATE {sqlstate})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RowError {}

#[cfg(test)]
#[path = "render/tests.rs"]
mod tests;
