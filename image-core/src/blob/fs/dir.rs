//! Work below a directory, by handle.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use super::options::{Durability, Symlinks};
use crate::error::{Error, Result};

/// An open directory, and the path it goes by in errors.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What stands under a name.
pub(super) enum Found<T> {
    /// Nothing.
    Nothing,
    /// A regular file.
    File(T),
    /// Something else.
    Other,
}

impl Dir {
    /// Opens a directory by the caller's path, symbolic links and all.
    pub(super) fn open_ambient(path: PathBuf) -> Result<Self> {
        match fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(e) => Err(Error::io("open", path, e.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in this one, if there is one.
    pub(super) fn open_dir(&self, name: &str, symlinks: Symlinks) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | symlinks.open_flags();
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.error("open", name, e)),
        }
    }

    /// Opens a directory in this one; makes it where it is missing.
    pub(super) fn make_dir(&self, name: &str, symlinks: Symlinks, durability: Durability) -> Result<Self> {
        if let Some(dir) = self.open_dir(name, symlinks)? {
            return Ok(dir);
        }
        match fs::mkdirat(&self.fd, name, Mode::from(0o777)) {
            Ok(()) => self.sync(durability)?,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(self.error("create", name, e)),
        }
        let dir = self.open_dir(name, symlinks)?;
        dir.ok_or_else(|| self.error("open", name, Errno::NOENT))
    }

    /// The size of a file.
    pub(super) fn stat_file(&self, name: &str, symlinks: Symlinks) -> Result<Found<u64>> {
        match fs::statat(&self.fd, name, symlinks.at_flags()) {
            Ok(stat) if is_file(&stat) => Ok(Found::File(u64::try_from(stat.st_size).unwrap_or(0))),
            Ok(_) | Err(Errno::LOOP) => Ok(Found::Other),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(e) => Err(self.error("stat", name, e)),
        }
    }

    /// Opens a file for reading. Whatever else stands there is opened without blocking, and closed.
    pub(super) fn open_file(&self, name: &str, symlinks: Symlinks) -> Result<Found<File>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | symlinks.open_flags();
        let fd = match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            // A symbolic link; a socket; a device that no driver serves.
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(Found::Other),
            Err(e) => return Err(self.error("open", name, e)),
        };
        let stat = fs::fstat(&fd).map_err(|e| self.error("stat", name, e))?;
        Ok(if is_file(&stat) { Found::File(fd.into()) } else { Found::Other })
    }

    /// Makes a file for writing that is read-only to everyone who opens it later;
    /// `None` where the name is taken.
    pub(super) fn create_file(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::RGRP | Mode::ROTH) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::EXIST) => Ok(None),
            Err(e) => Err(self.error("create", name, e)),
        }
    }

    /// Moves a file to another directory, over what stands there.
    pub(super) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<()> {
        fs::renameat(&self.fd, name, &to.fd, new_name).map_err(|e| to.error("create", new_name, e))
    }

    /// Removes a file; tells whether it was there.
    pub(super) fn remove_file(&self, name: &str) -> Result<bool> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(self.error("remove", name, e)),
        }
    }

    /// Calls `visit` with every name that is text, but for `.` and `..`.
    pub(super) fn for_each_name(&self, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let list = |e: Errno| Error::io("list", &self.path, e.into());
        for entry in fs::Dir::read_from(&self.fd).map_err(list)? {
            let entry = entry.map_err(list)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => visit(name)?,
            }
        }
        Ok(())
    }

    /// Makes the directory's names survive a loss of power, where that is wanted.
    pub(super) fn sync(&self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Fast => Ok(()),
            Durability::Synced => match fs::fsync(&self.fd) {
                // Some network file systems cannot, and need not, sync a directory.
                Ok(()) | Err(Errno::INVAL) => Ok(()),
                Err(e) => Err(Error::io("sync", &self.path, e.into())),
            },
        }
    }

    fn error(&self, action: &'static str, name: &str, error: Errno) -> Error {
        Error::io(action, self.path.join(name), error.into())
    }
}

impl Symlinks {
    fn open_flags(self) -> OFlags {
        match self {
            Self::Refused => OFlags::NOFOLLOW,
            Self::Followed => OFlags::empty(),
        }
    }

    fn at_flags(self) -> AtFlags {
        match self {
            Self::Refused => AtFlags::SYMLINK_NOFOLLOW,
            Self::Followed => AtFlags::empty(),
        }
    }
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
