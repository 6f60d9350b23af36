//! `explain` and `check --live` over joined tables: the ways of a change, and what they cost by the server's statistics.

use serde_json::{Value, json};

use crate::cli::{Bench, said, stdout};

const TABLES: &str = "
    CREATE TABLE shop.country (code text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE shop.customer (id bigint PRIMARY KEY, country text, name text NOT NULL);
    CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer_id bigint) PARTITION BY RANGE (id);
    CREATE TABLE shop.orders_1 PARTITION OF shop.orders FOR VALUES FROM (0) TO (1000);
    CREATE TABLE shop.orders_2 PARTITION OF shop.orders FOR VALUES FROM (1000) TO (10000000);
    CREATE TABLE shop.line (order_id bigint NOT NULL, no int NOT NULL, sku text, PRIMARY KEY (order_id, no));";

const SELECT: &str = "SELECT o.id,
    CASE WHEN c.id IS NOT NULL THEN jsonb_build_object('name', c.name, 'country', k.name) END AS customer,
    ARRAY(SELECT jsonb_build_object('no', l.no, 'sku', l.sku) FROM shop.line AS l WHERE l.order_id = o.id ORDER BY l.no) AS lines
  FROM shop.orders AS o
  LEFT JOIN shop.customer AS c ON c.id = o.customer_id
  LEFT JOIN shop.country AS k ON k.code = c.country";

const AVSC: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"},
    {"name": "customer", "type": ["null", {"type": "record", "name": "Customer", "fields": [
        {"name": "name", "type": "string"}, {"name": "country", "type": ["null", "string"]}]}]},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
        {"name": "no", "type": "int"}, {"name": "sku", "type": ["null", "string"]}]}}}]}"#;

fn joined(name: &str) -> Bench {
    let bench = Bench::empty(name, "");
    bench.sql(TABLES);
    bench.item(SELECT, AVSC);
    bench
}

#[test]
fn the_way_of_a_change_and_its_cost_are_told() {
    let bench = joined("explain_cost");
    let explain = |more: &[&str]| {
        let args = [&["explain", "shop/item"], more].concat();
        let output = bench.project.output(&args);
        assert_eq!(output.status.code(), Some(0), "{:?}", said(&output));
        stdout(&output)
    };
    // Nothing was analysed: the ways are told, the numbers are not.
    let text = explain(&[]);
    for part in [
        "a change of shop.country as k re-evaluates the rows of shop.customer as c with country = its code, and so the rows of shop.orders as o with customer_id = their id",
        "shop.orders by (id): id, customer_id; found by (customer_id); ANALYZE has not counted its rows",
        "output   customer record or NULL",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("a row of shop.customer"), "{text}");
    assert!(text.contains("a row of shop.line as l is in one record at most"), "{text}");
    bench.sql(
        "INSERT INTO shop.country VALUES ('at', 'Austria'), ('de', 'Germany');
         INSERT INTO shop.customer SELECT i, CASE WHEN i % 10 = 0 THEN 'at' ELSE 'de' END, 'n' FROM generate_series(1, 100) i;
         INSERT INTO shop.orders SELECT i, CASE WHEN i % 2 = 0 THEN 1 ELSE i / 2 % 100 + 1 END FROM generate_series(1, 20000) i;
         ANALYZE shop.country, shop.customer, shop.orders",
    );
    let text = explain(&["--live"]);
    // 20,000 orders of 100 customers; one has more than half of them.
    assert!(text.contains("a row of shop.customer as c is in about 200 records, at most in about 10,"), "{text}");
    assert!(text.contains("about 20,000 rows"), "{text}");
    let document: Value = serde_json::from_str(&explain(&["--live", "--json"])).unwrap();
    let touched = |alias: &str| {
        let all = document["touches"].as_array().unwrap().iter();
        all.clone().find(|t| t["alias"] == alias).unwrap_or_else(|| panic!("{document}")).clone()
    };
    assert_eq!(touched("c")["records"], json!(200.0));
    assert_eq!(touched("l")["records"], json!(1.0));
    // 90 customers in Germany, 200 orders of each; or 50 customers of a country, and one with half of the orders.
    assert_eq!(touched("k")["records"], json!(10_000.0));
    assert_eq!(touched("k")["way"][1], json!({"table": "shop.orders", "by": ["customer_id"]}));
    let kept = document["kept"].as_array().unwrap();
    let lines = kept.iter().find(|k| k["table"] == "shop.line").unwrap();
    // Lines of an order stand together by their identity, which begins with it.
    assert_eq!((&lines["indexes"], &lines["rows"]), (&json!([]), &Value::Null));
    let orders = kept.iter().find(|k| k["table"] == "shop.orders").unwrap();
    assert_eq!(orders["indexes"], json!([["customer_id"]]));
    assert_eq!(
        document["outputs"][2]["items"]["fields"][0],
        json!({"name": "no", "type": "integer", "nullable": false})
    );
}

#[test]
fn a_dangerous_fan_out_is_a_warning_of_the_live_check() {
    let bench = joined("explain_danger");
    bench.sql(
        "INSERT INTO shop.country VALUES ('de', 'Germany');
         INSERT INTO shop.customer SELECT i, 'de', 'n' FROM generate_series(1, 1000) i;
         INSERT INTO shop.orders SELECT i, i % 1000 + 1 FROM generate_series(1, 130000) i;
         ANALYZE shop.country, shop.customer, shop.orders",
    );
    let output = bench.project.output(&["check", "--live", "--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let warnings: Vec<&Value> =
        document["findings"].as_array().unwrap().iter().filter(|f| f["code"] == "PGS4083").collect();
    assert_eq!(warnings.len(), 1, "{document}");
    let message = warnings[0]["message"].as_str().unwrap();
    assert!(message.contains("one row of shop.country as k can re-evaluate about 130,000 records"), "{message}");
    assert_eq!(warnings[0]["severity"], "warning");
}
