//! The oracle is apache-avro: it encodes the expected value to the same bytes, and reads ours back.

use std::path::Path;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;

use super::*;
use crate::catalogue::{ColumnType, CompositeType, EnumType, OtherType, QualifiedName, Type};
use crate::diagnostic::Span;
use crate::encode::readback::{Readback, ReadbackError};
use crate::encode::{plain_json, wire};
use crate::transform::eval::NoLookup;
use crate::transform::plan::Expr;
use crate::transform::{Block, ExprKind, Output, Shape, Source, UsedColumn};

fn plan(columns: &[(&str, ColumnType, bool)]) -> Plan {
    let column = |i: usize, ty: &ColumnType, not_null: bool| Expr {
        kind: ExprKind::Column { source: 0, column: i as u16 },
        ty: ty.clone(),
        nullable: !not_null,
        span: Span::default(),
    };
    Plan {
        name: "t".into(),
        sources: vec![Source {
            table: QualifiedName::new("public", "t"),
            table_oid: 0,
            alias: "t".into(),
            columns: columns
                .iter()
                .enumerate()
                .map(|(i, (name, ty, not_null))| UsedColumn {
                    name: (*name).into(),
                    attnum: i as i16 + 1,
                    ty: ty.clone(),
                    not_null: *not_null,
                })
                .collect(),
        }],
        block: Block { steps: Vec::new(), filter: None },
        outputs: columns
            .iter()
            .enumerate()
            .map(|(i, (name, ty, not_null))| Output {
                name: (*name).into(),
                shape: Shape::Scalar(column(i, ty, *not_null)),
                span: Span::default(),
            })
            .collect(),
        key: vec![0],
    }
}

