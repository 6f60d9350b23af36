//! The command line: every command with its options; what they do is in the other files of this folder.
//!
//! A usage error leaves with 2, `--help` and `--version` with 0 (clap's own codes, which are ours too).

use crate::config::Approval;
use crate::lsn::Lsn;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(name = "pgspine", version = crate::cli::version(), about = "Committed changes of PostgreSQL as entities on Kafka, exactly once")]
#[command(disable_help_subcommand = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    /// The project's configuration
    #[arg(short = 'c', long = "config", global = true, value_name = "FILE", default_value = "pgspine.toml")]
    pub config: PathBuf,
    /// Output as JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// A new project; drafts of transforms, contracts and tests from the database's tables
    Init(Init),
    /// Everything that can be wrong, at once, each with its place, a code and the fix
    Check {
        /// Also ask PostgreSQL, Kafka and the registry
        #[arg(long)]
        live: bool,
    },
    /// Role, grants and publication that the owner of the tables has to make
    Setup {
        /// Print the statements instead of running them
        #[arg(long)]
        sql: bool,
    },
    /// The bridge
    Run(Run),
    /// Records as JSON, from the source, without Kafka
    Preview {
        /// A transform, e.g. shop/order
        name: String,
        /// Only this key, as JSON: '{"order_id":1}', or the bare value of a single key column
        #[arg(long)]
        key: Option<String>,
        /// At most so many records
        #[arg(long, default_value_t = 10)]
        limit: u64,
        /// Go on with changes as they are committed, over a temporary slot
        #[arg(long)]
        follow: bool,
    },
    /// Runs the *.test.sql of transforms, on a throwaway PostgreSQL and without Kafka
    Test {
        /// Transforms, e.g. shop/order; all without one
        names: Vec<String>,
        /// A server to make throwaway databases on; without it one is started
        #[arg(long, value_name = "URL")]
        postgres: Option<String>,
    },
    /// The plan: root, look-ups, what is kept in state, what a change in each table emits again
    Explain {
        /// A transform, e.g. shop/order
        name: String,
        /// The tables as the database has them, with an estimate of the state's size and of fan-outs
        #[arg(long)]
        live: bool,
    },
    /// Lag, slot, counters per transform, problems with remedies; asks the running bridge
    Status,
    /// Sets the log level of the running bridge
    LogLevel {
        /// A level or a filter: "debug", "info,pgspine::capture=trace"
        level: String,
    },
    /// Stops emitting; the slot stays held
    Pause,
    /// Ends a pause
    Resume,
    /// Emits what differs between a topic and its SELECT; asks the running bridge
    Reconcile {
        /// Transforms, e.g. shop/order
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Contracts and the schema snapshot
    #[command(subcommand, arg_required_else_help = true)]
    Schema(Schema),
    /// The replication slot
    #[command(subcommand, arg_required_else_help = true)]
    Slot(Slot),
    /// A throwaway PostgreSQL, a broker inside the process and a small workload: the whole path in a minute
    Demo {
        /// How long the workload runs
        #[arg(long, value_name = "D", default_value = "20s", value_parser = duration)]
        duration: Duration,
    },
}

#[derive(Debug, clap::Args)]
pub struct Init {
    /// The bridge's name; the folder's without one
    #[arg(long)]
    pub name: Option<String>,
    /// Where the tables are; a URL with a password is not written down
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// Bootstrap servers
    #[arg(long, value_name = "SERVERS")]
    pub kafka: Option<String>,
    /// The schema registry
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
    /// A table to draft a transform for, e.g. shop.orders; can be repeated
    #[arg(long, value_name = "TABLE")]
    pub from_table: Vec<String>,
    /// With the rows that refer to it by a foreign key, as arrays of records
    #[arg(long, requires = "from_table")]
    pub nested: bool,
}

#[derive(Debug, clap::Args)]
pub struct Run {
    /// Ends with 0 once everything committed before the start ("caught-up") or up to an LSN is in Kafka
    #[arg(long, value_name = "caught-up|LSN")]
    pub until: Option<Until>,
    /// A word that approves what was refused; can be repeated
    #[arg(long = "approve", value_name = "WORD")]
    pub approve: Vec<Approval>,
    /// A transform to reconcile at the start; can be repeated
    #[arg(long = "reconcile", value_name = "NAME")]
    pub reconcile: Vec<String>,
}

/// Where `run --until` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything that was committed before the start.
    CaughtUp,
    Lsn(Lsn),
}

impl FromStr for Until {
    type Err = String;
    fn from_str(text: &str) -> Result<Until, String> {
        match text {
            "caught-up" => Ok(Until::CaughtUp),
            _ => text.parse().map(Until::Lsn).map_err(|e| format!("neither `caught-up` nor an LSN: {e}")),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Schema {
    /// Writes schema.sql: the used tables and types, so that `check` needs no database
    Pull,
    /// Compares schema.sql and the contracts with the database
    Check,
    /// Prints a contract that fits a transform's SELECT
    Draft {
        /// A transform, e.g. shop/order
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Slot {
    /// Drops the replication slot: what was not read is lost to this bridge
    Drop {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn commands_are_read() {
        let args = |line: &str| Args::try_parse_from(line.split_whitespace());
        for line in [
            "pgspine init",
            "pgspine init --postgres postgres://db/shop --kafka k:9092 --registry http://r:8081 --name shop",
            "pgspine init --from-table shop.orders --from-table products --nested",
            "pgspine check",
            "pgspine check --live --json",
            "pgspine -c a/pgspine.toml setup --sql",
            "pgspine run --until caught-up --approve adopt:t --approve tombstones:t@r --reconcile shop/order",
            "pgspine run --until 0/16B3748",
            "pgspine preview shop/order --key 1 --limit 5 --follow",
            "pgspine explain shop/order",
            "pgspine explain shop/order --live --json",
            "pgspine test",
            "pgspine test shop/order shop/product --postgres postgres://localhost/postgres --json",
            "pgspine status --json -c x.toml",
            "pgspine log-level debug",
            "pgspine pause",
            "pgspine resume",
            "pgspine reconcile shop/order",
            "pgspine schema pull",
            "pgspine schema draft shop/order",
            "pgspine slot drop --yes",
            "pgspine demo --duration 30s",
        ] {
            assert!(args(line).is_ok(), "{line}: {:?}", args(line).err().map(|e| e.to_string()));
        }
    }

    #[test]
    fn usage_errors_leave_with_2() {
        for line in [
            "pgspine",
            "pgspine nonsense",
            "pgspine init --nested",
            "pgspine check --lve",
            "pgspine preview",
            "pgspine run --until soon",
            "pgspine run --approve yes",
            "pgspine demo --duration 5",
            "pgspine slot",
        ] {
            let e = Args::try_parse_from(line.split_whitespace()).expect_err(line);
            assert_eq!(e.exit_code(), 2, "{line}");
        }
        for line in ["pgspine --version", "pgspine run --help"] {
            assert_eq!(Args::try_parse_from(line.split_whitespace()).expect_err(line).exit_code(), 0, "{line}");
        }
    }
}
