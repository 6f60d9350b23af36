//! What a transaction brought against what was expected of it.

use std::fmt::Write;

use serde_json::Value;

use super::bridge::Made;
use super::codes;
use super::expectation::OPEN;
use super::file::{ExpectedRecord, TestFile, Transaction};
use crate::diagnostic::{Diagnostic, Span};

/// What comparing has to know of the transforms, by the index that records carry.
pub struct Watched<'w> {
    pub name: &'w str,
    /// Several records of a key, in order.
    pub event: bool,
}

/// How wide a record may be before it is written over several lines.
const LINE: usize = 100;

pub fn compare(file: &TestFile, t: &Transaction, made: &[Made], watched: &[Watched<'_>]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let (letters, records): (Vec<&Made>, Vec<&Made>) = made.iter().partition(|m| m.letter.is_some());
    let mut taken = vec![false; records.len()];
    for expected in &t.records {
        // A record that fits before one that only has the key: of events there may be several.
        let candidates = || {
            let of = |(i, m): &(usize, &&Made)| {
                !taken[*i] && watched[m.transform].name == expected.transform && same(&expected.key, &m.key)
            };
            records.iter().enumerate().filter(of)
        };
        let event = watched.iter().any(|w| w.name == expected.transform && w.event);
        let fitting = if event { None } else { candidates().find(|(_, m)| fits(expected, m)) };
        let found = fitting.or_else(|| candidates().next()).map(|(i, m)| (i, *m));
        match found {
            None => findings.push(did_not_come(file, expected, &records, watched)),
            Some((i, m)) => {
                taken[i] = true;
                if !fits(expected, m) {
                    findings.push(came_otherwise(file, expected, m));
                }
            }
        }
    }
    order(file, t, &records, watched, &mut findings);
    let left: Vec<&Made> = records.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(m, _)| *m).collect();
    if !left.is_empty() {
        findings.push(nobody_expects(file, t, &left, watched));
    }
    errors(file, t, &letters, watched, &mut findings);
    findings
}

fn fits(expected: &ExpectedRecord, made: &Made) -> bool {
    match (&expected.value, &made.value) {
        (None, None) => true,
        (Some(e), Some(m)) => {
            let mut lines = Vec::new();
            differences("", Some(e), Some(m), &mut lines);
            lines.is_empty()
        }
        _ => false,
    }
}

