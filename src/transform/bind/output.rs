//! The SELECT's outputs: names, and records kept as records.

use super::{Binder, Bound, codes};
use crate::catalogue::Type;
use crate::diagnostic::Diagnostic;
use crate::transform::parse::ast::{Item, Name, Node, NodeKind};
use crate::transform::plan::{Field, Output, Shape};

impl Binder<'_> {
    pub(super) fn outputs(&self, items: &[Item], findings: &mut Vec<Diagnostic>) -> Vec<Output> {
        let mut outputs: Vec<Output> = Vec::new();
        for item in items {
            let Some(name) = item.alias.as_ref().or_else(|| own_name(&item.expr)) else {
                findings.push(
                    self.error(codes::OUTPUT_NAME, item.expr.span, "this output has no name")
                        .help("write AS name behind it"),
                );
                continue;
            };
            if outputs.iter().any(|o| o.name == name.text) {
                let message = format!("two outputs are called {}", name.text);
                findings.push(
                    self.error(codes::OUTPUT_NAME, name.span, message).help("give each a name of its own with AS"),
                );
                continue;
            }
            match self.shape(&item.expr) {
                Ok(shape) => outputs.push(Output { name: name.text.clone(), shape, span: item.expr.span }),
                Err(finding) => findings.push(finding),
            }
        }
        outputs
    }

    /// `jsonb_build_object` (and `||` of several) at the place of an output is a record.
    pub(super) fn shape(&self, node: &Node) -> Bound<Shape> {
        if let NodeKind::Column(names) = &node.kind
            && let Some(shape) = self.derived_column(names)
        {
            return Ok(shape);
        }
        let fields = self.fields(node)?;
        let case = self.record_or_null(node)?;
        let expr = self.expression(node)?;
        let expr = self.settle(expr)?;
        let expr = self.fold(expr)?;
        Ok(match (fields, case) {
            (Some(fields), _) if expr.ty.ty == Type::Jsonb => Shape::Record { fields, json: expr },
            (_, Some((when, item))) if expr.ty.ty == Type::Jsonb => {
                Shape::Case { when, item: Box::new(item), json: expr }
            }
            _ => match self.subquery_shape(node, &expr)? {
                Some(shape) => shape,
                None => Shape::Scalar(expr),
            },
        })
    }

    /// The fields, if the node is a record with plain and distinct names.
    fn fields(&self, node: &Node) -> Bound<Option<Vec<Field>>> {
        match &node.kind {
            NodeKind::Call { schema, name, args, .. }
                if name.text == "jsonb_build_object"
                    && schema.as_ref().is_none_or(|s| s.text == "pg_catalog")
                    && args.len().is_multiple_of(2) =>
            {
                let mut fields: Vec<Field> = Vec::new();
                for pair in args.chunks_exact(2) {
                    let NodeKind::Text(name) = &pair[0].kind else { return Ok(None) };
                    if fields.iter().any(|f| f.name == *name) {
                        let message = format!("the record names {name} twice");
                        return Err(self.error(codes::OUTPUT_NAME, pair[0].span, message).help("name each field once"));
                    }
                    let shape = self.shape(&pair[1])?;
                    fields.push(Field { name: name.clone(), shape, span: pair[1].span });
                }
                Ok(Some(fields))
            }
            NodeKind::Operator { symbol, left: Some(left), right, .. } if symbol == "||" => {
                let (Some(mut fields), Some(more)) = (self.fields(left)?, self.fields(right)?) else { return Ok(None) };
                if let Some(twice) = more.iter().find(|m| fields.iter().any(|f| f.name == m.name)) {
                    let message = format!("the record names {} twice", twice.name);
                    return Err(self.error(codes::OUTPUT_NAME, twice.span, message).help("name each field once"));
                }
                fields.extend(more);
                Ok(Some(fields))
            }
            _ => Ok(None),
        }
    }
}

/// A column's own name, also behind a cast.
pub(super) fn own_name(node: &Node) -> Option<&Name> {
    match &node.kind {
        NodeKind::Column(names) => names.last(),
        NodeKind::Cast { expr, .. } | NodeKind::Collate { expr, .. } => own_name(expr),
        _ => None,
    }
}
