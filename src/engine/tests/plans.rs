//! Plans by hand, over three tables: orders, customers, lines.

use std::path::Path;
use std::sync::Arc;

use super::wire::TableDef;
use crate::catalogue::{ColumnType, QualifiedName, Type};
use crate::diagnostic::Span;
use crate::encode::{Contract, KeySchema, RenderOptions, Renderer};
use crate::transform::plan::{Answer, Subquery};
use crate::transform::{
    Block, Expr, ExprKind, KeyForm, Link, LinkColumn, Output, Plan, Shape, Source, Step, UsedColumn,
};

pub const ORDERS: usize = 0;
pub const CUSTOMERS: usize = 1;
pub const LINES: usize = 2;

/// `bag`: lines have no key; `full`: customers send whole old rows.
pub fn tables(bag: bool, full: bool) -> Vec<TableDef> {
    let (int, text, numeric) = (20, 25, 1700);
    let table = |oid, name, columns, full, keyed| TableDef { oid, name, columns, full, keyed };
    let orders: &[_] = &[("id", int), ("code", text), ("customer_id", int), ("note", text), ("unused", text)];
    let customers: &[_] = &[("id", int), ("name", text), ("boss", int), ("rank", numeric), ("unused", text)];
    let lines: &[_] = &[("id", int), ("order_id", int), ("qty", numeric), ("sku", text)];
    // `leak` keeps the definitions plain constants.
    let fixed = |c: &[(&'static str, u32)]| -> &'static [(&'static str, u32)] { Box::leak(c.to_vec().into()) };
    vec![
        table(1, "orders", fixed(orders), false, true),
        table(2, "customers", fixed(customers), full, true),
        table(3, "lines", fixed(lines), bag, !bag),
    ]
}

pub fn column(table: &TableDef, name: &str) -> UsedColumn {
    let at = table.columns.iter().position(|(n, _)| *n == name).expect("a column");
    let ty = match table.columns[at].1 {
        20 => Type::Int8,
        1700 => Type::Numeric,
        _ => Type::Text,
    };
    UsedColumn {
        name: name.into(),
        attnum: at as i16 + 1,
        ty: ColumnType::plain(ty),
        not_null: name == "id" || name == "code",
    }
}

/// A plan that is being put together.
pub struct Draft<'t> {
    tables: &'t [TableDef],
    plan: Plan,
    fields: Vec<String>,
}

impl<'t> Draft<'t> {
    pub fn new(tables: &'t [TableDef], name: &str, root: usize, columns: &[&str]) -> Draft<'t> {
        let plan = Plan { name: name.into(), sources: vec![], block: Block::default(), outputs: vec![], key: vec![0] };
        let mut draft = Draft { tables, plan, fields: vec![] };
        draft.source(root, columns);
        draft
    }

    fn source(&mut self, table: usize, columns: &[&str]) -> u16 {
        let table = &self.tables[table];
        let mut columns: Vec<UsedColumn> = columns.iter().map(|c| column(table, c)).collect();
        columns.sort_by_key(|c| c.attnum);
        let name = QualifiedName::new("public", table.name);
        let alias = format!("s{}", self.plan.sources.len());
        self.plan.sources.push(Source { table: name, table_oid: table.oid, alias, columns });
        self.plan.sources.len() as u16 - 1
    }

    fn place(&self, source: u16, name: &str) -> u16 {
        let columns = &self.plan.sources[usize::from(source)].columns;
        columns.iter().position(|c| c.name == name).expect("a used column") as u16
    }

    /// A source that hangs on `parent` by `own = parent`.
    pub fn step(
        &mut self,
        table: usize,
        columns: &[&str],
        left: bool,
        parent: u16,
        by: &[(&str, &str)],
        key: KeyForm,
    ) -> Step {
        let source = self.source(table, columns);
        let columns = by.iter().map(|(own, above)| LinkColumn {
            own: self.place(source, own),
            parent: self.place(parent, above),
            key,
        });
        let link = Link { parent, columns: columns.collect() };
        Step { source, left, link, on: None, unique: false }
    }

    pub fn join(&mut self, step: Step) {
        self.plan.block.steps.push(step);
    }

    pub fn filter(&mut self, filter: Expr) {
        self.plan.block.filter = Some(filter);
    }

    pub fn column(&self, source: u16, name: &str) -> Expr {
        let column = self.place(source, name);
        let used = &self.plan.sources[usize::from(source)].columns[usize::from(column)];
        expr(ExprKind::Column { source, column }, used.ty.ty.clone(), source > 0 || !used.not_null)
    }

    pub fn not_null(&self, source: u16, name: &str) -> Expr {
        let inner = self.column(source, name);
        expr(ExprKind::IsNull { expr: Box::new(inner), negated: true }, Type::Bool, false)
    }

    pub fn exists(&self, steps: Vec<Step>) -> Expr {
        let subquery = Subquery { block: Block { steps, filter: None }, answer: Answer::Exists };
        expr(ExprKind::Subquery(Box::new(subquery)), Type::Bool, false)
    }

    pub fn array(&self, steps: Vec<Step>, item: Expr) -> Expr {
        let ty = Type::Array(Arc::new(item.ty.ty.clone()));
        let answer = Answer::Array { item, order: vec![], distinct: None, limit: None };
        let subquery = Subquery { block: Block { steps, filter: None }, answer };
        expr(ExprKind::Subquery(Box::new(subquery)), ty, false)
    }

    /// An output and its field in the contract; the first one is the key.
    pub fn output(&mut self, name: &str, value: Expr) -> &mut Self {
        let scalar = |ty: &Type| match ty {
            Type::Int8 => r#""long""#.to_owned(),
            Type::Bool => r#""boolean""#.to_owned(),
            Type::Array(_) => r#"{"type": "array", "items": ["null", "string"]}"#.to_owned(),
            _ => r#""string""#.to_owned(),
        };
        let ty = scalar(&value.ty.ty);
        let ty = if value.nullable { format!(r#"["null", {ty}], "default": null"#) } else { ty };
        self.fields.push(format!(r#"{{"name": "{name}", "type": {ty}}}"#));
        self.plan.outputs.push(Output { name: name.into(), shape: Shape::Scalar(value), span: Span::default() });
        self
    }

    pub fn bound(self, max_record: usize) -> Bound {
        let contract = format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, self.fields.join(", "));
        let contract = Contract::parse(Path::new("t.avsc"), &contract).expect("a contract");
        let key = KeySchema::derive(&self.plan, &contract).expect("a key");
        let options = RenderOptions { max_record, ..RenderOptions::default() };
        let renderer = Renderer::new(&self.plan, &contract, &key, &options).expect("it fits");
        Bound { plan: self.plan, key, renderer: Arc::new(renderer) }
    }
}

pub struct Bound {
    pub plan: Plan,
    pub key: KeySchema,
    pub renderer: Arc<Renderer>,
}

fn expr(kind: ExprKind, ty: Type, nullable: bool) -> Expr {
    Expr { kind, ty: ColumnType::plain(ty), nullable, span: Span::default() }
}

/// Every kind of plan that walks differ for.
pub fn all(tables: &[TableDef]) -> Vec<Bound> {
    let text = KeyForm::Text;
    let mut plans = Vec::new();

    // A look-up, optional; a condition beside the equality.
    let mut d = Draft::new(tables, "order", ORDERS, &["id", "customer_id", "note"]);
    let mut step = d.step(CUSTOMERS, &["id", "name", "rank"], true, 0, &[("id", "customer_id")], text);
    step.on = Some(d.not_null(1, "rank"));
    d.join(step);
    d.output("id", d.column(0, "id"));
    d.output("note", d.column(0, "note"));
    d.output("customer", d.column(1, "name"));
    plans.push(d.bound(1000));

    // A look-up that filters, and children below.
    let mut d = Draft::new(tables, "document", ORDERS, &["id", "customer_id"]);
    let step = d.step(CUSTOMERS, &["id", "name"], false, 0, &[("id", "customer_id")], text);
    d.join(step);
    d.filter(d.not_null(1, "name"));
    let children = d.step(LINES, &["order_id", "sku"], false, 0, &[("order_id", "id")], text);
    let lines = d.array(vec![children], d.column(2, "sku"));
    d.output("id", d.column(0, "id"));
    d.output("lines", lines);
    d.output("customer", d.column(1, "name"));
    plans.push(d.bound(1000));

    // The root is looked up by others; two hops down; a link between numbers.
    let mut d = Draft::new(tables, "customer", CUSTOMERS, &["id", "rank"]);
    let orders = d.step(ORDERS, &["customer_id", "note"], false, 0, &[("customer_id", "id")], text);
    let has_orders = d.exists(vec![orders]);
    let orders = d.step(ORDERS, &["id", "customer_id"], false, 0, &[("customer_id", "id")], text);
    let lines = d.step(LINES, &["order_id", "sku"], false, 2, &[("order_id", "id")], text);
    let skus = d.array(vec![orders, lines], d.column(3, "sku"));
    let same = d.step(LINES, &["qty", "sku"], false, 0, &[("qty", "rank")], KeyForm::Number);
    let same = d.array(vec![same], d.column(4, "sku"));
    d.output("id", d.column(0, "id"));
    d.output("has_orders", has_orders);
    d.output("skus", skus);
    d.output("same", same);
    plans.push(d.bound(4000));

    // The same table twice.
    let mut d = Draft::new(tables, "boss", CUSTOMERS, &["id", "boss", "name"]);
    let step = d.step(CUSTOMERS, &["id", "name", "boss"], true, 0, &[("id", "boss")], text);
    d.join(step);
    let step = d.step(CUSTOMERS, &["id", "name"], true, 1, &[("id", "boss")], text);
    d.join(step);
    d.output("id", d.column(0, "id"));
    d.output("name", d.column(0, "name"));
    d.output("boss", d.column(1, "name"));
    d.output("boss_of_boss", d.column(2, "name"));
    plans.push(d.bound(1000));

    // A key that moves between roots; a link over two columns.
    let mut d = Draft::new(tables, "code", ORDERS, &["id", "code", "customer_id", "note"]);
    let step = d.step(CUSTOMERS, &["id", "name"], true, 0, &[("id", "customer_id"), ("name", "note")], text);
    d.join(step);
    d.output("code", d.column(0, "code"));
    d.output("customer", d.column(1, "id"));
    plans.push(d.bound(1000));

    // One source, on a table that the others join.
    let mut d = Draft::new(tables, "plain", ORDERS, &["id", "note"]);
    d.output("id", d.column(0, "id"));
    d.output("note", d.column(0, "note"));
    plans.push(d.bound(1000));

    // Rows that cannot be told: the name may be too long.
    let mut d = Draft::new(tables, "held", ORDERS, &["id", "customer_id"]);
    let step = d.step(CUSTOMERS, &["id", "name"], true, 0, &[("id", "customer_id")], text);
    d.join(step);
    d.output("id", d.column(0, "id"));
    d.output("customer", d.column(1, "name"));
    plans.push(d.bound(20));

    if tables[LINES].keyed {
        // A chain upwards.
        let mut d = Draft::new(tables, "line", LINES, &["id", "order_id"]);
        let step = d.step(ORDERS, &["id", "customer_id"], true, 0, &[("id", "order_id")], text);
        d.join(step);
        let step = d.step(CUSTOMERS, &["id", "name"], true, 1, &[("id", "customer_id")], text);
        d.join(step);
        d.output("id", d.column(0, "id"));
        d.output("customer", d.column(2, "name"));
        plans.push(d.bound(1000));
    }
    plans
}

/// Whether this plan runs under `dead_letter`.
pub fn is_held(plan: &Plan) -> bool {
    plan.name == "held"
}
