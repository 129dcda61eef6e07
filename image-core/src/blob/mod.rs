//! Blobs: content stored under its digest.
//!
//! [`BlobSource`] is read from, [`BlobStore`] is also written to, and [`BlobWriter`] is how a
//! blob comes into being. [`MemoryBlobStore`] keeps blobs in memory, [`FsBlobStore`] in the
//! directory tree of an OCI layout. What programs mostly call are the conveniences of
//! [`BlobSourceExt`] and [`BlobStoreExt`].
//!
//! ```
//! use image_core::blob::{BlobSource, BlobStoreExt, MemoryBlobStore};
//! let store = MemoryBlobStore::default();
//! let blob = store.put_bytes(b"hello")?;
//! assert_eq!(store.stat(&blob.digest)?, Some(5));
//! # Ok::<(), image_core::Error>(())
//! ```
//!
//! # Integrity
//! What enters a store is verified: a blob becomes visible under a digest only if its bytes
//! hash to it. What leaves a store is not: a disk may rot, and a layout may come from a
//! stranger. Readers that matter use [`BlobSourceExt::open_verified`] and
//! [`BlobSourceExt::read_bytes`], or a store opened with `Verify::OnRead`.
//!
//! # Implementations
//! An implementation of its own should pass the suite of `conformance` (the feature of that name).

mod batch;
mod expected;
mod ext;
mod forward;
pub mod fs;
mod handle;
mod inline;
mod memory;

#[cfg(feature = "conformance")]
pub mod conformance;

use std::io::Write;

use batch::Unbatched;
pub use expected::{Committed, Expected};
pub use ext::{BlobSourceExt, BlobStoreExt};
pub use fs::{Durability, FsBlobStore, FsBlobStoreOptions, Hold, Lease, Sharing, Verify};
pub use handle::Blob;
pub use memory::MemoryBlobStore;

use crate::{digest::Digest, error::Result};

/// Where blobs are read from.
///
/// Absence is `Ok(None)`, never an error; an error means that it could not be told.
/// All methods may be called from many threads at once.
pub trait BlobSource: Send + Sync {
    /// The size of a blob in bytes, or `None` where there is no such blob.
    ///
    /// The content is not read: a corrupt blob has a size too.
    ///
    /// # Errors
    /// [`crate::Error::is_unsupported`] for a digest whose algorithm is not supported,
    /// [`crate::Error::is_corrupt`] where something else than a blob stands in its place,
    /// or the error of the medium.
    fn stat(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Opens a blob at its first byte, or gives `None` where there is no such blob.
    ///
    /// The bytes are not verified. The handle keeps its content, unchanged, even when the blob
    /// is removed from the store or the store is dropped.
    ///
    /// # Errors
    /// As [`BlobSource::stat`].
    fn open(&self, digest: &Digest) -> Result<Option<Blob>>;
}

/// Where blobs are kept.
///
/// - **Visible**: a blob is there for [`BlobSource::stat`], [`BlobSource::open`] and
///   [`BlobStore::for_each`] as soon as its [`BlobWriter::commit`] succeeds, to this and every
///   other handle of the store, and not a moment before.
/// - **Atomic**: nobody ever sees a part of a blob, however its writer ends.
/// - **Verified**: no blob is visible under a digest that its bytes did not hash to when written.
/// - **Idempotent**: committing what is already there succeeds and changes nothing. Several
///   writers of one blob may race; all of them succeed and one blob is the result.
/// - **Durable**: each implementation says when a blob survives a loss of power.
///
/// Blobs are immutable: they appear, and they are removed.
pub trait BlobStore: BlobSource {
    /// Begins a blob.
    ///
    /// Where `expected` names a blob that is already there, the writer still verifies what is
    /// written to it, but stores nothing.
    ///
    /// # Errors
    /// [`crate::Error::is_unsupported`] where the expected digest's algorithm is not supported,
    /// or the error of the medium.
    fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>>;

    /// Removes a blob; tells whether it was there.
    ///
    /// Handles that are open keep working. The removal need not survive a loss of power.
    ///
    /// # Errors
    /// As [`BlobSource::stat`].
    fn remove(&self, digest: &Digest) -> Result<bool>;

    /// Calls `visit` with the digest and the size of every blob, in no particular order.
    ///
    /// Things in the medium that are no blobs are passed over. Blobs that come or go meanwhile
    /// may be visited or not. `visit` may call the store, also to remove blobs.
    ///
    /// # Errors
    /// The first error of `visit`, or the error of the medium.
    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()>;

    /// Whether a blob of this size is there; it is as new then as if it had been written now.
    ///
    /// Who finds that he need not write a blob asks this and not [`BlobSource::stat`], so that a garbage
    /// collection which spares what is new, or what a lease protects, spares this blob too.
    ///
    /// # Errors
    /// As [`BlobSource::stat`].
    fn renew(&self, digest: &Digest, size: u64) -> Result<bool> {
        Ok(self.stat(digest)? == Some(size))
    }

    /// Begins a batch: what is committed to it becomes visible and durable when the batch is committed.
    ///
    /// A store that gains nothing by it, as is the default, gives one whose blobs are visible at once.
    ///
    /// # Errors
    /// The error of the medium.
    fn batch(&self) -> Result<Box<dyn BlobBatch + '_>> {
        Ok(Box::new(Unbatched::new(self)))
    }
}

/// Blobs that enter a store together, made durable by one sync for all of them.
///
/// The batch itself is a store: it has what the store has, and what was committed to it, which nobody else
/// sees yet. When there is too much of it to be held, or the batch is committed, all of it is made durable and then
/// visible, in the order in which it came. So a document that is committed after what it points at is never
/// visible without it. A batch that is dropped leaves of the rest nothing behind.
pub trait BlobBatch: BlobStore {
    /// Makes everything durable, as the store is, and then visible.
    ///
    /// Writers that are still open come too late for it: each of their blobs becomes visible by its own commit.
    ///
    /// # Errors
    /// The error of the medium. Some blobs may be visible then, whole, and none without those before it.
    fn commit(self: Box<Self>) -> Result<()>;
}

/// A blob being written. [`BlobWriter::commit`] is the only way it becomes visible.
///
/// Dropping the writer discards what was written and leaves nothing behind. A write past the
/// expected size fails, with an [`crate::Error`] inside the [`std::io::Error`]
/// ([`crate::Error::stream`] takes it out), and so does the commit after it.
/// Writers need no buffer in front of them as long as the writes are large: 64 KiB or more. A large blob may be hashed on a
/// thread of its own, which [`Write::flush`] ends until more is written: for writers that are kept open in number.
pub trait BlobWriter: Write + Send {
    /// Verifies what was written against what was expected and makes the blob visible.
    ///
    /// # Errors
    /// [`crate::Error::is_corrupt`] where size or digest are not the expected ones, or the error
    /// of the medium. In either case the content is discarded, and nothing became visible
    /// unless another writer of the same blob made it so.
    fn commit(self: Box<Self>) -> Result<Committed>;

    /// Takes over all of another blob's content without copying it, where the medium can; tells whether it did.
    ///
    /// The content is read and hashed all the same; `told` is called with the count of bytes since it was last
    /// called, and its error ends the work. It must come before the first write, and nothing is
    /// written after it. The default can nothing of the kind.
    ///
    /// # Errors
    /// Those of writing the content, and of `told`.
    fn adopt(&mut self, blob: &Blob, told: &mut dyn FnMut(u64) -> Result<()>) -> Result<bool> {
        let _ = (blob, told);
        Ok(false)
    }
}
