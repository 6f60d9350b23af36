//! The test files below `transforms/`.

use std::path::{Path, PathBuf};

use super::codes;
use crate::diagnostic::Diagnostic;

const ENDING: &str = ".test.sql";

/// A test file by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path below the folder without `.test.sql`: `shop/order`, `shop/order.refunds`.
    pub name: String,
    pub path: PathBuf,
}

impl Found {
    /// The transform it is named after, of those that there are: `shop/order` for `shop/order.refunds` too.
    pub fn transform<'k>(&self, known: &[&'k str]) -> Option<&'k str> {
        known.iter().copied().filter(|k| belongs(&self.name, k)).max_by_key(|k| k.len())
    }
}

fn belongs(name: &str, transform: &str) -> bool {
    name.strip_prefix(transform).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Those of the named transforms, or all; by name.
pub fn find(folder: &Path, names: &[String]) -> Result<Vec<Found>, Vec<Diagnostic>> {
    let mut all = Vec::new();
    let mut findings = Vec::new();
    walk(folder, folder, &mut all, &mut findings);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for name in names {
        if !all.iter().any(|t| belongs(&t.name, name)) {
            let file = folder.join(format!("{name}{ENDING}"));
            let d = Diagnostic::error(codes::NO_TESTS, format!("there is no test of {name}"));
            findings.push(d.help(format!("write {}; docs/testing.md says how", file.display())));
        }
    }
    if names.is_empty() && all.is_empty() && findings.is_empty() {
        let d = Diagnostic::error(codes::NO_TESTS, format!("there is no test in {}", folder.display()));
        findings.push(d.help("put one beside its transform: transforms/NAME.test.sql; docs/testing.md says how"));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    all.retain(|t| names.is_empty() || names.iter().any(|n| belongs(&t.name, n)));
    Ok(all)
}

fn walk(root: &Path, folder: &Path, out: &mut Vec<Found>, findings: &mut Vec<Diagnostic>) {
    let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(e) => {
            let message = format!("{} cannot be read: {e}", folder.display());
            return findings.push(Diagnostic::error(codes::TEST_FILE, message));
        }
    };
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, out, findings);
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        if let Some(name) = parts.join("/").strip_suffix(ENDING) {
            out.push(Found { name: name.to_owned(), path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_belongs_to_the_transform_it_is_named_after() {
        let of = |name: &str| {
            Found { name: name.into(), path: PathBuf::new() }.transform(&["shop/order", "shop/order_line"])
        };
        assert_eq!(of("shop/order"), Some("shop/order"));
        assert_eq!(of("shop/order.refunds"), Some("shop/order"));
        assert_eq!(of("shop/order_line"), Some("shop/order_line"));
        assert_eq!(of("shop/flow"), None);
    }

    #[test]
    fn tests_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        for name in ["a/x.test.sql", "a/x.more.test.sql", "a/y.sql", "z.test.sql", ".hidden.test.sql"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
            find(folder.path(), &wanted).map(|all| all.into_iter().map(|t| t.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["a/x", "a/x.more", "z"]);
        assert_eq!(names(&["a/x"]).unwrap(), ["a/x", "a/x.more"]);
        assert_eq!(names(&["a/y"]).unwrap_err()[0].code, codes::NO_TESTS);
        assert_eq!(find(&folder.path().join("a/nothing"), &[]).unwrap_err()[0].code, codes::TEST_FILE);
    }
}
