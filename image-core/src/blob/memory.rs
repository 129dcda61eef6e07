//! Blobs in memory.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;

use super::{Blob, BlobSource, BlobStore, BlobWriter, Committed, Expected, expected::Intake};
use crate::{digest::Digest, error::Result};

/// Keeps blobs in memory. Clones share one content; nothing survives the last of them.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobStore {
    blobs: Arc<RwLock<BTreeMap<Digest, Bytes>>>,
}

impl MemoryBlobStore {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Digest, Bytes>> {
        self.blobs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Digest, Bytes>> {
        self.blobs.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobSource for MemoryBlobStore {
    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        digest.require_supported()?;
        Ok(self.read().get(digest).map(|bytes| bytes.len() as u64))
    }

    fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        digest.require_supported()?;
        Ok(self.read().get(digest).cloned().map(Blob::from_bytes))
    }
}

impl BlobStore for MemoryBlobStore {
    fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(MemoryWriter { store: self.clone(), intake: Intake::new(expected)?, bytes: Vec::new() }))
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        digest.require_supported()?;
        Ok(self.write().remove(digest).is_some())
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()> {
        // A copy, so that the visitor may change the store.
        let blobs: Vec<_> = self.read().iter().map(|(digest, bytes)| (digest.clone(), bytes.len() as u64)).collect();
        blobs.iter().try_for_each(|(digest, size)| visit(digest, *size))
    }
}

struct MemoryWriter {
    store: MemoryBlobStore,
    intake: Intake,
    bytes: Vec<u8>,
}

impl Write for MemoryWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.intake.admit(buf)?;
        self.bytes.extend_from_slice(buf);
        self.intake.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.intake.settle();
        Ok(())
    }
}

impl BlobWriter for MemoryWriter {
    fn commit(self: Box<Self>) -> Result<Committed> {
        let (digest, size) = self.intake.finish()?;
        let mut blobs = self.store.write();
        let already_present = blobs.contains_key(&digest);
        if !already_present {
            blobs.insert(digest.clone(), self.bytes.into());
        }
        Ok(Committed::new(digest, size, already_present))
    }
}
