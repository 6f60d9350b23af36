//! Rows that are found by the first columns of their identity, against the same rows found by an index.

use super::*;
use crate::engine::source::{Access, LinkUse, by_identity};
use crate::state::{View, image};
use crate::transform::eval::Lookup;
use crate::transform::{KeyForm, Link, LinkColumn, link};

const ROWS: SpaceId = SpaceId(1);
const ENTRIES: SpaceId = SpaceId(2);

/// Lines with the identity (no, order): `order` leads in one table, `no` and `order` lie apart from their places.
fn line_table() -> Table {
    let column = |name: &str, attnum| UsedColumn {
        name: name.into(),
        attnum,
        ty: ColumnType::plain(Type::Text),
        not_null: true,
    };
    Table {
        oid: TABLE,
        name: QualifiedName::new("public", "line"),
        partitioned: false,
        leaves: vec![],
        columns: vec![column("qty", 1), column("no", 2), column("shop", 3), column("order", 4)],
        types: vec![(25, -1); 4],
        identity: Identity::Key { columns: vec![3, 2, 1], space: ROWS },
        indexes: vec![Index { columns: vec![(2, KeyForm::Text), (3, KeyForm::Text)], space: ENTRIES }],
        loaded_at: EndLsn::ZERO,
    }
}

fn source(own: Access) -> SourceUse {
    // The link names the shop first, the identity the order.
    let columns = [(2, 0), (3, 1)].map(|(own, parent)| LinkColumn { own, parent, key: KeyForm::Text });
    let link = Link { parent: 0, columns: columns.into() };
    SourceUse { table: 0, slots: vec![0, 1, 2, 3], link: Some(LinkUse { link, own, parent: None }) }
}

fn found(rows: &Rows<'_>, key: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut found = Vec::new();
    let each = &mut |row: crate::row::Row<'_>| {
        found.push(row.iter().map(|v| v.map(<[u8]>::to_vec)).collect());
        Ok(std::ops::ControlFlow::Continue(()))
    };
    rows.rows(0, key, each).expect("rows");
    rows.check().expect("the state can be read");
    found
}

#[test]
fn which_columns_lead() {
    let text = |columns: &[usize]| columns.iter().map(|&c| (c, KeyForm::Text)).collect::<Vec<_>>();
    let identity = [3, 2, 1];
    assert_eq!(by_identity(&text(&[3]), &identity), Some(vec![0]));
    assert_eq!(by_identity(&text(&[2, 3]), &identity), Some(vec![1, 0]));
    assert_eq!(by_identity(&text(&[1, 2, 3]), &identity), Some(vec![2, 1, 0]));
    for apart in [&[2][..], &[1], &[3, 1], &[3, 3], &[0], &[3, 2, 1, 0]] {
        assert_eq!(by_identity(&text(apart), &identity), None, "{apart:?}");
    }
    assert_eq!(by_identity(&vec![(3, KeyForm::Number)], &identity), None);
    assert_eq!(by_identity(&vec![(3, KeyForm::Text), (2, KeyForm::Padded)], &identity), None);
}

#[test]
fn rows_by_leading_columns_are_those_of_an_index() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let tables = [line_table()];
    let index = &tables[0].indexes[0];
    let long = "a".repeat(1500);
    // Each begins another one, or looks like the length of another one.
    let texts = ["", "a", "ab", "\u{1}", "\u{2}a", "\u{1}\u{1}", &long[..127], &long[..128], &long];
    let directory = tempfile::tempdir().expect("a folder");
    let mut state = State::open(directory.path(), "t", Limits { cache_bytes: 4096 }).expect("a state");
    let mut entry = Vec::new();
    for round in 0..60u64 {
        for _ in 0..20 {
            let mut text = || Some(texts[rng.usize(..texts.len())].as_bytes());
            let (no, shop, order) = (text(), text(), text());
            let qty = rng.u8(..).to_string();
            let row = [Some(qty.as_bytes()), no, shop, order];
            let (mut identity, mut stored) = (Vec::new(), Vec::new());
            image::write([order, shop, no], &mut identity);
            image::write(row, &mut stored);
            assert!(index.entry(&row, &identity, &mut entry));
            if round < 5 {
                let mut load = state.load();
                load.put(ROWS, &identity, &stored).expect("a row");
                load.put(ENTRIES, &entry, b"").expect("an entry");
                load.finish().expect("a load");
                continue;
            }
            let gone = rng.u8(..3) == 0;
            state.stage(ROWS, identity.into(), (!gone).then(|| stored.into()));
            state.stage(ENTRIES, entry[..].into(), (!gone).then(Box::default));
        }
        let (leading, indexed) = ([source(Access::Leading(vec![1, 0]))], [source(Access::Index(ENTRIES))]);
        for view in [View::Before, View::After] {
            let leading = Rows::new(&state, &tables, &leading, view);
            let indexed = Rows::new(&state, &tables, &indexed, view);
            let mut key = Vec::new();
            for shop in texts {
                for order in texts {
                    let values = [shop, order].map(|v| (KeyForm::Text, Some(v.as_bytes())));
                    assert!(link::write(values, &mut key));
                    let rows = found(&leading, &key);
                    assert_eq!(rows, found(&indexed, &key), "{view:?} of {shop:?} {order:?} in round {round}");
                    let here = |row: &Vec<Option<Vec<u8>>>| {
                        row[2].as_deref() == Some(shop.as_bytes()) && row[3].as_deref() == Some(order.as_bytes())
                    };
                    assert!(rows.iter().all(here));
                }
            }
        }
        match rng.u8(..3) {
            0 => state.drop_staged(),
            _ => {
                state.keep_staged();
                state.advance(EndLsn::new(round + 1));
            }
        }
        if rng.u8(..4) == 0 {
            state.flush(crate::emit::Committed::in_test(EndLsn::new(round + 1))).expect("a flush");
        }
    }
}
