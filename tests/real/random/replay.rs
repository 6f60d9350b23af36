//! The state is gone and everything comes again, while Kafka has it already: all, or of the last transaction some parts.

use super::*;

/// Nothing is emitted but what of the last transaction, whose records are `last`, follows the parts that are there.
pub(super) fn again(
    rng: &mut Rng,
    bridge: &mut Bridge,
    history: &[Vec<Message>],
    last: &[Emitted],
) -> Result<(), String> {
    // Parts end where the next one begins.
    let mut ends: Vec<usize> = (1..last.len()).filter(|&i| last[i].part != last[i - 1].part).collect();
    ends.push(0);
    let skip = ends[rng.usize(..ends.len())];
    let parts = skip.checked_sub(1).and_then(|i| last[i].part).map_or(0, |(number, _)| number);
    // Only the end of a transaction that had records is what follows `last`.
    let commits = history.iter().flatten().filter(|m| m.data.first() == Some(&b'C')).count();
    let mut seen = 0;
    for m in history.iter().flatten() {
        seen += usize::from(m.data.first() == Some(&b'C'));
        let resumed = seen == commits && !last.is_empty();
        let mode = match (resumed, parts) {
            (false, _) => Mode::Replay,
            // No part, no cursor.
            (true, 0) => Mode::Emit { skip: skip as u64 },
            (true, _) => Mode::Resume { skip: skip as u64, parts },
        };
        let Some((xid, applied)) = bridge.push(m, mode) else { continue };
        let records = applied.map_err(|e| format!("replay: {}", chain(&e)))?;
        let wanted = if resumed { &last[skip..] } else { &[] };
        if records != wanted {
            let at = records.iter().zip(wanted).position(|(a, b)| a != b).unwrap_or(records.len().min(wanted.len()));
            return Err(format!(
                "transaction {xid} comes again behind its first {skip} records: record {at} is {:?} and was {:?}",
                records.get(at),
                wanted.get(at)
            ));
        }
    }
    Ok(())
}
