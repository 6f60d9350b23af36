//! A folder that goes with its owner.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::ScratchError;

pub struct Folder(PathBuf);

impl Folder {
    /// A new folder in the system's place for such, which others may pass through: the server may run as another user.
    /// `purpose` stands in its name.
    pub fn new(purpose: &str) -> Result<Folder, ScratchError> {
        let usual = std::env::temp_dir();
        let others = [PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
        let place = std::iter::once(usual.clone()).chain(others).find(|p| open_to_others(p)).unwrap_or(usual);
        let name = format!("pgspine-{purpose}-{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
        let path = place.join(name);
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .map_err(ScratchError::io(format!("{} cannot be made", path.display())))?;
        Ok(Folder(path))
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

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {e}", self.0.display());
        }
    }
}
