//! The name of an output that has no AS, as PostgreSQL gives it (`FigureColname` of `parse_target.c`).

use super::ast::{Item, Node, NodeKind};

/// How good a name is: a cast or a CASE gives its own only where there is no better one within.
#[derive(PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

impl Item {
    /// `None` where PostgreSQL says `?column?`.
    pub fn name(&self) -> Option<&str> {
        match &self.alias {
            Some(alias) => Some(&alias.text),
            None => of(&self.expr).map(|(name, _)| name),
        }
    }
}

fn of(node: &Node) -> Option<(&str, Strength)> {
    let strong = |name| Some((name, Strength::Strong));
    match &node.kind {
        NodeKind::Column(names) => strong(names.last()?.text.as_str()),
        NodeKind::Subscript { expr, .. } | NodeKind::Collate { expr, .. } => of(expr),
        NodeKind::Call { name, .. } => strong(&name.text),
        NodeKind::NullIf(..) => strong("nullif"),
        NodeKind::Coalesce(_) => strong("coalesce"),
        NodeKind::Extreme { greatest, .. } => strong(if *greatest { "greatest" } else { "least" }),
        NodeKind::Exists(_) => strong("exists"),
        NodeKind::Array(_) | NodeKind::ArraySelect(_) => strong("array"),
        NodeKind::Row(_) => strong("row"),
        NodeKind::Subquery(select) => {
            let item = select.items.first()?;
            match &item.alias {
                Some(alias) => strong(&alias.text),
                None => of(&item.expr),
            }
        }
        NodeKind::Cast { expr, ty } => or_weak(Some(expr), &ty.name),
        NodeKind::Case { otherwise, .. } => or_weak(otherwise.as_deref(), "case"),
        _ => None,
    }
}

fn or_weak<'n>(inner: Option<&'n Node>, own: &'n str) -> Option<(&'n str, Strength)> {
    inner.and_then(of).filter(|(_, strength)| *strength == Strength::Strong).or(Some((own, Strength::Weak)))
}
