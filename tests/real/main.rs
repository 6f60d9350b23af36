//! Tests against real services: one binary, one file per theme. `make test` starts the services and names them in the
//! environment.

mod oracle;
mod support;

mod capture_catalogue;
mod capture_server;
mod capture_stream;
mod codes;
mod crash;
mod crash_kills;
mod crash_points;
mod crash_split;
mod differential;
mod emit_topics;
mod emit_transactions;
mod function_datetime;
mod function_json;
mod function_numeric;
mod function_oracle;
mod function_text;
mod golden_recorder;
mod process;
mod registry;
mod restart_kafka;
mod restart_postgres;
mod restart_registry;
mod rooms;
mod shutdown;
mod transform_expression;
mod transform_precedence;
mod zombie;
