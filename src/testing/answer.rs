//! What PostgreSQL answered, as the plain JSON that the contract makes of it; and the first place where two differ.
//!
//! It goes from the answer's own JSON (`to_jsonb`) and the Avro type to the plain form, and shares no code with the
//! bridge's way there. Numbers are compared by their digits, never through a float that the contract does not have.

use serde_json::{Map, Value, json};

use crate::datum::json::{JsonKind, kind, parts, unquote};
use crate::encode::avro::{Avro, Record, RecordField, Special};

/// A row's JSON as a record.
pub fn record(record: &Record, row: &str) -> Value {
    // jsonb holds each key once.
    let members: Vec<(&str, &str)> = parts(row).collect();
    let fields = record.fields.iter().map(|f| {
        let found = members.iter().find(|(key, _)| unquote(key) == f.name);
        (f.name.clone(), found.map_or_else(|| missing(f), |(_, v)| plain(&f.ty, v)))
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A row of the SELECT: its JSON, and the text form of each column, which is what a string of the contract holds.
pub fn row<'r>(contract: &Record, json: &str, text: &dyn Fn(&str) -> Option<&'r str>) -> Value {
    let mut value = record(contract, json);
    for f in contract.fields.iter().filter(|f| *f.ty.non_null().0 == Avro::String) {
        if let Some(text) = text(&f.name) {
            value[&f.name] = json!(text);
        }
    }
    value
}

/// json without a key that the contract's record has.
fn missing(f: &RecordField) -> Value {
    match (&f.default, f.ty.non_null().1) {
        (Some(default), _) => default.clone(),
        (None, Some(_)) => Value::Null,
        (None, None) => json!({ "missing in the answer": f.name }),
    }
}

fn plain(ty: &Avro, answer: &str) -> Value {
    let ty = match (ty.non_null(), kind(answer)) {
        (_, JsonKind::Null) => return Value::Null,
        ((inner, _), _) => inner,
    };
    // A type that does not fit stays as it is in the answer, and differs.
    match (ty, kind(answer)) {
        (Avro::Record(r), JsonKind::Object) => record(r, answer),
        (Avro::Array(items), JsonKind::Array) => parts(answer).map(|(_, v)| plain(items, v)).collect(),
        (Avro::Map(values), JsonKind::Object) => {
            parts(answer).map(|(k, v)| (unquote(k).into_owned(), plain(values, v))).collect::<Map<_, _>>().into()
        }
        (Avro::Boolean, JsonKind::Boolean) => json!(answer == "true"),
        (Avro::Int | Avro::Long, JsonKind::Number) => {
            answer.parse::<i64>().map_or_else(|_| json!(answer), |n| json!(n))
        }
        // An oid is no number to to_jsonb.
        (Avro::Int | Avro::Long, JsonKind::String) => {
            unquote(answer).parse::<u32>().map_or_else(|_| json!(unquote(answer)), |n| json!(n))
        }
        (Avro::Double, JsonKind::Number) => answer.parse::<f64>().map_or_else(|_| json!(answer), |n| json!(n)),
        // The nearest float, by its own digits.
        (Avro::Float, JsonKind::Number) => {
            let digits = answer.parse::<f32>().ok().and_then(|n| n.to_string().parse::<f64>().ok());
            digits.map_or_else(|| json!(answer), |n| json!(n))
        }
        (Avro::Enum(e), JsonKind::String) => {
            let symbol = unquote(answer).into_owned();
            let known = e.symbols.contains(&symbol);
            json!(if known { symbol } else { e.default.clone().unwrap_or(symbol) })
        }
        (Avro::Decimal(d), JsonKind::Number) => json!(scaled(answer, d.scale as usize)),
        (Avro::TimestampMicros, JsonKind::String) => json!(instant(&unquote(answer), 6)),
        (Avro::TimestampMillis, JsonKind::String) => json!(instant(&unquote(answer), 3)),
        (Avro::LocalTimestampMicros | Avro::TimeMicros, JsonKind::String) => json!(micros(&unquote(answer), 6)),
        (Avro::LocalTimestampMillis | Avro::TimeMillis, JsonKind::String) => json!(micros(&unquote(answer), 3)),
        (_, JsonKind::String) => json!(unquote(answer)),
        // json and numbers in a string of the contract: the text as PostgreSQL prints it.
        _ => json!(answer),
    }
}

/// Zeros up to the contract's scale.
fn scaled(number: &str, scale: usize) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if scale == 0 && fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction:0<scale$}") }
}

/// RFC 3339 from PostgreSQL's JSON form under UTC.
fn instant(time: &str, kept: usize) -> String {
    time.strip_suffix("+00:00").map_or_else(|| time.to_owned(), |t| micros(t, kept) + "Z")
}

/// Six digits of a second, of which so many are kept.
fn micros(time: &str, kept: usize) -> String {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let fraction: String = fraction.chars().take(kept).collect();
    format!("{whole}.{fraction:0<6}")
}

