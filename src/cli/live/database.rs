//! The database: what the server allows, the slot, and whether it gives our outputs the types that we do.

use crate::capture::preflight::{self, Described, Wish};
use crate::capture::publication::WantedTable;
use crate::capture::{self, Connection, Mode, connect, slot, statistics};
use crate::catalogue::{ColumnType, Table, Type};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::failure::chain;
use crate::runtime::project::{Definition, Project};
use crate::runtime::{Failure, options};
use crate::transform::bind::types::{full_name, sql_name};
use crate::transform::{Explained, Output};

use crate::cli::codes;
use crate::cli::estimate::{Estimate, about};

/// All findings, and the failure that ended the looking early.
pub fn findings(
    config: &Config,
    pg: &capture::Options,
    sql: &mut Connection,
    project: &Project,
    wanted: &[WantedTable],
) -> (Vec<Diagnostic>, Option<Failure>) {
    let mut found = Vec::new();
    let failure = look(config, pg, sql, project, wanted, &mut found).err();
    (found, failure)
}

fn look(
    config: &Config,
    pg: &capture::Options,
    sql: &mut Connection,
    project: &Project,
    wanted: &[WantedTable],
    found: &mut Vec<Diagnostic>,
) -> Result<(), Failure> {
    let wish = Wish {
        slot: &config.postgres.slot,
        publication: &config.postgres.publication,
        publication_mode: options::publication_mode(config),
        publication_columns: options::publication_columns(config),
        tables: wanted,
    };
    found.extend(preflight::check(sql, &wish)?);
    // Another plugin or database is the preflight's finding.
    if let Some(state) = slot::read(sql, &config.postgres.slot)?
        && let Err(e @ capture::Error::SlotLost { .. }) = state.check(&pg.database)
    {
        found.push(e.diagnostic());
    }
    // The file is run as psql would run it: by its own search path.
    let with_path = capture::Options { search_path: config.postgres.search_path.clone(), ..pg.clone() };
    let mut as_psql = connect(&with_path, Mode::Sql)?;
    for d in &project.definitions {
        match preflight::describe(&mut as_psql, &d.file.text) {
            Ok(columns) => compare(sql, d, &columns, found)?,
            Err(e) if e.is_transient() => return Err(e.into()),
            Err(e) => found.push(
                Diagnostic::error(
                    codes::SELECT_REFUSED,
                    format!("PostgreSQL does not take {}: {}", d.file.path.display(), chain(&e)),
                )
                .help("`psql -f` on the file must give what the topic is to hold"),
            ),
        }
    }
    fan_outs(sql, project, found)
}

/// So many records for one row are worth a word: the change is written as a whole, and others wait for it.
const MANY: f64 = 100_000.0;

fn fan_outs(sql: &mut Connection, project: &Project, found: &mut Vec<Diagnostic>) -> Result<(), Failure> {
    let joined = || project.definitions.iter().filter(|d| d.plan.sources.len() > 1 && !d.is_event());
    let mut oids: Vec<_> = joined().flat_map(|d| &d.plan.sources).map(|s| s.table_oid).collect();
    if oids.is_empty() {
        return Ok(());
    }
    oids.sort_unstable();
    oids.dedup();
    let statistics = statistics::read(sql, &oids)?;
    let tables: Vec<&Table> = project.tables.iter().map(|t| &t.table).collect();
    for d in joined() {
        let explained = Explained::of(&d.plan);
        let estimate = Estimate::new(&explained, &tables, &statistics);
        for source in 1..d.plan.sources.len() as u16 {
            let Some(fan_out) = estimate.fan_out(source).filter(|f| f.most > MANY) else { continue };
            let message = format!(
                "{}: a change of one row of {} can re-evaluate about {} records",
                d.file.path.display(),
                explained.named(source),
                about(fan_out.most)
            );
            found.push(Diagnostic::warning(codes::FAN_OUT, message).help(format!(
                "`pgspine explain {} --live` shows the way; take columns that change often from another table",
                d.file.name
            )));
        }
    }
    Ok(())
}

fn compare(
    sql: &mut Connection,
    d: &Definition,
    described: &[Described],
    found: &mut Vec<Diagnostic>,
) -> Result<(), Failure> {
    if described.len() != d.plan.outputs.len() {
        let message =
            format!("{} has {} outputs, PostgreSQL gives {}", d.file.name, d.plan.outputs.len(), described.len());
        found.push(Diagnostic::error(codes::OTHER_TYPE, message).help(REPORT));
        return Ok(());
    }
    for (output, theirs) in d.plan.outputs.iter().zip(described) {
        let rows = sql.query(&name_of(theirs.type_oid))?;
        let their_name = rows.single()?.text("name")?.to_owned();
        if let Some(ours) = differs(output, theirs, &their_name) {
            let message =
                format!("output {} is {ours} here, and {} for PostgreSQL", output.name, shown(&their_name, theirs));
            found.push(Diagnostic::error(codes::OTHER_TYPE, message).at(d.file.place(output.span)).help(REPORT));
        }
    }
    Ok(())
}

/// The type's name; of an array of a domain the name of its base's array, as of a domain the server itself says the base.
fn name_of(oid: u32) -> String {
    format!(
        "WITH RECURSIVE element(oid, n) AS (SELECT typelem, 0 FROM pg_type WHERE oid = {oid} AND typcategory = 'A' \
         UNION ALL SELECT t.typbasetype, n + 1 FROM element e JOIN pg_type t ON t.oid = e.oid AND t.typtype = 'd') \
         SELECT format_type(coalesce((SELECT t.typarray FROM element e JOIN pg_type t ON t.oid = e.oid WHERE n > 0 \
         ORDER BY n DESC LIMIT 1), {oid}), NULL) AS name"
    )
}

const REPORT: &str =
    "this is a fault of pgspine: please report it with the SELECT; a cast that says the type helps until then";

fn shown(name: &str, theirs: &Described) -> String {
    if theirs.typmod < 0 { name.to_owned() } else { format!("{name} with modifier {}", theirs.typmod) }
}

/// Our type in words, if it is another one than the server's.
fn differs(output: &Output, theirs: &Described, their_name: &str) -> Option<String> {
    let ours = &output.shape.expr().ty;
    if output.name != theirs.name {
        return Some(format!("named {}", output.name));
    }
    let same_type = match &ours.ty {
        // An untyped constant is text in an answer.
        Type::Unknown => their_name == "text",
        Type::Citext => their_name.ends_with("citext"),
        ty => sql_name(ty) == their_name,
    };
    (!same_type || (says_more(ours) && ours.typmod != theirs.typmod)).then(|| full_name(ours))
}

/// A modifier is a promise about values: where we have one, the server has to give it too.
fn says_more(ours: &ColumnType) -> bool {
    let promised = matches!(
        ours.ty,
        Type::Numeric | Type::Varchar | Type::Bpchar | Type::Time | Type::TimeTz | Type::Timestamp | Type::TimestampTz
    );
    promised && ours.typmod >= 0
}
