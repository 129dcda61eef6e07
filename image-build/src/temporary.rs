//! Files that have no name of their own yet.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use image_core::Timestamp;
use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};

/// A directory for files that are renamed to their place once they are whole. Each is locked for as long as
/// its process works on it, so one that can be locked is what a killed process left.
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
        loop {
            let file = NamedTempFile::new_in(&self.0)?;
            match file.as_file().lock() {
                Ok(()) => {}
                // Then nobody else can lock it either, and it is never taken for abandoned.
                Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(file),
                Err(e) => return Err(e),
            }
            // Another process may have taken it for abandoned before it was locked.
            if has_name(&file)? {
                return Ok(file);
            }
        }
    }

    /// A new, empty directory.
    pub(crate) fn directory(&self) -> io::Result<TemporaryDirectory> {
        loop {
            let directory = TempDir::new_in(&self.0)?;
            let handle = File::open(directory.path())?;
            match handle.lock() {
                Err(e) if e.kind() != io::ErrorKind::Unsupported => return Err(e),
                _ => {}
            }
            if directory.path().exists() {
                return Ok(TemporaryDirectory { directory, _lock: handle });
            }
        }
    }

    fn clean(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            // What is in use, gone, or not ours to touch, stays.
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
            {
                drop(fs::remove_file(&path).or_else(|_| remove_directory(&path)));
            }
        }
        Ok(())
    }
}

/// Whether a file was not removed since it was made.
#[cfg(unix)]
fn has_name(file: &NamedTempFile) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.as_file().metadata()?) > 0)
}

/// Whether a file was not removed since it was made.
#[cfg(not(unix))]
fn has_name(file: &NamedTempFile) -> io::Result<bool> {
    fs::exists(file.path())
}

/// Sets the time that a file was last written at.
#[cfg(unix)]
pub(crate) fn set_time(file: &File, time: Timestamp) -> io::Result<()> {
    Ok(rustix::fs::futimens(file, &timestamps(time))?)
}

/// Sets the time that the file of a path was last written at.
#[cfg(unix)]
pub(crate) fn set_time_of(path: &Path, time: Timestamp) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, utimensat};
    Ok(utimensat(CWD, path, &timestamps(time), AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(unix)]
fn timestamps(time: Timestamp) -> rustix::fs::Timestamps {
    let time = rustix::fs::Timespec { tv_sec: time.seconds(), tv_nsec: time.nanoseconds().into() };
    rustix::fs::Timestamps { last_access: time, last_modification: time }
}

/// Sets the time that a file was last written at.
#[cfg(not(unix))]
pub(crate) fn set_time(file: &File, time: Timestamp) -> io::Result<()> {
    use std::time::{Duration, SystemTime};
    let seconds = Duration::from_secs(time.seconds().unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let whole = if time.seconds() < 0 { epoch.checked_sub(seconds) } else { epoch.checked_add(seconds) };
    let time = whole.and_then(|whole| whole.checked_add(Duration::from_nanos(time.nanoseconds().into())));
    let time = time.ok_or(io::ErrorKind::InvalidInput)?;
    file.set_times(fs::FileTimes::new().set_accessed(time).set_modified(time))
}

/// Sets the time that the file of a path was last written at.
#[cfg(not(unix))]
pub(crate) fn set_time_of(path: &Path, time: Timestamp) -> io::Result<()> {
    set_time(&File::options().write(true).open(path)?, time)
}

#[expect(clippy::disallowed_methods, reason = "a directory of this module's own, which no link leads out of")]
fn remove_directory(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// A directory that is removed with this value.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory {
    directory: TempDir,
    /// Says that it is in use.
    _lock: File,
}

impl TemporaryDirectory {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}
