//! By handle.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use image_core::Error as CoreError;
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use super::{LOCK, Lock, TEMPORARY};
use crate::error::{Error, Result};

/// A directory, by handle; the path is for messages.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fd =
            fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(
                |e| match e {
                    Errno::NOTDIR => Error::NotALayout { path: path.to_owned(), reason: "it is no directory" },
                    _ => CoreError::io("open the image layout", path, e.into()).into(),
                },
            )?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a whole file of at most `limit` bytes; `None` where there is none.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(self.not_regular(name)),
            Err(error) => return Err(CoreError::io("open", self.path_of(name), error.into()).into()),
        };
        let failed = |error: io::Error| CoreError::io("read", self.path_of(name), error);
        let stat = fs::fstat(&fd).map_err(|e| failed(e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.not_regular(name));
        }
        self.read_all(fd.into(), name, limit).map(Some)
    }

    /// Waits until no other writer changes the directory's files.
    ///
    /// The lock is the kernel's and goes with its holder, however that ends.
    pub(crate) fn lock(&self) -> Result<Lock<'_>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let failed = |error: io::Error| CoreError::io("lock", self.path_of(LOCK), error);
        let file = match fs::openat(&self.fd, LOCK, flags, Mode::from_raw_mode(0o644)) {
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(self.not_regular(LOCK)),
            result => File::from(result.map_err(|e| failed(e.into()))?),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(self.not_regular(LOCK));
        }
        file.lock().map_err(failed)?;
        Ok(Lock { dir: self, _file: file })
    }

    /// Whether the directory holds nothing but what this module makes and what is `known`.
    pub(crate) fn holds_only(&self, known: &[&str]) -> Result<bool> {
        let failed = |error: Errno| CoreError::io("read", &self.path, error.into());
        for entry in fs::Dir::read_from(&self.fd).map_err(failed)? {
            let name = entry.map_err(failed)?;
            let name = name.file_name().to_bytes();
            let is_known = |known: &&str| known.as_bytes() == name;
            if !([".", "..", LOCK, TEMPORARY].iter().any(is_known) || known.iter().any(is_known)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Lock<'_> {
    /// Puts a file in the place of another, or of none, so that readers see one or the other,
    /// also after a crash.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Self { dir, .. } = self;
        // One that a killed holder of the lock left behind.
        match fs::unlinkat(&dir.fd, TEMPORARY, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(CoreError::io("remove", dir.path_of(TEMPORARY), error.into()).into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let result = fs::openat(&dir.fd, TEMPORARY, flags, Mode::from_raw_mode(0o644))
            .map_err(io::Error::from)
            .map(File::from)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| Ok(fs::renameat(&dir.fd, TEMPORARY, &dir.fd, name)?))
            .and_then(|()| Ok(fs::fsync(&dir.fd)?));
        result.map_err(|e| CoreError::io("write", dir.path_of(name), e).into())
    }
}
