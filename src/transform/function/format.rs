//! Functions in common use that we do not compute, each with what to write instead.

use super::Arg::{self, Float8, Text, TimestampTz};
use super::Function;
use super::declare::*;

const NOW: &str = "an entity must not depend on when it is computed; use a column of the table";
const RANDOM: &str = "an entity must be the same whenever it is computed; use a column of the table";

pub static FUNCTIONS: &[Function] = &[
    stable(refused("transaction_timestamp", &[], TimestampTz, NOW)),
    stable(refused("statement_timestamp", &[], TimestampTz, NOW)),
    volatile(refused("clock_timestamp", &[], TimestampTz, NOW)),
    volatile(refused("timeofday", &[], Text, NOW)),
    volatile(refused("random", &[], Float8, RANDOM)),
    volatile(refused("gen_random_uuid", &[], Arg::Uuid, RANDOM)),
];
