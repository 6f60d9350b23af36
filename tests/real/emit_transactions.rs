//! The emitter against a real Kafka: what commits together, who may write, and what a reader finds afterwards.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use pgspine::emit::topics::{self, Mode, Purpose, Wanted};
use pgspine::emit::{
    Answer, Batch, Commit, Edit, EmitError, Emitter, Kind, Options, ProgressUpdate, Remedy, Session, Topic,
    TopicProgress, codes, newer_generation, progress, readback,
};
use pgspine::lsn::{EndLsn, Lsn};
use pgspine::record::{Origin, OutputBatch, OutputRecord, TopicId};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

/// Topics of a test's own, deleted when it ends.
struct Bridge {
    options: Options,
}

impl Bridge {
    fn new(name: &str, partitions: i32) -> Bridge {
        let servers = std::env::var("PGSPINE_TEST_KAFKA").expect("PGSPINE_TEST_KAFKA is not set: `make test` sets it");
        let name = format!("emit-{name}-{}", uuid::Uuid::new_v4().simple());
        let mut options = Options::new(&name, &servers);
        options.topics = vec![
            Topic { name: format!("{name}.a"), transform: "t/a".to_owned(), kind: Kind::Entity },
            Topic { name: format!("{name}.b"), transform: "t/b".to_owned(), kind: Kind::Entity },
        ];
        let mut wanted: Vec<_> = options
            .topics
            .iter()
            .map(|t| Wanted { partitions, ..Wanted::new(&t.name, Purpose::Data(t.kind)) })
            .collect();
        wanted.push(Wanted::new(&options.progress_topic, Purpose::Progress));
        let findings = topics::ensure(&options, &wanted, Mode::Create).unwrap();
        assert_eq!(findings.diagnostics, []);
        assert_eq!(findings.found.len(), 3);
        Bridge { options }
    }

    fn start(&self, ours: Option<u64>) -> (Emitter, Receiver<Answer>, u64) {
        let (session, _) = Session::take_over(self.options.clone(), ours).unwrap();
        let generation = session.generation();
        let (tx, rx) = channel();
        (Emitter::start(session, move |a| drop(tx.send(a))).unwrap(), rx, generation)
    }

    fn fold(&self, topic: usize) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let mut map = BTreeMap::new();
        readback::read(
            &self.options,
            &self.options.topics[topic].name,
            |r| {
                map.insert(r.key.to_vec(), r.value.map(<[u8]>::to_vec));
                Ok(())
            },
            |_| {},
        )
        .unwrap();
        map
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let names: Vec<_> =
            self.options.topics.iter().map(|t| t.name.as_str()).chain([self.options.progress_topic.as_str()]).collect();
        if let Err(error) = topics::delete(&self.options, &names) {
            eprintln!("left behind {names:?}: {error}");
        }
    }
}

fn batch(end_lsn: u64, records: &[(u16, &str, Option<&str>)]) -> Batch {
    let mut output = OutputBatch { end_lsn: EndLsn::new(end_lsn), commit_time: 1, xid: 9, ..OutputBatch::default() };
    for (seq, (topic, key, value)) in records.iter().enumerate() {
        let mut put = |text: &str| {
            let start = output.arena.len() as u32;
            output.arena.extend_from_slice(text.as_bytes());
            start..output.arena.len() as u32
        };
        let (key, value) = (put(key), value.map(&mut put));
        output.records.push(OutputRecord {
            topic: TopicId(*topic),
            partition: 0,
            key,
            value,
            timestamp: i64::MAX / 2000,
            lsn: Lsn(end_lsn),
            seq: seq as u64,
            origin: Origin::Stream,
            xid: 9,
            part: None,
            event_id: None,
            annotations: 0..0,
        });
    }
    Batch { output, ..Batch::default() }
}

fn committed(answers: &Receiver<Answer>) -> Commit {
    match answers.recv_timeout(Duration::from_secs(60)).unwrap() {
        Answer::Committed(commit) => commit,
        Answer::Failed(error) => panic!("{error:?}"),
    }
}

