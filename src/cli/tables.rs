//! Where the tables are known from: `schema.sql` beside the configuration, or the database.

use std::path::PathBuf;

use crate::capture::{Connection, Mode, connect};
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::{Failure, options, survey};
use crate::transform::parse::schema;
use crate::transform::{TransformFile, source};

use super::codes;

/// Tables, and where they are from, for people.
pub struct Tables {
    pub catalogue: Catalogue,
    pub from: String,
}

/// `schema.sql` beside `pgspine.toml`.
pub fn file(config: &Config) -> PathBuf {
    config.file.with_file_name("schema.sql")
}

/// The snapshot, if there is one.
pub fn from_file(config: &Config) -> Result<Option<Tables>, Vec<Diagnostic>> {
    let path = file(config);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            let message = format!("{} cannot be read: {e}", path.display());
            return Err(vec![Diagnostic::error(codes::SCHEMA_FILE, message)]);
        }
    };
    let mut catalogue = schema::read(&text).map_err(|e| vec![source::from_parse(&path, &text, e)])?;
    catalogue.search_path = options::search_path(config);
    let version = catalogue.server.version_num;
    let from = format!("{} (PostgreSQL {}.{})", path.display(), version / 10_000, version % 10_000);
    Ok(Some(Tables { catalogue, from }))
}

/// A connection for SQL.
pub fn database(config: &Config) -> Result<Connection, Failure> {
    Ok(connect(&options::postgres(config)?, Mode::Sql)?)
}

/// As the database has them now.
pub fn from_database(config: &Config, sql: &mut Connection, files: &[TransformFile]) -> Result<Tables, Failure> {
    let catalogue = survey::catalogue(config, sql, files)?;
    let version = catalogue.server.version_num;
    let from = format!("the database (PostgreSQL {}.{})", version / 10_000, version % 10_000);
    Ok(Tables { catalogue, from })
}

/// The snapshot where there is one, else the database.
pub fn either(config: &Config, files: &[TransformFile]) -> Result<Tables, Failure> {
    match from_file(config).map_err(Failure::Findings)? {
        Some(tables) => Ok(tables),
        None => from_database(config, &mut database(config)?, files),
    }
}
