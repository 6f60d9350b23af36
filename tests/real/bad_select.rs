//! What `check` says of SELECTs over several tables that cannot be, or may not be, what their owner means: the code, the
//! place, the words, the fix.

use serde_json::Value;

use crate::cli::{Bench, errors, findings};
use crate::support::*;

const TABLES: &str = "CREATE TABLE shop.customer (id bigint PRIMARY KEY, name text NOT NULL, email text);
    CREATE TABLE shop.ord (id bigint PRIMARY KEY, customer_id bigint, status text NOT NULL);
    CREATE TABLE shop.line (order_id bigint, line_no int, sku text, unit_price numeric(10, 2), code text UNIQUE,
                            PRIMARY KEY (order_id, line_no))";

struct Case {
    name: &'static str,
    select: &'static str,
    /// Of the contract, behind `id`.
    field: &'static str,
    code: &'static str,
    /// `file:line:column`
    at: &'static str,
    says: &'static str,
    help: &'static str,
}

const NAME: &str = r#"{"name": "name", "type": ["null", "string"], "default": null}"#;
const LINES: &str = r#"{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "L", "fields": [
    {"name": "sku", "type": ["null", "string"]},
    {"name": "unit_price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}}]}}}"#;

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case {
        name: "a join without equality", field: NAME, code: "PGS1014", at: "x.sql:6:6",
        select: "SELECT o.id, c.name FROM shop.ord AS o\nJOIN shop.customer AS c ON c.id > o.customer_id",
        says: "no column of c is equated with one of an earlier table", help: "write ON c.column = earlier.column",
    },
    Case {
        name: "a cross join", field: NAME, code: "PGS1014", at: "x.sql:5:40",
        select: "SELECT o.id, c.name FROM shop.ord AS o CROSS JOIN shop.customer AS c",
        says: "CROSS JOIN", help: "JOIN … ON a.column = b.column",
    },
    Case {
        name: "an ambiguous column", field: NAME, code: "PGS1025", at: "x.sql:5:8",
        select: "SELECT id, c.name FROM shop.ord AS o JOIN shop.customer AS c ON c.id = o.customer_id",
        says: "column reference \"id\" is ambiguous", help: "write o.id or c.id",
    },
    Case {
        name: "an ambiguous column in ON", field: NAME, code: "PGS1025", at: "x.sql:5:67",
        select: "SELECT o.id, c.name FROM shop.ord AS o JOIN shop.customer AS c ON id = o.customer_id",
        says: "column reference \"id\" is ambiguous", help: "write o.id or c.id",
    },
    Case {
        name: "a subquery that nothing correlates", field: NAME, code: "PGS1015", at: "x.sql:5:37",
        select: "SELECT o.id, (SELECT max(name) FROM shop.customer) AS name FROM shop.ord AS o",
        says: "not correlated: no column of customer is equated with one outside of it", help: "WHERE customer.column = outer.column",
    },
    Case {
        name: "a type that does not fit, within a list", field: LINES, code: "PGS2013", at: "x.avsc:4:14",
        select: "SELECT o.id, ARRAY(SELECT jsonb_build_object('sku', l.sku, 'unit_price', coalesce(l.sku, '')) FROM shop.line AS l \
                 WHERE l.order_id = o.id ORDER BY l.line_no) AS lines FROM shop.ord AS o",
        says: "lines[].unit_price is text", help: "the output is at",
    },
    Case {
        name: "null within a list", field: LINES, code: "PGS2012", at: "x.avsc:4:14",
        select: "SELECT o.id, ARRAY(SELECT jsonb_build_object('sku', l.sku, 'unit_price', l.unit_price) FROM shop.line AS l \
                 WHERE l.order_id = o.id ORDER BY l.line_no) AS lines FROM shop.ord AS o",
        says: "lines[].unit_price may be NULL", help: "put \"lines[].unit_price\" into not_null",
    },
    Case {
        name: "the nullable side of a LEFT JOIN", field: r#"{"name": "name", "type": "string"}"#, code: "PGS2012", at: "x.avsc:2:10",
        select: "SELECT o.id, c.name FROM shop.ord AS o LEFT JOIN shop.customer AS c ON c.id = o.customer_id",
        says: "name may be NULL", help: "COALESCE",
    },
    Case {
        name: "a scalar subquery of no row", field: r#"{"name": "name", "type": "string"}"#, code: "PGS2012", at: "x.avsc:2:10",
        select: "SELECT o.id, (SELECT c.name FROM shop.customer AS c WHERE c.id = o.customer_id) AS name FROM shop.ord AS o",
        says: "name may be NULL", help: "COALESCE",
    },
    Case {
        name: "recursion", field: NAME, code: "PGS1012", at: "x.sql:5:6",
        select: "WITH RECURSIVE r AS (SELECT 1 AS a) SELECT o.id, o.status AS name FROM shop.ord AS o",
        says: "WITH RECURSIVE", help: "store the path in a column",
    },
    Case {
        name: "a window", field: NAME, code: "PGS1012", at: "x.sql:5:27",
        select: "SELECT o.id, row_number() OVER (ORDER BY o.id) AS name FROM shop.ord AS o",
        says: "window functions", help: "a correlated subquery may count or rank",
    },
    Case {
        name: "a set operation", field: NAME, code: "PGS1012", at: "x.sql:5:50",
        select: "SELECT o.id, o.status AS name FROM shop.ord AS o UNION ALL SELECT c.id, c.name FROM shop.customer AS c",
        says: "set operations", help: "one transform for each SELECT",
    },
    Case {
        name: "groups outermost", field: NAME, code: "PGS1012", at: "x.sql:5:59",
        select: "SELECT o.id, count(*) AS name FROM shop.ord AS o GROUP BY o.id",
        says: "GROUP BY", help: "the aggregates correlated subqueries",
    },
    Case {
        name: "a key that is not the root's", field: NAME, code: "PGS1041", at: "x.sql:3:7",
        select: "SELECT o.customer_id AS id, c.name FROM shop.ord AS o JOIN shop.customer AS c ON c.id = o.customer_id",
        says: "not unique for the rows of shop.ord", help: "ord_pkey (id)",
    },
    Case {
        name: "a join that multiplies", field: NAME, code: "PGS1044", at: "x.sql:3:7",
        select: "SELECT o.id, l.sku AS name FROM shop.ord AS o JOIN shop.line AS l ON l.order_id = o.id",
        says: "no unique key proves that a row of shop.ord joins one row at most: l.line_no can differ", help: "ARRAY(SELECT …)",
    },
    Case {
        name: "an order that is not total", field: r#"{"name": "skus", "type": {"type": "array", "items": ["null", "string"]}}"#,
        code: "PGS1045", at: "x.sql:5:20",
        select: "SELECT o.id, ARRAY(SELECT l.sku FROM shop.line AS l WHERE l.order_id = o.id ORDER BY l.code) AS skus FROM shop.ord AS o",
        says: "no order of their own", help: "add l.line_no to the ORDER BY",
    },
];

