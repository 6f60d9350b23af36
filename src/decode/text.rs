//! A message as one line of text: for golden files, and for a person who looks into a capture. It shows row values,
//! so it is never logged.

use std::fmt::Write;

use super::Message;
use crate::change::OldTuple;
use crate::row::{Cell, Tuple};

pub fn describe(message: &Message<'_>) -> String {
    match message {
        Message::Begin(b) => format!("Begin final={} time={} xid={}", b.final_lsn, b.commit_time, b.xid),
        Message::Commit(c) => format!("Commit lsn={} end={} time={}", c.commit_lsn, c.end_lsn, c.commit_time),
        Message::Origin(o) => format!("Origin lsn={} name={}", o.commit_lsn, o.name),
        Message::Relation(r) => {
            let mut out = format!("Relation {} {} identity={:?}", r.oid, r.name, r.replica_identity);
            for c in &r.columns {
                let key = if c.key { "*" } else { "" };
                let _ = write!(out, " {key}{}:{}:{}", c.name, c.type_oid, c.typmod);
            }
            out
        }
        Message::Type(t) => format!("Type {} {}.{}", t.oid, t.schema, t.name),
        Message::Insert(i) => format!("Insert {} new={}", i.relation, tuple(&i.new)),
        Message::Update(u) => format!("Update {} {} new={}", u.relation, old(&u.old), tuple(&u.new)),
        Message::Delete(d) => format!("Delete {} {}", d.relation, old(&d.old)),
        Message::Truncate(t) => {
            format!("Truncate {:?} cascade={} restart_identity={}", t.relations, t.cascade, t.restart_identity)
        }
        Message::Message(m) => format!(
            "Message lsn={} transactional={} prefix={} content={:?}",
            m.lsn,
            m.transactional,
            m.prefix,
            String::from_utf8_lossy(m.content)
        ),
    }
}

fn old(old: &OldTuple<'_>) -> String {
    match old {
        OldTuple::Absent => "old=absent".into(),
        OldTuple::Key(t) => format!("key={}", tuple(t)),
        OldTuple::Full(t) => format!("old={}", tuple(t)),
    }
}

/// Values are quoted as Rust does; long ones are cut, with their length.
fn tuple(tuple: &Tuple<'_>) -> String {
    let cells: Vec<String> = tuple
        .cells()
        .map(|cell| match cell {
            Cell::Null => "null".into(),
            Cell::Unchanged => "unchanged".into(),
            Cell::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                match text.char_indices().nth(60) {
                    Some((cut, _)) => format!("{:?}…{} bytes", &text[..cut], bytes.len()),
                    None => format!("{text:?}"),
                }
            }
        })
        .collect();
    format!("({})", cells.join(", "))
}