fn contract(field: &str) -> Contract {
    let text =
        format!(r#"{{"type":"record","name":"x.R","fields":[{{"name":"id","type":"long"}},{{"name":"v",{field}}}]}}"#);
    match Contract::parse(Path::new("t.avsc"), &text) {
        Ok(contract) => contract,
        Err(findings) => panic!("{text}: {findings:?}"),
    }
}

fn renderer(ty: &ColumnType, not_null: bool, contract: &Contract) -> Result<Renderer, Vec<Diagnostic>> {
    let plan = plan(&[("id", ColumnType::plain(Type::Int8), true), ("v", ty.clone(), not_null)]);
    let key = KeySchema::derive(&plan, contract)?;
    let options = RenderOptions { max_record: 1_000_000, not_null: vec![], ..RenderOptions::default() };
    let mut renderer = Renderer::new(&plan, contract, &key, &options)?;
    renderer.set_schema_ids(1, 2);
    Ok(renderer)
}

/// The body that `text` gives in the field `v`.
fn render(ty: ColumnType, field: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let contract = contract(field);
    let renderer = renderer(&ty, text.is_some(), &contract)
        .map_err(|f| f.iter().map(|d| d.to_string()).collect::<Vec<_>>().join("\n"))?;
    let mut out = Rendered::default();
    let row = [Some(&b"7"[..]), text.map(str::as_bytes)];
    match renderer.render(&Context::default(), &row, &NoLookup, &mut out) {
        Ok(_) => Ok(out.body().to_vec()),
        Err(e) => Err(e.to_string()),
    }
}

/// The text becomes this value, byte for byte as apache-avro writes it, and back.
#[track_caller]
fn check(ty: Type, field: &str, text: Option<&str>, expected: Avro) {
    check_typmod(ColumnType::plain(ty), field, text, expected);
}

#[track_caller]
fn check_typmod(ty: ColumnType, field: &str, text: Option<&str>, expected: Avro) {
    let body = render(ty, field, text).unwrap_or_else(|e| panic!("{field} {text:?}: {e}"));
    let schema = Schema::parse_str(contract(field).text()).unwrap();
    let expected = Avro::Record(vec![("id".into(), Avro::Long(7)), ("v".into(), expected)]);
    let theirs = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(expected.clone())
        .unwrap();
    assert_eq!(body, theirs, "{field} {text:?}");
    let mut rest = body.as_slice();
    let back = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
    assert_eq!((back, rest.len()), (expected, 0), "{field} {text:?}");
}

#[track_caller]
fn refused(ty: Type, field: &str, text: &str, code: &str) {
    let error = render(ColumnType::plain(ty), field, Some(text)).unwrap_err();
    assert!(error.contains(code), "{field} {text}: {error}");
}

fn numeric(precision: i32, scale: i32) -> ColumnType {
    ColumnType { typmod: (precision << 16 | scale & 0x7ff) + 4, ..ColumnType::plain(Type::Numeric) }
}

fn some(value: Avro) -> Avro {
    Avro::Union(1, Box::new(value))
}

fn text(t: &str) -> Avro {
    Avro::String(t.into())
}

fn mood() -> Type {
    let labels = vec!["sad".into(), "ok".into()];
    Type::Enum(Arc::new(EnumType { oid: 1, name: QualifiedName::new("public", "mood"), labels }))
}

#[test]
fn each_pair_of_types_is_apache_avros_bytes() {
    check(Type::Bool, r#""type":"boolean""#, Some("t"), Avro::Boolean(true));
    check(Type::Int4, r#""type":"int""#, Some("-2147483648"), Avro::Int(i32::MIN));
    check(Type::Int4, r#""type":["null","int"],"default":null"#, None, Avro::Union(0, Box::new(Avro::Null)));
    check(Type::Int4, r#""type":["null","int"],"default":null"#, Some("5"), some(Avro::Int(5)));
    check(Type::Int4, r#""type":["int","null"]"#, Some("5"), Avro::Union(0, Box::new(Avro::Int(5))));
    check(Type::Int8, r#""type":"long""#, Some("-9223372036854775808"), Avro::Long(i64::MIN));
    check(Type::Int2, r#""type":"double""#, Some("-3"), Avro::Double(-3.0));
    check(Type::Float4, r#""type":"double""#, Some("0.1"), Avro::Double(f64::from(0.1f32)));
    check(Type::Float8, r#""type":"double""#, Some("-Infinity"), Avro::Double(f64::NEG_INFINITY));
    check(Type::Float8, r#""type":"double""#, Some("1e-300"), Avro::Double(1e-300));
    check(Type::Text, r#""type":"string""#, Some("süß"), text("süß"));
    check(Type::Bpchar, r#""type":"string""#, Some("a  "), text("a  "));
    check(Type::Numeric, r#""type":"string""#, Some("1.10"), text("1.10"));
    check(
        mood(),
        r#""type":{"type":"enum","name":"M","symbols":["ok","sad"]}"#,
        Some("sad"),
        Avro::Enum(1, "sad".into()),
    );
    check(
        Type::Text,
        r#""type":{"type":"enum","name":"M","symbols":["ok","sad"]}"#,
        Some("ok"),
        Avro::Enum(0, "ok".into()),
    );
    let uuid = "6f2c5a3e-9d1b-4c7a-8e5f-0a1b2c3d4e5f";
    check(
        Type::Uuid,
        r#""type":{"type":"string","logicalType":"uuid"}"#,
        Some(uuid),
        Avro::Uuid(uuid.parse().unwrap()),
    );
    check(Type::Bytea, r#""type":"bytes""#, Some("\\x00ff"), Avro::Bytes(vec![0, 255]));
    check(Type::Bytea, r#""type":{"type":"fixed","name":"F","size":2}"#, Some("\\x00ff"), Avro::Fixed(2, vec![0, 255]));
    check(Type::Date, r#""type":{"type":"int","logicalType":"date"}"#, Some("1969-12-31"), Avro::Date(-1));
    check(
        Type::Time,
        r#""type":{"type":"long","logicalType":"time-micros"}"#,
        Some("00:00:01.5"),
        Avro::TimeMicros(1_500_000),
    );
    let stamp = Some("1969-12-31 23:59:59.9995");
    let field = r#""type":{"type":"long","logicalType":"local-timestamp-micros"}"#;
    check(Type::Timestamp, field, stamp, Avro::LocalTimestampMicros(-500));
    let field = r#""pgspine.lossy":true,"type":{"type":"long","logicalType":"local-timestamp-millis"}"#;
    check(Type::Timestamp, field, stamp, Avro::LocalTimestampMillis(-1));
    let field = r#""type":{"type":"long","logicalType":"timestamp-micros"}"#;
    check(Type::TimestampTz, field, Some("2024-02-29 12:00:00+00"), Avro::TimestampMicros(1_709_208_000_000_000));
    check(Type::Jsonb, r#""type":"string""#, Some(r#"{"a": 1}"#), text(r#"{"a": 1}"#));
}

#[test]
fn arrays_composites_maps_and_json_keep_their_structure() {
    let field = r#""type":{"type":"array","items":["null","string"]}"#;
    let array = |t: Type| Type::Array(Arc::new(t));
    let (null, one) = (Avro::Union(0, Box::new(Avro::Null)), |t: &str| some(text(t)));
    check(array(Type::Text), field, Some("{}"), Avro::Array(vec![]));
    let items = vec![one("a"), null.clone(), one("NULL"), one("x\"y\\,}"), one("")];
    check(array(Type::Text), field, Some(r#"{a,NULL,"NULL","x\"y\\,}",""}"#), Avro::Array(items));
    check(array(Type::Text), field, Some("[2:3]={a,b}"), Avro::Array(vec![one("a"), one("b")]));
    let field = r#""type":{"type":"array","items":{"type":"array","items":["null","int"]}}"#;
    let inner = |n| Avro::Array(vec![some(Avro::Int(n)), null.clone()]);
    check(array(Type::Int4), field, Some("{{1,NULL},{2,NULL}}"), Avro::Array(vec![inner(1), inner(2)]));
    refused(array(Type::Int4), field, "{1,2}", "PGS2108");
    refused(array(Type::Int4), field, "{{1,2}", "PGS2107");
    let long = vec![some(Avro::Int(3)); 100];
    let field = r#""type":{"type":"array","items":["null","int"]}"#;
    check(array(Type::Int4), field, Some(&format!("{{{}}}", ["3"; 100].join(","))), Avro::Array(long));
    let bad = render(ColumnType::plain(array(Type::Int4)), field, Some("{1,9999999999}")).unwrap_err();
    assert!(bad.contains("v[1]"), "{bad}");

    let fields = vec![("n".into(), ColumnType::plain(Type::Int4)), ("t".into(), ColumnType::plain(Type::Text))];
    let composite =
        Type::Composite(Arc::new(CompositeType { oid: 1, name: QualifiedName::new("public", "c"), fields }));
    let field = r#""type":{"type":"record","name":"C","fields":[{"name":"t","type":["null","string"]},{"name":"n","type":["null","int"]}]}"#;
    let record = |t: Avro, n: Avro| Avro::Record(vec![("t".into(), t), ("n".into(), n)]);
    check(composite.clone(), field, Some(r#"(1,"a ""b"" \\")"#), record(one("a \"b\" \\"), some(Avro::Int(1))));
    check(composite, field, Some("(,)"), record(null.clone(), null.clone()));

    let hstore = Type::Other(Arc::new(OtherType { oid: 1, name: QualifiedName::new("public", "hstore") }));
    let field = r#""type":{"type":"map","values":["null","string"]}"#;
    check(hstore, field, Some(r#""a\"b"=>"1""#), Avro::Map([("a\"b".to_owned(), one("1"))].into()));

    let field = r#""type":{"type":"record","name":"J","fields":[{"name":"a","type":["null","long"],"default":null},{"name":"b","type":{"type":"array","items":"string"}}]}"#;
    let record = |a: Avro| Avro::Record(vec![("a".into(), a), ("b".into(), Avro::Array(vec![text("x")]))]);
    check(Type::Jsonb, field, Some(r#"{"a": 3, "b": ["x"]}"#), record(some(Avro::Long(3))));
    check(Type::Jsonb, field, Some(r#"{"b": ["x"]}"#), record(null));
    refused(Type::Jsonb, field, r#"{"b": ["x"], "z": 1}"#, "PGS2108");
    refused(Type::Jsonb, field, r#"{"a": 1.5, "b": []}"#, "v.a");
}

#[test]
fn random_numbers_are_apache_avros_bytes() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..2000 {
        let n = random.i64(..) >> random.u32(0..64);
        check(Type::Int8, r#""type":"long""#, Some(&n.to_string()), Avro::Long(n));
        let x = f64::from_bits(random.u64(..));
        if x.is_finite() {
            check(Type::Float8, r#""type":"double""#, Some(&format!("{x:e}")), Avro::Double(x));
        }
        let (precision, scale) = (random.u32(1..60), random.u32(0..10));
        let precision = precision.max(scale);
        let digits: String = (0..random.u32(1..=precision)).map(|_| random.digit(10)).collect();
        let negative = random.bool();
        let unscaled: num_bigint::BigInt = digits.parse().unwrap();
        let unscaled = if negative { -unscaled } else { unscaled };
        let padded = format!("{digits:0>width$}", width = scale as usize + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale as usize);
        let dot = if scale > 0 { "." } else { "" };
        let form = format!("{}{whole}{dot}{fraction}", if negative { "-" } else { "" });
        let field =
            format!(r#""type":{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#);
        let expected = Avro::Decimal(apache_avro::Decimal::from(unscaled.to_signed_bytes_be()));
        check_typmod(numeric(precision as i32, scale as i32), &field, Some(&form), expected);
    }
}

#[test]
fn what_the_field_cannot_hold_is_a_row_error_or_as_the_field_says() {
    let date = |more: &str| format!(r#""type":["null",{{"type":"int","logicalType":"date"}}]{more}"#);
    let plain = r#""type":{"type":"int","logicalType":"date"}"#;
    for value in ["infinity", "-infinity", "0044-03-15 BC"] {
        refused(Type::Date, plain, value, "PGS2102");
        let null = date(r#","default":null,"pgspine.special":"null""#);
        check(Type::Date, &null, Some(value), Avro::Union(0, Box::new(Avro::Null)));
    }
    let clamp = r#""pgspine.special":"clamp","type":{"type":"int","logicalType":"date"}"#;
    check(Type::Date, clamp, Some("infinity"), Avro::Date(2_932_896));
    check(Type::Date, clamp, Some("0044-03-15 BC"), Avro::Date(-719_162));
    let time = r#""type":{"type":"long","logicalType":"time-micros"}"#;
    refused(Type::Time, time, "24:00:00", "PGS2102");
    refused(Type::Text, r#""type":{"type":"enum","name":"M","symbols":["ok"]}"#, "no", "PGS2104");
    refused(Type::Int8, r#""type":"long""#, "9223372036854775808", "PGS2107");
    refused(Type::Bytea, r#""type":{"type":"fixed","name":"F","size":3}"#, "\\x00ff", "PGS2108");
    let stamp = r#""type":{"type":"long","logicalType":"local-timestamp-micros"}"#;
    refused(Type::Timestamp, stamp, "294276-12-31 00:00:00", "PGS2108");
}

/// `check` says it before anything runs.
#[track_caller]
fn misfit(ty: ColumnType, not_null: bool, field: &str, code: &str) {
    let findings = renderer(&ty, not_null, &contract(field)).map(|_| ()).unwrap_err();
    assert!(findings.len() == 1 && findings[0].code.to_string() == code, "{findings:?}");
    assert!(findings[0].place.is_some() && findings[0].help.is_some(), "{findings:?}");
}

#[test]
fn what_does_not_fit_is_found_before_anything_runs() {
    let plain = ColumnType::plain;
    misfit(plain(Type::Int4), false, r#""type":"int""#, "PGS2012");
    misfit(plain(Type::Int8), true, r#""type":"int""#, "PGS2013");
    misfit(plain(Type::Float8), true, r#""type":"float""#, "PGS2013");
    misfit(plain(Type::Int4), true, r#""type":"float""#, "PGS2014");
    misfit(plain(Type::Time), true, r#""type":{"type":"int","logicalType":"time-millis"}"#, "PGS2014");
    misfit(plain(mood()), true, r#""type":{"type":"enum","name":"M","symbols":["ok"]}"#, "PGS2015");
    let decimal = r#""type":{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#;
    misfit(numeric(10, 2), true, decimal, "PGS2013");
    misfit(numeric(5, 1), true, decimal, "PGS2013");
    misfit(plain(Type::Timestamp), true, r#""type":{"type":"long","logicalType":"timestamp-micros"}"#, "PGS2013");
    misfit(plain(Type::Array(Arc::new(Type::Int4))), true, r#""type":{"type":"array","items":"int"}"#, "PGS2012");
    misfit(plain(Type::Text), true, r#""type":["string","int"]"#, "PGS2013");

    let findings = {
        let plan = plan(&[("id", plain(Type::Int8), false), ("w", plain(Type::Int4), true)]);
        let contract = contract(r#""type":"int""#);
        let key = KeySchema::derive(&plan, &contract).unwrap();
        Renderer::new(&plan, &contract, &key, &RenderOptions::default()).map(|_| ()).unwrap_err()
    };
    let codes: Vec<_> = findings.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, ["PGS2011", "PGS2012", "PGS2010", "PGS2016"], "{findings:?}");
}

#[test]
fn keys_are_framed_records_and_large_records_are_errors() {
    let contract = contract(r#""type":"string""#);
    let mut renderer = renderer(&ColumnType::plain(Type::Text), true, &contract).unwrap();
    let mut out = Rendered::default();
    let row = [Some(&b"7"[..]), Some(&b"x"[..])];
    assert_eq!(renderer.render(&Context::default(), &row, &NoLookup, &mut out), Ok(Outcome::Entity));
    assert_eq!(out.key, [0, 0, 0, 0, 1, 14]);
    assert_eq!(out.value, [0, 0, 0, 0, 2, 14, 2, b'x']);
    let key = KeySchema::derive(&plan(&[("id", ColumnType::plain(Type::Int8), true)]), &contract).unwrap();
    assert_eq!(key.plain_json("id", &out.key).unwrap().to_string(), r#"{"id":7}"#);
    assert_eq!(key.text().unwrap(), r#"{"type":"record","name":"x.RKey","fields":[{"name":"id","type":"long"}]}"#);
    renderer.max_record = 13;
    let error = renderer.render(&Context::default(), &row, &NoLookup, &mut out).unwrap_err();
    assert_eq!(error.code, codes::ROW_TOO_LARGE);
}

/// Two keys of the table are never one in the topic.
#[test]
fn keys_lose_nothing() {
    let codes = |ty: Type, field: &str| {
        let text = format!(r#"{{"type":"record","name":"x.R","fields":[{{"name":"id",{field}}}]}}"#);
        let contract = Contract::parse(Path::new("t.avsc"), &text).unwrap();
        let plan = plan(&[("id", ColumnType::plain(ty), true)]);
        let key = KeySchema::derive(&plan, &contract).unwrap();
        let made = Renderer::new(&plan, &contract, &key, &RenderOptions::default());
        made.err().unwrap_or_default().iter().map(|d| d.code.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(codes(Type::Int4, r#""type":"float","pgspine.lossy":true"#), ["PGS2016"]);
    assert_eq!(codes(Type::Int4, r#""type":"int""#), [""; 0]);
    let few = r#""type":{"type":"enum","name":"E","symbols":["ok","other"],"default":"other"}"#;
    assert_eq!(codes(mood(), few).len(), 1);
}

#[test]
fn old_records_read_as_the_present_contract_are_bytes_of_the_present_contract() {
    let old = r#"{"type":"record","name":"x.R","fields":[{"name":"was","type":"int"},{"name":"gone","type":"string"},{"name":"id","type":"int"}]}"#;
    let contract = Contract::parse(
        Path::new("t.avsc"),
        r#"{"type":"record","name":"x.R","fields":[{"name":"id","type":"long"},{"name":"now","aliases":["was"],"type":["null","long"]},{"name":"new","type":"string","default":"d"}]}"#,
    )
    .unwrap();
    let mut readback = Readback::new(contract.record(), 9);
    let mut body = Vec::new();
    let value = [0, 0, 0, 0, 3, 8, 2, b'x', 14];
    readback
        .body::<ReadbackError>(
            &value,
            |id| (id == 3).then(|| old.to_owned()).ok_or(wire::FrameError::Short { len: 0 }.into()),
            &mut body,
        )
        .unwrap();
    assert_eq!(body, [14, 2, 8, 2, b'd']);
    let json = plain_json::record(contract.record(), &body).unwrap();
    assert_eq!(json.to_string(), r#"{"id":7,"now":4,"new":"d"}"#);
    body.clear();
    readback.body::<ReadbackError>(&[0, 0, 0, 0, 9, 1, 2], |_| unreachable!(), &mut body).unwrap();
    assert_eq!(body, [1, 2]);
    // The remembered writer's schema; a cut body is an error.
    assert!(readback.body::<ReadbackError>(&value[..8], |_| unreachable!(), &mut Vec::new()).is_err());
}

#[test]
fn plain_json_is_for_people() {
    let json = |ty: Type, field: &str, text: &str| {
        let body = render(ColumnType::plain(ty), field, Some(text)).unwrap();
        plain_json::record(contract(field).record(), &body).unwrap()["v"].to_string()
    };
    let decimal = r#""type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#;
    assert_eq!(json(Type::Numeric, decimal, "199"), r#""199.00""#);
    assert_eq!(json(Type::Numeric, decimal, "-0.05"), r#""-0.05""#);
    let stamp = r#""type":{"type":"long","logicalType":"timestamp-micros"}"#;
    assert_eq!(json(Type::TimestampTz, stamp, "2024-02-29 12:00:00.5+00"), r#""2024-02-29T12:00:00.500000Z""#);
    let local = r#""type":{"type":"long","logicalType":"local-timestamp-micros"}"#;
    assert_eq!(json(Type::Timestamp, local, "1969-12-31 23:59:59.999999"), r#""1969-12-31T23:59:59.999999""#);
    assert_eq!(json(Type::Bytea, r#""type":"bytes""#, "\\x00ff"), r#""\\x00ff""#);
    assert_eq!(json(Type::Float8, r#""type":"double""#, "NaN"), r#""NaN""#);
    assert_eq!(json(Type::Float4, r#""type":"float""#, "0.1"), "0.1");
    assert_eq!(json(Type::Date, r#""type":{"type":"int","logicalType":"date"}"#, "2024-02-29"), r#""2024-02-29""#);
}

#[test]
fn a_record_of_the_select_is_a_record_of_the_contract_or_json_text() {
    let expr = |column: u16, ty: Type| Expr {
        kind: ExprKind::Column { source: 0, column },
        ty: ColumnType::plain(ty),
        nullable: false,
        span: Span::default(),
    };
    let mut plan = plan(&[("id", ColumnType::plain(Type::Int8), true), ("v", ColumnType::plain(Type::Jsonb), true)]);
    let fields = vec![crate::transform::Field {
        name: "n".into(),
        shape: Shape::Scalar(expr(0, Type::Int8)),
        span: Span::default(),
    }];
    plan.outputs[1].shape = Shape::Record { fields, json: expr(1, Type::Jsonb) };
    let body = |field: &str, from_default: &[&str]| {
        let contract = contract(field);
        let key = KeySchema::derive(&plan, &contract).unwrap();
        let options = RenderOptions {
            max_record: 1000,
            from_default: from_default.iter().map(|s| (*s).to_owned()).collect(),
            ..RenderOptions::default()
        };
        let renderer = Renderer::new(&plan, &contract, &key, &options)?;
        let mut out = Rendered::default();
        let row = [Some(&b"7"[..]), Some(&b"{\"n\": 7}"[..])];
        renderer.render(&Context::default(), &row, &NoLookup, &mut out).unwrap();
        Ok::<_, Vec<Diagnostic>>(out.body().to_vec())
    };
    let record = r#""type":["null",{"type":"record","name":"N","fields":[{"name":"n","type":"long"},{"name":"d","type":"int","default":3}]}]"#;
    assert_eq!(body(record, &["v.d"]).unwrap(), [14, 2, 14, 6]);
    assert_eq!(body(r#""type":"string""#, &[]).unwrap(), b"\x0e\x10{\"n\": 7}");
    let findings = body(record, &[]).unwrap_err();
    assert!(findings[0].to_string().contains("\"v.d\" has no output"), "{findings:?}");
    let findings = body(r#""type":"string""#, &["v.d"]).unwrap_err();
    assert_eq!(findings[0].code, codes::UNKNOWN_PATH);
}

#[test]
fn a_transform_goes_from_its_text_to_avro() {
    use crate::catalogue::{Catalogue, Column, Index, ReplicaIdentity, Table, TableKind};
    let sql = "/* pgspine\ntopic = \"t\"\nkey = [\"id\"]\n*/\nSELECT id, v || '!' AS v FROM t WHERE v <> 'no'";
    let column = |name: &str, attnum, ty| Column {
        name: name.into(),
        attnum,
        ty: ColumnType::plain(ty),
        not_null: true,
        generated: false,
        comment: None,
    };
    let index = Index {
        name: "t_pkey".into(),
        columns: vec!["id".into()],
        primary: true,
        unique: true,
        immediate: true,
        valid: true,
        partial: false,
    };
    let table = Table {
        oid: 1,
        name: QualifiedName::new("public", "t"),
        kind: TableKind::Ordinary,
        columns: vec![column("id", 1, Type::Int8), column("v", 2, Type::Text)],
        indexes: vec![index],
        checks: Vec::new(),
        replica_identity: ReplicaIdentity::Default,
        row_security: false,
        comment: None,
        leaves: Vec::new(),
    };
    let catalogue = Catalogue { tables: vec![table], search_path: vec!["public".into()], ..Catalogue::default() };
    let file = crate::transform::source::parse_text(Path::new("."), Path::new("t.sql"), sql.into()).unwrap();
    let plan = crate::transform::bind(&file, &catalogue).unwrap();
    let contract = contract(r#""type":"string""#);
    let key = KeySchema::derive(&plan, &contract).unwrap();
    let options = RenderOptions { max_record: 1000, ..RenderOptions::default() };
    let renderer = Renderer::new(&plan, &contract, &key, &options).unwrap();
    let mut out = Rendered::default();
    let mut row = |v: &'static str| {
        let names = plan.sources[0].columns.iter().map(|c| c.name.as_str());
        let row: Vec<Option<&[u8]>> = names.map(|n| Some(if n == "id" { &b"7"[..] } else { v.as_bytes() })).collect();
        let outcome = renderer.render(&Context::default(), &row, &NoLookup, &mut out).unwrap();
        (outcome, out.body().to_vec())
    };
    assert_eq!(row("yes"), (Outcome::Entity, b"\x0e\x08yes!".to_vec()));
    assert_eq!(row("no").0, Outcome::Filtered);
}
