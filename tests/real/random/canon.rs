//! One form for values from both sides: PostgreSQL's text under the pinned settings, and what apache-avro decodes.
//!
//! Nothing here is the product's code: dates, decimals and literals of arrays are read once more, by hand.

use std::collections::BTreeMap;

use apache_avro::types::Value;
use num_bigint::BigInt;
use pgspine::catalogue::Type;
use serde_json::Value as Json;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Canon {
    Null,
    Bool(bool),
    Int(i128),
    /// The bits of a double; one NaN.
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Canon>),
    Map(BTreeMap<String, Canon>),
}

/// A value that its field cannot hold: `special` may have a word for it.
#[derive(Debug)]
#[allow(dead_code, reason = "the words are for the report")]
pub enum Unholdable {
    Special(&'static str),
    Other(&'static str),
}

use Unholdable::{Other, Special};

pub type Fit<T> = Result<T, Unholdable>;

/// Splits `["null", T]`, in whichever order; the other branch and whether there is null.
pub fn non_null(schema: &Json) -> (&Json, bool) {
    match schema.as_array() {
        Some(branches) => (branches.iter().find(|b| **b != "null").expect("a type"), true),
        None => (schema, false),
    }
}

fn names(schema: &Json) -> (&str, &str) {
    match schema {
        Json::String(name) => (name, ""),
        other => (other["type"].as_str().unwrap_or(""), other["logicalType"].as_str().unwrap_or("")),
    }
}

/// What the field must hold for a text of PostgreSQL.
pub fn from_text(text: Option<&str>, ty: &Type, schema: &Json, special: &str) -> Fit<Canon> {
    let (inner, union) = non_null(schema);
    let Some(text) = text else {
        return if union { Ok(Canon::Null) } else { Err(Other("NULL")) };
    };
    match some(text, ty, inner, special) {
        Err(Special(_)) if special == "null" && union => Ok(Canon::Null),
        other => other,
    }
}

const FIRST_DAY: i128 = -719_162;
const LAST_DAY: i128 = 2_932_896;
const DAY: i128 = 86_400_000_000;

fn some(text: &str, ty: &Type, schema: &Json, special: &str) -> Fit<Canon> {
    let clamp = special == "clamp";
    let integer = || text.parse::<i128>().map_err(|_| Other("no number"));
    Ok(match names(schema) {
        ("boolean", _) => Canon::Bool(text == "t"),
        ("int", "date") => {
            let (days, infinite) = days(text)?;
            match (clamp, infinite) {
                (true, _) => Canon::Int(days.clamp(FIRST_DAY, LAST_DAY)),
                (false, true) => return Err(Special("infinity")),
                (false, false) if days < FIRST_DAY => return Err(Special("BC")),
                (false, false) => Canon::Int(days),
            }
        }
        (_, logical @ ("time-micros" | "time-millis")) => {
            let micros = match (time(text), clamp) {
                (DAY, true) => DAY - 1,
                (DAY, false) => return Err(Special("24:00")),
                (micros, _) => micros,
            };
            Canon::Int(if logical == "time-millis" { micros / 1000 } else { micros })
        }
        (_, logical) if logical.contains("timestamp") => {
            let (micros, infinite) = timestamp(text)?;
            let micros = match (clamp, infinite) {
                (true, _) => micros.clamp(FIRST_DAY * DAY, (LAST_DAY + 1) * DAY - 1),
                (false, true) => return Err(Special("infinity")),
                (false, false) if micros < FIRST_DAY * DAY => return Err(Special("BC")),
                (false, false) if micros > i128::from(i64::MAX) => return Err(Special("too far")),
                (false, false) => micros,
            };
            Canon::Int(if logical.ends_with("millis") { micros.div_euclid(1000) } else { micros })
        }
        ("int" | "long", _) => Canon::Int(integer()?),
        ("float", _) => float(f64::from(text.parse::<f32>().expect("a float"))),
        ("double", _) if *ty == Type::Float4 => float(f64::from(text.parse::<f32>().expect("a float"))),
        ("double", _) => float(text.parse().expect("a float")),
        (_, "decimal") => decimal(text, schema, clamp)?,
        ("fixed", "uuid") | ("string", _) => Canon::Text(text.to_owned()),
        ("enum", _) => {
            let known = schema["symbols"].as_array().is_some_and(|s| s.iter().any(|s| s == text));
            match (known, schema["default"].as_str()) {
                (true, _) => Canon::Text(text.to_owned()),
                (false, Some(default)) => Canon::Text(default.to_owned()),
                (false, None) => return Err(Other("symbol")),
            }
        }
        ("bytes", _) => Canon::Bytes(
            (2..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect(),
        ),
        ("array", _) => {
            let Type::Array(element) = ty else { return Ok(json(&parse_json(text), schema)) };
            let items: Fit<Vec<Canon>> =
                array(text)?.iter().map(|i| from_text(i.as_deref(), element, &schema["items"], special)).collect();
            Canon::List(items?)
        }
        ("map", _) => {
            Canon::Map(hstore(text).into_iter().map(|(k, v)| (k, v.map_or(Canon::Null, Canon::Text))).collect())
        }
        ("record", _) => match ty {
            Type::Composite(c) => {
                let values = list(&text[1..text.len() - 1], true);
                let mut map = BTreeMap::new();
                for ((name, ty), value) in c.fields.iter().zip(values) {
                    let fields = schema["fields"].as_array().expect("fields");
                    let field = fields.iter().find(|f| f["name"] == **name).expect("field");
                    map.insert(name.clone(), from_text(value.as_deref(), &ty.ty, &field["type"], "")?);
                }
                Canon::Map(map)
            }
            _ => json(&parse_json(text), schema),
        },
        other => panic!("no canonical form for {other:?}"),
    })
}

fn float(f: f64) -> Canon {
    Canon::Float(if f.is_nan() { f64::NAN.to_bits() } else { f.to_bits() })
}

fn decimal(text: &str, schema: &Json, clamp: bool) -> Fit<Canon> {
    let precision = schema["precision"].as_u64().expect("precision") as usize;
    let scale = schema["scale"].as_u64().unwrap_or(0) as usize;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let limit = || {
        let nines = "9".repeat(precision);
        Ok(Canon::Text(if negative { format!("-{nines}") } else { nines }))
    };
    match digits {
        "NaN" => return Err(Special("NaN")),
        "Infinity" if clamp => return limit(),
        "Infinity" => return Err(Special("infinity")),
        _ => {}
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    if whole.len() > precision - scale {
        return if clamp { limit() } else { Err(Special("digits")) };
    }
    let kept = fraction.trim_end_matches('0');
    if kept.len() > scale {
        return Err(Special("fraction"));
    }
    let unscaled = format!("{whole}{kept}{}", "0".repeat(scale - kept.len()));
    let unscaled = unscaled.trim_start_matches('0');
    Ok(Canon::Text(match (unscaled, negative) {
        ("", _) => "0".to_owned(),
        (n, true) => format!("-{n}"),
        (n, false) => n.to_owned(),
    }))
}

/// Days since 1970, and whether it is an infinity.
fn days(text: &str) -> Fit<(i128, bool)> {
    match text {
        "infinity" => return Ok((i128::MAX / DAY / 4, true)),
        "-infinity" => return Ok((i128::MIN / DAY / 4, true)),
        _ => {}
    }
    let (text, bc) = match text.strip_suffix(" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut parts = text.split('-').map(|p| p.parse::<i128>().expect("a date"));
    let (y, m, d) = (parts.next().expect("y"), parts.next().expect("m"), parts.next().expect("d"));
    let y = if bc { 1 - y } else { y };
    // Days from civil, counted from March.
    let (y, m) = if m <= 2 { (y - 1, m + 9) } else { (y, m - 3) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + d - 1;
    Ok((days - 719_468, false))
}

fn time(text: &str) -> i128 {
    let mut parts = text.split(':');
    let mut number = || parts.next().expect("a time");
    let (h, m, s) = (number(), number(), number());
    let (s, fraction) = s.split_once('.').unwrap_or((s, ""));
    let n = |t: &str| t.parse::<i128>().expect("a number");
    (n(h) * 3600 + n(m) * 60 + n(s)) * 1_000_000 + n(&format!("{fraction:0<6}"))
}

fn timestamp(text: &str) -> Fit<(i128, bool)> {
    if text.ends_with("infinity") {
        let (days, _) = days(text)?;
        return Ok((days * DAY, true));
    }
    let (text, bc) = match text.strip_suffix(" BC") {
        Some(rest) => (rest, " BC"),
        None => (text, ""),
    };
    let (date, clock) = text.split_once(' ').expect("a timestamp");
    let clock = clock.strip_suffix("+00").unwrap_or(clock);
    Ok((days(&format!("{date}{bc}"))?.0 * DAY + time(clock), false))
}

/// A literal of an array of one dimension.
pub fn array(text: &str) -> Fit<Vec<Option<String>>> {
    let body = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]=").expect("bounds").1,
        None => text,
    };
    let inner = &body[1..body.len() - 1];
    if inner.starts_with('{') {
        return Err(Other("dimensions"));
    }
    Ok(if inner.is_empty() { Vec::new() } else { list(inner, false) })
}

/// Values between commas; of a composite an empty one is NULL, of an array the word.
pub fn list(text: &str, composite: bool) -> Vec<Option<String>> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let (mut value, mut quoted) = (String::new(), false);
        let mut inside = false;
        let end = loop {
            match chars.next() {
                None => break true,
                Some('"') if inside && composite && chars.peek() == Some(&'"') => {
                    chars.next();
                    value.push('"');
                }
                Some('"') => (inside, quoted) = (!inside, true),
                Some('\\') => value.extend(chars.next()),
                Some(',') if !inside => break false,
                Some(c) => value.push(c),
            }
        };
        let null = !quoted && if composite { value.is_empty() } else { value == "NULL" };
        out.push((!null).then_some(value));
        if end {
            return out;
        }
    }
}

fn hstore(text: &str) -> BTreeMap<String, Option<String>> {
    let mut map = BTreeMap::new();
    let mut chars = text.chars();
    let string = |chars: &mut std::str::Chars<'_>| {
        let mut value = String::new();
        loop {
            match chars.next() {
                None | Some('"') => return value,
                Some('\\') => value.extend(chars.next()),
                Some(c) => value.push(c),
            }
        }
    };
    while chars.next() == Some('"') {
        let key = string(&mut chars);
        assert_eq!((chars.next(), chars.next()), (Some('='), Some('>')));
        let value = match chars.next() {
            Some('"') => Some(string(&mut chars)),
            _ => {
                chars.nth(2);
                None
            }
        };
        map.insert(key, value);
        if chars.next() == Some(',') {
            chars.next();
        }
    }
    map
}

fn parse_json(text: &str) -> Json {
    serde_json::from_str(text).expect("JSON")
}

/// The known shape: numbers of at most 17 digits, which serde_json keeps.
fn json(value: &Json, schema: &Json) -> Canon {
    let (inner, _) = non_null(schema);
    if value.is_null() {
        return Canon::Null;
    }
    match names(inner) {
        ("boolean", _) => Canon::Bool(value.as_bool().expect("a boolean")),
        ("int" | "long", _) => Canon::Int(value.as_i64().expect("an integer").into()),
        ("string", _) => Canon::Text(value.as_str().expect("a string").to_owned()),
        (_, "decimal") => match decimal(&value.to_string(), inner, false) {
            Ok(canon) => canon,
            Err(e) => panic!("{value}: {e:?}"),
        },
        ("array", _) => {
            Canon::List(value.as_array().expect("a list").iter().map(|v| json(v, &inner["items"])).collect())
        }
        ("record", _) => {
            let fields = inner["fields"].as_array().expect("fields");
            let of = |f: &Json| {
                let name = f["name"].as_str().expect("a name");
                (name.to_owned(), json(value.get(name).unwrap_or(&Json::Null), &f["type"]))
            };
            Canon::Map(fields.iter().map(of).collect())
        }
        other => panic!("no canonical form for {other:?}"),
    }
}

/// What apache-avro decoded.
pub fn from_avro(value: &Value) -> Canon {
    match value {
        Value::Null => Canon::Null,
        Value::Boolean(b) => Canon::Bool(*b),
        Value::Int(n) | Value::Date(n) | Value::TimeMillis(n) => Canon::Int((*n).into()),
        Value::Long(n)
        | Value::TimeMicros(n)
        | Value::TimestampMillis(n)
        | Value::TimestampMicros(n)
        | Value::LocalTimestampMillis(n)
        | Value::LocalTimestampMicros(n) => Canon::Int((*n).into()),
        Value::Float(f) => float(f64::from(*f)),
        Value::Double(f) => float(*f),
        Value::Bytes(b) | Value::Fixed(_, b) => Canon::Bytes(b.clone()),
        Value::String(s) | Value::Enum(_, s) => Canon::Text(s.clone()),
        Value::Uuid(u) => Canon::Text(u.to_string()),
        Value::Decimal(d) => {
            let bytes = Vec::<u8>::try_from(d.clone()).expect("a decimal");
            Canon::Text(BigInt::from_signed_bytes_be(&bytes).to_string())
        }
        Value::Union(_, inner) => from_avro(inner),
        Value::Array(items) => Canon::List(items.iter().map(from_avro).collect()),
        Value::Map(map) => Canon::Map(map.iter().map(|(k, v)| (k.clone(), from_avro(v))).collect()),
        Value::Record(fields) => Canon::Map(fields.iter().map(|(k, v)| (k.clone(), from_avro(v))).collect()),
        other => panic!("no canonical form for {other:?}"),
    }
}
