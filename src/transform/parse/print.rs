//! The tree as SQL with every parenthesis written out: what `explain` shows and what tests ask the server about.

use std::fmt::{self, Display, Formatter};

use super::ast::{Name, Node, NodeKind, TypeName};
use crate::catalogue::{always_quote_ident, quote_literal};

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match &self.kind {
            NodeKind::Column(names) => write!(f, "{}", Dotted(names)),
            NodeKind::Number(n) if n.starts_with('-') => write!(f, "({n})"),
            NodeKind::Number(n) => f.write_str(n),
            NodeKind::Text(t) => f.write_str(&quote_literal(t)),
            NodeKind::Bool(b) => f.write_str(if *b { "true" } else { "false" }),
            NodeKind::Null => f.write_str("NULL"),
            NodeKind::Operator { symbol, left: Some(left), right, .. } => write!(f, "({left} {symbol} {right})"),
            NodeKind::Operator { symbol, left: None, right, .. } => write!(f, "({symbol} {right})"),
            NodeKind::And(a, b) => write!(f, "({a} AND {b})"),
            NodeKind::Or(a, b) => write!(f, "({a} OR {b})"),
            NodeKind::Not(a) => write!(f, "(NOT {a})"),
            NodeKind::IsNull { expr, negated } => write!(f, "({expr} IS {}NULL)", not(negated)),
            NodeKind::IsBool { expr, value, negated } => {
                let value = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                write!(f, "({expr} IS {}{value})", not(negated))
            }
            NodeKind::IsDistinct { left, right, negated } => {
                write!(f, "({left} IS {}DISTINCT FROM {right})", not(negated))
            }
            NodeKind::In { expr, list, negated } => write!(f, "({expr} {}IN ({}))", not(negated), List(list)),
            NodeKind::Between { expr, low, high, negated, symmetric } => {
                let symmetric = if *symmetric { "SYMMETRIC " } else { "" };
                write!(f, "({expr} {}BETWEEN {symmetric}{low} AND {high})", not(negated))
            }
            NodeKind::Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
            NodeKind::Coalesce(args) => write!(f, "COALESCE({})", List(args)),
            NodeKind::NullIf(a, b) => write!(f, "NULLIF({a}, {b})"),
            NodeKind::Extreme { greatest: true, args } => write!(f, "GREATEST({})", List(args)),
            NodeKind::Extreme { greatest: false, args } => write!(f, "LEAST({})", List(args)),
            NodeKind::Cast { expr, ty } => write!(f, "CAST({expr} AS {ty})"),
            NodeKind::Collate { expr, collation } => write!(f, "({expr} COLLATE {})", Dotted(collation)),
            NodeKind::Subquery(_) | NodeKind::Exists(_) | NodeKind::InSelect { .. } | NodeKind::ArraySelect(_) => {
                f.write_str("(SELECT …)")
            }
            NodeKind::Array(_) | NodeKind::AnyAll { .. } | NodeKind::Row(_) | NodeKind::Subscript { .. } => {
                f.write_str("…")
            }
            NodeKind::Call { schema: Some(schema), name, args, .. } => {
                write!(f, "{}.{}({})", always_quote_ident(&schema.text), always_quote_ident(&name.text), List(args))
            }
            NodeKind::Call { schema: None, name, args, .. } => {
                write!(f, "{}({})", always_quote_ident(&name.text), List(args))
            }
        }
    }
}

impl Display for TypeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", always_quote_ident(schema))?;
        }
        write!(f, "{}", always_quote_ident(&self.name))?;
        if !self.modifiers.is_empty() {
            let modifiers: Vec<_> = self.modifiers.iter().map(i32::to_string).collect();
            write!(f, "({})", modifiers.join(", "))?;
        }
        if self.array { f.write_str("[]") } else { Ok(()) }
    }
}

struct List<'a>(&'a [Node]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, node) in self.0.iter().enumerate() {
            write!(f, "{}{node}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

struct Dotted<'a>(&'a [Name]);

impl Display for Dotted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { "." } else { "" }, always_quote_ident(&name.text))?;
        }
        Ok(())
    }
}
