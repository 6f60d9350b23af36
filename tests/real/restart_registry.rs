//! The registry is away: at the start the bridge waits for it and goes on by itself; later nothing needs it, until a
//! session begins anew.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::crash::Shop;
use crate::support::*;

const LONG: Duration = Duration::from_secs(60);

/// A way to the registry that can be cut.
struct Way {
    open: Arc<AtomicBool>,
    url: String,
}

impl Way {
    fn new() -> Way {
        let open = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let real = registry();
        let (address, path) = real.trim_start_matches("http://").split_once('/').expect("a path");
        let url = format!("http://{}/{path}", listener.local_addr().expect("a port"));
        let (address, way) = (address.to_owned(), Arc::clone(&open));
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Cut: whoever comes is hung up on.
                if way.load(Ordering::Acquire) {
                    let server = TcpStream::connect(&address).expect("the registry");
                    let back = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
                    std::thread::spawn(move || io::copy(&mut &client, &mut &server));
                    std::thread::spawn(move || io::copy(&mut &back.0, &mut &back.1));
                }
            }
        });
        Way { open, url }
    }

    fn set(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }
}

#[test]
fn at_the_start_and_later() {
    let way = Way::new();
    let mut shop = Shop::new("no_registry", 40, "");
    let mut process = shop.project.spawn(&["run"], &[("PGSPINE_REGISTRY__URL", &way.url)]);
    process.until_log("the first try", LONG, |log| log.contains("WARN"));
    shop.work(3);
    way.set(true);
    shop.wait_streaming(&mut process);

    way.set(false);
    shop.work(10);
    shop.wait_confirmed(&mut process, LONG);

    let sql = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active_pid IS NOT NULL";
    assert_eq!(shop.database.client().query(sql, &[]).unwrap().len(), 1);
    shop.work(10);
    way.set(true);
    shop.wait_confirmed(&mut process, LONG);
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("{:?}", shop.oracle.verify());
}
