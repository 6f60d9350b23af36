//! `preview NAME`: records as plain JSON, one a line, from the source, without Kafka.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::{Exit, Failure, options, preview, survey};

use super::args::Args;
use super::{codes, refused};

pub struct Wish<'a> {
    pub name: &'a str,
    pub key: Option<&'a str>,
    pub limit: u64,
    pub follow: bool,
}

pub fn preview(args: &Args, wish: &Wish<'_>) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match show(&config, wish) {
        Ok(0) => Exit::Done,
        // A row that cannot be told is a finding.
        Ok(_) => Exit::Findings,
        Err(failure) => refused(args, &failure),
    }
}

/// Gives how many rows could not be told.
fn show(config: &Config, wish: &Wish<'_>) -> Result<u64, Failure> {
    let pg = options::postgres(config)?;
    let mut survey = survey::one(config, &pg, wish.name)?;
    let key = match wish.key {
        None => None,
        Some(text) => Some(wanted_key(&survey.project.definitions[0].key_columns(), text)?),
    };
    let (mut left, mut errors) = (wish.limit, 0);
    let mut out = std::io::stdout().lock();
    let mut take = |record: Value| {
        if key.as_ref().is_some_and(|k| !same_key(k, &record["key"])) {
            return true;
        }
        if !wish.follow && left == 0 {
            return false;
        }
        left = left.saturating_sub(1);
        errors += u64::from(!record["error"].is_null());
        // Whoever reads may have seen enough.
        let told = writeln!(out, "{record}").and_then(|()| out.flush()).is_ok();
        told && (wish.follow || left > 0)
    };
    if wish.follow {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // Without it the signal ends the process at once, which leaves a temporary folder behind and no more.
            let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
        }
        // A key is looked for among all rows.
        let first = if wish.key.is_some() { u64::MAX } else { wish.limit };
        preview::follow(config, &mut survey, 0, first, &stop, &mut take)?;
    } else if wish.limit > 0 {
        preview::rows(config, &mut survey, 0, &mut take)?;
    }
    Ok(errors)
}

/// `{"order_id":1}`, or the bare value of a single key column.
fn wanted_key(columns: &[String], text: &str) -> Result<Value, Failure> {
    let json: Value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let wrong = |message: String| {
        let example: Vec<String> = columns.iter().map(|c| format!("\"{c}\":…")).collect();
        let d = Diagnostic::error(codes::OPTION, message).help(format!("write --key '{{{}}}'", example.join(",")));
        Err(Failure::Findings(vec![d]))
    };
    match (&json, columns) {
        (Value::Object(fields), _) => {
            let same = fields.len() == columns.len() && columns.iter().all(|c| fields.contains_key(c));
            if same { Ok(json) } else { wrong(format!("--key {text} does not have the key's columns")) }
        }
        (_, [column]) => Ok(json!({ column: json })),
        _ => wrong(format!("the key has {} columns, --key {text} is one value", columns.len())),
    }
}

/// By the values' text: `1` and `"1"` name the same key.
fn same_key(wanted: &Value, key: &Value) -> bool {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    wanted.as_object().is_some_and(|w| w.iter().all(|(column, v)| text(v) == text(&key[column])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_objects_or_the_bare_value() {
        let columns = |names: &[&str]| -> Vec<String> { names.iter().map(|n| (*n).to_owned()).collect() };
        let one = columns(&["id"]);
        for (text, key) in [("1", json!({"id": 1})), ("{\"id\":2}", json!({"id": 2})), ("a-b", json!({"id": "a-b"}))] {
            assert_eq!(wanted_key(&one, text).unwrap(), key);
        }
        assert!(wanted_key(&columns(&["a", "b"]), "1").is_err());
        assert!(wanted_key(&one, "{\"other\":1}").is_err());
        assert!(same_key(&json!({"id": "1"}), &json!({"id": 1})) && !same_key(&json!({"id": 1}), &json!({"id": 2})));
    }
}
