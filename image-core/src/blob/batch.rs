//! The batch of a store that has nothing to gain by one.

use super::{Blob, BlobBatch, BlobSource, BlobStore, BlobWriter, Expected};
use crate::{digest::Digest, error::Result};

/// A store as a batch: each blob is visible, and as durable as it will be, at its own commit.
#[derive(Debug)]
pub(super) struct Unbatched<'a, S: ?Sized>(&'a S);

impl<'a, S: ?Sized> Unbatched<'a, S> {
    pub(super) fn new(store: &'a S) -> Self {
        Self(store)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: BlobStore + ?Sized> BlobSource for Unbatched<'_, S> {
    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        self.0.stat(digest)
    }

    fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        self.0.open(digest)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: BlobStore + ?Sized> BlobStore for Unbatched<'_, S> {
    fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>> {
        self.0.create(expected)
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        self.0.remove(digest)
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()> {
        self.0.for_each(visit)
    }

    fn renew(&self, digest: &Digest, size: u64) -> Result<bool> {
        self.0.renew(digest, size)
    }

    fn batch(&self) -> Result<Box<dyn BlobBatch + '_>> {
        self.0.batch()
    }
}

impl<S: BlobStore + ?Sized> BlobBatch for Unbatched<'_, S> {
    fn commit(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
