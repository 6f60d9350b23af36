//! A crash on every arrow of the journey: the process is killed there, started again, and the topics are exact.

use std::time::Duration;

use crate::crash::{Shop, is_killed};

/// Killed at the `nth` passage of the point under a small workload, then started again.
fn check(point: &str, nth: u32) {
    check_with(point, nth, 40);
}

fn check_with(point: &str, nth: u32, rows: i64) {
    let mut shop = Shop::new(point, rows, "");
    let mut process = shop.project.spawn(&["run"], &[("PGSPINE_FAILPOINT", &format!("{point}:{nth}"))]);
    let killed = shop.work_until(Duration::from_secs(60), || process.ended());
    assert!(is_killed(killed), "{}", process.log());
    assert!(process.log().contains(&format!("failpoint {point}: killed")), "{}", process.log());
    shop.work(5);
    shop.catch_up();
    let compared = shop.oracle.verify();
    // And once more from where that one ended.
    shop.work(5);
    shop.catch_up();
    shop.oracle.verify();
    eprintln!("{point}:{nth}: {compared:?}");
}

macro_rules! points {
    ($($test:ident: $point:literal, $nth:literal;)*) => { $(
        #[test]
        fn $test() {
            check($point, $nth);
        }
    )* };
}

points! {
    received: "received", 5;
    assembled: "assembled", 7;
    evaluated: "evaluated", 7;
    produced: "produced", 8;
    before_commit: "before_commit", 8;
    committed_before_the_answer_is_seen: "after_commit", 8;
    committed_before_the_state_is_written: "before_state", 2;
    state_written_before_it_is_known: "state_written", 2;
    state_durable_before_the_slot_is_told: "state_durable", 2;
    before_the_slot_is_told: "before_confirm", 2;
    the_slot_was_told: "confirmed", 2;
    the_slot_is_made: "slot_created", 1;
    within_the_rows_of_the_first_table: "load_row", 10;
    within_the_rows_of_the_second_table: "load_row", 60;
    all_rows_are_loaded: "loaded", 1;
    the_reconcile_is_announced: "reconcile_begun", 1;
    the_topic_is_read_back: "read_back", 1;
    the_second_topic_is_read_back: "read_back", 2;
    the_first_step_of_a_reconcile: "reconcile_step", 1;
}

/// A step is 4096 rows.
#[test]
fn within_a_reconcile() {
    check_with("reconcile_step", 3, 10_000);
}
