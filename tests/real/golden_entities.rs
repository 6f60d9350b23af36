//! Makes `capture.bin` and `records.json` in `tests/golden/entities` anew: `PGSPINE_RECORD=1 cargo test --test real --
//! golden_entities`. What must come out is said by PostgreSQL: after each line of `workload.sql` the SELECT is asked, and
//! the difference is written down. `src/runtime/golden.rs` runs the captures without any server. Without PGSPINE_RECORD
//! everything goes to a temporary folder, so that the recorder keeps working.

use std::collections::BTreeMap;
use std::path::Path;

use pgspine::capture::stream::{self, StreamOptions};
use pgspine::capture::{Connection, Mode, Options, connect, slot};
use pgspine::lsn::EndLsn;
use serde_json::{Map, Value, json};

use crate::golden_recorder::{current_lsn, until};
use crate::support::{postgres_conninfo, unique};

#[test]
fn golden_entities_record() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/entities");
    let temporary = tempfile::tempdir().unwrap();
    let mut admin = connect(&Options::parse(&postgres_conninfo()).unwrap(), Mode::Sql).unwrap();
    for case in std::fs::read_dir(&cases).unwrap() {
        let case = case.unwrap().path();
        let database = unique("golden");
        admin.execute(&format!("CREATE DATABASE {database}")).unwrap();
        let (capture, records) = record(&case, &database);
        admin.execute(&format!("DROP DATABASE {database} WITH (FORCE)")).unwrap();
        assert!(!capture.is_empty() && !records.is_empty(), "{}", case.display());
        let folder = match std::env::var_os("PGSPINE_RECORD") {
            Some(_) => &case,
            None => {
                let committed = std::fs::read_to_string(case.join("records.json")).unwrap();
                assert_eq!(text(&records), committed, "{}: PostgreSQL says something else now", case.display());
                temporary.path()
            }
        };
        std::fs::write(folder.join("capture.bin"), capture).unwrap();
        std::fs::write(folder.join("records.json"), text(&records)).unwrap();
    }
}

/// One line per record, so that a change can be read.
fn text(transactions: &[Vec<Value>]) -> String {
    let lines: Vec<String> = transactions
        .iter()
        .map(|t| format!("  [\n    {}\n  ]", t.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n    ")))
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn record(case: &Path, database: &str) -> (Vec<u8>, Vec<Vec<Value>>) {
    let read = |name: &str| std::fs::read_to_string(case.join(name)).unwrap();
    let mut options = Options::parse(&format!("{} dbname={database}", postgres_conninfo())).unwrap();
    options.search_path = "public".into();
    let mut sql = connect(&options, Mode::Sql).unwrap();
    sql.execute(&read("schema.sql")).unwrap();
    sql.execute("CREATE PUBLICATION golden FOR ALL TABLES").unwrap();
    let slot_name = unique("golden");
    let made = slot::create_temporary(connect(&options, Mode::Replication).unwrap(), &slot_name).unwrap();
    let transform = read("transform.sql");
    let (header, select) = transform.split_once("*/").unwrap();
    let key = header.lines().find_map(|l| l.strip_prefix("key = ")).unwrap();
    let key: Vec<String> = serde_json::from_str(key).unwrap();
    let mut before = ask(&mut sql, select, &key);
    let mut transactions = Vec::new();
    for line in read("workload.sql").lines() {
        sql.execute(line).unwrap_or_else(|e| panic!("{line}: {}", e.diagnostic()));
        let after = ask(&mut sql, select, &key);
        let mut records = Vec::new();
        for key in before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>() {
            if before.get(key) != after.get(key) {
                let value = after.get(key).cloned().unwrap_or_default();
                records.push(json!({ "key": serde_json::from_str::<Value>(key).unwrap(), "value": value }));
            }
        }
        if !records.is_empty() {
            transactions.push(records);
        }
        before = after;
    }
    let end = current_lsn(&mut sql);
    let options = StreamOptions {
        slot: slot_name,
        publications: vec!["golden".into()],
        start: made.consistent_point,
        confirmed: EndLsn::ZERO,
        queue_bytes: 1 << 24,
        probe: None,
    };
    let stream = stream::start(made.connection, options).unwrap();
    let mut capture = Vec::new();
    for payload in until(&stream, end) {
        capture.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        capture.extend_from_slice(&payload);
    }
    (capture, transactions)
}

/// By the key's plain JSON; numerics are strings there.
fn ask(sql: &mut Connection, select: &str, key: &[String]) -> BTreeMap<String, Value> {
    let select = select.trim().trim_end_matches(';');
    let rows = sql.query(&format!("SELECT row_to_json(q)::text AS row, q.* FROM ({select}) AS q")).unwrap();
    let mut answer = BTreeMap::new();
    for row in rows.iter() {
        let mut value: Map<String, Value> = serde_json::from_str(row.text("row").unwrap()).unwrap();
        if let Some(price) = value.get_mut("price").filter(|p| p.is_number()) {
            *price = row.text("price").unwrap().into();
        }
        let key: Map<String, Value> = key.iter().map(|k| (k.clone(), value[k].clone())).collect();
        answer.insert(Value::Object(key).to_string(), Value::Object(value));
    }
    answer
}
