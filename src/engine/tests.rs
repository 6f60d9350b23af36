//! The straight way of INSERTs against the general one: the same records and the same state.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::assemble::{AssembleOptions, Assembler};
use crate::catalogue::{ColumnType, QualifiedName, Type};
use crate::diagnostic::Span;
use crate::encode::{Contract, KeySchema, RenderOptions, Renderer};
use crate::lsn::Lsn;
use crate::record::TopicId;
use crate::state::{Limits, SpaceId};
use crate::transform::function::Context;
use crate::transform::{Block, Expr, ExprKind, Output, Plan, Shape, Source, UsedColumn};

mod joins;
mod leading;
mod model;
mod plans;
mod random;
mod scene;
mod wire;

const TABLE: Oid = 1;
const SPACE: SpaceId = SpaceId(7);

struct NoOutlet;

impl Outlet for NoOutlet {
    fn part(&mut self, out: &mut OutputBatch, first: usize, _: &CommitInfo, _: Part) -> Result<(), EngineError> {
        out.split_off(first);
        Ok(())
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

fn columns() -> Vec<UsedColumn> {
    let column = |name: &str, attnum, ty, not_null| UsedColumn {
        name: name.into(),
        attnum,
        ty: ColumnType::plain(ty),
        not_null,
    };
    vec![column("id", 1, Type::Int8, true), column("v", 2, Type::Text, false)]
}

fn transform() -> Transform {
    let expr = |(i, c): (usize, &UsedColumn)| Expr {
        kind: ExprKind::Column { source: 0, column: i as u16 },
        ty: c.ty.clone(),
        nullable: !c.not_null,
        span: Span::default(),
    };
    let output = |(i, c): (usize, &UsedColumn)| Output {
        name: c.name.clone(),
        shape: Shape::Scalar(expr((i, c))),
        span: Span::default(),
    };
    let table = QualifiedName::new("public", "t");
    let plan = Plan {
        name: "t".into(),
        sources: vec![Source { table, table_oid: TABLE, alias: "t".into(), columns: columns() }],
        block: Block::default(),
        outputs: columns().iter().enumerate().map(output).collect(),
        key: vec![0],
    };
    let contract = r#"{"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"},
        {"name": "v", "type": ["null", "string"], "default": null}]}"#;
    let contract = Contract::parse(Path::new("t.avsc"), contract).expect("a contract");
    let key = KeySchema::derive(&plan, &contract).expect("a key");
    let options = RenderOptions { max_record: 1000, ..RenderOptions::default() };
    let renderer = Renderer::new(&plan, &contract, &key, &options).expect("it fits");
    Transform {
        name: "t".into(),
        topic: TopicId(0),
        topic_name: "t.v1".into(),
        partitions: 3,
        renderer: Arc::new(renderer),
        key,
        key_columns: vec!["id".into()],
        context: Arc::new(Context::default()),
        sources: [SourceUse { table: 0, slots: vec![0, 1], link: None }].into(),
        keyed_by_root: true,
        event: false,
        live_from: EndLsn::ZERO,
        on_error: OnError::Halt,
        dead_letter_columns: None,
        counts: Counts::default(),
    }
}

fn engine(identity: Identity) -> Engine {
    let table = Table {
        oid: TABLE,
        name: QualifiedName::new("public", "t"),
        partitioned: false,
        leaves: vec![],
        columns: columns(),
        types: vec![(20, -1), (25, -1)],
        identity,
        indexes: vec![],
        loaded_at: EndLsn::ZERO,
    };
    Engine::new(vec![table], vec![transform()], SplitLimits { records: 1000, bytes: 1 << 20 })
}

