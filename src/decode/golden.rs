//! Captures of a real server (`tests/golden/pgoutput`), decoded and compared with the committed text. No server needed.
//! `tests/real/golden_recorder.rs` makes them anew.

use super::Message;
use super::text::describe;

/// A capture is a row of payloads, each after its length in four bytes.
fn payloads(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        out.push(payload);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a capture ends in the middle of a length");
    out
}

fn captures() -> Vec<(String, Vec<u8>, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pgoutput");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .map(|path| {
            let text = std::fs::read_to_string(path.with_extension("txt")).unwrap();
            (path.display().to_string(), std::fs::read(&path).unwrap(), text)
        })
        .collect();
    found.sort();
    assert!(found.len() >= 12, "captures are missing from {folder}");
    found
}

#[test]
fn captures_decode_to_their_text() {
    for (name, bytes, text) in captures() {
        let decoded: Vec<String> = payloads(&bytes).iter().map(|p| describe(&Message::parse(p).unwrap())).collect();
        assert_eq!(decoded.join("\n"), text.trim_end(), "{name}");
    }
}

#[test]
fn every_cut_of_every_captured_message_is_an_error() {
    for (name, bytes, _) in captures() {
        for payload in payloads(&bytes) {
            // Long tails are values of one kind: cut each of the first bytes, then in larger steps.
            for end in (0..payload.len()).filter(|n| *n < 2000 || n % 97 == 0) {
                assert!(Message::parse(&payload[..end]).is_err(), "{name}: {payload:?} cut at {end}");
            }
            let longer = [payload, &[0]].concat();
            assert!(Message::parse(&longer).is_err(), "{name}: one byte too many");
        }
    }
}
