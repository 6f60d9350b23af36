//! The tree as SQL with every parenthesis written out: what `explain` shows and what tests ask the server about.

use std::fmt::{self, Display, Formatter};

use super::ast::{FromItem, Item, Name, Node, NodeKind, OrderBy, Relation, Select, TypeName};
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
            NodeKind::Subquery(select) => write!(f, "({select})"),
            NodeKind::Exists(select) => write!(f, "EXISTS ({select})"),
            NodeKind::InSelect { expr, select, negated } => write!(f, "({expr} {}IN ({select}))", not(negated)),
            NodeKind::ArraySelect(select) => write!(f, "ARRAY({select})"),
            NodeKind::Array(elements) => write!(f, "ARRAY[{}]", List(elements)),
            NodeKind::AnyAll { expr, symbol, all, array } => {
                write!(f, "({expr} {symbol} {} ({array}))", if *all { "ALL" } else { "ANY" })
            }
            NodeKind::Row(fields) => write!(f, "ROW({})", List(fields)),
            NodeKind::Subscript { expr, index } => match expr.kind {
                // One look-up of two dimensions: parentheses between them would make it two.
                NodeKind::Subscript { .. } => write!(f, "{expr}[{index}]"),
                _ => write!(f, "({expr})[{index}]"),
            },
            NodeKind::Call { schema, name, args, aggregation } => {
                if let Some(schema) = schema {
                    write!(f, "{}.", always_quote_ident(&schema.text))?;
                }
                f.write_str(&always_quote_ident(&name.text))?;
                let Some(aggregation) = aggregation else { return write!(f, "({})", List(args)) };
                let distinct = if aggregation.distinct { "DISTINCT " } else { "" };
                let star = if aggregation.star { "*" } else { "" };
                write!(f, "({distinct}{star}{}", List(args))?;
                for (i, order) in aggregation.order_by.iter().enumerate() {
                    write!(f, "{}{order}", if i > 0 { ", " } else { " ORDER BY " })?;
                }
                f.write_str(")")?;
                match &aggregation.filter {
                    Some(filter) => write!(f, " FILTER (WHERE {filter})"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, cte) in self.with.iter().enumerate() {
            let name = always_quote_ident(&cte.name.text);
            write!(f, "{}{name} AS ({})", if i > 0 { ", " } else { "WITH " }, cte.select)?;
        }
        if !self.with.is_empty() {
            f.write_str(" ")?;
        }
        f.write_str(if self.distinct { "SELECT DISTINCT" } else { "SELECT" })?;
        for (i, item) in self.items.iter().enumerate() {
            write!(f, "{}{item}", if i > 0 { ", " } else { " " })?;
        }
        write!(f, " FROM {}", self.from)?;
        for join in &self.joins {
            write!(f, " {}JOIN {} ON {}", if join.left { "LEFT " } else { "" }, join.item, join.on)?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        for (i, expr) in self.group_by.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { " GROUP BY " })?;
            match self.place(expr) {
                Some(place) => write!(f, "{place}")?,
                None => write!(f, "{expr}")?,
            }
        }
        if let Some(having) = &self.having {
            write!(f, " HAVING {having}")?;
        }
        for (i, order) in self.order_by.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { " ORDER BY " })?;
            match self.place(&order.expr) {
                Some(place) => write!(f, "{place}{}", Direction(order))?,
                None => write!(f, "{order}")?,
            }
        }
        match &self.limit {
            Some(limit) => write!(f, " LIMIT {limit}"),
            None => Ok(()),
        }
    }
}

impl Select {
    /// Of the output that an ORDER BY or GROUP BY became: its name may be a column's too.
    fn place(&self, expr: &Node) -> Option<usize> {
        self.items.iter().position(|i| i.expr == *expr).map(|i| i + 1)
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expr)?;
        match &self.alias {
            Some(alias) => write!(f, " AS {}", always_quote_ident(&alias.text)),
            None => Ok(()),
        }
    }
}

impl Display for FromItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.relation {
            Relation::Table(table) => {
                if let Some(schema) = &table.schema {
                    write!(f, "{}.", always_quote_ident(&schema.text))?;
                }
                f.write_str(&always_quote_ident(&table.name.text))?;
            }
            Relation::Select(select) => write!(f, "{}({select})", if self.lateral { "LATERAL " } else { "" })?,
        }
        match &self.alias {
            Some(alias) => write!(f, " AS {}", always_quote_ident(&alias.text)),
            None => Ok(()),
        }
    }
}

impl Display for OrderBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, Direction(self))
    }
}

struct Direction<'a>(&'a OrderBy);

impl Display for Direction<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.descending { " DESC" } else { "" })?;
        f.write_str(match self.0.nulls_first {
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
            None => "",
        })
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
