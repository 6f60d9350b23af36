//! Slot → transform → Kafka, measured against `pg_recvlogical` over the same TCP, within one run on one machine.
//!
//! WAL is made beforehand; each case then reads it with `pg_recvlogical` to /dev/null, with pgspine into an emitter that
//! throws away, with pgspine into Apache Kafka, and with `pg_recvlogical` again. Rates are compared within a case only.
//! `dev/bench` starts the services and calls this; docs/benchmarks.md says what the numbers mean.
//!
//!     --only CASE,…   some cases (narrow-100, narrow-1, wide-100, wide-1, where, state, state-cold, load, latency;
//!                     joins: lookup-1m, nested, hot, history, lookup-10m)
//!     --runs RUN,…    some runs (recv, discard, kafka)
//!     --repeat N      each discarding run N times
//!     --quick         a tenth of the changes, and of the rows that joins read
//!     --wrap COMMAND  before the program: a profiler
//!     --write         puts the tables into docs/benchmarks.md: of streaming, or of joins, as far as they were measured

mod case;
mod joins;
mod latency;
mod load;
mod measure;
mod report;
mod source;

use report::Report;

pub struct Options {
    pub only: Option<Vec<String>>,
    pub runs: Vec<String>,
    pub repeat: u32,
    pub quick: bool,
    pub wrap: Vec<String>,
    write: bool,
}

impl Options {
    fn read() -> Options {
        let mut options = Options {
            only: None,
            runs: ["recv", "discard", "kafka"].map(str::to_owned).to_vec(),
            repeat: 1,
            quick: false,
            wrap: Vec::new(),
            write: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
            let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
            match argument.as_str() {
                "--only" => options.only = Some(list(value())),
                "--runs" => options.runs = list(value()),
                "--repeat" => options.repeat = value().parse().expect("--repeat is a number"),
                "--wrap" => options.wrap = value().split(' ').map(str::to_owned).collect(),
                "--quick" => options.quick = true,
                "--write" => options.write = true,
                // Cargo's own.
                "--bench" => {}
                other => panic!("unknown option {other}"),
            }
        }
        options
    }

    pub fn wants(&self, case: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|o| case == o))
    }

    pub fn runs(&self, run: &str) -> bool {
        self.runs.iter().any(|r| r == run)
    }

    pub fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 10 } else { count }
    }
}

fn main() {
    let options = Options::read();
    let mut report = Report::new();
    for case in case::all() {
        if options.wants(case.name) {
            case::run(&case, &options, &mut report);
        }
    }
    for case in joins::all() {
        if options.wants("joins") || options.wants(case.name) {
            joins::run(&case, &options, &mut report);
        }
    }
    if options.wants("load") {
        load::run(&options, &mut report);
    }
    if options.wants("latency") {
        latency::run(&options, &mut report);
    }
    report.print();
    if options.write {
        report.write();
    }
}
