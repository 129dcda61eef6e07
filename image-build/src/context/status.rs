//! What tells one state of a file from another, without reading it.

use std::os::fd::AsFd;

use image_core::Timestamp;
use rustix::{fs::Stat, io::Errno};
use serde::{Deserialize, Serialize};

/// Which file it is, its size and its times. Whoever changes a file's content changes its time of change, which nobody
/// but the kernel sets: two states of a file are told apart unless both fall into one tick of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
}

impl Status {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: device(stat),
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: timestamp(stat.st_mtime, stat.st_mtime_nsec),
            changed: timestamp(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// The later of both times.
    pub(crate) fn latest(&self) -> Timestamp {
        self.modified.max(self.changed)
    }
}

/// File systems that are made as images, in which every time is what their maker wrote: one may take the place of another
/// that has other content behind equal numbers and times. SquashFS, EROFS, ISO 9660, UDF, cramfs and romfs.
const IMAGES: [u32; 6] = [0x7371_7368, 0xe0f5_e1e2, 0x9660, 0x1501_3346, 0x28cd_3d45, 0x7275];

/// The root of a tree of files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TreeRoot {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// What tells the file system from others that this device is or was.
    pub(crate) file_system: u64,
    /// Whether its times of change are the kernel's.
    pub(crate) is_dated: bool,
}

impl TreeRoot {
    pub(crate) fn of(directory: impl AsFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&directory)?;
        let [a, b, c, d, ..] = rustix::fs::fstatfs(&directory)?.f_type.to_le_bytes();
        Ok(Self {
            device: device(&stat),
            inode: stat.st_ino,
            file_system: rustix::fs::fstatvfs(&directory)?.f_fsid,
            is_dated: !IMAGES.contains(&u32::from_le_bytes([a, b, c, d])),
        })
    }
}

#[expect(clippy::unnecessary_cast, reason = "the number is a signed one elsewhere")]
fn device(stat: &Stat) -> u64 {
    stat.st_dev as u64
}

fn timestamp(seconds: i64, nanoseconds: impl TryInto<u32>) -> Timestamp {
    nanoseconds.try_into().ok().and_then(|nanos| Timestamp::new(seconds, nanos)).unwrap_or_default()
}
