use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::*;

const LIMITS: Limits = Limits { cache_bytes: 4096 };

fn committed(lsn: u64) -> Committed {
    Committed::in_test(EndLsn::new(lsn))
}

fn all(state: &State, space: SpaceId) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut last: Option<Vec<u8>> = None;
    state
        .scan(space, b"", |k, v| {
            assert!(last.as_deref() < Some(k), "key order");
            last = Some(k.to_vec());
            out.insert(k.to_vec(), v.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
    out
}

/// Random transactions, flushes and crashes against a map per transaction: reads see every change at once, and what a
/// crash leaves is exactly the map as of the durable LSN, which is never past what Kafka has committed.
#[test]
fn a_crash_leaves_a_prefix_that_kafka_has() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::open(dir.path(), "b", LIMITS).unwrap();
    let spaces = [SpaceId(1), SpaceId(2)];
    let mut history: Vec<[BTreeMap<Vec<u8>, Vec<u8>>; 2]> = vec![Default::default()];
    let mut kafka = 0u64;
    for _ in 0..600 {
        match rng.u8(0..10) {
            0..=6 => {
                let mut now = history.last().unwrap().clone();
                for _ in 0..rng.usize(1..6) {
                    let s = rng.usize(0..2);
                    let key = vec![b'k', rng.u8(0..40)];
                    let value = rng.bool().then(|| vec![rng.u8(..); rng.usize(0..60)]);
                    match &value {
                        Some(v) => drop(now[s].insert(key.clone(), v.clone())),
                        None => drop(now[s].remove(&key)),
                    }
                    state.put(spaces[s], key.into(), value.map(Into::into));
                }
                history.push(now);
                state.advance(EndLsn::new(history.len() as u64 - 1));
            }
            7 => {
                kafka = rng.u64(kafka..=history.len() as u64 - 1);
                let was = state.durable();
                if let Some(d) = state.step(committed(kafka), rng.bool()).unwrap() {
                    assert!(d.lsn() > was && d.lsn().get() <= kafka);
                }
            }
            8 => drop(state.flush(committed(kafka)).unwrap()),
            _ => {
                drop(state);
                state = State::open(dir.path(), "b", LIMITS).unwrap();
                let at = state.durable().get();
                assert!(at <= kafka);
                history.truncate(at as usize + 1);
                kafka = at;
            }
        }
        let now = history.last().unwrap();
        for (s, space) in spaces.iter().enumerate() {
            assert_eq!(all(&state, *space), now[s]);
            let key = [b'k', rng.u8(0..40)];
            assert_eq!(state.get(*space, &key).unwrap(), now[s].get(&key[..]).map(|v| &v[..]));
        }
    }
}

#[test]
fn a_dropped_space_is_empty_and_usable() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::open(dir.path(), "b", LIMITS).unwrap();
    for round in 0..3u8 {
        let mut load = state.load();
        for i in 0..100u8 {
            load.put(SpaceId(7), &[i], &[round]).unwrap();
        }
        load.finish().unwrap();
        assert_eq!(all(&state, SpaceId(7)).len(), 100);
        assert_eq!(state.get(SpaceId(7), &[5]).unwrap(), Some(&[round][..]));
        state.clear(SpaceId(7)).unwrap();
        assert_eq!(all(&state, SpaceId(7)).len(), 0);
        assert_eq!(state.get(SpaceId(7), &[5]).unwrap(), None);
    }
    drop(state);
    let state = State::open(dir.path(), "b", LIMITS).unwrap();
    assert_eq!(all(&state, SpaceId(7)).len(), 0);
}

#[test]
fn a_state_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path(), "b", LIMITS).unwrap();
    let second = State::open(dir.path(), "b", LIMITS);
    assert!(matches!(second.err().unwrap(), StateError::Disk(DiskError::Locked { .. })));
    drop(state);
    assert!(matches!(State::open(dir.path(), "c", LIMITS).err().unwrap(), StateError::OtherBridge { .. }));
    let disk = Disk::open(dir.path(), 1024).unwrap();
    let mut batch = disk.batch();
    batch.insert_meta(b"meta", br#"{"format":99}"#);
    batch.commit_synced().unwrap();
    drop(disk);
    assert!(matches!(State::open(dir.path(), "b", LIMITS).err().unwrap(), StateError::NewerFormat { found: 99, .. }));
}

