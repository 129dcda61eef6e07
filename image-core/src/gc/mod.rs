//! Garbage collection: blobs go that nothing needs any more, and by choice the least recently used of what needs them.
//!
//! [`collect`] marks what can be reached from the roots, removes the rest, and says what it did. Roots
//! are whatever names blobs: the entries of a layout's index, the records of a cache. They come from implementations of
//! [`Roots`], of which a store may have several.
//!
//! # What is kept
//! - All that a root points at, directly or through indexes and manifests, and what those name as their `subject`.
//! - A root that is about another thing, as a signature is about an image ([`Root::only_with`]), while that is kept.
//! - What a living [`Lease`](crate::blob::Lease) protects, of any process.
//! - What was written or renewed less than the grace period ago, for writers that take no lease, as other tools.
//!
//! # While others work
//! Marking disturbs nobody. Then the store's lock is taken alone, leases and roots are read again, and what still nobody
//! needs is removed; who wants to store or to rely on a blob waits for that long. Readers never wait, and an open blob
//! stays readable. So nothing is lost between finding that a blob is there and naming it: who does so under a lease, or
//! within the grace period, has renewed the blob before the collection looks, or does not find it any more.
//!
//! # When it is used
//! A blob was last used when its file was last written or renewed: when it was stored, found instead of being stored, tagged, or
//! its image opened. The clock is the file system's.
//!
//! ```
//! use image_core::{Ctx, blob::{BlobSource, BlobStoreExt, FsBlobStore}, gc::{self, GcOptions}};
//! # let directory = tempfile::tempdir().unwrap();
//! let store = FsBlobStore::create(directory.path())?;
//! let blob = store.put_bytes(b"nobody needs this")?;
//! let options = GcOptions::default().with_grace(std::time::Duration::ZERO);
//! let collected = gc::collect(&store, &[], &options, &Ctx::default())?;
//! assert_eq!((collected.removed, collected.freed), (1, 17));
//! assert_eq!(store.stat(&blob.digest)?, None);
//! # Ok::<(), image_core::Error>(())
//! ```

mod collect;
mod graph;
mod options;
mod policy;
mod report;

pub use collect::collect;
pub use options::GcOptions;
pub use report::{Collected, Dropped, Reason};

use crate::{clock::Timestamp, descriptor::Descriptor, digest::Digest, error::Result};

/// Something that needs blobs: a name, an entry without one, a record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Root {
    /// What it is called, for reports and for whoever is to forget it.
    pub name: String,
    /// What it points at; that, and all below it, is kept with it.
    pub target: Descriptor,
    /// When it was last used.
    pub last_used: Timestamp,
    /// What it is about. While that is in the store, the root is kept only together with it.
    pub only_with: Option<Digest>,
}

impl Root {
    /// A root by its name and what it points at, last used at a time.
    #[must_use]
    pub fn new(name: impl Into<String>, target: Descriptor, last_used: Timestamp) -> Self {
        Self { name: name.into(), target, last_used, only_with: None }
    }

    /// One that is kept only together with another blob.
    #[must_use]
    pub fn with_subject(self, subject: Option<Digest>) -> Self {
        Self { only_with: subject, ..self }
    }
}

/// Where the roots of a store are.
pub trait Roots {
    /// All roots as they are now.
    ///
    /// A collection asks twice. What comes to be a root between, and after, must be protected by a lease or
    /// the grace period until it is one.
    ///
    /// # Errors
    /// Whatever keeps them from being told; nothing is collected then.
    fn roots(&self) -> Result<Vec<Root>>;

    /// Forgets roots, durably, before what they needed is removed. Gives those that are gone; one that has been used,
    /// or points at something else, since it was told stays.
    ///
    /// # Errors
    /// Whatever keeps them from being forgotten.
    fn forget(&self, roots: &[Root]) -> Result<Vec<Root>>;
}
