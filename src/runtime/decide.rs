//! What a start has to do: which tables are loaded, which topics are reconciled, whether a person has to approve.
//!
//! A pure function of what stands in Kafka (P), on disk (S), at the slot (C) and in the project; so every case of I1, I2,
//! I8 and I9 is a line in a table of tests.

use std::collections::BTreeSet;

use crate::emit::Progress;
use crate::lsn::EndLsn;
use crate::state::{Meta, TableStatus};
use crate::transform::source::OnGap;

/// What the source says of itself now.
#[derive(Clone, Debug)]
pub struct Source {
    pub system_identifier: String,
    pub timeline: u32,
    /// The timeline that `progress` knows ended before what it has received.
    pub diverged: Option<EndLsn>,
    pub slot: Slot,
    /// Tables (by name) that changed in a way that the stream does not show, since the fingerprints were taken.
    pub changed_tables: BTreeSet<String>,
    /// Those among them whose INSERTs may be missing from the stream.
    pub lost_inserts: BTreeSet<String>,
    /// The same of the publication itself.
    pub publication_changed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    Absent,
    /// Ends with the connection; every start makes one.
    Temporary,
    Usable {
        confirmed: EndLsn,
    },
    Lost {
        reason: String,
    },
}

/// A transform of the project.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub topic: String,
    pub revision: String,
    /// Indexes into the tables.
    pub tables: Vec<usize>,
    /// Keeps held keys in the state (`on_error = "dead_letter"`).
    pub holds: bool,
    pub event: Option<Event>,
}

/// An event transform: its `tables` are those that are looked up, its root stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub root: usize,
    pub backfill: bool,
    pub on_gap: OnGap,
}

/// Rows that become events although their INSERT is not in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventJob {
    /// Those that are there when the transform comes.
    Backfill,
    /// Those that a gap has kept from the topic.
    Replay,
}

impl EventJob {
    /// As the cursor in the progress record has it.
    pub fn word(self) -> &'static str {
        match self {
            EventJob::Backfill => "backfill",
            EventJob::Replay => "replay",
        }
    }

    fn of_cursor(cursor: &serde_json::Value) -> Option<EventJob> {
        [EventJob::Backfill, EventJob::Replay].into_iter().find(|j| cursor["event"] == j.word())
    }
}

/// A table that transforms read.
#[derive(Clone, Debug)]
pub struct WantedTable {
    pub name: String,
    pub oid: u32,
    pub layout: String,
    /// False: REPLICA IDENTITY FULL, nothing is kept.
    pub stored: bool,
}

/// A person's leave.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    /// Words as in `pgspine.toml` and `--approve`.
    pub words: BTreeSet<String>,
    pub heal_gaps: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub epoch: u32,
    /// The LSN line begins anew: progress may go back.
    pub rebase: bool,
    pub new_slot: bool,
    /// A slot that is of no use any more stands in the way of the new one.
    pub drop_slot: bool,
    /// The whole state is of no use.
    pub discard_state: bool,
    /// By table: what is there of it.
    pub tables: Vec<TableNeed>,
    /// By transform: why its topic is reconciled; None: it goes on from progress.
    pub reconcile: Vec<Option<Reason>>,
    /// By transform: the rows that an event topic gets beside the stream's.
    pub jobs: Vec<Option<EventJob>>,
    /// By transform: it follows the stream from the progress on. An event topic does so even while it is not whole: no
    /// INSERT of the stream may be passed over.
    pub follows: Vec<bool>,
    /// Topics in progress that no transform has any more.
    pub forget: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableNeed {
    /// Rows as of this LSN are there, later changes are in or will be replayed.
    Have {
        loaded_at: EndLsn,
    },
    Load,
    /// Nothing is kept and nothing is reconciled from it.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    New,
    /// SQL, contract or the evaluator's semantics are others than those of the topic's records.
    Changed,
    /// An earlier reconcile did not come to its end.
    Unfinished,
    /// A table's rows are not there, or are from after the progress.
    State,
    /// The slot was lost, the source is another, or a table changed without a sign.
    Gap,
    Requested,
}

/// The start stops here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the database's system identifier is {now}, the progress in Kafka is of {before}: this is another database"
    )]
    OtherSource { before: String, now: String, word: String },
    #[error("the WAL has a gap: {what}; progress stands at {progress}")]
    Gap { what: String, progress: EndLsn, word: String },
}

