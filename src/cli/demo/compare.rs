//! What PostgreSQL answered, as the plain JSON that the contract makes of it; and the first place where two differ.
//!
//! It goes from the answer's own JSON (`to_jsonb`) and the Avro type to the plain form, and shares no code with the
//! bridge's way there. Numbers are compared by their digits, never through a float that the contract does not have.

use serde_json::{Map, Value, json};

use crate::datum::json::{JsonKind, kind, parts, unquote};
use crate::encode::avro::{Avro, Record};

/// A row's JSON as a record.
pub fn record(record: &Record, row: &str) -> Value {
    // jsonb holds each key once.
    let members: Vec<(&str, &str)> = parts(row).collect();
    let fields = record.fields.iter().map(|f| {
        let found = members.iter().find(|(key, _)| unquote(key) == f.name);
        let value = found.map_or_else(|| json!({ "missing in the answer": f.name }), |(_, v)| plain(&f.ty, v));
        (f.name.clone(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
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
        (Avro::Float | Avro::Double, JsonKind::Number) => {
            answer.parse::<f64>().map_or_else(|_| json!(answer), |n| json!(n))
        }
        (Avro::Decimal(d), JsonKind::Number) => json!(scaled(answer, d.scale as usize)),
        (Avro::TimestampMicros | Avro::TimestampMillis, JsonKind::String) => {
            json!(
                unquote(answer)
                    .strip_suffix("+00:00")
                    .map_or_else(|| unquote(answer).into_owned(), |t| micros(t) + "Z")
            )
        }
        (
            Avro::LocalTimestampMicros | Avro::LocalTimestampMillis | Avro::TimeMicros | Avro::TimeMillis,
            JsonKind::String,
        ) => {
            json!(micros(&unquote(answer)))
        }
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

/// Six digits of a second.
fn micros(time: &str) -> String {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{whole}.{fraction:0<6}")
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
        (a, b) => (a != b).then(|| (path.to_owned(), a.to_string(), b.to_string())),
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
    }

    #[test]
    fn the_first_difference_is_named() {
        let (a, b) = (json!({"x": [1, {"y": "1.0"}]}), json!({"x": [1, {"y": "1.00"}]}));
        let expected = ("x[1].y".to_owned(), "\"1.0\"".to_owned(), "\"1.00\"".to_owned());
        assert_eq!(difference("", &a, &b), Some(expected));
        assert_eq!(difference("", &a, &a.clone()), None);
    }
}
