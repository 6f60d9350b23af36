use super::*;

fn parse(text: &str) -> Result<TestFile, Vec<Diagnostic>> {
    TestFile::parse("shop/order".into(), Path::new("order.test.sql"), text.into())
}

/// The file's findings, as `LINE: MESSAGE`.
fn findings(text: &str) -> Vec<String> {
    let line = |d: &Diagnostic| format!("{}: {}", d.place.as_ref().unwrap().line, d.message);
    parse(text).unwrap_err().iter().map(line).collect()
}

#[test]
fn a_file_is_a_setup_and_transactions() {
    let text = "-- What an order is.\n-- setup\nCREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\n\n\
        -- transaction: two at once\nBEGIN;\nINSERT INTO t VALUES (2); -- and\nUPDATE t SET a = 3;\nCOMMIT;\n\
        -- expect shop/order {\"id\":1} => {\n--   \"a\": 1,\n--   ...\n-- }\n-- expect shop/order {\"id\":2} => null\n\n\
        -- transaction: taken back\nUPDATE t SET a = 4; ROLLBACK;\n-- expect nothing\n\
        -- transaction: refused\nINSERT INTO t VALUES (5);\n-- error: 23505 duplicate key\n";
    let file = parse(text).unwrap();
    assert!(file.makes_tables());
    assert_eq!(file.setup.len(), 2);
    let names: Vec<_> = file.transactions.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["two at once", "taken back", "refused"]);
    let [two, back, refused] = &file.transactions[..] else { panic!("three") };
    let sql: Vec<_> = two.statements.iter().map(|s| file.sql(*s)).collect();
    assert_eq!(sql, ["INSERT INTO t VALUES (2)", "UPDATE t SET a = 3"]);
    assert_eq!(two.records.len(), 2);
    assert_eq!(two.records[0].value, Some(serde_json::json!({"a": 1, "...": null})));
    assert_eq!(file.place(two.records[1].span).line, 15);
    assert_eq!(two.records[1].value, None);
    assert!(back.rolls_back && back.nothing.is_some() && back.statements.len() == 1);
    assert_eq!((refused.errors[0].code.as_str(), refused.errors[0].message.as_str()), ("23505", "duplicate key"));
    assert!(!file.expects_row_errors());
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let check = |text: &str, expected: &[&str]| assert_eq!(findings(text), expected, "{text}");
    check("", &["1: there is no transaction in this file"]);
    check("SELECT 1;\n-- transaction: a\nSELECT 1;\n-- expect nothing\n", &["1: a statement before the first section"]);
    check(
        "-- transaction: a\nSELECT 1;\n-- setup\n-- expect nothing",
        &["3: a setup behind another section", "4: an expectation outside of a transaction"],
    );
    check("-- transaction: a\nSELECT 1;\n", &["1: transaction \"a\" says nothing of what it brings"]);
    check("-- transaction: a\n-- expect nothing\n", &["1: transaction \"a\" has no statement"]);
    check("-- transaction:\nSELECT 1;\n-- expect nothing\n", &["1: a transaction without a name"]);
    check(
        "-- transaction: a\nSELECT 1\n-- expect nothing\n",
        &["2: this statement does not end before the next section or expectation"],
    );
    check("-- transaction: a\nSELECT 1; COMMIT; SELECT 2;\n-- expect nothing\n", &["2: a section is one transaction"]);
    check(
        "-- transaction: a\nCOPY t FROM STDIN;\n-- expect nothing\n",
        &["2: COPY FROM STDIN has no data here", "1: transaction \"a\" has no statement"],
    );
    check(
        "-- transaction: a\nSELECT 1;\n-- error: oops\n-- expect nothing",
        &["3: \"oops\" is neither a SQLSTATE nor one of our codes"],
    );
    check(
        "-- transaction: a\nSELECT 1;\n-- error: 23505\n-- expect a/b {\"id\":1} => null",
        &["3: a refused statement beside another expectation"],
    );
    check(
        "-- transaction: a\nSELECT 1;\n-- expect nothing\n-- expect a/b {\"id\":1} => null",
        &["4: nothing is expected above, and something here"],
    );
    check(
        "-- transaction: a\nSELECT 1;\n-- expect a/b {\"id\":1} => {\n--  \"a\": ,\n-- }",
        &["4: the value is no JSON: expected value", "1: transaction \"a\" says nothing of what it brings"],
    );
    check(
        "-- transaction: a\nSELECT 1;\n-- expect a/b {\"id\":1} => {\n-- transaction: b\nSELECT 1;\n-- expect nothing",
        &["3: this expectation does not end", "1: transaction \"a\" says nothing of what it brings"],
    );
}
