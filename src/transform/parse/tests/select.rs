//! SELECTs: what each form becomes, and the refusals by name.

use crate::transform::parse::select;

/// The tree's print, or the refusal with the text that its caret stands under.
fn check(input: &str, expected: &str) {
    let got = match select(input, 0) {
        Ok(select) => select.to_string().replace('"', ""),
        Err(e) => {
            assert!(e.help.is_some(), "a refusal says what to write instead: {input}");
            format!("{} {} at <{}>", e.code, e.message, &input[e.span.start as usize..e.span.end as usize])
        }
    };
    assert_eq!(got, expected, "{input}");
}

#[test]
fn joins_and_derived_tables() {
    for (input, expected) in [
        ("SELECT a FROM t JOIN s.u AS x ON t.id = x.id", "SELECT a FROM t JOIN s.u AS x ON (t.id = x.id)"),
        ("SELECT a FROM t INNER JOIN u ON true", "SELECT a FROM t JOIN u ON true"),
        (
            "SELECT a FROM t LEFT OUTER JOIN u ON a = b AND c LEFT JOIN v ON true WHERE d",
            "SELECT a FROM t LEFT JOIN u ON ((a = b) AND c) LEFT JOIN v ON true WHERE d",
        ),
        ("SELECT a FROM t JOIN (SELECT b FROM u) x ON a = b", "SELECT a FROM t JOIN (SELECT b FROM u) AS x ON (a = b)"),
        (
            "SELECT a FROM t LEFT JOIN LATERAL ((SELECT b FROM u LIMIT 1)) AS x ON true",
            "SELECT a FROM t LEFT JOIN LATERAL (SELECT b FROM u LIMIT 1) AS x ON true",
        ),
        ("SELECT a FROM (SELECT a FROM t) x", "SELECT a FROM (SELECT a FROM t) AS x"),
        (
            "WITH x AS (SELECT a FROM t), y AS NOT MATERIALIZED (SELECT b FROM x) SELECT b FROM y",
            "WITH x AS (SELECT a FROM t), y AS (SELECT b FROM x) SELECT b FROM y",
        ),
        (
            "WITH recursive AS MATERIALIZED (SELECT a FROM t) SELECT a FROM recursive",
            "WITH recursive AS (SELECT a FROM t) SELECT a FROM recursive",
        ),
        (
            "SELECT t.a, count(*) FROM t JOIN u ON true GROUP BY ALL t.a, 1 HAVING max(b) > 1",
            "SELECT t.a, count(*) FROM t JOIN u ON true GROUP BY t.a, 1 HAVING (max(b) > 1)",
        ),
    ] {
        check(input, expected);
    }
}

