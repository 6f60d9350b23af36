//! Kafka goes away and comes back under load; nothing else waits for it: neither PostgreSQL's shutdown nor our own end.

use std::time::{Duration, Instant};

use crate::crash::Shop;
use crate::support::*;

const LONG: Duration = Duration::from_secs(60);

/// Killed under load, away for 20 s, away while the server's fast shutdown waits for a confirmation that nobody can give,
/// away while the process is asked to end.
#[test]
fn a_broker_that_comes_and_goes() {
    let services = Services::start(&["postgres", "kafka"]);
    let mut shop = Shop::new("both_restart", 40, "");
    let mut process = shop.project.spawn(&["run"], &[]);
    shop.wait_streaming(&mut process);

    shop.work(20);
    services.kill("kafka");
    shop.work(20);
    services.up(&["kafka"]);
    shop.work(20);
    shop.wait_confirmed(&mut process, LONG * 2);
    eprintln!("after kill -9 of the broker: {:?}", shop.oracle.verify());

    services.kill("kafka");
    let until = Instant::now() + Duration::from_secs(20);
    shop.work_until(LONG, || (Instant::now() > until).then_some(()));
    services.up(&["kafka"]);
    shop.wait_confirmed(&mut process, LONG * 2);
    eprintln!("after 20 s without a broker: {:?}", shop.oracle.verify());

    services.kill("kafka");
    shop.work(20);
    let took = services.stop("postgres", libc::SIGINT, Duration::from_secs(20));
    eprintln!("fast shutdown of the server while Kafka is away: {took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}\n{}", process.log());
    services.up(&["postgres"]);
    shop.oracle.reconnect();
    shop.work(10);
    let begun = Instant::now();
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("SIGTERM while Kafka is away: {:?}", begun.elapsed());
    services.up(&["kafka"]);
    shop.catch_up();

    // Asked to end in the middle of the stream, with records that Kafka does not take.
    let mut process = shop.project.spawn(&["run"], &[]);
    shop.work(1);
    shop.wait_confirmed(&mut process, LONG);
    shop.work(10);
    services.kill("kafka");
    shop.work(10);
    let begun = Instant::now();
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("SIGTERM under load while Kafka is away: {:?}", begun.elapsed());
    services.up(&["kafka"]);
    shop.catch_up();
    eprintln!("{:?}", shop.oracle.verify());
    drop(shop);
}
