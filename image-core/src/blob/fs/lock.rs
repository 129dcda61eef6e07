//! Which files somebody is writing, and whether blobs may be removed now.
//!
//! A writer holds a lock on its file until it closes it, which the kernel does for a process
//! that dies. On a file system without locks no file counts as abandoned.
//!
//! The directory `blobs` is locked, shared, by everybody who makes a blob appear or relies on one that is there, for the
//! moment that takes, and, alone, by a collection while it removes. A lock on a directory needs no file that
//! would have to be made, so a full disk can be collected, and a read-only one read.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::MetadataExt,
};

use rustix::fs::FlockOperation;

use super::dir::Dir;
use crate::error::{Error, Result};

/// While it lives, no garbage collection of any process removes a blob: one that has begun to is waited for, and
/// one that is about to waits.
///
/// It is for moments in which things are found and named that belong together. Blobs that are needed for
/// longer are protected by a [`Lease`](super::Lease). To collect while holding it is to wait for oneself.
#[derive(Debug)]
#[must_use = "it holds for as long as it lives"]
pub struct Hold {
    /// The directory `blobs`, locked; `None` where there is none.
    blobs: Option<Dir>,
}

impl Hold {
    /// Waits until nothing is being removed below a directory of blobs.
    pub(super) fn shared(blobs: Option<Dir>) -> Result<Self> {
        if let Some(dir) = &blobs {
            // Without locks there are no collections either.
            let _ = dir.lock(FlockOperation::LockShared)?;
        }
        Ok(Self { blobs })
    }

    /// Waits until nobody else holds it.
    pub(super) fn exclusive(blobs: Dir) -> Result<Self> {
        if blobs.lock(FlockOperation::LockExclusive)? {
            return Ok(Self { blobs: Some(blobs) });
        }
        let what = format!("garbage collection in {}", blobs.path().display());
        let hint = "its file system has no locks: collect on the machine that has the disk, or copy what is needed to a new store";
        Err(Error::Unsupported { what, hint })
    }

    /// The directory `blobs`.
    pub(super) fn blobs(&self) -> Option<&Dir> {
        self.blobs.as_ref()
    }
}

/// Locks a file that was just made; tells whether it is the caller's.
///
/// Between making and locking it, a cleaner may have taken it for abandoned.
pub(super) fn claim(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => file.metadata().is_ok_and(|meta| meta.nlink() > 0),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => true,
    }
}

/// Locks a file that others may use in the same way, so that nobody takes it for abandoned.
pub(super) fn share(file: &File) -> bool {
    file.try_lock_shared().is_ok()
}

/// Whether nobody holds the file. It is the caller's then, for as long as it is open.
pub(super) fn is_abandoned(file: &File) -> bool {
    file.try_lock().is_ok()
}
