//! A folder that goes with the demo.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::DemoError;

pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder in the system's place for such. Others may pass through it: the server runs as another user.
    pub fn new() -> Result<Scratch, DemoError> {
        let place = std::env::temp_dir();
        let name = format!("pgspine-demo-{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
        let path = place.join(name);
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .map_err(DemoError::io(format!("{} cannot be made", path.display())))?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {e}", self.0.display());
        }
    }
}
