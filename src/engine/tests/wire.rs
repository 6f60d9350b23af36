//! Transactions as a server would stream them.

use crate::assemble::{AssembleOptions, Assembler, Transaction};
use crate::catalogue::Oid;
use crate::lsn::Lsn;

pub type Row = Vec<Option<String>>;

/// A table of the scene.
#[derive(Clone)]
pub struct TableDef {
    pub oid: Oid,
    pub name: &'static str,
    /// Name, type oid.
    pub columns: &'static [(&'static str, u32)],
    /// The stream brings whole old rows.
    pub full: bool,
    /// The first column is a primary key.
    pub keyed: bool,
}

#[derive(Clone, Debug)]
pub enum Op {
    Insert(usize, Row),
    Update(usize, Row, Row),
    Delete(usize, Row),
    Truncate(Vec<usize>),
}

/// What a transaction is on the wire: Relations of all tables, then its changes. `toast`: unchanged text is left out.
pub fn messages(tables: &[TableDef], n: u64, ops: &[Op], toast: bool) -> Vec<Vec<u8>> {
    let lsn = n * 100;
    let mut out = vec![[b"B", &lsn.to_be_bytes()[..], &5u64.to_be_bytes(), &3u32.to_be_bytes()].concat()];
    out.extend(tables.iter().map(relation));
    for op in ops {
        out.push(match op {
            Op::Insert(t, new) => [b"I", &tables[*t].oid.to_be_bytes()[..], b"N", &tuple(new, None)].concat(),
            Op::Update(t, old, new) => {
                let table = &tables[*t];
                let mut m = [b"U", &table.oid.to_be_bytes()[..]].concat();
                if table.full {
                    m.extend([b"O", &tuple(old, None)[..]].concat());
                } else if old[0] != new[0] {
                    m.extend([b"K", &tuple(&key_only(old), None)[..]].concat());
                }
                m.extend([b"N", &tuple(new, toast.then_some(old))[..]].concat());
                m
            }
            Op::Delete(t, old) => {
                let table = &tables[*t];
                let (kind, old) = if table.full { (b"O", old.clone()) } else { (b"K", key_only(old)) };
                [b"D", &table.oid.to_be_bytes()[..], kind, &tuple(&old, None)].concat()
            }
            Op::Truncate(all) => {
                let mut m = [b"T", &(all.len() as u32).to_be_bytes()[..], &[0]].concat();
                all.iter().for_each(|t| m.extend(tables[*t].oid.to_be_bytes()));
                m
            }
        });
    }
    out.push([b"C\0", &lsn.to_be_bytes()[..], &(lsn + 50).to_be_bytes(), &5u64.to_be_bytes()].concat());
    out
}

pub fn assemble(messages: &[Vec<u8>]) -> Transaction {
    let options = AssembleOptions { spill_above: 1 << 20, spill_directory: std::env::temp_dir() };
    let mut assembler = Assembler::new(options);
    messages.iter().find_map(|p| assembler.push(Lsn(1), p).expect("a stream")).expect("a transaction")
}

fn relation(t: &TableDef) -> Vec<u8> {
    let mut m = [b"R", &t.oid.to_be_bytes()[..], b"public\0", t.name.as_bytes(), b"\0"].concat();
    m.push(if t.full { b'f' } else { b'd' });
    m.extend((t.columns.len() as u16).to_be_bytes());
    for (i, (name, ty)) in t.columns.iter().enumerate() {
        m.push(u8::from(t.full || i == 0));
        m.extend([name.as_bytes(), b"\0", &ty.to_be_bytes()[..], &(-1i32).to_be_bytes()].concat());
    }
    m
}

fn key_only(row: &Row) -> Row {
    row.iter().enumerate().map(|(i, v)| v.clone().filter(|_| i == 0)).collect()
}

fn tuple(row: &Row, unchanged_from: Option<&Row>) -> Vec<u8> {
    let mut m = (row.len() as u16).to_be_bytes().to_vec();
    for (i, cell) in row.iter().enumerate() {
        match cell {
            None => m.push(b'n'),
            Some(text) if i > 0 && unchanged_from.is_some_and(|old| old[i].as_ref() == Some(text)) => m.push(b'u'),
            Some(text) => {
                m.push(b't');
                m.extend((text.len() as u32).to_be_bytes());
                m.extend(text.as_bytes());
            }
        }
    }
    m
}
