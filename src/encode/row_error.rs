//! What stops one row: an expression, or a value that its field cannot take.

use std::fmt;

use crate::diagnostic::Code;
use crate::encode::codes;
use crate::encode::leaf::Fault;
use crate::transform::function::EvalError;

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

impl RowError {
    // A fault is boxed so that the way without one carries a pointer's width.
    #[allow(clippy::boxed_local)]
    #[cold]
    pub(crate) fn of_fault(path: &str, fault: Box<Fault>) -> RowError {
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
    pub(crate) fn two_rows() -> RowError {
        RowError {
            path: String::new(),
            code: codes::ROW_EVAL,
            sqlstate: None,
            message: "the joins give this root a second row, and a key has one record".to_owned(),
        }
    }

    /// The error of a part, seen from the whole: `lines` and 3 before `.unit_price`.
    #[cold]
    pub(crate) fn in_element(mut self, list: &str, index: usize) -> RowError {
        self.path.insert_str(0, &format!("{list}[{index}]"));
        self
    }

    #[cold]
    pub(crate) fn of_eval(path: &str, error: EvalError) -> RowError {
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
