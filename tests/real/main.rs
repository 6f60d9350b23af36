//! Tests against real servers; the environment says where they are (`make test` sets it).

mod capture_catalogue;
mod capture_server;
mod capture_stream;
mod golden_recorder;