fn failed(answers: &Receiver<Answer>) -> EmitError {
    loop {
        match answers.recv_timeout(Duration::from_secs(90)).unwrap() {
            Answer::Committed(_) => {}
            Answer::Failed(error) => return error,
        }
    }
}

/// A source transaction in several batches is one Kafka transaction, however far it goes beyond the limits of a group.
#[test]
fn unfinished_batches_commit_with_what_follows() {
    let mut bridge = Bridge::new("unfinished", 1);
    bridge.options.commit.max_records = 2;
    bridge.options.timeouts.commit = Duration::from_secs(2);
    let unfinished = |n: u64| {
        let records: Vec<_> = (0..5).map(|i| format!("{n}.{i}")).collect();
        let records: Vec<_> = records.iter().map(|k| (0, k.as_str(), Some("v"))).collect();
        Batch { unfinished: true, ..batch(0x10, &records) }
    };
    let (emitter, answers, _) = bridge.start(None);
    emitter.send(batch(0x10, &[(0, "before", Some("v"))])).unwrap();
    (0..4).for_each(|n| emitter.send(unfinished(n)).unwrap());
    assert_eq!(committed(&answers).records, 1, "what came before goes by itself");
    emitter.send(batch(0x20, &[])).unwrap();
    let commit = committed(&answers);
    assert_eq!((commit.records, commit.batches, commit.committed.end_lsn()), (20, 5, EndLsn::new(0x20)));
    // The end of the input is not the end of the transaction.
    emitter.send(unfinished(5)).unwrap();
    emitter.finish();
    assert!(answers.recv_timeout(Duration::from_secs(60)).is_err(), "nothing is committed");
    // What follows does not come in time: the next ones may be smaller.
    let (emitter, answers, _) = bridge.start(Some(1));
    emitter.send(unfinished(6)).unwrap();
    let error = failed(&answers);
    assert!(matches!(error, EmitError::Slow { records: 5, .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::TakeOverAgain);
    drop(emitter);
    // Its transaction is ended by the next take-over, or readers would wait for it.
    let (emitter, _, _) = bridge.start(Some(2));
    emitter.finish();
    assert_eq!(bridge.fold(0).len(), 21);
    assert_eq!(progress::newest(&bridge.options).unwrap().unwrap().end_lsn, EndLsn::new(0x20));
}

#[test]
fn records_of_all_topics_and_progress_commit_together() {
    let bridge = Bridge::new("atomic", 2);
    assert!(readback::is_empty(&bridge.options, &bridge.options.topics[0].name).unwrap());
    assert_eq!(progress::newest(&bridge.options).unwrap(), None);
    let (emitter, answers, generation) = bridge.start(None);
    assert_eq!(generation, 1);
    let mut first = batch(0x10, &[(0, "k", Some("1")), (1, "k", Some("2"))]);
    let topic = TopicProgress { partitions: 2, key_schema_id: Some(4), ..TopicProgress::default() };
    first.progress =
        ProgressUpdate { edits: vec![Edit::Topic { topic: bridge.options.topics[0].name.clone(), progress: topic }] };
    emitter.send(first).unwrap();
    assert_eq!(committed(&answers).committed.end_lsn(), EndLsn::new(0x10));
    emitter.send(batch(0x20, &[(0, "k", None), (0, "l", Some(""))])).unwrap();
    let commit = committed(&answers);
    assert_eq!((commit.records, commit.topics[0].upserts, commit.topics[0].tombstones), (2, 1, 1));
    // Progress alone, as of an idle database.
    emitter.send(batch(0x30, &[])).unwrap();
    emitter.finish();
    assert_eq!(committed(&answers).committed.end_lsn(), EndLsn::new(0x30));

    assert_eq!(bridge.fold(0), [(b"k".to_vec(), None), (b"l".to_vec(), Some(vec![]))].into());
    assert_eq!(bridge.fold(1), [(b"k".to_vec(), Some(b"2".to_vec()))].into());
    assert!(!readback::is_empty(&bridge.options, &bridge.options.topics[0].name).unwrap());
    let found = progress::newest_at_true_end(&bridge.options).unwrap().unwrap();
    assert_eq!((found.end_lsn, found.prev_lsn, found.xid), (EndLsn::new(0x30), EndLsn::new(0x20), 9));
    assert_eq!(found.topics[&bridge.options.topics[0].name].records, 3);
    let (session, again) = Session::take_over(bridge.options.clone(), None).unwrap();
    assert_eq!(again.as_ref(), Some(&found));
    assert_eq!((session.generation(), session.committed().end_lsn()), (2, EndLsn::new(0x30)));
}

/// With a consumer that knows nothing of ours.
#[test]
fn a_record_carries_its_headers_and_a_time_that_is_not_in_the_future() {
    let bridge = Bridge::new("headers", 1);
    let (emitter, answers, _) = bridge.start(None);
    let mut both = batch(0x16B3748, &[(0, "k", Some("v")), (0, "gone", None)]);
    both.output.records[1].timestamp = 1_700_000_000_000;
    emitter.send(both).unwrap();
    committed(&answers);
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &bridge.options.bootstrap_servers)
        .set("group.id", &bridge.options.bridge)
        .create()
        .unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&bridge.options.topics[0].name, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let next = || consumer.poll(Duration::from_secs(30)).unwrap().unwrap();
    let (first, second) = (next(), next());
    let text: Vec<_> = first
        .headers()
        .unwrap()
        .iter()
        .map(|h| format!("{}={}", h.key, std::str::from_utf8(h.value.unwrap()).unwrap()))
        .collect();
    assert_eq!(text, ["pgspine-lsn=0/16B3748", "pgspine-seq=0", "pgspine-origin=stream"]);
    assert!(first.timestamp().to_millis().unwrap() <= pgspine::clock::now_millis());
    assert_eq!((second.key(), second.payload()), (Some(b"gone".as_slice()), None));
    assert_eq!(second.timestamp().to_millis(), Some(1_700_000_000_000));
}

#[test]
fn progress_is_found_behind_a_thousand_records_of_others() {
    let bridge = Bridge::new("noise", 1);
    let (emitter, answers, _) = bridge.start(None);
    emitter.send(batch(5, &[])).unwrap();
    emitter.finish();
    committed(&answers);
    let noise: BaseProducer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &bridge.options.bootstrap_servers).create().unwrap();
    let longer = format!("{}/x", bridge.options.bridge);
    for i in 0..1000 {
        let key = if i % 2 == 0 { "other" } else { &longer };
        noise.send(BaseRecord::to(&bridge.options.progress_topic).key(key).payload("no json").partition(0)).unwrap();
    }
    noise.flush(Duration::from_secs(30)).unwrap();
    assert_eq!(progress::newest_at_true_end(&bridge.options).unwrap().unwrap().end_lsn, EndLsn::new(5));
}

