//! What events must be: each INSERT of a root as it was written, with what the other tables hold at the commit.
//!
//! A trigger keeps the inserted rows in a shadow of the root, and the SELECT is asked with the shadow in the root's place.

use super::compare::doubtful_sql;
use super::*;

/// The table that gets a copy of each inserted row of the root.
pub(super) fn shadow(client: &mut Client, index: usize, root: &str) -> Result<String, String> {
    let name = format!("inserted_{index}");
    let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).map_err(|e| e.to_string())?;
    if there.get(0) {
        return Ok(name);
    }
    // Unlogged: nothing of it comes into the stream.
    let sql = format!(
        "CREATE SEQUENCE IF NOT EXISTS insert_number;
         CREATE OR REPLACE FUNCTION keep_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           EXECUTE format('INSERT INTO %I.%I SELECT ($1).*, nextval(''%I.insert_number'')', TG_ARGV[0], TG_ARGV[1], TG_ARGV[0])
             USING NEW;
           RETURN NULL; END $$;
         CREATE UNLOGGED TABLE {name} (LIKE {root}, insert_number bigint);
         DO $$ BEGIN EXECUTE format('CREATE TRIGGER inserted AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION keep_inserted(%L, %L)',
           '{root}', current_schema(), '{name}'); END $$"
    );
    client.batch_execute(&sql).map_err(|e| format!("{e}: {:?}: {sql}", e.as_db_error()))?;
    Ok(name)
}

/// By transform what the INSERTs since the last time must have become.
pub(super) fn happened(subjects: &[Subject], client: &mut Client) -> Vec<Vec<Happened>> {
    let all: Vec<Vec<Happened>> = subjects.iter().map(|s| s.query.happened(client)).collect();
    let roots: BTreeSet<usize> = subjects.iter().filter(|s| s.written.event).map(|s| s.written.table).collect();
    for root in roots {
        client.batch_execute(&format!("DELETE FROM inserted_{root}")).expect("the shadow is emptied");
    }
    all
}

/// Which transform stops the bridge, and where.
pub(super) fn must_halt(this: &Expected, subjects: &[Subject]) -> Option<(String, String)> {
    let halting = subjects.iter().zip(&this.happened).filter(|(s, _)| !s.written.dead_letter);
    let mut failed = halting.flat_map(|(s, all)| all.iter().filter(|h| h.value.is_none()).map(move |h| (s, h)));
    failed.next().map(|(s, h)| (s.written.name.clone(), format!("{h:?}")))
}

/// An event as both sides tell it; a dead letter has no value here.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    transform: usize,
    key: Option<Canon>,
    value: Option<Canon>,
    id: Option<String>,
}

fn no_text() -> Canon {
    Canon::List(vec![Canon::Text(String::new())])
}

/// The events stand behind everything else, in the order of the INSERTs. `true`: which error is met first is open.
pub(super) fn compare(
    this: &Expected,
    records: &[Emitted],
    subjects: &[Subject],
    counts: &mut Counts,
) -> Result<bool, String> {
    let mut wanted: Vec<(u64, Told)> = Vec::new();
    for (transform, all) in this.happened.iter().enumerate() {
        for h in all.iter().cloned() {
            let empty = h.value.is_none() && subjects[transform].key.is_none() && h.key == Some(no_text());
            let key = if empty { None } else { h.key };
            wanted.push((h.number, Told { transform, key, value: h.value, id: h.id }));
        }
    }
    wanted.sort_by_key(|(number, told)| (*number, told.transform));
    let wanted: Vec<Told> = wanted.into_iter().map(|(_, told)| told).collect();
    let letters: Vec<usize> = (0..subjects.len()).filter(|&i| subjects[i].written.dead_letter).collect();
    let mut got = Vec::new();
    for r in records {
        let letter = r.topic.checked_sub(subjects.len());
        let transform = letter.map_or(r.topic, |l| letters[l]);
        let s = &subjects[transform];
        if !s.written.event {
            if !got.is_empty() {
                return Err(format!("{}: a record behind an event", s.written.name));
            }
            continue;
        }
        // Of a dead letter, no key and the empty text are the same bytes.
        let key = if letter.is_some() && r.key.is_empty() { None } else { Some(decode_key(s, &r.key)?) };
        let Some(bytes) = &r.value else { return Err(format!("{}: an event is a tombstone", s.written.name)) };
        let value = if letter.is_some() { None } else { Some(decode(&s.value, body_of(bytes))?) };
        counts.happened += 1;
        got.push(Told { transform, key, value, id: r.id.clone() });
    }
    if got == wanted {
        return Ok(false);
    }
    let failed = got.iter().chain(&wanted).any(|t| t.value.is_none() && doubtful_sql(&subjects[t.transform]));
    if failed {
        counts.doubtful += 1;
        return Ok(true);
    }
    let at = got.iter().zip(&wanted).position(|(g, w)| g != w).unwrap_or(got.len().min(wanted.len()));
    let name = got.get(at).or(wanted.get(at)).map(|t| subjects[t.transform].written.name.as_str()).unwrap_or_default();
    let shown = |t: Option<&Told>| format!("{t:?}").chars().take(1500).collect::<String>();
    Err(format!(
        "{name}: event {at} of {} (wanted {})\n  got    {}\n  wanted {}",
        got.len(),
        wanted.len(),
        shown(got.get(at)),
        shown(wanted.get(at))
    ))
}
