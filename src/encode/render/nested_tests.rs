//! Lists, records that may be missing, and what goes wrong inside them, over tables in memory. apache-avro is the oracle.

use std::path::Path;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;

use super::*;
use crate::catalogue::{ColumnType, QualifiedName, Type};
use crate::diagnostic::Span;
use crate::encode::compile::SourceFile;
use crate::encode::readback::{Readback, ReadbackError};
use crate::transform::eval::EachRow;
use crate::transform::function::{EvalError, Kind, candidates};
use crate::transform::plan::{Expr, Order};
use crate::transform::{ExprKind, Field, KeyForm, Link, LinkColumn, Output, Shape, Source, Step, UsedColumn};

const ORDERS: u16 = 0;
const LINES: u16 = 1;
const PARTS: u16 = 2;
const CUSTOMERS: u16 = 3;

fn numeric() -> ColumnType {
    ColumnType { typmod: (10 << 16 | 2) + 4, ..ColumnType::plain(Type::Numeric) }
}

fn columns(source: u16) -> Vec<(&'static str, ColumnType)> {
    let plain = ColumnType::plain;
    match source {
        ORDERS => vec![("id", plain(Type::Int8)), ("customer_id", plain(Type::Int8))],
        LINES => vec![
            ("order_id", plain(Type::Int8)),
            ("line_no", plain(Type::Int4)),
            ("sku", plain(Type::Text)),
            ("unit_price", numeric()),
            ("at", plain(Type::TimestampTz)),
        ],
        PARTS => vec![("line_no", plain(Type::Int4)), ("name", plain(Type::Text))],
        _ => vec![("id", plain(Type::Int8)), ("name", plain(Type::Text))],
    }
}

/// Column `name`; NULL is possible where the name ends with `?`.
fn column(source: u16, name: &str) -> Expr {
    let (name, nullable) = (name.trim_end_matches('?'), name.ends_with('?'));
    let place = columns(source).iter().position(|(n, _)| *n == name).unwrap();
    Expr {
        kind: ExprKind::Column { source, column: place as u16 },
        ty: columns(source)[place].1.clone(),
        nullable,
        span: Span { start: 0, end: 1 },
    }
}

fn scalar(source: u16, name: &str) -> Shape {
    Shape::Scalar(column(source, name))
}

fn record(fields: Vec<(&str, Shape)>) -> Shape {
    let field = |(name, shape): (&str, Shape)| Field { name: name.into(), shape, span: Span { start: 7, end: 8 } };
    Shape::Record { fields: fields.into_iter().map(field).collect(), json: constant("{}", Type::Jsonb) }
}

fn constant(text: &'static str, ty: Type) -> Expr {
    let value = match ty {
        Type::Jsonb => crate::datum::Value::Jsonb(text.into()),
        _ => crate::datum::Value::Array(text.into()),
    };
    Expr { kind: ExprKind::Constant(value), ty: ColumnType::plain(ty), nullable: false, span: Span::default() }
}

/// `FROM source WHERE own = parent.column`
fn block(source: u16, own: &str, parent: u16, column: &str) -> Block {
    let place = |source, name| columns(source).iter().position(|(n, _)| *n == name).unwrap() as u16;
    let columns = vec![LinkColumn { own: place(source, own), parent: place(parent, column), key: KeyForm::Text }];
    let step = Step { source, left: false, link: Link { parent, columns }, on: None, unique: false };
    Block { steps: vec![step], filter: None }
}

fn list(block: Block, order: Vec<Order>, item: Shape) -> Shape {
    let array = constant("{}", Type::Array(std::sync::Arc::new(Type::Jsonb)));
    Shape::List { block, order, item: Box::new(item), array }
}

fn by(source: u16, name: &str, descending: bool) -> Vec<Order> {
    let expr = column(source, name);
    let mut signatures = candidates(Kind::Operator, "<").into_iter();
    let own = crate::transform::function::Arg::of(&expr.ty.ty);
    let less = signatures.find(|f| f.args == [own, own]).unwrap();
    vec![Order { expr, less, descending, nulls_first: descending }]
}