#[test]
fn subqueries() {
    for (input, expected) in [
        ("SELECT (SELECT b FROM u) FROM t", "SELECT (SELECT b FROM u) FROM t"),
        ("SELECT (((SELECT b FROM u))) + 1 FROM t", "SELECT ((SELECT b FROM u) + 1) FROM t"),
        ("SELECT ((SELECT b FROM u) + 1) FROM t", "SELECT ((SELECT b FROM u) + 1) FROM t"),
        ("SELECT EXISTS (SELECT * FROM u WHERE a = b) FROM t", "SELECT EXISTS (SELECT FROM u WHERE (a = b)) FROM t"),
        ("SELECT EXISTS (SELECT DISTINCT * FROM u) FROM t", "SELECT EXISTS (SELECT FROM u) FROM t"),
        ("SELECT EXISTS (SELECT FROM u) FROM t", "SELECT EXISTS (SELECT FROM u) FROM t"),
        ("SELECT NOT EXISTS ((SELECT 1 FROM u)) FROM t", "SELECT (NOT EXISTS (SELECT 1 FROM u)) FROM t"),
        ("SELECT a NOT IN (SELECT b FROM u) FROM t", "SELECT (a NOT IN (SELECT b FROM u)) FROM t"),
        ("SELECT a IN ((SELECT b FROM u)) FROM t", "SELECT (a IN (SELECT b FROM u)) FROM t"),
        ("SELECT a IN ((SELECT b FROM u), 1) FROM t", "SELECT (a IN ((SELECT b FROM u), 1)) FROM t"),
        ("SELECT a = SOME (SELECT b FROM u) FROM t", "SELECT (a IN (SELECT b FROM u)) FROM t"),
        ("SELECT a != ALL ((SELECT b FROM u)) FROM t", "SELECT (a NOT IN (SELECT b FROM u)) FROM t"),
        ("SELECT a + 1 = ANY (b) = c FROM t", "SELECT (((a + 1) = ANY (b)) = c) FROM t"),
        ("SELECT a NOT LIKE ALL (b) FROM t", "SELECT (a !~~ ALL (b)) FROM t"),
        (
            "SELECT a = ANY ((SELECT b FROM u)::int[]) FROM t",
            "SELECT (a = ANY (CAST((SELECT b FROM u) AS int4[]))) FROM t",
        ),
        ("SELECT (a, b) IN (SELECT c, d FROM u) FROM t", "SELECT (ROW(a, b) IN (SELECT c, d FROM u)) FROM t"),
        (
            "SELECT ARRAY(SELECT DISTINCT a FROM u ORDER BY a DESC NULLS LAST FETCH FIRST ROW ONLY) FROM t",
            "SELECT ARRAY(SELECT DISTINCT a FROM u ORDER BY 1 DESC NULLS LAST LIMIT 1) FROM t",
        ),
        ("SELECT ARRAY(SELECT a FROM u LIMIT ALL) FROM t", "SELECT ARRAY(SELECT a FROM u) FROM t"),
        ("SELECT ARRAY(SELECT a FROM u LIMIT NULL) FROM t", "SELECT ARRAY(SELECT a FROM u) FROM t"),
        (
            "SELECT (WITH c AS (SELECT a FROM u) SELECT a FROM c FETCH NEXT 2 ROWS ONLY) FROM t",
            "SELECT (WITH c AS (SELECT a FROM u) SELECT a FROM c LIMIT 2) FROM t",
        ),
    ] {
        check(input, expected);
    }
}

#[test]
fn a_name_or_place_in_order_by_is_the_output() {
    let in_array = |body: &str| format!("SELECT ARRAY(SELECT {body}) FROM t");
    for (input, expected) in [
        ("-a AS a FROM u ORDER BY a", "(- a) AS a FROM u ORDER BY 1"),
        ("-a AS a FROM u ORDER BY u.a", "(- a) AS a FROM u ORDER BY u.a"),
        ("-a AS a FROM u ORDER BY a + 0", "(- a) AS a FROM u ORDER BY (a + 0)"),
        ("a AS b FROM u ORDER BY (1) DESC, c", "a AS b FROM u ORDER BY 1 DESC, c"),
        ("max(a) FROM u GROUP BY b ORDER BY max", "max(a) FROM u GROUP BY b ORDER BY 1"),
        ("-a AS b FROM u GROUP BY b, 1", "(- a) AS b FROM u GROUP BY b, 1"),
        ("a, u.b AS a FROM u ORDER BY 2, 1", "a, u.b AS a FROM u ORDER BY 2, 1"),
        ("a, a FROM u ORDER BY a", "a, a FROM u ORDER BY 1"),
    ] {
        check(&in_array(input), &in_array(expected));
    }
    for (input, expected) in [
        ("a, b AS a FROM u ORDER BY a", "PGS1010 ORDER BY \"a\" is ambiguous at <a>"),
        ("a FROM u ORDER BY 2", "PGS1010 ORDER BY position 2 is not in select list at <2>"),
        ("a FROM u ORDER BY -1", "PGS1010 ORDER BY position -1 is not in select list at <-1>"),
        ("a FROM u GROUP BY 0", "PGS1010 GROUP BY position 0 is not in select list at <0>"),
        ("a FROM u ORDER BY 'a'", "PGS1010 non-integer constant in ORDER BY at <'a'>"),
        ("a FROM u GROUP BY NULL", "PGS1010 non-integer constant in GROUP BY at <NULL>"),
    ] {
        check(&in_array(input), expected);
    }
}

