//! The key: its columns under the key's schema, never NULL, never rounded.

use crate::diagnostic::{Diagnostic, Span};
use crate::encode::avro::{Avro, Enumeration, Special};
use crate::encode::codes;
use crate::encode::compile::{Compiler, operation};
use crate::encode::fit::{self, Terms};
use crate::encode::key::{KeySchema, key_names};
use crate::encode::op::KeyCode;
use crate::transform::{Expr, Plan, Shape};

impl Compiler<'_> {
    pub fn key(&mut self, plan: &Plan, schema: &KeySchema) -> KeyCode {
        let names: Vec<&str> = key_names(plan).collect();
        let mut ops = Vec::new();
        let record = match schema {
            KeySchema::Avro { record, .. } => record,
            KeySchema::String => {
                let output = plan.key.first().and_then(|i| plan.outputs.get(*i));
                if let (Some(output), [_]) = (output, names.as_slice())
                    && let Shape::Scalar(expr) = &output.shape
                {
                    self.key_not_null(expr, &output.name, output.span);
                    return KeyCode::String(Box::new(expr.clone()));
                }
                let message =
                    format!("key_format = \"string\" needs one plain key column, the key has {}", names.len());
                self.findings.push(Diagnostic::error(codes::BAD_KEY, message).help("use key_format = \"avro\""));
                return KeyCode::Avro(ops);
            }
        };
        for name in names.iter().filter(|name| record.fields.iter().all(|f| f.name != **name)) {
            let message = format!("the key column {name:?} is no field of the key's schema {}", record.name);
            self.findings.push(Diagnostic::error(codes::BAD_KEY, message));
        }
        for field in &record.fields {
            let Some(output) = plan.key.iter().filter_map(|i| plan.outputs.get(*i)).find(|o| o.name == field.name)
            else {
                let message =
                    format!("the field {:?} of the key's schema {} is no key column", field.name, record.name);
                self.findings.push(Diagnostic::error(codes::BAD_KEY, message));
                continue;
            };
            let Shape::Scalar(expr) = &output.shape else {
                let what = if matches!(output.shape, Shape::List { .. }) { "an array" } else { "a record" };
                let message = format!("the key column {:?} is {what}", field.name);
                self.findings.push(Diagnostic::error(codes::BAD_KEY, message).help("name its parts as outputs"));
                continue;
            };
            self.key_not_null(expr, &output.name, output.span);
            // Two keys of the table must never be one in the topic: nothing is rounded, clamped or taken by a default.
            let terms = Terms { lossy: false, special: Special::RowError, not_null: std::slice::from_ref(&field.name) };
            let ty = match &field.ty {
                Avro::Enum(e) => Avro::Enum(Enumeration { default: None, ..Enumeration::clone(e) }.into()),
                ty => ty.clone(),
            };
            match fit::slot(&expr.ty, expr.nullable, &ty, terms, &field.name) {
                Ok(slot) => ops.push(operation(expr, slot, &field.name)),
                Err(misfit) if misfit.code == codes::LOSSY => {
                    let message = format!("key: {}: two keys could become one", misfit.message);
                    let finding = Diagnostic::error(codes::BAD_KEY, message)
                        .help("give the field a type that holds every value, here or in a NAME.key.avsc");
                    self.findings.push(self.at_sql(finding, output.span));
                }
                Err(misfit) => {
                    let finding = Diagnostic::error(misfit.code, format!("key: {}", misfit.message));
                    let finding = Diagnostic { help: misfit.help, ..finding };
                    self.findings.push(self.at_sql(finding, output.span));
                }
            }
        }
        KeyCode::Avro(ops)
    }

    fn key_not_null(&mut self, expr: &Expr, name: &str, span: Span) {
        if expr.nullable && !self.options.not_null.iter().any(|p| p == name) {
            let finding = Diagnostic::error(codes::BAD_KEY, format!("the key column {name:?} may be NULL"))
                .help(format!("make the column NOT NULL, or put {name:?} into not_null if it never is NULL"));
            self.findings.push(self.at_sql(finding, span));
        }
    }
}
