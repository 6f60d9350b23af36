//! The tables that a project reads: which columns are used, by what a row is told from others, what is kept.

use std::collections::BTreeMap;

use crate::capture::catalogue_codes::NO_IDENTITY;
use crate::capture::watch::Fingerprints;
use crate::catalogue::{Catalogue, Index, QualifiedName, ReplicaIdentity, Table, TableKind};
use crate::diagnostic::Diagnostic;
use crate::engine;
use crate::engine::index::IndexColumns;
use crate::engine::source::{Side, by_identity, sides};
use crate::lsn::EndLsn;
use crate::state::SpaceId;
use crate::transform::{KeyForm, Source, UsedColumn};

use super::project::Definition;

/// A table that transforms read.
pub struct TableUse {
    pub table: Table,
    /// What transforms use and the identity, by attnum.
    pub columns: Vec<UsedColumn>,
    /// Indexes into `columns`; None: REPLICA IDENTITY FULL, and nothing is kept, or whole rows (`bag`).
    pub identity: Option<Vec<usize>>,
    /// Transforms with several sources look its rows up: it is stored in any case.
    pub joined: bool,
    /// By which columns (of `columns`) joins find its rows.
    pub indexes: Vec<IndexColumns>,
    /// Only events read it, as their root: nothing is kept, and nothing but its INSERTs counts.
    pub inserts_only: bool,
}

/// Every table that the plans read, with what they need of it.
pub(super) fn table_uses(
    definitions: &[Definition],
    catalogue: &Catalogue,
    findings: &mut Vec<Diagnostic>,
) -> Vec<TableUse> {
    let mut used: BTreeMap<&QualifiedName, BTreeMap<i16, UsedColumn>> = BTreeMap::new();
    for d in definitions {
        for s in &d.plan.sources {
            let columns = used.entry(&s.table).or_default();
            columns.extend(s.columns.iter().map(|c| (c.attnum, c.clone())));
        }
    }
    let mut uses = Vec::new();
    for (name, mut columns) in used {
        let Some(table) = catalogue.table(Some(&name.schema), &name.name) else { continue };
        let joined = definitions.iter().any(|d| d.joined_sources().any(|s| s.table == *name));
        let inserts_only = is_inserts_only(definitions, name);
        let identity = match (identity(table), joined) {
            _ if inserts_only => Identity::Full,
            // A join needs its rows. With FULL the old tuple has every column: any unique index will do.
            (Identity::Full, true) => unique_columns(table).map_or(Identity::Full, Identity::Columns),
            (identity, _) => identity,
        };
        let identity = match identity {
            Identity::Full => None,
            Identity::Columns(names) => {
                for c in table.columns.iter().filter(|c| names.contains(&c.name)) {
                    let used =
                        UsedColumn { name: c.name.clone(), attnum: c.attnum, ty: c.ty.clone(), not_null: c.not_null };
                    columns.entry(c.attnum).or_insert(used);
                }
                let place = |n: &String| columns.values().position(|c| c.name == *n);
                Some(names.iter().filter_map(place).collect())
            }
            Identity::None => {
                findings.push(
                    Diagnostic::error(
                        NO_IDENTITY,
                        format!(
                            "{name} has no replica identity: once it is published, its UPDATEs and DELETEs would fail"
                        ),
                    )
                    .help(format!("give it a primary key, or run ALTER TABLE {name} REPLICA IDENTITY FULL")),
                );
                continue;
            }
        };
        let columns = columns.into_values().collect();
        uses.push(TableUse { table: table.clone(), columns, identity, joined, indexes: Vec::new(), inserts_only });
    }
    for d in definitions {
        for side in sides(&d.plan, d.ways()) {
            let source = &d.plan.sources[side.source];
            if let Some(table) = uses.iter_mut().find(|t| t.table.name == source.table) {
                table.need_index(&side, source);
            }
        }
    }
    // A publication that sends more than INSERTs asks an identity of every table in it.
    if uses.iter().any(|u| !u.inserts_only) {
        for u in uses.iter().filter(|u| u.inserts_only && matches!(identity(&u.table), Identity::None)) {
            let name = &u.table.name;
            findings.push(
                Diagnostic::error(
                    NO_IDENTITY,
                    format!(
                        "{name} has no replica identity: its events need none, but entities of this bridge have UPDATEs and \
                         DELETEs published, and PostgreSQL would refuse those of {name}"
                    ),
                )
                .help(format!(
                    "give it a primary key, run ALTER TABLE {name} REPLICA IDENTITY FULL, or give the events a bridge of \
                     their own: its publication sends only INSERTs"
                )),
            );
        }
    }
    uses
}

fn is_inserts_only(definitions: &[Definition], name: &QualifiedName) -> bool {
    definitions.iter().all(|d| {
        let mut sources = d.plan.sources.iter();
        let root = sources.next().is_some_and(|s| s.table == *name);
        (d.is_event() || !root) && sources.all(|s| s.table != *name)
    })
}

enum Identity {
    Full,
    Columns(Vec<String>),
    None,
}

