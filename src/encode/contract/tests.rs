use super::*;

fn findings(text: &str) -> Vec<String> {
    match Contract::parse(Path::new("t.avsc"), text) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|d| d.to_string().lines().next().unwrap_or_default().to_owned()).collect(),
    }
}

/// A contract with one field, and what is found in it.
fn check(field: &str, expected: &str) {
    let text = format!("{{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[\n{field}]}}");
    let found = findings(&text);
    if expected.is_empty() {
        assert!(found.is_empty(), "{field}: {found:?}");
    } else {
        assert!(found.len() == 1 && found[0].contains(expected), "{field}: {found:?}");
        assert!(found[0].starts_with("t.avsc:2:"), "{found:?}");
    }
}

#[test]
fn what_a_registry_lets_through_is_found() {
    check(r#"{"name":"a","type":"int"}"#, "");
    check(r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}}"#, "");
    check(r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}}"#, "PGS2004");
    check(r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal"}}"#, "PGS2004");
    check(
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":10,"scale":2}}"#,
        "holds 9 digits",
    );
    check(r#"{"name":"a","type":["null","int"],"default":null}"#, "");
    check(r#"{"name":"a","type":["int","null"],"default":null}"#, "PGS2005");
    check(r#"{"name":"a","type":"int","default":"x"}"#, "PGS2005");
    check(r#"{"name":"a-b","type":"int"}"#, "PGS2007");
    check(r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["x","1"]}}"#, "PGS2007");
    check(r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["x","x"]}}"#, "PGS2006");
    check(r#"{"name":"a","type":"int"},{"name":"a","type":"int"}"#, "PGS2006");
    check(r#"{"name":"a","type":["null","R"]}"#, "PGS2003");
    check(r#"{"name":"a","type":"nosuch"}"#, "unknown type");
    check(r#"{"name":"a","type":{"type":"int","logicalType":"timestamp-micros"}}"#, "PGS2001");
    check(r#"{"name":"a","type":"int","pgspine.lossi":true}"#, "PGS2008");
    check(r#"{"name":"a","type":"int","pgspine.special":"null"}"#, "PGS2008");
    check(r#"{"name":"a","type":["null","int"],"pgspine.special":"null"}"#, "");
}

#[test]
fn a_contract_is_a_record() {
    assert!(findings(r#""string""#)[0].contains("PGS2002"));
    assert!(findings("{")[0].contains("PGS2001"));
    assert!(findings(r#"{"type":"record","name":"R"}"#)[0].contains("PGS2001"));
}

#[test]
fn names_are_full_and_refer_to_what_was_defined() {
    let text = r#"{"type":"record","name":"R","namespace":"x.y","fields":[
        {"name":"a","type":{"type":"enum","name":"E","symbols":["s"]}},
        {"name":"b","type":["null","E"],"default":null,"pgspine.lossy":true}]}"#;
    let contract = Contract::parse(Path::new("t.avsc"), text).unwrap();
    assert_eq!(contract.name(), "x.y.R");
    let Avro::Enum(e) = contract.record().fields[1].ty.non_null().0 else { panic!() };
    assert_eq!(e.name, "x.y.E");
    assert!(contract.record().fields[1].lossy);
    let again = apache_avro::Schema::parse(&Avro::Record(contract.record().clone()).to_json()).unwrap();
    assert_eq!(again, apache_avro::Schema::parse_str(text).unwrap());
}

#[test]
fn the_place_is_the_fields_name() {
    let text = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[\n  {\"name\": \"a\", \"type\":\"int\"}]}";
    let contract = Contract::parse(Path::new("t.avsc"), text).unwrap();
    let place = contract.place(contract.record().fields[0].span);
    assert_eq!((place.line, place.column), (2, 12));
}
