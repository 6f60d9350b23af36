//! What ANALYZE knows of tables: the ground of estimates, never of an answer.
//!
//! Columns that the role may not read have no statistics here, nor have tables that were never analysed.

use serde::Deserialize;

use super::Connection;
use super::ask::{Question, ReadError, oid_array, question};
use crate::catalogue::Oid;

const STATISTICS: Question = question!("statistics");

#[derive(Debug, Clone, PartialEq)]
pub struct TableStatistics {
    pub oid: Oid,
    pub rows: Option<f64>,
    pub columns: Vec<ColumnStatistics>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ColumnStatistics {
    pub name: String,
    /// Of all rows, from 0 to 1.
    pub null_share: f64,
    /// Mean bytes of a value that is not NULL.
    pub width: f64,
    /// Different values; negative: as a share of the rows. 0: unknown.
    pub distinct: f64,
    /// The share of the most frequent value; None where none is frequent.
    pub hottest: Option<f64>,
}

pub fn read(conn: &mut Connection, tables: &[Oid]) -> Result<Vec<TableStatistics>, ReadError> {
    let oids = oid_array(tables.iter().copied());
    let answer = STATISTICS.ask(conn, &[("tables", &oids)])?;
    answer
        .lines()
        .map(|line| {
            let rows = match line.optional("rows")? {
                Some(_) => Some(line.number("rows")?),
                None => None,
            };
            let columns: Option<Vec<ColumnStatistics>> = line.json("columns")?;
            Ok(TableStatistics { oid: line.number("table_oid")?, rows, columns: columns.unwrap_or_default() })
        })
        .collect()
}
