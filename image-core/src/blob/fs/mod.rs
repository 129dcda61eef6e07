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
//! Blobs are made read-only (0444, less the umask), since nobody may change them; Windows has differences, see below.
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
//! # Windows
//! The same names with the same meaning, made by other means:
//! - Blobs are not read-only, since such a file could be neither replaced nor removed by every program. Nothing is shared by
//!   reflinks or second names.
//! - A file is held by being open for writing without letting others write, not by a lock, which would keep them from reading.
//!   The store's lock is on a file `blobs/.lock`, which is empty, and which no store takes for a blob. It and the lock
//!   of a Unix system know nothing of each other: programs of both must not work on one store at once.
//! - Below the root nothing is reached through links, junctions or other reparse points. Instead of a handle there is a
//!   path whose directories are kept open, and so cannot be renamed, replaced or removed while the store works in them, nor can
//!   the root while the store is open.
//! - A blob that is removed is first moved to `ingest`; one that is mapped into memory then stays there until it no longer is, and
//!   a cleaning finds it.
//! - Directories are not synced: see [`Durability::Synced`]. The time of use is the machine's.
//!
//! # Spec
//! OCI image-spec 1.1, image-layout.md, § Blobs.

mod aside;
mod batch;
mod dir;
mod ingest;
mod inner;
mod lease;
mod lock;
pub(super) mod map;
mod options;
mod place;
mod share;
mod store;
mod sweep;
mod temporary;

pub use lease::Lease;
pub(crate) use lease::Protected;
pub use lock::Hold;
pub use options::{Durability, FsBlobStoreOptions, Sharing, Verify};
pub use store::FsBlobStore;
pub(crate) use sweep::Resident;
