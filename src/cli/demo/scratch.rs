//! A folder that goes with the demo.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::DemoError;

pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder in the system's place for such, which others may pass through: the server may run as another user.
    pub fn new() -> Result<Scratch, DemoError> {
        let usual = std::env::temp_dir();
        let others = [PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
        let place = std::iter::once(usual.clone()).chain(others).find(|p| open_to_others(p)).unwrap_or(usual);
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

/// Whether everybody may pass through the folder and all above it.
fn open_to_others(folder: &Path) -> bool {
    const PASS: u32 = 0o001;
    folder.ancestors().all(|f| std::fs::metadata(f).is_ok_and(|m| m.permissions().mode() & PASS != 0))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {e}", self.0.display());
        }
    }
}
