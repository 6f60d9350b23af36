//! What has to be done to a publication, or what is wrong with it: a pure function of what the server says.
//!
//! Rules: never FOR ALL TABLES, all four operations, never via the partition root; and nothing is published whose
//! UPDATE or DELETE PostgreSQL would then refuse (manual, "Publication", "Column Lists").

use std::collections::BTreeSet;

use super::{Facts, Identity, Publication, Relation, WantedTable};
use crate::capture::catalogue_codes as codes;
use crate::catalogue::{Oid, always_quote_ident};
use crate::diagnostic::{Diagnostic, Severity};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Create it and keep it as the transforms need it.
    Manage,
    /// Only check it: somebody else owns it.
    Verify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    All,
    /// Column lists with the used columns and those of the replica identity (PostgreSQL 15+).
    Used,
}

#[derive(Debug, Default)]
pub struct Plan {
    /// To be run in one transaction, and only if no finding is an error.
    pub(super) statements: Vec<String>,
    pub findings: Vec<Diagnostic>,
}

impl Plan {
    /// What to run; nothing while there is an error among the findings.
    pub fn statements(&self) -> &[String] {
        if self.is_refused() { &[] } else { &self.statements }
    }
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

pub fn plan(mode: Mode, columns: Columns, name: &str, wanted: &[WantedTable], facts: &Facts) -> Plan {
    match mode {
        Mode::Verify => Plan { statements: Vec::new(), findings: verify(name, wanted, facts) },
        Mode::Manage => {
            let mut plan = changes(columns, name, wanted, facts);
            if !plan.statements().is_empty() {
                let findings = ownership(name, wanted, facts);
                plan.findings.extend(findings);
            }
            plan
        }
    }
}

/// The statements that the owner has to run, whoever we are: for `setup --sql`.
pub fn changes(columns: Columns, name: &str, wanted: &[WantedTable], facts: &Facts) -> Plan {
    let mut plan =
        Plan { statements: Vec::new(), findings: unpublishable(wanted, facts, sends(wanted) == Sends::Everything) };
    if columns == Columns::Used && facts.version_num < 150_000 {
        let message = format!("column lists need PostgreSQL 15, and the server has {}", facts.version_num);
        plan.findings
            .push(Diagnostic::error(codes::LISTS_NEED_15, message).help("write publication_columns = \"all\""));
        return plan;
    }
    if let Some(p) = &facts.publication
        && let Some(finding) = not_by_table(name, p)
    {
        plan.findings.push(finding);
        return plan;
    }
    let mut members = Vec::new();
    for table in wanted {
        match list(columns, sends(wanted), table, facts) {
            Ok(list) => members.push((table, list)),
            Err(finding) => plan.findings.push(*finding),
        }
    }
    plan.statements = match &facts.publication {
        None => vec![create(name, &members, sends(wanted))],
        Some(publication) => {
            let bare = wanted.iter().any(|t| facts.sent_for(t.oid).any(|r| r.identity == Identity::Nothing));
            alter(name, publication, &members, sends(wanted), bare)
        }
    };
    plan
}

type Member<'a> = (&'a WantedTable, Option<BTreeSet<String>>);

fn create(name: &str, members: &[Member<'_>], sends: Sends) -> String {
    let tables: Vec<String> = members.iter().map(member).collect();
    let tables = if tables.is_empty() { String::new() } else { format!(" FOR TABLE {}", tables.join(", ")) };
    format!("CREATE PUBLICATION {}{tables} WITH ({})", always_quote_ident(name), sends.options())
}

/// Which operations a publication has to send. PostgreSQL takes one answer for all tables in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    Everything,
    /// Only events read the tables: without UPDATE and DELETE none of them needs a replica identity.
    Inserts,
}

fn sends(wanted: &[WantedTable]) -> Sends {
    match !wanted.is_empty() && wanted.iter().all(|t| t.inserts_only) {
        true => Sends::Inserts,
        false => Sends::Everything,
    }
}

impl Sends {
    fn options(self) -> &'static str {
        match self {
            Sends::Everything => "publish = 'insert, update, delete, truncate', publish_via_partition_root = false",
            Sends::Inserts => "publish = 'insert', publish_via_partition_root = false",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Sends::Everything => "insert, update, delete and truncate",
            Sends::Inserts => "insert",
        }
    }
}