#[test]
fn what_waits_shares_a_transaction_and_nothing_is_lost() {
    let bridge = Bridge::new("group", 1);
    let (emitter, answers, _) = bridge.start(None);
    let started = Instant::now();
    for i in 1..=2000u64 {
        emitter.send(batch(i, &[(0, &format!("k{i}"), Some("v"))])).unwrap();
    }
    emitter.finish();
    let commits: Vec<_> = answers
        .iter()
        .map(|a| match a {
            Answer::Committed(c) => c,
            Answer::Failed(e) => panic!("{e:?}"),
        })
        .collect();
    assert_eq!(commits.iter().map(|c| c.records).sum::<u64>(), 2000);
    assert!(commits.is_sorted_by_key(|c| c.committed));
    assert!(commits.len() < 500, "{}", commits.len());
    assert_eq!(bridge.fold(0).len(), 2000);
    eprintln!("2000 source transactions in {} Kafka transactions, {:?}", commits.len(), started.elapsed());
}

#[test]
fn a_commit_takes_no_steps_of_a_tenth_of_a_second() {
    let bridge = Bridge::new("latency", 1);
    let (emitter, answers, _) = bridge.start(None);
    let (mut whole, mut closing): (Vec<_>, Vec<_>) = (1..=100u64)
        .map(|i| {
            let sent = Instant::now();
            emitter.send(batch(i, &[(0, "k", Some("v"))])).unwrap();
            let commit = committed(&answers);
            (sent.elapsed(), commit.closing)
        })
        .unzip();
    whole.sort();
    closing.sort();
    eprintln!("sent → committed: p50 {:?}, p90 {:?}, worst {:?}", whole[50], whole[90], whole[99]);
    eprintln!("of which closing: p50 {:?}, p90 {:?}, worst {:?}", closing[50], closing[90], closing[99]);
}

