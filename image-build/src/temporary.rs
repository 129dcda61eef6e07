//! Files that have no name of their own yet.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// How old a file must be to be taken for what a killed process left.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory for files that are renamed to their place once they are whole.
#[derive(Debug, Clone)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Opens the directory, which is made where it is missing, and removes what killed processes left in it.
    pub(crate) fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let this = Self(directory.into());
        fs::create_dir_all(&this.0).map_err(|e| Error::io("create", &this.0, e))?;
        this.clean().map_err(|e| Error::io("clean", &this.0, e))?;
        Ok(this)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A new, empty file.
    pub(crate) fn file(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(&self.0)
    }

    /// Removes files that nobody has written to for long. The file system's own clock decides.
    fn clean(&self) -> io::Result<()> {
        let mut now = None;
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let now = match now {
                Some(now) => now,
                None => *now.insert(self.file()?.as_file().metadata()?.modified()?),
            };
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            if written.is_ok_and(|written| now.duration_since(written).is_ok_and(|age| age > STALE)) {
                // Another process may have been faster.
                drop(fs::remove_file(entry.path()));
            }
        }
        Ok(())
    }
}
