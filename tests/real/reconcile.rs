//! Reconcile: whatever was lost or changed, exactly the difference is written, and the others go on.

use crate::reconcile_scene::*;

const ITEMS: &str = "CREATE TABLE item (id int PRIMARY KEY, a text, n int);
     INSERT INTO item SELECT i, 'a' || i, i FROM generate_series(1, 20) i;
     CREATE TABLE other (id int PRIMARY KEY, b text); INSERT INTO other VALUES (1, 'x'), (2, 'y')";
const ITEM: &str = "SELECT i.id, i.a, i.n FROM item AS i";
const ITEM_FIELDS: &[(&str, &str)] = &[("id", INT), ("a", TEXT), ("n", INT_OR_NULL)];

fn items(name: &str, more: &str) -> Scene {
    let mut s = Scene::new(name, ITEMS, more);
    s.transform("item", "", 1, ITEM, ITEM_FIELDS);
    s
}

#[test]
fn a_second_start_emits_nothing_and_a_renamed_file_is_the_same_transform() {
    let mut s = items("second", "");
    s.start(&[]);
    s.sync();
    s.commit("UPDATE item SET a = 'changed' WHERE id = 3; DELETE FROM item WHERE id = 4");
    s.sync();
    s.stop();
    let before = s.count("item");
    assert_eq!(before, 22);
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(s.count("item"), before);
    for ending in ["sql", "avsc"] {
        let folder = s.project.dir().join("transforms");
        std::fs::rename(folder.join(format!("item.{ending}")), folder.join(format!("renamed.{ending}"))).unwrap();
    }
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(s.count("item"), before);
    s.check();
}

#[test]
fn a_lost_state_directory_costs_only_the_difference() {
    let mut s = items("lost_state", "");
    s.transform("other", "", 1, "SELECT o.id, o.b FROM other AS o", &[("id", INT), ("b", TEXT)]);
    s.start(&[]);
    s.sync();
    s.commit("UPDATE item SET n = n + 1 WHERE id < 4");
    s.sync();
    s.stop();
    s.remove_state();
    s.all_loose();
    s.commit("UPDATE item SET a = 'while away' WHERE id = 5; DELETE FROM item WHERE id = 6");
    s.commit("UPDATE item SET a = 'again' WHERE id = 5; INSERT INTO other VALUES (3, 'z')");
    s.commit("UPDATE other SET b = 'same again' WHERE id = 1");
    s.commit("UPDATE other SET b = 'x' WHERE id = 1");
    s.start(&[]);
    s.exact();
    s.sync();
    s.commit("UPDATE item SET a = 'and on' WHERE id = 5");
    s.sync();
    s.stop();
    s.check();
}

#[test]
fn an_added_transform_is_loaded_and_the_others_go_on_commit_by_commit() {
    let mut s = items("added", "");
    s.start(&[]);
    s.sync();
    s.stop();
    s.transform("second", "", 1, "SELECT i.id, i.n FROM item AS i WHERE i.n > 5", &[("id", INT), ("n", INT_OR_NULL)]);
    s.transform("other", "", 1, "SELECT o.id, o.b FROM other AS o", &[("id", INT), ("b", TEXT)]);
    s.loose("second");
    s.loose("other");
    s.commit("UPDATE item SET n = 100 WHERE id = 1");
    s.commit("UPDATE item SET n = 1 WHERE id IN (7, 8); INSERT INTO other VALUES (3, 'z')");
    s.commit("UPDATE item SET n = 3 WHERE id = 1; UPDATE other SET b = 'q'");
    s.start(&[]);
    s.exact();
    s.sync();
    s.commit("UPDATE item SET n = 77 WHERE id < 3; UPDATE other SET b = 'w' WHERE id = 2");
    s.sync();
    s.stop();
    s.check();
}

#[test]
fn a_changed_select_writes_only_what_differs() {
    let mut s = items("changed", "");
    s.start(&[]);
    s.sync();
    s.stop();
    let before = s.count("item");
    // Another text, the same answer: not one record.
    s.transform("item", "# said differently", 1, "SELECT i.id, i.a, i.n FROM item AS i WHERE i.id > 0", ITEM_FIELDS);
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(s.count("item"), before);
    s.loose("item");
    s.commit("UPDATE item SET n = 5 WHERE id = 9");
    let select = "SELECT i.id, CASE WHEN i.id > 18 THEN 'late' ELSE i.a END AS a, i.n FROM item AS i WHERE i.id <> 1";
    s.transform("item", "", 1, select, ITEM_FIELDS);
    s.start(&[]);
    s.exact();
    s.sync();
    s.commit("UPDATE item SET n = 6 WHERE id IN (1, 9, 19)");
    s.sync();
    s.stop();
    // 9, 19, 20 and the tombstone of 1; then 9 and 19.
    assert_eq!(s.count("item"), before + 4 + 2);
    s.check();
}

