//! Blobs in a directory.
//!
//! # On disk
//! ```text
//! ROOT/blobs/sha256/<64 hexadecimal characters>
//! ROOT/blobs/sha512/<128 hexadecimal characters>
//! ROOT/ingest/new-<number>
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
//! # Garbage
//! A process that is killed leaves its files in `ingest`. A writer holds an advisory lock (`flock`) on its file
//! for as long as it lives, and the first writer of each opened store removes the files that
//! nobody holds. [`FsBlobStore::clean_stale_ingests`] does so at once.
//!
//! # Reading what strangers made
//! A blob is opened below the directory handle of the root, following no symbolic link, and
//! must be a regular file, so that a fifo or device at its place is an error and not a hang.
//!
//! # Spec
//! OCI image-spec 1.1, image-layout.md, § Blobs.

#[cfg(unix)]
mod dir;
#[cfg(unix)]
mod ingest;
#[cfg(unix)]
mod lock;
pub(super) mod map;

#[cfg(unix)]
mod options;
#[cfg(unix)]
mod store;

#[cfg(unix)]
pub use options::{Durability, FsBlobStoreOptions};
#[cfg(unix)]
pub use store::FsBlobStore;
