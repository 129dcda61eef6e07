//! By handle. What holds a file, or the directory, is the kernel's lock (`flock`) on it.

use std::{
    fs::{File, TryLockError},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, Access, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps},
    io::Errno,
};

use super::{Facts, Found, LockMode};
use crate::{
    blob::fs::options::{Durability, Symlinks},
    clock::Timestamp,
    error::{Error, Result},
};

/// An open directory, and the path it goes by in errors.
#[derive(Debug)]
pub(in crate::blob::fs) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// Which file it is, as long as somebody has it open: device and inode.
pub(super) type FileId = (u64, u64);

impl Dir {
    /// Opens a directory by the caller's path, symbolic links and all.
    pub(in crate::blob::fs) fn open_ambient(path: PathBuf) -> Result<Self> {
        match fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(e) => Err(Error::io("open", path, e.into())),
        }
    }

    pub(in crate::blob::fs) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in this one, if there is one.
    pub(in crate::blob::fs) fn open_dir(&self, name: &str, symlinks: Symlinks) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | symlinks.open_flags();
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.error("open", name, e)),
        }
    }

    /// Opens a directory in this one; makes it where it is missing.
    pub(in crate::blob::fs) fn make_dir(&self, name: &str, symlinks: Symlinks, durability: Durability) -> Result<Self> {
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

    /// What is known of a file.
    pub(in crate::blob::fs) fn stat_file(&self, name: &str, symlinks: Symlinks) -> Result<Found<Facts>> {
        match fs::statat(&self.fd, name, symlinks.at_flags()) {
            Ok(stat) if is_file(&stat) => Ok(Found::File(facts(&stat))),
            Ok(_) | Err(Errno::LOOP) => Ok(Found::Other),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(e) => Err(self.error("stat", name, e)),
        }
    }

    /// Opens a file for reading. Whatever else stands there is opened without blocking, and closed.
    pub(in crate::blob::fs) fn open_file(&self, name: &str, symlinks: Symlinks) -> Result<Found<File>> {
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

    /// Makes a file for writing and reading that is read-only to everyone who opens it later, and that is held for as long
    /// as it is open; `None` where the name is taken.
    pub(in crate::blob::fs) fn create_file(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::RGRP | Mode::ROTH) {
            Ok(fd) => Ok(Some(File::from(fd)).filter(claim)),
            Err(Errno::EXIST) => Ok(None),
            Err(e) => Err(self.error("create", name, e)),
        }
    }

    /// Whether nobody holds a file of this directory, which is open. It is the caller's then, for as long as it is open.
    pub(in crate::blob::fs) fn is_abandoned(&self, _name: &str, file: &File) -> bool {
        file.try_lock().is_ok()
    }

    /// Gives an open file a name here; `false` where that cannot be done, for whatever reason.
    pub(in crate::blob::fs) fn link(&self, file: &File, name: &str) -> bool {
        fs::linkat(fs::CWD, open_file_path(file), &self.fd, name, AtFlags::SYMLINK_FOLLOW).is_ok()
    }

    /// Makes a file as new as if it had been written now. `false` where it is gone, or somebody else's that
    /// could be replaced; one that cannot be replaced by us stays as it is.
    pub(in crate::blob::fs) fn renew(&self, name: &str, symlinks: Symlinks) -> Result<bool> {
        match fs::utimensat(&self.fd, name, &NOW, symlinks.at_flags()) {
            Ok(()) | Err(Errno::ROFS) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::ACCESS | Errno::PERM) => {
                Ok(fs::accessat(&self.fd, ".", Access::WRITE_OK, AtFlags::EACCESS).is_err())
            }
            Err(e) => Err(self.error("renew", name, e)),
        }
    }

    /// Waits for a lock on the directory itself, which is held until the directory is closed; `false` where
    /// the file system has no locks.
    pub(in crate::blob::fs) fn lock(&mut self, mode: LockMode) -> Result<bool> {
        let operation = match mode {
            LockMode::Shared => FlockOperation::LockShared,
            LockMode::Exclusive => FlockOperation::LockExclusive,
        };
        loop {
            match fs::flock(&self.fd, operation) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::BADF) => return Ok(false),
                Err(e) => return Err(Error::io("lock", &self.path, e.into())),
            }
        }
    }

    /// Writes out all that waits to be written to the file system of the directory; `false` where that cannot be asked for.
    pub(in crate::blob::fs) fn sync_file_system(&self) -> Result<bool> {
        #[cfg(target_os = "linux")]
        match fs::syncfs(&self.fd) {
            Ok(()) => return Ok(true),
            Err(Errno::NOSYS) => {}
            Err(e) => return Err(Error::io("sync the file system of", &self.path, e.into())),
        }
        Ok(false)
    }

    /// Moves a file to another directory, over what stands there.
    pub(in crate::blob::fs) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<()> {
        fs::renameat(&self.fd, name, &to.fd, new_name).map_err(|e| to.error("create", new_name, e))
    }

    /// Removes a file; tells whether it was there.
    pub(in crate::blob::fs) fn remove_file(&self, name: &str) -> Result<bool> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(self.error("remove", name, e)),
        }
    }

    /// Calls `visit` with every name that is text, but for `.` and `..`.
    pub(in crate::blob::fs) fn for_each_name(&self, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
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
    pub(in crate::blob::fs) fn sync(&self, durability: Durability) -> Result<()> {
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

/// Locks a file that was just made; tells whether it is the caller's.
///
/// Between making and locking it, a cleaner may have taken it for abandoned. On a file system without locks no file counts
/// as abandoned.
fn claim(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => file.metadata().is_ok_and(|meta| meta.nlink() > 0),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => true,
    }
}

/// The access time stays, the time of change becomes that of the file system's clock.
const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW },
};

/// Makes an open file as new as if it had been written now, where that is allowed.
pub(in crate::blob::fs) fn renew_open(file: &File) {
    // A file whose time cannot be set has the time when it was last written.
    let _: Result<(), Errno> = fs::futimens(file, &NOW);
}

/// A path that leads to an open file, whatever its name is by now.
pub(in crate::blob::fs) fn open_file_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[expect(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the fields have other types elsewhere")]
fn facts(stat: &Stat) -> Facts {
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let seconds = i64::from(stat.st_mtime);
    Facts {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Timestamp::new(seconds, nanoseconds).unwrap_or_else(|| Timestamp::from_seconds(seconds)),
        id: (stat.st_dev as u64, stat.st_ino as u64),
    }
}

/// What is known of an open file.
pub(in crate::blob::fs) fn facts_of(file: &File) -> io::Result<Facts> {
    Ok(facts(&fs::fstat(file)?))
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
