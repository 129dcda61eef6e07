//! Files that are not yet what they are to become, or that live no longer than their process.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher, Hasher},
    io,
    path::PathBuf,
    sync::Arc,
};

use super::{
    dir::{Dir, Found, renew_open},
    options::Symlinks,
};
use crate::error::{Error, Result};

/// A file that is held for as long as it is open, and removed when dropped unless it was moved to its place.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) dir: Arc<Dir>,
    pub(super) name: String,
    pub(super) file: File,
}

impl Temporary {
    /// Makes an empty file.
    pub(super) fn create(dir: Arc<Dir>, prefix: &str) -> Result<Self> {
        loop {
            let name = unique_name(prefix);
            if let Some(file) = dir.create_file(&name)? {
                return Ok(Self { dir, name, file });
            }
        }
    }

    /// Opens the file once more, for reading.
    pub(super) fn reopen(&self) -> Result<File> {
        match self.dir.open_file(&self.name, Symlinks::Refused)? {
            Found::File(file) => Ok(file),
            _ => Err(self.error("open", io::ErrorKind::NotFound.into())),
        }
    }

    /// Makes the content survive a loss of power.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.error("sync", e))
    }

    /// Makes the content of all files on its file system survive a loss of power; `false` where that cannot be asked for.
    pub(super) fn sync_file_system(&self) -> Result<bool> {
        self.dir.sync_file_system()
    }

    /// Moves the file to its place. It is synced before, and the other directory after.
    pub(super) fn persist(&self, to: &Dir, name: &str) -> Result<()> {
        renew_open(&self.file);
        self.dir.rename(&self.name, to, name)
    }

    /// Where it is until it is persisted.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    pub(super) fn error(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(action, self.path(), error)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename the name is gone. What cannot be removed is left to the next cleaning.
        drop(self.dir.remove_file(&self.name));
    }
}

/// A name that no other file of any process has, now or later.
pub(super) fn unique_name(prefix: &str) -> String {
    format!("{prefix}{:016x}", RandomState::new().build_hasher().finish())
}

/// Removes the files with such names that dead processes left; tells how many. One that cannot be removed does not keep the
/// others.
pub(super) fn clean(dir: &Dir, prefix: &str) -> Result<u64> {
    let (mut removed, mut failed) = (0, None);
    dir.for_each_name(&mut |name| {
        match remove_abandoned(dir, prefix, name) {
            Ok(is_removed) => removed += u64::from(is_removed),
            Err(e) => failed = Some(e),
        }
        Ok(())
    })?;
    failed.map_or(Ok(removed), Err)
}

fn remove_abandoned(dir: &Dir, prefix: &str, name: &str) -> Result<bool> {
    if !name.starts_with(prefix) {
        return Ok(false);
    }
    match dir.open_file(name, Symlinks::Refused)? {
        Found::File(file) if dir.is_abandoned(name, &file) => match dir.remove_file(name) {
            // It was a blob, and somebody who had it open before it was taken away still has it in memory.
            Err(e) if cfg!(windows) && e.is_denied() => Ok(false),
            removed => removed,
        },
        _ => Ok(false),
    }
}