#[test]
fn each_has_its_code_place_words_and_fix() {
    let bench = Bench::empty("bad_select", "");
    bench.sql(TABLES);
    // The tables that a file names are those that are pulled.
    let all = "SELECT o.id, c.name FROM shop.ord AS o JOIN shop.customer AS c ON c.id = o.customer_id JOIN shop.line AS l ON l.order_id = o.id";
    bench.project.transform("x", &text(&bench, all), &contract(NAME));
    assert_eq!(bench.project.output(&["schema", "pull"]).status.code(), Some(0));
    for case in CASES {
        bench.project.transform("x", &text(&bench, case.select), &contract(case.field));
        let (code, found) = findings(&bench.project, &["check"]);
        let warning = ["PGS1044", "PGS1045"].contains(&case.code);
        let name = case.name;
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        assert_eq!((code, found[0]["code"].as_str()), (i32::from(!warning), Some(case.code)), "{name}: {found:#?}");
        assert_eq!(errors(&found).is_empty(), warning, "{name}");
        let field = |name: &str| match &found[0][name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let at = format!("{}:{}:{}", field("file"), field("line"), field("column"));
        assert!(at.ends_with(case.at), "{name}: {at}, not {}", case.at);
        assert!(field("message").contains(case.says), "{name}: {}", field("message"));
        assert!(field("help").contains(case.help), "{name}: {}", field("help"));
    }
}

fn text(bench: &Bench, select: &str) -> String {
    format!("/* pgspine\ntopic = \"{}.x\"\nkey = [\"id\"]\n*/\n{select}", bench.project.name)
}

fn contract(field: &str) -> String {
    format!(
        "{{\"type\": \"record\", \"name\": \"X\", \"fields\": [{{\"name\": \"id\", \"type\": \"long\"}},\n{field}]}}"
    )
}

/// What no unique key disproves is found when it happens.
#[test]
fn a_second_row_for_one_key_is_a_row_error() {
    let bench = Bench::empty("bad_multiplies", "");
    bench.sql(TABLES);
    bench.sql("INSERT INTO shop.ord VALUES (1, NULL, 'paid'), (2, NULL, 'paid'); INSERT INTO shop.line (order_id, line_no, sku) VALUES (1, 1, 'a'), (2, 1, 'b')");
    let select = "SELECT o.id, l.sku AS name FROM shop.ord AS o JOIN shop.line AS l ON l.order_id = o.id";
    bench.project.transform("x", &text(&bench, select), &contract(NAME));
    let mut process = bench.project.spawn(&["run"], &[]);
    process.until_log("the warning", std::time::Duration::from_secs(60), |log| log.contains("PGS1044"));
    process.until_log("the reconcile", std::time::Duration::from_secs(60), |log| log.contains("\"upserts\":2"));
    bench.sql("INSERT INTO shop.line (order_id, line_no, sku) VALUES (2, 2, 'c')");
    assert_eq!(process.code(std::time::Duration::from_secs(60)), 6, "{}", process.log());
    let log = process.log();
    assert!(log.contains("PGS2105") && log.contains("{\\\"id\\\":2}: ") && log.contains("a second row"), "{log}");
    assert_eq!(read_topic(&format!("{}.x", bench.project.name)).len(), 2);
}
