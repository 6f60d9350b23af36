use super::*;
use crate::emit::TopicProgress;
use crate::state::TableState;
use crate::transform::source::OnGap;

/// A bridge in the middle of its life: one stored table, one that is not, one transform on each, all at 0/100.
struct Case {
    progress: Option<Progress>,
    meta: Meta,
    source: Source,
    approvals: Approvals,
    requested: BTreeSet<String>,
    /// The unstored transform keeps held keys.
    holds: bool,
    /// The unstored transform writes events.
    event: Option<(bool, OnGap)>,
}

fn lsn(n: u64) -> EndLsn {
    EndLsn::new(n)
}

fn running() -> Case {
    let topic =
        |revision: &str| TopicProgress { revision: Some(revision.to_owned()), partitions: 1, ..Default::default() };
    let progress = Progress {
        generation: 3,
        epoch: 1,
        end_lsn: lsn(0x100),
        system_identifier: "7".into(),
        timeline: 1,
        slot: "s".into(),
        topics: [("kept".to_owned(), topic("a")), ("plain".to_owned(), topic("b"))].into(),
        ..Default::default()
    };
    let mut meta = Meta::new("b");
    meta.set_durable(lsn(0x90));
    meta.system_identifier = Some("7".into());
    meta.tables = vec![TableState {
        space: 1,
        oid: 10,
        name: "public.kept".into(),
        layout: "id int4".into(),
        status: TableStatus::Loaded(0x50),
        indexes: vec![],
    }];
    let source = Source {
        system_identifier: "7".into(),
        timeline: 1,
        diverged: None,
        slot: Slot::Usable { confirmed: lsn(0x80) },
        changed_tables: BTreeSet::new(),
        lost_inserts: BTreeSet::new(),
        publication_changed: None,
    };
    Case {
        progress: Some(progress),
        meta,
        source,
        approvals: Approvals::default(),
        requested: BTreeSet::new(),
        holds: false,
        event: None,
    }
}

impl Case {
    fn decide(&self) -> Result<Decision, Refusal> {
        let tables = [
            WantedTable { name: "public.kept".into(), oid: 10, layout: "id int4".into(), stored: true },
            WantedTable { name: "public.plain".into(), oid: 11, layout: "id int4".into(), stored: false },
        ];
        let transforms = [
            Wanted { topic: "kept".into(), revision: "a".into(), tables: vec![0], holds: false, event: None },
            match self.event {
                None => Wanted {
                    topic: "plain".into(),
                    revision: "b".into(),
                    tables: vec![1],
                    holds: self.holds,
                    event: None,
                },
                Some((backfill, on_gap)) => {
                    let event = Some(Event { root: 1, backfill, on_gap });
                    Wanted { topic: "plain".into(), revision: "b".into(), tables: vec![], holds: false, event }
                }
            },
        ];
        decide(self.progress.as_ref(), &self.meta, &self.source, &tables, &transforms, &self.requested, &self.approvals)
    }

    fn reasons(&self) -> Vec<Option<Reason>> {
        self.decide().unwrap().reconcile
    }
}

fn with(change: impl FnOnce(&mut Case)) -> Case {
    let mut case = running();
    change(&mut case);
    case
}

fn progress(case: &mut Case) -> &mut Progress {
    case.progress.as_mut().unwrap()
}

#[test]
fn nothing_is_to_be_done_when_all_fits() {
    let d = running().decide().unwrap();
    assert_eq!(d.reconcile, [None, None]);
    assert_eq!(d.tables, [TableNeed::Have { loaded_at: lsn(0x50) }, TableNeed::Nothing]);
    assert!(!d.new_slot && !d.discard_state && !d.rebase && d.forget.is_empty());
}

#[test]
fn the_first_start_loads_everything() {
    let d = with(|c| {
        c.progress = None;
        c.meta = Meta::new("b");
        c.source.slot = Slot::Absent;
    })
    .decide()
    .unwrap();
    assert_eq!(d.reconcile, [Some(Reason::New), Some(Reason::New)]);
    assert_eq!(d.tables, [TableNeed::Load, TableNeed::Load]);
    assert!(d.new_slot && !d.drop_slot && d.discard_state);
    // The same after a crash that left a slot and a take-over record, but nothing emitted.
    let d = with(|c| {
        c.progress = Some(Progress { generation: 1, ..Default::default() });
        c.meta = Meta::new("b");
    })
    .decide()
    .unwrap();
    assert_eq!(d.reconcile, [Some(Reason::New), Some(Reason::New)]);
    assert!(!d.new_slot);
}

