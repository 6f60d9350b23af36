//! The folder as a whole.

use super::discover;

fn check(files: &[(&str, &str)], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let got = match discover(folder.path()) {
        Ok(found) => found.iter().map(|f| f.name.clone()).collect::<Vec<_>>().join(" "),
        Err(found) => found.iter().map(|d| d.code.to_string()).collect::<Vec<_>>().join(" "),
    };
    assert_eq!(got, expected, "{files:?}");
}

fn transform(topic: &str) -> String {
    format!("/* pgspine\ntopic = \"{topic}\"\nkey = [\"id\"]\n*/\nSELECT id FROM t;")
}

#[test]
fn a_folder_gives_its_transforms_or_all_its_findings() {
    let (a, b) = (transform("a"), transform("b"));
    check(&[("shop/order.sql", &b), ("a.sql", &a), ("a.test.sql", "-- tests"), ("a.avsc", "{}")], "a shop/order");
    check(&[], "PGS1005");
    check(&[("a.sql", &a), ("b.sql", &a)], "PGS1004");
    check(&[("a.sql", "SELECT 1"), ("b.sql", "/* pgspine"), ("c.sql", &a)], "PGS1001 PGS1011 PGS1001 PGS1011");
    check(&[("a.sql", &transform("a b"))], "PGS1003");
}
