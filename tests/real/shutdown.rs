//! SIGTERM: what is here goes out, and the process leaves with 0 within 10 s, whatever it is doing.

use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::crash::{Shop, confirmed};
use crate::support::*;

const LONG: Duration = Duration::from_secs(60);

fn streaming(shop: &mut Shop) -> Process {
    let mut process = shop.project.spawn(&["run"], &[]);
    shop.wait_streaming(&mut process);
    process
}

/// Its exit code, and how long it took.
fn stop(process: &mut Process) -> Duration {
    let begun = Instant::now();
    let code = process.stop();
    assert_eq!(code, 0, "{}", process.log());
    begun.elapsed()
}

#[test]
fn idle() {
    let mut shop = Shop::new("stop_idle", 40, "");
    let mut process = streaming(&mut shop);
    let took = stop(&mut process);
    eprintln!("idle: {took:?}");
    assert!(took < Duration::from_secs(5));
    shop.oracle.verify();
}

/// Everything that was committed well before is in Kafka, on disk and told to the slot.
#[test]
fn under_load() {
    let mut shop = Shop::new("stop_load", 40, "");
    let mut process = streaming(&mut shop);
    shop.work(40);
    let begun = Instant::now();
    process.signal(libc::SIGTERM);
    let status = shop.work_until(Duration::from_secs(10), || process.ended());
    eprintln!("under load: {:?}", begun.elapsed());
    assert_eq!(status.code(), Some(0), "{}", process.log());
    shop.catch_up();
    shop.oracle.verify();
}

#[test]
fn while_a_table_is_loaded() {
    let shop = Shop::new("stop_loading", 40, "");
    shop.database
        .client()
        .batch_execute("INSERT INTO item SELECT i, 'big', 1, NULL, 0 FROM generate_series(1000000, 1300000) i")
        .unwrap();
    let mut process = shop.project.spawn(&["run"], &[]);
    process.until_log("the load", LONG, |log| log.contains("loading"));
    let took = stop(&mut process);
    eprintln!("while a table is loaded: {took:?}");
    shop.catch_up();
    shop.oracle.verify();
    assert!(!shop.oracle.rows(0).is_empty());
}

/// A transaction that is older than the slot: PostgreSQL makes no snapshot before it ends.
#[test]
fn while_it_waits_for_an_older_transaction() {
    let mut shop = Shop::new("stop_older", 40, "");
    let mut other = shop.database.client();
    let mut older = other.transaction().unwrap();
    older.batch_execute("SELECT pg_current_xact_id()").unwrap();
    let mut process = shop.project.spawn(&["run"], &[]);
    let mut watcher = shop.database.client();
    process.until("the wait for the older transaction", LONG, || {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        (!watcher.query(sql, &[]).unwrap().is_empty()).then_some(())
    });
    let took = stop(&mut process);
    eprintln!("while an older transaction runs: {took:?}");
    older.commit().unwrap();
    shop.work(2);
    shop.catch_up();
    shop.oracle.verify();
}

/// Somebody else reads from the slot: that one is waited for, not ended.
#[test]
fn while_another_connection_holds_the_slot() {
    let mut shop = Shop::new("stop_slot", 40, "");
    stop(&mut streaming(&mut shop));
    let slot: String = {
        let sql = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()";
        shop.database.client().query_one(sql, &[]).unwrap().get(0)
    };
    let held = hold(&shop, &slot);
    let mut process = shop.project.spawn(&["run"], &[]);
    process.until_log("the wait for the slot", LONG, |log| log.contains("held by another"));
    let took = stop(&mut process);
    eprintln!("while the slot is held: {took:?}");
    // And it goes on by itself once the other one is gone.
    let mut process = shop.project.spawn(&["run"], &[]);
    process.until_log("the wait for the slot", LONG, |log| log.contains("held by another"));
    shop.work(3);
    drop(held);
    shop.wait_confirmed(&mut process, LONG);
    assert_eq!(process.stop(), 0);
    shop.oracle.verify();
}

/// A reader that is not ours.
fn hold(shop: &Shop, slot: &str) -> pgspine::capture::Stream {
    use pgspine::capture::{Mode, Options, connect, stream};
    let mut options = Options::parse(&format!("{} sslmode=disable", shop.database.conninfo())).unwrap();
    options.application_name = "somebody else".into();
    let publication = shop.database.client().query_one("SELECT pubname::text FROM pg_publication", &[]).unwrap().get(0);
    let connection = connect(&options, Mode::Replication).unwrap();
    let start = stream::StreamOptions {
        slot: slot.to_owned(),
        publications: vec![publication],
        start: pgspine::lsn::Lsn::ZERO,
        confirmed: pgspine::lsn::EndLsn::ZERO,
        queue_bytes: 1 << 20,
        probe: None,
    };
    stream::start(connection, start).unwrap()
}

/// The WAL of other databases moves the slot on, and the progress topic gets only a few records.
#[test]
fn an_idle_database_pins_no_wal() {
    let mut shop = Shop::new("idle_wal", 40, "");
    let mut process = streaming(&mut shop);
    let progress = format!("pgspine.{}.progress", shop.project.name);
    let before = read_topic(&progress).len();
    let other = fresh_database("elsewhere");
    let mut elsewhere = postgres::Client::connect(&other.conninfo(), NoTls).unwrap();
    elsewhere.batch_execute("CREATE TABLE t (x text)").unwrap();
    let mut client = shop.database.client();
    let from = confirmed(&mut client);
    let begun = Instant::now();
    let mut end = 0;
    // WAL comes all the time; twice the slot has to follow it.
    for _ in 0..2 {
        let wanted = other.lsn();
        process.until("the slot to move on", Duration::from_secs(40), || {
            elsewhere.batch_execute("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 20)").unwrap();
            end = confirmed(&mut client);
            (end > wanted).then_some(())
        });
    }
    let records = read_topic(&progress).len() - before;
    eprintln!("{} bytes of WAL from elsewhere in {:?}: {records} progress records", end - from, begun.elapsed());
    assert!((1..=8).contains(&records), "{records}");
    assert_eq!(process.stop(), 0);
    shop.oracle.verify();
}
