//! What tells one state of a file from another, without reading it.

use image_core::Timestamp;
use rustix::fs::Stat;
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
            device: stat.st_dev,
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

pub(crate) fn timestamp(seconds: i64, nanoseconds: impl TryInto<u32>) -> Timestamp {
    nanoseconds.try_into().ok().and_then(|nanos| Timestamp::new(seconds, nanos)).unwrap_or_default()
}
