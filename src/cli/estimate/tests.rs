//! Small statistics, by hand.

use super::*;
use crate::catalogue::Catalogue;
use crate::transform::{Plan, bind, parse::schema, source};
use std::path::Path;

const SCHEMA: &str = "-- pgspine server=15.18 collate=en_US.UTF-8 provider=libc\n\
    CREATE TABLE shop.orders (\n  id bigint NOT NULL,\n  customer_id bigint,\n  CONSTRAINT orders_pkey PRIMARY KEY (id)\n);\n\
    CREATE TABLE shop.customers (\n  id bigint NOT NULL,\n  country text,\n  CONSTRAINT customers_pkey PRIMARY KEY (id)\n);\n\
    CREATE TABLE shop.countries (\n  code text NOT NULL,\n  name text NOT NULL,\n  CONSTRAINT countries_pkey PRIMARY KEY (code)\n);\n\
    SET search_path = shop;\n";

fn plan() -> (Plan, Catalogue) {
    let text = "/* pgspine\ntopic = \"t\"\nkey = [\"id\"]\n*/\nSELECT o.id, k.name FROM orders AS o \
        JOIN customers AS c ON c.id = o.customer_id JOIN countries AS k ON k.code = c.country";
    let mut catalogue = schema::read(SCHEMA).unwrap();
    // A snapshot has no oids.
    for (i, table) in catalogue.tables.iter_mut().enumerate() {
        table.oid = i as u32 + 1;
    }
    let file = source::parse_text(Path::new("t"), Path::new("t/order.sql"), text.to_owned()).unwrap();
    (bind(&file, &catalogue).unwrap(), catalogue)
}

fn column(name: &str, distinct: f64, hottest: Option<f64>) -> ColumnStatistics {
    ColumnStatistics { name: name.into(), null_share: 0.5, width: 8.0, distinct, hottest }
}

fn table(oid: u32, rows: f64, columns: Vec<ColumnStatistics>) -> TableStatistics {
    TableStatistics { oid, rows: Some(rows), columns }
}

#[test]
fn the_fan_out_is_the_product_along_the_way() {
    let (plan, catalogue) = plan();
    let explained = Explained::of(&plan);
    let tables: Vec<&Table> = catalogue.tables.iter().collect();
    let fan_out = |statistics: &[TableStatistics], alias: &str| {
        let source = plan.sources.iter().position(|s| s.alias == alias).unwrap() as u16;
        Estimate::new(&explained, &tables, statistics).fan_out(source)
    };
    let orders = table(1, 1e6, vec![column("customer_id", -0.01, Some(0.001))]);
    let customers = table(2, 1e5, vec![column("country", 50.0, Some(0.3))]);
    let both = [orders.clone(), customers];
    // Half of the orders have a customer, one of 10,000; a thousandth has the same one.
    assert_eq!(fan_out(&both, "c"), Some(FanOut { mean: 50.0, most: 1000.0 }));
    // 1,000 customers of a country, or 30,000; of each 50 orders, or 1,000 of one of them.
    assert_eq!(fan_out(&both, "k"), Some(FanOut { mean: 50_000.0, most: 1e6 }));
    assert_eq!(fan_out(&[orders], "k"), None);
    assert_eq!(fan_out(&both, "o").map(|f| f.mean), Some(1.0));
    // A column without statistics may have one value throughout.
    assert_eq!(fan_out(&[table(1, 1e6, vec![])], "c"), Some(FanOut { mean: 1e6, most: 1e6 }));
}

#[test]
fn sizes_count_keys_columns_and_indexes() {
    let (plan, catalogue) = plan();
    let explained = Explained::of(&plan);
    let tables: Vec<&Table> = catalogue.tables.iter().collect();
    let statistics = [table(1, 1000.0, vec![column("customer_id", -0.5, None)])];
    let estimate = Estimate::new(&explained, &tables, &statistics);
    let size = estimate.size(0, &["id"], &["id", "customer_id"], &[vec!["customer_id"]]).unwrap();
    // id 17 (never measured), customer_id 8 in half of the rows and its length: key, image and entry; key, index and entry.
    assert_eq!(size, Size { rows: 1000.0, bytes: 1000.0 * ((17.0 + 17.0 + 5.0 + 12.0) + (5.0 + 17.0 + 12.0)) });
    assert_eq!(estimate.size(1, &["id"], &["id"], &[]), None);
}

#[test]
fn numbers_promise_three_digits() {
    for (n, text) in [(0.0, "0"), (1.0, "1"), (999.4, "999"), (1_234_567.0, "1,230,000"), (99_999.0, "100,000")] {
        assert_eq!(about(n), text);
    }
    for (n, text) in [(12.0, "12 bytes"), (1_500.0, "1.5 KB"), (84_000_000.0, "84 MB"), (2.5e15, "2500 TB")] {
        assert_eq!(bytes(n), text);
    }
}
