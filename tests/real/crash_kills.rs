//! kill -9 at any moment: under load, while tables are loaded, while topics are reconciled.
//!
//! `PGSPINE_KILLS` says how often; a few by default, hundreds by hand.

use std::time::{Duration, Instant};

use crate::crash::Shop;

pub fn kills() -> usize {
    std::env::var("PGSPINE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

/// Works for a random time below the limit, as a rule counted from a word in the log, then kills.
fn run_and_kill(shop: &mut Shop, word: &str, most_ms: u64) -> String {
    let mut process = shop.project.spawn(&["run"], &[]);
    if shop.random.u8(0..4) > 0 {
        shop.work_until(Duration::from_secs(60), || {
            let log = process.log();
            (log.contains(word) || process.ended().is_some()).then_some(())
        });
    }
    let end = Instant::now() + Duration::from_millis(shop.random.u64(0..most_ms));
    shop.work_until(Duration::from_secs(60), || (Instant::now() >= end).then_some(()));
    let ended = process.ended();
    assert!(ended.is_none(), "ended by itself with {ended:?}:\n{}", process.log());
    process.kill9();
    process.log()
}

#[test]
fn under_load() {
    let mut shop = Shop::new("kills", 60, "");
    shop.catch_up();
    shop.truncates = true;
    let mut streamed = 0;
    for n in 1..=kills() {
        let log = run_and_kill(&mut shop, "took over", 2500);
        streamed += usize::from(log.contains("took over"));
        if n % 50 == 0 {
            shop.catch_up();
            eprintln!("{n} kills: {:?}", shop.oracle.verify());
        }
    }
    shop.catch_up();
    let compared = shop.oracle.verify();
    eprintln!("{} kills, {streamed} of them after the take-over: {compared:?}", kills());
    assert!(compared.records > 0);
}

/// A state directory that is lost now and then makes it load and reconcile again.
#[test]
fn while_tables_are_loaded_and_topics_reconciled() {
    let mut shop = Shop::new("load_kills", 10_000, "");
    shop.oracle.reconciles = true;
    let (mut loaded, mut reconciled) = (0, 0);
    for n in 1..=kills() {
        if n % 3 == 0 {
            std::fs::remove_dir_all(shop.project.dir().join("state")).expect("the state is there");
        }
        let word = if n % 3 == 0 { "load begins" } else { "took over" };
        let log = run_and_kill(&mut shop, word, 3000);
        loaded += usize::from(log.contains("load begins"));
        reconciled += usize::from(log.contains("reconcile begins"));
    }
    shop.catch_up();
    let compared = shop.oracle.verify();
    eprintln!(
        "{} kills, {loaded} of them within or after a load, {reconciled} within or after a reconcile: {compared:?}",
        kills()
    );
    assert!(compared.reconciled >= 10_000);
}
