//! Every code a finding can have has its page, and every page a code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn walk(folder: &Path, found: &mut BTreeMap<u16, Vec<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.file_name().is_some_and(|n| n.to_string_lossy().ends_with("codes.rs")) {
            // pub const UNKNOWN_KEY: Code = Code(3003);
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let number = line.split_once("= Code(").and_then(|(_, rest)| rest.split_once(')'));
                if let Some((number, _)) = number {
                    let at = format!("{}: {}", path.display(), line.trim());
                    found.entry(number.replace('_', "").parse().expect("a number")).or_default().push(at);
                }
            }
        }
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = BTreeMap::new();
    walk(&root.join("src"), &mut codes);
    for (code, places) in &codes {
        assert_eq!(places.len(), 1, "PGS{code:04} has several meanings: {places:#?}");
    }
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("docs/errors")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(number) = name.strip_prefix("PGS").and_then(|n| n.parse::<u16>().ok()) else { continue };
        let title = std::fs::read_to_string(&path).unwrap();
        assert!(title.starts_with(&format!("# {name}: ")), "{name}.md begins with another title");
        pages.insert(number);
    }
    let codes: BTreeSet<u16> = codes.into_keys().collect();
    let list = |set: BTreeSet<u16>| set.iter().map(|c| format!("PGS{c:04}")).collect::<Vec<_>>();
    assert!(codes.is_subset(&pages), "codes without a page: {:?}", list(&codes - &pages));
    assert!(pages.is_subset(&codes), "pages without a code: {:?}", list(&pages - &codes));
}
