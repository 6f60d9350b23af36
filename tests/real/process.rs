//! The helpers themselves: databases that go away, topics that are read, the program as a process.

use crate::support::*;
use std::time::Duration;

#[test]
fn a_database_goes_away_with_its_slots() {
    let database = fresh_database("goes_away");
    let name = database.name.clone();
    let mut client = database.client();
    let slot = unique("slot");
    client.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).unwrap();
    assert!(database.lsn() > 0);
    drop(client);
    let watcher = fresh_database("watcher");
    drop(database);
    let row = watcher
        .client()
        .query_one(
            "SELECT (SELECT count(*) FROM pg_database WHERE datname = $1)
                  + (SELECT count(*) FROM pg_replication_slots WHERE slot_name = $2)",
            &[&name, &slot],
        )
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[test]
fn usage_errors_of_the_program_leave_with_2() {
    let database = fresh_database("usage");
    let project = Project::new("usage", &database, "");
    assert_eq!(project.output(&["nonsense"]).status.code(), Some(2));
    let mut process = project.spawn(&["nonsense"], &[]);
    assert_eq!(process.code(Duration::from_secs(10)), 2);
}

#[test]
fn kafka_and_the_registry_answer() {
    assert!(read_topic("__no_such_topic").is_empty());
    assert!(registry().starts_with("http://"));
}