#[test]
fn a_changed_contract_writes_only_rows_that_read_differently() {
    let mut s = items("contract", "");
    s.start(&[]);
    s.sync();
    s.stop();
    let before = s.count("item");
    let fields = |doc: &str, more: &str| {
        format!(
            "{{\"type\":\"record\",\"name\":\"Item\",\"namespace\":\"test\",\"doc\":\"{doc}\",\"fields\":[
             {{\"name\":\"id\",\"type\":\"int\"}},{{\"name\":\"a\",\"type\":[\"null\",\"string\"],\"default\":null}},
             {{\"name\":\"n\",\"type\":[\"null\",\"int\"],\"default\":null}}{more}]}}"
        )
    };
    s.transform_with("item", "", 1, ITEM, &["id", "a", "n"], &fields("documented", ""));
    s.start(&[]);
    s.sync();
    s.stop();
    assert_eq!(s.count("item"), before, "a new doc");
    let select = "SELECT i.id, i.a, i.n, CASE WHEN i.id < 4 THEN 7 ELSE 0 END AS extra FROM item AS i";
    let more = ",{\"name\":\"extra\",\"type\":[\"int\",\"null\"],\"default\":0}";
    s.transform_with("item", "", 1, select, &["id", "a", "n", "extra"], &fields("and wider", more));
    s.start(&[]);
    s.sync();
    assert_eq!(s.count("item"), before + 3, "rows whose new field is not its default");
    assert_eq!(s.held("item"), s.answer("item"));
    s.stop();
}

#[test]
fn a_removed_transform_leaves_its_topic_alone_and_comes_back_by_approval() {
    let mut s = items("removed", "");
    s.transform("other", "", 1, "SELECT o.id, o.b FROM other AS o", &[("id", INT), ("b", TEXT)]);
    s.start(&[]);
    s.sync();
    s.stop();
    let gone = s.remove("other");
    s.start(&[]);
    s.commit("UPDATE other SET b = 'unseen' WHERE id = 1; DELETE FROM other WHERE id = 2; UPDATE item SET n = 0 WHERE id = 1");
    s.sync();
    let log = s.process.as_ref().unwrap().log();
    assert!(log.contains("no transform has this topic any more") && log.contains(&gone.topic), "{log}");
    s.stop();
    assert_eq!(s.heard_of(&gone).len(), 2);
    s.check();
    drop(gone);
    s.transform("other", "", 1, "SELECT o.id, o.b FROM other AS o", &[("id", INT), ("b", TEXT)]);
    let word = format!("adopt:{}", s.topic("other"));
    s.refused(&[], 2, &["PGS8005", &word]);
    assert_eq!(s.count("other"), 2);
    s.start(&["--approve", &word]);
    s.sync();
    assert_eq!(s.count("other"), 4, "one upsert, one tombstone");
    assert_eq!(s.held("other"), s.answer("other"));
    s.stop();
    s.start(&[]);
    s.sync();
    assert_eq!(s.count("other"), 4);
}

/// Writes records as another program might, outside of any transaction.
fn damage(topic: &str, records: &[(&[u8], Option<&[u8]>)]) {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", crate::support::kafka())
        .set("partitioner", "murmur2")
        .create()
        .unwrap();
    for (key, value) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).key(*key);
        record.payload = *value;
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

#[test]
fn a_damaged_topic_is_repaired_exactly() {
    for full in [false, true] {
        let mut s = items("damaged", "");
        if full {
            s.client.batch_execute("ALTER TABLE item REPLICA IDENTITY FULL").unwrap();
        }
        s.start(&[]);
        s.sync();
        s.commit("UPDATE item SET n = 99 WHERE id = 3");
        s.sync();
        s.stop();
        let topic = s.topic("item");
        let before = crate::support::read_topic(&topic);
        let good = crate::support::fold(&before);
        let key = |id: u8| {
            let some = good.keys().next().unwrap();
            [&some[..5], &[id * 2][..]].concat()
        };
        let old = before.iter().find(|r| r.key.as_deref() == Some(&key(3)) && r.value.as_ref() != good.get(&key(3)));
        damage(
            &topic,
            &[
                (&key(1), Some(b"no record at all")),
                (&key(2), None),
                (&key(3), old.unwrap().value.as_deref()),
                (&key(4), Some(&[0, 0x7f, 0xff, 0xff, 0xff, 1, 2])),
                (&key(5), Some(&[&good[&key(5)][..], &[1, 2, 3]].concat())),
                (&key(60), good.get(&key(6)).map(|v| &v[..])),
                (&key(7), good.get(&key(7)).map(|v| &v[..])),
            ],
        );
        // Nobody asked: it is not looked at.
        s.start(&[]);
        s.sync();
        s.stop();
        assert_eq!(s.count("item"), before.len() + 7);
        s.start(&["--reconcile", "item"]);
        s.sync();
        s.stop();
        let after = crate::support::read_topic(&topic);
        assert_eq!(crate::support::fold(&after), good);
        assert_eq!(after.len(), before.len() + 7 + 6, "full = {full}");
        assert!(
            after.iter().filter(|r| r.headers.get("pgspine-origin").map(String::as_str) == Some("reconcile")).count()
                >= 6
        );
    }
}

#[test]
fn until_ends_with_0_at_its_place() {
    let mut s = items("until", "");
    let output = s.project.output(&["run", "--until", "caught-up"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(s.held("item"), s.answer("item"));
    s.commit("UPDATE item SET n = 0 WHERE id = 1");
    let at = s.lsn();
    let then = s.answer("item");
    let output = s.project.output(&["run", "--until", &pgspine::lsn::Lsn(at).to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(s.held("item"), then);
    s.commit("DELETE FROM item WHERE id = 2");
    let output = s.project.output(&["run", "--until", "caught-up", "--reconcile", "item"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(s.held("item"), s.answer("item"));
    let output = s.project.output(&["run", "--until", "caught-up", "--reconcile", "itme"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).contains("did you mean"));
}