/// `bare`: a table has no replica identity.
fn alter(name: &str, existing: &Publication, members: &[Member<'_>], sends: Sends, bare: bool) -> Vec<String> {
    let publication = always_quote_ident(name);
    let mut statements = Vec::new();
    // One that sends more than is asked for is left alone as long as it does no harm.
    if !existing.has(sends) || (bare && existing.asks_identity()) {
        statements.push(format!("ALTER PUBLICATION {publication} SET ({})", sends.options()));
    }
    let as_wanted = |m: &super::Member| {
        members.iter().any(|(table, list)| table.oid == m.oid && set(&m.columns) == *list && !m.filtered)
    };
    for m in existing.members.iter().filter(|m| !as_wanted(m)) {
        statements.push(format!("ALTER PUBLICATION {publication} DROP TABLE ONLY {}", m.name.to_sql()));
    }
    for m in members {
        if !existing.members.iter().any(|e| e.oid == m.0.oid && as_wanted(e)) {
            statements.push(format!("ALTER PUBLICATION {publication} ADD TABLE {}", member(m)));
        }
    }
    statements
}

fn member((table, list): &Member<'_>) -> String {
    let list = list.as_ref().map_or(String::new(), |columns| {
        let columns: Vec<String> = columns.iter().map(|c| always_quote_ident(c)).collect();
        format!(" ({})", columns.join(", "))
    });
    format!("ONLY {}{list}", table.name.to_sql())
}

fn set(columns: &Option<Vec<String>>) -> Option<BTreeSet<String>> {
    columns.as_ref().map(|c| c.iter().cloned().collect())
}

/// The column list of a table: what is used, and what the replica identity needs.
fn list(
    columns: Columns,
    sends: Sends,
    table: &WantedTable,
    facts: &Facts,
) -> Result<Option<BTreeSet<String>>, Box<Diagnostic>> {
    if columns == Columns::All {
        return Ok(None);
    }
    let help = "write publication_columns = \"all\"";
    if facts.relations.iter().any(|r| r.oid == table.oid && r.kind == b'p') {
        let message = format!(
            "{} is partitioned, and PostgreSQL takes column lists of partitioned tables only with publish_via_partition_root",
            table.name
        );
        return Err(Box::new(Diagnostic::error(codes::LIST_ON_PARTITIONED, message).help(help)));
    }
    let mut list: BTreeSet<String> = table.columns.iter().cloned().collect();
    for relation in facts.sent_for(table.oid) {
        match &relation.identity {
            Identity::Columns(identity) => list.extend(identity.iter().cloned()),
            // Without UPDATE and DELETE nothing is refused.
            Identity::Full if sends == Sends::Inserts => {}
            Identity::Full => return Err(Box::new(list_with_full(relation).help(help))),
            Identity::Nothing => {}
        }
    }
    Ok(Some(list))
}

fn list_with_full(relation: &Relation) -> Diagnostic {
    let message = format!(
        "{} has REPLICA IDENTITY FULL; with a column list PostgreSQL would refuse every UPDATE and DELETE on it",
        relation.name
    );
    Diagnostic::error(codes::LIST_WITH_FULL, message)
}

/// What no publication can carry, or what would break the application once it does.
/// `identified`: UPDATEs and DELETEs are published.
fn unpublishable(wanted: &[WantedTable], facts: &Facts, identified: bool) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for table in wanted {
        for relation in facts.relations.iter().filter(|r| r.root == table.oid) {
            if !matches!(relation.kind, b'r' | b'p') || !relation.permanent {
                let kind = match relation.kind {
                    b'v' => "a view",
                    b'm' => "a materialized view",
                    b'f' => "a foreign table",
                    _ => "a temporary or unlogged table",
                };
                let message = format!("{} is {kind}, which PostgreSQL does not publish", relation.name);
                let help = "use the tables behind it, or ALTER TABLE … SET LOGGED";
                findings.push(Diagnostic::error(codes::NOT_PUBLISHABLE, message).help(help));
            }
        }
        for relation in facts.sent_for(table.oid).filter(|r| identified && r.identity == Identity::Nothing) {
            let message = format!(
                "{} has no replica identity; once it is published PostgreSQL refuses every UPDATE and DELETE on it",
                relation.name
            );
            findings.push(Diagnostic::error(codes::NO_IDENTITY, message).help(format!(
                "add a primary key, or ALTER TABLE {} REPLICA IDENTITY USING INDEX (a unique index over NOT NULL columns) or FULL",
                relation.name
            )));
        }
        if table.row_security {
            let message = format!("row-level security applies to our role on {}: it would hide rows", table.name);
            findings.push(Diagnostic::error(codes::ROW_SECURITY, message).help(
                "ALTER ROLE … BYPASSRLS, or let the table's owner be the role (without FORCE ROW LEVEL SECURITY)",
            ));
        }
    }
    findings
}

