//! Fingerprints in the progress record: a digest per table instead of the whole, because it is written with every Kafka
//! transaction. The whole stands in the local state; where that is lost, a digest that differs says which table changed,
//! if not how.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::capture::catalogue_codes;
use crate::capture::watch::{self, Consequence, Fingerprints, PublicationPrint, TablePrint};
use crate::catalogue::QualifiedName;
use crate::diagnostic::Code;

#[derive(Serialize, Deserialize, PartialEq)]
struct Compact {
    version: u32,
    publication: Option<PublicationPrint>,
    /// By qualified name.
    tables: BTreeMap<String, String>,
}

/// What changed without a sign in the stream.
#[derive(Debug, Default, PartialEq)]
pub struct Changed {
    pub tables: BTreeSet<String>,
    /// Those of which INSERTs may not have been seen.
    pub lost_inserts: BTreeSet<String>,
    pub publication: Option<String>,
    /// For the log, one line each.
    pub messages: Vec<String>,
}

/// Another table, one that was out of the publication for a while, one with a partition that we did not know.
const LOSE_INSERTS: [Code; 3] =
    [catalogue_codes::TABLE_REPLACED, catalogue_codes::MEMBERSHIP_CHANGED, catalogue_codes::PARTITIONS_CHANGED];

/// For the progress record.
pub fn compact(prints: &Fingerprints) -> Value {
    serde_json::to_value(of(prints)).unwrap_or_default()
}

fn of(prints: &Fingerprints) -> Compact {
    let digest = |t: &TablePrint| format!("{:016x}", xxh3_64(&serde_json::to_vec(t).unwrap_or_default()));
    let tables =
        prints.tables.iter().map(|t| (QualifiedName::new(&t.schema, &t.name).to_string(), digest(t))).collect();
    Compact { version: prints.version, publication: prints.publication.clone(), tables }
}

/// Compares what progress knows with what the server says now. `kept`: the whole fingerprints of the local state.
pub fn changed(progress: &Value, kept: Option<&Value>, now: &Fingerprints) -> Changed {
    let mut changed = Changed::default();
    let Ok(before) = Compact::deserialize(progress) else { return changed };
    // Of use only if it is what progress was written with.
    let whole = kept.and_then(|k| Fingerprints::deserialize(k).ok()).filter(|k| of(k) == before);
    if let Some(whole) = whole {
        for finding in watch::compare(&whole, now) {
            match (finding.consequence, &finding.table) {
                (Consequence::TableGap, Some(table)) => {
                    changed.tables.insert(table.to_string());
                    let code = finding.diagnostic.code;
                    if LOSE_INSERTS.contains(&code) {
                        changed.lost_inserts.insert(table.to_string());
                    }
                }
                _ => changed.publication = Some(finding.diagnostic.message.clone()),
            }
            changed.messages.push(finding.diagnostic.message);
        }
        for t in &now.tables {
            let before = whole.tables.iter().find(|w| (&w.schema, &w.name) == (&t.schema, &t.name));
            let Some((before, now)) = before.and_then(|b| b.found.as_ref()).zip(t.found.as_ref()) else { continue };
            // WAL from before may not have them, for none of the transforms on the table.
            if let Some(column) = now.columns.keys().find(|c| !before.columns.contains_key(*c)) {
                let name = QualifiedName::new(&t.schema, &t.name).to_string();
                changed.messages.push(format!("column {column} of {name} is used for the first time"));
                changed.tables.insert(name);
            }
        }
        return changed;
    }
    let after = of(now);
    let only_publication = |p: &Option<PublicationPrint>| Fingerprints {
        version: now.version,
        publication: p.clone(),
        tables: Vec::new(),
    };
    if let Some(finding) =
        watch::compare(&only_publication(&before.publication), &only_publication(&after.publication)).pop()
    {
        changed.messages.push(finding.diagnostic.message.clone());
        changed.publication = Some(finding.diagnostic.message);
    }
    for (table, digest) in &before.tables {
        // A table that is not read any more is nobody's concern.
        if after.tables.get(table).is_some_and(|d| d != digest) {
            changed.messages.push(format!("{table} is not as it was when its rows were last streamed"));
            changed.lost_inserts.insert(table.clone());
            changed.tables.insert(table.clone());
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(table_oid: u32, publication_oid: u32) -> Fingerprints {
        let table = serde_json::json!({
            "schema": "s", "name": "T", "found": {
                "oid": table_oid, "kind": "r", "identity": "d", "identity_index": null, "member": 5, "published": true,
                "list": null, "filter": null, "leaves": {}, "columns": {}, "labels": {}
            }
        });
        let publication =
            serde_json::json!({ "oid": publication_oid, "whole": true, "via_root": false, "all_tables": false });
        serde_json::from_value(serde_json::json!({ "version": 1, "publication": publication, "tables": [table] }))
            .unwrap()
    }

    #[test]
    fn a_change_is_seen_with_and_without_the_local_state() {
        let before = prints(1, 9);
        let (progress, kept) = (compact(&before), serde_json::to_value(&before).unwrap());
        for kept in [None, Some(&kept)] {
            assert_eq!(changed(&progress, kept, &before), Changed::default());
            let table = changed(&progress, kept, &prints(2, 9));
            assert_eq!((table.tables, table.publication), (["s.\"T\"".to_owned()].into(), None));
            let publication = changed(&progress, kept, &prints(1, 8));
            assert!(publication.publication.is_some() && publication.tables.is_empty());
        }
        assert_eq!(changed(&Value::Null, None, &before), Changed::default(), "a first start knows nothing");
    }

    #[test]
    fn a_state_of_another_time_is_not_trusted() {
        let progress = compact(&prints(1, 9));
        let other = serde_json::to_value(prints(2, 9)).unwrap();
        assert_eq!(changed(&progress, Some(&other), &prints(2, 9)).tables.len(), 1);
    }
}
