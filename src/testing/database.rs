//! A database that goes with its owner, on a server that may be somebody's.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::capture::{self, Connection, Mode, Options, connect};
use crate::catalogue::{CollationProvider, always_quote_ident, quote_literal};
use crate::clock;

pub struct Database {
    admin: Connection,
    name: String,
    options: Options,
    /// False: the server goes anyway.
    dropped: bool,
}

/// A slot is free a moment after its connection has ended.
const DROP_LIMIT: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);

impl Database {
    pub(super) fn create(
        mut admin: Connection,
        options: &Options,
        like: Option<&crate::catalogue::Server>,
        dropped: bool,
    ) -> Result<Database, capture::Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pgspine_test_{}_{}_{count}", std::process::id(), clock::now_millis() % 100_000_000);
        let create = format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", always_quote_ident(&name));
        let wanted = like
            .filter(|s| s.provider == CollationProvider::Libc)
            .map(|s| format!("{create} LC_COLLATE {} LC_CTYPE {}", quote_literal(&s.collate), quote_literal(&s.ctype)));
        match wanted.map(|sql| admin.execute(&sql)) {
            Some(Ok(())) => {}
            // The locale is not on this machine: the transforms are bound to what the database really has.
            Some(Err(capture::Error::Server(e))) if e.severity == "ERROR" => {
                tracing::warn!(
                    "a database like the one of schema.sql cannot be made, the server's default is taken: {e}"
                );
                admin.execute(&create)?;
            }
            Some(Err(e)) => return Err(e),
            None => admin.execute(&create)?,
        }
        let options = Options { database: name.clone(), ..options.clone() };
        Ok(Database { admin, name, options, dropped })
    }

    /// With this `search_path`; "" finds what is qualified only.
    pub fn options(&self, search_path: &str) -> Options {
        Options { search_path: search_path.to_owned(), ..self.options.clone() }
    }

    pub fn connect(&self, search_path: &str) -> Result<Connection, capture::Error> {
        connect(&self.options(search_path), Mode::Sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.dropped {
            return;
        }
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", always_quote_ident(&self.name));
        let end = Instant::now() + DROP_LIMIT;
        while let Err(e) = self.admin.execute(&sql) {
            if Instant::now() >= end || self.admin.is_broken() {
                eprintln!("database {} is left behind: {e}: {sql}", self.name);
                return;
            }
            std::thread::park_timeout(STEP);
        }
    }
}
