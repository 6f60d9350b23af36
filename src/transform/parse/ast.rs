//! Our syntax tree: what a transform may say, and nothing else. Precedence is settled; names are not yet resolved.
//!
//! Special syntax (`EXTRACT(x FROM y)`, `LIKE`, `BETWEEN`, `TRIM`, `AT TIME ZONE`) is already the function or operator
//! that PostgreSQL's grammar makes of it.

use crate::diagnostic::Span;

/// A SELECT, also of a subquery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    pub with: Vec<Cte>,
    pub distinct: bool,
    pub items: Vec<Item>,
    /// What stands first in FROM: the root, in the outermost SELECT.
    pub from: FromItem,
    /// In the order they are written.
    pub joins: Vec<Join>,
    pub filter: Option<Node>,
    pub group_by: Vec<Node>,
    pub having: Option<Node>,
    pub order_by: Vec<OrderBy>,
    pub limit: Option<Node>,
    pub span: Span,
}

/// `name AS (SELECT …)`, not recursive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cte {
    pub name: Name,
    pub select: Select,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromItem {
    pub relation: Relation,
    pub alias: Option<Name>,
    pub lateral: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A table, or a CTE's name.
    Table(TableRef),
    Select(Box<Select>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// LEFT JOIN; else an inner one.
    pub left: bool,
    pub item: FromItem,
    pub on: Node,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    pub expr: Node,
    pub descending: bool,
    /// As written; without, NULLs are last, or first under DESC.
    pub nulls_first: Option<bool>,
}

/// What an aggregate's call has behind its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aggregation {
    /// `count(*)`
    pub star: bool,
    pub distinct: bool,
    pub order_by: Vec<OrderBy>,
    pub filter: Option<Box<Node>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub expr: Node,
    pub alias: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRef {
    pub schema: Option<Name>,
    pub name: Name,
    pub span: Span,
}

impl Select {
    /// Every table named, also in subqueries; CTEs' own names among them.
    pub fn tables<'s>(&'s self, each: &mut dyn FnMut(&'s TableRef)) {
        self.with.iter().for_each(|c| c.select.tables(each));
        let mut item = |i: &'s FromItem| match &i.relation {
            Relation::Table(t) => each(t),
            Relation::Select(s) => s.tables(each),
        };
        item(&self.from);
        self.joins.iter().for_each(|j| item(&j.item));
        let ordered = self.order_by.iter().map(|o| &o.expr);
        let nodes = self.items.iter().map(|i| &i.expr).chain(self.joins.iter().map(|j| &j.on)).chain(&self.filter);
        nodes.chain(&self.group_by).chain(&self.having).chain(ordered).for_each(|n| n.tables(each));
    }
}

impl Node {
    fn tables<'s>(&'s self, each: &mut dyn FnMut(&'s TableRef)) {
        match &self.kind {
            NodeKind::Subquery(s) | NodeKind::Exists(s) | NodeKind::ArraySelect(s) => s.tables(each),
            NodeKind::InSelect { select, .. } => select.tables(each),
            _ => {}
        }
        self.children(&mut |n| n.tables(each));
    }