#[test]
fn aggregates() {
    for (input, expected) in [
        ("count(*)", "count(*)"),
        ("pg_catalog.count(ALL a)", "pg_catalog.count(a)"),
        ("count(DISTINCT a) FILTER (WHERE b) c", "count(DISTINCT a) FILTER (WHERE b) AS c"),
        ("string_agg(a, ',' ORDER BY 1, b DESC NULLS FIRST)", "string_agg(a, ',' ORDER BY 1, b DESC NULLS FIRST)"),
        ("count(*) FILTER (WHERE a OR b) + 1", "(count(*) FILTER (WHERE (a OR b)) + 1)"),
        ("max(a) AS filter", "max(a) AS filter"),
    ] {
        check(&format!("SELECT {input} FROM t"), &format!("SELECT {expected} FROM t"));
    }
    let plain = select("SELECT max(a), max(ALL a) FROM t", 0).unwrap();
    for item in plain.items {
        let crate::transform::parse::ast::NodeKind::Call { aggregation, .. } = item.expr.kind else { panic!() };
        assert_eq!(aggregation, None);
    }
    for (input, expected) in [
        ("rank() OVER (ORDER BY a)", "PGS1012 window functions are not supported in a transform at <OVER>"),
        ("sum(a) FILTER (WHERE b) OVER w", "PGS1012 window functions are not supported in a transform at <OVER>"),
        (
            "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)",
            "PGS1012 ordered-set aggregates are not supported in a transform at <WITHIN>",
        ),
        ("f(VARIADIC a)", "PGS1012 VARIADIC is not supported in a transform at <VARIADIC>"),
        ("f(a, VARIADIC b)", "PGS1012 VARIADIC is not supported in a transform at <VARIADIC>"),
        ("f(a => 1)", "PGS1012 named arguments are not supported in a transform at <=>>"),
        ("count(SELECT 1)", "PGS1010 syntax error at or near \"SELECT\" at <SELECT>"),
        ("array_agg(a ORDER BY a USING <)", "PGS1012 ORDER BY … USING is not supported in a transform at <USING>"),
        ("max(*, a)", "PGS1013 * is not supported in a transform: a new column would change the contract at <*>"),
        ("coalesce(a) FILTER (WHERE b)", "PGS1010 syntax error at or near \"FILTER\" at <FILTER>"),
    ] {
        check(&format!("SELECT {input} FROM t"), expected);
    }
}

#[test]
fn refused_in_from() {
    for (input, expected) in [
        ("t, u", "PGS1014 a comma between tables is not supported in a transform at <,>"),
        ("t RIGHT JOIN u ON true", "PGS1014 RIGHT JOIN is not supported in a transform at <RIGHT>"),
        ("t FULL OUTER JOIN u ON true", "PGS1014 FULL JOIN is not supported in a transform at <FULL>"),
        ("t CROSS JOIN u", "PGS1014 CROSS JOIN is not supported in a transform at <CROSS>"),
        ("t NATURAL JOIN u", "PGS1014 NATURAL JOIN is not supported in a transform at <NATURAL>"),
        ("t JOIN u USING (id)", "PGS1014 USING is not supported in a transform at <USING>"),
        ("t JOIN (u JOIN v ON a) ON b", "PGS1014 joins in parentheses are not supported in a transform at <(>"),
        ("(t JOIN u ON a)", "PGS1014 joins in parentheses are not supported in a transform at <(>"),
        ("t JOIN u JOIN v ON a ON b", "PGS1014 a join within a join is not supported in a transform at <JOIN>"),
        ("t JOIN u", "PGS1010 syntax error at end of input at <>"),
        ("ONLY t", "PGS1012 ONLY is not supported in a transform at <ONLY>"),
        ("t JOIN ONLY u ON a", "PGS1012 ONLY is not supported in a transform at <ONLY>"),
        ("t TABLESAMPLE system (1)", "PGS1012 TABLESAMPLE is not supported in a transform at <TABLESAMPLE>"),
        ("t AS x TABLESAMPLE system (1)", "PGS1012 TABLESAMPLE is not supported in a transform at <TABLESAMPLE>"),
        ("generate_series(1, 2) g", "PGS1012 functions in FROM are not supported in a transform at <generate_series>"),
        (
            "t JOIN LATERAL unnest(b) x ON true",
            "PGS1012 functions in FROM are not supported in a transform at <LATERAL unnest>",
        ),
        ("ROWS FROM (f())", "PGS1012 functions in FROM are not supported in a transform at <ROWS>"),
        ("t AS x (a, b)", "PGS1012 renaming columns in FROM is not supported in a transform at <(>"),
        ("(SELECT a FROM t) AS x (b)", "PGS1012 renaming columns in FROM is not supported in a transform at <(>"),
        ("(SELECT a FROM t)", "PGS1010 syntax error at end of input at <>"),
        ("t *", "PGS1012 table * is not supported in a transform at <*>"),
        ("(VALUES (1)) x", "PGS1012 VALUES and TABLE are not supported in a transform at <VALUES>"),
    ] {
        check(&format!("SELECT a FROM {input}"), expected);
    }
    let help = select("SELECT a FROM t JOIN u USING (id)", 0).unwrap_err().help;
    assert_eq!(help.as_deref(), Some("write ON a.id = b.id"));
}

