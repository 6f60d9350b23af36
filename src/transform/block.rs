//! The rows of a FROM: nested loops over links, from rows that are given.

use std::ops::ControlFlow;

use super::eval::{EachRow, Scope, malformed};
use super::function::EvalError;
use super::plan::{Block, Step};
use crate::row::Row;

/// What is done with each combination of rows.
pub type Each<'e> = dyn FnMut(&Scope<'_>) -> Result<ControlFlow<()>, EvalError> + 'e;

/// Plans of up to this many sources need no allocation for a row.
const STACK_SOURCES: usize = 12;

/// As many NULLs as a table has columns at most.
static NULLS: [Option<&[u8]>; 1664] = [None; 1664];

impl Block {
    /// Every combination of rows that the joins and the filter let through, always in the same order, until `each`
    /// breaks.
    pub fn each(&self, scope: &Scope<'_>, each: &mut Each<'_>) -> Result<ControlFlow<()>, EvalError> {
        if self.steps.is_empty() {
            return if self.passes(scope)? { each(scope) } else { Ok(ControlFlow::Continue(())) };
        }
        self.step(0, scope, each)
    }

    fn passes(&self, scope: &Scope<'_>) -> Result<bool, EvalError> {
        match &self.filter {
            Some(filter) => Ok(filter.truth(scope)? == Some(true)),
            None => Ok(true),
        }
    }

    fn step(&self, at: usize, scope: &Scope<'_>, each: &mut Each<'_>) -> Result<ControlFlow<()>, EvalError> {
        let Some(step) = self.steps.get(at) else {
            return if self.passes(scope)? { each(scope) } else { Ok(ControlFlow::Continue(())) };
        };
        let parent = scope.rows.get(usize::from(step.link.parent)).copied().unwrap_or_default();
        let mut flow = ControlFlow::Continue(());
        let mut found = false;
        let mut key = Vec::new();
        if step.link.key_of_parent(parent, &mut key) {
            let mut take = |row: Row<'_>| -> Result<ControlFlow<()>, EvalError> {
                with(step, row, scope, |scope| {
                    if let Some(on) = &step.on
                        && on.truth(scope)? != Some(true)
                    {
                        return Ok(ControlFlow::Continue(()));
                    }
                    found = true;
                    flow = self.step(at + 1, scope, each)?;
                    Ok(flow)
                })
            };
            let take: &mut EachRow<'_> = &mut take;
            scope.lookup.rows(step.source, &key, take)?;
        }
        if step.left && !found {
            flow = with(step, &NULLS, scope, |scope| self.step(at + 1, scope, each))?;
        }
        Ok(flow)
    }
}

/// The scope with one more row.
fn with<R>(
    step: &Step,
    row: Row<'_>,
    scope: &Scope<'_>,
    f: impl FnOnce(&Scope<'_>) -> Result<R, EvalError>,
) -> Result<R, EvalError> {
    let place = usize::from(step.source);
    if place >= scope.rows.len() {
        return Err(malformed("the scope has fewer rows than the plan"));
    }
    if scope.rows.len() <= STACK_SOURCES {
        let mut rows: [Row<'_>; STACK_SOURCES] = [&[]; STACK_SOURCES];
        rows[..scope.rows.len()].copy_from_slice(scope.rows);
        rows[place] = row;
        return f(&Scope { rows: &rows[..scope.rows.len()], ..*scope });
    }
    let mut rows: Vec<Row<'_>> = scope.rows.to_vec();
    rows[place] = row;
    f(&Scope { rows: &rows, ..*scope })
}
