//! Transforms against a small catalogue: what is found, and what the plan says.

use std::path::Path;

use super::bind;
use crate::catalogue::Catalogue;
use crate::transform::parse::schema;
use crate::transform::source;

const SCHEMA: &str = "-- pgspine server=15.18 collate=en_US.UTF-8 provider=libc\n\
    CREATE TYPE shop.status AS ENUM ('new', 'paid');\n\
    CREATE TABLE shop.orders (\n  id bigint NOT NULL,\n  status shop.status NOT NULL,\n  code text,\n  total numeric(12,2),\n\
    placed_at timestamptz NOT NULL,\n  twice bigint GENERATED ALWAYS AS ((id * 2)) STORED,\n\
    CONSTRAINT orders_pkey PRIMARY KEY (id),\n  CONSTRAINT orders_code UNIQUE (code)\n);\n\
    SET search_path = public, shop;\n";

fn catalogue() -> Catalogue {
    schema::read(SCHEMA).unwrap()
}

fn findings(header: &str, select: &str) -> Vec<String> {
    let text = format!("/* pgspine\ntopic = \"t\"\n{header}\n*/\n{select}");
    let bound = source::parse_text(Path::new("transforms"), Path::new("transforms/shop/order.sql"), text)
        .and_then(|file| bind(&file, &catalogue()));
    match bound {
        Ok(_) => vec![],
        Err(found) => {
            found.iter().map(|d| format!("{} {} | {}", d.code, d.message, d.help.as_deref().unwrap_or(""))).collect()
        }
    }
}

fn check(select: &str, expected: &str) {
    let found = findings("key = [\"id\"]", select).join("\n");
    if expected.is_empty() {
        assert_eq!(found, "", "{select}");
    } else {
        assert!(found.starts_with(expected), "{select}\n{found}");
    }
}

#[test]
fn every_refusal_has_its_code_and_its_help() {
    for (select, expected) in [
        ("SELECT id FROM shop.orders", ""),
        ("SELECT id FROM orders AS o WHERE o.status = 'paid'", ""),
        ("SELECT id FROM shop.order", "PGS1020 relation \"shop.order\" does not exist | did you mean shop.orders?"),
        ("SELECT id, statsu FROM orders", "PGS1021 shop.orders has no column statsu | did you mean status?"),
        (
            "SELECT orders.id FROM orders o",
            "PGS1020 missing FROM-clause entry for table \"orders\" | the root is called o",
        ),
        ("SELECT id, orders AS o FROM orders", "PGS1023 orders is the whole row here"),
        ("SELECT id, ctid FROM orders", "PGS1023 ctid is a system column"),
        ("SELECT id, twice FROM orders", "PGS1023 twice is a generated column"),
        ("SELECT id, id + 1 FROM orders", "PGS1024 this output has no name"),
        ("SELECT id, code AS id FROM orders", "PGS1024 two outputs are called id"),
        ("SELECT id, now() AS n FROM orders", "PGS1033 now() answers differently"),
        ("SELECT id, uper(code) AS n FROM orders", "PGS1031 the function uper is not supported | did you mean upper?"),
        (
            "SELECT id FROM orders WHERE status = 'pad'",
            "PGS1035 invalid input value for enum shop.status: \"pad\" | did you mean 'paid'?",
        ),
        ("SELECT id FROM orders WHERE id = 'x'", "PGS1035 invalid input syntax for type bigint: \"x\""),
        ("SELECT id FROM orders WHERE id", "PGS1034 argument of WHERE must be type boolean, not type bigint"),
        ("SELECT id FROM orders WHERE code = 1", "PGS1034 operator does not exist: text = integer"),
        ("SELECT id, 1/0 AS x FROM orders", "PGS1035 this constant fails always: division by zero"),
        (
            "SELECT id, ('\\x00'::bytea)::text::uuid AS x FROM orders",
            "PGS1035 this constant fails always: invalid input syntax for type uuid",
        ),
        ("SELECT id, CASE WHEN false THEN 1/0 ELSE 1 END AS x FROM orders", ""),
        (
            "SELECT id FROM orders WHERE code < 'b'",
            "PGS1036 the order of text follows the database's collation en_US.UTF-8",
        ),
        ("SELECT id FROM orders WHERE code COLLATE \"C\" < 'b'", ""),
        ("SELECT id, to_char(placed_at, 'YYYY-MM-DD\"T\"HH24') AS t FROM orders", ""),
        (
            "SELECT id, to_char(placed_at, 'TMMonth') AS t FROM orders",
            "PGS1032 TM in a pattern follows the server's locale | write the pattern without TM",
        ),
        ("SELECT id, to_char(total, '9G999') AS t FROM orders", "PGS1032 G in a pattern follows the server's locale"),
        (
            "SELECT id, to_char(placed_at, code) AS t FROM orders",
            "PGS1032 to_char is exact for some of its patterns only | write that argument as a constant",
        ),
        ("SELECT id, placed_at AT TIME ZONE 'UTC' AS t FROM orders", ""),
        ("SELECT id, placed_at AT TIME ZONE INTERVAL '02:00' AS t FROM orders", ""),
        (
            "SELECT id, placed_at AT TIME ZONE 'Europe/Prague' AS t FROM orders",
            "PGS1032 the rules of a named time zone change without a change of any row | write AT TIME ZONE 'UTC'",
        ),
        ("SELECT id FROM orders WHERE code ~ '^[0-9]+$'", ""),
        (
            "SELECT id FROM orders WHERE code ~ '^\\d+$'",
            "PGS1032 \\d, which follows the server's locale, in a regular expression is not computed | write [0-9]",
        ),
        ("SELECT id, regexp_replace(code, '[^0-9]', '', 'g') AS t FROM orders", ""),
        (
            "SELECT id, regexp_replace(code, '(a|b)', '') AS t FROM orders",
            "PGS1032 what this regular expression finds differs between engines | use one without |",
        ),
        ("SELECT id, format('%I', code) AS t FROM orders", "PGS1032 %I is not computed"),
        ("SELECT id, to_date(code, 'DD.MM.YYYY') AS t FROM orders", ""),
        ("SELECT id, to_date(code, 'DD Mon YYYY') AS t FROM orders", "PGS1032 only patterns of YYYY"),
        ("SELECT id, code::date AS t FROM orders", ""),
        ("SELECT id, CASE WHEN false THEN to_char(total, 'L') END AS t FROM orders", ""),
        ("SELECT id FROM orders WHERE code = 'b'", ""),
        ("SELECT code FROM orders", "PGS1040 the key column id is no output of the SELECT | the outputs are code"),
        ("SELECT id + 1 AS id FROM orders", "PGS1041 the key (id) is not unique for the rows of shop.orders"),
        ("SELECT code AS id FROM orders", "PGS1042 the key column id can be NULL"),
        ("SELECT code AS id FROM orders WHERE code IS NOT NULL", ""),
        ("SELECT code AS id FROM orders WHERE code LIKE 'a%'", ""),
        ("SELECT code AS id FROM orders WHERE code LIKE 'a%' OR id > 1", "PGS1042"),
    ] {
        check(select, expected);
    }
}