fn plan(outputs: Vec<(&str, Shape)>) -> Plan {
    let source = |source: u16| Source {
        table: QualifiedName::new("public", "t"),
        table_oid: 0,
        alias: "t".into(),
        columns: columns(source)
            .into_iter()
            .map(|(name, ty)| UsedColumn { name: name.into(), attnum: 1, ty, not_null: false })
            .collect(),
    };
    let output = |(name, shape): (&str, Shape)| Output { name: name.into(), shape, span: Span { start: 7, end: 8 } };
    Plan {
        name: "shop/order".into(),
        sources: [ORDERS, LINES, PARTS, CUSTOMERS].map(source).into(),
        block: Block::default(),
        outputs: std::iter::once(("id", scalar(ORDERS, "id"))).chain(outputs).map(output).collect(),
        key: vec![0],
    }
}

type Cells = &'static [Option<&'static str>];

/// Rows per source, and the column by which each is looked up.
struct Tables(Vec<(u16, u16, Cells)>);

impl Lookup for Tables {
    fn rows(&self, source: u16, key: &[u8], each: &mut EachRow<'_>) -> Result<(), EvalError> {
        for (_, by, cells) in self.0.iter().filter(|(s, ..)| *s == source) {
            let row: Vec<Option<&[u8]>> = cells.iter().map(|c| c.map(str::as_bytes)).collect();
            let mut own = Vec::new();
            let is = crate::transform::link::write([(KeyForm::Text, row[usize::from(*by)])], &mut own);
            if is && own == key && each(&row)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The contract's fields behind `id`.
fn contract(fields: &str) -> Contract {
    let text = format!(r#"{{"type":"record","name":"x.R","fields":[{{"name":"id","type":"long"}},{fields}]}}"#);
    Contract::parse(Path::new("t.avsc"), &text).unwrap_or_else(|f| panic!("{text}: {f:?}"))
}

fn renderer(plan: &Plan, contract: &Contract, options: &RenderOptions) -> Result<Renderer, Vec<Diagnostic>> {
    let options = RenderOptions { max_record: 1_000_000, ..options.clone() };
    Renderer::new(plan, contract, &KeySchema::derive(plan, contract)?, &options)
}

fn body(plan: &Plan, fields: &str, tables: &[(u16, u16, Cells)]) -> Result<Vec<u8>, RowError> {
    let contract = contract(fields);
    let renderer = renderer(plan, &contract, &RenderOptions::default()).unwrap_or_else(|f| panic!("{f:?}"));
    let mut out = Rendered::default();
    let root = [Some(&b"7"[..]), Some(&b"1"[..])];
    let outcome = renderer.render(&Context::default(), &root, &Tables(tables.to_vec()), &mut out)?;
    assert_eq!(outcome, Outcome::Entity);
    Ok(out.body().to_vec())
}

/// The rows become this value, byte for byte as apache-avro writes it; so they are when they are read back.
#[track_caller]
fn check(plan: &Plan, fields: &str, tables: &[(u16, u16, Cells)], expected: Vec<(&str, Avro)>) {
    let body = body(plan, fields, tables).unwrap();
    let contract = contract(fields);
    let schema = Schema::parse_str(contract.text()).unwrap();
    let id = std::iter::once(("id", Avro::Long(7)));
    let expected = Avro::Record(id.chain(expected).map(|(n, v)| (n.to_owned(), v)).collect());
    let theirs = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(expected)
        .unwrap();
    assert_eq!(body, theirs);
    // Read back under a contract with one field more, value by value: our form is the canonical one.
    let wider = self::contract(&format!(r#"{fields},{{"name":"more","type":"int","default":1}}"#));
    let mut framed = vec![0, 0, 0, 0, 3];
    framed.extend_from_slice(&body);
    let mut again = Vec::new();
    Readback::new(wider.record(), 9)
        .body::<ReadbackError>(&framed, |_| Ok(contract.text().to_owned()), &mut again)
        .unwrap();
    assert_eq!(again, [&body[..], &[2]].concat());
}

fn row_error(plan: &Plan, fields: &str, tables: &[(u16, u16, Cells)]) -> (String, String, Option<&'static str>) {
    let error = body(plan, fields, tables).unwrap_err();
    (error.path, error.code.to_string(), error.sqlstate)
}

fn some(value: Avro) -> Avro {
    Avro::Union(1, Box::new(value))
}

fn null() -> Avro {
    Avro::Union(0, Box::new(Avro::Null))
}

fn text(t: &str) -> Avro {
    Avro::String(t.into())
}

fn fields_of(fields: Vec<(&str, Avro)>) -> Avro {
    Avro::Record(fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
}

fn order_with_lines(order: Vec<Order>) -> Plan {
    let item = record(vec![
        ("line_no", scalar(LINES, "line_no")),
        ("sku", scalar(LINES, "sku?")),
        ("unit_price", scalar(LINES, "unit_price")),
        ("at", scalar(LINES, "at?")),
        ("parts", list(block(PARTS, "line_no", LINES, "line_no"), Vec::new(), scalar(PARTS, "name?"))),
    ]);
    plan(vec![("lines", list(block(LINES, "order_id", ORDERS, "id"), order, item))])
}

const LINE_FIELDS: &str = r#"{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
    {"name":"line_no","type":"int"},
    {"name":"sku","type":["null","string"]},
    {"name":"unit_price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
    {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
    {"name":"parts","type":{"type":"array","items":["null","string"]}}]}}}"#;

const THREE_LINES: &[(u16, u16, Cells)] = &[
    (LINES, 0, &[Some("7"), Some("2"), Some("b"), Some("199.00"), Some("2000-01-01 00:00:00.5+00")]),
    (LINES, 0, &[Some("7"), Some("3"), None, Some("-0.05"), None]),
    (LINES, 0, &[Some("8"), Some("9"), Some("other"), Some("1"), None]),
    (LINES, 0, &[Some("7"), Some("1"), Some("a"), Some("0"), None]),
    (PARTS, 0, &[Some("1"), Some("nut")]),
    (PARTS, 0, &[Some("1"), None]),
    (PARTS, 0, &[Some("3"), Some("bolt")]),
];

fn line(no: i32, sku: Avro, cents: i64, at: Avro, parts: Vec<Avro>) -> Avro {
    let cents = num_bigint::BigInt::from(cents).to_signed_bytes_be();
    fields_of(vec![
        ("line_no", Avro::Int(no)),
        ("sku", sku),
        ("unit_price", Avro::Decimal(apache_avro::Decimal::from(cents))),
        ("at", at),
        ("parts", Avro::Array(parts)),
    ])
}

#[test]
fn a_list_keeps_its_types_and_has_the_order_asked_for() {
    let one = || line(1, some(text("a")), 0, null(), vec![some(text("nut")), null()]);
    let two = || line(2, some(text("b")), 19900, some(Avro::TimestampMicros(946_684_800_500_000)), vec![]);
    let three = || line(3, null(), -5, null(), vec![some(text("bolt"))]);
    let lines =
        |order, lines| check(&order_with_lines(order), LINE_FIELDS, THREE_LINES, vec![("lines", Avro::Array(lines))]);
    lines(Vec::new(), vec![two(), three(), one()]);
    lines(by(LINES, "line_no", false), vec![one(), two(), three()]);
    lines(by(LINES, "line_no", true), vec![three(), two(), one()]);
    lines(by(LINES, "sku?", false), vec![one(), two(), three()]);
    lines(by(LINES, "sku?", true), vec![three(), two(), one()]);
    check(&order_with_lines(Vec::new()), LINE_FIELDS, &[], vec![("lines", Avro::Array(vec![]))]);
    assert_eq!(body(&order_with_lines(Vec::new()), LINE_FIELDS, &[]).unwrap(), [14, 0]);
}

/// More items than one byte counts, in an order that has to be made.
#[test]
fn a_long_list_is_one_block() {
    let numbers: Vec<String> = (0..200).map(|n| ((n * 7) % 200).to_string()).collect();
    let rows: Vec<Vec<Option<&'static str>>> =
        numbers.iter().map(|n| vec![Some("7"), Some(&*n.clone().leak()), None, Some("1"), None]).collect();
    let tables: Vec<(u16, u16, Cells)> = rows.into_iter().map(|r| (LINES, 0, &*r.leak())).collect();
    let order = by(LINES, "line_no", false);
    let plan = plan(vec![("v", list(block(LINES, "order_id", ORDERS, "id"), order, scalar(LINES, "line_no")))]);
    let field = r#"{"name":"v","type":["null",{"type":"array","items":"int"}]}"#;
    check(&plan, field, &tables, vec![("v", some(Avro::Array((0..200).map(Avro::Int).collect())))]);
}

fn customer(of: impl FnOnce(Shape) -> Shape) -> Plan {
    plan(vec![("customer", of(record(vec![("name", scalar(CUSTOMERS, "name"))])))])
}

fn one(item: Shape) -> Shape {
    let block = block(CUSTOMERS, "id", ORDERS, "customer_id");
    Shape::One { block, item: Box::new(item), json: Expr { nullable: true, ..constant("{}", Type::Jsonb) } }
}

const CUSTOMER: &str =
    r#"{"name":"customer","type":["null",{"type":"record","name":"C","fields":[{"name":"name","type":"string"}]}]}"#;

#[test]
fn a_record_of_one_row_is_null_without_it_and_an_error_with_two() {
    let ann: (u16, u16, Cells) = (CUSTOMERS, 0, &[Some("1"), Some("Ann")]);
    let plan = customer(one);
    check(&plan, CUSTOMER, &[ann], vec![("customer", some(fields_of(vec![("name", text("Ann"))])))]);
    check(&plan, CUSTOMER, &[(CUSTOMERS, 0, &[Some("2"), Some("Bob")])], vec![("customer", null())]);
    assert_eq!(row_error(&plan, CUSTOMER, &[ann, ann]), ("customer".into(), "PGS2105".into(), Some("21000")));
    let without: (u16, u16, Cells) = (CUSTOMERS, 0, &[Some("1"), None]);
    assert_eq!(row_error(&plan, CUSTOMER, &[without]), ("customer.name".into(), "PGS2101".into(), None));
    // As text it is what PostgreSQL evaluates.
    let text = r#"{"name":"customer","type":["null","string"]}"#;
    assert_eq!(body(&plan, text, &[ann]).unwrap(), b"\x0e\x02\x04{}");
}

#[test]
fn a_record_under_a_condition_is_null_where_it_does_not_hold() {
    let mut plan = customer(|item| {
        let is = ExprKind::IsNull { expr: Box::new(column(CUSTOMERS, "id?")), negated: true };
        let when = Expr { kind: is, ty: ColumnType::plain(Type::Bool), nullable: false, span: Span::default() };
        Shape::Case { when, item: Box::new(item), json: Expr { nullable: true, ..constant("{}", Type::Jsonb) } }
    });
    plan.block = block(CUSTOMERS, "id", ORDERS, "customer_id");
    plan.block.steps[0].left = true;
    check(&plan, CUSTOMER, &[], vec![("customer", null())]);
    let ann: (u16, u16, Cells) = (CUSTOMERS, 0, &[Some("1"), Some("Ann")]);
    check(&plan, CUSTOMER, &[ann], vec![("customer", some(fields_of(vec![("name", text("Ann"))])))]);
    assert_eq!(row_error(&plan, CUSTOMER, &[ann, ann]).1, "PGS2105");
}

#[test]
fn an_error_in_a_list_says_the_element_in_the_lists_order() {
    let bad: &[(u16, u16, Cells)] = &[
        (LINES, 0, &[Some("7"), Some("4"), None, Some("123456789.00"), None]),
        (LINES, 0, &[Some("7"), Some("1"), None, Some("1"), None]),
        (LINES, 0, &[Some("7"), Some("3"), None, Some("NaN"), None]),
        (LINES, 0, &[Some("7"), Some("2"), None, Some("1"), None]),
    ];
    let at = |order| row_error(&order_with_lines(order), LINE_FIELDS, bad);
    assert_eq!(at(by(LINES, "line_no", false)), ("lines[2].unit_price".into(), "PGS2102".into(), None));
    assert_eq!(at(by(LINES, "line_no", true)), ("lines[0].unit_price".into(), "PGS2103".into(), None));
    assert_eq!(at(Vec::new()), ("lines[0].unit_price".into(), "PGS2103".into(), None));
    let strict = LINE_FIELDS.replace(r#""items":["null","string"]"#, r#""items":"string""#);
    let plan = order_with_lines(by(LINES, "line_no", false));
    let options =
        RenderOptions { not_null: vec!["lines[].parts[]".into()], max_record: 1000, ..RenderOptions::default() };
    let renderer = renderer(&plan, &contract(&strict), &options).unwrap();
    let root = [Some(&b"7"[..]), None];
    let tables = Tables(THREE_LINES.to_vec());
    let error = renderer.render(&Context::default(), &root, &tables, &mut Rendered::default()).unwrap_err();
    assert_eq!((error.path.as_str(), error.code), ("lines[0].parts[1]", codes::ROW_NULL));
}

#[track_caller]
fn misfit(fields: &str, options: &RenderOptions, expected: &[(&str, &str)]) -> Vec<Diagnostic> {
    let findings =
        renderer(&order_with_lines(Vec::new()), &contract(fields), options).map(|_| ()).err().unwrap_or_default();
    let found: Vec<_> = findings.iter().map(|f| (f.code.to_string(), f.message.clone())).collect();
    assert_eq!(found.len(), expected.len(), "{findings:?}");
    for ((code, message), (expected, part)) in found.iter().zip(expected) {
        assert!(code == expected && message.contains(part), "{findings:?}");
    }
    findings
}

#[test]
fn what_does_not_fit_in_a_list_is_found_before_anything_runs() {
    let sql = SourceFile { path: "shop/order.sql".into(), text: "SELECT 1\nFROM t".into() };
    let options = RenderOptions { sql: Some(sql), ..RenderOptions::default() };
    let narrow = LINE_FIELDS.replace(r#""precision":10"#, r#""precision":9"#);
    let found = misfit(&narrow, &options, &[("PGS2013", "lines[].unit_price is numeric(10,2)")]);
    let place = found[0].place.as_ref().unwrap();
    assert_eq!((place.file.as_path(), place.line), (Path::new("t.avsc"), 4));
    assert!(place.source_line[place.column as usize - 1..].starts_with("\"unit_price\""), "{found:?}");
    assert!(found[0].help.as_ref().unwrap().ends_with("the output is at shop/order.sql:1:8"), "{found:?}");

    let strict = LINE_FIELDS.replace(r#"{"name":"sku","type":["null","string"]}"#, r#"{"name":"sku","type":"string"}"#);
    misfit(&strict, &options, &[("PGS2012", "lines[].sku may be NULL")]);
    misfit(&strict, &RenderOptions { not_null: vec!["lines[].sku".into()], ..options.clone() }, &[]);
    let unknown = RenderOptions { not_null: vec!["lines[].skew".into()], ..options.clone() };
    misfit(LINE_FIELDS, &unknown, &[("PGS2017", "lines[].skew")]);

    let parts = LINE_FIELDS.replace(r#""items":["null","string"]"#, r#""items":"string""#);
    misfit(&parts, &options, &[("PGS2012", "lines[].parts[] may be NULL")]);

    let more =
        LINE_FIELDS.replace(r#"{"name":"line_no""#, r#"{"name":"more","type":"int","default":5},{"name":"line_no""#);
    misfit(&more, &options, &[("PGS2010", "\"lines[].more\" has no output")]);
    misfit(&more, &RenderOptions { from_default: vec!["lines[].more".into()], ..options.clone() }, &[]);
    let less = LINE_FIELDS.replace(r#"{"name":"line_no","type":"int"},"#, "");
    misfit(&less, &options, &[("PGS2011", "\"lines[].line_no\" is no field")]);

    let flat = r#"{"name":"lines","type":"int"}"#;
    misfit(flat, &options, &[("PGS2013", "lines is an array, which cannot become int")]);
    misfit(r#"{"name":"lines","type":"string"}"#, &options, &[]);
    let items = r#"{"name":"lines","type":{"type":"array","items":"int"}}"#;
    misfit(items, &options, &[("PGS2013", "lines[] is a record, which cannot become int")]);
    let maybe = contract(&CUSTOMER.replace(r#"["null",{"#, "{").replace("}]}]}", "}]}}"));
    let found = renderer(&customer(one), &maybe, &options).map(|_| ()).unwrap_err();
    assert!(found.len() == 1 && found[0].message.contains("customer may be NULL"), "{found:?}");
}

/// The default of a field below a list is written for each element.
#[test]
fn defaults_below_a_list() {
    let more =
        LINE_FIELDS.replace(r#"{"name":"line_no""#, r#"{"name":"more","type":"int","default":5},{"name":"line_no""#);
    let options = RenderOptions { from_default: vec!["lines[].more".into()], ..RenderOptions::default() };
    let plan = order_with_lines(Vec::new());
    let contract = contract(&more);
    let mut out = Rendered::default();
    let root = [Some(&b"7"[..]), None];
    let tables = Tables(vec![THREE_LINES[1]]);
    renderer(&plan, &contract, &options).unwrap().render(&Context::default(), &root, &tables, &mut out).unwrap();
    assert_eq!(out.body(), [14, 2, 10, 6, 0, 2, 0xfb, 0, 0, 0]);
}

/// A key column may come from a source that is joined.
#[test]
fn a_key_of_a_joined_table() {
    let mut plan = plan(vec![("name", scalar(CUSTOMERS, "name"))]);
    plan.block = block(CUSTOMERS, "id", ORDERS, "customer_id");
    plan.key = vec![1, 0];
    let contract = contract(r#"{"name":"name","type":"string"}"#);
    let renderer = renderer(&plan, &contract, &RenderOptions::default()).unwrap();
    let (mut out, mut key) = (Rendered::default(), Rendered::default());
    let tables = Tables(vec![(CUSTOMERS, 0, &[Some("1"), Some("Ann")])]);
    let root = [Some(&b"7"[..]), Some(&b"1"[..])];
    renderer.render(&Context::default(), &root, &tables, &mut out).unwrap();
    assert_eq!(out.key, b"\0\0\0\0\0\x06Ann\x0e");
    renderer.key(&Context::default(), &root, &tables, &mut key).unwrap();
    assert_eq!(out.key, key.key);
    plan.outputs[1].shape = list(block(LINES, "order_id", ORDERS, "id"), Vec::new(), scalar(LINES, "line_no"));
    let contract = self::contract(r#"{"name":"name","type":{"type":"array","items":"int"}}"#);
    let found = self::renderer(&plan, &contract, &RenderOptions::default()).map(|_| ()).unwrap_err();
    assert!(found[0].to_string().contains("the key column \"name\" is an array"), "{found:?}");
}
