//! Our syntax tree: what a transform may say, and nothing else. Precedence is settled; names are not yet resolved.
//!
//! Special syntax (`EXTRACT(x FROM y)`, `LIKE`, `BETWEEN`, `TRIM`, `AT TIME ZONE`) is already the function or operator
//! that PostgreSQL's grammar makes of it.

use crate::diagnostic::Span;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    pub items: Vec<Item>,
    /// The root; further tables and joins will stand beside it.
    pub from: TableRef,
    pub filter: Option<Node>,
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
    pub alias: Option<Name>,
    pub span: Span,
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
