//! Entities from captures, without any server: transform, contract, schema and the bytes of a real stream give the records
//! that PostgreSQL said must come (`tests/golden/entities`; `tests/real/golden_entities.rs` makes them).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::project::Project;
use super::tables::TableUse;
use crate::assemble::{AssembleOptions, Assembler};
use crate::change::CommitInfo;
use crate::config::Config;
use crate::decode::Message;
use crate::encode::body_of;
use crate::encode::plain_json;
use crate::engine::{Engine, EngineError, Identity, Mode, Outlet, Part, SplitLimits, Table, Transform};
use crate::lsn::{EndLsn, Lsn};
use crate::record::OutputBatch;
use crate::relation::Relation;
use crate::state::{Limits, State};
use crate::transform::function::Context;
use crate::transform::source;

#[test]
fn captures_become_the_records_that_postgres_says() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/entities");
    let mut seen = 0;
    for case in std::fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let expected: Vec<Vec<Value>> = serde_json::from_str(&read(&case, "records.json")).unwrap();
        let got = run(&case);
        for (n, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(got, expected, "{}: transaction {}", case.display(), n + 1);
        }
        assert_eq!(got.len(), expected.len(), "{}", case.display());
        seen += 1;
    }
    assert!(seen >= 5);
}

fn read(case: &Path, name: &str) -> String {
    std::fs::read_to_string(case.join(name)).unwrap_or_else(|e| panic!("{} {name}: {e}", case.display()))
}

fn payloads(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        out.push(payload);
        bytes = rest;
    }
    out
}

/// Per transaction that has any, its records in the order of their keys' text.
fn run(case: &Path) -> Vec<Vec<Value>> {
    let capture = std::fs::read(case.join("capture.bin")).unwrap();
    let payloads = payloads(&capture);
    let project = project(case);
    let (definition, used) = (&project.definitions[0], &project.tables[0]);
    // The snapshot has no oids: the stream does.
    let relation = payloads
        .iter()
        .find_map(|p| match Message::parse(p).unwrap() {
            Message::Relation(r) => Some(r),
            _ => None,
        })
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::open(folder.path(), "golden", Limits { cache_bytes: 1 << 20 }).unwrap();
    let space = state.new_temporary_space();
    let table = table(used, &relation, space);
    let tables = vec![table];
    let transform = Transform { partitions: 3, ..definition.for_engine(0, &tables, &Arc::new(Context::default())) };
    let mut engine = Engine::new(tables, vec![transform], SplitLimits { records: 1_000_000, bytes: 1 << 30 });
    let mut assembler =
        Assembler::new(AssembleOptions { spill_above: 1 << 20, spill_directory: folder.path().to_path_buf() });
    let mut transactions = Vec::new();
    for payload in payloads {
        let Some(tx) = assembler.push(Lsn(0), payload).unwrap() else { continue };
        let mut out = OutputBatch::default();
        engine.apply(&tx, Mode::Emit { skip: 0 }, &mut state, &mut out, &mut Nowhere).unwrap();
        assembler.recycle(tx);
        let mut records = BTreeMap::new();
        for r in &out.records {
            let key = definition.key.plain_json(&definition.plan.outputs[0].name, out.key(r)).unwrap();
            let value = out.value(r).map(|v| plain_json::record(definition.contract.record(), body_of(v)).unwrap());
            let before = records.insert(key.to_string(), json!({ "key": key, "value": value }));
            assert!(before.is_none(), "{}: {key} twice in one transaction", case.display());
        }
        if !records.is_empty() {
            transactions.push(records.into_values().collect());
        }
    }
    transactions
}

fn project(case: &Path) -> Project {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("pgspine.toml");
    let text = "[bridge]\nname = \"golden\"\n[postgres]\nurl = \"postgres://localhost/x\"\n[kafka]\nbootstrap_servers = \"localhost:1\"\n\
                [registry]\nurl = \"http://localhost:1\"\n";
    std::fs::write(&toml, text).unwrap();
    let config = Config::load_with(&toml, BTreeMap::new()).unwrap_or_else(|all| panic!("{all:?}"));
    let file = source::parse_text(case, &case.join("transform.sql"), read(case, "transform.sql"))
        .unwrap_or_else(|all| panic!("{all:?}"));
    let catalogue = crate::transform::parse::schema::read(&read(case, "schema.sql")).unwrap();
    Project::bind(&config, vec![file], &catalogue).unwrap_or_else(|all| panic!("{}: {all:?}", case.display()))
}

fn table(used: &TableUse, relation: &Relation, space: crate::state::SpaceId) -> Table {
    let ty = |name: &str| {
        let column = relation.columns.iter().find(|c| c.name == name).unwrap();
        (column.type_oid, column.typmod)
    };
    Table {
        oid: relation.oid,
        name: used.table.name.clone(),
        partitioned: false,
        leaves: Vec::new(),
        columns: used.columns.clone(),
        types: used.columns.iter().map(|c| ty(&c.name)).collect(),
        identity: match &used.identity {
            Some(columns) => Identity::Key { columns: columns.clone(), space },
            None => Identity::Full,
        },
        indexes: Vec::new(),
        loaded_at: EndLsn::ZERO,
    }
}

/// No capture here splits, and none truncates a table that is not stored.
struct Nowhere;

impl Outlet for Nowhere {
    fn part(&mut self, _: &mut OutputBatch, _: usize, _: &CommitInfo, _: Part) -> Result<(), EngineError> {
        Err(EngineError::Outlet)
    }
    fn live_keys(
        &mut self,
        _: &mut OutputBatch,
        _: &Transform,
        _: &mut dyn FnMut(&[u8], u128),
    ) -> Result<(), EngineError> {
        Err(EngineError::Outlet)
    }
}
