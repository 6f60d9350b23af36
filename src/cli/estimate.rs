//! What a transform will cost, by what ANALYZE knows: rows and bytes in the local state, and how many records one changed
//! row evaluates again.
//!
//! Estimates are for people who plan; nothing is decided by them.

use std::collections::HashMap;

use crate::capture::statistics::{ColumnStatistics, TableStatistics};
use crate::catalogue::Table;
use crate::transform::explain::Back;
use crate::transform::{Explained, Source};

pub struct Estimate<'a> {
    explained: &'a Explained<'a>,
    /// By source of the plan.
    sources: Vec<Known<'a>>,
}

struct Known<'a> {
    table: Option<&'a Table>,
    rows: Option<f64>,
    columns: HashMap<&'a str, &'a ColumnStatistics>,
}

/// Records that a change of one row evaluates again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FanOut {
    pub mean: f64,
    /// With the most frequent value of the column in which there is the greatest.
    pub most: f64,
}

/// What stands in the local state for a table of one transform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub rows: f64,
    pub bytes: f64,
}

/// Beside keys and values: lengths, and what the store keeps with each entry.
const ENTRY: f64 = 12.0;

/// A value that was never measured: what most are.
const WIDTH: f64 = 16.0;

impl<'a> Estimate<'a> {
    pub fn new(explained: &'a Explained<'a>, tables: &[&'a Table], statistics: &'a [TableStatistics]) -> Estimate<'a> {
        let known = |source: &Source| {
            let of = statistics.iter().find(|s| s.oid == source.table_oid && s.oid != 0);
            Known {
                table: tables.iter().copied().find(|t| t.name == source.table),
                rows: of.and_then(|s| s.rows),
                columns: of.into_iter().flat_map(|s| &s.columns).map(|c| (c.name.as_str(), c)).collect(),
            }
        };
        Estimate { explained, sources: explained.plan.sources.iter().map(known).collect() }
    }

    /// None: a table on the way was never analysed.
    pub fn fan_out(&self, source: u16) -> Option<FanOut> {
        let way = self.explained.way_back(source);
        let steps: Option<Vec<FanOut>> = way.iter().map(|back| self.step(back)).collect();
        let steps = steps?;
        let mean: f64 = steps.iter().map(|s| s.mean).product();
        // The most frequent values of two steps need not meet: one of them, with what is usual at the others.
        let one = |i: usize| steps.iter().enumerate().map(|(k, s)| if k == i { s.most } else { s.mean }).product();
        let most = (0..steps.len()).map(one).fold(mean, f64::max);
        let roots = self.sources.first()?.rows.unwrap_or(f64::MAX);
        Some(FanOut { mean: mean.min(roots), most: most.min(roots) })
    }

    /// How many rows of the step's source have one value in its columns.
    fn step(&self, back: &Back) -> Option<FanOut> {
        let known = self.sources.get(usize::from(back.source))?;
        let names: Vec<&str> = back.columns.iter().map(|c| self.explained.column(back.source, *c)).collect();
        if known.unique(&names) {
            return Some(FanOut { mean: 1.0, most: 1.0 });
        }
        let rows = known.rows?;
        // Of several columns together there are as many values as of the one that has most, at least.
        let each = names.iter().map(|name| {
            let Some(column) = known.columns.get(name).filter(|c| c.distinct != 0.0) else {
                return FanOut { mean: rows, most: rows };
            };
            let distinct = if column.distinct > 0.0 { column.distinct } else { -column.distinct * rows };
            let mean = rows * (1.0 - column.null_share) / distinct.max(1.0);
            FanOut { mean, most: column.hottest.map_or(mean, |share| (share * rows).max(mean)) }
        });
        each.min_by(|a, b| a.mean.total_cmp(&b.mean))
    }

    /// Rows and bytes of the table of `source`, kept by the columns of `key`, with these columns and indexes.
    pub fn size(&self, source: u16, key: &[&str], columns: &[&str], indexes: &[Vec<&str>]) -> Option<Size> {
        let known = self.sources.get(usize::from(source))?;
        let rows = known.rows?;
        let width = |names: &[&str]| names.iter().map(|n| known.width(n)).sum::<f64>();
        let index: f64 = indexes.iter().map(|i| width(i) + width(key) + ENTRY).sum();
        Some(Size { rows, bytes: rows * (width(key) + width(columns) + ENTRY + index) })
    }
}

impl Known<'_> {
    fn unique(&self, names: &[&str]) -> bool {
        let covers = |columns: &[String]| !columns.is_empty() && columns.iter().all(|c| names.contains(&c.as_str()));
        self.table.is_some_and(|t| t.indexes.iter().any(|i| i.unique && i.valid && !i.partial && covers(&i.columns)))
    }

    /// With its length.
    fn width(&self, name: &str) -> f64 {
        self.columns.get(name).map_or(WIDTH, |c| c.width * (1.0 - c.null_share)) + 1.0
    }
}

/// `1,234,567`, rounded to three digits: more would promise too much.
pub fn about(n: f64) -> String {
    let scale = 10f64.powi((n.max(1.0).log10().floor() as i32 - 2).max(0));
    let digits = format!("{:.0}", (n / scale).round() * scale);
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub fn bytes(n: f64) -> String {
    let units = ["bytes", "KB", "MB", "GB", "TB"];
    let power = ((n.max(1.0).log10() / 3.0) as usize).min(units.len() - 1);
    let scaled = n / 1000f64.powi(power as i32);
    if power == 0 || scaled >= 10.0 {
        format!("{scaled:.0} {}", units[power])
    } else {
        format!("{scaled:.1} {}", units[power])
    }
}

#[cfg(test)]
mod tests;
