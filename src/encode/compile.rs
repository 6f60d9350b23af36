//! From plan and contract to operations: every field of the contract has an output that fits, and the reverse.
//!
//! All that does not fit is reported at once, each finding at the field's line or at the output's. Findings name a place by
//! its path in the record (`lines[].unit_price`).

mod key;
mod nested;

use std::path::PathBuf;

use crate::diagnostic::{Code, Diagnostic, Place, Span};
use crate::encode::avro::{Avro, Record, RecordField, Special};
use crate::encode::codes;
use crate::encode::contract::Contract;
use crate::encode::default::encode_default;
use crate::encode::eval::plain_column;
use crate::encode::fit::{self, Misfit, Terms};
use crate::encode::leaf::Slot;
use crate::encode::op::Op;
use crate::transform::{Expr, Plan, Shape};

#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// Bytes of key, value and headers together.
    pub max_record: usize,
    /// What the headers of one record take at most.
    pub header_allowance: usize,
    /// `from_default`: paths of contract fields that take their Avro default.
    pub from_default: Vec<String>,
    /// `not_null`: paths asserted to be non-null.
    pub not_null: Vec<String>,
    /// Outputs that become headers instead of fields (`event_id`).
    pub header_outputs: Vec<String>,
    /// The transform file, for findings about outputs.
    pub sql: Option<SourceFile>,
}

#[derive(Debug, Clone)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
}

pub(crate) struct Compiler<'a> {
    contract: &'a Contract,
    options: &'a RenderOptions,
    findings: Vec<Diagnostic>,
    used_defaults: Vec<String>,
    /// Of the paths that are compiled: how much of them the enclosing list says at run time, with the element's index.
    base: usize,
}