#[test]
fn refused_in_subqueries() {
    for (input, expected) in [
        ("SELECT DISTINCT ON (a) a FROM u", "PGS1012 DISTINCT ON is not supported in a transform at <DISTINCT>"),
        ("SELECT a FROM u OFFSET 1", "PGS1012 OFFSET is not supported in a transform at <OFFSET>"),
        ("SELECT a FROM u LIMIT 1 OFFSET 1", "PGS1012 OFFSET is not supported in a transform at <OFFSET>"),
        (
            "SELECT a FROM u LIMIT b",
            "PGS1012 LIMIT of anything but a whole number is not supported in a transform at <b>",
        ),
        (
            "SELECT a FROM u LIMIT -1",
            "PGS1012 LIMIT of anything but a whole number is not supported in a transform at <-1>",
        ),
        (
            "SELECT a FROM u FETCH FIRST (b) ROWS ONLY",
            "PGS1012 FETCH of anything but a number is not supported in a transform at <(>",
        ),
        (
            "SELECT a FROM u ORDER BY a FETCH FIRST 2 ROWS WITH TIES",
            "PGS1012 WITH TIES is not supported in a transform at <WITH>",
        ),
        (
            "SELECT a FROM u UNION ALL SELECT b FROM u",
            "PGS1012 set operations are not supported in a transform at <UNION>",
        ),
        (
            "(SELECT a FROM u) EXCEPT SELECT b FROM u",
            "PGS1012 set operations are not supported in a transform at <EXCEPT>",
        ),
        (
            "SELECT a FROM u INTERSECT SELECT b FROM u",
            "PGS1012 set operations are not supported in a transform at <INTERSECT>",
        ),
        ("SELECT a FROM u WINDOW w AS ()", "PGS1012 WINDOW is not supported in a transform at <WINDOW>"),
        ("SELECT a FROM u FOR UPDATE", "PGS1012 FOR UPDATE and FOR SHARE are not supported in a transform at <FOR>"),
        ("SELECT a INTO v FROM u", "PGS1012 INTO is not supported in a transform at <INTO>"),
        ("VALUES (1)", "PGS1012 VALUES and TABLE are not supported in a transform at <VALUES>"),
        ("TABLE u", "PGS1012 VALUES and TABLE are not supported in a transform at <TABLE>"),
        ("SELECT 1", "PGS1012 a subquery without FROM is not supported in a transform at <)>"),
        ("SELECT 1 WHERE a", "PGS1012 a SELECT without FROM is not supported in a transform at <WHERE>"),
        ("SELECT * FROM u", "PGS1013 * is not supported in a transform: a new column would change the contract at <*>"),
        ("SELECT FROM u", "PGS1010 syntax error at or near \"FROM\" at <FROM>"),
        ("SELECT a FROM u GROUP BY ROLLUP (a)", "PGS1012 grouping sets are not supported in a transform at <ROLLUP>"),
        (
            "SELECT a FROM u GROUP BY GROUPING SETS (a)",
            "PGS1012 grouping sets are not supported in a transform at <GROUPING>",
        ),
        ("SELECT a FROM u GROUP BY ()", "PGS1012 grouping sets are not supported in a transform at <(>"),
        ("SELECT a FROM u GROUP BY (a, b)", "PGS1012 a row in GROUP BY is not supported in a transform at <(a, b)>"),
        (
            "SELECT a FROM u GROUP BY DISTINCT a",
            "PGS1012 GROUP BY DISTINCT is not supported in a transform at <DISTINCT>",
        ),
        ("SELECT a FROM u ORDER BY a USING <", "PGS1012 ORDER BY … USING is not supported in a transform at <USING>"),
        (
            "WITH RECURSIVE c AS (SELECT 1) SELECT a FROM c",
            "PGS1012 WITH RECURSIVE is not supported in a transform at <RECURSIVE>",
        ),
        (
            "WITH c (x) AS (SELECT a FROM u) SELECT x FROM c",
            "PGS1012 renaming columns in WITH is not supported in a transform at <(>",
        ),
        (
            "WITH c AS (DELETE FROM u RETURNING a) SELECT a FROM c",
            "PGS1012 changing data in WITH is not supported in a transform at <DELETE>",
        ),
        (
            "WITH c AS (SELECT a FROM u), c AS (SELECT a FROM u) SELECT a FROM c",
            "PGS1010 WITH query name \"c\" specified more than once at <c>",
        ),
        (
            "WITH c AS (SELECT a FROM u) UPDATE u SET a = 1",
            "PGS1012 changing data is not supported in a transform at <UPDATE>",
        ),
    ] {
        check(&format!("SELECT ({input}) FROM t"), expected);
    }
    for (input, expected) in [
        ("a > ANY (SELECT b FROM u)", "PGS1012 > ANY (SELECT …) is not supported in a transform at <> ANY>"),
        ("a = ALL (SELECT b FROM u)", "PGS1012 = ALL (SELECT …) is not supported in a transform at <= ALL>"),
        ("EXISTS (SELECT *, a FROM u)", "PGS1010 syntax error at or near \",\" at <,>"),
        ("EXISTS (a)", "PGS1010 syntax error at or near \"a\" at <a>"),
        ("a = ANY b", "PGS1010 syntax error at or near \"ANY\" at <ANY>"),
        ("(SELECT a FROM u", "PGS1010 syntax error at end of input at <>"),
    ] {
        let text =
            if input.starts_with("(SELECT") { format!("SELECT {input}") } else { format!("SELECT {input} FROM t") };
        check(&text, expected);
    }
}