pub fn decide(
    progress: Option<&Progress>,
    meta: &Meta,
    source: &Source,
    tables: &[WantedTable],
    transforms: &[Wanted],
    requested: &BTreeSet<String>,
    approvals: &Approvals,
) -> Result<Decision, Refusal> {
    let emitted = progress.filter(|p| p.end_lsn > EndLsn::ZERO);
    let at = emitted.map_or(EndLsn::ZERO, |p| p.end_lsn);
    let mut epoch = progress.map_or(1, |p| p.epoch.max(1));
    let mut rebase = false;
    let mut gap = false;

    if let Some(p) = emitted
        && !p.system_identifier.is_empty()
        && p.system_identifier != source.system_identifier
    {
        let word = format!("source:{}", source.system_identifier);
        if !approvals.words.contains(&word) {
            let before = p.system_identifier.clone();
            return Err(Refusal::OtherSource { before, now: source.system_identifier.clone(), word });
        }
        (epoch, rebase, gap) = (epoch + 1, true, true);
    } else if let Some(what) = gap_of(emitted, source) {
        let word = format!("gap:{at}");
        if !approvals.heal_gaps && !approvals.words.contains(&word) {
            return Err(Refusal::Gap { what, progress: at, word });
        }
        // Healing brings entities to what the source says; events that the gap has swallowed it cannot bring back.
        let halts = |t: &&Wanted| {
            t.event.is_some_and(|e| e.on_gap == OnGap::Halt) && emitted.is_some_and(|p| p.topics.contains_key(&t.topic))
        };
        if !approvals.words.contains(&word)
            && let Some(t) = transforms.iter().find(halts)
        {
            let what =
                format!("{what}; events of {} between may be lost, and on_gap = \"halt\" asks a person", t.topic);
            return Err(Refusal::Gap { what, progress: at, word });
        }
        gap = true;
        if source.diverged.is_some() {
            (epoch, rebase) = (epoch + 1, true);
        }
    }
    let fresh_slot = gap || source.slot == Slot::Temporary || source.slot == Slot::Absent;

    // The state is of use if it is of this source, not ahead of Kafka, and the slot still has what comes after it.
    let confirmed = match source.slot {
        Slot::Usable { confirmed } if !fresh_slot => Some(confirmed),
        _ => None,
    };
    let same_source = meta.system_identifier.as_deref() == Some(&source.system_identifier);
    let state_usable = same_source && meta.durable() <= at && confirmed.is_some_and(|c| c <= meta.durable());

    // A request doubts the stored rows as well as the topic: its tables are loaded anew, for all who read them.
    let doubted: BTreeSet<usize> =
        transforms.iter().filter(|t| requested.contains(&t.topic)).flat_map(|t| t.tables.iter().copied()).collect();
    let mut loaded: Vec<Option<EndLsn>> = tables
        .iter()
        .enumerate()
        .map(|(i, t)| {
            if doubted.contains(&i) {
                return None;
            }
            let kept = meta.tables.iter().find(|k| k.oid == t.oid && k.layout == t.layout && t.stored)?;
            match kept.status {
                TableStatus::Loaded(lsn) if state_usable && !source.changed_tables.contains(&t.name) => {
                    Some(EndLsn::new(lsn))
                }
                _ => None,
            }
        })
        .collect();

    let known = |t: &Wanted| emitted.is_some_and(|p| p.topics.contains_key(&t.topic));
    let cursor = |t: &Wanted| emitted.and_then(|p| p.cursor.as_ref()?.reconcile.get(&t.topic));
    // Without the rows as of the progress, what follows it cannot be evaluated.
    let gone =
        |t: &Wanted| t.tables.iter().copied().find(|&i| tables[i].stored && loaded[i].is_none_or(|lsn| lsn > at));
    // The stream itself is broken off, or cannot be evaluated from the progress on; or only some INSERTs were not in it.
    let severed = |t: &Wanted| gap || source.slot == Slot::Temporary || gone(t).is_some();
    let lost = |t: &Wanted, e: &Event| severed(t) || source.lost_inserts.contains(&tables[e.root].name);
    // What the stream of an event topic lacks, a person or its header has to answer for.
    for t in transforms.iter().filter(|t| known(t)) {
        let Some(e) = &t.event else { continue };
        let word = format!("gap:{at}");
        if !gap && e.on_gap == OnGap::Halt && lost(t, e) && !approvals.words.contains(&word) {
            let what = match (&source.slot, gone(t)) {
                (Slot::Temporary, _) => "a temporary slot ends with its connection".to_owned(),
                (_, Some(i)) => format!("the rows of {}, which they look up, have to be loaded anew", tables[i].name),
                _ => format!("{} changed without a sign", tables[e.root].name),
            };
            let what = format!("{what}; events of {} may be lost, and on_gap = \"halt\" asks a person", t.topic);
            return Err(Refusal::Gap { what, progress: at, word });
        }
    }
    let job = |t: &Wanted| -> Option<EventJob> {
        let e = t.event.as_ref()?;
        // What was begun is brought to its end.
        if let Some(begun) = cursor(t).and_then(EventJob::of_cursor) {
            return Some(begun);
        }
        match known(t) {
            false => e.backfill.then_some(EventJob::Backfill),
            true => (lost(t, e) && e.on_gap == OnGap::Replay).then_some(EventJob::Replay),
        }
    };
    let jobs: Vec<Option<EventJob>> = transforms.iter().map(job).collect();

    let reason = |t: &Wanted| -> Option<Reason> {
        if let Some(e) = &t.event {
            return match (known(t), lost(t, e), cursor(t)) {
                (false, _, _) => Some(Reason::New),
                (true, true, _) => Some(Reason::Gap),
                (true, false, Some(_)) => Some(Reason::Unfinished),
                (true, false, None) => None,
            };
        }
        if gap || source.slot == Slot::Temporary {
            return Some(if emitted.is_some_and(|p| p.topics.contains_key(&t.topic)) {
                Reason::Gap
            } else {
                Reason::New
            });
        }
        let Some(known) = emitted.and_then(|p| p.topics.get(&t.topic)) else { return Some(Reason::New) };
        if emitted.is_some_and(|p| p.cursor.as_ref().is_some_and(|c| c.reconcile.contains_key(&t.topic))) {
            return Some(Reason::Unfinished);
        }
        if known.revision.as_ref() != Some(&t.revision) {
            return Some(Reason::Changed);
        }
        if t.tables.iter().any(|&i| source.changed_tables.contains(&tables[i].name)) {
            return Some(Reason::Gap);
        }
        if t.tables.iter().any(|i| doubted.contains(i)) {
            return Some(Reason::Requested);
        }
        if t.tables.iter().any(|&i| tables[i].stored && loaded[i].is_none_or(|lsn| lsn > at)) {
            return Some(Reason::State);
        }
        (t.holds && !state_usable).then_some(Reason::State)
    };
    let reconcile: Vec<Option<Reason>> = transforms.iter().map(reason).collect();
    let follows = |(t, r): (&Wanted, &Option<Reason>)| match t.event {
        None => r.is_none(),
        Some(_) => known(t) && !severed(t),
    };
    let follows: Vec<bool> = transforms.iter().zip(&reconcile).map(follows).collect();

    let needs = tables.iter().enumerate().map(|(i, t)| {
        let read_by_reconcile = transforms.iter().zip(&reconcile).zip(&jobs).any(|((w, r), job)| {
            (r.is_some() && w.tables.contains(&i)) || (job.is_some() && w.event.is_some_and(|e| e.root == i))
        });
        match loaded[i].take() {
            Some(loaded_at) => TableNeed::Have { loaded_at },
            None if t.stored || read_by_reconcile => TableNeed::Load,
            None => TableNeed::Nothing,
        }
    });
    let tables = needs.collect();
    let before = emitted.into_iter().flat_map(|p| p.topics.keys());
    Ok(Decision {
        epoch,
        rebase,
        new_slot: fresh_slot,
        drop_slot: fresh_slot && matches!(source.slot, Slot::Usable { .. } | Slot::Lost { .. }),
        discard_state: !state_usable,
        tables,
        reconcile,
        jobs,
        follows,
        forget: before.filter(|k| !transforms.iter().any(|t| t.topic == **k)).cloned().collect(),
    })
}

/// Changes between the progress and now may be out of reach.
fn gap_of(emitted: Option<&Progress>, source: &Source) -> Option<String> {
    let p = emitted?;
    if let Some(at) = source.diverged {
        return Some(format!("the server follows a timeline that left ours at {at}, before what was received"));
    }
    if let Some(what) = &source.publication_changed {
        return Some(what.clone());
    }
    match &source.slot {
        Slot::Temporary => None,
        Slot::Absent if p.slot.is_empty() => None,
        Slot::Absent => Some(format!("slot {} does not exist", p.slot)),
        Slot::Lost { reason } => Some(format!("slot {} is lost ({reason})", p.slot)),
        Slot::Usable { confirmed } if *confirmed > p.end_lsn => {
            Some(format!("slot {} was confirmed up to {confirmed} by somebody else", p.slot))
        }
        Slot::Usable { .. } => None,
    }
}

#[cfg(test)]
mod tests;