#[test]
fn a_zombie_loses_and_learns_who_has_won() {
    let bridge = Bridge::new("zombie", 1);
    let (zombie, zombie_answers, old) = bridge.start(None);
    zombie.send(batch(1, &[(0, "k", Some("first"))])).unwrap();
    committed(&zombie_answers);
    assert_eq!(newer_generation(&bridge.options, old).unwrap(), None);

    let (owner, owner_answers, new) = bridge.start(None);
    assert_eq!(new, old + 1);
    zombie.send(batch(2, &[(0, "k", Some("zombie"))])).unwrap();
    let error = failed(&zombie_answers);
    assert_eq!(error.remedy(), Remedy::TakeOverAgain, "{error:?}");
    assert!(matches!(error, EmitError::Fenced { .. }), "{error:?}");
    assert_eq!(newer_generation(&bridge.options, old).unwrap().unwrap().generation, new);
    // Even when it does not look first.
    let again = Session::take_over(bridge.options.clone(), Some(old)).err().unwrap();
    assert!(matches!(&again, EmitError::Superseded { ours, newest } if *ours == old && newest.generation == new));
    assert_eq!((again.remedy(), again.diagnostic().code), (Remedy::Fenced, codes::SUPERSEDED));

    // It found out before it initialised anything: the owner goes on.
    owner.send(batch(2, &[(0, "k", Some("owner"))])).unwrap();
    assert_eq!(committed(&owner_answers).committed.end_lsn(), EndLsn::new(2));
    assert_eq!(bridge.fold(0)[b"k".as_slice()].as_deref(), Some(b"owner".as_slice()));
}

/// A producer of the same transactional id dies with its transaction open: above the committed progress lies an
/// undecided record that says more than is true.
#[test]
fn an_open_transaction_of_a_killed_producer_hides_nothing_and_counts_for_nothing() {
    let bridge = Bridge::new("killed", 1);
    let (emitter, answers, _) = bridge.start(None);
    emitter.send(batch(7, &[(0, "k", Some("true"))])).unwrap();
    committed(&answers);
    emitter.finish();

    let killed: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &bridge.options.bootstrap_servers)
        .set("transactional.id", &bridge.options.transactional_id)
        .create()
        .unwrap();
    killed.init_transactions(Duration::from_secs(30)).unwrap();
    killed.begin_transaction().unwrap();
    let key = bridge.options.bridge.as_str();
    killed.send(BaseRecord::to(&bridge.options.topics[0].name).key("k").payload("false").partition(0)).unwrap();
    killed
        .send(BaseRecord::to(&bridge.options.progress_topic).key(key).payload("{\"version\":1}").partition(0))
        .unwrap();
    killed.flush(Duration::from_secs(30)).unwrap();
    std::mem::forget(killed);

    let before = progress::newest(&bridge.options).unwrap().unwrap();
    assert_eq!((before.end_lsn, before.generation), (EndLsn::new(7), 1));
    let (session, found) = Session::take_over(bridge.options.clone(), None).unwrap();
    assert_eq!(found, Some(before));
    assert_eq!(session.generation(), 2);
    assert_eq!(bridge.fold(0)[b"k".as_slice()].as_deref(), Some(b"true".as_slice()));
}

