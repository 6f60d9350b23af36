//! Reconcile: whatever was lost or changed, exactly the difference is written, and the others go on.

use crate::reconcile_scene::*;

const ITEMS: &str = "CREATE TABLE item (id int PRIMARY KEY, a text, n int);
     INSERT INTO item SELECT i, 'a' || i, i FROM generate_series(1, 20) i;
     CREATE TABLE other (id int PRIMARY KEY, b text); INSERT INTO other VALUES (1, 'x'), (2, 'y')";
const ITEM: &str = "SELECT i.id, i.a, i.n FROM item AS i";
const ITEM_FIELDS: &[(&str, &str)] = &[("id", INT), ("a", TEXT), ("n", INT_OR_NULL)];
const INT: &str = "\"int\"";
const INT_OR_NULL: &str = "[\"null\", \"int\"], \"default\": null";
const TEXT: &str = "[\"null\", \"string\"], \"default\": null";

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
