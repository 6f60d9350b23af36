use super::*;
use crate::change::Change;
use crate::row::Cell;

fn begin(lsn: u64, xid: u32) -> Vec<u8> {
    [b"B", &lsn.to_be_bytes()[..], &5_u64.to_be_bytes(), &xid.to_be_bytes()].concat()
}

fn commit(lsn: u64, end: u64) -> Vec<u8> {
    [b"C\0", &lsn.to_be_bytes()[..], &end.to_be_bytes(), &5_u64.to_be_bytes()].concat()
}

fn insert(value: &str) -> Vec<u8> {
    [b"I\0\0\0\x01N\0\x01t", &(value.len() as u32).to_be_bytes()[..], value.as_bytes()].concat()
}

fn relation() -> Vec<u8> {
    b"R\0\0\0\x01public\0t\0d\0\x01\x01id\0\0\0\0\x19\xff\xff\xff\xff".to_vec()
}

fn message(transactional: u8) -> Vec<u8> {
    [b"M", &[transactional][..], &9_u64.to_be_bytes(), b"p\0\0\0\0\x02hi"].concat()
}

fn assembler(spill_above: usize) -> (Assembler, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = AssembleOptions { spill_above, spill_directory: directory.path().join("spill") };
    (Assembler::new(options), directory)
}

fn push_all(assembler: &mut Assembler, payloads: &[Vec<u8>]) -> Result<Option<Transaction>, AssembleError> {
    let mut last = None;
    for payload in payloads {
        last = assembler.push(Lsn(77), payload)?;
    }
    Ok(last)
}

fn values(transaction: &Transaction) -> Vec<String> {
    let mut out = Vec::new();
    transaction
        .for_each(|change| {
            out.push(match change {
                Change::Insert { new, .. } => match new.cells().next() {
                    Some(Cell::Text(text)) => String::from_utf8_lossy(text).into_owned(),
                    other => format!("{other:?}"),
                },
                Change::Relation(r) => format!("relation {}", r.name),
                Change::Message { prefix, content } => format!("message {prefix} {content:?}"),
                other => format!("{other:?}"),
            });
            Ok::<(), AssembleError>(())
        })
        .unwrap();
    out
}

#[test]
fn a_transaction_comes_whole_at_its_commit() {
    let (mut a, _keep) = assembler(1 << 20);
    assert!(push_all(&mut a, &[begin(10, 3), relation(), insert("a"), message(1)]).unwrap().is_none());
    assert!(a.has_open_transaction());
    let t = a.push(Lsn(10), &commit(10, 20)).unwrap().unwrap();
    assert!(!a.has_open_transaction());
    assert_eq!(t.info, CommitInfo { xid: 3, end_lsn: EndLsn::new(20), commit_time: 5 });
    assert_eq!(values(&t), ["relation public.t", "a", "message p [104, 105]"]);
    assert_eq!((t.changes(), t.is_spilled(), t.is_empty()), (2, false, false));
    a.recycle(t);
    let t = push_all(&mut a, &[begin(30, 4), commit(30, 40)]).unwrap().unwrap();
    assert!(t.is_empty() && values(&t).is_empty());
}

#[test]
fn a_large_transaction_goes_to_disk_and_reads_the_same() {
    let (mut a, directory) = assembler(10_000);
    let long = "x".repeat(700_000);
    let mut expected = Vec::new();
    a.push(Lsn(1), &begin(10, 3)).unwrap();
    for n in 0..30_000 {
        let value = if n == 20_000 { long.clone() } else { format!("value {n}") };
        a.push(Lsn(1), &insert(&value)).unwrap();
        expected.push(value);
    }
    let t = a.push(Lsn(1), &commit(10, 20)).unwrap().unwrap();
    assert!(t.is_spilled());
    assert_eq!(t.changes(), 30_000);
    assert!(t.buffer_len() <= 10_000);
    for _ in 0..2 {
        assert!(values(&t) == expected, "the same, as often as it is read");
    }
    let left = std::fs::read_dir(directory.path().join("spill")).unwrap().count();
    assert_eq!(left, 0, "the file has no name that a crash could leave behind");
}

#[test]
fn a_spill_that_cannot_be_written_says_where() {
    let options = AssembleOptions { spill_above: 0, spill_directory: "/dev/null/spill".into() };
    let mut a = Assembler::new(options);
    a.push(Lsn(1), &begin(10, 3)).unwrap();
    let e = a.push(Lsn(1), &insert("a")).unwrap_err();
    assert_eq!(e.to_string(), "a transaction's spill file in /dev/null/spill failed after 0 bytes");
    assert!(e.diagnostic().to_string().starts_with("error[PGS4016]: "));
}

#[test]
fn relations_outside_of_a_transaction_hold_for_the_next() {
    let (mut a, _keep) = assembler(1 << 20);
    let t = push_all(&mut a, &[relation(), begin(10, 3), insert("a"), commit(10, 20)]).unwrap().unwrap();
    assert_eq!(values(&t), ["relation public.t", "a"]);
}

#[test]
fn messages_outside_of_transactions_are_counted_and_left() {
    let (mut a, _keep) = assembler(1 << 20);
    assert!(a.push(Lsn(1), &message(0)).unwrap().is_none());
    assert_eq!(a.ignored_messages(), 1);
}

#[test]
fn what_is_out_of_order_is_an_error() {
    for (payloads, says) in [
        (vec![insert("a")], "Insert at 0/4D is not inside of a transaction"),
        (vec![commit(1, 2)], "Commit at 0/4D is not inside of a transaction"),
        (vec![message(1)], "Message at 0/4D is not inside of a transaction"),
        (vec![begin(1, 7), begin(2, 8)], "Begin at 0/4D inside of transaction 7"),
        (vec![begin(1, 7), commit(2, 3)], "transaction 7 began with the commit position 0/1 and commits at 0/2"),
        (
            vec![begin(1, 7), commit(1, 9), begin(8, 8), commit(8, 9)],
            "transaction 8 ends at 0/9, which is not after 0/9, the end of the one before it",
        ),
        (vec![b"x".to_vec()], "the message at 0/4D cannot be decoded"),
        (vec![Vec::new()], "the message at 0/4D cannot be decoded"),
    ] {
        let (mut a, _keep) = assembler(1 << 20);
        assert_eq!(push_all(&mut a, &payloads).unwrap_err().to_string(), says);
    }
}

#[test]
fn a_damaged_change_stops_the_reading() {
    let (mut a, _keep) = assembler(1 << 20);
    let t = push_all(&mut a, &[begin(1, 7), b"I\0\0".to_vec(), commit(1, 2)]).unwrap().unwrap();
    let e = t.for_each(|_| Ok::<(), AssembleError>(())).unwrap_err();
    assert_eq!(e.to_string(), "a message of transaction 7 cannot be decoded");
}
