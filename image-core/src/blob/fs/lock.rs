//! Which files of `ingest` somebody is writing.
//!
//! A writer holds a lock on its file until it closes it, which the kernel does for a process
//! that dies. On a file system without locks no file counts as abandoned.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::MetadataExt,
};

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

/// Whether nobody holds the file. It is the caller's then, for as long as it is open.
pub(super) fn is_abandoned(file: &File) -> bool {
    file.try_lock().is_ok()
}
