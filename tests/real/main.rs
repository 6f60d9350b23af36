//! Tests against real services: one binary, one file per theme. `make test` starts the services and names them in the
//! environment.

mod oracle;
mod support;

mod capture_catalogue;
mod capture_server;
mod capture_stream;
mod blind;
mod codes;
mod crash;
mod crash_points;
mod dead_letter;
mod demo;
mod differential;
mod emit_topics;
mod emit_transactions;
mod function_datetime;
mod function_json;
mod function_numeric;
mod function_oracle;
mod function_text;
mod gap;
mod golden_entities;
mod golden_recorder;
mod net_effect;
mod process;
mod reconcile;
mod reconcile_fuse;
mod reconcile_scene;
mod registry;
mod rooms;
mod transform_expression;
mod transform_precedence;
