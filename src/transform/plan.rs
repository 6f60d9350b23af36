//! What a transform is once it is bound: sources, a filter, and a tree of outputs.

use crate::catalogue::{ColumnType, Oid, QualifiedName};
use crate::datum::Value;
use crate::diagnostic::Span;
use crate::transform::function::Function;

/// A bound transform. `sources[0]` is the root: one entity per row of it that passes the filter.
#[derive(Debug)]
pub struct Plan {
    /// The path below `transforms/` without the ending: `shop/order`.
    pub name: String,
    pub sources: Vec<Source>,
    pub filter: Option<Expr>,
    pub outputs: Vec<Output>,
    /// Indexes into `outputs`, in key order.
    pub key: Vec<usize>,
}

#[derive(Debug)]
pub struct Source {
    pub table: QualifiedName,
    pub table_oid: Oid,
    pub alias: String,
    /// The columns that the plan reads, by attnum; rows handed to `eval` have this order.
    pub columns: Vec<UsedColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedColumn {
    pub name: String,
    pub attnum: i16,
    pub ty: ColumnType,
    pub not_null: bool,
}

#[derive(Debug)]
pub struct Output {
    pub name: String,
    pub shape: Shape,
    pub span: Span,
}

/// How an output is built. A record keeps its fields' types; it can also be asked for as jsonb text.
#[derive(Debug)]
pub enum Shape {
    Scalar(Expr),
    /// `jsonb_build_object('name', expr, …)`, and the same as the jsonb expression that PostgreSQL would evaluate.
    Record {
        fields: Vec<Field>,
        json: Expr,
    },
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub shape: Shape,
    pub span: Span,
}

/// A typed expression. `nullable` is derived: false only where no row can give NULL.
#[derive(Debug, Clone)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: ColumnType,
    pub nullable: bool,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum ExprKind {
    Column {
        source: u16,
        column: u16,
    },
    Constant(Value<'static>),
    /// A function, an operator or a cast. Strict functions are not called with a NULL argument: the answer is NULL.
    /// `arg_types` are the arguments' own.
    Call {
        function: &'static Function,
        args: Vec<Expr>,
        arg_types: Vec<ColumnType>,
    },
    /// The same value under another type: a cast without a function (varchar to text).
    Relabel(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`; `None` is UNKNOWN.
    IsBool {
        expr: Box<Expr>,
        value: Option<bool>,
        negated: bool,
    },
    /// `left IS [NOT] DISTINCT FROM right`, by the `=` operator of their common type.
    IsDistinct {
        left: Box<Expr>,
        right: Box<Expr>,
        equal: &'static Function,
        negated: bool,
    },
    /// `expr = ANY (list)`, with NULLs as in SQL; each element with its own `=`.
    In {
        expr: Box<Expr>,
        list: Vec<(Expr, &'static Function)>,
        negated: bool,
    },
    /// Searched CASE; a simple one is bound to comparisons first. Lazy.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// Lazy.
    Coalesce(Vec<Expr>),
    NullIf {
        left: Box<Expr>,
        right: Box<Expr>,
        equal: &'static Function,
    },
    /// GREATEST (by `>`) and LEAST (by `<`): `wins(a, b)` says that a stands before b. NULLs are skipped.
    Extreme {
        args: Vec<Expr>,
        wins: &'static Function,
    },
}

impl Shape {
    pub fn nullable(&self) -> bool {
        match self {
            Shape::Scalar(e) => e.nullable,
            Shape::Record { .. } => false,
        }
    }

    /// The shape's own expressions: the scalar's, or the record's fields and its json.
    fn exprs(&self, each: &mut dyn FnMut(&Expr)) {
        match self {
            Shape::Scalar(e) => each(e),
            Shape::Record { fields, json } => {
                fields.iter().for_each(|f| f.shape.exprs(each));
                each(json);
            }
        }
    }

    pub(crate) fn visit_columns(&self, each: &mut dyn FnMut(u16)) {
        self.exprs(&mut |e| e.visit_columns(each));
    }

    pub(crate) fn renumber(&mut self, to: &dyn Fn(u16) -> u16) {
        match self {
            Shape::Scalar(e) => e.renumber(to),
            Shape::Record { fields, json } => {
                fields.iter_mut().for_each(|f| f.shape.renumber(to));
                json.renumber(to);
            }
        }
    }
}

impl Expr {
    pub(crate) fn visit_columns(&self, each: &mut dyn FnMut(u16)) {
        if let ExprKind::Column { column, .. } = &self.kind {
            each(*column);
        }
        self.children(&mut |child| child.visit_columns(each));
    }

    pub(crate) fn renumber(&mut self, to: &dyn Fn(u16) -> u16) {
        if let ExprKind::Column { column, .. } = &mut self.kind {
            *column = to(*column);
        }
        self.children_mut(&mut |child| child.renumber(to));
    }

    fn children(&self, each: &mut dyn FnMut(&Expr)) {
        match &self.kind {
            ExprKind::Column { .. } | ExprKind::Constant(_) => {}
            ExprKind::Call { args, .. } | ExprKind::Coalesce(args) | ExprKind::Extreme { args, .. } => {
                args.iter().for_each(each);
            }
            ExprKind::And(args) | ExprKind::Or(args) => args.iter().for_each(each),
            ExprKind::Relabel(e) | ExprKind::Not(e) => each(e),
            ExprKind::IsNull { expr, .. } | ExprKind::IsBool { expr, .. } => each(expr),
            ExprKind::IsDistinct { left, right, .. } | ExprKind::NullIf { left, right, .. } => {
                each(left);
                each(right);
            }
            ExprKind::In { expr, list, .. } => {
                each(expr);
                list.iter().for_each(|(e, _)| each(e));
            }
            ExprKind::Case { branches, otherwise } => {
                for (when, then) in branches {
                    each(when);
                    each(then);
                }
                otherwise.iter().for_each(|e| each(e));
            }
        }
    }

    fn children_mut(&mut self, each: &mut dyn FnMut(&mut Expr)) {
        match &mut self.kind {
            ExprKind::Column { .. } | ExprKind::Constant(_) => {}
            ExprKind::Call { args, .. } | ExprKind::Coalesce(args) | ExprKind::Extreme { args, .. } => {
                args.iter_mut().for_each(each);
            }
            ExprKind::And(args) | ExprKind::Or(args) => args.iter_mut().for_each(each),
            ExprKind::Relabel(e) | ExprKind::Not(e) => each(e),
            ExprKind::IsNull { expr, .. } | ExprKind::IsBool { expr, .. } => each(expr),
            ExprKind::IsDistinct { left, right, .. } | ExprKind::NullIf { left, right, .. } => {
                each(left);
                each(right);
            }
            ExprKind::In { expr, list, .. } => {
                each(expr);
                list.iter_mut().for_each(|(e, _)| each(e));
            }
            ExprKind::Case { branches, otherwise } => {
                for (when, then) in branches {
                    each(when);
                    each(then);
                }
                otherwise.iter_mut().for_each(|e| each(e));
            }
        }
    }
}