/// Events of a transform come in the order in which they are expected.
fn order(file: &TestFile, t: &Transaction, records: &[&Made], watched: &[Watched<'_>], findings: &mut Vec<Diagnostic>) {
    if !findings.is_empty() {
        return;
    }
    for w in watched.iter().filter(|w| w.event) {
        let came = records.iter().filter(|m| watched[m.transform].name == w.name);
        let expected = t.records.iter().filter(|e| e.transform == w.name);
        if let Some((e, m)) = expected.zip(came).find(|(e, m)| !same(&e.key, &m.key)) {
            let message = format!("{} {} stands here, and {} came before it", w.name, e.key, m.key);
            let d = Diagnostic::error(codes::RECORDS, message);
            findings.push(d.at(file.place(e.span)).help("events are expected in the order of their rows"));
        }
    }
}

fn did_not_come(file: &TestFile, expected: &ExpectedRecord, records: &[&Made], watched: &[Watched<'_>]) -> Diagnostic {
    let what = if expected.value.is_none() { "a tombstone of " } else { "" };
    let message = format!("{what}{} {} did not come", expected.transform, expected.key);
    let others: Vec<String> =
        records.iter().filter(|m| watched[m.transform].name == expected.transform).map(|m| m.key.to_string()).collect();
    let help = match others.is_empty() {
        true => format!("nothing came of {}", expected.transform),
        false => format!("of {} came: {}", expected.transform, others.join(", ")),
    };
    Diagnostic::error(codes::RECORDS, message).at(file.place(expected.span)).help(help)
}

fn came_otherwise(file: &TestFile, expected: &ExpectedRecord, made: &Made) -> Diagnostic {
    let name = format!("{} {}", expected.transform, expected.key);
    let message = match (&expected.value, &made.value) {
        (Some(_), None) => format!("{name} came as a tombstone"),
        (None, Some(_)) => format!("{name} came with a value, a tombstone is expected"),
        _ => format!("{name} came with other values"),
    };
    let mut lines = Vec::new();
    match (&expected.value, &made.value) {
        (Some(e), Some(m)) => differences("", Some(e), Some(m), &mut lines),
        (e, m) => lines.extend([
            format!("- {}", e.as_ref().unwrap_or(&Value::Null)),
            format!("+ {}", m.as_ref().unwrap_or(&Value::Null)),
        ]),
    }
    let help = lines.iter().fold("- is expected, + came".to_owned(), |help, line| help + "\n        " + line);
    Diagnostic::error(codes::RECORDS, message).at(file.place(expected.span)).help(help)
}

fn nobody_expects(file: &TestFile, t: &Transaction, left: &[&Made], watched: &[Watched<'_>]) -> Diagnostic {
    let message = match left {
        [one] => format!("{} {} came, and is not expected", watched[one.transform].name, one.key),
        more => format!("{} records came that are not expected", more.len()),
    };
    let help = left.iter().fold("if they are right, write".to_owned(), |mut help, m| {
        let record = written(watched[m.transform].name, &m.key, m.value.as_ref());
        record.lines().for_each(|line| help = format!("{help}\n        {line}"));
        help
    });
    let at: Span = t.nothing.unwrap_or(t.span);
    Diagnostic::error(codes::RECORDS, message).at(file.place(at)).help(help)
}

/// A record in the form of a test file.
pub fn written(transform: &str, key: &Value, value: Option<&Value>) -> String {
    let head = format!("-- expect {transform} {key} => ");
    let short = value.map_or("null".to_owned(), Value::to_string);
    if head.len() + short.len() <= LINE {
        return head + &short;
    }
    let mut out = head + "{";
    let members: Vec<_> = value.and_then(Value::as_object).into_iter().flatten().collect();
    for (i, (name, member)) in members.iter().enumerate() {
        let comma = if i + 1 < members.len() { "," } else { "" };
        let _ = write!(out, "\n--   {}: {member}{comma}", Value::from(name.as_str()));
    }
    out + "\n-- }"
}

fn errors(
    file: &TestFile,
    t: &Transaction,
    letters: &[&Made],
    watched: &[Watched<'_>],
    findings: &mut Vec<Diagnostic>,
) {
    let text = |m: &Made| {
        let of = |name: &str| m.letter.as_ref().and_then(|l| l[name].as_str()).unwrap_or_default().to_owned();
        (of("code"), format!("{}: {}", of("path"), of("message")))
    };
    let mut taken = vec![false; letters.len()];
    for e in t.errors.iter().filter(|e| e.of_a_row()) {
        let found = letters.iter().enumerate().find(|(i, m)| {
            let (code, message) = text(m);
            !taken[*i] && code == e.code && message.contains(&e.message)
        });
        match found {
            Some((i, _)) => taken[i] = true,
            None => {
                let d = Diagnostic::error(codes::OTHER_ERROR, format!("{} {} did not come", e.code, e.message));
                findings.push(d.at(file.place(e.span)));
            }
        }
    }
    for (m, _) in letters.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        let (code, message) = text(m);
        let name = watched[m.transform].name;
        let d = Diagnostic::error(codes::OTHER_ERROR, format!("{name} {} cannot be published: {message}", m.key));
        findings.push(d.at(file.place(t.span)).help(format!("if this is meant, write -- error: {code} {message}")));
    }
}

/// Equal as JSON, numbers by their value: `1` is `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    let mut lines = Vec::new();
    differences("", Some(a), Some(b), &mut lines);
    lines.is_empty()
}

/// Lines `- path: expected` and `+ path: came`.
fn differences(path: &str, expected: Option<&Value>, came: Option<&Value>, out: &mut Vec<String>) {
    match (expected, came) {
        (Some(Value::Object(e)), Some(Value::Object(c))) => {
            let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (name, value) in e.iter().filter(|(name, _)| *name != OPEN) {
                differences(&below(name), Some(value), c.get(name), out);
            }
            if !e.contains_key(OPEN) {
                for (name, value) in c.iter().filter(|(name, _)| !e.contains_key(*name)) {
                    differences(&below(name), None, Some(value), out);
                }
            }
        }
        (Some(Value::Array(e)), Some(Value::Array(c))) => {
            for i in 0..e.len().max(c.len()) {
                differences(&format!("{path}[{i}]"), e.get(i), c.get(i), out);
            }
        }
        (Some(e), Some(c)) if e == c || equal_numbers(e, c) => {}
        (expected, came) => {
            out.extend(expected.map(|e| format!("- {path}: {e}")));
            out.extend(came.map(|c| format!("+ {path}: {c}")));
        }
    }
}

fn equal_numbers(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // Integers are equal as integers only: beyond 2^53 floats are not exact.
        (Value::Number(a), Value::Number(b)) => (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(expected: Value, came: Value, lines: &[&str]) {
        let mut out = Vec::new();
        differences("", Some(&expected), Some(&came), &mut out);
        assert_eq!(out, lines, "{expected} {came}");
    }

    #[test]
    fn each_difference_has_its_path() {
        check(json!({"a": 1, "b": [1.0]}), json!({"b": [1], "a": 1}), &[]);
        check(json!({"a": 1}), json!({"a": "1"}), &["- a: 1", "+ a: \"1\""]);
        check(
            json!({"a": {"b": [1, {"c": 2}]}}),
            json!({"a": {"b": [1, {"c": 3}, 4]}}),
            &["- a.b[1].c: 2", "+ a.b[1].c: 3", "+ a.b[2]: 4"],
        );
        check(json!({"a": 1}), json!({"a": 1, "b": null}), &["+ b: null"]);
        check(json!({"a": 1, "b": null}), json!({"a": 1}), &["- b: null"]);
        check(
            json!({"a": 9007199254740993_i64}),
            json!({"a": 9007199254740992_i64}),
            &["- a: 9007199254740993", "+ a: 9007199254740992"],
        );
    }

    #[test]
    fn an_open_object_compares_what_is_written() {
        check(json!({"a": 1, "...": null}), json!({"a": 1, "b": 2}), &[]);
        check(json!({"a": {"...": null}, "...": null}), json!({"a": 1, "b": 2}), &["- a: {\"...\":null}", "+ a: 1"]);
        check(json!({"a": 1, "...": null}), json!({"b": 2}), &["- a: 1"]);
    }

    /// Findings' messages, for records as (key, value) of an event or an entity.
    fn messages(event: bool, expects: &str, came: &[(i64, Value)]) -> Vec<String> {
        let text = format!("-- transaction: t\nSELECT 1;\n{expects}");
        let file = TestFile::parse("e".into(), std::path::Path::new("e.test.sql"), text).unwrap();
        let made = |(key, value): &(i64, Value)| Made {
            transform: 0,
            key_bytes: vec![*key as u8],
            key: json!({ "id": key }),
            value: (!value.is_null()).then(|| value.clone()),
            framed: None,
            letter: None,
        };
        let made: Vec<Made> = came.iter().map(made).collect();
        let all = compare(&file, &file.transactions[0], &made, &[Watched { name: "e", event }]);
        all.into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn events_come_in_order_and_several_of_a_key() {
        let expects = "-- expect e {\"id\":1} => {\"n\": 1}\n-- expect e {\"id\":2} => {\"n\": 2}\n-- expect e {\"id\":1} => {\"n\": 3}\n";
        let (a, b, c) = ((1, json!({"n": 1})), (2, json!({"n": 2})), (1, json!({"n": 3})));
        let none: [&str; 0] = [];
        assert_eq!(messages(true, expects, &[a.clone(), b.clone(), c.clone()]), none);
        let other = ["e {\"id\":1} came with other values"; 2];
        assert_eq!(messages(true, expects, &[c.clone(), b.clone(), a.clone()]), other);
        let order = messages(true, expects, &[b.clone(), a.clone(), c.clone()]);
        assert_eq!(order, ["e {\"id\":1} stands here, and {\"id\":2} came before it"]);
        assert_eq!(messages(true, expects, &[a.clone(), b.clone()]), ["e {\"id\":1} did not come"]);
        // Of entities the order does not matter.
        let entities = expects.replace("-- expect e {\"id\":1} => {\"n\": 3}\n", "");
        assert_eq!(messages(false, &entities, &[b, a]), none);
        assert_eq!(messages(false, "-- expect nothing", &[c]), ["e {\"id\":1} came, and is not expected"]);
    }

    #[test]
    fn records_are_written_as_a_test_reads_them() {
        assert_eq!(written("a/b", &json!({"id": 1}), None), "-- expect a/b {\"id\":1} => null");
        let value = json!({"name": "x".repeat(50), "note": "y".repeat(50)});
        let text = written("a/b", &json!({"id": 1}), Some(&value));
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().all(|l| l.starts_with("--")), "{text}");
    }
}
