//! What the grammar makes of a text: trees with every parenthesis, and refusals with their code.

use super::{expression, select};

fn check(input: &str, expected: &str) {
    let got = match expression(input) {
        Ok(node) => node.to_string(),
        Err(e) => format!("{} {} at {}..{}", e.code, e.message, e.span.start, e.span.end),
    };
    assert_eq!(got, expected, "{input}");
}

#[test]
fn precedence_is_postgresqls() {
    for (input, expected) in [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("-2 ^ 2", "((-2) ^ 2)"),
        ("- a ^ 2", "((- \"a\") ^ 2)"),
        ("2 ^ 3 ^ 2", "((2 ^ 3) ^ 2)"),
        ("-5::int2", "(- CAST(5 AS \"int2\"))"),
        ("not a = b and c", "((NOT (\"a\" = \"b\")) AND \"c\")"),
        ("a = b is null", "((\"a\" = \"b\") IS NULL)"),
        ("a || b + c", "(\"a\" || (\"b\" + \"c\"))"),
        ("a || b < c", "((\"a\" || \"b\") < \"c\")"),
        ("a between 1 and 2 and b", "((\"a\" BETWEEN 1 AND 2) AND \"b\")"),
        ("a like b || c escape '!'", "(\"a\" ~~ \"pg_catalog\".\"like_escape\"((\"b\" || \"c\"), '!'))"),
        ("a is distinct from b and c", "((\"a\" IS DISTINCT FROM \"b\") AND \"c\")"),
        ("1 is null is null", "((1 IS NULL) IS NULL)"),
        ("x in (1, 2) = true", "((\"x\" IN (1, 2)) = true)"),
        (
            "a at time zone 'UTC' at time zone b",
            "\"pg_catalog\".\"timezone\"(\"b\", \"pg_catalog\".\"timezone\"('UTC', \"a\"))",
        ),
        ("trim(both 'x' from a)", "\"pg_catalog\".\"btrim\"(\"a\", 'x')"),
        ("substring(a from 2 for 3)", "\"pg_catalog\".\"substring\"(\"a\", 2, 3)"),
        ("extract(year from d)", "\"pg_catalog\".\"extract\"('year', \"d\")"),
        ("date '2026-01-01'", "CAST('2026-01-01' AS \"date\")"),
        ("numeric(5,2) '1.5'", "CAST('1.5' AS \"numeric\"(5, 2))"),
        ("left(a, 2)", "\"left\"(\"a\", 2)"),
        ("@ -1 || b", "((@ (-1)) || \"b\")"),
    ] {
        check(input, expected);
    }
}

#[test]
fn what_postgresql_refuses_is_refused() {
    for (input, expected) in [
        ("a < b < c", "PGS1010 syntax error at or near \"<\" at 6..7"),
        ("a like b like c", "PGS1010 syntax error at or near \"like\" at 9..13"),
        ("1a", "PGS1010 trailing junk after a number at 0..2"),
        ("position('a', 'b')", "PGS1010 syntax error at or near \",\" at 12..13"),
        ("'abc", "PGS1010 this string does not end at 0..1"),
        ("now(", "PGS1010 syntax error at end of input at 4..4"),
        ("current_date", "PGS1033 current_date answers differently from one moment or session to the next at 0..12"),
        ("user", "PGS1033 user answers differently from one moment or session to the next at 0..4"),
        ("$1", "PGS1010 a transform has no parameters at 0..2"),
        ("a ^- 1", "(\"a\" ^- 1)"),
    ] {
        check(input, expected);
    }
}

#[test]
fn every_refused_clause_has_its_name() {
    for (input, expected) in [
        ("SELECT * FROM t", "PGS1013 * is not supported in a transform: a new column would change the contract"),
        ("SELECT t.* FROM t", "PGS1013 * is not supported in a transform: a new column would change the contract"),
        ("SELECT DISTINCT a FROM t", "PGS1012 DISTINCT is not supported in a transform"),
        ("SELECT a FROM t ORDER BY a", "PGS1012 ORDER BY is not supported in a transform"),
        ("SELECT a FROM t LIMIT 1", "PGS1012 LIMIT is not supported in a transform"),
        ("SELECT a FROM t FETCH FIRST ROW ONLY", "PGS1012 FETCH is not supported in a transform"),
        ("SELECT a FROM t FOR UPDATE", "PGS1012 FOR UPDATE and FOR SHARE are not supported in a transform"),
        ("SELECT a FROM t UNION SELECT 1", "PGS1012 set operations are not supported in a transform"),
        ("SELECT rank() OVER (ORDER BY a) FROM t", "PGS1012 window functions are not supported in a transform"),
        ("SELECT a FROM t; SELECT b FROM t", "PGS1011 a second statement in one transform"),
        ("", "PGS1011 there is no SELECT in this file"),
        ("UPDATE t SET a = 1", "PGS1011 a transform is one SELECT"),
        ("SELECT 1", "PGS1011 this SELECT has no FROM"),
    ] {
        let got = select(input, 0).map_or_else(|e| format!("{} {}", e.code, e.message), |_| "accepted".into());
        assert_eq!(got, expected, "{input}");
    }
    assert!(select("SELECT a b, \"C d\" AS e FROM s.t AS x WHERE a > 1;", 0).is_ok());
}

#[test]
fn no_cut_of_a_statement_panics() {
    let text =
        "SELECT extract(year FROM d) é, E'\\u00e9' || $a$x$a$, a::numeric(3,1)[] FROM s.\"T\" WHERE a NOT IN (1, -2);";
    for (end, _) in text.char_indices() {
        let _ = select(&text[..end], 0);
    }
}
