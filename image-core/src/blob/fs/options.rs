//! The choices of a store in a directory.

use std::path::PathBuf;

use super::store::FsBlobStore;
use crate::error::Result;

/// What a committed blob survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// A loss of power: the file is synced before it is renamed to its place, and the directory after.
    /// A blob that was already there is as durable as its first writer made it.
    ///
    /// On Windows a directory cannot be synced. What is under a name is whole all the same, but names of the last seconds may
    /// be lost, as far as the file system writes its journal later; NTFS keeps their order.
    #[default]
    Synced,
    /// The death of the process, not a loss of power: nothing is synced.
    ///
    /// After a loss of power a blob may be missing, cut short, or hold other bytes under its
    /// final name. A short one is replaced when it is written again; other bytes are found by
    /// verified reads only. Right for stores that are thrown away on a crash.
    Fast,
}

/// Whether blobs are verified when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verify {
    /// When they are written only. Readers that matter verify what they read:
    /// see [`crate::blob::BlobSourceExt::open_verified`].
    #[default]
    OnWrite,
    /// Each time one is opened too, by reading all of it first. One that is not what its name says is
    /// [`crate::Error::CorruptBlob`], which names its path; where it is to be written, it is written anew.
    /// [`FsBlobStore::set_aside`] moves it out of the way.
    OnRead,
}

/// Whether a blob that is copied from a file on the same file system is copied without copying its bytes.
///
/// It is read and verified in either case. On Windows nothing is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sharing {
    /// By a reflink, which has all advantages of a copy, or else by a hard link, but only to a file that is
    /// read-only, belongs to the same user, and has at least 16 KiB. Blobs are never changed in place; whoever does it all
    /// the same changes both. Files that are linked have one time of use; smaller ones, documents among them, one in each store.
    #[default]
    HardLink,
    /// By a reflink only.
    Reflink,
    /// Never.
    Never,
}

/// Whether symbolic links stand for what they point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Symlinks {
    #[default]
    Refused,
    Followed,
}

/// How to open a [`FsBlobStore`].
///
/// ```no_run
/// use image_core::blob::{Durability, FsBlobStoreOptions};
/// let store = FsBlobStoreOptions::default().with_durability(Durability::Fast).create("cache")?;
/// # Ok::<(), image_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct FsBlobStoreOptions {
    pub(super) durability: Durability,
    pub(super) symlinks: Symlinks,
    pub(super) verify: Verify,
    pub(super) sharing: Sharing,
}

impl FsBlobStoreOptions {
    /// With this durability; [`Durability::Synced`] otherwise.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Verifies blobs at these times; [`Verify::OnWrite`] otherwise.
    #[must_use]
    pub fn with_verify(self, verify: Verify) -> Self {
        Self { verify, ..self }
    }

    /// Shares files with other stores in this way; [`Sharing::HardLink`] otherwise.
    #[must_use]
    pub fn with_sharing(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// Follows symbolic links, for stores whose blobs, or directories of blobs, are links to
    /// a shared place. What they lead to must still be regular files.
    ///
    /// Only for stores that no stranger made: a link leads anywhere.
    #[must_use]
    pub fn with_symlinked_blobs(self) -> Self {
        Self { symlinks: Symlinks::Followed, ..self }
    }

    /// Opens the store at `root`, an existing directory. Nothing is written.
    ///
    /// # Errors
    /// [`crate::Error::is_not_found`] where `root` does not exist, or the operating system's error.
    pub fn open(self, root: impl Into<PathBuf>) -> Result<FsBlobStore> {
        FsBlobStore::open_with(root.into(), self)
    }

    /// Opens the store at `root`, made with its parent directories where it is missing.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(self, root: impl Into<PathBuf>) -> Result<FsBlobStore> {
        FsBlobStore::create_with(root.into(), self)
    }
}
