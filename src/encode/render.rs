//! The compiled way from a row to the bytes of a record: filter, key, body.
//!
//! Columns go from their text straight to Avro; other expressions are evaluated first. The buffers are the caller's and
//! are used again, so that a row costs no allocation. Key and value carry Confluent's frame; the body without it is
//! what is compared and hashed.

use std::ops::ControlFlow;

use crate::diagnostic::Diagnostic;
use crate::encode::codes;
use crate::encode::compile::{Compiler, RenderOptions};
use crate::encode::contract::Contract;
use crate::encode::eval::evaluate;
use crate::encode::key::KeySchema;
use crate::encode::op::{KeyCode, Op, run};
use crate::encode::row_error::RowError;
use crate::encode::value::put_key_text;
use crate::encode::wire::{FRAME, put_frame};
use crate::row::Row;
use crate::transform::function::Context;
use crate::transform::{Block, Expr, Lookup, Plan, Scope};

#[derive(Debug)]
pub struct Renderer {
    block: Block,
    /// Of the plan: as many rows stand in a scope.
    sources: usize,
    key: KeyCode,
    body: Vec<Op>,
    /// The output that becomes a header, and its name.
    event_id: Option<(Expr, String)>,
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
    /// An event's id, as text, where the renderer has one.
    pub event_id: Vec<u8>,
    scratch: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The row is not in the SELECT's answer. `Rendered` holds nothing of use.
    Filtered,
    /// Key and value are written.
    Entity,
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
        let event_id = plan.outputs.iter().find(|o| options.header_outputs.contains(&o.name));
        compiler.finish(Renderer {
            block: plan.block.clone(),
            sources: plan.sources.len(),
            key,
            body,
            event_id: event_id.map(|o| (o.shape.expr().clone(), o.name.clone())),
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

    /// Evaluates one root: its row, with the rows of the other sources where `lookup` finds them.
    pub fn render(
        &self,
        context: &Context,
        root: Row<'_>,
        lookup: &dyn Lookup,
        out: &mut Rendered,
    ) -> Result<Outcome, RowError> {
        let (mut met, mut failed) = (false, None);
        let flow = self.in_scope(context, root, lookup, |scope| {
            self.block.each(scope, &mut |scope| {
                let written = if met { Err(RowError::two_rows()) } else { self.write(scope, out) };
                met = true;
                failed = written.err();
                Ok(if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
        });
        match (flow, failed) {
            (_, Some(failed)) => Err(failed),
            (Err(e), None) => Err(RowError::of_eval("WHERE", e)),
            (Ok(_), None) if met => Ok(Outcome::Entity),
            (Ok(_), None) => Ok(Outcome::Filtered),
        }
    }

    /// The scope of a root: its row first, room for those of the others.
    fn in_scope<R>(&self, context: &Context, root: Row<'_>, lookup: &dyn Lookup, f: impl FnOnce(&Scope<'_>) -> R) -> R {
        if self.sources == 1 {
            return f(&Scope { context, rows: &[root], lookup, aggregates: &[] });
        }
        let mut rows: Vec<Row<'_>> = vec![&[]; self.sources];
        rows[0] = root;
        f(&Scope { context, rows: &rows, lookup, aggregates: &[] })
    }

    fn write(&self, scope: &Scope<'_>, out: &mut Rendered) -> Result<(), RowError> {
        self.write_key(scope, out)?;
        out.value.clear();
        put_frame(&mut out.value, self.value_schema_id);
        run(&self.body, scope, &mut out.scratch, &mut out.value)?;
        out.event_id.clear();
        if let Some((expr, name)) = &self.event_id {
            out.scratch.clear();
            let value = evaluate(expr, scope).map_err(|e| RowError::of_eval(name, e))?;
            put_key_text(&expr.ty, &value, &mut out.scratch).map_err(|f| RowError::of_fault(name, f))?;
            out.event_id.extend_from_slice(out.scratch.as_bytes());
        }
        let size = out.key.len() + out.value.len() + out.event_id.len() + self.header_allowance;
        if size > self.max_record {
            let message = format!("the record has {size} bytes, max_record is {}", self.max_record);
            return Err(RowError { path: String::new(), code: codes::ROW_TOO_LARGE, sqlstate: None, message });
        }
        Ok(())
    }

    /// The key alone, of the first row that joins and filter let through, or whatever the filter says where the plan has
    /// one source.
    pub fn key(
        &self,
        context: &Context,
        root: Row<'_>,
        lookup: &dyn Lookup,
        out: &mut Rendered,
    ) -> Result<(), RowError> {
        self.in_scope(context, root, lookup, |scope| {
            if self.block.steps.is_empty() {
                return self.write_key(scope, out);
            }
            let mut written = None;
            let walked = self.block.each(scope, &mut |scope| {
                written = Some(self.write_key(scope, out));
                Ok(ControlFlow::Break(()))
            });
            written.unwrap_or_else(|| match walked {
                Err(e) => Err(RowError::of_eval("WHERE", e)),
                // Nothing is let through: there is no key to speak of.
                Ok(_) => self.write_key(scope, out),
            })
        })
    }

    fn write_key(&self, scope: &Scope<'_>, out: &mut Rendered) -> Result<(), RowError> {
        out.key.clear();
        match &self.key {
            KeyCode::Avro(ops) => {
                put_frame(&mut out.key, self.key_schema_id);
                run(ops, scope, &mut out.scratch, &mut out.key)
            }
            KeyCode::String(expr) => {
                out.scratch.clear();
                let value = evaluate(expr, scope).map_err(|e| RowError::of_eval("key", e))?;
                put_key_text(&expr.ty, &value, &mut out.scratch).map_err(|f| RowError::of_fault("key", f))?;
                out.key.extend_from_slice(out.scratch.as_bytes());
                Ok(())
            }
        }
    }

    /// Whether records have an id of their own, beside the key.
    pub fn has_event_id(&self) -> bool {
        self.event_id.is_some()
    }

    /// Whether there is a WHERE.
    pub fn has_filter(&self) -> bool {
        self.block.filter.is_some()
    }
}

impl Rendered {
    /// The value's Avro body, without the frame.
    pub fn body(&self) -> &[u8] {
        self.value.get(FRAME..).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "render/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "render/nested_tests.rs"]
mod nested_tests;
