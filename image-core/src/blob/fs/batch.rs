//! Several blobs that become durable, and then visible, together.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    dir::Dir,
    ingest::{Ingest, Ready},
    options::Durability,
    store::FsBlobStore,
    temporary::Temporary,
};
use crate::{
    blob::{Blob, BlobBatch, BlobSource, BlobStore, BlobWriter, Committed, Expected, batch::Unbatched},
    digest::Digest,
    error::{Error, Result},
};

/// How many blobs are held back at most; each is an open file.
const MAX_STAGED: usize = 128;

/// How many bytes are held back at most. To sync that many takes so long that nothing is gained by waiting for more,
/// and they would be lost to who is killed and begins again.
const MAX_STAGED_BYTES: u64 = 64 << 20;

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    store: FsBlobStore,
    staged: Arc<Mutex<Staged>>,
}

/// What is verified and waits.
#[derive(Debug, Default)]
struct Staged {
    /// In the order of their commits.
    blobs: Vec<(Digest, u64, Temporary)>,
    /// The directory of their files.
    dir: Option<Arc<Dir>>,
    /// Whether blobs were relied on that somebody else stored, perhaps a moment ago.
    has_found: bool,
    /// Whether the batch is over, so that each blob is for itself.
    is_over: bool,
}

impl Staged {
    fn find(&self, digest: &Digest) -> Option<&(Digest, u64, Temporary)> {
        self.blobs.iter().find(|(staged, ..)| staged == digest)
    }

    fn size(&self, digest: &Digest) -> Option<u64> {
        self.find(digest).map(|(_, size, _)| *size)
    }

    /// Whether no more is to be held back.
    fn is_full(&self) -> bool {
        let bytes = self.blobs.iter().fold(0_u64, |sum, (_, size, _)| sum.saturating_add(*size));
        self.blobs.len() >= MAX_STAGED || bytes >= MAX_STAGED_BYTES
    }

    /// Makes durable and visible what is here.
    fn flush(&mut self, store: &FsBlobStore) -> Result<()> {
        let blobs: Vec<_> = self.blobs.drain(..).map(|(digest, _, file)| (digest, file)).collect();
        if blobs.is_empty() { Ok(()) } else { store.place(blobs) }
    }
}

impl Batch {
    pub(super) fn new(store: &FsBlobStore) -> Self {
        Self { store: store.clone(), staged: Arc::default() }
    }

    fn staged(&self) -> MutexGuard<'_, Staged> {
        lock(&self.staged)
    }

    fn dir(&self) -> Result<Arc<Dir>> {
        let mut staged = self.staged();
        if let Some(dir) = &staged.dir {
            return Ok(Arc::clone(dir));
        }
        let dir = Arc::new(self.store.inner().ingest_dir()?);
        staged.dir = Some(Arc::clone(&dir));
        Ok(dir)
    }
}

fn lock(staged: &Mutex<Staged>) -> MutexGuard<'_, Staged> {
    staged.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut staged = self.staged();
        staged.is_over = true;
        staged.blobs.clear();
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobSource for Batch {
    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        let size = self.staged().size(digest);
        if size.is_some() { Ok(size) } else { self.store.stat(digest) }
    }

    fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        match self.staged().find(digest) {
            Some((_, _, file)) => Blob::from_file(file.reopen()?, file.path()).map(Some),
            None => self.store.open(digest),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobStore for Batch {
    fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>> {
        let size = expected.digest().and_then(|digest| self.staged().size(digest));
        let ingest = match (size, expected.size()) {
            (Some(staged), Some(expected_size)) if staged == expected_size => Ingest::verifying(&self.store, expected)?,
            _ => Ingest::begin(&self.store, expected, || self.dir())?,
        };
        Ok(Box::new(Writer { ingest, staged: Arc::clone(&self.staged) }))
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        let mut staged = self.staged();
        let before = staged.blobs.len();
        staged.blobs.retain(|(other, ..)| other != digest);
        let was_staged = staged.blobs.len() < before;
        Ok(self.store.remove(digest)? || was_staged)
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()> {
        // A copy, so that the visitor may use the batch.
        let staged: Vec<_> = self.staged().blobs.iter().map(|(digest, size, _)| (digest.clone(), *size)).collect();
        staged.iter().try_for_each(|(digest, size)| visit(digest, *size))?;
        let is_staged = |digest: &Digest| staged.iter().any(|(other, _)| other == digest);
        self.store.for_each(&mut |digest, size| if is_staged(digest) { Ok(()) } else { visit(digest, size) })
    }

    fn renew(&self, digest: &Digest, size: u64) -> Result<bool> {
        if self.staged().size(digest) == Some(size) {
            return Ok(true);
        }
        let is_stored = self.store.renew(digest, size)?;
        self.staged().has_found |= is_stored;
        Ok(is_stored)
    }

    fn batch(&self) -> Result<Box<dyn BlobBatch + '_>> {
        // A part of this one.
        Ok(Box::new(Unbatched::new(self)))
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobBatch for Batch {
    fn commit(self: Box<Self>) -> Result<()> {
        let mut staged = self.staged();
        staged.flush(&self.store)?;
        // From here on each blob is for itself.
        staged.is_over = true;
        if staged.has_found { self.store.sync_places() } else { Ok(()) }
    }
}

/// The writer of one blob of a batch.
struct Writer {
    ingest: Ingest,
    staged: Arc<Mutex<Staged>>,
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.ingest.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ingest.flush()
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobWriter for Writer {
    fn commit(self: Box<Self>) -> Result<Committed> {
        let Self { ingest, staged } = *self;
        if lock(&staged).is_over {
            return Box::new(ingest).commit();
        }
        let store = ingest.store().clone();
        let Ready { digest, size, file } = ingest.finish()?;
        let is_stored = store.renew(&digest, size)?;
        let mut staged = lock(&staged);
        staged.has_found |= is_stored;
        let already_present = is_stored || staged.size(&digest) == Some(size);
        match file {
            // It ended meanwhile: nobody would show what is held back now.
            Some(file) if !already_present && staged.is_over => store.place(vec![(digest.clone(), file)])?,
            Some(file) if !already_present => {
                staged.blobs.push((digest.clone(), size, file));
                if staged.is_full() || store.options().durability == Durability::Fast {
                    staged.flush(&store)?;
                }
            }
            None if !already_present => return Err(Error::BlobNotFound { digest }),
            _ => {}
        }
        Ok(Committed::new(digest, size, already_present))
    }

    fn adopt(&mut self, blob: &Blob, told: &mut dyn FnMut(u64) -> Result<()>) -> Result<bool> {
        self.ingest.adopt(blob, told)
    }
}