fn not_by_table(name: &str, p: &Publication) -> Option<Diagnostic> {
    let how = if p.all_tables {
        "FOR ALL TABLES"
    } else if p.published.iter().any(|t| !p.names(t.oid, &t.above)) {
        "FOR TABLES IN SCHEMA"
    } else {
        return None;
    };
    let message = format!("publication {name} is {how}, which also publishes tables that no transform reads");
    Some(Diagnostic::error(codes::ALL_TABLES, message).help(
        "drop it (then the slot starts anew) or name another one in [postgres] publication; with publication_mode = \
         \"verify\" it is taken as it is",
    ))
}

fn ownership(name: &str, wanted: &[WantedTable], facts: &Facts) -> Vec<Diagnostic> {
    let help = "run as the owner what `pgspine setup --sql` prints, and write publication_mode = \"verify\"";
    let mut findings = Vec::new();
    match &facts.publication {
        None if !facts.can_create => {
            let message = format!("our role may not create publication {name}: it needs CREATE on the database");
            findings.push(Diagnostic::error(codes::NOT_OWNER, message).help(help));
        }
        Some(p) if !p.owned => {
            let message = format!("our role does not own publication {name}");
            findings.push(Diagnostic::error(codes::NOT_OWNER, message).help(help));
        }
        _ => {}
    }
    for r in facts.relations.iter().filter(|r| wanted.iter().any(|w| w.oid == r.oid) && !r.owned) {
        let message = format!("our role does not own {} and cannot publish it", r.name);
        findings.push(Diagnostic::error(codes::NOT_OWNER, message).help(help));
    }
    findings
}

fn verify(name: &str, wanted: &[WantedTable], facts: &Facts) -> Vec<Diagnostic> {
    let sends = sends(wanted);
    let identified = sends == Sends::Everything || facts.publication.as_ref().is_none_or(Publication::asks_identity);
    let mut findings = unpublishable(wanted, facts, identified);
    let publication = always_quote_ident(name);
    let Some(p) = &facts.publication else {
        let message = format!("publication {name} does not exist");
        findings.push(
            Diagnostic::error(codes::NO_PUBLICATION, message)
                .help("run as the owner what `pgspine setup --sql` prints"),
        );
        return findings;
    };
    if !p.has(sends) {
        let message = format!("publication {name} must send {}, and not via the partition root", sends.words());
        findings.push(
            Diagnostic::error(codes::PUBLICATION_OPTIONS, message)
                .help(format!("ALTER PUBLICATION {publication} SET ({});", sends.options())),
        );
    }
    if p.all_tables {
        let message = format!("publication {name} is FOR ALL TABLES: tables without a key cannot be updated any more");
        findings.push(
            Diagnostic::warning(codes::ALL_TABLES, message).help("name the tables, as `pgspine setup --sql` prints it"),
        );
    }
    for table in wanted {
        for relation in facts.sent_for(table.oid) {
            verify_relation(name, p, table, relation, &mut findings);
        }
    }
    findings
}

fn verify_relation(
    name: &str,
    p: &Publication,
    table: &WantedTable,
    relation: &Relation,
    findings: &mut Vec<Diagnostic>,
) {
    // Via the root it is the root that is named, and that is a finding of its own already.
    let Some(sent) = p.published.iter().find(|t| t.oid == relation.oid || (p.via_root && t.oid == table.oid)) else {
        let message = format!("{} is not in publication {name}", relation.name);
        let fix = format!("ALTER PUBLICATION {} ADD TABLE ONLY {};", always_quote_ident(name), table.name.to_sql());
        findings.push(Diagnostic::error(codes::NOT_PUBLISHED, message).help(fix));
        return;
    };
    if sent.filtered {
        let message = format!("publication {name} filters the rows of {}", relation.name);
        findings.push(
            Diagnostic::error(codes::ROW_FILTER, message)
                .help("publish the table without WHERE, and write the condition in the transform"),
        );
    }
    let listed = p.members.iter().find(|m| m.oid == relation.oid).is_some_and(|m| m.columns.is_some());
    let Some(columns) = &sent.columns else { return };
    let missing = |wanted: &[String]| -> Vec<String> {
        wanted.iter().filter(|c| !columns.contains(c)).map(|c| always_quote_ident(c)).collect()
    };
    let unused = missing(&table.columns);
    if !unused.is_empty() {
        let message = format!("publication {name} does not send {} of {}", unused.join(", "), relation.name);
        findings.push(
            Diagnostic::error(codes::COLUMN_NOT_PUBLISHED, message)
                .help("add them to the table's column list, or drop the list"),
        );
    }
    match &relation.identity {
        Identity::Full if listed && p.asks_identity() => {
            findings.push(list_with_full(relation).help("publish the table without a column list"));
        }
        Identity::Columns(identity) if p.asks_identity() && !missing(identity).is_empty() => {
            let message = format!(
                "the column list of {} lacks {} of its replica identity: UPDATE and DELETE fail",
                relation.name,
                missing(identity).join(", ")
            );
            findings.push(Diagnostic::error(codes::IDENTITY_NOT_LISTED, message).help("add them to the column list"));
        }
        _ => {}
    }
}

