//! The schema registry, by Confluent's HTTP API.
//!
//! `client` asks it, over `tls` where the address is https: look up before registering, the contract verbatim, `normalize=true`, the compatibility level set on
//! subjects that we create. `memory` is a small one of ours, for the demo and for tests. Source of truth: Confluent's
//! "Schema Registry API Reference"; where Apicurio differs, both are borne.

pub mod client;
pub mod codes;
pub mod error;
#[cfg(any(test, feature = "demo"))]
pub mod memory;
mod tls;

pub use client::{Client, ClientOptions, Mode};
pub use error::RegistryError;
