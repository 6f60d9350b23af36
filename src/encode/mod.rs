//! 5: from rows to Avro bytes, under the contract.
//!
//! `Contract` reads the `.avsc`; `Renderer::new` proves that the plan's outputs fit it and compiles the way from
//! column text to bytes; `Renderer::render` walks that way once per row, without an allocation per value. `readback`
//! and `plain_json` go the other way: what stands in a topic, under the present contract or for people's eyes.
//! Nothing here does IO: schemas come from the registry through the caller.

mod array;
pub mod avro;
pub mod codes;
mod compile;
mod composite;
pub mod contract;
mod decimal;
mod default;
pub mod draft;
mod eval;
pub(crate) mod fit;
mod hstore;
mod json;
mod key;
mod leaf;
mod op;
pub mod partition;
pub mod plain_json;
pub mod readback;
pub mod render;
mod row_error;
mod spanned;
mod value;
pub mod wire;

pub use compile::{RenderOptions, SourceFile};
pub use contract::Contract;
pub use key::{KeyError, KeySchema};
pub use partition::partition;
pub use readback::{Readback, body_hash};
pub use render::{Outcome, Rendered, Renderer};
pub use row_error::RowError;
pub use wire::body_of;
