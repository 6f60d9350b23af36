//! A reconcile at the end of each case, of a topic that is right or not.

use super::*;

/// A reconcile of what is right emits nothing; of what is not, exactly the difference.
pub(super) fn reconcile(
    rng: &mut Rng,
    i: usize,
    bridge: &mut Bridge,
    project: &Project,
    client: &mut Client,
    s: &mut Subject,
    counts: &mut Counts,
) -> Result<(), String> {
    if s.written.event {
        // What happened is not mended.
        return Ok(());
    }
    counts.reconciles += 1;
    let images = |client: &mut Client| {
        let t = &project.tables[project.table_of(&project.definitions[i])];
        let mut columns: Vec<String> =
            t.columns.iter().map(|c| format!("\"{}\"", c.name.replace('"', "\"\""))).collect();
        if t.partitioned() {
            columns.push("tableoid".into());
        }
        let rows = oracle::rows(client, &format!("SELECT {} FROM {}", columns.join(", "), t.table.name.to_sql()))
            .expect("rows");
        rows.into_iter().map(|r| r.into_iter().map(|v| v.map(String::into_bytes)).collect()).collect::<Vec<Vec<_>>>()
    };
    let mut live = bridge.live[i].clone();
    // Some keys are lost, some hold something else, one should not be there.
    let mut wrong = BTreeSet::new();
    if rng.bool() {
        for key in bridge.live[i].keys() {
            match rng.u32(..4) {
                0 => drop(live.remove(key)),
                1 => drop(live.insert(key.clone(), vec![0, 0, 0, 0, 0, 99, 99])),
                _ => continue,
            }
            wrong.insert(key.clone());
        }
        live.insert(vec![0, 0, 0, 0, 0, 1, 1, 1], vec![0, 0, 0, 0, 0, 1]);
        wrong.insert(vec![0, 0, 0, 0, 0, 1, 1, 1]);
    }
    let images = match bridge.stored(i) {
        Some(_) if rng.bool() || bridge.counted(i) => None,
        _ => Some(images(client)),
    };
    let emitted = bridge.reconcile(i, &live, images).map_err(|e| format!("reconcile: {}", chain(&e)))?;
    let mut seen = BTreeSet::new();
    for r in emitted.iter().filter(|r| r.topic == i) {
        let right = bridge.live[i].get(&r.key);
        if !wrong.contains(&r.key) || right != r.value.as_ref() || !seen.insert(r.key.clone()) {
            return Err(format!("{}: the reconcile emits {r:?}", s.written.name));
        }
    }
    let held: BTreeSet<&Canon> = s.errors.iter().collect();
    for key in wrong.iter().filter(|k| !seen.contains(*k)) {
        // What a held key's last good value was is not known to a reconcile.
        if !decode_key(s, key).is_ok_and(|k| held.contains(&k)) {
            return Err(format!("{}: the reconcile leaves {key:?}", s.written.name));
        }
    }
    Ok(())
}
