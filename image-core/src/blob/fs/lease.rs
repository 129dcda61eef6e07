//! Leases: what a process needs, though nothing names it yet.
//!
//! A lease is a file `leases/lease-<number>` that its holder keeps locked, with one line for each thing that it protects: a
//! digest, or a descriptor whose whole graph is meant. Lines are only ever added, under the shared lock of `blobs`; a
//! collection reads them under the exclusive one. A lease whose file nobody has locked is over, however its process ended;
//! the next lease or collection removes it.

use std::{
    collections::HashSet,
    io::{Read, Write},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    dir::{Dir, Found},
    options::Symlinks,
    store::FsBlobStore,
    temporary::{self, Temporary},
};
use crate::{
    blob::BlobStore,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, Result},
};

/// The directory of the leases.
pub(super) const LEASES: &str = "leases";

/// How the names of our files in it begin.
const PREFIX: &str = "lease-";

/// The longest lease that is read, in bytes: some ten million blobs.
const MAX_LEASE: u64 = 1 << 30;

/// Keeps blobs from being collected while they are on their way to being named.
///
/// What is stored through [`Lease::blobs`], or found there when it was to be stored, stays until the lease, and every clone of
/// that store, is dropped; so does what [`Lease::keep`] was asked for. It holds for collections of all processes,
/// and ends with its own process, however that ends.
///
/// ```
/// use image_core::{Descriptor, MediaType, blob::{BlobStoreExt, FsBlobStore}};
/// # let directory = tempfile::tempdir().unwrap();
/// let store = FsBlobStore::create(directory.path())?;
/// let lease = store.lease()?;
/// let blob = lease.blobs().put_bytes(b"soon to be part of an image")?;
/// // Name it, then:
/// drop(lease);
/// # Ok::<(), image_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it protects for as long as it lives"]
pub struct Lease {
    store: FsBlobStore,
    file: Arc<LeaseFile>,
}

impl Lease {
    pub(super) fn new(store: &FsBlobStore) -> Result<Self> {
        let file = Arc::new(LeaseFile::create(store)?);
        Ok(Self { store: store.with_lease(Arc::clone(&file)), file })
    }

    /// The store; what comes into it by this handle is protected.
    #[must_use]
    pub fn blobs(&self) -> &FsBlobStore {
        &self.store
    }

    /// Protects what `root` points at, and all below it; `false` where it is not there.
    ///
    /// # Errors
    /// As [`BlobStore::renew`].
    pub fn keep(&self, root: &Descriptor) -> Result<bool> {
        let _hold = self.store.hold()?;
        let is_there = self.store.renew(&root.digest, root.size)?;
        if is_there {
            self.file.add(Protected::Root(Box::new(root.clone())))?;
        }
        Ok(is_there)
    }
}

/// Something that a lease protects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Protected {
    /// One blob.
    Blob(Digest),
    /// A blob and all below it.
    Root(Box<Descriptor>),
}

/// The file of a lease.
#[derive(Debug)]
pub(super) struct LeaseFile {
    content: Mutex<Content>,
}

/// The file itself, and what is in it, so that nothing is in it twice however often it is used.
#[derive(Debug)]
struct Content {
    file: Temporary,
    digests: HashSet<Digest>,
    roots: HashSet<String>,
}

impl LeaseFile {
    fn create(store: &FsBlobStore) -> Result<Self> {
        // No collection looks between the making of the file and its locking.
        let _hold = store.hold()?;
        let dir = store.leases_dir()?;
        // What cannot be cleaned now is no reason not to take a lease.
        drop(temporary::clean(&dir, PREFIX));
        let file = Temporary::create(Arc::new(dir), PREFIX)?;
        Ok(Self { content: Mutex::new(Content { file, digests: HashSet::new(), roots: HashSet::new() }) })
    }

    /// Adds a line. The caller holds the shared lock.
    pub(super) fn add(&self, protected: Protected) -> Result<()> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let Content { file, digests, roots } = &mut *content;
        let text = match &protected {
            Protected::Blob(digest) => digest.to_string(),
            Protected::Root(root) => serde_json::to_string(root)
                .map_err(|source| Error::Json { document: format!("descriptor of {}", root.digest), source })?,
        };
        let is_known = match &protected {
            Protected::Blob(digest) => digests.contains(digest),
            Protected::Root(_) => roots.contains(&text),
        };
        if is_known {
            return Ok(());
        }
        // The line ends the one before it, which may have been cut short by a full disk.
        file.file.write_all(format!("\n{text}\n").as_bytes()).map_err(|e| file.error("write", e))?;
        match protected {
            Protected::Blob(digest) => digests.insert(digest),
            Protected::Root(_) => roots.insert(text),
        };
        Ok(())
    }
}

/// What all living leases protect; the files of those that are over are removed. The caller holds the
/// exclusive lock, or only wants to know roughly.
pub(super) fn read_all(dir: &Dir) -> Result<Vec<Protected>> {
    let mut protected = Vec::new();
    dir.for_each_name(&mut |name| {
        if name.starts_with(PREFIX) {
            read(dir, name, &mut protected)?;
        }
        Ok(())
    })?;
    Ok(protected)
}

fn read(dir: &Dir, name: &str, protected: &mut Vec<Protected>) -> Result<()> {
    let Found::File(file) = dir.open_file(name, Symlinks::Refused)? else { return Ok(()) };
    if dir.is_abandoned(name, &file) {
        // One that cannot be removed protects nothing either.
        drop(dir.remove_file(name));
        return Ok(());
    }
    let path = dir.path().join(name);
    let mut text = String::new();
    let count = file.take(MAX_LEASE).read_to_string(&mut text).map_err(|e| Error::io("read", &path, e))?;
    if count as u64 == MAX_LEASE {
        return Err(Error::limit(format!("lease {}, in bytes", path.display()), MAX_LEASE));
    }
    protected.extend(text.lines().filter_map(parse));
    Ok(())
}

/// A line that was cut short protects nothing: what it was for failed.
fn parse(line: &str) -> Option<Protected> {
    if line.starts_with('{') {
        serde_json::from_str(line).ok().map(Protected::Root)
    } else {
        line.parse().ok().map(Protected::Blob)
    }
}
