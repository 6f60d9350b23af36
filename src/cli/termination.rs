//! `/dev/termination-log`: why the process has ended, where Kubernetes looks for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use crate::runtime::Exit;

const FILE: &str = "/dev/termination-log";
/// Another file, for tests and for `terminationMessagePath`.
const VARIABLE: &str = "PGSPINE_TERMINATION_LOG";
/// Kubernetes keeps so much of it.
const LIMIT: usize = 4096;

/// Writes the reason if the file is there: it is made by who started us, never by us.
pub fn write(exit: Exit, reason: &str) {
    let path = std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(FILE), PathBuf::from);
    if !path.is_file() {
        return;
    }
    let opened = OpenOptions::new().write(true).truncate(true).open(&path);
    // It says only what the log says too.
    if let Err(e) = opened.and_then(|mut file| file.write_all(text(exit, reason).as_bytes())) {
        tracing::debug!(error = %e, path = %path.display(), "the termination log could not be written");
    }
}

fn text(exit: Exit, reason: &str) -> String {
    let mut text = format!("exit {}: {reason}", exit as u8);
    if text.len() >= LIMIT {
        let end = (0..=LIMIT - 5).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_letters() {
        assert_eq!(text(Exit::Gap, "the slot is lost"), "exit 5: the slot is lost\n");
        let long = text(Exit::Halted, &"ä".repeat(4000));
        assert!(long.len() <= LIMIT && long.ends_with("ä…\n"), "{}", long.len());
    }
}
