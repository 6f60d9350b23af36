//! A process that was stopped and replaced: when it wakes it leaves with 4, and nothing of it comes after the take-over.

use std::time::Duration;

use crate::crash::Shop;
use crate::support::*;

/// Stops the first process by `stop`, lets a second take over, wakes the first.
fn check(name: &str, environment: &[(&str, &str)], stop: impl FnOnce(&mut Shop, &mut Process)) {
    let mut shop = Shop::new(name, 40, "");
    shop.oracle.reconciles = true;
    let mut zombie = shop.project.spawn(&["run"], environment);
    stop(&mut shop, &mut zombie);

    // Without the first one's state: what needs state is reconciled, and it goes on.
    let mut owner = shop.project.spawn(&["run"], &[("PGSPINE_BRIDGE__STATE_DIR", "state-of-the-second")]);
    shop.wait_reconciled(&mut owner, 1);
    shop.work(5);
    shop.wait_confirmed(&mut owner, Duration::from_secs(60));
    let taken_over = generations(&shop.project.name).last().copied().expect("progress");

    zombie.signal(libc::SIGCONT);
    let status = shop.work_until(Duration::from_secs(90), || zombie.ended());
    assert_eq!(status.code(), Some(4), "{}", zombie.log());
    shop.work(5);
    shop.wait_confirmed(&mut owner, Duration::from_secs(60));
    assert_eq!(owner.stop(), 0, "{}", owner.log());

    let compared = shop.oracle.verify();
    let all = generations(&shop.project.name);
    // Also of what was never committed.
    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(all.last(), Some(&taken_over), "the owner was not disturbed: {all:?}");
    eprintln!("{name}: {compared:?}, {} progress records up to generation {taken_over}", all.len());
}

/// Of all progress records, committed or not, in order.
fn generations(bridge: &str) -> Vec<u64> {
    let records = read_topic_as(&format!("pgspine.{bridge}.progress"), "read_uncommitted");
    let own = records.iter().filter(|r| r.key.as_deref() == Some(bridge.as_bytes()));
    let values = own.map(|r| serde_json::from_slice(r.value.as_deref().expect("a value")).expect("JSON"));
    values.map(|v: serde_json::Value| v["generation"].as_u64().expect("a generation")).collect()
}

fn at_point(name: &str, point: &str) {
    let environment = [("PGSPINE_FAILPOINT", point), ("PGSPINE_FAILPOINT_SIGNAL", "STOP")];
    check(name, &environment, |shop, zombie| {
        shop.work_until(Duration::from_secs(60), || zombie.log().contains("stopped").then_some(()));
    });
}

#[test]
fn stopped_while_idle() {
    check("zombie_idle", &[], |shop, zombie| {
        shop.wait_streaming(zombie);
        zombie.signal(libc::SIGSTOP);
    });
}

#[test]
fn stopped_somewhere_under_load() {
    check("zombie_load", &[], |shop, zombie| {
        shop.wait_streaming(zombie);
        shop.work(5);
        zombie.signal(libc::SIGSTOP);
        shop.work(5);
    });
}

/// Everything of its transaction lies in Kafka: only the commit itself is missing, and is sent when it wakes.
#[test]
fn stopped_before_the_commit() {
    at_point("zombie_before_commit", "before_commit:6");
}

/// Kafka has committed, its state does not know yet.
#[test]
fn stopped_after_the_commit() {
    at_point("zombie_after_commit", "after_commit:6");
}

#[test]
fn stopped_with_records_in_hand() {
    at_point("zombie_evaluated", "evaluated:6");
}

#[test]
fn stopped_within_the_first_load() {
    at_point("zombie_load_row", "load_row:10");
}

/// Its transaction outlives its time, and the broker says the same as to a zombie; but nobody has taken over.
#[test]
fn a_long_sleep_alone_is_no_end() {
    let mut shop = Shop::new("long_sleep", 40, "");
    let environment = [("PGSPINE_FAILPOINT", "before_commit:6"), ("PGSPINE_FAILPOINT_SIGNAL", "STOP")];
    let mut process = shop.project.spawn(&["run"], &environment);
    shop.work_until(Duration::from_secs(60), || process.log().contains("stopped").then_some(()));
    let end = std::time::Instant::now() + Duration::from_secs(80);
    shop.work_until(Duration::from_secs(90), || (std::time::Instant::now() > end).then_some(()));
    process.signal(libc::SIGCONT);
    shop.work(5);
    shop.wait_confirmed(&mut process, Duration::from_secs(90));
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("{:?}\n{}", shop.oracle.verify(), process.log());
}

#[test]
fn stopped_within_a_reconcile() {
    at_point("zombie_reconcile", "reconcile_step:2");
}
