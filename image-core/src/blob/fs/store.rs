//! The store itself.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    batch::Batch,
    dir::{Dir, Found},
    ingest::{self, Ingest},
    inner::{INGEST, Inner, not_a_file},
    lease::{LEASES, Lease, LeaseFile, Protected},
    lock::Hold,
    options::{Durability, FsBlobStoreOptions, Symlinks, Verify},
    temporary::Temporary,
};
use crate::{
    blob::{Blob, BlobBatch, BlobSource, BlobStore, BlobWriter, Expected},
    digest::{Algorithm, Digest},
    error::{Error, Result},
    verify::VerifyingReader,
};

/// From how many files on one sync of the file system takes the place of a sync of each. It also writes what
/// others have written, so it is not for a few.
const SYNC_TOGETHER: usize = 4;

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
    /// What this handle's blobs are protected by.
    lease: Option<Arc<LeaseFile>>,
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
        Ok(Self { inner: Arc::new(Inner::new(root, options)), lease: None })
    }

    pub(super) fn create_with(root: PathBuf, options: FsBlobStoreOptions) -> Result<Self> {
        let missing: Vec<_> = root.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(&root).map_err(|e| Error::io("create", &root, e))?;
        for dir in missing {
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            Dir::open_ambient(parent.to_owned())?.sync(options.durability)?;
        }
        let store = Self::open_with(root, options)?;
        store.inner.make_blobs()?;
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

    /// Takes a lease: what is stored through it is kept until it is dropped.
    ///
    /// # Errors
    /// The operating system's.
    pub fn lease(&self) -> Result<Lease> {
        Lease::new(self)
    }

    /// Waits until no garbage collection is removing blobs, and keeps one from doing so for a moment.
    ///
    /// # Errors
    /// The operating system's.
    pub fn hold(&self) -> Result<Hold> {
        Hold::shared(self.inner.open_blobs()?)
    }

    /// Moves a blob that is not what its name says out of the way, so that it can be looked at and the right one stored.
    /// Tells where it is now; `None` where there is none, or it is whole.
    ///
    /// # Errors
    /// As [`BlobSource::open`]; [`Error::is_denied`] where the store may not be changed.
    pub fn set_aside(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        super::aside::set_aside(self, digest)
    }

    /// Makes durable, where the store is, that the blobs are there which can be seen now: also those that other writers, of
    /// any process, made visible a moment ago. Who finds a blob instead of writing it does so before naming it for good.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync(&self) -> Result<()> {
        self.sync_places()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(super) fn options(&self) -> FsBlobStoreOptions {
        self.inner.options
    }

    /// The same store; what comes into it is protected.
    pub(super) fn with_lease(&self, lease: Arc<LeaseFile>) -> Self {
        Self { inner: Arc::clone(&self.inner), lease: Some(lease) }
    }

    /// The directory of the leases, made where it is missing.
    pub(super) fn leases_dir(&self) -> Result<Dir> {
        // A lease does not outlive its process, and so no loss of power.
        self.inner.root.make_dir(LEASES, Symlinks::Refused, Durability::Fast)
    }

    /// Makes verified files durable and then visible, in their order.
    pub(super) fn place(&self, blobs: Vec<(Digest, Temporary)>) -> Result<()> {
        let durability = self.inner.options.durability;
        if durability == Durability::Synced {
            sync_contents(&blobs)?;
        }
        let hold = Hold::shared(Some(self.inner.make_blobs()?))?;
        let mut places = BTreeMap::new();
        for (digest, file) in blobs {
            let algorithm = digest.algorithm().as_str();
            if !places.contains_key(algorithm) {
                places.insert(algorithm.to_owned(), self.inner.make_algorithm_dir(&digest)?);
            }
            if let Some(lease) = &self.lease {
                lease.add(Protected::Blob(digest.clone()))?;
            }
            if let Some(place) = places.get(algorithm) {
                self.put_in_place(&file, place, &digest)?;
            }
        }
        drop(hold);
        places.values().try_for_each(|place| place.sync(durability))
    }

    /// Makes durable what others made visible.
    pub(super) fn sync_places(&self) -> Result<()> {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            if let Some(dir) = self.inner.open_named_dir(&algorithm)? {
                dir.sync(self.inner.options.durability)?;
            }
        }
        Ok(())
    }

    /// Renews a blob, whose removal the caller keeps from happening.
    pub(super) fn renew_held(&self, hold: &Hold, digest: &Digest, size: u64) -> Result<bool> {
        let symlinks = self.inner.options.symlinks;
        let Some(blobs) = hold.blobs() else { return Ok(false) };
        let Some(dir) = blobs.open_dir(digest.algorithm().as_str(), symlinks)? else { return Ok(false) };
        match dir.stat_file(digest.encoded(), symlinks)? {
            Found::File(facts) if facts.size == size => {}
            Found::File(_) | Found::Nothing => return Ok(false),
            Found::Other => return Err(not_a_file(&dir, digest)),
        }
        if let Some(lease) = &self.lease {
            lease.add(Protected::Blob(digest.clone()))?;
        }
        dir.renew(digest.encoded(), symlinks)
    }

    /// Opens a blob, whatever its content is.
    pub(super) fn open_unverified(&self, digest: &Digest) -> Result<Option<Blob>> {
        let Some(dir) = self.inner.open_algorithm_dir(digest)? else { return Ok(None) };
        match dir.open_file(digest.encoded(), self.inner.options.symlinks)? {
            Found::Nothing => Ok(None),
            Found::File(file) => Blob::from_file(file, dir.path().join(digest.encoded())).map(Some),
            Found::Other => Err(not_a_file(&dir, digest)),
        }
    }
}

