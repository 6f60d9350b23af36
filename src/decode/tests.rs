use super::*;
use crate::lsn::{EndLsn, Lsn};

fn cut_everywhere(payload: &[u8]) {
    for end in 0..payload.len() {
        assert!(Message::parse(&payload[..end]).is_err(), "cut at {end}");
    }
    let mut longer = payload.to_vec();
    longer.push(0);
    assert!(matches!(Message::parse(&longer), Err(DecodeError::Trailing { bytes: 1, .. })));
}

#[test]
fn begin_and_commit() {
    let begin = b"B\0\0\0\0\x01\x02\x03\x04\0\0\0\0\0\0\0\x05\0\0\0\x06";
    let expected = Begin { final_lsn: Lsn(0x0102_0304), commit_time: 5, xid: 6 };
    assert_eq!(Message::parse(begin), Ok(Message::Begin(expected)));
    cut_everywhere(begin);
    let commit = b"C\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03";
    let expected = Commit { commit_lsn: Lsn(1), end_lsn: EndLsn::new(2), commit_time: 3 };
    assert_eq!(Message::parse(commit), Ok(Message::Commit(expected)));
    cut_everywhere(commit);
}

#[test]
fn what_is_not_known_is_shown() {
    assert_eq!(Message::parse(b""), Err(DecodeError::Empty));
    assert_eq!(Message::parse(b"S\0").unwrap_err().to_string(), "the unknown pgoutput message 'S'");
    assert_eq!(Message::parse(b"\x01").unwrap_err().to_string(), "the unknown pgoutput message 0x01");
    let e = Message::parse(b"I\0\0\0\x01K\0\0").unwrap_err();
    assert_eq!(e.to_string(), "Insert: tuple kind has the unknown value 'K'");
    let e = Message::parse(b"T\0\0\0\0\x04").unwrap_err();
    assert_eq!(e.to_string(), "Truncate: options has the unknown value 0x04");
    let e = Message::parse(b"C\x01").unwrap_err();
    assert_eq!(e.to_string(), "Commit: flags has the unknown value 0x01");
}

#[test]
fn counts_that_lie_cost_nothing() {
    assert!(Message::parse(b"T\xff\xff\xff\xff\0\0\0\0\x01").is_err());
    assert!(Message::parse(b"R\0\0\0\x01s\0t\0d\xff\xff").is_err());
    assert!(Message::parse(b"I\0\0\0\x01N\0\x01t\xff\xff\xff\xff").is_err());
}

#[test]
fn random_bytes_never_panic() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..200_000 {
        let mut bytes: Vec<u8> =
            (0..random.usize(1..40)).map(|_| random.u8(..) & [255, 3, 127][random.usize(..3)]).collect();
        bytes[0] = b"BCORYIUDTM"[random.usize(..10)];
        let _ = Message::parse(&bytes);
    }
}