#[test]
fn a_lost_state_reconciles_only_what_needs_it() {
    for case in [
        with(|c| c.meta = Meta::new("b")),
        with(|c| c.meta.set_durable(lsn(0x70))),
        with(|c| c.meta.set_durable(lsn(0x101))),
        with(|c| c.meta.tables[0].status = TableStatus::Loading(0x50)),
        with(|c| c.meta.tables[0].status = TableStatus::Loaded(0x101)),
        with(|c| c.meta.tables[0].layout = "id int8".into()),
        with(|c| c.meta.system_identifier = Some("8".into())),
    ] {
        let d = case.decide().unwrap();
        assert_eq!(d.reconcile, [Some(Reason::State), None]);
        assert_eq!(d.tables[1], TableNeed::Nothing);
    }
}

#[test]
fn held_keys_are_state_too() {
    let lost = with(|c| {
        c.holds = true;
        c.meta = Meta::new("b");
    });
    assert_eq!(lost.reasons(), [Some(Reason::State), Some(Reason::State)]);
    assert_eq!(with(|c| c.holds = true).reasons(), [None, None]);
}

#[test]
fn a_table_loaded_after_the_progress_is_not_loaded_again() {
    let d = with(|c| c.meta.tables[0].status = TableStatus::Loaded(0x101)).decide().unwrap();
    assert_eq!(d.tables[0], TableNeed::Have { loaded_at: lsn(0x101) });
}

#[test]
fn a_changed_new_unfinished_or_requested_transform_is_reconciled() {
    let revision = |c: &mut Case| progress(c).topics.get_mut("plain").unwrap().revision = Some("old".into());
    assert_eq!(with(revision).reasons(), [None, Some(Reason::Changed)]);
    assert_eq!(with(revision).decide().unwrap().tables[1], TableNeed::Load);
    assert_eq!(with(|c| drop(progress(c).topics.remove("kept"))).reasons(), [Some(Reason::New), None]);
    let unfinished = |c: &mut Case| {
        let cursor = crate::emit::Cursor {
            reconcile: [("kept".to_owned(), serde_json::json!({}))].into(),
            ..Default::default()
        };
        progress(c).cursor = Some(cursor);
    };
    assert_eq!(with(unfinished).reasons(), [Some(Reason::Unfinished), None]);
    assert_eq!(with(|c| c.requested = ["kept".to_owned()].into()).reasons(), [Some(Reason::Requested), None]);
    // Stored rows are doubted as much as the topic.
    assert_eq!(with(|c| c.requested = ["kept".to_owned()].into()).decide().unwrap().tables[0], TableNeed::Load);
}

#[test]
fn a_topic_that_no_transform_has_is_forgotten_and_left_alone() {
    let d = with(|c| drop(progress(c).topics.insert("gone".into(), TopicProgress::default()))).decide().unwrap();
    assert_eq!(d.forget, ["gone"]);
    assert_eq!(d.reconcile, [None, None]);
}

#[test]
fn a_gap_stops_until_its_word_is_given() {
    for case in [
        with(|c| c.source.slot = Slot::Absent),
        with(|c| c.source.slot = Slot::Lost { reason: "wal_removed".into() }),
        with(|c| c.source.slot = Slot::Usable { confirmed: lsn(0x101) }),
        with(|c| c.source.publication_changed = Some("publication p was made again".into())),
        with(|c| c.source.diverged = Some(lsn(0x90))),
    ] {
        let refused = case.decide().unwrap_err();
        let Refusal::Gap { word, progress, .. } = &refused else { panic!("{refused}") };
        assert_eq!((word.as_str(), *progress), ("gap:0/100", lsn(0x100)));
        let heal = |approvals: Approvals| {
            let d = Case {
                approvals,
                progress: case.progress.clone(),
                meta: case.meta.clone(),
                source: case.source.clone(),
                requested: BTreeSet::new(),
                holds: false,
                event: None,
            };
            d.decide().unwrap()
        };
        let word = heal(Approvals { words: [word.clone()].into(), heal_gaps: false });
        assert_eq!(word, heal(Approvals { heal_gaps: true, ..Default::default() }));
        assert_eq!(word.reconcile, [Some(Reason::Gap), Some(Reason::Gap)]);
        assert_eq!(word.tables, [TableNeed::Load, TableNeed::Load]);
        assert!(word.new_slot && word.discard_state);
        assert_eq!(word.drop_slot, case.source.slot != Slot::Absent);
        assert_eq!((word.rebase, word.epoch), if case.source.diverged.is_some() { (true, 2) } else { (false, 1) });
    }
}

#[test]
fn a_word_for_another_position_does_not_count() {
    let mut case = with(|c| c.source.slot = Slot::Absent);
    case.approvals.words.insert("gap:0/FF".into());
    assert!(case.decide().is_err());
}

#[test]
fn another_database_stops_until_its_word_is_given() {
    let mut case = with(|c| c.source.system_identifier = "9".into());
    let refused = case.decide().unwrap_err();
    let Refusal::OtherSource { word, .. } = refused else { panic!("{refused}") };
    assert_eq!(word, "source:9");
    case.approvals.heal_gaps = true;
    assert!(case.decide().is_err(), "healing gaps is no leave for another database");
    case.approvals.words.insert(word);
    let d = case.decide().unwrap();
    assert!(d.rebase && d.new_slot && d.discard_state && d.drop_slot);
    assert_eq!((d.epoch, d.reconcile), (2, vec![Some(Reason::Gap), Some(Reason::Gap)]));
}

