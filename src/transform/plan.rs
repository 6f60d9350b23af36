//! What a transform is once it is bound: sources, a filter, and a tree of outputs.

use crate::catalogue::{ColumnType, Oid, QualifiedName};
use crate::datum::Value;
use crate::diagnostic::Span;
use crate::transform::aggregate::Aggregate;
use crate::transform::function::Function;

/// A bound transform. `sources[0]` is the root: one entity per row of it that passes the joins and the filter.
#[derive(Debug)]
pub struct Plan {
    /// The path below `transforms/` without the ending: `shop/order`.
    pub name: String,
    /// Of all blocks, subqueries' too: a row of each is what expressions see.
    pub sources: Vec<Source>,
    /// The outermost FROM behind the root, and WHERE.
    pub block: Block,
    pub outputs: Vec<Output>,
    /// Indexes into `outputs`, in key order.
    pub key: Vec<usize>,
}

/// A FROM and its WHERE: nested loops over the steps, each by an index, from rows that are given (the root's, or those of
/// the blocks around a subquery).
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub steps: Vec<Step>,
    pub filter: Option<Expr>,
}

/// One more source, found by its link.
#[derive(Debug, Clone)]
pub struct Step {
    pub source: u16,
    /// LEFT JOIN: a row of NULLs where nothing is found.
    pub left: bool,
    pub link: Link,
    /// Every condition that can be decided here, the link's equalities among them.
    pub on: Option<Expr>,
    /// A unique index over link columns proves that there is one row at most.
    pub unique: bool,
}

/// The equality by which a source hangs on an earlier one: `own = parent` for each column. It is walked in both
/// directions: to the rows of `source`, and from a changed row of it back to the rows it is seen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub parent: u16,
    pub columns: Vec<LinkColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkColumn {
    /// Of the step's source, and of the parent: places in their `columns`.
    pub own: u16,
    pub parent: u16,
    pub key: KeyForm,
}

/// How values that PostgreSQL's `=` takes for equal become equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyForm {
    /// Equal values have one text form: integers, text, uuid, boolean, enums, date, bytea …
    Text,
    /// Without trailing zeros behind the point: numeric, also against integers.
    Number,
    /// Without trailing blanks: char(n).
    Padded,
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
#[derive(Debug, Clone)]
pub enum Shape {
    Scalar(Expr),
    /// `jsonb_build_object('name', expr, …)`, and the same as the jsonb expression that PostgreSQL would evaluate.
    Record {
        fields: Vec<Field>,
        json: Expr,
    },
    /// `ARRAY(SELECT item …)`, and the same as the array that PostgreSQL would evaluate.
    List {
        block: Block,
        order: Vec<Order>,
        item: Box<Shape>,
        array: Expr,
    },
    /// `(SELECT item …)` of one row at most whose item is a record: NULL without a row.
    One {
        block: Block,
        item: Box<Shape>,
        json: Expr,
    },
    /// `CASE WHEN when THEN item END` of an item that is a record: NULL where the condition does not hold.
    Case {
        when: Expr,
        item: Box<Shape>,
        json: Expr,
    },
}

/// One of ORDER BY's expressions.
#[derive(Debug, Clone)]
pub struct Order {
    pub expr: Expr,
    /// The `<` of its type.
    pub less: &'static Function,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone)]
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
    /// `expr = ANY (array)`, `expr <> ALL (array)`: the operator takes `expr` and an element, and gives a boolean.
    AnyAll {
        expr: Box<Expr>,
        array: Box<Expr>,
        operator: &'static Function,
        all: bool,
    },
    /// An array whose elements go to another type, each by the cast.
    ArrayCast {
        array: Box<Expr>,
        cast: &'static Function,
    },
    /// `array[1]`, `array[1][2]`: an element; NULL where there is none. Nullable always.
    Subscript {
        array: Box<Expr>,
        /// Of type integer.
        indexes: Vec<Expr>,
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
    Subquery(Box<Subquery>),
    /// The answer of the aggregate at this place of the subquery's `Answer::Aggregates` that encloses it most closely.
    Aggregate(u16),
    /// `ARRAY[…]`; elements of one type.
    Array(Vec<Expr>),
    /// GREATEST (by `>`) and LEAST (by `<`): `wins(a, b)` says that a stands before b. NULLs are skipped.
    Extreme {
        args: Vec<Expr>,
        wins: &'static Function,
    },
}

/// A subquery, correlated by its steps' links.
#[derive(Debug, Clone)]
pub struct Subquery {
    pub block: Block,
    pub answer: Answer,
}

#[derive(Debug, Clone)]
pub enum Answer {
    Exists,
    /// `expr [NOT] IN (SELECT item …)`, with NULLs as in SQL.
    In {
        expr: Expr,
        item: Expr,
        equal: &'static Function,
        negated: bool,
    },
    /// One row at most, or SQLSTATE 21000; with `first` the first of the order.
    Scalar {
        item: Expr,
        order: Vec<Order>,
        first: bool,
    },
    /// `ARRAY(SELECT [DISTINCT] item … ORDER BY … LIMIT …)`
    Array {
        item: Expr,
        order: Vec<Order>,
        /// The `=` of the item's type.
        distinct: Option<&'static Function>,
        limit: Option<u64>,
    },
    /// One row for all rows of the block, also for none.
    Aggregates {
        calls: Vec<AggregateCall>,
        item: Expr,
    },
}

#[derive(Debug, Clone)]
pub struct AggregateCall {
    pub aggregate: &'static Aggregate,
    pub args: Vec<Expr>,
    pub arg_types: Vec<ColumnType>,
    pub returns: ColumnType,
    /// The `=` of the argument's type.
    pub distinct: Option<&'static Function>,
    pub order: Vec<Order>,
    pub filter: Option<Expr>,
}

impl Shape {
    /// The one expression that PostgreSQL would evaluate for this output.
    pub fn expr(&self) -> &Expr {
        match self {
            Shape::Scalar(expr) | Shape::Record { json: expr, .. } => expr,
            Shape::List { array: expr, .. } => expr,
            Shape::One { json: expr, .. } | Shape::Case { json: expr, .. } => expr,
        }
    }

    pub fn nullable(&self) -> bool {
        match self {
            Shape::Scalar(e) => e.nullable,
            Shape::Record { .. } | Shape::List { .. } => false,
            Shape::One { .. } | Shape::Case { .. } => true,
        }
    }
}
