//! Whether blobs may be removed now.
//!
//! The directory `blobs` is locked, shared, by everybody who makes a blob appear or relies on one that is there, for the
//! moment that takes, and, alone, by a collection while it removes. On Unix systems the lock is on the directory itself, which
//! needs no file that would have to be made, so a full disk can be collected, and a read-only one read.

use super::dir::{Dir, LockMode};
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
    pub(super) fn shared(mut blobs: Option<Dir>) -> Result<Self> {
        if let Some(dir) = &mut blobs {
            // Without locks there are no collections either.
            let _ = dir.lock(LockMode::Shared)?;
        }
        Ok(Self { blobs })
    }

    /// Waits until nobody else holds it.
    pub(super) fn exclusive(mut blobs: Dir) -> Result<Self> {
        if blobs.lock(LockMode::Exclusive)? {
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