#[test]
fn a_table_that_changed_without_a_sign_is_loaded_anew() {
    let d = with(|c| c.source.changed_tables = ["public.kept".to_owned()].into()).decide().unwrap();
    assert_eq!((d.tables[0], d.reconcile[0], d.reconcile[1]), (TableNeed::Load, Some(Reason::Gap), None));
}

#[test]
fn a_temporary_slot_starts_anew_every_time() {
    let d = with(|c| c.source.slot = Slot::Temporary).decide().unwrap();
    assert_eq!(d.reconcile, [Some(Reason::Gap), Some(Reason::Gap)]);
    assert_eq!(d.tables, [TableNeed::Load, TableNeed::Load]);
    assert!(d.new_slot && !d.drop_slot && !d.rebase);
}

type Answer = (Option<Reason>, Option<EventJob>, bool, TableNeed);

/// What becomes of the event topic: reason, job, whether it follows the stream, and what of its root is loaded.
fn event(backfill: bool, on_gap: OnGap, change: impl FnOnce(&mut Case)) -> Result<Answer, Refusal> {
    let mut case = with(change);
    case.event = Some((backfill, on_gap));
    let d = case.decide()?;
    Ok((d.reconcile[1], d.jobs[1], d.follows[1], d.tables[1]))
}

#[test]
fn an_event_topic_follows_the_stream_whatever_changes() {
    let goes_on = Ok((None, None, true, TableNeed::Nothing));
    let on_gap = OnGap::Halt;
    assert_eq!(event(true, on_gap, |_| {}), goes_on);
    assert_eq!(event(true, on_gap, |c| progress(c).topics.get_mut("plain").unwrap().revision = None), goes_on);
    assert_eq!(event(true, on_gap, |c| c.meta = Meta::new("b")), goes_on);
    let other = |c: &mut Case| c.source.changed_tables.extend(["public.plain".to_owned()]);
    assert_eq!(event(true, on_gap, other), goes_on);
    let new = |c: &mut Case| drop(progress(c).topics.remove("plain"));
    assert_eq!(event(false, on_gap, new), Ok((Some(Reason::New), None, false, TableNeed::Nothing)));
    let backfill = Some(EventJob::Backfill);
    assert_eq!(event(true, on_gap, new), Ok((Some(Reason::New), backfill, false, TableNeed::Load)));
}

#[test]
fn what_was_begun_is_brought_to_its_end_beside_the_stream() {
    for job in [EventJob::Backfill, EventJob::Replay] {
        let begun = |c: &mut Case| {
            let cursor = serde_json::json!({ "lsn": "0/100", "event": job.word() });
            progress(c).cursor =
                Some(crate::emit::Cursor { transaction: None, reconcile: [("plain".to_owned(), cursor)].into() });
        };
        let answer = event(false, OnGap::Halt, begun);
        assert_eq!(answer, Ok((Some(Reason::Unfinished), Some(job), true, TableNeed::Load)));
    }
}

#[test]
fn a_gap_in_events_is_the_header_s_to_decide() {
    let lost = |c: &mut Case| {
        c.source.slot = Slot::Absent;
        c.approvals.heal_gaps = true;
    };
    assert!(matches!(event(false, OnGap::Halt, lost), Err(Refusal::Gap { .. })));
    let approved = |c: &mut Case| {
        c.source.slot = Slot::Absent;
        c.approvals.words.insert("gap:0/100".into());
    };
    let skipped = Ok((Some(Reason::Gap), None, false, TableNeed::Nothing));
    assert_eq!(event(false, OnGap::Halt, approved), skipped);
    assert_eq!(event(true, OnGap::Skip, lost), skipped);
    let replay = Some(EventJob::Replay);
    assert_eq!(event(false, OnGap::Replay, lost), Ok((Some(Reason::Gap), replay, false, TableNeed::Load)));
    assert_eq!(event(false, OnGap::Skip, |c| c.source.slot = Slot::Temporary), skipped);
    assert!(matches!(event(false, OnGap::Halt, |c| c.source.slot = Slot::Temporary), Err(Refusal::Gap { .. })));
    // The slot is there: what it has is not passed over.
    let replaced = |c: &mut Case| c.source.lost_inserts.extend(["public.plain".to_owned()]);
    assert!(matches!(event(false, OnGap::Halt, replaced), Err(Refusal::Gap { .. })));
    assert_eq!(event(false, OnGap::Skip, replaced), Ok((Some(Reason::Gap), None, true, TableNeed::Nothing)));
    assert_eq!(event(false, OnGap::Replay, replaced), Ok((Some(Reason::Gap), replay, true, TableNeed::Load)));
}
