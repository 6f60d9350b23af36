//! A throwaway PostgreSQL and its folder: for `demo` and `test`, gone with them.

mod cluster;
mod error;
mod folder;

pub use cluster::Cluster;
pub use error::ScratchError;
pub use folder::Folder;