    /// The nodes right below, not those of a subquery.
    pub fn children<'s>(&'s self, each: &mut dyn FnMut(&'s Node)) {
        match &self.kind {
            NodeKind::Column(_)
            | NodeKind::Number(_)
            | NodeKind::Text(_)
            | NodeKind::Bool(_)
            | NodeKind::Null
            | NodeKind::Subquery(_)
            | NodeKind::Exists(_)
            | NodeKind::ArraySelect(_) => {}
            NodeKind::InSelect { expr, .. } => each(expr),
            NodeKind::Operator { left, right, .. } => {
                left.iter().for_each(|l| each(l));
                each(right);
            }
            NodeKind::And(l, r) | NodeKind::Or(l, r) | NodeKind::NullIf(l, r) => {
                each(l);
                each(r);
            }
            NodeKind::Not(e)
            | NodeKind::IsNull { expr: e, .. }
            | NodeKind::IsBool { expr: e, .. }
            | NodeKind::Cast { expr: e, .. }
            | NodeKind::Collate { expr: e, .. } => each(e),
            NodeKind::IsDistinct { left, right, .. }
            | NodeKind::AnyAll { expr: left, array: right, .. }
            | NodeKind::Subscript { expr: left, index: right } => {
                each(left);
                each(right);
            }
            NodeKind::In { expr, list, .. } => {
                each(expr);
                list.iter().for_each(each);
            }
            NodeKind::Between { expr, low, high, .. } => [expr, low, high].into_iter().for_each(|n| each(n)),
            NodeKind::Case { operand, branches, otherwise } => {
                operand.iter().for_each(|n| each(n));
                for (when, then) in branches {
                    each(when);
                    each(then);
                }
                otherwise.iter().for_each(|n| each(n));
            }
            NodeKind::Coalesce(args) | NodeKind::Extreme { args, .. } | NodeKind::Array(args) | NodeKind::Row(args) => {
                args.iter().for_each(each)
            }
            NodeKind::Call { args, aggregation, .. } => {
                args.iter().for_each(&mut *each);
                if let Some(a) = aggregation {
                    a.order_by.iter().for_each(|o| each(&o.expr));
                    a.filter.iter().for_each(|f| each(f));
                }
            }
        }
    }
}

/// An identifier, folded unless it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// `column`, `table.column` or `schema.table.column`.
    Column(Vec<Name>),
    /// A numeric constant; with its sign, once a minus stood right before it.
    Number(String),
    Text(String),
    Bool(bool),
    Null,
    /// A prefix operator has no left side.
    Operator {
        symbol: String,
        at: Span,
        left: Option<Box<Node>>,
        right: Box<Node>,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsNull {
        expr: Box<Node>,
        negated: bool,
    },
    /// `None` is UNKNOWN.
    IsBool {
        expr: Box<Node>,
        value: Option<bool>,
        negated: bool,
    },
    IsDistinct {
        left: Box<Node>,
        right: Box<Node>,
        negated: bool,
    },
    In {
        expr: Box<Node>,
        list: Vec<Node>,
        negated: bool,
    },
    /// `expr BETWEEN low AND high`: `>=` and `<=`.
    Between {
        expr: Box<Node>,
        low: Box<Node>,
        high: Box<Node>,
        negated: bool,
        symmetric: bool,
    },
    Case {
        operand: Option<Box<Node>>,
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Coalesce(Vec<Node>),
    NullIf(Box<Node>, Box<Node>),
    /// GREATEST, or LEAST.
    Extreme {
        greatest: bool,
        args: Vec<Node>,
    },
    Cast {
        expr: Box<Node>,
        ty: TypeName,
    },
    Collate {
        expr: Box<Node>,
        collation: Vec<Name>,
    },
    Call {
        schema: Option<Name>,
        name: Name,
        args: Vec<Node>,
        /// There where the call says what only an aggregate has.
        aggregation: Option<Box<Aggregation>>,
    },
    /// `(SELECT …)` as a value.
    Subquery(Box<Select>),
    Exists(Box<Select>),
    InSelect {
        expr: Box<Node>,
        select: Box<Select>,
        negated: bool,
    },
    /// `ARRAY(SELECT …)`
    ArraySelect(Box<Select>),
    /// `ARRAY[…]`
    Array(Vec<Node>),
    /// `expr = ANY (array)`, `expr <> ALL (array)`
    AnyAll {
        expr: Box<Node>,
        symbol: String,
        all: bool,
        array: Box<Node>,
    },
    /// `(a, b)` and `ROW(a, b)`
    Row(Vec<Node>),
    Subscript {
        expr: Box<Node>,
        index: Box<Node>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    pub schema: Option<String>,
    /// `pg_type.typname` where the grammar knows the type, else the name as written.
    pub name: String,
    pub modifiers: Vec<i32>,
    pub array: bool,
    pub span: Span,
}