#[test]
fn headers_are_checked_key_by_key() {
    for (header, expected) in [
        ("key = [\"id\"]\nknd = \"entity\"", "PGS1002 the header has no key knd | did you mean kind?"),
        ("key = []", "PGS1003 the key is empty"),
        ("key = [\"id\", \"id\"]", "PGS1003 the key names id twice"),
        ("key = [\"id\"]\nmax_record = \"many\"", "PGS1003 max_record is no size"),
        ("key = [\"id\"]\nbackfill = true", "PGS1003 backfill is for kind = \"event\""),
        ("key = [\"id\"]\nkind = \"event\"", ""),
        ("key = [\"id\"]\nkind = \"event\"\nevent_id = \"code\"", "PGS1008 event_id names code, which is no output"),
        ("key = [\"id\"]\nkind = \"event\"\nevent_id = \"id\"", "PGS1008 event_id names id, which is a key column"),
        ("key = [\"id\"]\nkind = \"event\"\non_gap = \"replay\"", "PGS1003 on_gap = \"replay\" needs event_id"),
        ("key = [\"id\"]\nkey_format = \"json\"", "PGS1001"),
        ("key = \"id\"", "PGS1001"),
        ("", "PGS1001 the header: missing field `key`"),
        ("key = [\"id\"]\nnot_null = [\"nope\"]", "PGS1043 not_null names nope"),
        ("key = [\"id\"]\nmax_record = \"2MiB\"\n[topic_config]\n\"delete.retention.ms\" = 5", ""),
    ] {
        let found = findings(header, "SELECT id FROM orders").join("\n");
        assert!(if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) }, "{header}\n{found}");
    }
}

