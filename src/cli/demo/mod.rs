//! `demo`: the whole path in a minute, on things that are thrown away afterwards.
//!
//! A PostgreSQL of its own (`scratch_postgres`), a broker and a registry inside this process, the shipped project (`shop`), the
//! real bridge, a small workload that goes on beside it (`workload`), what happens drawn while it happens (`watch`,
//! `screen`), and at the end every topic compared with what PostgreSQL answers (`proof`, `held`). `course` puts them
//! in their order. Broker and registry are only in builds with the feature `demo`.

use std::time::Duration;

use crate::runtime::Exit;

#[cfg(feature = "demo")]
mod course;
#[cfg(feature = "demo")]
mod error;
#[cfg(feature = "demo")]
mod held;
#[cfg(feature = "demo")]
mod interrupt;
#[cfg(feature = "demo")]
mod proof;
#[cfg(feature = "demo")]
mod screen;
#[cfg(feature = "demo")]
mod shop;
#[cfg(feature = "demo")]
mod watch;
#[cfg(feature = "demo")]
mod workload;

/// 0: every topic holds what its SELECT answers, or the demo was ended before there was something to compare; 1: a
/// difference, or something failed; 3: there is no PostgreSQL to start.
#[cfg(feature = "demo")]
pub fn run(duration: Duration) -> Exit {
    course::run(duration)
}

#[cfg(not(feature = "demo"))]
pub fn run(_: Duration) -> Exit {
    eprintln!(
        "this build carries no demo: the broker inside the process is only in builds with the cargo feature \"demo\"\n\
         in a checkout: make demo, or cargo run --features demo -- demo"
    );
    Exit::Configuration
}
