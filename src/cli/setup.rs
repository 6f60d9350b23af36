//! `setup`: role, grants and publication.
//!
//! `--sql` prints what the owner of the tables has to run. Without it, the publication is made by the configured role,
//! as far as it may.

use crate::capture::Connection;
use crate::capture::preflight::{self, Wish};
use crate::capture::publication::{self, Facts, Mode, WantedTable};
use crate::capture::setup::{self, Setup};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::runtime::project::{self, Project};
use crate::runtime::{Exit, Failure, options, survey};

use super::args::Args;
use super::{codes, output, print_findings, refused, tables};

pub fn setup(args: &Args, print: bool) -> Exit {
    let config = match super::load_config(args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let result = if print { sql(&config) } else { run(&config) };
    match result {
        Ok(Outcome::Text(text)) => {
            super::print(&text);
            Exit::Done
        }
        Ok(Outcome::Findings(found)) => {
            print_findings(args, &found);
            if output::has_errors(&found) { Exit::Findings } else { Exit::Done }
        }
        Err(failure) => refused(args, &failure),
    }
}

enum Outcome {
    Text(String),
    Findings(Vec<Diagnostic>),
}

fn source(config: &Config) -> Result<(Connection, Vec<WantedTable>), Failure> {
    let files = project::files(config).map_err(Failure::Findings)?;
    let mut conn = tables::database(config)?;
    let catalogue = survey::catalogue(config, &mut conn, &files)?;
    let project = Project::bind(config, files, &catalogue).map_err(Failure::Findings)?;
    let wanted = survey::wanted(&catalogue, &project);
    Ok((conn, wanted))
}

fn sql(config: &Config) -> Result<Outcome, Failure> {
    let pg = options::postgres(config)?;
    let (mut conn, wanted) = source(config)?;
    let name = &config.postgres.publication;
    let facts = Facts::read(&mut conn, name, &wanted)?;
    let plan = publication::changes(options::publication_columns(config), name, &wanted, &facts);
    if plan.is_refused() {
        return Ok(Outcome::Findings(plan.findings));
    }
    Ok(Outcome::Text(setup::sql(&Setup {
        role: &pg.user,
        database: &pg.database,
        publication: name,
        tables: &wanted,
        publication_statements: plan.statements(),
    })))
}

fn run(config: &Config) -> Result<Outcome, Failure> {
    let (mut conn, wanted) = source(config)?;
    let name = &config.postgres.publication;
    let columns = options::publication_columns(config);
    let facts = Facts::read(&mut conn, name, &wanted)?;
    let plan = publication::plan(Mode::Manage, columns, name, &wanted, &facts);
    let mut lines = String::new();
    if !plan.is_refused() {
        if let Err(e) = publication::apply(&mut conn, &plan) {
            let failed = Diagnostic::error(codes::SETUP_FAILED, crate::runtime::failure::chain(&e));
            return Ok(Outcome::Findings(vec![failed.help(BY_OWNER)]));
        }
        for statement in plan.statements() {
            lines.push_str(&format!("{statement};\n"));
        }
    }
    let wish = Wish {
        slot: &config.postgres.slot,
        publication: name,
        publication_mode: Mode::Verify,
        publication_columns: columns,
        tables: &wanted,
    };
    // What is still missing is for others to do.
    let mut left = plan.findings;
    for d in preflight::check(&mut conn, &wish)? {
        if !left.iter().any(|l| l.code == d.code && l.message == d.message) {
            left.push(d);
        }
    }
    if output::has_errors(&left) {
        let message = format!("role {} cannot do all of it", options::postgres(config)?.user);
        left.push(Diagnostic::error(codes::SETUP_FAILED, message).help(BY_OWNER));
        return Ok(Outcome::Findings(left));
    }
    lines.push_str(if lines.is_empty() { "nothing to do\n" } else { "done\n" });
    Ok(Outcome::Text(lines))
}

const BY_OWNER: &str = "`pgspine setup --sql` prints what the owner of the tables, or a superuser, has to run";