#[test]
fn refused_of_the_statement() {
    for (input, expected) in [
        ("SELECT * FROM t", "PGS1013 * is not supported in a transform: a new column would change the contract at <*>"),
        (
            "SELECT t.* FROM t",
            "PGS1013 * is not supported in a transform: a new column would change the contract at <t.*>",
        ),
        ("SELECT DISTINCT a FROM t", "PGS1012 DISTINCT is not supported in a transform at <DISTINCT>"),
        ("SELECT a FROM t ORDER BY a", "PGS1012 ORDER BY is not supported in a transform at <ORDER>"),
        ("SELECT a FROM t JOIN u ON a LIMIT 1", "PGS1012 LIMIT is not supported in a transform at <LIMIT>"),
        ("SELECT a FROM t OFFSET 1", "PGS1012 OFFSET is not supported in a transform at <OFFSET>"),
        ("SELECT a FROM t FETCH FIRST ROW ONLY", "PGS1012 FETCH is not supported in a transform at <FETCH>"),
        ("SELECT a FROM t FOR UPDATE", "PGS1012 FOR UPDATE and FOR SHARE are not supported in a transform at <FOR>"),
        ("SELECT a FROM t UNION SELECT 1", "PGS1012 set operations are not supported in a transform at <UNION>"),
        ("SELECT a INTO u FROM t", "PGS1012 INTO is not supported in a transform at <INTO>"),
        ("SELECT a FROM t WINDOW w AS ()", "PGS1012 WINDOW is not supported in a transform at <WINDOW>"),
        ("SELECT a FROM t; SELECT b FROM t", "PGS1011 a second statement in one transform at <SELECT>"),
        ("", "PGS1011 there is no SELECT in this file at <>"),
        ("UPDATE t SET a = 1", "PGS1011 a transform is one SELECT at <UPDATE>"),
        ("SELECT 1", "PGS1011 this SELECT has no FROM at <>"),
    ] {
        check(input, expected);
    }
    assert!(select("SELECT a b, \"C d\" AS e FROM s.t AS x WHERE a > 1;", 0).is_ok());
}

