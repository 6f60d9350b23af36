//! What is drafted fits the transform it was drafted for.

use std::path::Path;

use super::*;
use crate::encode::{Contract, KeySchema, RenderOptions, Renderer};
use crate::transform::{self, source};

#[test]
fn names_are_avros() {
    for (written, name) in [("order", "Order"), ("order_line-2", "OrderLine2"), ("2x", "R2x"), ("é", "R")] {
        assert_eq!(pascal(written), name);
    }
    assert_eq!((plain("v1"), plain("1-a")), ("v1".into(), "_1_a".into()));
}

const SCHEMA: &str = "-- pgspine server=15.18 collate=en_US.UTF-8 provider=libc\n\
    CREATE TYPE shop.order_lines_item AS (\n  n integer\n);\n\
    CREATE TABLE shop.orders (\n  id bigint NOT NULL,\n  customer_id bigint,\n  odd shop.order_lines_item,\n\
    CONSTRAINT orders_pkey PRIMARY KEY (id)\n);\n\
    CREATE TABLE shop.customers (\n  id bigint NOT NULL,\n  name text NOT NULL,\n  phone text,\n\
    CONSTRAINT customers_pkey PRIMARY KEY (id)\n);\n\
    CREATE TABLE shop.lines (\n  order_id bigint NOT NULL,\n  line_no integer NOT NULL,\n  sku text,\n\
    price numeric(10,2) NOT NULL,\n  CONSTRAINT lines_pkey PRIMARY KEY (order_id, line_no)\n);\n\
    CREATE TABLE shop.parts (\n  order_id bigint NOT NULL,\n  line_no integer NOT NULL,\n  part integer NOT NULL,\n\
    at timestamptz,\n  CONSTRAINT parts_pkey PRIMARY KEY (order_id, line_no, part)\n);\n\
    SET search_path = shop;\n";

/// The drafted contract of the outputs behind `id`, which the transform fits.
fn draft(header: &str, from: &str, outputs: &str) -> Json {
    let text = format!(
        "/* pgspine\ntopic = \"shop.order.v1\"\nkey = [\"id\"]\n{header}\n*/\nSELECT o.id, {outputs} FROM orders AS o {from}"
    );
    let catalogue = transform::parse::schema::read(SCHEMA).unwrap();
    let path = Path::new("transforms/shop/order.sql");
    let file = source::parse_text(Path::new("transforms"), path, text).unwrap();
    let plan = transform::bind(&file, &catalogue).unwrap_or_else(|f| panic!("{f:?}"));
    let column = |table: &QualifiedName, column: &str| {
        (table.name == "lines").then(|| format!("the {column} of {}", table.name))
    };
    let not_null = &file.header.not_null;
    let avsc =
        contract(&plan, &Note { doc: None, topic: &file.header.topic, column: &column, not_null, event_id: None });
    let contract = Contract::parse(Path::new("order.avsc"), &avsc).unwrap_or_else(|f| panic!("{avsc}: {f:?}"));
    let key = KeySchema::derive(&plan, &contract).unwrap();
    let options = RenderOptions { max_record: 1000, not_null: not_null.clone(), ..RenderOptions::default() };
    Renderer::new(&plan, &contract, &key, &options).unwrap_or_else(|f| panic!("{avsc}: {f:?}"));
    let mut json: Json = serde_json::from_str(&avsc).unwrap();
    Json::Array(json["fields"].as_array_mut().unwrap().split_off(1))
}

const RECORD: &str = "jsonb_build_object('id', c.id, 'name', c.name, 'phone', c.phone)";

fn customer() -> Json {
    json!({"type": "record", "name": "OrderCustomer", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": "string"},
        {"name": "phone", "type": ["null", "string"], "default": null}]})
}

#[test]
fn a_record_that_may_be_missing_is_a_union_with_null() {
    let record = |ty: Json| json!([{"name": "customer", "type": ty}]);
    let maybe = json!([{"name": "customer", "type": ["null", customer()], "default": null}]);
    let inner = "JOIN customers AS c ON c.id = o.customer_id";
    let left = format!("LEFT {inner}");
    assert_eq!(draft("", inner, &format!("{RECORD} AS customer")), record(customer()));
    // What the condition says about NULL holds in the record, whichever way it is written.
    for case in [
        format!("CASE WHEN c.id IS NOT NULL THEN {RECORD} END AS customer"),
        format!("CASE WHEN c.name <> '' THEN {RECORD} ELSE NULL END AS customer"),
        format!("CASE WHEN c.id IS NULL THEN NULL ELSE {RECORD} END AS customer"),
    ] {
        assert_eq!(draft("", &left, &case), maybe, "{case}");
    }
    let one = format!("(SELECT {RECORD} FROM customers AS c WHERE c.id = o.customer_id) AS customer");
    assert_eq!(draft("", "", &one), maybe);
    assert_eq!(draft("not_null = [\"customer\"]", "", &one), record(customer()));
    let unguarded = draft("", &left, &format!("{RECORD} AS customer"));
    assert_eq!(unguarded[0]["type"]["fields"][1]["type"], json!(["null", "string"]));
    // One that holds where there is no row promises nothing.
    let always = draft("", &left, &format!("CASE WHEN o.id > 0 THEN {RECORD} END AS customer"));
    assert_eq!(always[0]["type"][1]["fields"][1]["type"], json!(["null", "string"]));
}

#[test]
fn records_in_lists_have_names_of_their_own() {
    let outputs = "o.odd, ARRAY(SELECT jsonb_build_object('line_no', l.line_no, 'sku', l.sku, 'price', l.price, \
        'parts', ARRAY(SELECT jsonb_build_object('at', p.at) FROM parts AS p \
                       WHERE p.order_id = l.order_id AND p.line_no = l.line_no ORDER BY p.part)) \
        FROM lines AS l WHERE l.order_id = o.id ORDER BY l.line_no) AS lines, \
        ARRAY(SELECT l.sku FROM lines AS l WHERE l.order_id = o.id ORDER BY l.line_no) AS skus";
    let parts = json!({"type": "array", "items": {"type": "record", "name": "OrderLinesItem2PartsItem", "fields": [
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null}]}});
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2});
    let lines = json!({"type": "array", "items": {"type": "record", "name": "OrderLinesItem2", "fields": [
        {"name": "line_no", "type": "int", "doc": "the line_no of lines"},
        {"name": "sku", "type": "string", "doc": "the sku of lines"},
        {"name": "price", "type": decimal, "doc": "the price of lines"},
        {"name": "parts", "type": parts}]}});
    let odd = json!({"type": "record", "name": "OrderLinesItem",
        "fields": [{"name": "n", "type": ["null", "int"], "default": null}]});
    let expected = json!([
        {"name": "odd", "type": ["null", odd], "default": null},
        {"name": "lines", "type": lines},
        {"name": "skus", "type": {"type": "array", "items": ["null", "string"]}, "doc": "the sku of lines"}]);
    assert_eq!(draft("not_null = [\"lines[].sku\"]", "", outputs), expected);
}