impl Publication {
    fn has(&self, sends: Sends) -> bool {
        let rest = self.update && self.delete && self.truncate;
        self.insert && (rest || sends == Sends::Inserts) && !self.via_root
    }

    /// PostgreSQL refuses UPDATE or DELETE on a table of it without a replica identity.
    fn asks_identity(&self) -> bool {
        self.update || self.delete
    }

    /// The publication names this relation, or the partitioned table above it.
    fn names(&self, oid: Oid, above: &[Oid]) -> bool {
        self.members.iter().any(|m| m.oid == oid || above.contains(&m.oid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::QualifiedName;

    fn facts(version_num: u32, identity: Identity) -> (Vec<WantedTable>, Facts) {
        let name = QualifiedName::new("s", "order");
        let relation =
            Relation { oid: 1, root: 1, name: name.clone(), kind: b'r', permanent: true, identity, owned: true };
        let wanted = WantedTable { oid: 1, name, columns: vec!["v".into()], row_security: false, inserts_only: false };
        let facts = Facts { version_num, can_create: true, publication: None, relations: vec![relation] };
        (vec![wanted], facts)
    }

    #[test]
    fn names_are_quoted_and_the_identity_is_listed() {
        let (wanted, facts) = facts(150_000, Identity::Columns(vec!["I\"d".into()]));
        let plan = plan(Mode::Manage, Columns::Used, "p", &wanted, &facts);
        let expected = "CREATE PUBLICATION \"p\" FOR TABLE ONLY \"s\".\"order\" (\"I\"\"d\", \"v\") WITH \
                        (publish = 'insert, update, delete, truncate', publish_via_partition_root = false)";
        assert_eq!(plan.statements(), [expected]);
    }

    #[test]
    fn fourteen_has_no_column_lists() {
        let (wanted, facts) = facts(140_012, Identity::Full);
        let used = plan(Mode::Manage, Columns::Used, "p", &wanted, &facts);
        assert_eq!(used.findings[0].code, codes::LISTS_NEED_15);
        assert!(used.statements().is_empty());
        assert_eq!(plan(Mode::Manage, Columns::All, "p", &wanted, &facts).findings, []);
    }

    #[test]
    fn who_owns_nothing_is_told_so_only_when_there_is_something_to_do() {
        let (wanted, mut facts) = facts(150_000, Identity::Full);
        facts.can_create = false;
        facts.relations[0].owned = false;
        let refused = plan(Mode::Manage, Columns::All, "p", &wanted, &facts);
        assert_eq!(refused.findings.len(), 2);
        assert!(refused.statements().is_empty());
        assert_eq!(changes(Columns::All, "p", &wanted, &facts).statements().len(), 1, "for the owner");
    }

    #[test]
    fn events_alone_send_only_inserts_and_need_no_identity() {
        let (mut wanted, facts) = facts(150_000, Identity::Nothing);
        assert_eq!(plan(Mode::Manage, Columns::All, "p", &wanted, &facts).findings[0].code, codes::NO_IDENTITY);
        wanted[0].inserts_only = true;
        let made = plan(Mode::Manage, Columns::All, "p", &wanted, &facts);
        let expected = "CREATE PUBLICATION \"p\" FOR TABLE ONLY \"s\".\"order\" WITH (publish = 'insert', \
                        publish_via_partition_root = false)";
        assert_eq!((made.findings.len(), made.statements()), (0, &[expected.to_owned()][..]));
        // One table beside it that entities read, and UPDATEs are published.
        let other = WantedTable { oid: 2, inserts_only: false, ..wanted[0].clone() };
        wanted.push(other);
        assert_eq!(plan(Mode::Manage, Columns::All, "p", &wanted, &facts).findings[0].code, codes::NO_IDENTITY);
    }
}