/// A string key of a topic may be empty, and the store has no empty key.
#[test]
fn an_empty_key_is_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::open(dir.path(), "b", LIMITS).unwrap();
    let space = SpaceId(1);
    state.put(space, Box::new([]), Some(b"x"[..].into()));
    state.put(space, Box::new([1]), Some(b"y"[..].into()));
    state.advance(EndLsn::new(1));
    state.flush(committed(1)).unwrap();
    drop(state);
    let mut state = State::open(dir.path(), "b", LIMITS).unwrap();
    assert_eq!(state.get(space, b"").unwrap(), Some(&b"x"[..]));
    let expected = [(vec![], b"x".to_vec()), (vec![1], b"y".to_vec())];
    assert_eq!(all(&state, space), BTreeMap::from(expected));
    let mut behind = 0;
    state
        .scan(space, &[0], |_, _| {
            behind += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(behind, 1, "what follows the empty key");
    state.remove_direct(space, std::iter::once(&b""[..])).unwrap();
    assert!(state.get_direct(space, b"").unwrap().is_none());
    let mut load = state.load();
    assert!(load.put(space, &vec![1; 70_000], b"").is_err());
}

/// Both views and every prefix, whatever layer a key lies in, against two maps.
#[test]
fn views_see_every_layer() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::open(dir.path(), "b", LIMITS).unwrap();
    let space = SpaceId(1);
    let mut before: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for n in 1..400 {
        let mut after = before.clone();
        for _ in 0..rng.usize(..5) {
            let key: Vec<u8> = (0..rng.usize(1..4)).map(|_| [1, 2, 255][rng.usize(..3)]).collect();
            let value = rng.bool().then(|| vec![rng.u8(..)]);
            match &value {
                Some(v) => drop(after.insert(key.clone(), v.clone())),
                None => drop(after.remove(&key)),
            }
            state.stage(space, key.into(), value.map(Into::into));
        }
        for (view, map) in [(View::Before, &before), (View::After, &after)] {
            let prefix: Vec<u8> = (0..rng.usize(..3)).map(|_| [1, 2, 255][rng.usize(..3)]).collect();
            let mut got = Vec::new();
            let limit = rng.usize(1..50);
            let mut each = |k: &[u8], v: &[u8]| {
                got.push((k.to_vec(), v.to_vec()));
                if got.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            state.scan_prefix(view, space, &prefix, &mut each).unwrap();
            let expected = map.iter().filter(|(k, _)| k.starts_with(&prefix)).take(limit);
            assert!(got.iter().map(|(k, v)| (k, v)).eq(expected), "{view:?} {prefix:?} {got:?}");
            let mut value = vec![9];
            let key = [1, 2];
            let found = state.read(view, space, &key, &mut value).unwrap();
            assert_eq!(found.then_some(&value), map.get(&key[..]));
        }
        if rng.u8(..4) == 0 {
            state.drop_staged();
        } else {
            state.keep_staged();
            before = after;
        }
        assert_eq!(all(&state, space), before);
        state.advance(EndLsn::new(n));
        if rng.bool() {
            drop(state.step(committed(rng.u64(..=n)), rng.bool()).unwrap());
        }
    }
}

/// The store's own order of writes within a batch must not matter: rows that are alike come together or apart.
#[test]
fn a_load_counts_rows_that_are_alike() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::open(dir.path(), "b", LIMITS).unwrap();
    let mut load = state.load();
    let large = vec![b'x'; 1 << 20];
    for n in 0..30u64 {
        // Large images fill batches, so that the small one comes in several of them.
        load.put_in_bag(SpaceId(1), &n.to_be_bytes(), &large).unwrap();
        load.put_in_bag(SpaceId(1), b"small", b"image").unwrap();
    }
    load.finish().unwrap();
    let value = state.get(SpaceId(1), b"small").unwrap().unwrap();
    assert_eq!(bag::read(value).unwrap(), (30, &b"image"[..]));
}
