//! The PostgreSQL that tests run on: one that somebody names, or one that is started for them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::capture::{self, Connection, Mode, connect, slot};
use crate::runtime::project::Project;
use crate::runtime::{Failure, survey};
use crate::scratch_postgres::{Cluster, Folder, ScratchError};
use crate::transform::function::Context;

use super::database::Database;

pub struct Server {
    options: capture::Options,
    pub version: String,
    /// What expressions ask of a database, by whether they map letters: all databases here are alike, and the question
    /// about every code point is asked once.
    contexts: RefCell<BTreeMap<bool, Arc<Context>>>,
    /// Stopped before its folder is removed.
    own: Option<(Cluster, Folder)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    #[error(transparent)]
    Postgres(#[from] capture::Error),
}

/// Nothing here has to outlive the process.
const SETTINGS: &[&str] = &["fsync=off", "synchronous_commit=on", "max_replication_slots=10", "max_wal_senders=10"];

impl Server {
    /// A server that is there; tests get databases of their own on it.
    pub fn at(url: &str) -> Result<Server, ServerError> {
        let options = capture::Options::parse(url).map_err(capture::Error::Options)?;
        Server::new(options, None)
    }

    /// Call it from the main thread: the server ends with the thread that starts it.
    pub fn start(stopped: &dyn Fn() -> bool) -> Result<Server, ServerError> {
        let folder = Folder::new("test")?;
        let cluster = Cluster::start(folder.path(), SETTINGS, stopped)?;
        let options = capture::Options::parse(&cluster.url()).map_err(capture::Error::Options)?;
        Server::new(options, Some((cluster, folder)))
    }

    fn new(options: capture::Options, own: Option<(Cluster, Folder)>) -> Result<Server, ServerError> {
        let options = capture::Options { application_name: "pgspine/test".into(), ..options };
        let mut admin = connect(&options, Mode::Sql)?;
        slot::check_server(&mut admin)?;
        let version = admin.parameter("server_version").unwrap_or_default().to_owned();
        Ok(Server { options, version, contexts: RefCell::default(), own })
    }

    /// Whether it was started for the tests.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    pub(super) fn context(&self, sql: &mut Connection, project: &Project) -> Result<Arc<Context>, Failure> {
        let mut contexts = self.contexts.borrow_mut();
        if let Some(known) = contexts.get(&project.uses_case()) {
            return Ok(Arc::clone(known));
        }
        let context = survey::context(sql, project)?;
        contexts.insert(project.uses_case(), Arc::clone(&context));
        Ok(context)
    }

    /// An empty database. `like` says what it should sort and compare by.
    pub fn database(&self, like: Option<&crate::catalogue::Server>) -> Result<Database, capture::Error> {
        let admin: Connection = connect(&self.options, Mode::Sql)?;
        Database::create(admin, &self.options, like, !self.is_own())
    }
}