#[test]
fn an_event_s_key_need_not_be_unique_but_its_id_is_never_null() {
    let event = |rest: &str, select: &str| findings(&format!("key = [\"status\"]\nkind = \"event\"\n{rest}"), select);
    assert_eq!(event("", "SELECT status FROM orders"), [""; 0]);
    assert_eq!(event("event_id = \"id\"", "SELECT status, id FROM orders"), [""; 0]);
    assert_eq!(event("event_id = \"code\"\nnot_null = [\"code\"]", "SELECT status, code FROM orders"), [""; 0]);
    let found = event("event_id = \"code\"", "SELECT status, code FROM orders");
    assert!(found[0].starts_with("PGS1008 the event_id code can be NULL"), "{found:?}");
    let found = event("event_id = \"r\"", "SELECT status, jsonb_build_object('a', id) AS r FROM orders");
    assert!(found[0].starts_with("PGS1008 the event_id r is no plain value"), "{found:?}");
    let found = findings("key = [\"code\"]\nkind = \"event\"", "SELECT code FROM orders");
    assert!(found[0].starts_with("PGS1042"), "{found:?}");
    assert!(findings("key = [\"status\"]", "SELECT status FROM orders")[0].starts_with("PGS1041"));
}

/// What the check says of an order that leaves rows open.
#[test]
fn an_open_order_is_told_with_the_column_that_closes_it() {
    let warned = |output: &str| {
        let select = format!("SELECT o.id, {output} AS x FROM orders o");
        let text = format!("/* pgspine\ntopic = \"t\"\nkey = [\"id\"]\n*/\n{select}");
        let file = source::parse_text(Path::new("transforms"), Path::new("transforms/shop/order.sql"), text).unwrap();
        let (_, warnings) = super::bind_with_warnings(&file, &catalogue()).unwrap();
        warnings
            .iter()
            .map(|w| format!("{} {}", w.code, w.help.as_deref().unwrap_or("")))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let of = |order: &str| format!("ARRAY(SELECT p.code FROM orders p WHERE p.status = o.status ORDER BY {order})");
    let agg = |call: &str| format!("(SELECT {call} FROM orders p WHERE p.status = o.status)");
    for open in [
        of("p.placed_at"),
        of("1 + 1"),
        // Unique, and yet several rows may have NULL there.
        "ARRAY(SELECT p.total FROM orders p WHERE p.status = o.status ORDER BY p.code COLLATE \"C\")".to_owned(),
        agg("string_agg(p.code, ',' ORDER BY p.placed_at)"),
        agg("array_agg(p.code ORDER BY 1)"),
    ] {
        assert!(warned(&open).starts_with("PGS1045 add p.id to the ORDER BY"), "{open}: {}", warned(&open));
    }
    let without = "ARRAY(SELECT p.code FROM orders p WHERE p.status = o.status)";
    assert!(warned(without).starts_with("PGS1045 add one that ends with a unique column"), "{}", warned(without));
    for closed in [
        of("p.placed_at, p.id"),
        // Rows with one value look alike.
        "ARRAY(SELECT p.placed_at FROM orders p WHERE p.status = o.status ORDER BY p.placed_at)".to_owned(),
        agg("string_agg(p.placed_at::text, ',' ORDER BY p.placed_at::text COLLATE \"C\", p.id)"),
        agg("array_agg(p.id ORDER BY p.id)"),
        agg("count(p.code)"),
    ] {
        assert_eq!(warned(&closed), "", "{closed}");
    }
}

#[test]
fn several_findings_come_at_once() {
    let found = findings("key = [\"id\"]", "SELECT id, a, b FROM orders WHERE c = 1");
    assert_eq!(found.iter().filter(|f| f.starts_with("PGS1021")).count(), 3, "{found:?}");
}

#[test]
fn a_plan_reads_only_what_it_uses() {
    let text = "/* pgspine\ntopic = \"t\"\nkey = [\"id\"]\n*/\nSELECT id, jsonb_build_object('at', placed_at) AS r FROM orders WHERE total > 1";
    let file =
        source::parse_text(Path::new("transforms"), Path::new("transforms/shop/order.sql"), text.into()).unwrap();
    let plan = bind(&file, &catalogue()).unwrap();
    let names: Vec<_> = plan.sources[0].columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        (names, plan.key.as_slice(), file.name.as_str()),
        (vec!["id", "total", "placed_at"], &[0][..], "shop/order")
    );
}

/// `docs/sql.md` lists what there is; on a difference the message has the line to put there.
#[test]
fn the_list_of_functions_in_the_docs_is_complete() {
    use crate::transform::function::{Kind, signatures};
    let listed = |kind: fn(&Kind) -> bool| {
        let mut names: Vec<&str> =
            signatures::implemented().filter(|f| f.eval.is_ok() && kind(&f.kind)).map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        names.iter().map(|n| format!("`` {n} ``")).collect::<Vec<_>>().join(" ")
    };
    let expected = format!(
        "<!-- functions: kept by a test -->\n{}\n\n## Operators\n{}\n",
        listed(|k| *k == Kind::Function),
        listed(|k| *k == Kind::Operator)
    );
    let page = include_str!("../../../docs/sql.md");
    assert!(page.contains(&expected), "docs/sql.md should end with:\n{expected}");
}
