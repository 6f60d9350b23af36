//! Does this server go on where the one we received from stopped?
//!
//! A promoted standby starts a new timeline at a switch point. What was received beyond that point never happened
//! there, and positions beyond it are given to other data (PostgreSQL manual, "Timelines"; IDENTIFY_SYSTEM and
//! TIMELINE_HISTORY of the replication protocol).

use super::connection::Connection;
use super::error::Error;
use crate::lsn::Lsn;

/// IDENTIFY_SYSTEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Set by initdb: two servers with one identifier are copies of one cluster.
    pub identifier: u64,
    pub timeline: u32,
    /// End of the WAL that is flushed.
    pub flushed: Lsn,
    pub database: Option<String>,
}

/// A line of a timeline history file: `timeline` ended at `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    pub timeline: u32,
    pub end: Lsn,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} of the timeline history is not a timeline and an LSN")]
pub struct HistoryError {
    pub line: usize,
}

/// `connection` is a walsender.
pub fn identify(connection: &mut Connection) -> Result<System, Error> {
    let rows = connection.query("IDENTIFY_SYSTEM")?;
    let row = rows.single()?;
    Ok(System {
        identifier: row.parse("systemid")?,
        timeline: row.parse("timeline")?,
        flushed: row.parse("xlogpos")?,
        database: row.get("dbname")?.map(str::to_owned),
    })
}

/// The ancestors of a timeline, oldest first; timeline 1 has none.
pub fn history(connection: &mut Connection, timeline: u32) -> Result<Vec<Switch>, Error> {
    if timeline <= 1 {
        return Ok(Vec::new());
    }
    let rows = connection.query(&format!("TIMELINE_HISTORY {timeline}"))?;
    let content = rows.single()?.text("content")?;
    parse_history(content)
        .map_err(|_| Error::Answer { column: "content".into(), value: Some(content.chars().take(200).collect()) })
}

/// Each line is `timeline<TAB>LSN<TAB>reason`; `#` begins a comment.
pub fn parse_history(text: &str) -> Result<Vec<Switch>, HistoryError> {
    let mut switches: Vec<Switch> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = HistoryError { line: i + 1 };
        let mut fields = line.split_ascii_whitespace();
        let timeline = fields.next().and_then(|t| t.parse().ok());
        let end = fields.next().and_then(|l| l.parse().ok());
        match (timeline, end) {
            (Some(timeline), Some(end)) if switches.last().is_none_or(|s| s.timeline < timeline) => {
                switches.push(Switch { timeline, end });
            }
            _ => return Err(wrong),
        }
    }
    Ok(switches)
}

/// Fails if something up to `received`, received from timeline `from`, is not part of timeline `now`.
/// `history` is that of `now`. A switch exactly at `received` breaks nothing.
pub fn check_continuity(received: Lsn, from: u32, now: u32, history: &[Switch]) -> Result<(), Error> {
    if from == now {
        return Ok(());
    }
    // The end of what the two timelines share: nothing, when `from` is no ancestor of `now`.
    let switch = history.iter().find(|s| s.timeline == from).map_or(Lsn::ZERO, |s| s.end);
    if switch >= received { Ok(()) } else { Err(Error::TimelineBreak { from, timeline: now, switch, received }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_files_are_read_line_by_line() {
        let text = "1\t0/3000000\tno recovery target specified\n\n# by hand\n2\t0/5000A10\tbefore 2026-01-01\n";
        let switches = parse_history(text).unwrap();
        assert_eq!(
            switches,
            [Switch { timeline: 1, end: Lsn(0x300_0000) }, Switch { timeline: 2, end: Lsn(0x500_0A10) }]
        );
        assert_eq!(parse_history("1\tx"), Err(HistoryError { line: 1 }));
        assert_eq!(parse_history("2\t0/1\n1\t0/2"), Err(HistoryError { line: 2 }));
    }

    #[test]
    fn a_switch_before_what_was_received_breaks_the_line() {
        let history = [Switch { timeline: 1, end: Lsn(100) }, Switch { timeline: 2, end: Lsn(200) }];
        for (received, from, now, goes_on) in [
            (500, 3, 3, true),
            (200, 2, 3, true),
            (201, 2, 3, false),
            (99, 1, 3, true),
            (101, 1, 3, false),
            // A timeline that is not an ancestor: a sibling, or the server went back.
            (1, 4, 3, false),
            (0, 4, 3, true),
        ] {
            assert_eq!(
                check_continuity(Lsn(received), from, now, &history).is_ok(),
                goes_on,
                "{received} {from} {now}"
            );
        }
    }
}
