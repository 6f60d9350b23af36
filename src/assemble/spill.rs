//! The part of a large transaction that is on disk: an unlinked file, gone with its handle and with the process.

use std::fs::{File, OpenOptions, create_dir_all, remove_file};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::AssembleError;
use super::frames::split_frame;

#[derive(Debug)]
pub struct Spill {
    file: File,
    directory: PathBuf,
    len: u64,
}

const READ: usize = 256 * 1024;

impl Spill {
    pub fn create(directory: &Path) -> Result<Spill, AssembleError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let failed = |source| AssembleError::Spill { directory: directory.to_owned(), written: 0, source };
        create_dir_all(directory).map_err(failed)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("spill-{}-{number}", std::process::id()));
        // A file of this name can only be left from a crash between the next two calls.
        let _ = remove_file(&path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(failed)?;
        remove_file(&path).map_err(failed)?;
        Ok(Spill { file, directory: directory.to_owned(), len: 0 })
    }

    /// Appends whole frames.
    pub fn append(&mut self, frames: &[u8]) -> Result<(), AssembleError> {
        self.file.write_all_at(frames, self.len).map_err(|e| self.failed(e))?;
        self.len += frames.len() as u64;
        Ok(())
    }

    /// Appends a payload below 4 GiB as a frame.
    pub fn append_one(&mut self, payload: &[u8]) -> Result<(), AssembleError> {
        self.append(&(payload.len() as u32).to_be_bytes())?;
        self.append(payload)
    }

    /// Calls `f` for each payload, reading in pieces.
    pub fn for_each<E: From<AssembleError>>(&self, mut f: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut buffer = vec![0; READ];
        let (mut at, mut filled) = (0, 0);
        while at < self.len {
            if filled == buffer.len() {
                // One payload larger than the buffer.
                buffer.resize(buffer.len() * 2, 0);
            }
            let want = (buffer.len() - filled).min(usize::try_from(self.len - at).unwrap_or(usize::MAX));
            self.file.read_exact_at(&mut buffer[filled..filled + want], at).map_err(|e| self.failed(e))?;
            at += want as u64;
            filled += want;
            let mut rest = &buffer[..filled];
            while let Some((payload, after)) = split_frame(rest) {
                f(payload)?;
                rest = after;
            }
            let left = rest.len();
            buffer.copy_within(filled - left..filled, 0);
            filled = left;
        }
        if filled == 0 { Ok(()) } else { Err(AssembleError::SpillCorrupt.into()) }
    }

    fn failed(&self, source: std::io::Error) -> AssembleError {
        AssembleError::Spill { directory: self.directory.clone(), written: self.len, source }
    }
}
