//! Which room may know what: a test over the `use` lines and paths of `src`.
//!
//! Each library has one room that knows it, and the vocabulary knows no room. `ARCHITECTURE.md` says why.

use std::path::{Path, PathBuf};

/// A library and the only places under `src` that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("rdkafka", &["emit"]),
    ("apache_avro", &["encode", "registry"]),
    ("fjall", &["state/disk"]),
    ("postgres_protocol", &["capture"]),
    ("rustls", &["capture", "registry"]),
    ("ureq", &["registry"]),
    ("axum", &["http", "registry/memory"]),
    ("clap", &["cli"]),
    ("prometheus", &["metrics"]),
    ("noida", &["cli/demo"]),
    ("toml", &["config", "transform/parse", "transform/source"]),
];

/// A room of ours and the only places that may use it.
const ROOMS: &[(&str, &[&str])] = &[
    ("config", &["runtime", "testing", "cli"]),
    ("runtime", &["testing", "cli"]),
    ("testing", &["cli"]),
    ("scratch_postgres", &["testing", "cli"]),
    ("cli", &["main"]),
    ("emit", &["runtime", "cli", "state", "confirm"]),
    ("capture", &["runtime", "testing", "scratch_postgres", "cli", "confirm"]),
    ("engine", &["runtime", "testing", "cli"]),
];

const VOCABULARY: &[&str] = &["catalogue", "change", "datum", "diagnostic", "lsn", "record", "relation", "row"];

/// The stages that are pure: bytes and types in, types out.
const PURE: &[&str] = &["decode", "assemble", "transform", "encode", "datum"];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, into),
                false if path.extension().is_some_and(|e| e == "rs") => into.push(path),
                false => {}
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let name = |p: &PathBuf| p.strip_prefix(&src).unwrap().with_extension("").to_string_lossy().into_owned();
    // The tests of a room may compare with whatever they like (an oracle), so only the code before them counts.
    let code = |p: &PathBuf| {
        let text = std::fs::read_to_string(p).unwrap();
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines: Vec<&str> = code.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        lines.join("\n")
    };
    let tests =
        |p: &&PathBuf| p.file_stem().is_some_and(|s| s == "tests") || p.components().any(|c| c.as_os_str() == "tests");
    paths.iter().filter(|p| !tests(p)).map(|p| (name(p), code(p))).collect()
}

fn within(file: &str, place: &str) -> bool {
    file == place || file.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || rest.starts_with('_'))
}

/// Whether `text` has the path `path` at a word's beginning: `rdkafka::`, `use rdkafka;`.
fn names(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + path.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !word(before) && before != Some(':') && !word(after)
    })
}

#[test]
fn each_library_is_known_to_its_room_only() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (library, places) in LIBRARIES {
            let used = names(&text, &format!("{library}::")) || names(&text, &format!("use {library}"));
            if used && !places.iter().any(|p| within(&file, p)) {
                wrong.push(format!("src/{file}.rs uses {library}; only {places:?} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rooms_are_used_from_above_only() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let uses = |room: &str| names(&text, &format!("crate::{room}")) || names(&text, &format!("pgspine::{room}"));
        for (room, places) in ROOMS {
            if uses(room) && !within(&file, room) && !places.iter().any(|p| within(&file, p)) {
                wrong.push(format!("src/{file}.rs uses {room}; only {places:?} may"));
            }
        }
        if let Some(own) = VOCABULARY.iter().find(|v| within(&file, v)) {
            let others =
                ["capture", "decode", "assemble", "transform", "encode", "emit", "state", "confirm", "reconcile"];
            wrong.extend(others.iter().filter(|o| uses(o)).map(|o| format!("the vocabulary ({own}) uses {o}")));
        }
        if PURE.iter().any(|p| within(&file, p)) {
            let io = ["std::net", "std::thread", "tokio", "crate::metrics", "crate::http"];
            wrong.extend(io.iter().filter(|o| names(&text, o)).map(|o| format!("src/{file}.rs is pure and uses {o}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
