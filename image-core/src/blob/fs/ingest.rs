//! Blobs on their way in.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use super::{
    dir::Dir,
    share::Shared,
    store::FsBlobStore,
    temporary::{self, Temporary},
};
use crate::{
    blob::{Blob, BlobStore, BlobWriter, Committed, Expected, expected::Intake},
    digest::Digest,
    error::{Error, Result},
};

/// How the names of our files in `ingest` begin; others are not ours to clean.
pub(super) const PREFIX: &str = "new-";

/// How much of a blob is read at once to be hashed, in bytes.
const BUFFER: usize = 256 << 10;

/// The writer of one blob.
pub(super) struct Ingest {
    store: FsBlobStore,
    intake: Intake,
    content: Content,
}

/// Where the content of a blob goes.
enum Content {
    /// It is there already.
    Present,
    /// It is written to this file.
    Written(Temporary),
    /// This file has all of it from another one.
    Adopted(Temporary),
}

/// A verified blob that waits to become visible.
pub(super) struct Ready {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// `None` where it was there already.
    pub(super) file: Option<Temporary>,
}

impl Ingest {
    /// Begins a blob in a directory, unless it is there.
    pub(super) fn begin(
        store: &FsBlobStore,
        expected: &Expected,
        dir: impl FnOnce() -> Result<Arc<Dir>>,
    ) -> Result<Self> {
        let intake = Intake::new(expected)?;
        let is_present = match (expected.digest(), expected.size()) {
            (Some(digest), Some(size)) => store.renew(digest, size)?,
            _ => false,
        };
        let content = if is_present { Content::Present } else { Content::Written(Temporary::create(dir()?, PREFIX)?) };
        Ok(Self { store: store.clone(), intake, content })
    }

    /// Verifies a blob that is there, and stores nothing.
    pub(super) fn verifying(store: &FsBlobStore, expected: &Expected) -> Result<Self> {
        Ok(Self { store: store.clone(), intake: Intake::new(expected)?, content: Content::Present })
    }

    pub(super) fn store(&self) -> &FsBlobStore {
        &self.store
    }

    /// Verifies what came in.
    pub(super) fn finish(self) -> Result<Ready> {
        let (digest, size) = self.intake.finish()?;
        let file = match self.content {
            Content::Present => None,
            Content::Written(file) | Content::Adopted(file) => Some(file),
        };
        Ok(Ready { digest, size, file })
    }

    /// Reads and hashes a content that was taken over.
    fn hash(&mut self, blob: &Blob, told: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let size = usize::try_from(blob.size()).unwrap_or(usize::MAX);
        let mut buffer = vec![0; size.clamp(1, BUFFER)];
        let mut blob = blob.clone();
        loop {
            let count = match blob.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::stream("read the blob", e)),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            self.intake.admit(bytes).map_err(|e| Error::stream("take over the blob", e))?;
            self.intake.update(bytes);
            told(count as u64)?;
        }
    }
}

impl Write for Ingest {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.intake.admit(buf)?;
        let count = match &mut self.content {
            Content::Present => buf.len(),
            Content::Adopted(_) => return Err(io::Error::other("nothing is written to a blob that was taken over")),
            Content::Written(temporary) => match temporary.file.write(buf) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(e) => return Err(temporary.error("write", e).into()),
            },
        };
        self.intake.update(buf.get(..count).unwrap_or(buf));
        Ok(count)
    }

    /// Writes nothing, and ends what hashes beside, with its memory: for a writer that is to wait.
    fn flush(&mut self) -> io::Result<()> {
        self.intake.settle();
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobWriter for Ingest {
    fn commit(self: Box<Self>) -> Result<Committed> {
        let store = self.store.clone();
        let Ready { digest, size, file } = self.finish()?;
        let already_present = store.renew(&digest, size)?;
        match file {
            Some(file) if !already_present => store.place(vec![(digest.clone(), file)])?,
            None if !already_present => return Err(Error::BlobNotFound { digest }),
            _ => {}
        }
        Ok(Committed::new(digest, size, already_present))
    }

    fn adopt(&mut self, blob: &Blob, told: &mut dyn FnMut(u64) -> Result<()>) -> Result<bool> {
        let (Content::Written(temporary), Some(other), 0) = (&self.content, blob.file(), self.intake.count()) else {
            return Ok(false);
        };
        let shared = temporary.share(other, PREFIX, self.store.options().sharing)?;
        let Some(shared) = shared else { return Ok(false) };
        self.content = match (shared, std::mem::replace(&mut self.content, Content::Present)) {
            (Shared::Linked(file), _) => Content::Adopted(file),
            (Shared::Cloned, Content::Written(file)) => Content::Adopted(file),
            (Shared::Cloned, other) => other,
        };
        let Content::Adopted(temporary) = &self.content else { return Ok(false) };
        let own = Blob::from_file(temporary.reopen()?, temporary.path())?;
        self.hash(&own, told)?;
        Ok(true)
    }
}

/// Removes the files that dead writers left; tells how many.
pub(super) fn clean(dir: &Dir) -> Result<u64> {
    temporary::clean(dir, PREFIX)
}
