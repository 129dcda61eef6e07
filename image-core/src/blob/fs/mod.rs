//! Blobs in a directory.
//!
//! # On disk
//! ```text
//! ROOT/blobs/sha256/<64 hexadecimal characters>
//! ROOT/blobs/sha512/<128 hexadecimal characters>
//! ROOT/ingest/new-<number>          blobs on their way in
//! ROOT/leases/lease-<number>        what must not be collected, though nothing names it
//! ROOT/corrupt/<alg>-<hex>-<number> blobs that were set aside
//! ```
//! `blobs` is as the layout specification has it, so the directory of an OCI layout is the
//! root of a store. Whatever else lies in `ROOT` or `blobs` is left alone.
//!
//! # A blob's way in
//! A writer makes a file in `ingest`, which is beside `blobs` and not in it, so that no tool
//! that lists `blobs` ever meets half a blob; both must be on one file system. A commit verifies
//! size and digest, syncs the file, renames it to its place, and syncs the directory.
//! Blobs are made read-only (0444, less the umask), since nobody may change them.
//!
//! A batch does the same with many files at once: one sync of the file system for the content of all of them, the renames in
//! the order of the commits, one sync of each directory. So whatever is visible is durable, as without a batch.
//!
//! A blob that is a file on the same file system is shared rather than copied: see [`Sharing`].
//!
//! # Garbage
//! A process that is killed leaves its files in `ingest`. A writer holds an advisory lock (`flock`) on its file
//! for as long as it lives, and the first writer of each opened store removes the files that
//! nobody holds. [`FsBlobStore::clean_stale_ingests`] does so at once.
//!
//! Blobs that nothing needs are removed by [`crate::gc`]. A [`Lease`] protects what is about to be needed; its file is
//! locked like those in `ingest`, and is over when nobody holds it. Whoever makes a blob visible, or relies on one that is there,
//! holds the directory `blobs` under a shared lock for that moment ([`Hold`]), writes the digest into the lease if there is one,
//! and sets the file's time to now; a collection removes under the exclusive lock, after reading leases and times.
//!
//! # Reading what strangers made
//! A blob is opened below the directory handle of the root, following no symbolic link, and
//! must be a regular file, so that a fifo or device at its place is an error and not a hang.
//!
//! # Spec
//! OCI image-spec 1.1, image-layout.md, § Blobs.

#[cfg(unix)]
mod aside;
#[cfg(unix)]
mod batch;
#[cfg(unix)]
mod dir;
#[cfg(unix)]
mod ingest;
#[cfg(unix)]
mod inner;
#[cfg(unix)]
mod lease;
#[cfg(unix)]
mod lock;
pub(super) mod map;

#[cfg(unix)]
mod options;
#[cfg(unix)]
mod store;
#[cfg(unix)]
mod sweep;
#[cfg(unix)]
mod temporary;

#[cfg(unix)]
pub use lease::Lease;
#[cfg(unix)]
pub(crate) use lease::Protected;
#[cfg(unix)]
pub use lock::Hold;
#[cfg(unix)]
pub use options::{Durability, FsBlobStoreOptions, Sharing, Verify};
#[cfg(unix)]
pub use store::FsBlobStore;
#[cfg(unix)]
pub(crate) use sweep::Resident;
