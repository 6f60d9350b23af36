//! Tests against real services; `make test` starts them and says where they are.

mod emit_topics;
mod emit_transactions;
