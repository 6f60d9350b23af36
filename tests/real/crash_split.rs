//! A source transaction that goes out in several Kafka transactions, and a crash between two of them: what is in Kafka
//! is not written again, and the rest follows.

use std::time::Duration;

use crate::crash::{Shop, is_killed};

/// Killed between two parts of the transaction that `sql` is, or, where it must not be split, after one commit or the
/// other.
fn check(name: &str, sql: &str, splits: bool) {
    let mut shop = Shop::new(name, 3000, "[commit]\nsplit_records = 500\n");
    shop.catch_up();
    let mut process = shop
        .project
        .spawn(&["run"], &[("PGSPINE_FAILPOINT", if splits { "after_commit:4" } else { "before_commit:2" })]);
    process.until_log("the take-over", Duration::from_secs(60), |log| log.contains("took over"));
    shop.oracle.commit(sql);
    let killed = crate::support::wait_for("the kill", Duration::from_secs(60), || process.ended());
    assert!(is_killed(killed), "{}", process.log());
    if splits {
        assert!(shop.oracle.compare(&shop.topics()).is_err(), "it is in Kafka only in part");
    }
    shop.work(2);
    shop.catch_up();
    eprintln!("{name}: {:?}", shop.oracle.verify());
}

#[test]
fn rows_of_a_table_with_state() {
    check("split_state", "UPDATE item SET note = 'split'; DELETE FROM item WHERE id % 2 = 0", true);
}

#[test]
fn rows_of_a_table_without_state() {
    check("split_full", "UPDATE move SET qty = qty + 1; DELETE FROM move WHERE no % 2 = 0", true);
}

#[test]
fn rows_of_both() {
    check("split_both", "UPDATE item SET note = 'split'; UPDATE move SET qty = qty + 1 WHERE no % 3 <> 0", true);
}

#[test]
fn a_truncate_of_a_table_with_state() {
    check(
        "split_truncate",
        "TRUNCATE item; INSERT INTO item SELECT i, 'new', i, NULL, 0 FROM generate_series(2000, 2500) i",
        false,
    );
}

/// Which keys were alive is only known from the topic, so it must not hold a part of the transaction itself.
#[test]
fn a_truncate_of_a_table_without_state() {
    check(
        "split_read",
        "TRUNCATE move; INSERT INTO move SELECT 'p' || i % 7, i, CASE WHEN i % 2 = 0 THEN i ELSE -1 END, 0 FROM generate_series(1, 1500) i",
        false,
    );
}
