//! What happened between two fingerprints, and what it means: a pure function.

use super::{Fingerprints, FoundTable, PublicationPrint, TablePrint};
use crate::capture::catalogue_codes as codes;
use crate::catalogue::QualifiedName;
use crate::diagnostic::{Code, Diagnostic};

/// What a difference means for the rows that came since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Any table may have lost rows: the publication itself is another one.
    PublicationGap,
    /// This table may have lost rows, or its rows read differently now; the others have not.
    TableGap,
}

impl Consequence {
    pub fn exit_code(self) -> u8 {
        match self {
            Consequence::PublicationGap => 5,
            Consequence::TableGap => 6,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub consequence: Consequence,
    /// None: the publication.
    pub table: Option<QualifiedName>,
    pub diagnostic: Diagnostic,
}

/// Every difference that matters. A table that only `new` has is one that we added.
pub fn compare(old: &Fingerprints, new: &Fingerprints) -> Vec<Finding> {
    let mut findings = Vec::new();
    match (&old.publication, &new.publication) {
        (Some(old), Some(new)) => publication(old, new, &mut findings),
        (Some(old), None) => publication_finding(
            codes::PUBLICATION_REPLACED,
            format!("the publication (oid {}) was dropped", old.oid),
            &mut findings,
        ),
        (None, _) => {}
    }
    for before in &old.tables {
        let now = new.tables.iter().find(|t| t.schema == before.schema && t.name == before.name);
        // A table that is not watched any more is nobody's concern.
        if let Some(now) = now {
            table(before, now, &mut findings);
        }
    }
    findings
}

fn publication(old: &PublicationPrint, new: &PublicationPrint, findings: &mut Vec<Finding>) {
    if old.oid != new.oid {
        let what = format!("the publication was dropped and created anew (oid {} → {})", old.oid, new.oid);
        return publication_finding(codes::PUBLICATION_REPLACED, what, findings);
    }
    if (old.whole && !new.whole) || (old.insert && !new.insert) {
        let what = "the publication does not send all of insert, update, delete and truncate any more".to_owned();
        publication_finding(codes::PUBLICATION_CHANGED, what, findings);
    }
    if old.via_root != new.via_root {
        let what = format!(
            "publish_via_partition_root is {} now: TRUNCATE of a partition {}",
            new.via_root,
            if new.via_root { "is not sent" } else { "was not sent" }
        );
        publication_finding(codes::PUBLICATION_CHANGED, what, findings);
    }
}

fn table(before: &TablePrint, now: &TablePrint, findings: &mut Vec<Finding>) {
    let name = QualifiedName::new(&before.schema, &before.name);
    let mut report = |code, message: String, help: &str| {
        let diagnostic = Diagnostic::error(code, message).help(help);
        findings.push(Finding { consequence: Consequence::TableGap, table: Some(name.clone()), diagnostic });
    };
    let Some(old) = &before.found else { return };
    let Some(new) = &now.found else {
        return report(codes::TABLE_REPLACED, format!("{name} is gone: dropped or renamed"), RELOAD);
    };
    if old.oid != new.oid {
        let what =
            format!("{name} is another table now (oid {} → {}): dropped and made anew, or renamed", old.oid, new.oid);
        return report(codes::TABLE_REPLACED, what, RELOAD);
    }
    if old.kind != new.kind {
        report(
            codes::TABLE_REPLACED,
            format!("{name} was a {:?} and is a {:?} now (relkind)", old.kind, new.kind),
            RELOAD,
        );
    }
    membership(&name, old, new, &mut report);
    if (old.identity, &old.identity_index) != (new.identity, &new.identity_index) {
        let what = format!("the replica identity of {name} has changed ({:?} → {:?})", old.identity, new.identity);
        report(codes::IDENTITY_CHANGED, what, RELOAD);
    }
    for (column, was) in &old.columns {
        match new.columns.get(column) {
            Some(is) if is == was => {}
            Some(is) if is.0 != was.0 => {
                report(codes::COLUMN_CHANGED, format!("column {column} of {name} was dropped and made anew"), RELOAD);
            }
            Some(_) => report(codes::COLUMN_CHANGED, format!("column {column} of {name} has another type"), RELOAD),
            None => report(codes::COLUMN_CHANGED, format!("column {column} of {name} was dropped or renamed"), REWRITE),
        }
    }
    partitions(&name, old, new, &mut report);
    // A label that was added is in no row that we hold, and comes with the rows that have it.
    for (oid, (ty, label)) in &old.labels {
        match new.labels.get(oid) {
            Some((_, now)) if now == label => {}
            Some((_, now)) => {
                report(codes::ENUM_CHANGED, format!("label {label:?} of enum {ty} is {now:?} now"), RELOAD);
            }
            None => report(codes::ENUM_CHANGED, format!("label {label:?} of enum {ty} is gone"), RELOAD),
        }
    }
}

fn membership(name: &QualifiedName, old: &FoundTable, new: &FoundTable, report: &mut dyn FnMut(Code, String, &str)) {
    let what = match (old.member, new.member) {
        _ if old.published && !new.published => "is not published any more",
        // Sent with its schema or with all tables, and without a gap: only its own entry says when it was added.
        (None, _) => return,
        (Some(_), None) => "left the publication",
        (Some(was), Some(is)) if was != is => "left the publication and came back",
        (Some(_), Some(_)) if old.list != new.list => "has another column list in the publication",
        (Some(_), Some(_)) if old.filter != new.filter => "has another row filter in the publication",
        _ => return,
    };
    report(codes::MEMBERSHIP_CHANGED, format!("{name} {what}"), REPUBLISH);
}

fn partitions(name: &QualifiedName, old: &FoundTable, new: &FoundTable, report: &mut dyn FnMut(Code, String, &str)) {
    for (oid, leaf) in &old.leaves {
        let shown = QualifiedName::new(&leaf.0, &leaf.1);
        match new.leaves.get(oid) {
            None => report(
                codes::PARTITIONS_CHANGED,
                format!("partition {shown} of {name} was detached or dropped"),
                RELOAD,
            ),
            Some(now) if now.2 != leaf.2 => {
                report(
                    codes::IDENTITY_CHANGED,
                    format!("the replica identity of partition {shown} has changed"),
                    RELOAD,
                );
            }
            Some(_) => {}
        }
    }
    for (_, leaf) in new.leaves.iter().filter(|(oid, _)| !old.leaves.contains_key(oid)) {
        let shown = QualifiedName::new(&leaf.0, &leaf.1);
        report(
            codes::PARTITIONS_CHANGED,
            format!("partition {shown} of {name} is new: its rows may have come with it"),
            RELOAD,
        );
    }
}

fn publication_finding(code: Code, message: String, findings: &mut Vec<Finding>) {
    let help = "changes may have been lost: approve the gap, and every table is loaded anew and compared";
    findings.push(Finding {
        consequence: Consequence::PublicationGap,
        table: None,
        diagnostic: Diagnostic::error(code, message).help(help),
    });
}

const RELOAD: &str = "start again: the table is loaded anew, and only what differs is emitted";
const REWRITE: &str = "adapt the transforms that use it, then start again";
const REPUBLISH: &str = "put it back as `pgspine setup --sql` prints it, then start again: the table is loaded anew";