/// Of a partitioned table the leaves' identities count: they are what the stream sends.
fn identity(table: &Table) -> Identity {
    if table.kind == TableKind::Partitioned && !table.leaves.is_empty() {
        if table.leaves.iter().all(|l| l.replica_identity == ReplicaIdentity::Full) {
            return Identity::Full;
        }
        let by_key = Table { replica_identity: ReplicaIdentity::Default, ..table.clone() };
        return by_key.identity_columns().map_or(Identity::None, |c| Identity::Columns(c.to_vec()));
    }
    match (&table.replica_identity, table.identity_columns()) {
        (ReplicaIdentity::Full, _) => Identity::Full,
        (_, Some(columns)) => Identity::Columns(columns.to_vec()),
        (_, None) => Identity::None,
    }
}

/// The columns of an index that tells rows apart at every moment, the primary key's before others'.
fn unique_columns(table: &Table) -> Option<Vec<String>> {
    let not_null = |name: &String| table.column(name).is_some_and(|c| c.not_null);
    let usable = |i: &&Index| {
        i.unique && i.immediate && i.valid && !i.partial && !i.columns.is_empty() && i.columns.iter().all(not_null)
    };
    let mut indexes = table.indexes.iter().filter(usable);
    let first = table.indexes.iter().filter(usable).find(|i| i.primary).or_else(|| indexes.next());
    first.map(|i| i.columns.clone())
}

impl TableUse {
    /// Whether its rows are kept.
    pub fn stored(&self) -> bool {
        self.identity.is_some() || self.joined
    }

    fn need_index(&mut self, side: &Side, source: &Source) {
        let place = |c: usize| self.columns.iter().position(|t| t.attnum == source.columns[c].attnum);
        let columns: Option<IndexColumns> = side.columns.iter().map(|&(c, form)| Some((place(c)?, form))).collect();
        let Some(columns) = columns else { return };
        let is_identity = self.identity.as_ref().is_some_and(|i| by_identity(&columns, i).is_some());
        if !is_identity && !self.indexes.contains(&columns) {
            self.indexes.push(columns);
        }
    }

    pub fn partitioned(&self) -> bool {
        self.table.kind == TableKind::Partitioned
    }

    /// `pg_attribute`'s types of the columns, as the fingerprints have them.
    pub fn types(&self, prints: &Fingerprints) -> Vec<(u32, i32)> {
        let name = &self.table.name;
        let found = prints
            .tables
            .iter()
            .find(|t| t.schema == name.schema && t.name == name.name)
            .and_then(|t| t.found.as_ref());
        let of = |c: &UsedColumn| {
            found.and_then(|f| f.columns.get(&c.name)).map_or((0, -1), |(_, oid, typmod)| (*oid, *typmod))
        };
        self.columns.iter().map(of).collect()
    }

    /// How many spaces it takes in the state: of its rows and of its indexes.
    pub fn spaces(&self) -> usize {
        1 + self.indexes.len()
    }

    /// For the engine; `spaces` hold its rows and its indexes. None: nothing is kept.
    pub fn for_engine(&self, prints: &Fingerprints, spaces: &[SpaceId], loaded_at: EndLsn) -> engine::Table {
        let identity = match (&self.identity, spaces.first()) {
            _ if self.inserts_only => engine::Identity::Inserts,
            (Some(columns), Some(&space)) => engine::Identity::Key { columns: columns.clone(), space },
            (None, Some(&space)) if self.joined => engine::Identity::Bag { space },
            _ => engine::Identity::Full,
        };
        engine::Table {
            oid: self.table.oid,
            name: self.table.name.clone(),
            partitioned: self.partitioned(),
            leaves: self.table.leaves.iter().map(|l| l.oid).collect(),
            columns: self.columns.clone(),
            types: self.types(prints),
            identity,
            indexes: self.indexes(spaces),
            loaded_at,
        }
    }

    /// Its indexes; `spaces` are those of its rows and of its indexes.
    pub fn indexes(&self, spaces: &[SpaceId]) -> Vec<engine::Index> {
        let spaces = spaces.iter().skip(1);
        self.indexes.iter().zip(spaces).map(|(c, &space)| engine::Index { columns: c.clone(), space }).collect()
    }

    /// What must be equal for stored rows to be of use.
    pub fn layout(&self, prints: &Fingerprints) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .zip(self.types(prints))
            .map(|(c, (oid, typmod))| format!("{} {} {oid} {typmod}", c.name, c.attnum))
            .collect();
        let whole = match (self.joined, self.inserts_only) {
            (true, _) => "bag",
            (_, true) => "inserts",
            _ => "full",
        };
        let identity = self.identity.as_ref().map_or(whole.to_owned(), |i| format!("{i:?}"));
        let leaf = if self.partitioned() { " leaf" } else { "" };
        let index = |columns: &IndexColumns| {
            let columns: Vec<String> = columns.iter().map(|(c, form)| format!("{c} {}", form_word(*form))).collect();
            format!("; index {}", columns.join(", "))
        };
        let indexes: String = self.indexes.iter().map(index).collect();
        format!("{}; {identity}{leaf}{indexes}", columns.join(", "))
    }
}

/// As layouts have it: never another word for the same form.
fn form_word(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Text => "text",
        KeyForm::Number => "number",
        KeyForm::Padded => "padded",
    }
}
