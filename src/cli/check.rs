//! `check`: everything that can be wrong, at once.
//!
//! Files and tables first (`schema.sql`, or with `--live` the database), then with `--live` what the three services
//! would refuse. Nothing is changed anywhere: no topic, no subject, no slot.

use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::runtime::Exit;
use crate::runtime::project::Project;
use crate::transform::source;

use super::args::Args;
use super::{codes, live, output, print_report, tables};

pub fn check(args: &Args, live: bool) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let (files, mut findings) = source::discover_all(&config.bridge.transforms);
    let (from, unreachable) = if live {
        let seen = live::look(&config, files, &mut findings);
        (seen.from, seen.unreachable)
    } else {
        let from = match tables::from_file(&config) {
            Ok(Some(tables)) => {
                findings.extend(Project::bind_all(&config, files, &tables.catalogue).1);
                Some(tables.from)
            }
            Ok(None) => {
                findings.push(no_schema(&config));
                None
            }
            Err(all) => {
                findings.extend(all);
                None
            }
        };
        (from, false)
    };
    let lead = from.as_ref().map(|from| format!("tables as in {from}"));
    print_report(args, lead.as_deref(), &findings, json!({ "tables": from }));
    match (unreachable, output::has_errors(&findings)) {
        (true, _) => Exit::Unreachable,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Done,
    }
}

fn no_schema(config: &crate::config::Config) -> Diagnostic {
    let message = format!("there is no {}, and the tables are not known without it", tables::file(config).display());
    Diagnostic::error(codes::NO_SCHEMA, message)
        .help("run `pgspine schema pull` once and commit the file, or `pgspine check --live` to ask the database")
}