/// Syncs files in the way that costs the least.
fn sync_contents(blobs: &[(Digest, Temporary)]) -> Result<()> {
    if let (Some((_, first)), true) = (blobs.first(), blobs.len() >= SYNC_TOGETHER)
        && first.sync_file_system()?
    {
        return Ok(());
    }
    blobs.iter().try_for_each(|(_, file)| file.sync())
}

/// Reads all of a blob; an error that names its path where it is not what the digest says.
pub(super) fn verify(digest: &Digest, blob: &Blob) -> Result<()> {
    let verified =
        VerifyingReader::new(blob.clone(), digest.clone(), blob.size()).and_then(|mut reader| reader.drain());
    match (verified, blob.path()) {
        (Err(error), Some(path)) if error.is_corrupt() => {
            Err(Error::CorruptBlob { path: path.to_owned(), source: Box::new(error) })
        }
        (verified, _) => verified,
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobSource for FsBlobStore {
    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        self.inner.stat(digest)
    }

    fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        let blob = self.open_unverified(digest)?;
        if let (Some(blob), Verify::OnRead) = (&blob, self.inner.options.verify) {
            verify(digest, blob)?;
        }
        Ok(blob)
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobStore for FsBlobStore {
    /// Begins a blob. Its commit fails with [`Error::is_not_found`] where `expected` named a blob
    /// that was there, and that somebody removed before the commit.
    fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(Ingest::begin(self, expected, || self.inner.ingest_dir().map(Arc::new))?))
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        match self.inner.open_algorithm_dir(digest)? {
            Some(dir) => self.take_away(&dir, digest),
            None => Ok(false),
        }
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()> {
        self.inner.for_each(&mut |digest, facts| visit(digest, facts.size))
    }

    fn renew(&self, digest: &Digest, size: u64) -> Result<bool> {
        digest.require_supported()?;
        if self.inner.options.verify == Verify::OnRead {
            match self.open(digest) {
                Err(Error::CorruptBlob { .. }) => return Ok(false),
                opened => drop(opened?),
            }
        }
        self.renew_held(&self.hold()?, digest, size)
    }

    fn batch(&self) -> Result<Box<dyn BlobBatch + '_>> {
        Ok(Box::new(Batch::new(self)))
    }
}
