//! What is at a name or behind a handle.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
};

use image_core::Timestamp;
use rustix::{
    fs::{AtFlags, Dev, FileType, Mode, OFlags, RawDir, Stat},
    io::{Errno, Result},
};

/// Names an inode of the machine for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId {
    /// The file system.
    pub(crate) device: u64,
    /// The inode in it.
    pub(crate) inode: u64,
}

/// The attributes of an inode that this crate looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: FileType,
    /// Within `0o7777`.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timestamp,
    /// When content or attributes changed last.
    pub(crate) ctime: Timestamp,
    /// In bytes.
    pub(crate) size: u64,
    /// How many names it has.
    pub(crate) links: u64,
    /// Which device it stands for.
    pub(crate) device: Dev,
}

impl Status {
    /// Of an open file.
    pub(crate) fn of(fd: impl AsFd) -> Result<Self> {
        rustix::fs::fstat(fd).map(|stat| Self::from_stat(&stat))
    }

    /// Of a name in a directory, not following it; `None` where nothing is there.
    pub(crate) fn at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Self>> {
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Self::from_stat(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(other) => Err(other),
        }
    }

    #[expect(clippy::useless_conversion, reason = "the number of links is narrower on other processors")]
    fn from_stat(stat: &Stat) -> Self {
        Self {
            id: FileId { device: stat.st_dev, inode: stat.st_ino },
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: timestamp(stat.st_mtime, stat.st_mtime_nsec),
            ctime: timestamp(stat.st_ctime, stat.st_ctime_nsec),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink.into(),
            device: stat.st_rdev,
        }
    }
}

fn timestamp(seconds: i64, nanoseconds: u64) -> Timestamp {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0);
    Timestamp::new(seconds, nanoseconds).unwrap_or_default()
}

/// Whether a directory that is open for reading has nothing in it.
pub(crate) fn is_empty_dir(dir: BorrowedFd<'_>) -> Result<bool> {
    // Apart from `dir`, which may be in the middle of its entries.
    let dir = rustix::fs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4 << 10];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
