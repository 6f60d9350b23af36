//! Functions in common use that we do not compute, each with what to write instead.

use super::Arg::{self, Bytea, Date, Float8, Int4, Int8, Interval, Numeric, Text, TextArray, Timestamp, TimestampTz};
use super::Function;
use super::declare::*;

const REGEX: &str = "POSIX regular expressions are not supported; use replace, split_part, left, right or LIKE";
const TO_CHAR: &str =
    "patterns depend on locale and version; cast to text, or put the pieces together with extract and lpad";
const PARSE: &str = "patterns are not supported; write a cast in a generated column of the table";
const NOW: &str = "an entity must not depend on when it is computed; use a column of the table";
const RANDOM: &str = "an entity must be the same whenever it is computed; use a column of the table";
const AGE: &str = "write a - b, or age(a, b) in a generated column";
const ENCODE: &str = "publish the bytea column as bytes, or write x::text for hex";

pub static FUNCTIONS: &[Function] = &[
    refused("regexp_replace", &[Text, Text, Text], Text, REGEX),
    refused("regexp_replace", &[Text, Text, Text, Text], Text, REGEX),
    nullable(refused("regexp_match", &[Text, Text], TextArray, REGEX)),
    nullable(refused("regexp_match", &[Text, Text, Text], TextArray, REGEX)),
    stable(refused("to_char", &[Timestamp, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[TimestampTz, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[Interval, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[Numeric, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[Int4, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[Int8, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[Float8, Text], Text, TO_CHAR)),
    stable(refused("to_char", &[Arg::Float4, Text], Text, TO_CHAR)),
    stable(refused("to_number", &[Text, Text], Numeric, PARSE)),
    stable(refused("to_date", &[Text, Text], Date, PARSE)),
    stable(refused("to_timestamp", &[Text, Text], TimestampTz, PARSE)),
    stable(lenient(refused("format", &[Text], Text, "use concat or ||"))),
    stable(variadic(lenient(refused("format", &[Text, Arg::Any], Text, "use concat or ||")))),
    refused("age", &[Timestamp, Timestamp], Interval, AGE),
    refused("age", &[TimestampTz, TimestampTz], Interval, AGE),
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
