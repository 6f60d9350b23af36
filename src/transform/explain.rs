//! What `pgspine explain` tells of a plan: its look-ups, where each is made, and the way of a change back to the root.

mod words;

use std::collections::BTreeSet;

use super::plan::{Answer, Block, Expr, ExprKind, Link, Plan, Shape, Subquery};
use super::walk::Visitor;

/// A plan, looked at.
pub struct Explained<'p> {
    pub plan: &'p Plan,
    /// One for each source but the root, in the order of the sources.
    pub lookups: Vec<Lookup>,
}

/// A source that is found by its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    pub source: u16,
    /// `FROM`, `WHERE`, or an output's path: `lines[]`.
    pub place: String,
    pub how: How,
    /// LEFT JOIN.
    pub left: bool,
    /// One row at most.
    pub unique: bool,
    pub link: Link,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Join,
    /// An element for each row.
    List,
    /// A record of one row.
    One,
    Exists,
    In,
    Scalar,
    Array,
    /// By their names.
    Aggregates(Vec<&'static str>),
}

/// One step of the way back: the rows of `source` that have `equal` of the row before in their `columns`.
#[derive(Debug, PartialEq, Eq)]
pub struct Back {
    pub source: u16,
    /// Places in the columns of `source`, and of the source before.
    pub columns: Vec<u16>,
    pub equal: Vec<u16>,
}

impl<'p> Explained<'p> {
    pub fn of(plan: &'p Plan) -> Explained<'p> {
        let mut finder = Finder { seen: BTreeSet::new(), found: Vec::new(), place: String::new() };
        finder.block(&plan.block, "FROM", &How::Join);
        for output in &plan.outputs {
            finder.shape(&output.shape, &output.name);
        }
        finder.found.sort_by_key(|l| l.source);
        Explained { plan, lookups: finder.found }
    }

    /// How a change of a row of `source` comes to the root: empty for the root itself.
    pub fn way_back(&self, source: u16) -> Vec<Back> {
        let mut way = Vec::new();
        let mut at = source;
        // A parent comes before what hangs on it; a plan that says otherwise has no endless way either.
        while let Some(lookup) = self.lookups.iter().find(|l| l.source == at)
            && way.len() < self.plan.sources.len()
        {
            let link = &lookup.link;
            way.push(Back {
                source: link.parent,
                columns: link.columns.iter().map(|c| c.parent).collect(),
                equal: link.columns.iter().map(|c| c.own).collect(),
            });
            at = link.parent;
        }
        way
    }

    pub fn column(&self, source: u16, column: u16) -> &'p str {
        let of = self.plan.sources.get(usize::from(source)).and_then(|s| s.columns.get(usize::from(column)));
        of.map_or("?", |c| &c.name)
    }
}

/// Meets a source first where its rows are made something of, and not again in the JSON of the same output.
struct Finder {
    seen: BTreeSet<u16>,
    found: Vec<Lookup>,
    /// Of the expression that is walked.
    place: String,
}

impl Finder {
    fn block(&mut self, block: &Block, place: &str, how: &How) {
        self.steps(block, place, how);
        for step in &block.steps {
            step.on.iter().for_each(|e| self.expression(e, if place == "FROM" { "ON" } else { place }));
        }
        block.filter.iter().for_each(|e| self.expression(e, if place == "FROM" { "WHERE" } else { place }));
    }

    fn steps(&mut self, block: &Block, place: &str, how: &How) {
        for step in &block.steps {
            if self.seen.insert(step.source) {
                self.found.push(Lookup {
                    source: step.source,
                    place: place.to_owned(),
                    how: how.clone(),
                    left: step.left,
                    unique: step.unique,
                    link: step.link.clone(),
                });
            }
        }
    }

    fn shape(&mut self, shape: &Shape, path: &str) {
        match shape {
            Shape::Scalar(expr) => self.expression(expr, path),
            Shape::Record { fields, .. } => {
                fields.iter().for_each(|f| self.shape(&f.shape, &format!("{path}.{}", f.name)));
            }
            Shape::List { block, order, item, .. } => {
                let path = format!("{path}[]");
                self.block(block, &path, &How::List);
                order.iter().for_each(|o| self.expression(&o.expr, &path));
                self.shape(item, &path);
            }
            Shape::One { block, item, .. } => {
                self.block(block, path, &How::One);
                self.shape(item, path);
            }
            Shape::Case { when, item, .. } => {
                self.expression(when, path);
                self.shape(item, path);
            }
        }
    }

    fn expression(&mut self, expr: &Expr, place: &str) {
        self.place = place.to_owned();
        expr.visit(self);
    }
}

impl Visitor for Finder {
    fn expr(&mut self, e: &Expr) {
        if let ExprKind::Subquery(subquery) = &e.kind {
            let place = self.place.clone();
            self.steps(&subquery.block, &place, &how(subquery));
        }
    }
}

fn how(subquery: &Subquery) -> How {
    match &subquery.answer {
        Answer::Exists => How::Exists,
        Answer::In { .. } => How::In,
        Answer::Scalar { .. } => How::Scalar,
        Answer::Array { .. } => How::Array,
        Answer::Aggregates { calls, .. } => How::Aggregates(calls.iter().map(|c| c.aggregate.name).collect()),
    }
}

#[cfg(test)]
mod tests;
