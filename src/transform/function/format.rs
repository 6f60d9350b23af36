//! Functions in common use that we do not compute, each with what to write instead.

use super::Arg::{self, Bytea, Float8, Text, TextArray, TimestampTz};
use super::Function;
use super::declare::*;

const REGEX: &str = "POSIX regular expressions are not supported; use replace, split_part, left, right or LIKE";
const NOW: &str = "an entity must not depend on when it is computed; use a column of the table";
const RANDOM: &str = "an entity must be the same whenever it is computed; use a column of the table";
const ENCODE: &str = "publish the bytea column as bytes, or write x::text for hex";

pub static FUNCTIONS: &[Function] = &[
    refused("regexp_replace", &[Text, Text, Text], Text, REGEX),
    refused("regexp_replace", &[Text, Text, Text, Text], Text, REGEX),
    nullable(refused("regexp_match", &[Text, Text], TextArray, REGEX)),
    nullable(refused("regexp_match", &[Text, Text, Text], TextArray, REGEX)),
    stable(lenient(refused("format", &[Text], Text, "use concat or ||"))),
    stable(variadic(lenient(refused("format", &[Text, Arg::Any], Text, "use concat or ||")))),
    refused("encode", &[Bytea, Text], Text, ENCODE),
    refused("decode", &[Text, Text], Bytea, "publish the text column, or decode it in a generated column"),
    stable(refused("transaction_timestamp", &[], TimestampTz, NOW)),
    stable(refused("statement_timestamp", &[], TimestampTz, NOW)),
    volatile(refused("clock_timestamp", &[], TimestampTz, NOW)),
    volatile(refused("timeofday", &[], Text, NOW)),
    volatile(refused("random", &[], Float8, RANDOM)),
    volatile(refused("gen_random_uuid", &[], Arg::Uuid, RANDOM)),
    refused(
        "jsonb_strip_nulls",
        &[Arg::Jsonb],
        Arg::Jsonb,
        "leave out the NULLs with CASE, or publish the column as it is",
    ),
];
