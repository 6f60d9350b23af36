//! The project against the source, before anything is changed: what `run` begins with and one-shot commands look at.

use std::sync::Arc;

use crate::capture::publication::{self, WantedTable};
use crate::capture::{self, Connection, Mode, connect, slot, timeline};
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::emit::Progress;
use crate::transform::TransformFile;
use crate::transform::function::{CaseMap, Context};

use super::failure::Failure;
use super::options;
use super::project::{self, Definition, Project};

/// What is known of the source.
pub struct Survey {
    pub sql: Connection,
    pub project: Project,
    pub context: Arc<Context>,
    pub wanted: Vec<WantedTable>,
}

/// Connects, reads the catalogue, binds the project.
pub fn survey(config: &Config, pg: &capture::Options) -> Result<(Survey, timeline::System), Failure> {
    let mut sql = connect(pg, Mode::Sql)?;
    slot::check_server(&mut sql)?;
    let mut replication = connect(pg, Mode::Replication)?;
    let system = timeline::identify(&mut replication)?;
    drop(replication);
    let files = project::files(config).map_err(Failure::Findings)?;
    Ok((bind(config, sql, files)?, system))
}

/// For one-shot commands: one transform, and no replication connection.
pub fn one(config: &Config, pg: &capture::Options, name: &str) -> Result<Survey, Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let known: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    if !known.contains(&name) {
        return Err(Failure::Findings(vec![super::unknown_transform(&known, name)]));
    }
    let files = files.into_iter().filter(|f| f.name == name).collect();
    bind(config, connect(pg, Mode::Sql)?, files)
}

fn bind(config: &Config, mut sql: Connection, files: Vec<TransformFile>) -> Result<Survey, Failure> {
    let catalogue = catalogue(config, &mut sql, &files)?;
    let project = Project::bind(config, files, &catalogue).map_err(Failure::Findings)?;
    for warning in &project.warnings {
        tracing::warn!(code = %warning.code, "{}", warning.message);
    }
    let context = context(&mut sql, &project)?;
    let wanted = wanted(&catalogue, &project);
    Ok(Survey { sql, project, context, wanted })
}

/// The tables that the files name, as the database has them.
pub fn catalogue(config: &Config, sql: &mut Connection, files: &[TransformFile]) -> Result<Catalogue, Failure> {
    let path = options::search_path(config);
    Ok(capture::catalogue::read(sql, &project::tables_named(files), &path)?)
}

/// What expressions ask of the server beside the row.
pub fn context(sql: &mut Connection, project: &Project) -> Result<Arc<Context>, Failure> {
    // A question about every code point: only where an answer depends on it.
    let case = match project.uses_case() {
        true => capture::catalogue::case_map(sql)?.unwrap_or_default(),
        false => CaseMap::default(),
    };
    Ok(Arc::new(Context { case }))
}

/// What has to be in the publication.
pub fn wanted(catalogue: &Catalogue, project: &Project) -> Vec<WantedTable> {
    let mut wanted = publication::wanted_tables(catalogue, project.columns_used().iter().map(|(n, c)| (n, c.clone())));
    for w in &mut wanted {
        w.inserts_only = project.tables.iter().any(|t| t.table.oid == w.oid && t.inserts_only);
    }
    wanted
}

/// Key bytes never change: another key schema id would put every key beside itself.
pub fn key_pinned(d: &Definition, key: Option<u32>, progress: Option<&Progress>) -> Option<Diagnostic> {
    let known = progress?.topics.get(&d.topic)?;
    let now = key.map(|k| k as i32);
    (known.key_schema_id != now).then(|| super::key_schema_changed(d, known.key_schema_id, now))
}