/// A transaction that inserts rows; a logical message in it, which says nothing, makes it take the general way.
fn transaction(rows: &[(&str, Option<&str>)], plain: bool) -> Transaction {
    let directory = std::env::temp_dir();
    let mut assembler = Assembler::new(AssembleOptions { spill_above: 1 << 20, spill_directory: directory });
    // The stream's order is not the table's, and there is a column that nobody uses.
    let mut relation = b"R\0\0\0\x01public\0t\0f\0\x03".to_vec();
    for (name, oid) in [("v", 25u32), ("unused", 25), ("id", 20)] {
        relation.push(1);
        relation.extend_from_slice(name.as_bytes());
        relation.push(0);
        relation.extend_from_slice(&oid.to_be_bytes());
        relation.extend_from_slice(&(-1i32).to_be_bytes());
    }
    let mut payloads =
        vec![[b"B", &10u64.to_be_bytes()[..], &5u64.to_be_bytes(), &3u32.to_be_bytes()].concat(), relation];
    for (id, v) in rows {
        let mut insert = b"I\0\0\0\x01N\0\x03".to_vec();
        for cell in [*v, Some("unused"), Some(*id)] {
            match cell {
                None => insert.push(b'n'),
                Some(text) => {
                    insert.push(b't');
                    insert.extend_from_slice(&(text.len() as u32).to_be_bytes());
                    insert.extend_from_slice(text.as_bytes());
                }
            }
        }
        payloads.push(insert);
    }
    if !plain {
        payloads.push([b"M\x01", &9u64.to_be_bytes()[..], b"p\0\0\0\0\x02hi"].concat());
    }
    payloads.push([b"C\0", &10u64.to_be_bytes()[..], &20u64.to_be_bytes(), &5u64.to_be_bytes()].concat());
    payloads.iter().find_map(|p| assembler.push(Lsn(10), p).expect("a stream")).expect("a transaction")
}

type Seen = (Result<(), String>, Vec<(Vec<u8>, Option<Vec<u8>>, u64, i32)>, Vec<(Vec<u8>, Vec<u8>)>, u64);

fn applied(identity: Identity, mode: Mode, rows: &[(&str, Option<&str>)], plain: bool) -> Seen {
    let directory = tempfile::tempdir().expect("a folder");
    let mut state = State::open(directory.path(), "t", Limits { cache_bytes: 1 << 20 }).expect("a state");
    let mut engine = engine(identity);
    let mut out = OutputBatch::default();
    let transaction = transaction(rows, plain);
    assert_eq!(transaction.only_inserts(), plain);
    let result = engine.apply(&transaction, mode, &mut state, &mut out, &mut NoOutlet);
    let records =
        out.records.iter().map(|r| (out.key(r).to_vec(), out.value(r).map(<[u8]>::to_vec), r.seq, r.partition));
    let mut kept = Vec::new();
    let scan = |k: &[u8], v: &[u8]| {
        kept.push((k.to_vec(), v.to_vec()));
        std::ops::ControlFlow::Continue(())
    };
    state.scan(SPACE, b"", scan).expect("a scan");
    (result.map_err(|e| e.to_string()), records.collect(), kept, engine.transforms[0].counts.evaluations)
}

#[test]
fn inserts_alone_give_what_the_general_way_gives() {
    let long = "x".repeat(2000);
    let many: Vec<(String, Option<&str>)> = (0..300).map(|n| (n.to_string(), Some("many"))).collect();
    let many: Vec<(&str, Option<&str>)> = many.iter().map(|(id, v)| (id.as_str(), *v)).collect();
    let cases: [&[(&str, Option<&str>)]; 6] = [
        &[],
        &[("1", Some("a"))],
        &[("1", Some("a")), ("2", None), ("-3", Some(""))],
        // A key twice; a row that cannot be rendered.
        &[("1", Some("a")), ("2", Some("b")), ("1", Some("c"))],
        &[("1", Some("a")), ("2", Some(&long))],
        &many,
    ];
    for identity in [Identity::Full, Identity::Key { columns: vec![0], space: SPACE }] {
        for mode in [Mode::Emit { skip: 0 }, Mode::Emit { skip: 1 }, Mode::Replay] {
            for rows in cases {
                let straight = applied(identity.clone(), mode, rows, true);
                let general = applied(identity.clone(), mode, rows, false);
                assert_eq!(straight, general, "{identity:?} {mode:?} {} rows", rows.len());
            }
        }
    }
}
