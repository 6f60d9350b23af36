//! PostgreSQL goes away and comes back under load; a fast shutdown of it never waits for us; a walsender is terminated.

use std::time::Duration;

use crate::crash::Shop;
use crate::support::*;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_immediate_stop_and_a_fast_one_under_load() {
    let services = Services::start(&["postgres"]);
    let mut shop = Shop::new("pg_restart", 40, "");
    let mut process = shop.project.spawn(&["run"], &[]);
    shop.wait_streaming(&mut process);
    for signal in [libc::SIGQUIT, libc::SIGINT] {
        shop.work(30);
        // Fast: the server waits for its walsenders, and they for us.
        let took = services.stop("postgres", signal, Duration::from_secs(20));
        eprintln!("signal {signal}: the server was gone after {took:?}");
        assert!(took < Duration::from_secs(6), "{took:?}\n{}", process.log());
        services.up(&["postgres"]);
        shop.oracle.reconnect();
        shop.work(10);
        shop.wait_confirmed(&mut process, LONG);
    }
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("{:?}", shop.oracle.verify());
    drop(shop);
}

#[test]
fn a_walsender_is_terminated_under_load() {
    let mut shop = Shop::new("walsender", 40, "");
    let mut process = shop.project.spawn(&["run"], &[]);
    shop.wait_streaming(&mut process);
    let mut client = shop.database.client();
    for _ in 0..3 {
        shop.work(10);
        let sql = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
                   WHERE database = current_database() AND active_pid IS NOT NULL";
        let ended = shop.work_until(LONG, || Some(client.query(sql, &[]).unwrap().len()).filter(|n| *n > 0));
        assert_eq!(ended, 1);
        shop.work(10);
        shop.wait_confirmed(&mut process, LONG);
    }
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("{:?}", shop.oracle.verify());
}