#[test]
fn a_record_that_is_too_large_is_named() {
    let bridge = Bridge::new("large", 1);
    let (emitter, answers, generation) = bridge.start(None);
    let large = "x".repeat(2 << 20);
    emitter.send(batch(1, &[(0, "small", Some("v")), (1, "large", Some(&large))])).unwrap();
    match failed(&answers) {
        EmitError::TooLarge { topic, key, bytes, .. } => {
            assert_eq!((topic, key), (bridge.options.topics[1].name.clone(), b"large".to_vec()));
            assert_eq!(bytes, large.len() + 5);
        }
        error => panic!("{error:?}"),
    }
    assert!(emitter.send(batch(2, &[])).is_err());

    // The client lets it pass, the broker does not.
    let mut options = bridge.options.clone();
    options.max_record = 4 << 20;
    options.properties.insert("compression.type".to_owned(), "none".into());
    let (session, _) = Session::take_over(options, Some(generation)).unwrap();
    let (tx, answers) = channel();
    let emitter = Emitter::start(session, move |a| drop(tx.send(a))).unwrap();
    emitter.send(batch(1, &[(0, "small", Some("v")), (1, "large", Some(&large))])).unwrap();
    let error = failed(&answers);
    assert!(matches!(&error, EmitError::TooLarge { key, .. } if key == b"large"), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Row);
    drop(Session::take_over(bridge.options.clone(), None).unwrap());
    assert_eq!(bridge.fold(0), BTreeMap::new());
}

/// What was not committed stays invisible, and the sender learns that nobody takes any more.
#[test]
fn an_abandoned_emitter_commits_nothing_more() {
    let bridge = Bridge::new("abandon", 1);
    let (emitter, answers, generation) = bridge.start(None);
    emitter.send(batch(1, &[(0, "k", Some("kept"))])).unwrap();
    committed(&answers);
    emitter.abandon();
    assert!(answers.iter().next().is_none());
    let (session, found) = Session::take_over(bridge.options.clone(), Some(generation)).unwrap();
    assert_eq!((found.unwrap().end_lsn, session.generation()), (EndLsn::new(1), generation + 1));
}

#[test]
fn a_large_topic_comes_back_whole() {
    let bridge = Bridge::new("readback", 3);
    let (emitter, answers, _) = bridge.start(None);
    for i in 0..100u64 {
        let keys: Vec<String> = (0..500).map(|k| format!("k{}", (i * 37 + k * 11) % 3000)).collect();
        let value = format!("v{i}");
        let records: Vec<_> = keys.iter().map(|k| (0, k.as_str(), Some(value.as_str()))).collect();
        let mut batch = batch(i + 1, &records);
        for (record, key) in batch.output.records.iter_mut().zip(&keys) {
            record.partition = key.len() as i32 % 3;
        }
        emitter.send(batch).unwrap();
    }
    emitter.finish();
    assert!(answers.iter().all(|a| matches!(a, Answer::Committed(_))));
    let mut last = BTreeMap::new();
    let mut sizes = Vec::new();
    let started = Instant::now();
    let reading = readback::read(
        &bridge.options,
        &bridge.options.topics[0].name,
        |r| {
            last.insert(r.key.to_vec(), r.value.map(<[u8]>::to_vec));
            Ok(())
        },
        |reading| sizes.push(reading),
    )
    .unwrap();
    let mut expected = BTreeMap::new();
    for i in 0..100u64 {
        for k in 0..500 {
            expected.insert(format!("k{}", (i * 37 + k * 11) % 3000).into_bytes(), Some(format!("v{i}").into_bytes()));
        }
    }
    assert_eq!(last, expected);
    assert_eq!((reading.records, reading.done), (50_000, reading.total));
    assert!(sizes.len() >= 6 && sizes.is_sorted_by_key(|r| r.done));
    eprintln!("50,000 records read back in {:?}", started.elapsed());
}