impl<'a> Compiler<'a> {
    pub fn new(contract: &'a Contract, options: &'a RenderOptions) -> Compiler<'a> {
        Compiler { contract, options, findings: Vec::new(), used_defaults: Vec::new(), base: 0 }
    }

    pub fn finish<T>(mut self, done: T) -> Result<T, Vec<Diagnostic>> {
        for path in self.options.from_default.iter().filter(|p| !self.used_defaults.contains(p)) {
            let message =
                format!("from_default names {path:?}, which is no field of the contract that lacks an output");
            self.findings.push(Diagnostic::error(codes::UNKNOWN_PATH, message));
        }
        if self.findings.is_empty() { Ok(done) } else { Err(self.findings) }
    }

    pub fn body(&mut self, plan: &Plan) -> Vec<Op> {
        let outputs: Vec<Named<'_>> = plan
            .outputs
            .iter()
            .filter(|o| !self.options.header_outputs.contains(&o.name))
            .map(|o| Named { name: &o.name, shape: &o.shape, span: o.span })
            .collect();
        let mut ops = Vec::new();
        let record = self.contract.record().clone();
        self.record(&record, &outputs, "", &mut ops);
        for path in &self.options.not_null {
            if !known_path(&record, path) && !self.options.header_outputs.contains(path) {
                let message = format!("not_null names {path:?}, which the contract does not have");
                self.findings.push(Diagnostic::error(codes::UNKNOWN_PATH, message));
            }
        }
        ops
    }

    fn record(&mut self, record: &Record, outputs: &[Named<'_>], prefix: &str, ops: &mut Vec<Op>) {
        for output in outputs.iter().filter(|o| record.fields.iter().all(|f| f.name != o.name)) {
            let path = format!("{prefix}{}", output.name);
            let nearest = nearest(output.name, record.fields.iter().map(|f| f.name.as_str()));
            let help = match nearest {
                Some(field) => format!("the contract has {field:?}: write AS {field}, or add the field"),
                None => "add the field to the contract, or drop the output".to_owned(),
            };
            let message = format!("the output {path:?} is no field of the contract");
            let finding = Diagnostic::error(codes::OUTPUT_WITHOUT_FIELD, message).help(help);
            self.findings.push(self.at_sql(finding, output.span));
        }
        for field in &record.fields {
            let path = format!("{prefix}{}", field.name);
            let output = outputs.iter().find(|o| o.name == field.name);
            match (output, self.options.from_default.contains(&path)) {
                (Some(output), false) => self.field(field, output, &path, ops),
                (Some(_), true) => {} // `finish` reports the name: it was not used.
                (None, true) => self.default(field, path, ops),
                (None, false) => {
                    let names = outputs.iter().map(|o| o.name);
                    let mut help = match nearest(&field.name, names) {
                        Some(output) => format!("the SELECT has {output:?}: write AS {}", field.name),
                        None => format!("write an output AS {}", field.name),
                    };
                    if field.default.is_some() {
                        help.push_str(&format!(", or put {path:?} into from_default"));
                    }
                    let message = format!("the contract's field {path:?} has no output");
                    self.find(codes::FIELD_WITHOUT_OUTPUT, field.span, message, Some(help));
                }
            }
        }
    }

    fn default(&mut self, field: &RecordField, path: String, ops: &mut Vec<Op>) {
        let mut bytes = Vec::new();
        match field.default.as_ref().map(|json| encode_default(json, &field.ty, &mut bytes)) {
            Some(Ok(())) => ops.push(Op::Bytes(bytes)),
            _ => {
                let message = format!("from_default names {path:?}, and the field has no default");
                self.find(codes::FIELD_WITHOUT_OUTPUT, field.span, message, Some("write its \"default\"".into()));
            }
        }
        self.used_defaults.push(path);
    }

    fn field(&mut self, field: &RecordField, output: &Named<'_>, path: &str, ops: &mut Vec<Op>) {
        let place = Spot { lossy: field.lossy, special: field.special, field: field.span, output: output.span };
        self.place(output.shape, &field.ty, place, path, ops);
    }

    fn scalar(&mut self, expr: &Expr, avro: &Avro, spot: Spot, path: &str) -> Result<Op, Misfit> {
        let slot = fit::slot(&expr.ty, expr.nullable, avro, self.terms(spot), path)?;
        Ok(operation(expr, slot, &path[self.base..]))
    }

    fn terms(&self, spot: Spot) -> Terms<'a> {
        Terms { lossy: spot.lossy, special: spot.special, not_null: &self.options.not_null }
    }

    /// At the contract's field; the help says where the output stands.
    fn misfit(&mut self, misfit: Misfit, spot: Spot) {
        let output = self.options.sql.as_ref().map(|file| Place::of(&file.path, &file.text, spot.output));
        let output = output.map(|p| format!("the output is at {}:{}:{}", p.file.display(), p.line, p.column));
        let help: Vec<String> = misfit.help.into_iter().chain(output).collect();
        self.find(misfit.code, spot.field, misfit.message, (!help.is_empty()).then(|| help.join("; ")));
    }

    fn find(&mut self, code: Code, span: Span, message: String, help: Option<String>) {
        let finding = Diagnostic { help, ..Diagnostic::error(code, message) };
        self.findings.push(finding.at(self.contract.place(span)));
    }

    fn at_sql(&self, finding: Diagnostic, span: Span) -> Diagnostic {
        match &self.options.sql {
            Some(file) => finding.at(Place::of(&file.path, &file.text, span)),
            None => finding,
        }
    }
}

/// A place that is compiled: what its field says, and where field and output stand.
#[derive(Clone, Copy)]
struct Spot {
    lossy: bool,
    special: Special,
    field: Span,
    output: Span,
}

struct Named<'p> {
    name: &'p str,
    shape: &'p Shape,
    span: Span,
}

fn operation(expr: &Expr, slot: Slot, path: &str) -> Op {
    match plain_column(expr) {
        Some((source, column)) => Op::Column { source, column, slot, path: path.into() },
        None => Op::Eval { expr: expr.clone(), slot, path: path.into() },
    }
}

fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let close = names.map(|n| (strsim::damerau_levenshtein(name, n), n)).min()?;
    (close.0 <= 1 + name.len() / 4).then_some(close.1)
}

/// `lines[].sku`: `[]` goes into an array, `{}` into a map, `.` into a record.
fn known_path(record: &Record, path: &str) -> bool {
    let (name, rest) = match path.find(['.', '[', '{']) {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    let Some(field) = record.fields.iter().find(|f| f.name == name) else { return false };
    let (mut ty, mut rest) = (field.ty.non_null().0, rest);
    loop {
        match ty {
            Avro::Array(items) if rest.starts_with("[]") => (ty, rest) = (items.non_null().0, &rest[2..]),
            Avro::Map(values) if rest.starts_with("{}") => (ty, rest) = (values.non_null().0, &rest[2..]),
            Avro::Record(record) if rest.starts_with('.') => return known_path(record, &rest[1..]),
            _ => return rest.is_empty(),
        }
    }
}