#[test]
fn no_cut_of_a_statement_panics() {
    let text = "WITH c AS (SELECT a FROM t) SELECT extract(year FROM d) é, E'\\u00e9' || $a$x$a$, a::numeric(3,1)[], \
        ARRAY(SELECT x[1][2] FROM u JOIN (SELECT 1 FROM v) AS w ON (a, b) = ROW(1, 2) GROUP BY 1 HAVING count(*) > 1 \
        ORDER BY x DESC NULLS LAST LIMIT 3), a = ANY (ARRAY[[1], [2]]), string_agg(DISTINCT a, b ORDER BY c) FILTER \
        (WHERE EXISTS ((SELECT * FROM u))) FROM s.\"T\" LEFT JOIN LATERAL (SELECT 1 FROM c) x ON true WHERE a NOT IN \
        (1, -2) AND b IN ((SELECT 1 FROM u FETCH FIRST 1 ROW ONLY));";
    assert!(select(text, 0).is_ok());
    for (end, _) in text.char_indices() {
        let _ = select(&text[..end], 0);
    }
}

/// The deepest nesting that is taken has to fit a thread's stack of 2 MiB, as tests have it.
#[test]
fn a_deep_nesting_is_refused_before_the_stack_ends() {
    let deep = "PGS1012 so deep a nesting is not supported in a transform";
    for (open, close) in [
        ("(SELECT ", " FROM t)"),
        ("ARRAY[", "]"),
        ("ARRAY(SELECT ", " FROM t)"),
        ("(", ")"),
        ("f(", ")"),
        ("- ", ""),
        ("CASE WHEN ", " THEN 1 END"),
        ("COALESCE(", ")"),
        ("ROW(", ")"),
        ("(b, ", ")"),
        ("b IN (", ")"),
        ("b = ANY (", ")"),
        ("CAST(", " AS int)"),
        ("b IN (SELECT ", " FROM t)"),
        ("f(DISTINCT b ORDER BY ", ")"),
        ("EXISTS (SELECT FROM t WHERE ", ")"),
        ("NOT ", ""),
        ("(b)[", "]"),
        ("EXTRACT(year FROM ", ")"),
    ] {
        for depth in [5, 15, 30, 45, 60, 90, 1000, 10_000] {
            let text = format!("SELECT {}a{} FROM t", open.repeat(depth), close.repeat(depth));
            match select(&text, 0) {
                Ok(select) => assert!(depth <= 90 && select.to_string().contains("\"a\"")),
                Err(e) => assert_eq!((depth > 5, format!("{} {}", e.code, e.message)), (true, deep.to_owned())),
            }
        }
    }
    for (open, close) in [("(SELECT a FROM ", ") x"), ("(", ")"), ("t JOIN LATERAL (SELECT a FROM ", ") x ON a")] {
        let text = format!("SELECT a FROM {}(SELECT a FROM t) x{}", open.repeat(1000), close.repeat(1000));
        assert!(select(&text, 0).is_err());
    }
}
