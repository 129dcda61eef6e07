//! Work below a directory: all that is asked of the file system. Each system has its own way to what is asked here.
//!
//! A file that a process makes is held by it for as long as it is open, which ends with the process however that ends; so
//! what is held by nobody is abandoned.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(unix)]
pub(super) use unix::open_file_path;
#[cfg(windows)]
use windows as system;

pub(super) use system::{Dir, facts_of, renew_open};

use crate::clock::Timestamp;

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// In bytes.
    pub(super) size: u64,
    /// When it was last written or renewed.
    pub(super) modified: Timestamp,
    /// Which file it is, as long as somebody has it open.
    pub(super) id: system::FileId,
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

/// With whom a lock is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockMode {
    /// With everybody who shares it.
    Shared,
    /// With nobody.
    Exclusive,
}
