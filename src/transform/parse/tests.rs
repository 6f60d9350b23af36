//! What the grammar makes of a text: trees with every parenthesis, and refusals with their code.

mod select;

use super::expression;

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
        ("a[1][b + 1]", "(\"a\")[1][(\"b\" + 1)]"),
        ("t.a[1]::text", "CAST((\"t\".\"a\")[1] AS \"text\")"),
        ("(ARRAY[1, a])[1]", "(ARRAY[1, \"a\"])[1]"),
        ("ARRAY[[1, 2], [3]]", "ARRAY[ARRAY[1, 2], ARRAY[3]]"),
        ("ARRAY[]::int[]", "CAST(ARRAY[] AS \"int4\"[])"),
        ("(a, 1 + 2) = row(b)", "(ROW(\"a\", (1 + 2)) = ROW(\"b\"))"),
        ("row()", "ROW()"),
        ("not a = any (b) and c", "((NOT (\"a\" = ANY (\"b\"))) AND \"c\")"),
        ("a + 1 <> some (b) is null", "(((\"a\" + 1) <> ANY (\"b\")) IS NULL)"),
        ("a like any (b)", "(\"a\" ~~ ANY (\"b\"))"),
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
        ("f(a)[1]", "PGS1010 syntax error at or near \"[\" at 4..5"),
        ("ARRAY[1][1]", "PGS1010 syntax error at or near \"[\" at 8..9"),
        ("(a, b)[1]", "PGS1010 syntax error at or near \"[\" at 6..7"),
        ("'a'[1]", "PGS1010 syntax error at or near \"[\" at 3..4"),
        ("a[1:2]", "PGS1012 array slices are not supported in a transform at 1..4"),
        ("a[:2]", "PGS1012 array slices are not supported in a transform at 1..3"),
        ("(a).b", "PGS1012 taking a field of a composite value is not supported in a transform at 3..4"),
        ("a[1].b", "PGS1012 taking a field of a composite value is not supported in a transform at 4..5"),
        ("(a[1])[2]", "PGS1012 a subscript of a subscript in parentheses is not supported in a transform at 6..7"),
        ("()", "PGS1010 syntax error at or near \")\" at 1..2"),
        ("ARRAY", "PGS1010 syntax error at end of input at 5..5"),
        ("ARRAY[[1], 2]", "PGS1010 syntax error at or near \"2\" at 11..12"),
        ("1 between 2 = any (a) and 3", "PGS1010 syntax error at or near \"any\" at 14..17"),
        ("a = b = any (c)", "PGS1010 syntax error at or near \"=\" at 6..7"),
    ] {
        check(input, expected);
    }
}
