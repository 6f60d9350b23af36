//! The key: outputs that are never NULL and, for an entity, unique for the root.

use super::link::Conjuncts;
use super::{Binder, codes};
use crate::catalogue::{Index, Table};
use crate::diagnostic::Diagnostic;
use crate::transform::nearest;
use crate::transform::plan::{Expr, ExprKind, Output, Shape};
use crate::transform::source::{Kind, TransformFile};

/// The key as indexes into the outputs.
pub(super) fn key(
    binder: &Binder<'_>,
    file: &TransformFile,
    conjuncts: &Conjuncts,
    outputs: &[Output],
    findings: &mut Vec<Diagnostic>,
) -> Vec<usize> {
    let at = file.header.key_span;
    let mut key = Vec::new();
    for name in &file.header.key {
        let Some(i) = outputs.iter().position(|o| o.name == *name) else {
            // An output that could not be bound has its own finding.
            let written = file.select.items.iter().any(|item| {
                item.alias.as_ref().is_some_and(|a| a.text == *name)
                    || item.expr.to_string().ends_with(&format!("\"{name}\""))
            });
            if !written {
                let names = outputs.iter().map(|o| o.name.as_str());
                let help = match nearest(name, names.clone()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the outputs are {}", names.collect::<Vec<_>>().join(", ")),
                };
                let message = format!("the key column {name} is no output of the SELECT");
                findings.push(binder.error(codes::KEY_OUTPUT, at, message).help(help));
            }
            continue;
        };
        let output = &outputs[i];
        if !matches!(output.shape, Shape::Scalar(_)) {
            let message = format!("the key column {name} is a record or an array");
            findings.push(binder.error(codes::KEY_OUTPUT, at, message).help("use plain columns for the key"));
        } else if output.shape.nullable() && !file.header.not_null.contains(name) {
            let message = format!("the key column {name} can be NULL");
            findings.push(binder.error(codes::KEY_NULLABLE, at, message).help(format!(
                "set NOT NULL on the column, add WHERE {name} IS NOT NULL, or assert it with not_null = [\"{name}\"]"
            )));
        }
        key.push(i);
    }
    if file.header.kind == Kind::Event {
        event_id(binder, file, outputs, findings);
    } else if findings.is_empty() {
        unique(binder, file, conjuncts, outputs, &key, findings);
    }
    key
}

/// An event's id is a plain output that is never NULL.
fn event_id(binder: &Binder<'_>, file: &TransformFile, outputs: &[Output], findings: &mut Vec<Diagnostic>) {
    let (Some(name), at) = (&file.header.event_id, file.header.event_id_span) else { return };
    let finding = match outputs.iter().find(|o| o.name == *name) {
        None if !findings.is_empty() => return,
        None => {
            let names: Vec<&str> = outputs.iter().map(|o| o.name.as_str()).collect();
            binder
                .error(codes::EVENT_ID, at, format!("event_id names {name}, which is no output of the SELECT"))
                .help(format!("the outputs are {}", names.join(", ")))
        }
        Some(_) if file.header.key.contains(name) => {
            binder.error(codes::EVENT_ID, at, format!("event_id names {name}, which is a key column")).help(format!(
                "an event_id is a header and no field: select it once more under another name ({name} AS event_id)"
            ))
        }
        Some(output) if !matches!(output.shape, Shape::Scalar(_)) => binder
            .error(codes::EVENT_ID, at, format!("the event_id {name} is no plain value"))
            .help("use one column or expression whose text form identifies the event"),
        Some(output) if output.shape.nullable() && !file.header.not_null.contains(name) => binder
            .error(codes::EVENT_ID, at, format!("the event_id {name} can be NULL"))
            .help(format!("set NOT NULL on the column, or assert it with not_null = [\"{name}\"]")),
        Some(_) => return,
    };
    findings.push(finding);
}

fn unique(
    binder: &Binder<'_>,
    file: &TransformFile,
    conjuncts: &Conjuncts,
    outputs: &[Output],
    key: &[usize],
    findings: &mut Vec<Diagnostic>,
) {
    let own = binder.own_sources();
    let Some((&root, joined)) = own.split_first() else { return };
    let plain = |i: &usize| match &outputs[*i].shape {
        Shape::Scalar(Expr { kind: ExprKind::Column { source, column }, .. }) => Some((*source, *column)),
        _ => None,
    };
    let columns: Vec<(u16, u16)> = key.iter().filter_map(plain).collect();
    let sources = binder.sources.borrow();
    let table = sources[usize::from(root)].table;
    if conjuncts.determined(binder, &[root], &columns).is_some() {
        let usable: Vec<&Index> = unique_indexes(table).collect();
        let message = format!("the key ({}) is not unique for the rows of {}", file.header.key.join(", "), table.name);
        let help = if usable.is_empty() {
            format!("{} has no unique index over plain columns: add a primary key", table.name)
        } else {
            let list: Vec<String> = usable.iter().map(|i| format!("{} ({})", i.name, i.columns.join(", "))).collect();
            format!("the key must hold all columns of a unique index, as plain columns: {}", list.join("; "))
        };
        findings.push(binder.error(codes::KEY_NOT_UNIQUE, file.header.key_span, message).help(help));
        return;
    }
    // The root's row is given: what the joins add has to follow from it.
    let given: Vec<(u16, u16)> = (0..table.columns.len() as u16).map(|c| (root, c)).collect();
    if joined.is_empty() || conjuncts.determined(binder, &own, &given).is_none() {
        return;
    }
    let missing = conjuncts.determined(binder, &own, &given).unwrap_or_default();
    let message =
        format!("no unique key proves that a row of {} joins one row at most: {missing} can differ", table.name);
    let finding = binder.warning(codes::MULTIPLIES, file.header.key_span, message).help(
        "a second row for one key is a row error when it comes: take ARRAY(SELECT …) or an aggregate for the many, make \
         them the root, or add the unique index",
    );
    binder.warnings.borrow_mut().push(finding);
}

/// Valid and whole; deferrable ones hold at every commit, which is where a topic is compared.
fn unique_indexes(table: &Table) -> impl Iterator<Item = &Index> {
    table.indexes.iter().filter(|i| i.unique && i.valid && !i.partial && !i.columns.is_empty())
}

/// Every path of the header's `not_null` names an output, or a field of a record.
pub(super) fn not_null_paths(
    binder: &Binder<'_>,
    file: &TransformFile,
    outputs: &[Output],
    findings: &mut Vec<Diagnostic>,
) {
    for path in &file.header.not_null {
        let mut parts = path.split('.').map(|p| p.trim_end_matches("[]"));
        let first = parts.next().unwrap_or("");
        let mut shape = outputs.iter().find(|o| o.name == first).map(|o| &o.shape);
        for part in parts {
            while let Some(Shape::List { item, .. } | Shape::One { item, .. } | Shape::Case { item, .. }) = shape {
                shape = Some(item);
            }
            shape = match shape {
                Some(Shape::Record { fields, .. }) => fields.iter().find(|f| f.name == part).map(|f| &f.shape),
                _ => None,
            };
        }
        if shape.is_none() && findings.is_empty() {
            let message = format!("not_null names {path}, which is no output");
            let help =
                format!("the outputs are {}", outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>().join(", "));
            findings.push(binder.error(codes::NOT_NULL_PATH, file.header.not_null_span, message).help(help));
        }
    }
}
