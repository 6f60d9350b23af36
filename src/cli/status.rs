//! `/status` for people: the verdict first, then what is not well, then the figures; in the document's own words.

use serde_json::{Value, json};

use crate::runtime::status::{bytes, count, duration};

pub fn words(s: &Value) -> String {
    let v = &s["verdict"];
    let mut out = format!("{}  {}\n", text(&s["bridge"]), text(&v["text"]));
    let mut line = |what: &str, value: String| out.push_str(&format!("  {what:<12}{value}\n"));
    for (what, key) in [("remedy", "remedy"), ("deadline", "deadline"), ("runbook", "runbook")] {
        if !v[key].is_null() {
            line(what, text(&v[key]));
        }
    }
    line("state", format!("{} since {}", text(&s["state"]), text(&s["since"])));
    for check in list(&s["checks"]).filter(|c| c["state"] != "ok") {
        let said = format!("{}: {} (since {})", text(&check["state"]), text(&check["message"]), text(&check["since"]));
        line(&text(&check["name"]), said);
        // The verdict has said it.
        if !check["remedy"].is_null() && check["remedy"] != v["remedy"] {
            line("", text(&check["remedy"]));
        }
    }
    if list(&s["checks"]).all(|c| c["state"] == "ok") {
        line("checks", "all ok".into());
    }
    positions(s, &mut line);
    loading(s, &mut line);
    for (name, t) in s["transforms"].as_object().into_iter().flatten() {
        transform(name, t, &mut line);
    }
    problem(&s["problem"], &mut line);
    out
}

fn positions(s: &Value, line: &mut impl FnMut(&str, String)) {
    let (p, d) = (&s["positions"], &s["distances"]);
    let behind = |d: &Value| match (d["bytes"].as_u64(), d["seconds"].as_f64()) {
        (Some(0), _) | (None, _) => String::new(),
        (Some(b), None) => format!(" ({} behind)", bytes(b)),
        (Some(b), Some(s)) => format!(" ({}, {} behind)", bytes(b), duration(s)),
    };
    line(
        "positions",
        format!(
            "WAL {}, received {}{}, emitted {}{}, confirmed {}{}",
            text(&p["wal"]),
            text(&p["received"]),
            behind(&d["wal_received"]),
            text(&p["emitted"]),
            behind(&d["received_emitted"]),
            text(&p["confirmed"]),
            behind(&d["emitted_confirmed"]),
        ),
    );
    let slot = &s["slot"];
    if !slot.is_null() {
        let size = |key: &str| slot[key].as_u64().map_or("-".to_owned(), bytes);
        let lasts = match (slot["safe_wal_bytes"].as_i64(), slot["exhausted_in_seconds"].as_f64()) {
            (None, _) => ", no limit".to_owned(),
            (Some(_), None) => format!(", {} left", size("safe_wal_bytes")),
            (Some(_), Some(s)) => format!(", {} left, which would last {}", size("safe_wal_bytes"), duration(s)),
        };
        let said = format!(
            "{} {}, {} of WAL held{lasts}",
            text(&slot["name"]),
            text(&slot["wal_status"]),
            size("retained_wal_bytes")
        );
        line("slot", said);
    }
    if let Some(lag) = s["lag_seconds"].as_f64() {
        line("last commit", format!("{}, {} after the source's", text(&s["last_commit"]), duration(lag)));
    }
}

fn loading(s: &Value, line: &mut impl FnMut(&str, String)) {
    let l = &s["loading"];
    if !l.is_null() {
        let of = l["estimated_rows"].as_u64().map_or(String::new(), |n| format!(" of about {}", count(n)));
        let left = l["seconds_left"].as_f64().map_or(String::new(), |s| format!(", {} left", duration(s)));
        line("loading", format!("{}: {}{of} rows{left}", text(&l["table"]), number(&l["rows"])));
    }
    let t = &s["transaction"];
    if !t.is_null() {
        let of = t["of"].as_u64().map_or(String::new(), |n| format!(" of {}", count(n)));
        let done = number(&t["done"]);
        line(
            "transaction",
            format!("{}: {} {done}{of}, {} parts in Kafka", text(&t["end_lsn"]), text(&t["what"]), t["parts"]),
        );
    }
}

fn transform(name: &str, t: &Value, line: &mut impl FnMut(&str, String)) {
    let rate = |key: &str| match t[key].as_f64() {
        Some(n) if n > 0.0 => format!(" ({n:.0}/min)"),
        _ => String::new(),
    };
    let counted = match &t["events"] {
        Value::Null => format!(
            "{} upserts{}, {} tombstones{}, {} suppressed, {} errors, {} keys held",
            number(&t["upserts"]),
            rate("upserts_per_minute"),
            number(&t["tombstones"]),
            rate("tombstones_per_minute"),
            number(&t["suppressed"]),
            number(&t["errors"]),
            number(&t["quarantined_keys"])
        ),
        events => format!(
            "{} events{}, {} errors, {} dead letters",
            number(events),
            rate("events_per_minute"),
            number(&t["errors"]),
            number(&t["dead_letters"])
        ),
    };
    line(name, format!("{} on {}: {counted}", text(&t["state"]), text(&t["topic"])));
    let c = &t["contract"];
    let version = c["version"].as_u64().map_or(String::new(), |v| format!(" version {v}"));
    line("", format!("contract{version}, schema id {}; last record {}", c["schema_id"], text(&t["last_record"])));
    if t["reconcile_keys_remaining"] != json!(0) {
        line(
            "",
            format!("{} of {} keys to reconcile", number(&t["reconcile_keys_remaining"]), number(&t["reconcile_keys"])),
        );
    }
}

fn problem(problem: &Value, line: &mut impl FnMut(&str, String)) {
    if problem.is_null() {
        return line("problem", "none".into());
    }
    let after = match problem["exit"].as_u64() {
        None => ", tried again".to_owned(),
        Some(exit) => format!(", exit {exit}"),
    };
    let said =
        format!("{} {} (since {}{after})", text(&problem["code"]), text(&problem["message"]), text(&problem["since"]));
    line("problem", said);
    line("  remedy", text(&problem["help"]));
}

fn list(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().into_iter().flatten()
}

fn text(v: &Value) -> String {
    v.as_str().map_or_else(|| if v.is_null() { "-".to_owned() } else { v.to_string() }, str::to_owned)
}

fn number(v: &Value) -> String {
    v.as_u64().map_or_else(|| text(v), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str) -> Value {
        let path = format!("{}/tests/golden/status/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_verdict_comes_first_in_its_own_words() {
        for name in
            ["starting", "loading", "streaming", "kafka-away", "slot-lost", "fenced", "drift", "paused", "dead-letters"]
        {
            let s = golden(name);
            let said = words(&s);
            let first = said.lines().next().unwrap();
            assert_eq!(first, format!("shop  {}", s["verdict"]["text"].as_str().unwrap()), "{name}");
            for check in s["checks"].as_array().unwrap() {
                let shown = said.contains(&format!(
                    "{}: {}",
                    check["state"].as_str().unwrap(),
                    check["message"].as_str().unwrap()
                ));
                assert_eq!(shown, check["state"] != "ok", "{name}: {} in\n{said}", check["name"]);
            }
        }
        let said = words(&golden("streaming"));
        for part in [
            "checks      all ok",
            "184,022 upserts (612/min), 1,204 tombstones (3/min)",
            "48,112 events (104/min)",
            "(2.1 kB, ",
            "problem     none",
        ] {
            assert!(said.contains(part), "{part} in\n{said}");
        }
    }
}
