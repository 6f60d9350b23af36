//! Tests against real servers; the environment says where they are (`make test` sets it).

mod differential;
mod function_numeric;
//! Tests against real services: one binary, one file per theme. `make test` starts the services and names them in the
//! environment.

mod support;

mod codes;
mod process;
mod rooms;
mod function_oracle;
mod function_text;

fn main() {}
//! Tests against real services; `make test` starts them and says where they are.

mod emit_topics;
mod emit_transactions;
