//! Files that are not yet what they are to become, or that live no longer than their process.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
};

use super::{
    dir::{Dir, Found, open_file_path, renew_open},
    lock,
    options::{Sharing, Symlinks},
};
use crate::error::{Error, Result};

/// What is smaller is copied, in bytes: it would save nothing to link it, and documents have a time of use in each store.
const WORTH_A_LINK: u64 = 16 << 10;

/// A file that is locked for as long as it is open, and removed when dropped unless it was moved to its place.
#[derive(Debug)]
pub(super) struct Temporary {
    dir: Arc<Dir>,
    name: String,
    pub(super) file: File,
}

impl Temporary {
    /// Makes an empty file.
    pub(super) fn create(dir: Arc<Dir>, prefix: &str) -> Result<Self> {
        loop {
            let name = unique_name(prefix);
            let Some(file) = dir.create_file(&name)? else { continue };
            if lock::claim(&file) {
                return Ok(Self { dir, name, file });
            }
        }
    }

    /// Gives the content of another file to this one, which is empty, without copying it; `None` where that cannot be
    /// done. The result may be a second name of the other file.
    pub(super) fn share(&self, other: &File, prefix: &str, sharing: Sharing) -> Result<Option<Shared>> {
        if sharing == Sharing::Never {
            return Ok(None);
        }
        #[cfg(target_os = "linux")]
        if rustix::fs::ioctl_ficlone(&self.file, other).is_ok() {
            return Ok(Some(Shared::Cloned));
        }
        if sharing == Sharing::Reflink || !self.may_be_linked(other) {
            return Ok(None);
        }
        // A description of its own, whose lock is there before the name is.
        let Ok(file) = File::open(open_file_path(other)) else { return Ok(None) };
        let name = unique_name(prefix);
        if lock::share(&file) && self.dir.link(&file, &name) {
            return Ok(Some(Shared::Linked(Self { dir: Arc::clone(&self.dir), name, file })));
        }
        Ok(None)
    }

    /// Whether a second name may, and should, be given to a file: it is the user's own, nobody may write to it, as to this
    /// one, and it is of some size.
    fn may_be_linked(&self, other: &File) -> bool {
        let (Ok(own), Ok(other)) = (self.file.metadata(), other.metadata()) else { return false };
        let is_as_safe = own.uid() == other.uid() && own.mode() == other.mode() && own.mode() & 0o222 == 0;
        other.is_file() && other.len() >= WORTH_A_LINK && is_as_safe
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
    pub(super) fn persist(self, to: &Dir, name: &str) -> Result<()> {
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

/// How a content is shared.
pub(super) enum Shared {
    /// The file that was there has it now, and each may change without the other.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no reflinks elsewhere"))]
    Cloned,
    /// This is a second name of the other file.
    Linked(Temporary),
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
        Found::File(file) if lock::is_abandoned(&file) => dir.remove_file(name),
        _ => Ok(false),
    }
}
