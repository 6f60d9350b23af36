//! The words for a whole order stand in `order.txt`.

use std::path::Path;

use super::*;
use crate::catalogue::Catalogue;
use crate::transform::{bind, parse::schema, source};

const SCHEMA: &str = "-- pgspine server=15.18 collate=en_US.UTF-8 provider=libc\n\
    CREATE TABLE shop.orders (\n  id bigint NOT NULL,\n  customer_id bigint,\n  status text NOT NULL,\n\
    CONSTRAINT orders_pkey PRIMARY KEY (id)\n);\n\
    CREATE TABLE shop.customers (\n  id bigint NOT NULL,\n  country text,\n  name text NOT NULL,\n\
    CONSTRAINT customers_pkey PRIMARY KEY (id)\n);\n\
    CREATE TABLE shop.lines (\n  order_id bigint NOT NULL,\n  line_no integer NOT NULL,\n  sku text,\n\
    CONSTRAINT lines_pkey PRIMARY KEY (order_id, line_no)\n);\n\
    CREATE TABLE shop.products (\n  sku text NOT NULL,\n  name text NOT NULL,\n  CONSTRAINT products_pkey PRIMARY KEY (sku)\n);\n\
    CREATE TABLE shop.blocked (\n  customer_id bigint NOT NULL,\n  why text\n);\n\
    SET search_path = shop;\n";

const SELECT: &str = "SELECT o.id, c.name, \
    ARRAY(SELECT jsonb_build_object('no', l.line_no, 'name', p.name) FROM lines AS l JOIN products AS p ON p.sku = l.sku \
          WHERE l.order_id = o.id ORDER BY l.line_no) AS lines, \
    (SELECT jsonb_build_object('why', b.why) FROM blocked AS b WHERE b.customer_id = c.id) AS blocked \
    FROM orders AS o LEFT JOIN customers AS c ON c.id = o.customer_id \
    WHERE EXISTS (SELECT 1 FROM lines AS any_line WHERE any_line.order_id = o.id)";

fn bound(select: &str) -> (Plan, Catalogue) {
    let text = format!("/* pgspine\ntopic = \"t\"\nkey = [\"id\"]\n*/\n{select}");
    let catalogue = schema::read(SCHEMA).unwrap();
    let file = source::parse_text(Path::new("transforms"), Path::new("transforms/shop/order.sql"), text).unwrap();
    (bind(&file, &catalogue).unwrap_or_else(|f| panic!("{f:?}")), catalogue)
}

#[test]
fn every_look_up_and_every_way_back_is_told() {
    let (plan, catalogue) = bound(SELECT);
    let root = catalogue.table(Some("shop"), "orders").unwrap();
    let explained = Explained::of(&plan);
    let text = explained.text(Some("EXISTS (…)"), root) + &explained.touches_text();
    assert_eq!(text, include_str!("order.txt"), "{text}");
}

#[test]
fn a_plan_over_one_table_has_no_look_ups() {
    let (plan, _) = bound("SELECT id FROM orders");
    let explained = Explained::of(&plan);
    assert_eq!((explained.lookups.len(), explained.way_back(0).len()), (0, 0));
    let text = explained.touches_text();
    assert!(text.contains("a change of shop.orders as orders re-evaluates its own record\n"), "{text}");
}
