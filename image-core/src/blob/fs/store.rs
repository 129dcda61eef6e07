//! The store itself.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    dir::{Dir, Found},
    ingest::{self, Ingest},
    options::{FsBlobStoreOptions, Symlinks},
};
use crate::{
    blob::{Blob, BlobSource, BlobStore, BlobWriter, Expected},
    digest::{Algorithm, Digest},
    error::{Error, Result},
};

const BLOBS: &str = "blobs";
const INGEST: &str = "ingest";

/// Keeps blobs in a directory, as an OCI layout does: see the [module](super) for what lies where.
///
/// Any number of handles, in any number of processes, may use one store at once.
/// Clones share one handle.
///
/// ```
/// use std::io::Read;
/// use image_core::blob::{BlobSourceExt, BlobStoreExt, FsBlobStore};
/// # let directory = tempfile::tempdir().unwrap();
/// # let root = directory.path().join("layout");
/// let store = FsBlobStore::create(&root)?;
/// let blob = store.put_bytes(b"hello")?;
/// assert!(root.join("blobs/sha256").join(blob.digest.encoded()).is_file());
/// # Ok::<(), image_core::Error>(())
/// ```
///
/// # Durability
/// See [`Durability`](super::Durability).
#[derive(Clone)]
pub struct FsBlobStore {
    inner: Arc<Inner>,
}

impl fmt::Debug for FsBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsBlobStore").field("root", &self.root()).field("options", &self.inner.options).finish()
    }
}

impl FsBlobStore {
    /// Opens the store at `root`, an existing directory, with the default options. Nothing is written.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where `root` does not exist, or the operating system's error.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        FsBlobStoreOptions::default().open(root)
    }

    /// Opens the store at `root`, made with its parent directories where it is missing, with the default options.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        FsBlobStoreOptions::default().create(root)
    }

    pub(super) fn open_with(root: PathBuf, options: FsBlobStoreOptions) -> Result<Self> {
        let root = Dir::open_ambient(root)?;
        Ok(Self { inner: Arc::new(Inner { root, options, is_cleaned: AtomicBool::new(false) }) })
    }

    pub(super) fn create_with(root: PathBuf, options: FsBlobStoreOptions) -> Result<Self> {
        let missing: Vec<_> = root.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(&root).map_err(|e| Error::io("create", &root, e))?;
        for dir in missing {
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            Dir::open_ambient(parent.to_owned())?.sync(options.durability)?;
        }
        let store = Self::open_with(root, options)?;
        store.inner.root.make_dir(BLOBS, options.symlinks, options.durability)?;
        Ok(store)
    }

    /// The directory, by the path it was opened with.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.inner.root.path()
    }

    /// Removes what killed processes left half-written; tells how many files.
    ///
    /// Writers at work, of this or any other process, are not disturbed. The first writer of an
    /// opened store does the same, but cares for no error.
    ///
    /// # Errors
    /// The operating system's.
    pub fn clean_stale_ingests(&self) -> Result<u64> {
        match self.inner.root.open_dir(INGEST, Symlinks::Refused)? {
            Some(dir) => ingest::clean(&dir),
            None => Ok(0),
        }
    }
}

impl BlobSource for FsBlobStore {
    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        self.inner.stat(digest)
    }

    fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        let Some(dir) = self.inner.open_algorithm_dir(digest)? else { return Ok(None) };
        match dir.open_file(digest.encoded(), self.inner.options.symlinks)? {
            Found::Nothing => Ok(None),
            Found::File(file) => Blob::from_file(file, dir.path().join(digest.encoded())).map(Some),
            Found::Other => Err(not_a_file(&dir, digest)),
        }
    }
}

impl BlobStore for FsBlobStore {
    /// Begins a blob. Its commit fails with [`Error::is_not_found`] where `expected` named a blob
    /// that was there, and that somebody removed before the commit.
    fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(Ingest::begin(Arc::clone(&self.inner), expected)?))
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        match self.inner.open_algorithm_dir(digest)? {
            Some(dir) => dir.remove_file(digest.encoded()),
            None => Ok(false),
        }
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()> {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let Some(dir) = self.inner.open_named_dir(&algorithm)? else { continue };
            dir.for_each_name(&mut |name| {
                let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else { return Ok(()) };
                match dir.stat_file(name, self.inner.options.symlinks)? {
                    Found::File(size) => visit(&digest, size),
                    Found::Nothing | Found::Other => Ok(()),
                }
            })?;
        }
        Ok(())
    }
}

/// What all clones and writers of a store share.
#[derive(Debug)]
pub(super) struct Inner {
    root: Dir,
    pub(super) options: FsBlobStoreOptions,
    is_cleaned: AtomicBool,
}

impl Inner {
    pub(super) fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        let Some(dir) = self.open_algorithm_dir(digest)? else { return Ok(None) };
        match dir.stat_file(digest.encoded(), self.options.symlinks)? {
            Found::Nothing => Ok(None),
            Found::File(size) => Ok(Some(size)),
            Found::Other => Err(not_a_file(&dir, digest)),
        }
    }

    /// The directory of the digest's algorithm, made where it is missing.
    pub(super) fn make_algorithm_dir(&self, digest: &Digest) -> Result<Dir> {
        digest.require_supported()?;
        let FsBlobStoreOptions { durability, symlinks } = self.options;
        let blobs = self.root.make_dir(BLOBS, symlinks, durability)?;
        blobs.make_dir(digest.algorithm().as_str(), symlinks, durability)
    }

    /// The directory for files being written, made where it is missing, and cleaned once.
    pub(super) fn ingest_dir(&self) -> Result<Dir> {
        let dir = self.root.make_dir(INGEST, Symlinks::Refused, self.options.durability)?;
        if !self.is_cleaned.swap(true, Ordering::Relaxed) {
            // What cannot be cleaned now is no reason not to write.
            drop(ingest::clean(&dir));
        }
        Ok(dir)
    }

    /// The directory of the digest's algorithm. Only supported algorithms become paths.
    fn open_algorithm_dir(&self, digest: &Digest) -> Result<Option<Dir>> {
        digest.require_supported()?;
        self.open_named_dir(digest.algorithm())
    }

    fn open_named_dir(&self, algorithm: &Algorithm) -> Result<Option<Dir>> {
        match self.root.open_dir(BLOBS, self.options.symlinks)? {
            Some(blobs) => blobs.open_dir(algorithm.as_str(), self.options.symlinks),
            None => Ok(None),
        }
    }
}

fn not_a_file(dir: &Dir, digest: &Digest) -> Error {
    let path = dir.path().join(digest.encoded());
    Error::InvalidBlob { digest: digest.clone(), path, reason: "not a regular file" }
}