/// Takes out of both what the answer does not decide: fields left to their default, and those that say themselves what
/// becomes of a value they cannot hold.
pub fn undecided(contract: &Record, from_default: &[String], sides: [&mut Value; 2]) {
    let undecided = |f: &&RecordField| f.special != Special::RowError || from_default.contains(&f.name);
    for side in sides {
        let Value::Object(members) = side else { continue };
        for f in contract.fields.iter().filter(undecided) {
            members.remove(&f.name);
        }
    }
}

/// Where and what differs first: the path, what the topic has, what PostgreSQL answered.
pub fn difference(path: &str, topic: &Value, answer: &Value) -> Option<(String, String, String)> {
    match (topic, answer) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            difference(&path, value, b.get(name).unwrap_or(&Value::Null))
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(&format!("{path}[{i}]"), a, b))
        }
        (Value::String(a), Value::String(b)) if *a == text_form(b) => None,
        (a, b) => (a != b).then(|| (path.to_owned(), a.to_string(), b.to_string())),
    }
}

/// A time within JSON as PostgreSQL's text form has it: a record's string field holds that.
fn text_form(json: &str) -> String {
    let b = json.as_bytes();
    let is_time = b.len() >= 19 && b[10] == b'T' && b[4] == b'-' && b[13] == b':';
    if !is_time {
        return json.to_owned();
    }
    let (date, time) = (&json[..10], &json[11..]);
    match time.strip_suffix("+00:00") {
        Some(time) => format!("{date} {time}+00"),
        None => format!("{date} {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::contract::read_schema;

    fn check(schema: &str, answer: &str, expected: Value) {
        let fields = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "f", "type": {schema}}}]}}"#);
        let Ok(Avro::Record(r)) = read_schema(&fields) else { panic!("{fields}") };
        assert_eq!(record(&r, &format!("{{\"f\": {answer}}}"))["f"], expected, "{schema} {answer}");
    }

    #[test]
    fn answers_in_the_contracts_terms() {
        let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}"#;
        let stamp = r#"{"type": "long", "logicalType": "timestamp-micros"}"#;
        check("\"long\"", "9007199254740993", json!(9_007_199_254_740_993_i64));
        check("[\"null\", \"long\"]", "null", Value::Null);
        check("\"double\"", "0.1", json!(0.1));
        check(decimal, "90071992547409931.5", json!("90071992547409931.50"));
        check(decimal, "-3", json!("-3.00"));
        check(stamp, "\"2026-01-02T03:04:05.6+00:00\"", json!("2026-01-02T03:04:05.600000Z"));
        check(stamp, "\"2026-01-02T03:04:05+00:00\"", json!("2026-01-02T03:04:05.000000Z"));
        check("\"string\"", r#""a \"b\" \u00df""#, json!("a \"b\" ß"));
        check("\"string\"", r#"{"a": 1.50}"#, json!(r#"{"a": 1.50}"#));
        check(r#"{"type": "array", "items": ["null", "string"]}"#, r#"["a", null]"#, json!(["a", null]));
        check("\"boolean\"", "false", json!(false));
        check("\"float\"", "0.1", json!(0.1));
        check("\"long\"", "\"4294967295\"", json!(4_294_967_295_u32));
        check(
            &stamp.replace("micros", "millis"),
            "\"2026-01-02T03:04:05.6789+00:00\"",
            json!("2026-01-02T03:04:05.678000Z"),
        );
        let kind = r#"{"type": "enum", "name": "K", "symbols": ["a", "other"], "default": "other"}"#;
        check(kind, "\"a\"", json!("a"));
        check(kind, "\"b\"", json!("other"));
    }

    #[test]
    fn strings_of_the_contract_hold_text_forms() {
        let fields = r#"{"type": "record", "name": "R", "fields": [{"name": "at", "type": ["null", "string"]}]}"#;
        let Ok(Avro::Record(r)) = read_schema(fields) else { panic!("{fields}") };
        let json = r#"{"at": "2026-01-02T03:04:05+00:00"}"#;
        assert_eq!(row(&r, json, &|_| Some("2026-01-02 03:04:05+00")), json!({"at": "2026-01-02 03:04:05+00"}));
        assert_eq!(difference("", &json!(["2026-01-02 03:04:05+00"]), &json!(["2026-01-02T03:04:05+00:00"])), None);
        assert!(difference("", &json!("2026-01-02 03:04:05+00"), &json!("2026-01-02T03:04:06+00:00")).is_some());
    }

    #[test]
    fn the_first_difference_is_named() {
        let (a, b) = (json!({"x": [1, {"y": "1.0"}]}), json!({"x": [1, {"y": "1.00"}]}));
        let expected = ("x[1].y".to_owned(), "\"1.0\"".to_owned(), "\"1.00\"".to_owned());
        assert_eq!(difference("", &a, &b), Some(expected));
        assert_eq!(difference("", &a, &a.clone()), None);
    }
}
