//! Topics of a real Kafka: made with our settings, verified, never altered; and a broker that is not there.

use std::time::Duration;

use pgspine::diagnostic::Code;
use pgspine::emit::topics::{self, Mode, Purpose, Wanted};
use pgspine::emit::{EmitError, Kind, Options, Remedy, Session, codes};

fn options(name: &str) -> Options {
    let servers = std::env::var("PGSPINE_TEST_KAFKA").expect("PGSPINE_TEST_KAFKA is not set: `make test` sets it");
    Options::new(&format!("emit-{name}-{}", uuid::Uuid::new_v4().simple()), &servers)
}

fn findings(options: &Options, wanted: &Wanted, mode: Mode) -> Vec<Code> {
    let found = topics::ensure(options, std::slice::from_ref(wanted), mode).unwrap();
    found.diagnostics.iter().map(|d| d.code).collect()
}

#[test]
fn made_once_verified_later_never_altered() {
    let options = options("topics");
    let name = format!("{}.e", options.bridge);
    let mut wanted = Wanted { partitions: 3, ..Wanted::new(&name, Purpose::Data(Kind::Entity)) };
    assert_eq!(findings(&options, &wanted, Mode::Verify), [codes::TOPIC_MISSING]);
    assert_eq!(findings(&options, &wanted, Mode::Look), []);
    let first = topics::ensure(&options, std::slice::from_ref(&wanted), Mode::Create).unwrap();
    assert_eq!(first.diagnostics, []);
    let made = &first.found[&name];
    assert!(made.created && made.partitions == 3);
    assert!(made.topic_id.as_ref().is_some_and(|id| id.len() == 22), "{:?}", made.topic_id);
    for (setting, value) in wanted.settings() {
        assert_eq!(made.config[&setting], value);
    }
    assert!(made.max_message_bytes().unwrap() > 1_000_000);

    wanted.partitions = 6;
    wanted.config.insert("segment.ms".to_owned(), "1000".to_owned());
    wanted.pinned_topic_id.clone_from(&made.topic_id);
    wanted.pinned_partitions = Some(3);
    let second = topics::ensure(&options, std::slice::from_ref(&wanted), Mode::Create).unwrap();
    assert_eq!(second.diagnostics, []);
    assert_eq!(second.found[&name].config, made.config);
    assert!(!second.found[&name].created);

    wanted.pinned_partitions = Some(6);
    assert_eq!(findings(&options, &wanted, Mode::Verify), [codes::PARTITION_COUNT]);
    wanted.pinned_partitions = None;
    wanted.purpose = Purpose::Data(Kind::Event);
    assert_eq!(findings(&options, &wanted, Mode::Verify), [codes::CLEANUP_POLICY]);
    wanted.purpose = Purpose::Data(Kind::Entity);
    wanted.max_record = 5_000_000;
    assert_eq!(findings(&options, &wanted, Mode::Verify), [codes::MAX_MESSAGE_BYTES]);
    topics::delete(&options, &[&name]).unwrap();
}

#[test]
fn what_the_broker_refuses_is_a_finding() {
    let options = options("refused");
    let name = format!("{}.e", options.bridge);
    let wanted = Wanted { replication_factor: 100, ..Wanted::new(&name, Purpose::Data(Kind::Entity)) };
    assert_eq!(findings(&options, &wanted, Mode::Create), [codes::TOPIC_NOT_CREATED]);
    assert_eq!(findings(&options, &Wanted::new("a/b", wanted.purpose), Mode::Create), [codes::TOPIC_NAME]);
    let cluster = topics::transaction_findings(&options).unwrap();
    assert!(cluster.iter().all(|d| d.code != codes::TRANSACTIONS_NOT_READY), "{cluster:?}");
    // Nothing is made by looking, whatever auto.create.topics.enable says.
    assert!(matches!(Session::take_over(options, None), Err(EmitError::NoTopic { .. })));
}

#[test]
fn a_broker_that_is_away_may_come_back() {
    let mut options = options("away");
    options.bootstrap_servers = "127.0.0.1:1".to_owned();
    options.timeouts.request = Duration::from_secs(2);
    let error = Session::take_over(options, None).err().unwrap();
    assert_eq!((error.remedy(), error.diagnostic().code), (Remedy::Wait, codes::BROKER_AWAY), "{error:?}");
}
